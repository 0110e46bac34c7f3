"""Only the target changes: each control does to the targets what its name says, and nothing else.

Claims proved:
1. Shuffled points keep each frame's set of targets and leave a token its own only where it is alone. Shuffled frames
   and clips take the target of the token that a search through all of them finds nearest; no frame or clip is its own
   other one. Broadcast is the class summary, of the clip or of the frame.
2. Points, grouping and summaries stay as they are; the centring mean is that of the targets carried. What a clip
   carries is the same in every epoch and batch, another one under another seed.
3. The position control is the sinusoid of a point's own pixel; the geometry control finds the normal of a tilted plane
   and no curvature on it, also at its border, and the normals and curvatures of a sphere; the grey control is one
   number a frame.
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
from cross4d_lib.decisions import (
    DEPTH_RELIEF,
    GEOMETRY_WEIGHTS,
    GEOMETRY_WINDOW,
    MEDIAN_TO_RMS,
    POSITION_WAVES,
    SHADE_FAR,
)
from cross4d_lib.errors import ConfigError
from cross4d_lib.experiments.spec import teacher_digest
from cross4d_lib.pretexts.target_controls import CONTROLS, ControlledTargets, cycle, nearest_visible
from cross4d_lib.teachers import CONTROL_TEACHERS, random_projection
from cross4d_lib.teachers.formulas import surface
from cross4d_lib.training import pretrain


def places_by_hand(clip):
    """Token positions from the median of the clip's first frame, in units of its median radius, in float64."""
    points = clip["points"].double().numpy()
    origin = np.sort(points[0], 0)[(len(points[0]) - 1) // 2]
    radius = np.sort(np.linalg.norm(points[0] - origin, axis=1))[(len(points[0]) - 1) // 2]
    places = (points - origin) / (MEDIAN_TO_RMS * radius)
    return places[clip["grouping/frame"].long(), clip["grouping/point"].long()]


def nearest_by_hand(clip, giver, wanted):
    """For every token, a search through the giver's tokens, one by one: (M,) list, None where its frame has none
    visible."""
    here, there = places_by_hand(clip), places_by_hand(giver)
    found = []
    for j in range(len(here)):
        best, least = None, np.inf
        for k in range(len(there)):
            distance = ((here[j] - there[k]) ** 2).sum()
            if giver["visible"][k] and giver["grouping/frame"][k] == wanted[j] and distance < least:
                best, least = k, distance
        found.append(best)
    return found


def same_as_taken(carried, visible, clip, giver, found):
    for j, k in enumerate(found):
        assert visible[j] == (clip["visible"][j] and k is not None)
        assert torch.equal(carried[j], giver["targets"][k].float() if visible[j] else torch.zeros(DIM))


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
    moved = frames = 0
    for i in range(len(finished)):
        clip, (carried, visible) = finished.clip(i), targets.targets(i)
        assert torch.equal(visible, clip["visible"]) and (carried[~visible] == 0).all()
        for f in range(FRAMES):
            among = (clip["grouping/frame"] == f) & visible
            before, after = clip["targets"][among], carried[among]
            in_order = lambda rows: sorted(map(tuple, rows.tolist()))
            assert in_order(before) == in_order(after)
            if len(before.unique(dim=0)) == len(before) > 1:  # tokens on one patch share a target
                assert not (before == after).all(1).any()
                frames += 1
            moved += int((before != after).any(1).sum())
    assert frames > 0 and moved > 0


def test_shuffled_frames_take_the_nearest_of_another_frame(finished):
    targets = ControlledTargets(finished, "shuffled frames", seed=2)
    for i in range(len(finished)):
        clip, (carried, visible) = finished.clip(i), targets.targets(i)
        other = cycle(FRAMES, np.random.default_rng((2, i)))
        wanted = [other[f] for f in clip["grouping/frame"]]
        assert all(a != b for a, b in zip(wanted, clip["grouping/frame"].tolist()))
        same_as_taken(carried.float(), visible, clip, clip, nearest_by_hand(clip, clip, wanted))


def test_shuffled_clips_take_the_nearest_of_the_same_frame_of_another_clip(finished):
    targets = ControlledTargets(finished, "shuffled clips", seed=3)
    other = cycle(len(finished), np.random.default_rng(3))
    assert (other != np.arange(len(finished))).all()
    for i in range(len(finished)):
        clip, giver, (carried, visible) = finished.clip(i), finished.clip(int(other[i])), targets.targets(i)
        same_as_taken(carried.float(), visible, clip, giver, nearest_by_hand(clip, giver, clip["grouping/frame"]))


def test_a_frame_without_a_visible_token_gives_none():
    """Three tokens on a line, frames 0, 0, 1, the second hidden; ties go to the lowest index."""
    place = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0]])
    frame, seen = torch.tensor([0, 0, 1]), torch.tensor([True, False, True])
    assert nearest_visible(place, torch.tensor([1, 1, 0]), place, frame, seen).tolist() == [2, 2, 0]
    assert nearest_visible(place, torch.tensor([2, 1, 0]), place, frame, seen).tolist() == [-1, 2, 0]
    assert nearest_visible(
        place[1:2], torch.tensor([0]), place, torch.tensor([0, 9, 0]), torch.tensor([True, True, True])
    ).tolist() == [0]


