"""Claim proved here: ``synthetic-scenes`` is a fair stand-in for HOI4D.

Its videos are a pure function of their arguments, rooms are on one side of the split, every point has a class and every
class is on both sides; a hand comes to a thing, takes it, and nothing moves before it does or without it.
"""

import numpy as np
import pytest

from cross4d_lib.datasets import load_dataset, load_source
from cross4d_lib.datasets.synthetic.depth_camera import DepthCamera
from cross4d_lib.datasets.synthetic.plays import ACTIONS, DONE_TO
from cross4d_lib.datasets.synthetic.scenes import (
    EPISODES,
    POINT_CLASSES,
    ROOMS,
    TRAIN_ROOMS,
    kind_of,
    make_scene,
    make_video,
    set_stage,
)
from cross4d_lib.datasets.synthetic.solids import hit_box, hit_tube
from cross4d_lib.datasets.synthetic.things import KINDS
from cross4d_lib.errors import ConfigError

SOURCE = load_source("synthetic-scenes")
EVERY = [(a, room, 1 + room % EPISODES) for a in range(len(ACTIONS)) for room in range(1, ROOMS + 1, 2)]
CARRIED = ("lift", "place", "pour", "push")


def same(a, b):
    """Two videos hold the same bytes."""
    arrays = lambda v: [*v.frames, *v.point_labels]
    return len(a.frames) == len(b.frames) and all(x.tobytes() == y.tobytes() for x, y in zip(arrays(a), arrays(b)))


def forget():
    """Drop what the generator remembers, as a new process would."""
    from cross4d_lib.datasets.synthetic import scenes

    for remembered in (scenes.make_scene, scenes._before_camera):
        remembered.cache_clear()


def test_a_video_is_a_pure_function_of_its_arguments():
    asked = [(3, 1, 1), (6, 17, 2), (3, 1, 2)]
    first = {args: make_video(*args, frames=[0, 9]) for args in asked}
    forget()
    again = {args: make_video(*args, frames=[0, 9]) for args in reversed(asked)}
    assert all(same(first[args], again[args]) for args in asked)
    assert not same(first[3, 1, 1], first[3, 1, 2]) and not same(
        first[3, 1, 1], make_video(3, 1, 1, seed=1, frames=[0, 9])
    )


def test_the_dataset_reads_the_same_video_frame_by_frame():
    entry = SOURCE.entries(None)[123]
    read, whole = SOURCE.read(entry), make_video(*entry.handle)
    assert same(read, whole) and (read.id, read.label, read.subject) == (whole.id, whole.label, whole.subject) == (
        entry.id,
        entry.label,
        entry.subject,
    )
    some = make_video(*entry.handle, frames=[20, 3])
    assert (
        some.frames[0].tobytes() == whole.frames[20].tobytes() and some.frames[1].tobytes() == whole.frames[3].tobytes()
    )


def test_the_split_is_by_room_and_complete():
    entries = SOURCE.entries(None)
    assert (
        SOURCE.stand_in
        and SOURCE.classes == ACTIONS
        and len(ACTIONS) >= 5
        and len(entries) == SOURCE.expected["all"] >= 200
    )
    assert [e.id for e in entries] == sorted(e.id for e in entries) and len(
        {SOURCE.fingerprint_of(e) for e in entries}
    ) == len(entries)
    parts = {split: [e for e in entries if SOURCE.in_split(e, split)] for split in SOURCE.splits}
    assert {split: len(part) for split, part in parts.items()} == {
        split: SOURCE.expected[split] for split in SOURCE.splits
    }
    rooms = {split: {e.subject for e in part} for split, part in parts.items()}
    assert (
        not rooms["train"] & rooms["test"]
        and len(rooms["train"]) == TRAIN_ROOMS
        and len(rooms["train"] | rooms["test"]) == ROOMS
    )
    for part in parts.values():
        assert {e.label for e in part} == set(range(len(ACTIONS)))
        assert {(e.label, kind_of(*e.handle)) for e in part} == {
            (a, kind) for a, name in enumerate(ACTIONS) for kind in DONE_TO[name]
        }


