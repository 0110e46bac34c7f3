"""Claim proved here: ``synthetic-animals`` is a fair stand-in for DeformingThings4D's animals.

Its videos are a pure function of their arguments: one closed mesh each, the same in every frame, so a clip's point is
one place of the skin for ever. Animals stand on the floor and their feet do not slide; left is the animal's left; kinds
and acts can be told apart across individuals; and its splits are fixed and disjoint, one of them by individual.
"""

import hashlib

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from cross4d_lib.clips import sample_clip
from cross4d_lib.datasets import dataset_names, load_dataset, load_source
from cross4d_lib.datasets.synthetic.animals import (
    ACTIONS_OF,
    CATEGORIES,
    FRAMES,
    FRAMES_PER_SECOND,
    before_camera,
    make_video,
)
from cross4d_lib.datasets.synthetic.animals_acts import ACTS
from cross4d_lib.datasets.synthetic.animals_body import BONES, LEGS, PARTS
from cross4d_lib.datasets.synthetic.animals_gaits import GAITS, gait_of, ground_speed, locomotion
from cross4d_lib.datasets.synthetic.animals_pose import Motion, pose, turn
from cross4d_lib.datasets.synthetic.animals_skin import make_body, surface_nets
from cross4d_lib.errors import ConfigError

EVERY_CATEGORY = range(len(CATEGORIES))
EARLESS = {"crocodile", "ostrich", "tyrannosaur"}
EIGHT = np.linspace(0, 1, 8)


def same(a, b):
    """Two videos hold the same bytes."""
    return all(
        np.asarray(x).tobytes() == np.asarray(y).tobytes()
        for x, y in ((a.frames, b.frames), (a.triangles, b.triangles), (a.point_labels, b.point_labels))
    )


def edges_of(triangles):
    """Every edge once, (E, 2), and how many triangles share it."""
    ends = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    return np.unique(ends, axis=0, return_counts=True)


def volume(vertices, triangles):
    """Signed volume inside a closed surface, positive when its triangles face outward (divergence theorem)."""
    a, b, c = (vertices[triangles[:, k]].astype(float) for k in range(3))
    return (a * np.cross(b, c)).sum() / 6


def performance(category, action, frames=12, identity=1):
    """(body, vertices (F, V, 3)) of an act, before the camera and before the floor has pushed anything back."""
    body = make_body(category, identity)
    motion = (
        locomotion(body.skeleton, action, np.arange(frames) / FRAMES_PER_SECOND, 0.3, 1.0)
        if action in GAITS
        else ACTS[action](body.skeleton, np.linspace(0, 1, frames), 0.3)
    )
    return body, body.move(pose(body.skeleton, motion))


def test_a_video_is_a_pure_function_of_its_arguments():
    asked = [(0, 1, 2), (9, 3, 0), (0, 1, 3)]
    first = {args: make_video(*args) for args in asked}
    make_body.cache_clear()
    again = {args: make_video(*args) for args in reversed(asked)}
    assert all(same(first[args], again[args]) for args in asked)
    assert not same(first[0, 1, 2], first[0, 1, 3]) and not same(first[0, 1, 2], make_video(0, 1, 2, seed=1))


def test_the_dataset_reads_what_make_video_makes():
    for name, label in (("synthetic-animals", 0), ("synthetic-animals-actions", 2)):
        source = load_source(name)
        entry = source.entries(None)[299]
        read, made = source.read(entry), make_video(*entry.handle)
        assert same(read, made) and (read.id, read.label, read.subject) == (entry.id, entry.label, entry.subject)
        assert entry.label == entry.handle[label] and source.classes[entry.label].replace(" ", "-") in entry.id
        assert name in dataset_names() and source.stand_in and source.point_classes == PARTS


@pytest.mark.parametrize("category", EVERY_CATEGORY)
def test_the_surface_is_one_closed_mesh_of_the_right_size(category):
    """Every edge is run through as often one way as the other, all vertices hang together, the volume is positive:
    closed, one piece, facing outward."""
    video = make_video(category, 2, 0, frames=16)
    vertices, triangles, labels = video.frames, video.triangles, video.point_labels
    assert vertices.shape[0] == 16 and vertices.dtype == np.float32 and triangles.dtype == labels.dtype == np.int64
    assert (
        np.isfinite(vertices).all()
        and triangles.min() == 0
        and triangles.max() == vertices.shape[1] - 1 == len(labels) - 1
    )
    assert 3000 < vertices.shape[1] < 7000 and len(set(map(tuple, triangles.tolist()))) == len(triangles)
    directed = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    back = directed[:, ::-1]
    assert sorted(map(tuple, directed.tolist())) == sorted(map(tuple, back.tolist()))
    pieces, _ = connected_components(
        coo_matrix((np.ones(len(directed)), directed.T), (len(labels), len(labels))), directed=False
    )
    assert pieces == 1
    volumes = [volume(frame, triangles) for frame in vertices]
    assert min(volumes) > 0 and max(volumes) < 1.15 * min(volumes)  # flesh neither comes nor goes
    assert (vertices[..., 2] > 0).all()  # before the camera


