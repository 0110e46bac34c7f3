"""Claim proved here: ``synthetic-interactions`` is a fair stand-in for NTU RGB+D 60.

Its videos are a pure function of their arguments; three cameras see one and the same motion; neither people nor views
cross the split they define; two bodies keep apart but touch where the action says so.
"""

import numpy as np
import pytest

from cross4d_lib.datasets import load_dataset, load_source
from cross4d_lib.datasets.synthetic.body import JOINTS
from cross4d_lib.datasets.synthetic.depth_camera import DepthCamera
from cross4d_lib.datasets.synthetic.interaction_motions import CLASSES, PAIRS, SINGLES
from cross4d_lib.datasets.synthetic.interactions import (
    POINT_CLASSES,
    SUBJECTS,
    make_performance,
    make_video,
    partner_of,
    view_of,
)
from cross4d_lib.datasets.synthetic.motions import key_poses
from cross4d_lib.errors import ConfigError

SOURCE = load_source("synthetic-interactions")
J = JOINTS.index


def same(a, b):
    """Two videos hold the same bytes."""
    arrays = lambda v: [*v.frames, *v.point_labels]
    return len(a.frames) == len(b.frames) and all(x.tobytes() == y.tobytes() for x, y in zip(arrays(a), arrays(b)))


def performances(name):
    return [make_performance(CLASSES.index(name), subject, 1 + subject % 2) for subject in range(1, SUBJECTS + 1)]


def test_a_video_is_a_pure_function_of_its_arguments():
    from cross4d_lib.datasets.synthetic import interactions

    asked = [(0, 1, 1, 1), (15, 7, 2, 3), (0, 1, 2, 1)]
    first = {args: make_video(*args, frames=[0, 9]) for args in asked}
    for remembered in (interactions.make_performance, interactions.set_stage):
        remembered.cache_clear()  # as a new process would
    again = {args: make_video(*args, frames=[0, 9]) for args in reversed(asked)}
    assert all(same(first[args], again[args]) for args in asked)
    assert not same(first[0, 1, 1, 1], first[0, 1, 2, 1]) and not same(
        first[0, 1, 1, 1], make_video(0, 1, 1, 1, seed=1, frames=[0, 9])
    )


def test_the_dataset_reads_the_same_video_frame_by_frame():
    entry = SOURCE.entries(None)[777]
    read, whole = SOURCE.read(entry), make_video(*entry.handle)
    assert same(read, whole) and (read.id, read.label, read.subject) == (whole.id, whole.label, whole.subject) == (
        entry.id,
        entry.label,
        entry.subject,
    )
    some = make_video(*entry.handle, frames=[12, 3])
    assert (
        some.frames[0].tobytes() == whole.frames[12].tobytes() and some.frames[1].tobytes() == whole.frames[3].tobytes()
    )


def test_the_splits_are_cross_subject_and_cross_view():
    entries = SOURCE.entries(None)
    assert SOURCE.stand_in and SOURCE.classes == CLASSES and len(CLASSES) >= 12 and len(PAIRS) >= 4
    assert [e.id for e in entries] == sorted(e.id for e in entries) and len(
        {SOURCE.fingerprint_of(e) for e in entries}
    ) == len(entries) == SOURCE.expected["all"]
    parts = {split: [e for e in entries if SOURCE.in_split(e, split)] for split in SOURCE.splits}
    assert {split: len(part) for split, part in parts.items()} == {
        split: SOURCE.expected[split] for split in SOURCE.splits
    }
    assert all({e.label for e in part} == set(range(len(CLASSES))) for part in parts.values())
    for train, test in (("train", "test"), ("train-views", "test-views")):
        assert not {e.id for e in parts[train]} & {e.id for e in parts[test]} and len(parts[train]) + len(
            parts[test]
        ) == len(entries)
    people = {
        split: {s for e in parts[split] for s in (e.handle[1], partner_of(e.handle[1]))} for split in ("train", "test")
    }
    assert not people["train"] & people["test"] and len(people["train"] | people["test"]) == SUBJECTS
    assert {e.handle[3] for e in parts["test-views"]} == {1} and {e.handle[3] for e in parts["train-views"]} == {2, 3}


def test_nobody_is_a_subject_of_synthetic_actions():
    from cross4d_lib.datasets.synthetic import actions
    from cross4d_lib.datasets.synthetic.subjects import make_subject

    known = {make_subject(number).height for number in range(1, actions.SUBJECTS + 1)}
    assert not known & {make_performance(0, subject, 1).subjects[0].height for subject in range(1, SUBJECTS + 1)}