@pytest.mark.parametrize("split", SOURCE.splits)
def test_every_class_is_seen_on_both_sides_of_the_split(split):
    wanted = {}
    for entry in SOURCE.entries(None):
        if SOURCE.in_split(entry, split):
            wanted.setdefault(kind_of(*entry.handle), entry)
    assert set(wanted) == set(KINDS)
    seen = set()
    for kind, entry in wanted.items():
        video = SOURCE.read(entry)
        points, labels = video.frames[len(video.frames) // 2], video.point_labels[len(video.frames) // 2]
        assert (
            points.dtype == np.float32
            and labels.dtype == np.int64
            and len(points) == len(labels) > 8192
            and np.isfinite(points).all()
        )
        assert (
            labels.min() >= 0
            and labels.max() < len(POINT_CLASSES)
            and (labels == POINT_CLASSES.index(kind)).sum() > 150
        )
        seen |= set(labels.tolist())
    assert seen == set(range(len(POINT_CLASSES)))


def test_the_background_is_there_and_ignored():
    assert SOURCE.ignored == (0,) and POINT_CLASSES[0] == "background" and len(POINT_CLASSES) - len(SOURCE.ignored) >= 8
    clip = load_dataset("synthetic-scenes", "test", frames=12, points=1024, limit=1)[0]
    assert clip.points.shape == (12, 1024, 3) and clip.points_repeated == 0
    assert ((clip.point_labels == 0).mean(1) > 0.05).all() and ((clip.point_labels == 0).mean(1) < 0.6).all()


@pytest.mark.parametrize("action", range(len(ACTIONS)))
def test_a_thing_moves_only_while_it_is_touched_and_others_never(action):
    for args in [e for e in EVERY if e[0] == action]:
        scene = make_scene(*args)
        acted = scene.play
        step = (
            np.abs(np.diff(acted.thing[0], axis=0)).max((1, 2))
            + np.abs(np.diff(acted.thing[1], axis=0)).max(1)
            + np.abs(np.diff(acted.opening))
        )
        held = np.minimum(acted.near[1:], acted.near[:-1]) > 0.999
        assert step[~held].max() < 1e-9
        assert (step.max() > 1e-3) == (ACTIONS[action] != "grasp")
        moved = np.ptp(acted.thing[1], axis=0)
        assert (moved.max() > 0.08) == (ACTIONS[action] in CARRIED) and np.ptp(acted.opening) == pytest.approx(
            int(ACTIONS[action] in ("open", "close"))
        )
        solids = set_stage(scene).solids()
        others = [POINT_CLASSES.index(thing.kind) for thing, _ in scene.others]
        assert np.ptp(solids.centre[:, np.isin(solids.part, others)], axis=0).max(initial=0) == 0


def test_each_action_does_what_its_name_says():
    for args in EVERY:
        scene, name = make_scene(*args), ACTIONS[args[0]]
        acted = scene.play
        rise = acted.thing[1][:, 1] - acted.thing[1][0, 1]
        lean = np.degrees(np.arccos(np.clip(acted.thing[0][:, 1, 1], -1, 1)))
        assert (lean.max() > 45) == (name == "pour") and (name == "pour" or lean.max() < 1e-3)
        assert (rise.max() > 0.05) == (name in ("lift", "place", "pour")), (name, rise.max())
        assert {"lift": rise[-1] > 0.1, "place": rise[-1] < 0.005, "push": np.ptp(rise) == 0}.get(name, True)
        assert acted.opening[-1] - acted.opening[0] == pytest.approx({"open": 1, "close": -1}.get(name, 0))
        if name == "pour":  # what is tipped is above what it is poured into
            into, (_, at) = scene.others[0]
            f = int(lean.argmax())
            mouth = acted.thing[0][f] @ scene.thing.mouth + acted.thing[1][f]
            assert np.hypot(*(mouth - at[f])[[0, 2]]) < into.reach and 0.04 < mouth[1] < 0.2


def test_the_hand_is_far_before_and_near_when_it_takes():
    for action in range(len(ACTIONS)):
        for room in (2, 9, 18):
            scene = make_scene(action, room, 1)
            acted = scene.play
            taking = int(np.argmax(acted.near + acted.closed))
            assert acted.near[0] == 0 and acted.near[taking] > 0.999
            assert np.linalg.norm(acted.hand[1][0] - acted.hand[1][taking]) > 0.10
            video = make_video(
                action,
                room,
                1,
                frames=[taking],
                camera=DepthCamera(
                    width=176, height=156, focal=236.0, centre_x=88.0, centre_y=78.0, baseline=0.0, disparity_step=0.0
                ),
            )
            points, labels = video.frames[0], video.point_labels[0]
            hand, thing = (
                points[labels == POINT_CLASSES.index("hand")],
                points[labels == POINT_CLASSES.index(scene.thing.kind)],
            )
            assert len(hand) > 300 and len(thing) > 200
            nearest = np.sqrt(((hand[::4, None] - thing[None, ::4]) ** 2).sum(-1)).min()
            assert nearest < 0.06, (ACTIONS[action], room, nearest)  # of what is seen; the touch itself may be hidden


def test_things_stand_clear_of_each_other():
    for args in EVERY:
        scene = make_scene(*args)
        on_table = scene.play.thing[1][:, 1] < 0.03
        for thing, (_, at) in scene.others:
            assert np.hypot(*(scene.play.thing[1] - at)[on_table][:, [0, 2]].T).min() > thing.reach + scene.thing.reach
        spots = [(thing.reach, at[0]) for thing, (_, at) in scene.others]
        assert all(np.hypot(*(a - b)[[0, 2]]) > r + s for i, (r, a) in enumerate(spots) for s, b in spots[:i])


def test_rays_hit_boxes_and_tubes_where_a_march_along_them_does():
    """Oracle: walk the ray in small steps until it is inside."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        size, origin = rng.uniform(0.1, 0.5, 3), rng.normal(size=3)
        origin *= 2 / np.linalg.norm(origin)
        direction = rng.normal(0, 0.25, 3) - origin
        t = np.linspace(0, 2, 20001)
        along = origin + t[:, None] * direction
        box = (np.abs(along) <= size).all(1)
        radius = (size[0] + size[2]) / 2 + (size[2] - size[0]) / 2 * along[:, 1] / size[1]
        tube = (np.abs(along[:, 1]) <= size[1]) & (np.hypot(along[:, 0], along[:, 2]) <= radius)
        for inside, got in (
            (box, hit_box(*origin, *direction, *size)),
            (tube, hit_tube(*origin, *direction, *size, False)),
        ):
            assert got == (pytest.approx(t[inside.argmax()], abs=2e-4) if inside.any() else np.inf)
            hits += inside.any()
    assert hits > 40
    assert (
        hit_tube(0, 2, 0, 0, -1, 0, 0.3, 0.5, 0.4, False) == 1.5
        and hit_tube(0, 2, 0, 0, -1, 0, 0.3, 0.5, 0.4, True) == 2.5
    )  # into a cup: its bottom


@pytest.mark.parametrize(
    "wrong", [dict(action=len(ACTIONS)), dict(action=-1), dict(room=-1), dict(frames=[999]), dict(frames=[])]
)
def test_what_does_not_exist_is_refused(wrong):
    with pytest.raises(ConfigError):
        make_video(**{"action": 0, "room": 1, "episode": 1, **wrong})