def test_a_sphere_is_meshed_to_its_radius():
    """Oracle for the mesher: a sphere's area and volume, and its vertices on the sphere."""
    grid = np.stack(np.meshgrid(*[np.arange(40.0)] * 3, indexing="ij"), -1)
    vertices, triangles = surface_nets(np.linalg.norm(grid - 19.7, axis=-1) - 14)
    assert np.abs(np.linalg.norm(vertices - 19.7, axis=1) - 14).max() < 0.15
    assert volume(vertices, triangles) == pytest.approx(4 / 3 * np.pi * 14**3, rel=0.02)
    _, shared = edges_of(triangles)
    assert (shared == 2).all() and len(vertices) - len(shared) + len(triangles) == 2  # Euler


@pytest.mark.parametrize("category", CATEGORIES)
def test_skin_stretches_at_the_joints_only(category):
    """While walking, nine edges in ten keep their length to a fifth; none tears."""
    body, vertices = performance(category, "walk")
    ends, _ = edges_of(body.triangles)
    lengths = np.linalg.norm(vertices[:, ends[:, 0]] - vertices[:, ends[:, 1]], axis=-1)
    change = lengths.max(0) / np.maximum(lengths.min(0), 1e-9)
    assert np.quantile(change, 0.9) < 1.2 / 0.8 and np.median(change) < 1.1
    assert lengths.max() < 0.12 * np.ptp(vertices.reshape(-1, 3), axis=0).max()


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_part_is_there_and_left_is_the_animals_left(category):
    body = make_body(category, 3)
    expected = set(range(len(PARTS))) - ({PARTS.index("ear")} if category in EARLESS else set())
    assert set(np.unique(body.labels)) == expected and len(PARTS) == 13
    standing = body.move(pose(body.skeleton, Motion.standing(1)))[0]  # x forward, y left, z up
    middle = lambda part: standing[body.labels == PARTS.index(part)].mean(0)
    for end in ("front", "back"):
        for piece in ("upper", "lower"):
            left, right = middle(f"{end} left {piece} leg"), middle(f"{end} right {piece} leg")
            assert left[1] > 0.03 * body.skeleton.height and right[1] < -0.03 * body.skeleton.height
            assert np.allclose(left * [1, -1, 1], right, atol=0.05 * body.skeleton.height)
    assert middle("head")[0] > middle("torso")[0] > middle("tail")[0]
    for leg in LEGS[2:]:
        assert middle(f"{leg} upper leg")[2] > middle(f"{leg} lower leg")[2]
    camera = before_camera(standing[None], 30.0)[0]  # heads right and towards the viewer: its left is farther away
    far = lambda part: camera[body.labels == PARTS.index(part), 2].mean()
    assert far("back left upper leg") > far("back right upper leg") and far("head") < far("tail")


def test_the_camera_is_a_rotation_with_down_as_y():
    points = np.random.default_rng(0).normal(size=(1, 50, 3)).astype(np.float32)
    seen = before_camera(points, 25.0)[0].astype(float)
    map_ = np.linalg.lstsq(points[0] - points[0].mean(0), seen - seen.mean(0), rcond=None)[0]
    assert np.allclose(map_ @ map_.T, np.eye(3), atol=1e-4) and np.linalg.det(map_) == pytest.approx(1, abs=1e-4)
    assert (np.array([0, 0, 1]) @ map_)[1] < -0.95


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("gait", GAITS)
def test_feet_stand_on_the_floor_and_do_not_slide(category, gait):
    """In the ground's own coordinates a standing foot stays where it is, to 2 % of the hip's height a frame; and no
    sole sinks."""
    body = make_body(category, 1)
    skeleton, frames = body.skeleton, 24
    motion = locomotion(skeleton, gait, np.arange(frames) / 60, 0.3, 1.0)
    transforms = pose(skeleton, motion)
    assert body.move(transforms)[..., 2].min() > -0.02 * skeleton.height
    speed = ground_speed(skeleton, gait)
    stood = 0
    for i in range(2 if skeleton.animal.build.biped else 0, 4):
        k = BONES.index(f"{LEGS[i]} toes")
        ball = transforms[:, k, :, :3] @ skeleton.joints[k] + transforms[:, k, :, 3]
        stands = (
            np.isclose(np.diff(motion.feet[:, i, 0]), -speed / 60)
            & (motion.feet[1:, i, 2] == 0)
            & (motion.feet[:-1, i, 2] == 0)
        )
        stood += stands.sum()
        slide = np.abs(np.diff(ball[:, 0]) + speed / 60)[stands]
        assert (slide < 0.02 * skeleton.height).all() and (
            np.abs(ball[1:, 2][stands] - skeleton.leg(i).radii[3]) < 0.04 * skeleton.height
        ).all()
    assert stood > 0


