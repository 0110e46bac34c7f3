"""Only the target changes: each control does to the targets what its name says, and nothing else.

Claims proved:
1. Shuffled points keep each frame's set of targets and leave a token its own only where it is alone. The frame mean is
   the mean over a frame's visible tokens. Both by hand, and on a store.
2. Points, grouping and summaries stay as they are; the centring mean is that of the targets carried. What a clip
   carries is the same in every epoch and batch; shuffled points are others under another seed.
3. The position control is the sinusoid of a point's own pixel.
4. Pretraining under each control runs, differs from dense, and resumes bit for bit. Unknown names are refused.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import DIM, FRAMES, SIZE, tiny_encoder

from cross4d_lib import build_targets, load_teacher
from cross4d_lib.correspondence import render_cameras
from cross4d_lib.decisions import POSITION_WAVES
from cross4d_lib.errors import ConfigError
from cross4d_lib.experiments.spec import teacher_digest
from cross4d_lib.pretexts.target_controls import CONTROLS, ControlledTargets, cycle, frame_mean, shuffled_points
from cross4d_lib.teachers import CONTROL_TEACHERS, random_projection
from cross4d_lib.training import pretrain

# ------------------------------------------------------------------------------------------------ 1. what is carried


def test_a_cycle_goes_through_all_and_leaves_nobody_in_place():
    for count in (2, 3, 17):
        after = cycle(count, np.random.default_rng(count))
        ring = [0]
        while len(ring) < count:
            ring.append(int(after[ring[-1]]))
        assert sorted(ring) == list(range(count)) and after[ring[-1]] == 0 and (after != np.arange(count)).all()
    assert cycle(1, np.random.default_rng(0)).tolist() == [0]


def test_shuffled_points_keep_a_frames_targets_and_move_them(finished):
    targets = ControlledTargets(finished, "shuffled points", seed=1)
    moved = 0
    for i in range(len(finished)):
        clip, (carried, visible) = finished.clip(i), targets.targets(i)
        assert torch.equal(visible, clip["visible"]) and (carried[~visible] == 0).all()
        for f in range(FRAMES):
            among = (clip["grouping/frame"] == f) & visible
            before, after = clip["targets"][among], carried[among]
            in_order = lambda rows: sorted(map(tuple, rows.tolist()))
            assert in_order(before) == in_order(after)
            moved += int((before != after).any(1).sum())
    assert moved > 0  # tokens on one patch share a target; by hand below each token has its own


def test_both_by_hand():
    """Three visible tokens in frame 0 and one in frame 1; the fourth token of frame 0 is hidden."""
    targets = torch.tensor([[1.0, 0.0], [3.0, 2.0], [5.0, 4.0], [99.0, 99.0], [7.0, 7.0]])
    frame, visible = torch.tensor([0, 0, 0, 0, 1]), torch.tensor([True, True, True, False, True])
    mean = frame_mean(targets, frame, visible, np.random.default_rng(0))
    assert mean[visible].tolist() == [[3.0, 2.0]] * 3 + [[7.0, 7.0]]
    moved = shuffled_points(targets, frame, visible, np.random.default_rng(0))
    assert sorted(moved[:3].tolist()) == targets[:3].tolist() and moved[4].tolist() == [7.0, 7.0]
    assert all(a != b for a, b in zip(moved[:3].tolist(), targets[:3].tolist()))


def test_frame_mean_is_the_mean_of_the_frames_own_targets(finished):
    targets = ControlledTargets(finished, "frame mean")
    for i in range(len(finished)):
        clip, (carried, visible) = finished.clip(i), targets.targets(i)
        assert torch.equal(visible, clip["visible"]) and (carried[~visible] == 0).all()
        for f in range(FRAMES):
            among = (clip["grouping/frame"] == f) & visible
            if among.any():
                torch.testing.assert_close(
                    carried[among].float(),
                    clip["targets"][among].float().mean(0).expand(int(among.sum()), -1),
                    rtol=1e-3,
                    atol=1e-3,
                )


# ------------------------------------------------------------------------------------------------ 2. and nothing else


@pytest.mark.parametrize("control", CONTROLS)
def test_only_the_targets_change_and_the_mean_is_theirs(finished, control):
    targets, every = ControlledTargets(finished, control, seed=4), range(len(finished))
    batch, plain = targets.batch(every), finished.batch(every)
    assert torch.equal(batch.points, plain.points) and batch.targets.dtype == plain.targets.dtype
    assert all(torch.equal(batch.grouping[name], plain.grouping[name]) for name in plain.grouping)
    assert all(torch.equal(batch.summaries[name], plain.summaries[name]) for name in plain.summaries)
    assert not torch.equal(batch.targets, plain.targets)
    assert (
        (len(targets), targets.dim) == (len(finished), finished.dim)
        and targets.key != finished.key
        and control in targets.key
    )
    torch.testing.assert_close(targets.mean["dense"], batch.targets[batch.visible].double().mean(0).float())
    assert torch.equal(targets.mean["first"], targets.mean["dense"])  # there is one view
    assert all(torch.equal(targets.mean[name], finished.mean[name]) for name in ("class", "mean"))
    torch.testing.assert_close(targets.mean["dense"], finished.mean["dense"], rtol=1e-3, atol=1e-4)  # fp16


@pytest.mark.parametrize("control", CONTROLS)
def test_a_clip_carries_the_same_in_every_epoch_and_batch(finished, control):
    first, again = ControlledTargets(finished, control, seed=5), ControlledTargets(finished, control, seed=5)
    whole = first.batch(range(6))
    for some in ([4], [5, 0], [3, 2, 1], [4]):  # another object, another order, asked twice
        for targets in (first, again):
            part = targets.batch(some)
            assert torch.equal(part.targets, whole.targets[some]) and torch.equal(part.visible, whole.visible[some])
    other = ControlledTargets(finished, control, seed=6).batch(range(6))
    assert torch.equal(other.targets, whole.targets) == (control == "frame mean")


def test_several_cameras_are_merged_before_a_control(clips, tmp_path):
    """Under two cameras tokens trade the targets they have from both; the batch holds one view of them."""
    encoder, teacher = tiny_encoder(), load_teacher("control/position")
    store = build_targets(clips, teacher, DIM, SIZE, cameras=2, encoder=encoder, cache=tmp_path, progress=False)
    targets = ControlledTargets(store, "shuffled points", merge="first")
    batch, (plain, seen) = targets.batch([0, 3]), store.batch([0, 3]).merged("first")
    assert batch.view_targets.shape[1] == 1 and torch.equal(batch.visible, seen)
    in_order = lambda rows: sorted(map(tuple, rows.tolist()))
    assert in_order(batch.targets[0]) == in_order(plain[0]) and not torch.equal(batch.targets, plain)


# ------------------------------------------------------------------------------------------------ 3. the formulas


def test_position_is_the_sinusoid_of_the_pixel():
    """Pixel (column 3, row 10) of 28 lies at u = 3.5 / 28 = 1/8, v = 10.5 / 28 = 3/8. What the picture shows does not
    matter."""
    teacher = load_teacher("control/position")
    image = torch.rand(2, 1, 28, 28).expand(-1, 3, -1, -1)
    features = teacher(image)
    assert features.patches.shape == (2, 28, 28, teacher.dim) and torch.equal(features.patches[0], features.patches[1])
    by_hand = [
        wave(2 * math.pi * u / length)
        for u in (1 / 8, 3 / 8)
        for wave in (math.sin, math.cos)
        for length in POSITION_WAVES
    ]
    torch.testing.assert_close(features.patches[0, 10, 3], torch.tensor(by_hand), atol=1e-6, rtol=0)
    half = image.clone()
    half[:, :, :14] = 0  # seen in the lower half alone
    torch.testing.assert_close(teacher(half).summary, features.patches[:, 14:].mean((1, 2)))
    assert (teacher(torch.zeros_like(image)).summary == 0).all()
    for name in CONTROL_TEACHERS:
        control = load_teacher(name, device="cpu")
        assert (
            not control.trained
            and "CONTROL" in control.description
            and control.name == name
            and teacher_digest(name) == control.revision
        )


def test_position_targets_in_a_store_are_those_of_the_tokens_pixels(clips, tmp_path):
    encoder = tiny_encoder()
    store = build_targets(
        clips, load_teacher("control/position"), DIM, SIZE, encoder=encoder, cache=tmp_path, progress=False
    )
    assert store.spec["teacher"] == load_teacher("control/position").revision
    clip, projection = store.clip(1), random_projection(4 * len(POSITION_WAVES), DIM)
    (view,) = render_cameras(clip["points"], SIZE)
    frame, point = clip["grouping/frame"].long(), clip["grouping/point"].long()
    assert torch.equal(clip["visible"], view.visible[frame, point])
    u = (view.pixel[frame, point].double() + 0.5) / SIZE  # (M, 2): column, row
    angle = 2 * math.pi * u[..., None] / torch.tensor(POSITION_WAVES).double()  # (M, 2, K)
    code = torch.cat([angle.sin(), angle.cos()], -1).flatten(1).float()
    seen = clip["visible"]
    torch.testing.assert_close(
        clip["targets"][seen].float(), (code @ projection)[seen], atol=5e-3, rtol=0
    )  # stored in half precision


# ------------------------------------------------------------------------------------------------ 4. in a run


class PowerCut(Exception):
    pass


def cut(epoch, losses):
    if epoch == 2:
        raise PowerCut


@pytest.mark.parametrize("control", CONTROLS)
def test_pretraining_under_a_control_runs_and_resumes(finished, control, tmp_path):
    options = {"epochs": 3, "batch": 4, "precision": "float32", "seed": 3}

    def trained(control, **more):
        encoder = tiny_encoder()
        chosen = {"granularity": "control", "control": control} if control else {"granularity": "dense"}
        return encoder.state_dict(), pretrain(encoder, finished, **chosen, **options, **more).epochs

    straight, log = trained(control)
    assert any(not torch.equal(straight[name], weight) for name, weight in trained("")[0].items())
    file = Path(tmp_path / "run.pt")
    with pytest.raises(PowerCut):
        trained(control, checkpoint=file, after_epoch=cut)
    for other in ("", next(name for name in CONTROLS if name != control)):
        with pytest.raises(ConfigError, match="other options"):
            trained(other, checkpoint=file)
    resumed, again = trained(control, checkpoint=file)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight) and again == log


def test_unknown_names_are_refused(finished):
    with pytest.raises(ConfigError, match="'shuffled teachers'.*shuffled points"):
        pretrain(tiny_encoder(), finished, "control", epochs=1, control="shuffled teachers")
    with pytest.raises(ConfigError, match="'global' has no setting 'control'"):
        pretrain(tiny_encoder(), finished, "global", epochs=1, control="frame mean")
    with pytest.raises(ConfigError, match="control/position"):
        load_teacher("control/posture")