def test_broadcast_frames_is_the_frames_class_token(finished):
    targets = ControlledTargets(finished, "broadcast frames")
    for i in range(len(finished)):
        clip, (carried, visible) = finished.clip(i), targets.targets(i)
        assert torch.equal(visible, clip["visible"]) and (carried[~visible] == 0).all()
        for f in range(FRAMES):
            assert (carried[(clip["grouping/frame"] == f) & visible] == clip["class"][f]).all()
        assert len(carried[visible].unique(dim=0)) == len(clip["grouping/frame"][visible].unique())


def test_broadcast_frame_means_is_the_mean_of_the_frames_own_targets(finished):
    targets = ControlledTargets(finished, "broadcast frame means")
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


def test_broadcast_is_the_class_summary(finished):
    batch = ControlledTargets(finished, "broadcast").batch(range(len(finished)))
    plain = finished.batch(range(len(finished)))
    assert torch.equal(batch.visible, plain.visible) and (batch.targets[~batch.visible] == 0).all()
    for i in range(len(finished)):
        summary = plain.summaries["class"][i].half().float()  # in the precision of a store
        assert torch.equal(batch.targets[i][batch.visible[i]], summary.expand(int(batch.visible[i].sum()), -1))


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
    if control in ("shuffled points", "broadcast frame means"):
        torch.testing.assert_close(targets.mean["dense"], finished.mean["dense"], rtol=1e-3, atol=1e-4)  # fp16
    if control in ("broadcast", "broadcast frames"):
        assert not torch.allclose(targets.mean["dense"], finished.mean["dense"], atol=1e-3)


@pytest.mark.parametrize("control", CONTROLS)
def test_a_clip_carries_the_same_in_every_epoch_and_batch(finished, control):
    first, again = ControlledTargets(finished, control, seed=5), ControlledTargets(finished, control, seed=5)
    whole = first.batch(range(6))
    for some in ([4], [5, 0], [3, 2, 1], [4]):  # another object, another order, asked twice
        for targets in (first, again):
            part = targets.batch(some)
            assert torch.equal(part.targets, whole.targets[some]) and torch.equal(part.visible, whole.visible[some])
    other = ControlledTargets(finished, control, seed=6).batch(range(6))
    assert torch.equal(other.targets, whole.targets) == control.startswith("broadcast")


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


def test_grey_is_one_number_a_frame():
    teacher, dice = load_teacher("control/grey"), torch.Generator().manual_seed(0)
    seen = torch.rand(3, 1, 28, 28, generator=dice) < torch.tensor([0.1, 0.5, 0.9]).view(3, 1, 1, 1)
    image = torch.where(seen, 0.25 + 0.75 * torch.rand(3, 1, 28, 28, generator=dice), 0.0).expand(-1, 3, -1, -1)
    features = teacher(image)
    for f in range(3):
        mean = image[f, 0][seen[f, 0]].mean().item()
        by_hand = [wave(2 * math.pi * mean / length) for wave in (math.sin, math.cos) for length in POSITION_WAVES]
        torch.testing.assert_close(features.summary[f], torch.tensor(by_hand), atol=1e-5, rtol=0)
        torch.testing.assert_close(features.patches[f], torch.tensor(by_hand).expand(28, 28, -1), atol=1e-5, rtol=0)
    moved = image.flatten(2)[..., torch.randperm(28 * 28, generator=dice)].view_as(image)
    torch.testing.assert_close(teacher(moved).summary, features.summary)  # where something is seen does not matter
    assert (teacher(torch.zeros_like(image)).summary == 0).all()


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


