"""Claim proved here: ``synthetic-actions`` is a fair stand-in for MSR-Action3D.

Its videos are a pure function of their arguments, its split is cross-subject, its points are the visible surface of a
body of human size seen by a sensor with quantised depth, and its 20 actions can be told apart across subjects.
"""

import numpy as np
import pytest

from cross4d_lib.datasets import load_dataset, load_source
from cross4d_lib.datasets.synthetic.actions import CLASSES, EPISODES, SUBJECTS, make_poses, make_video, video_length
from cross4d_lib.datasets.synthetic.body import JOINTS, PARTS, apply_pose, two_bones
from cross4d_lib.datasets.synthetic.depth_camera import DepthCamera, hit_capsule
from cross4d_lib.datasets.synthetic.motions import COLUMNS, REST_POSE, channels_of, mirror, monotone_cubic
from cross4d_lib.datasets.synthetic.subjects import make_subject
from cross4d_lib.errors import ConfigError

EVERY_ACTION = range(len(CLASSES))


def same(a, b):
    """Two videos hold the same bytes."""
    arrays = lambda v: [*v.frames, *v.point_labels]
    return len(a.frames) == len(b.frames) and all(x.tobytes() == y.tobytes() for x, y in zip(arrays(a), arrays(b)))


def test_a_video_is_a_pure_function_of_its_arguments():
    asked = [(3, 1, 1), (12, 7, 2), (3, 1, 2)]
    first = {args: make_video(*args) for args in asked}
    again = {args: make_video(*args) for args in reversed(asked)}
    assert all(same(first[args], again[args]) for args in asked)
    assert not same(first[3, 1, 1], first[3, 1, 2]) and not same(first[3, 1, 1], make_video(3, 1, 1, seed=1))


def test_the_dataset_reads_the_same_video_frame_by_frame():
    source = load_source("synthetic-actions")
    entry = source.entries(None)[321]
    read, whole = source.read(entry), make_video(*entry.handle)
    assert same(read, whole) and (read.id, read.label, read.subject) == (whole.id, whole.label, whole.subject)
    assert read.frames[-1].tobytes() == whole.frames[-1].tobytes() and len(read.frames[3:5]) == 2
    with pytest.raises(IndexError):
        read.frames[len(whole.frames)]


def test_a_frame_looks_the_same_whichever_others_are_made():
    whole, some = make_video(5, 2, 1), make_video(5, 2, 1, frames=[20, 3])
    assert video_length(5, 2, 1) == len(whole.frames)
    assert (
        some.frames[0].tobytes() == whole.frames[20].tobytes() and some.frames[1].tobytes() == whole.frames[3].tobytes()
    )


def test_the_split_is_cross_subject_and_complete():
    source = load_source("synthetic-actions")
    entries = source.entries(None)
    assert source.stand_in and len(source.classes) == 20 and source.point_classes == PARTS
    assert [e.id for e in entries] == sorted(e.id for e in entries) and len(
        {source.fingerprint_of(e) for e in entries}
    ) == 600
    for split in source.splits:
        kept = [e for e in entries if source.in_split(e, split)]
        assert len(kept) == source.expected[split] == len(CLASSES) * SUBJECTS // 2 * EPISODES
        assert {e.subject for e in kept} == {f"s{s:02d}" for s in (range(1, 6) if split == "train" else range(6, 11))}


def test_it_loads_as_clips():
    clip = load_dataset("synthetic-actions", "test", frames=24, points=2048, limit=1)[0]
    assert clip.points.shape == (24, 2048, 3) and clip.point_labels.shape == (24, 2048) and clip.points_repeated == 0


@pytest.mark.parametrize("action", EVERY_ACTION)
def test_every_frame_shows_a_body_of_human_size_in_the_room(action):
    video = make_video(action, action + 1, 1)
    assert 15 <= len(video.frames) <= 90 and video.label == action
    for points, labels in zip(video.frames, video.point_labels):
        assert points.dtype == np.float32 and labels.dtype == np.int64 and len(points) == len(labels) > 2000
        assert np.isfinite(points).all() and 0 <= labels.min() and labels.max() < len(PARTS)
        assert 1.0 < points[:, 2].min() and points[:, 2].max() < 4.5
    assert 1.35 < np.ptp(video.frames[0][:, 1]) < 2.05  # stands still: the height
    assert len(np.unique(video.point_labels[0])) == len(PARTS)  # and shows every part


def test_only_the_visible_surface_is_seen():
    """At most one point a pixel, and nothing of the back: the body is far deeper than what is seen of the torso."""
    camera = DepthCamera.ideal()
    points = make_video(0, 1, 1, frames=[0], camera=camera).frames[0]
    pixels = np.round(points[:, :2] / points[:, 2:] * camera.focal).astype(int)
    assert len(np.unique(pixels, axis=0)) == len(points)
    behind = make_video(0, 1, 1, frames=[0], yaw=180, camera=camera).frames[0]
    assert np.median(behind[:, 2]) != pytest.approx(np.median(points[:, 2]), abs=1e-4)