@pytest.mark.parametrize("action", ACTS)
def test_little_has_to_be_pushed_back_by_the_floor(action):
    """The final clamp at the floor only flattens bellies and muzzles: under a tenth of the hip's height, few
    vertices."""
    for category in CATEGORIES:
        body, vertices = performance(category, action, 8)
        under = -vertices[..., 2] / body.skeleton.height
        assert under.max() < 0.13 and (under > 0.03).mean() < 0.06, category
        assert before_camera(np.maximum(vertices, 0), 0).shape == vertices.shape


def test_footfalls_come_in_the_order_of_the_gait():
    """Walk: back left, front left, back right, front right. Trot: diagonal pairs. Gallop: hind feet, then forefeet,
    then none."""
    horse = make_body("horse", 1).skeleton
    landing = dict(zip(LEGS, gait_of(horse, "walk").phases))
    assert sorted(landing, key=landing.get) == ["back left", "front left", "back right", "front right"]
    strides = {}
    for gait in GAITS:
        motion = locomotion(horse, gait, np.linspace(0, 3, 400), 0.0, 1.0)
        strides[gait] = (motion.feet[..., 2] < 1e-9).astype(int)  # (F, 4) on the ground
    assert strides["walk"].sum(1).min() >= 2 and (strides["walk"].sum(1) >= 3).any()
    assert (strides["trot"][:, 0] == strides["trot"][:, 3]).mean() > 0.98 and (
        strides["trot"][:, 0] & strides["trot"][:, 1]
    ).mean() == 0
    assert (strides["gallop"].sum(1) == 0).mean() > 0.1 > (strides["walk"].sum(1) == 0).mean()
    assert ground_speed(horse, "walk") < ground_speed(horse, "trot") < ground_speed(horse, "gallop")


def test_a_clips_point_is_one_place_of_the_skin():
    """Exact correspondence: the same corners and weights give the clip's point in every frame, and its label never
    changes."""
    video = make_video(1, 1, 2, frames=16)
    clip = sample_clip(video, 16, 512)
    assert clip.tracked and clip.frames_repeated == 0 and (clip.point_labels == clip.point_labels[0]).all()
    a, b, c = (video.frames[0][video.triangles[:, k]].astype(float) for k in range(3))
    normal = np.cross(b - a, c - a)
    for n in range(
        0, 512, 37
    ):  # the triangle that holds point n in frame 0 holds it in frame 15, at the same barycentrics
        place = clip.points[0, n].astype(float)
        weights = np.stack(
            [
                (np.cross(b - place, c - place) * normal).sum(1),
                (np.cross(c - place, a - place) * normal).sum(1),
                (np.cross(a - place, b - place) * normal).sum(1),
            ],
            1,
        )
        weights /= np.maximum((normal**2).sum(1), 1e-20)[:, None]
        corners = np.stack([a, b, c], 1)  # (K, 3, 3)
        miss = np.linalg.norm((weights[..., None] * corners).sum(1) - place, axis=1) + np.maximum(-weights, 0).sum(1)
        held = miss.argmin()
        later = weights[held] @ video.frames[15][video.triangles[held]]
        assert np.linalg.norm(later - clip.points[15, n]) < 2e-3
    assert np.abs(clip.points[15] - clip.points[0]).max() > 0.05


def test_splits_are_complete_disjoint_and_fixed():
    source = load_source("synthetic-animals")
    entries = source.entries(None)
    assert len(entries) == len({e.id for e in entries}) == source.expected["all"] and [e.id for e in entries] == sorted(
        e.id for e in entries
    )
    part = {split: [e for e in entries if source.in_split(e, split)] for split in source.splits}
    assert {split: len(p) for split, p in part.items()} == {s: n for s, n in source.expected.items() if s != "all"}
    for a, b in (("train", "test"), ("train-identities", "test-identities")):
        assert {e.id for e in part[a]} | {e.id for e in part[b]} == {e.id for e in entries} and not {
            e.id for e in part[a]
        } & {e.id for e in part[b]}
        assert {e.label for e in part[a]} == {e.label for e in part[b]} == set(EVERY_CATEGORY)
    assert not {e.subject for e in part["train-identities"]} & {e.subject for e in part["test-identities"]}
    assert np.bincount([e.label for e in part["test"]]).tolist() == [10] * len(CATEGORIES)
    digest = hashlib.sha256("\n".join(e.id for e in part["test"]).encode()).hexdigest()[:16]
    assert digest == "fc4bd551af373a4e"
    assert len({source.fingerprint_of(e) for e in entries}) == len(entries)