def picture_of(depth, seen, size):
    """The grey of depths in pixels, 0 (near end) to DEPTH_RELIEF x size: (1, 3, size, size) float32."""
    grey = SHADE_FAR + (1 - SHADE_FAR) * (1 - depth / (DEPTH_RELIEF * size))
    return torch.where(seen, grey, 0.0).float().expand(1, 3, -1, -1)


def unweighted(features):
    """(depth in pixels, normal, curvature) of a GeometryTeacher's patches on an image of 126 px."""
    kinds = features.patches[0].double().split([1, 3, 2], -1)
    near, normal, curvature = (kind / weight for kind, weight in zip(kinds, GEOMETRY_WEIGHTS))
    return (1 - near[..., 0]) * DEPTH_RELIEF * 126, normal, curvature / (GEOMETRY_WINDOW * 126)


def test_geometry_of_a_tilted_plane():
    """z = 6 + x / 10 + y / 20: the normal is (1/10, 1/20, -1) made a unit; nowhere any curvature, the torn border
    included."""
    row, column = torch.meshgrid(torch.arange(126.0), torch.arange(126.0), indexing="ij")
    depth, seen = 6 + column / 10 + row / 20, (column - 60).abs() + (row - 70).abs() < 40
    teacher = load_teacher("control/geometry")
    features = teacher(picture_of(depth, seen, 126))
    found, normal, curvature = unweighted(features)
    expected = torch.tensor([0.1, 0.05, -1.0]).double() / math.sqrt(1 + 0.01 + 0.0025)
    torch.testing.assert_close(normal[seen], expected.expand(int(seen.sum()), -1), atol=1e-4, rtol=0)
    assert curvature[seen].abs().max() < 1e-4 and (found - depth)[seen].abs().max() < 1e-3
    assert (features.patches[0][~seen] == 0).all() and (teacher(torch.zeros(1, 3, 42, 42)).patches == 0).all()


def test_geometry_of_a_sphere():
    """Radius 24 about (60, 64), seen from the front: normals point away from its centre, both curvatures are 1 / 24; a
    hollow one curves the other way."""
    row, column = torch.meshgrid(torch.arange(126.0), torch.arange(126.0), indexing="ij")
    x, y, radius = column - 60, row - 64, 24.0
    bulge = (radius**2 - x**2 - y**2).clamp_min(0).sqrt()
    seen, inner = x**2 + y**2 < (0.8 * radius) ** 2, x**2 + y**2 < (0.4 * radius) ** 2
    teacher = load_teacher("control/geometry")
    _, normal, curvature = unweighted(teacher(picture_of(26 - bulge, seen, 126)))
    away = torch.stack([x, y, -bulge], -1).double() / radius
    assert (normal * away).sum(-1)[inner].min() > math.cos(math.radians(2))
    torch.testing.assert_close(curvature[inner], torch.full_like(curvature[inner], 1 / radius), rtol=0.12, atol=0)
    _, _, hollow = unweighted(teacher(picture_of(bulge, seen, 126)))
    assert hollow[inner].max() < -0.8 / radius
    lone = torch.zeros(1, 5, 5, dtype=torch.bool)
    lone[0, 2, 2] = True  # a single pixel is a flat surface that faces the camera
    depth, normal, curvature = surface(torch.full((1, 5, 5), 7.0).double(), lone, 1.5)
    assert depth.item() == pytest.approx(7) and normal.tolist() == [[0, 0, -1]] and curvature.tolist() == [[0, 0]]


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
        pretrain(tiny_encoder(), finished, "global", epochs=1, control="broadcast")
    with pytest.raises(ConfigError, match="control/position"):
        load_teacher("control/posture")


@pytest.mark.parametrize(("control", "what"), [("shuffled clips", "clip"), ("shuffled frames", "frame")])
def test_one_alone_cannot_be_shuffled(clips, control, what):
    class Alone:
        key, dim = "alone", DIM

        def __len__(self):
            return 1

        def __getitem__(self, i):
            return {"points": torch.zeros(1, 4, 3)}

    with pytest.raises(ConfigError, match=f"a single {what}"):
        ControlledTargets(Alone(), control)