@pytest.mark.parametrize("split", SOURCE.splits)
def test_every_class_is_seen_on_both_sides_of_each_split(split):
    seen = set()
    for label in (CLASSES.index("drink"), CLASSES.index("give"), CLASSES.index("hug")):
        entry = next(e for e in SOURCE.entries(None) if e.label == label and SOURCE.in_split(e, split))
        video = SOURCE.read(entry)
        for f in (0, len(video.frames) // 2):
            points, labels = video.frames[f], video.point_labels[f]
            assert (
                points.dtype == np.float32
                and labels.dtype == np.int64
                and len(points) == len(labels) > 1500
                and np.isfinite(points).all()
            )
            assert labels.min() >= 0 and labels.max() < len(POINT_CLASSES)
            seen |= set(labels.tolist())
    assert seen == set(range(len(POINT_CLASSES)))


def test_it_loads_as_clips():
    clip = load_dataset("synthetic-interactions", "test-views", frames=12, points=1024, limit=1)[0]
    assert clip.points.shape == (12, 1024, 3) and clip.point_labels.shape == (12, 1024) and clip.points_repeated == 0


@pytest.mark.parametrize("action", [CLASSES.index("kick"), CLASSES.index("punch")])
def test_three_views_show_one_motion(action):
    """What the three cameras see without faults, carried back into the room, lies on one surface, which none of them
    sees whole."""
    performance = make_performance(action, 3, 1)
    f = performance.frames // 2
    rooms = []
    for camera in (1, 2, 3):
        cloud = make_video(action, 3, 1, camera, frames=[f], sensor=DepthCamera.ideal()).frames[0]
        turn, shift = view_of(camera, 1, performance.distance)
        rooms.append((cloud - shift) @ turn)  # its inverse: turn is orthogonal
        for who in range(len(performance.subjects)):
            head = performance.joints(who)[f, J("head")]
            nearest = np.linalg.norm(rooms[-1] - head, axis=1).min()
            assert nearest < 0.2 or len(performance.subjects) == 2
    for a, b in ((0, 1), (0, 2)):
        away = np.sqrt(((rooms[a][::7, None] - rooms[b][None, ::3]) ** 2).sum(-1)).min(1)
        assert np.quantile(away, 0.35) < 0.02  # both see it
        assert np.quantile(away, 0.97) < 0.35  # one of them only, but of the same body
    turns = [view_of(camera, 1, 3.0)[0] for camera in (2, 1, 3)]
    angles = [np.degrees(np.arccos((np.trace(a @ b.T) - 1) / 2)) for a, b in zip(turns, turns[1:])]
    assert angles == pytest.approx([45, 45])


def test_the_second_camera_sees_the_front_once_and_the_side_once():
    for repetition, (second, third) in {1: (0, 90), 2: (-90, 0)}.items():
        for camera, yaw in ((1, (second + third) / 2), (2, second), (3, third)):
            turn = view_of(camera, repetition, 3.0)[0]
            forward = turn @ [0, 0, 1]  # of who faces the cameras' side of the room
            assert np.degrees(np.arctan2(abs(forward[0]), -forward[2])) == pytest.approx(abs(yaw), abs=0.6)


def test_two_bodies_keep_apart_and_stand_on_the_floor():
    for name in CLASSES:
        for performance in performances(name)[::3]:
            for who in range(len(performance.subjects)):
                joints = performance.joints(who)
                assert joints[:, :, 1].min() > -0.03 and np.abs(joints[0, :, :2]).max() < 2.2
            if name in PAIRS:
                trunks = [
                    performance.joints(who)[:, [J("hip centre"), J("spine"), J("shoulder centre")]] for who in (0, 1)
                ]
                assert np.linalg.norm(trunks[0] - trunks[1], axis=-1).min() > (0.16 if name == "hug" else 0.35), name
    assert all(
        len(make_performance(CLASSES.index(name), 2, 1).subjects) == (2 if name in PAIRS else 1) for name in CLASSES
    )


def test_hands_meet_where_the_action_says():
    goals = {
        "shake hands": ("right hand", 0.1),
        "give": ("right hand", 0.1),
        "punch": ("head", 0.3),
        "push": ("shoulder centre", 0.42),
        "pat on the back": ("shoulder centre", 0.4),
        "hug": ("shoulder centre", 0.42),
    }
    for name, (goal, near) in goals.items():
        for performance in performances(name):
            hand, other = performance.joints(0)[:, J("right hand")], performance.joints(1)[:, J(goal)]
            apart = np.linalg.norm(hand - other, axis=1)
            assert apart[performance.meet.argmax()] < near < apart[0], (name, apart.min())


def test_each_action_does_what_its_name_says():
    height = lambda p, joint, who=0: p.joints(who)[:, J(joint), 1]
    between = lambda p: np.linalg.norm(p.joints(0)[:, J("hip centre")] - p.joints(1)[:, J("hip centre")], axis=1)
    for n in range(SUBJECTS):
        of = {name: make_performance(CLASSES.index(name), n + 1, 1) for name in CLASSES}
        hips = {name: height(of[name], "hip centre") for name in SINGLES}
        assert hips["sit down"][0] - hips["sit down"][-1] > 0.25 and hips["stand up"][-1] - hips["stand up"][0] > 0.25
        assert hips["fall"][-1] < 0.35 and height(of["fall"], "head")[-1] < 0.5
        assert hips["jump up"].max() - hips["jump up"][0] > 0.12 and height(of["jump up"], "right ankle").max() > 0.15
        assert min(height(of["pick up"], f"{side} hand").min() for side in ("right", "left")) < 0.55
        assert (
            max(
                height(of["wave"], f"{side} hand").max() - height(of["wave"], "head").max()
                for side in ("right", "left")
            )
            > 0
        )
        towards, apart = between(of["walk towards"]), between(of["walk apart"])
        assert towards[0] - towards[-1] > 1.0 and apart[-1] - apart[0] > 1.0
        pushed = of["push"].joints(1)[:, J("hip centre"), [0, 2]]
        assert np.linalg.norm(pushed - pushed[0], axis=1).max() > 0.2


def test_partners_share_their_keys():
    for name, pair in PAIRS.items():
        for cycles in range(pair.first.times[0], pair.first.times[1] + 1):
            keys = [len(key_poses(action, cycles)[0]) for action in (pair.first, pair.second)]
            assert keys[0] == keys[1] == 4 + len(pair.meet[0]) + cycles * len(pair.meet[1]) + len(pair.meet[2]), name


@pytest.mark.parametrize(
    "wrong",
    [dict(action=len(CLASSES)), dict(action=-1), dict(subject=0), dict(camera=4), dict(frames=[999]), dict(frames=[])],
)
def test_what_does_not_exist_is_refused(wrong):
    with pytest.raises(ConfigError):
        make_video(**{"action": 0, "subject": 1, "repetition": 1, "camera": 1, **wrong})