def test_the_action_split_keeps_individuals_apart():
    source = load_source("synthetic-animals-actions")
    part = {split: [e for e in source.entries(None) if source.in_split(e, split)] for split in source.splits}
    assert {split: len(p) for split, p in part.items()} == {"train": 384, "test": 192} and source.classes == ACTIONS_OF
    assert not {e.subject for e in part["train"]} & {e.subject for e in part["test"]}
    assert all(set(np.bincount([e.label for e in p])) == {len(p) // len(ACTIONS_OF)} for p in part.values())


def test_it_loads_as_clips():
    dataset = load_dataset("synthetic-animals", "test-identities", frames=16, points=2048, limit=1)
    clip = dataset[0]
    assert (
        clip.points.shape == (16, 2048, 3)
        and clip.point_labels.shape == (16, 2048)
        and clip.tracked
        and clip.frames_repeated == 0
    )


def joints_over_time(category, action, identity):
    """Where head, tail and feet go, without where the animal stands or how large it is: (8 x 6 x 3,)."""
    body = make_body(category, identity)
    rng = np.random.default_rng(identity)
    skeleton = body.skeleton
    motion = (
        locomotion(skeleton, action, np.arange(8) / FRAMES_PER_SECOND, rng.uniform(0, 0.1), 1.0)
        if action in GAITS
        else ACTS[action](skeleton, EIGHT, 0.1)
    )
    transforms = pose(skeleton, motion)
    ends = [BONES.index(bone) for bone in ("head", "tail 4", *(f"{leg} toes" for leg in LEGS))]
    places = np.stack([transforms[:, k, :, :3] @ skeleton.joints[k] + transforms[:, k, :, 3] for k in ends], 1)
    return (places / skeleton.height).ravel()


@pytest.mark.slow
def test_acts_can_be_told_apart_across_individuals_and_kinds():
    """Nearest mean of head, tail and feet relative to the kind's own mean, learnt on individuals 1-2, tried on 5: far
    above 1 in 8."""
    right = []
    for category in CATEGORIES:
        means = np.stack([np.mean([joints_over_time(category, a, i) for i in (1, 2)], 0) for a in ACTIONS_OF])
        right += [
            np.linalg.norm(means - joints_over_time(category, a, 5), axis=1).argmin() == k
            for k, a in enumerate(ACTIONS_OF)
        ]
    assert np.mean(right) > 0.8


@pytest.mark.slow
def test_kinds_can_be_told_apart_across_individuals():
    """Nearest mean of the parts' centres and sizes in the standing pose, learnt on individuals 1-3, tried on 5 and 6:
    far above 1 in 12."""

    def figure(category, identity):
        body = make_body(category, identity)
        standing = body.move(pose(body.skeleton, Motion.standing(1)))[0] / body.skeleton.height
        rows = [standing[body.labels == p] for p in range(len(PARTS))]
        return np.concatenate([np.r_[r.mean(0), r.std(0)] if len(r) else np.zeros(6) for r in rows])

    means = np.stack([np.mean([figure(c, i) for i in (1, 2, 3)], 0) for c in CATEGORIES])
    right = [
        np.linalg.norm(means - figure(c, i), axis=1).argmin() == k for k, c in enumerate(CATEGORIES) for i in (5, 6)
    ]
    assert np.mean(right) > 0.9


def test_turning_angles_mean_what_they_say():
    assert (
        np.allclose(turn(pitch=90) @ [1, 0, 0], [0, 0, 1])
        and np.allclose(turn(yaw=90) @ [1, 0, 0], [0, 1, 0])
        and np.allclose(turn(roll=90) @ [0, 1, 0], [0, 0, 1])
    )
    r = turn(20.0, -35.0, 50.0)
    assert np.allclose(r, turn(yaw=-35.0) @ turn(pitch=20.0) @ turn(roll=50.0)) and np.linalg.det(r) == pytest.approx(1)


@pytest.mark.parametrize(
    "wrong", [dict(category=12), dict(category=-1), dict(identity=-1), dict(action=8), dict(action=-1), dict(frames=1)]
)
def test_what_does_not_exist_is_refused(wrong):
    with pytest.raises(ConfigError):
        make_video(**{"category": 0, "identity": 1, "action": 0, **wrong})


def test_a_video_has_the_frames_a_clip_needs():
    assert FRAMES >= 16 and make_video(5, 1, 4).frames.shape[0] == FRAMES
