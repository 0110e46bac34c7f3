"""P4Transformer (Tables 3, 9, 20) is the published encoder, without compiled operators.

Claims proved:
1. Size: 42.0 M parameters and, attention counted, 77.1 GFLOPs for 24 x 2048 points, each within 1 %.
2. The ball query is a search through all points; a ball with few points repeats its first, an empty one holds the
   nearest.
3. Anchors are input points at every second frame; tubes hold the frame before, the own and the frame after, the first
   frame standing in for the one before it.
4. The fast forward pass is the literal one: a linear map of every point's offset in space and time, the maximum over
   the tube, then a textbook pre-norm transformer.
5. It takes the place of Point4D: targets, dense pretraining, keeping some tokens. Sizes that do not fit are refused.
"""

import numpy as np
import pytest
import torch
from conftest import DIM, SIZE
from torch.nn.functional import gelu, layer_norm

from cross4d_lib import build_targets, load_dataset, load_teacher, pretrain
from cross4d_lib.decisions import BALL_RADIUS
from cross4d_lib.encoders import P4Transformer, build_encoder, count_flops, count_parameters, normalise, reference_of
from cross4d_lib.encoders.p4transformer import tube_frames
from cross4d_lib.errors import ConfigError
from cross4d_lib.experiments.run_lists import is_present
from cross4d_lib.points import ball_query
from cross4d_lib.report.paper import TABLE_9

TINY = {"spatial_stride": 16, "neighbours": 5, "dim": 16, "depth": 2, "heads": 2}


def tiny(seed=0, **fields):
    torch.manual_seed(seed)
    return P4Transformer(**TINY | fields)


def test_it_has_the_published_size():
    encoder = P4Transformer()
    parameters, operations = TABLE_9["P4Transformer"]
    assert count_parameters(encoder) / 1e6 == pytest.approx(parameters, rel=0.01)
    assert count_flops(encoder, 24, 2048)["all"] / 1e9 == pytest.approx(operations, rel=0.01)


def test_the_ball_is_the_published_one_on_real_clips():
    """.7 x 300 mm in the unit of a person's clip: decisions.BALL_RADIUS."""
    if not is_present("msr-action3d"):
        pytest.skip("no MSR-Action3D in $CROSS4D_DATA")
    clips = load_dataset("msr-action3d", "train", frames=12, points=512, stride=2, limit=60)
    units = [reference_of(torch.as_tensor(clip.points)[None]).scale.item() for clip in clips]
    assert 0.7 * 0.3 / np.median(units) == pytest.approx(BALL_RADIUS, abs=0.03)


def test_ball_query_is_a_search():
    points, queries = torch.rand(2, 3, 40, 3), torch.rand(2, 3, 7, 3)
    queries[0, 0, 0] = 9.0  # far from everything
    found = ball_query(queries, points, 0.3, 6)
    few = 0
    for b in range(2):
        for t in range(3):
            for s in range(7):
                distance = (points[b, t] - queries[b, t, s]).norm(dim=-1)
                inside = [n for n in range(40) if distance[n] <= 0.3][:6]
                few += len(inside) < 6
                expected = inside + [inside[0]] * (6 - len(inside)) if inside else [int(distance.argmin())] * 6
                assert found[b, t, s].tolist() == expected
    assert few > 1


def test_anchors_and_tubes():
    at, tube = tube_frames(5, "cpu")
    assert at.tolist() == [0, 2, 4] and tube.tolist() == [[0, 0, 1], [1, 2, 3], [3, 4, 4]]
    points = torch.randn(2, 5, 64, 3)
    encoder = tiny()
    groups, tokens = encoder.group(points), encoder(points)
    assert groups["near"].shape == (2, 3, 3, 4, 5) and tokens.features.shape == (2, 12, 16)
    assert tokens.frame[0].tolist() == [0] * 4 + [2] * 4 + [4] * 4
    assert torch.equal(points[1, tokens.frame[1], tokens.point[1]], tokens.centres[1])


def test_the_forward_pass_is_the_literal_one():
    encoder, points = tiny(final_norm=True), torch.randn(1, 4, 64, 3)
    groups, cloud = encoder.group(points), normalise(points)
    at, tube = tube_frames(4, "cpu")
    rows, places = [], []
    for i, frame in enumerate(at.tolist()):
        for s in range(4):
            anchor = cloud[0, frame, groups["point"].view(2, 4)[i, s]]
            offsets = [
                torch.cat([cloud[0, f, n] - anchor, torch.tensor([float(step)])])
                for step, f, near in zip((-1, 0, 1), tube[i].tolist(), groups["near"][0, i, :, s])
                for n in near
            ]
            rows.append((torch.stack(offsets) @ encoder.tube.weight.T).max(0).values)
            places.append(torch.cat([anchor, torch.tensor([frame / 12])]))
    x = torch.stack(rows) + encoder.position(torch.stack(places))
    for block in encoder.blocks:
        normed = layer_norm(x, (16,), block.norm1.weight, block.norm1.bias)
        q, k, v = (normed @ block.qkv.weight.T).view(8, 3, 2, 8).permute(1, 2, 0, 3)
        attended = (torch.softmax(q @ k.transpose(1, 2) / 8**0.5, -1) @ v).transpose(0, 1).flatten(1)
        x = x + gelu(block.out[0](attended))
        x = x + block.mlp(layer_norm(x, (16,), block.norm2.weight, block.norm2.bias))
    x = encoder.norm(x)
    torch.testing.assert_close(encoder(points).features[0], x, atol=2e-5, rtol=1e-4)
    assert torch.equal(encoder(points, groups).features, encoder(points).features)


def test_it_takes_the_place_of_point4d(clips, tmp_path):
    encoder = tiny()
    store = build_targets(
        clips, load_teacher("control/position"), DIM, SIZE, encoder=encoder, cache=tmp_path, progress=False
    )
    log = pretrain(encoder, store, granularity="dense", epochs=2, batch=3, precision="float32")
    assert log.epochs[-1]["cosine"] < 1.5 and len(log.epochs) == 2
    tokens = encoder.embed(torch.randn(2, 3, 96, 3))
    index = torch.tensor([[0, 3, 5], [1, 2, 4]])
    assert encoder.contextualise(tokens, index).features.shape == (2, 3, 16)
    assert build_encoder(**encoder.settings()).config == encoder.config


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="one anchor of 16 points"):
        tiny().group(torch.randn(1, 2, 8, 3))
    with pytest.raises(ConfigError, match="3 heads do not divide"):
        tiny(heads=3)