def test_depth_comes_in_steps_that_grow_with_the_square_of_the_distance():
    camera = DepthCamera()
    depth = np.unique(np.concatenate(make_video(19, 4, 1).frames)[:, 2].astype(float))
    disparity = camera.focal * camera.baseline / depth / camera.disparity_step
    assert np.abs(disparity - np.round(disparity)).max() < 1e-3
    step = np.diff(depth).min()
    assert step == pytest.approx(camera.disparity_step * depth[0] ** 2 / (camera.focal * camera.baseline), rel=0.1)


def test_a_ray_hits_a_capsule_where_a_march_along_it_does():
    """Oracle: walk the ray by the exact signed distance of a sphere swept with changing radius, sampled densely."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        a, b = rng.normal([0, 0, 3], 0.3), rng.normal([0, 0, 3], 0.3)
        ra, rb = rng.uniform(0.05, 0.2, 2)
        direction = np.array([*rng.normal(0, 0.08, 2), 1.0])
        s = np.linspace(0, 1, 4000)[:, None]
        centres, radii = a + s * (b - a), ra + s[:, 0] * (rb - ra)
        along = centres @ direction / (direction @ direction)
        inside = radii**2 - ((centres - along[:, None] * direction) ** 2).sum(1)
        hits = along[inside >= 0] - np.sqrt(inside[inside >= 0] / (direction @ direction))
        t = hit_capsule(*direction, *a, *b, ra, rb)
        assert t == pytest.approx(hits.min(), abs=2e-3) if len(hits) else t == np.inf


def test_two_bones_keep_their_lengths_and_reach():
    rng = np.random.default_rng(0)
    root, target, pole = rng.normal(size=(3, 100, 3)) * 0.3
    elbow, hand = two_bones(root, target, 0.3, 0.26, pole)
    assert np.allclose(np.linalg.norm(elbow - root, axis=1), 0.3) and np.allclose(
        np.linalg.norm(hand - elbow, axis=1), 0.26
    )
    distance = np.linalg.norm(target - root, axis=1)
    reachable = (distance < 0.55) & (distance > 0.08)
    assert reachable.sum() > 20 and np.allclose(hand[reachable], target[reachable])


def test_keys_are_met_and_not_overshot():
    times, values = np.array([0.0, 1, 2, 4]), np.array([[0.0], [1], [1], [-2]])
    assert np.allclose(monotone_cubic(times, values, times), values)
    between = monotone_cubic(times, values, np.linspace(0, 4, 200))
    assert between.max() <= 1 and between.min() >= -2


def test_a_left_handed_subject_plays_the_mirror_image():
    poses = np.random.default_rng(0).normal(size=(4, len(REST_POSE)))
    assert np.allclose(mirror(mirror(poses)), poses)
    assert np.allclose(mirror(poses)[:, COLUMNS["left hand"]], poses[:, COLUMNS["right hand"]])
    moved = {}
    for number in range(60):
        who = make_subject(number)
        joints = apply_pose(who, channels_of(make_poses(0, who, number, 1))).joints
        travel = lambda side: np.ptp(joints[:, JOINTS.index(f"{side} wrist"), 1])
        moved.setdefault(who.left_handed, []).append(travel("left") > travel("right"))
    assert all(moved[True]) and not any(moved[False]) and len(moved[False]) > len(moved[True])


def test_bodies_differ_between_subjects_and_stay_human():
    people = [make_subject(number) for number in range(200)]
    heights = np.array([p.height for p in people])
    assert heights.min() >= 1.5 and heights.max() <= 1.95 and heights.std() > 0.05
    assert len({p.hair for p in people}) == 4 and {p.skirt for p in people} == {True, False}


def test_actions_can_be_told_apart_across_subjects():
    """Nearest class mean of hand and foot trajectories, learnt on subjects 1-5, tested on 6-10: far above chance (5
    %)."""
    ends = [JOINTS.index(name) for name in ("right wrist", "left wrist", "right ankle", "left ankle", "head")]

    def trajectory(action, number):
        who = make_subject(number)
        joints = apply_pose(who, channels_of(make_poses(action, who, number, 1))).joints[:, ends]
        at = np.linspace(0, len(joints) - 1, 24).astype(int)
        return (joints[at] / who.height).ravel()

    means = np.stack([np.mean([trajectory(a, s) for s in range(1, 6)], 0) for a in EVERY_ACTION])
    right = [np.linalg.norm(means - trajectory(a, s), axis=1).argmin() == a for a in EVERY_ACTION for s in range(6, 11)]
    assert np.mean(right) > 0.6


@pytest.mark.parametrize(
    "wrong", [dict(action=20), dict(action=-1), dict(subject=-1), dict(frames=[999]), dict(frames=[])]
)
def test_what_does_not_exist_is_refused(wrong):
    with pytest.raises(ConfigError):
        make_video(**{"action": 0, "subject": 1, "episode": 1, **wrong})
