"""Point4D (Sec. 3.2, Table 9) is its formula, of the paper's size, and forgets exactly what it should forget.

Claims proved:
1. Size: 3.28 M parameters and, attention apart, 11.5 GFLOPs for 24 x 2048 points; the head 256 -> 384 has 98,688
   parameters.
2. The fast forward pass is the literal one: concat(offset, feature) - linear - GELU - linear - maximum - LayerNorm at
   every centre, then a textbook pre-norm transformer. ``attend`` is torch's scaled dot product attention.
3. Centres are input points, bit for bit, in input coordinates, ``tokens`` of them in every frame, in the order of
   frames.
4. What changes nothing: a grouping given or computed (exactly); other clips in the batch; a power of two as unit
   (exactly); any unit and place (up to rounding).
5. The order of points, the first kept first: the same points are sampled in the same order with the same neighbours,
   always exactly. Features are then exactly the same when the clip's mean and radius sum without rounding, which the
   order of a sum cannot change; otherwise up to rounding.
6. What does change something: the order of frames, and, measured from one reference, only through the time.
7. Sizes that do not fit are refused.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cross4d_lib.decisions import MEDIAN_TO_RMS, TIME_UNIT
from cross4d_lib.encoders import (
    Point4D,
    Point4DConfig,
    Reference,
    build_encoder,
    count_flops,
    count_parameters,
    normalise,
    reference_of,
)
from cross4d_lib.encoders.layers import SetAbstraction, attend, time_of
from cross4d_lib.errors import ConfigError
from cross4d_lib.report.paper import TABLE_8, TABLE_9

CLOSE = {"atol": 2e-5, "rtol": 1e-4}  # float32 sums in another order, through a few layers


def tiny(seed=0, **fields):
    torch.manual_seed(seed)
    return Point4D(
        **(
            {
                "tokens": 6,
                "dim": 16,
                "depth": 2,
                "heads": 2,
                "neighbours": 4,
                "motion": 3,
                "first_level": 2,
                "widths": (8, 12),
            }
            | fields
        )
    ).eval()


def clips(batch=2, frames=3, points=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, frames, points, 3, generator=generator) * torch.tensor([0.3, 0.8, 0.2]) + torch.tensor(
        [0.2, -0.1, 3.0]
    )


def read(encoder, points, grouping=None, reference=None):
    with torch.no_grad():
        return encoder(points, grouping, reference)


# -------------------------------------------------------------------------------------------------------------- 1. size


def test_parameters_are_table_9s():
    million, _ = TABLE_9["Point4D encoder"]
    assert count_parameters(Point4D()) == pytest.approx(million * 1e6, rel=0.01)


def test_flops_are_table_9s_attention_apart():
    frames, points = TABLE_8["msr-action3d"]["frames"], TABLE_8["msr-action3d"]["points"]
    flops = count_flops(Point4D(), frames, points)
    _, billion = TABLE_9["Point4D encoder"]
    assert flops["without_attention"] == pytest.approx(billion * 1e9, rel=0.05)
    config = Point4DConfig()
    tokens = frames * config.tokens
    assert (
        flops["attention"] == config.depth * 2 * 2 * tokens**2 * config.dim
    )  # two products, 2 operations a multiply-add
    assert flops["all"] == flops["attention"] + flops["without_attention"]


# ----------------------------------------------------------------------------------------------- 2. the literal formula


def literal_abstraction(layer, points, features, centre, neighbours):
    """One centre: points (N, c), features (N, F) or None, centre (c,), neighbours: k indices -> (out,)."""
    weight = layer.offset.weight if features is None else torch.cat([layer.offset.weight, layer.feature.weight], 1)
    answers = []
    for n in neighbours:
        x = points[n] - centre
        if features is not None:
            x = torch.cat([x, features[n]])
        answers.append(layer.second(torch.nn.functional.gelu(weight @ x + layer.offset.bias)))
    return layer.norm(torch.stack(answers).max(0).values)


@pytest.mark.parametrize("features, coordinates", [(0, 3), (5, 3), (5, 4)])
def test_set_abstraction_is_the_literal_formula(features, coordinates):
    torch.manual_seed(0)
    layer = SetAbstraction(features, 7, 9, coordinates)
    points, centres = torch.randn(2, 2, 11, coordinates), torch.randn(2, 2, 4, coordinates)
    values = torch.randn(2, 2, 11, features) if features else None
    neighbours = torch.randint(11, (2, 2, 4, 3))
    with torch.no_grad():
        found = layer(points, values, centres, neighbours)
        for b, t, s in np.ndindex(2, 2, 4):
            value = None if values is None else values[b, t]
            expected = literal_abstraction(layer, points[b, t], value, centres[b, t, s], neighbours[b, t, s])
            torch.testing.assert_close(found[b, t, s], expected, **CLOSE)


def test_attend_is_scaled_dot_product_attention():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 30, 16)
    torch.testing.assert_close(
        attend(q, k, v), torch.nn.functional.scaled_dot_product_attention(q, k, v), atol=1e-6, rtol=1e-5
    )
    scores = torch.stack([q[1, 3, 5] @ key / math.sqrt(16) for key in k[1, 3]])
    by_hand = sum(weight * value for weight, value in zip(scores.exp() / scores.exp().sum(), v[1, 3]))
    torch.testing.assert_close(attend(q, k, v)[1, 3, 5], by_hand, atol=1e-6, rtol=1e-5)


def oracle_nearest(queries, points, k):
    distance = (queries[:, None] - points[None]).square().sum(-1)
    return distance.argsort(dim=1, stable=True)[:, :k]


def literal_forward(encoder, clip):
    """A clip (T, N, 3) -> features (M, C), following the docstrings and nothing else."""
    c = encoder.config
    origin = clip[0].median(0).values
    cloud = (clip - origin) / (MEDIAN_TO_RMS * (clip[0] - origin).norm(dim=-1).median())
    tokens, last = [], None
    for f, frame in enumerate(cloud):
        picks = [0]
        while len(picks) < min(c.first_level * c.tokens, len(frame)):
            to_picks = torch.stack([(frame - frame[p]).square().sum(-1) for p in picks]).min(0).values
            picks.append(to_picks.argmax().item())
        first = frame[picks]
        low = torch.stack(
            [
                literal_abstraction(encoder.abstract1, frame, None, x, near)
                for x, near in zip(first, oracle_nearest(first, frame, c.neighbours))
            ]
        )
        now = torch.full((len(first), 1), f / TIME_UNIT)
        first = torch.cat([first, now], 1)
        before, low_before = (first, low) if f == 0 else last  # the first frame stands in for the one before it
        second, both = first[: c.tokens], torch.cat([first, before])
        near = oracle_nearest(second[:, :3], first[:, :3], c.neighbours)
        near_before = len(first) + oracle_nearest(second[:, :3], before[:, :3], c.motion)
        high = torch.stack(
            [
                literal_abstraction(encoder.abstract2, both, torch.cat([low, low_before]), x, which)
                for x, which in zip(second, torch.cat([near, near_before], 1))
            ]
        )
        last = first, low
        place = second
        tokens.append(encoder.to_token(high) + encoder.position(place))
    x = torch.cat(tokens)  # (M, C)
    for block in encoder.blocks:
        q, k, v = block.qkv(block.norm1(x)).chunk(3, dim=-1)
        heads = [
            torch.softmax(a @ b.T / math.sqrt(a.shape[1]), -1) @ value
            for a, b, value in zip(*(y.chunk(c.heads, dim=1) for y in (q, k, v)))
        ]
        x = x + block.out(torch.cat(heads, 1))
        x = x + block.mlp(block.norm2(x))
    return encoder.norm(x)


@pytest.mark.parametrize("frames", [1, 3])
def test_forward_is_the_literal_formula(frames):
    encoder, points = tiny(), clips(2, frames)
    found = read(encoder, points).features
    with torch.no_grad():
        for b in range(2):
            torch.testing.assert_close(found[b], literal_forward(encoder, points[b]), **CLOSE)


def test_every_parameter_learns():
    encoder = tiny()
    (encoder(clips()).features * torch.randn(2, 18, 16)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


# ------------------------------------------------------------------------------------------------------------ 3. tokens


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 30), st.data())
def test_tokens_are_input_points_whatever_the_sizes(batch, frames, count, data):
    tokens = data.draw(st.integers(1, count))
    first_level = data.draw(st.integers(1, 5))
    neighbours = data.draw(st.integers(1, min(first_level * tokens, count)))
    motion = data.draw(st.integers(0, neighbours))
    encoder = tiny(tokens=tokens, first_level=first_level, neighbours=neighbours, motion=motion, depth=1)
    points = clips(batch, frames, count, data.draw(st.integers(0, 1000)))
    out = read(encoder, points)
    assert out.features.shape == (batch, frames * tokens, 16) and out.features.isfinite().all()
    assert out.centres.shape == (batch, frames * tokens, 3)
    assert out.frame.tolist() == [[f for f in range(frames) for _ in range(tokens)]] * batch
    assert out.point.shape == (batch, frames * tokens) and out.point.dtype == out.frame.dtype == torch.int64
    assert torch.equal(out.centres, points[torch.arange(batch)[:, None], out.frame, out.point])
    picks = out.point.unflatten(1, (frames, tokens))
    assert (picks[..., 0] == 0).all() and all(len(set(p.tolist())) == tokens for p in picks.flatten(0, 1))


def test_a_frame_of_one_repeated_point_is_read():
    out = read(tiny(), torch.ones(1, 2, 10, 3))
    assert out.features.isfinite().all() and (out.centres == 1).all()


def test_time_is_counted_in_frames():
    assert (time_of(3, None, 2, torch.device("cpu")) * TIME_UNIT).tolist() == [[0, 1, 2]] * 2
    assert (time_of(2, torch.tensor([5, 9]), 1, torch.device("cpu")) * TIME_UNIT).tolist() == [[5, 9]]
    with pytest.raises(ConfigError, match="one number a frame"):
        tiny()(clips(1, 3), times=torch.tensor([0, 1]))


def test_a_prefix_and_a_subsample_keep_their_places():
    """Tokens of the first frames are those of the whole clip before context: the future moves nothing. So are those of
    every other frame with its number, where no token reads the frame before."""
    assert_prefix(tiny())
    encoder, points = tiny(motion=0), clips(2, 6) + 0.4 * torch.arange(6)[:, None, None]  # it walks away
    with torch.no_grad():
        whole = encoder.embed(points)
        prefix = encoder.embed(points[:, :3])
        some = torch.tensor([0, 2, 5])
        subsample = encoder.embed(points[:, some], times=some)
        later = torch.tensor([1, 4])  # without the first frame: its reference is given
        kept = encoder.embed(points[:, later], reference=reference_of(points), times=later)
    by_frame = lambda values: values.unflatten(1, (-1, 6))
    for field in ("features", "place", "centres"):
        own = by_frame(getattr(whole, field))
        assert torch.equal(by_frame(getattr(prefix, field)), own[:, :3]), field
        torch.testing.assert_close(by_frame(getattr(subsample, field)), own[:, some], **CLOSE)
        torch.testing.assert_close(by_frame(getattr(kept, field)), own[:, later], **CLOSE)


def assert_prefix(encoder):
    points = clips(2, 6) + 0.4 * torch.arange(6)[:, None, None]
    with torch.no_grad():
        whole, prefix = encoder.embed(points), encoder.embed(points[:, :3])
    assert torch.equal(prefix.features, whole.features[:, :18]) and torch.equal(prefix.place, whole.place[:, :18])


def test_the_second_abstraction_sees_how_a_surface_moves():
    """One frame is shifted against the one before: tokens of a still clip and a moving one differ before context, in
    every frame but the first, and not where no token reads the frame before."""
    still = clips(1, 1).repeat(1, 3, 1, 1)
    reference, step = reference_of(still), torch.tensor([0.0, 0.1, 0.2])[:, None, None]
    for motion in (3, 0):
        encoder = tiny(motion=motion)
        with torch.no_grad():
            found = [encoder.embed(still, reference=reference), encoder.embed(still + step, reference=reference)]
        change = (found[0].features - found[1].features).unflatten(1, (3, 6)).abs().amax((0, 2, 3))
        assert change[0] == 0 and ((change[1:] > 1e-3).all() if motion else (change < 1e-5).all())


def test_context_over_some_tokens_is_context_over_them_alone():
    """keep returns those tokens in that order, as if the others had never been there; all of them are the forward
    pass."""
    encoder, points = tiny(), clips()
    with torch.no_grad():
        tokens = encoder.embed(points)
        keep = torch.stack([torch.randperm(18, generator=torch.Generator().manual_seed(b))[:7] for b in range(2)])
        found, alone = encoder.contextualise(tokens, keep), encoder.contextualise(tokens.keep(keep))
        whole = encoder.contextualise(tokens)
    assert torch.equal(found.features, alone.features) and found.features.shape == (2, 7, 16)
    for b in range(2):
        assert torch.equal(found.point[b], tokens.point[b][keep[b]])
        assert torch.equal(found.place[b], tokens.place[b][keep[b]])
    assert torch.equal(whole.features, read(encoder, points).features)
    assert not torch.allclose(found.features[0], whole.features[0][keep[0]], atol=1e-3)


def test_settings_and_token_rule_say_all_that_matters():
    encoder = tiny()
    twin = build_encoder(**encoder.settings())
    assert twin.config == encoder.config and [p.shape for p in twin.parameters()] == [
        p.shape for p in encoder.parameters()
    ]
    rule = encoder.token_rule()
    assert tiny(dim=32, depth=1, widths=(4, 4)).token_rule() == rule  # learned sizes decide no index
    for other in ({"tokens": 5}, {"first_level": 3}, {"neighbours": 3}, {"motion": 2}):
        assert tiny(**other).token_rule() != rule
    with pytest.raises(ConfigError, match="no encoder is called 'point5d'"):
        build_encoder("point5d")
    with pytest.raises(ConfigError, match="'point4d' has no setting 'layers'.*depth"):
        build_encoder("point4d", layers=3)


# --------------------------------------------------------------------------------------------- 4. what changes nothing


def test_a_grouping_given_is_a_grouping_computed():
    encoder, points = tiny(), clips()
    grouping = encoder.group(points)
    computed, given_ = read(encoder, points), read(encoder, points, grouping)
    stored = read(
        encoder, points, {name: index.to(torch.int16).long() for name, index in grouping.items()}
    )  # as target stores keep it
    for field in ("features", "centres", "frame", "point"):
        assert torch.equal(getattr(computed, field), getattr(given_, field))
        assert torch.equal(getattr(computed, field), getattr(stored, field))
    assert (
        grouping["first"].shape == (2, 3, 12)
        and grouping["near_first"].shape == (2, 3, 12, 4)
        and grouping["near_second"].shape == (2, 3, 6, 4 + 3)
    )
    assert torch.equal(grouping["point"].unflatten(1, (3, 6)), grouping["first"][:, :, :6])


def test_clips_of_a_batch_do_not_see_each_other():
    encoder, points = tiny(), clips(4)
    order = torch.tensor([2, 0, 3, 1])
    together, shuffled = read(encoder, points), read(encoder, points[order])
    torch.testing.assert_close(shuffled.features, together.features[order], **CLOSE)
    assert torch.equal(shuffled.point, together.point[order]) and torch.equal(shuffled.centres, together.centres[order])
    alone = read(encoder, points[1:2])
    torch.testing.assert_close(alone.features[0], together.features[1], **CLOSE)


@settings(deadline=None, max_examples=15)
@given(st.integers(-20, 20), st.integers(0, 1000))
def test_a_power_of_two_as_unit_changes_no_bit(power, seed):
    encoder, points = tiny(), clips(seed=seed)
    before, after = read(encoder, points), read(encoder, points * 2.0**power)
    assert torch.equal(before.features, after.features) and torch.equal(before.point, after.point)
    assert torch.equal(before.centres * 2.0**power, after.centres)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 39.37, 1e3])
@pytest.mark.parametrize("place", [(0.0, 0.0, 0.0), (5.0, -2.0, 1.0)])
def test_any_unit_and_place_change_features_by_rounding_alone(unit, place):
    encoder, points = tiny(), clips()
    moved = (points + torch.tensor(place)) * unit
    before, after = read(encoder, points), read(encoder, moved)
    assert torch.equal(before.point, after.point)
    torch.testing.assert_close(after.features, before.features, atol=2e-4, rtol=1e-3)
    assert torch.equal(
        after.centres, moved[torch.arange(2)[:, None], after.frame, after.point]
    )  # in the input's coordinates


def test_the_first_frame_is_the_reference_and_motion_is_kept():
    points = clips() + 0.3 * torch.arange(3)[:, None, None]  # it moves
    cloud = normalise(points)
    torch.testing.assert_close(cloud[:, 0].median(1).values, torch.zeros(2, 3), atol=1e-6, rtol=0)
    radius = cloud[:, 0].norm(dim=-1).median(1).values
    torch.testing.assert_close(radius, torch.full((2,), 1 / MEDIAN_TO_RMS))
    _, scale = reference_of(points)
    steps = cloud.mean(2).diff(dim=1) * scale[:, None, None]  # (2, 2, 3): one scale for all frames and axes
    torch.testing.assert_close(steps, points.mean(2).diff(dim=1), atol=1e-5, rtol=1e-4)
    twice = normalise(points, Reference(torch.zeros(2, 3), torch.full((2,), 0.5)))
    torch.testing.assert_close(twice, 2 * points)


def test_the_factor_makes_a_normal_clouds_radius_root_mean_square():
    cloud = torch.randn(1, 1, 200_000, 3, generator=torch.Generator().manual_seed(0))
    assert reference_of(cloud).scale.item() == pytest.approx(math.sqrt(3), rel=0.01)


def test_stray_points_decide_nothing():
    """Two of a hundred points a hundred radii away: the others move by a few hundredths of the radius."""
    points = clips(1, 2, 100)
    stray = points.clone()
    stray[:, :, :2] += 100
    assert (normalise(stray) - normalise(points))[:, :, 2:].abs().max() < 0.15


# ----------------------------------------------------------------------------------------------- 5. the order of points


def shuffle(points, seed):
    """The points of every frame in another order, its first one kept first, and that order (N,)."""
    order = torch.randperm(points.shape[2] - 1, generator=torch.Generator().manual_seed(seed)) + 1
    order = torch.cat([torch.zeros(1, dtype=torch.int64), order])
    return points[:, :, order], order


def assert_same_choice(encoder, points, shuffled, order):
    """The same points in the same places of every index tensor, bit for bit."""
    before, after = encoder.group(points), encoder.group(shuffled)
    for name in ("first", "near_first", "point"):  # indices into the points: the new one means order[new]
        assert torch.equal(order[after[name]], before[name]), name
    assert torch.equal(
        after["near_second"], before["near_second"]
    )  # indices into the centres, whose order has not changed


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_reordered_points_give_the_same_tokens(seed):
    encoder, points = tiny(), clips(1, 2, 40, seed % 10_000)
    shuffled, order = shuffle(points, seed)
    assert_same_choice(encoder, points, shuffled, order)
    before, after = read(encoder, points), read(encoder, shuffled)
    assert torch.equal(before.centres, after.centres)  # the multiset of tokens, and even its order
    torch.testing.assert_close(after.features, before.features, **CLOSE)


def integer_clip(seed, frames=2, count=20, reach=400):
    """(1, T, N, 3) of whole numbers that sum to 0: added up in any order, float32 makes no rounding below 2^24."""
    points = torch.randint(-reach, reach + 1, (1, frames, count, 3), generator=torch.Generator().manual_seed(seed))
    points -= points.sum((0, 1, 2)) // (frames * count)
    points[0, -1, -1] -= points.sum((0, 1, 2))
    assert points.sum((0, 1, 2)).tolist() == [0, 0, 0] and points.square().sum() < 2**24
    return points.float()


def has_ties(frame, picks):
    """Whether two points of a frame (N, 3) are ever equally far: from a third one, or from the points picked so far."""
    distance = (frame[:, None] - frame[None]).square().sum(-1)
    if (distance.sort(dim=1).values.diff(dim=1) == 0).any():
        return True
    to_picks = [distance[:, picks[:s]].amin(1) for s in range(1, len(picks))]
    return any((d == d.max()).sum() > 1 for d in to_picks)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_reordered_points_give_the_same_bits_where_sums_are_exact(seed):
    """Mean and radius are then the same float32 numbers in any order, and so is everything after them."""
    encoder, points = tiny(), integer_clip(seed)
    picks = encoder.group(points)["first"][0]
    assume(not any(has_ties(frame, p) for frame, p in zip(points[0], picks)))  # a tie is decided by the order itself
    shuffled, order = shuffle(points, seed)
    assert_same_choice(encoder, points, shuffled, order)
    assert torch.equal(read(encoder, points).features, read(encoder, shuffled).features)


def test_another_first_point_is_another_sample():
    """Why the first point must be kept: sampling starts there."""
    encoder, points = tiny(), clips(1, 1)
    other = points.roll(1, dims=2)
    assert set(map(tuple, read(encoder, points).centres[0].tolist())) != set(
        map(tuple, read(encoder, other).centres[0].tolist())
    )


# ----------------------------------------------------------------------------------------------- 6. the order of frames


def test_the_order_of_frames_matters_through_time_alone():
    """Where no token reads the frame before; where it does, there too."""
    encoder, points = tiny(motion=0), clips(1, 4)
    reference = reference_of(points)  # of one and the same frame for both
    by_frame = lambda tokens: tokens.features.unflatten(1, (4, 6))
    forwards, backwards = (read(encoder, way, None, reference) for way in (points, points.flip(1)))
    assert torch.equal(
        backwards.point.unflatten(1, (4, 6)).flip(1), forwards.point.unflatten(1, (4, 6))
    )  # the same points are chosen ...
    change = (by_frame(backwards).flip(1) - by_frame(forwards)).abs().amax((0, 2, 3))
    assert (change > 0.01).all()  # ... and every frame's tokens say something else
    pooled = (forwards.features.mean(1) - backwards.features.mean(1)).abs().max()
    assert pooled > 1e-3  # a clip and its reverse differ for a probe, too
    with torch.no_grad():
        encoder.position[0].weight[:, 3] = 0  # an encoder that cannot read the clock
    forwards, backwards = (read(encoder, way, None, reference) for way in (points, points.flip(1)))
    torch.testing.assert_close(by_frame(backwards).flip(1), by_frame(forwards), **CLOSE)


def test_every_token_hears_of_every_frame():
    """Joint attention: a change in the last frame reaches the tokens of the first."""
    encoder, points = tiny(), clips(1, 3)
    other = points.clone()
    other[0, 2, :, 0] += 0.05 * torch.sin(20 * other[0, 2, :, 1])
    change = (read(encoder, other).features - read(encoder, points).features)[0, :6].abs().amax(1)
    assert (change > 1e-5).all()


# ---------------------------------------------------------------------------------------------------------- 7. refusals


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="6 tokens with 4 neighbours from 5 points .*sample more points"):
        tiny()(clips(points=5))
    with pytest.raises(ConfigError, match="neighbours"):
        tiny(neighbours=13)(clips())  # of 12 centres
    with pytest.raises(ConfigError, match="3 heads do not divide C = 16"):
        tiny(heads=3)
    for fields in ({"tokens": 0}, {"neighbours": 0}):
        with pytest.raises(ConfigError):
            tiny(**fields)(clips())


@pytest.mark.parametrize("shape", [(3, 40, 3), (1, 3, 40, 2), (40, 3), (1, 1, 3, 40, 3)])
def test_a_wrong_shape_is_refused(shape):
    for refuse in (tiny(), tiny().group):
        with pytest.raises(ConfigError, match=r"give a batch of clips, \(B, T, N, 3\)"):
            refuse(torch.zeros(shape))


def test_a_grouping_of_other_clips_is_refused():
    encoder = tiny()
    with pytest.raises(ConfigError):
        encoder(clips(2, 3), encoder.group(clips(2, 4)))


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device here: the fused attention of Point4D is not tested"
)
def test_cuda_reads_the_same():
    encoder, points = tiny(), clips()
    here, there = read(encoder, points), read(encoder.cuda(), points.cuda())
    assert torch.equal(here.point, there.point.cpu()) and torch.equal(here.centres, there.centres.cpu())
    torch.testing.assert_close(there.features.cpu(), here.features, atol=1e-3, rtol=1e-3)
