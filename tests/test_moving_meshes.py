"""The reader of DeformingThings4D's animations, and of the animals with parts.

Claims: a later frame is the FIRST plus its offsets; animals stand upright (y down) and are turned, never mirrored;
categories, motions and parts follow from names by the written rules; clip splits and identity splits are what they say,
whatever the order of files; and whatever bytes a file holds, reading it ends in a valid Video or in a DataError that
names the file, without allocating what a header promises. The files are small ones written here; the last section reads
the real animals where $CROSS4D_DATA has them.
"""

import io
import json
import os
import random
import struct
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import DAMAGED, damage

from cross4d_lib.clips import sample_clip
from cross4d_lib.datasets import load_dataset, load_source
from cross4d_lib.datasets.animals import PARTS, part_of, read_parts
from cross4d_lib.datasets.anime import before_camera, read_anime, up_axis
from cross4d_lib.datasets.base import Entry
from cross4d_lib.datasets.deforming_things4d import Animation, category_of, motion_of, split_hash
from cross4d_lib.errors import DataError

DT4D, ANIMALS = (load_source(name) for name in ("deforming-things4d", "animals"))

# A crude animal, y up, looking along +z: feet on the ground, its left at +x, head before, tail behind. Vertices, then
# triangles.
BODY = np.array(
    [
        [0.4, 0, 1],
        [-0.4, 0, 1],
        [0.4, 0, -1],
        [-0.4, 0, -1],
        [0.4, 1, 1],
        [-0.4, 1, 1],
        [0.4, 1, -1],
        [-0.4, 1, -1],
        [0, 1.8, 1.6],
        [0, 1.2, -1.8],
    ],
    np.float32,
)
CORNERS = np.array([[0, 4, 6], [0, 6, 2], [1, 7, 5], [1, 3, 7], [4, 5, 6], [5, 7, 6], [4, 5, 8], [6, 7, 9]])
JOINTS = [
    "FrontFoot.L",
    "IKFrontLeg.R",
    "FFB.L",
    "BackLowerLeg.R",
    "FrontUpLeg.L",
    "FrontShoulder.R",
    "BackLeg.L",
    "Torso2",
    "Ear4.L_end",
    "Tail3",
]


def motion(frames=4, vertices=BODY, up="y"):
    """(F, V, 3): the body moves ahead, one step a frame, and stretches: the last frame is not the sum of steps but its
    own."""
    steps = np.arange(frames, dtype=np.float32)[:, None, None]
    cloud = vertices[None] * (1 + 0.1 * steps) + steps * np.float32([0, 0, 0.5])
    return (
        cloud if up == "y" else np.stack([cloud[..., 0], -cloud[..., 2], cloud[..., 1]], -1)
    )  # Blender's: z up, looking along -y


def anime_bytes(cloud, corners=CORNERS):
    """The file of frames (F, V, 3): offsets relative to the first frame."""
    head = struct.pack("<3i", len(cloud), cloud.shape[1], len(corners))
    return (
        head
        + cloud[0].astype("<f4").tobytes()
        + corners.astype("<i4").tobytes()
        + (cloud[1:] - cloud[0]).astype("<f4").tobytes()
    )


def write_animation(root, name, data=None):
    path = root / name / f"{name}.anime"
    path.parent.mkdir(parents=True)
    path.write_bytes(data if data is not None else anime_bytes(motion()))
    return path


def write_herd(root, species=9, clips=6, up="y"):
    """Species of different meshes, each with an idle, a walk, an attack, ...; two names share the first mesh."""
    actions = ["Idle", "Walk", "Attack1", "GetHit", "Sleepy", "Idle_2"][:clips]
    for k, identity in enumerate(["HorseWhite", "Horse", *(f"beast{chr(97 + k)}" for k in range(species - 2))]):
        extra = np.zeros((max(0, k - 1), 3), np.float32)  # the meshes differ in their number of vertices
        for action in actions:
            cloud = motion(vertices=np.concatenate([BODY, extra]), up=up)
            write_animation(root, f"{identity}_{action}", anime_bytes(cloud))
    return root


def write_parts(root, identity, joints=JOINTS):
    folder = root.with_name(f"{root.name}-parts")
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{identity}.npy", np.arange(len(joints), dtype=np.int16))
    (folder / f"{identity}.names.json").write_text(json.dumps({str(k): name for k, name in enumerate(joints)}))


def read_bytes_as(data, folder):
    path = folder / "bear3EP_Walk.anime"
    path.write_bytes(data)
    return DT4D.read(Entry("bear3EP_Walk", 0, "bear3EP", Animation(path, "bear", "walk", "y")))


# -------------------------------------------------------------------------------------------- geometry


def test_every_frame_is_the_first_plus_its_own_offset(tmp_path):
    """Not plus the offsets before: frame 3 of a body that steps 0.5 a frame has moved 1.5, not 3."""
    path = write_animation(tmp_path, "bear3EP_Walk")
    cloud, corners = read_anime(path)
    assert (
        cloud.shape == (4, 10, 3)
        and cloud.dtype == np.float32
        and np.array_equal(corners, CORNERS)
        and corners.dtype == np.int64
    )
    assert np.allclose(cloud, motion(), atol=1e-6)
    middle = cloud[:, :4].mean(1)
    assert np.allclose(middle[:, 2], [0, 0.5, 1.0, 1.5])


@pytest.mark.parametrize("up", ["y", "z"])
def test_an_animal_stands_upright_and_shows_the_side_that_is_asked_for(up):
    """Camera: x right, y DOWN, z away. From its front (yaw 0) the head is nearest and its left is on our right; from
    its side (90) head and tail are farthest apart across; distances between vertices, and handedness, are those of the
    file."""
    cloud = motion(up=up)
    head, tail, left = 8, 9, slice(0, None, 2)
    front, side = before_camera(cloud, up, 0), before_camera(cloud, up, 90)
    for view in (front, side, before_camera(cloud, up, 45)):
        assert view.shape == cloud.shape and view.dtype == np.float32
        assert (view[0, :4, 1] > view[0, 4:8, 1]).all() and np.argmin(view[0, :, 1]) == head
        gaps = lambda p: np.linalg.norm(p[0][:, None] - p[0], axis=-1)
        assert np.allclose(gaps(view), gaps(cloud), atol=1e-5)
        volume = lambda p: np.linalg.det(p[0][[1, 2, 4]] - p[0][0])
        assert np.isclose(volume(view), volume(cloud), atol=1e-5)
    assert np.argmin(front[0, :, 2]) == head and np.argmax(front[0, :, 2]) == tail
    assert (front[0, [0, 2, 4, 6], 0] > 0.3).all() and left
    assert abs(side[0, head, 0] - side[0, tail, 0]) > 3.3 and np.isclose(
        abs(front[0, head, 0] - front[0, tail, 0]), 0, atol=1e-6
    )


@pytest.mark.parametrize("up", ["y", "z"])
def test_the_axis_that_is_up_is_the_one_along_which_most_animals_stand_on_the_ground(tmp_path, up):
    """One that begins in the air, and a damaged file, are outvoted; both conventions then look the same to the
    camera."""
    files = list(write_herd(tmp_path / up, clips=1, up=up).rglob("*.anime"))
    sunk = motion(up=up)
    sunk[..., 1 if up == "y" else 2] += 40
    files += [write_animation(tmp_path, "flier_Fly", anime_bytes(sunk)), write_animation(tmp_path, "broken_Walk", b"?")]
    assert up_axis(files) == up and up_axis([files[-1]]) == up_axis([]) == "y"
    videos = [DT4D.read(e).frames[0] for e in DT4D.entries(tmp_path / up)]
    assert np.allclose(videos[0], before_camera(motion(), "y")[0], atol=1e-6)


def test_a_clip_of_a_mesh_is_tracked(tmp_path):
    write_herd(tmp_path)
    clip = load_dataset("deforming-things4d", root=tmp_path, frames=16, points=256)[0]
    assert clip.tracked and clip.points.shape == (16, 256, 3) and clip.frames_repeated == 12
    assert np.linalg.norm(clip.points[3] - clip.points[0], axis=-1).min() > 1


# -------------------------------------------------------------------------------------------- names


def test_categories_and_motions_follow_from_names():
    """The release's identities end in a code of capitals and digits; names that begin with a capital have none."""
    real = {
        "bear3EP": "bear",
        "bear84Q": "bear",
        "deerOMG": "deer",
        "bunnyQ": "bunny",
        "raccoonVGG": "raccoon",
        "foxWDFS": "fox",
        "moose1DOG": "moose",
        "tigerD8H": "tiger",
    }
    shared = {name: name for name in ("Horse", "HorseWhite", "ShibaInu", "Stag")}
    assert {name: category_of(name) for name in [*real, *shared]} == real | shared
    motions = {
        "Idle_HitReact_Left": "hit",
        "GetHit1": "hit",
        "Death1": "death",
        "Agression": "attack",
        "Attack_Headbutt": "attack",
        "Gallop_Jump": "jump",
        "Jump_toIdle": "jump",
        "JumpupRM": "jump",
        "Swim17": "swim",
        "SwimforwardRM": "swim",
        "Eating": "eat",
        "Idle_Breathe": "idle",
        "Idle_Headlow": "idle",
        "WalkforwardRM": "walk",
        "RunF": "run",
        "Gallop": "run",
        "Rotate180R": "turn",
        "Sleep": "rest",
        "act7": None,
    }
    assert {action: motion_of(action) for action in motions} == motions


def test_every_joint_of_the_animals_has_a_part():
    """Quadrupeds' and dinosaurs' names; an unknown one has none rather than a wrong one."""
    front = "front left upper leg"
    expected = {
        "Head": "head",
        "Stag_Horns": "head",
        "Ear1.R": "ear",
        "Ear4.L_end": "ear",
        "Neck": "neck",
        "Neck3": "neck",
        "Tail8": "tail",
        "Back": "torso",
        "Body": "torso",
        "Hips": "torso",
        "Shoulders": "torso",
        "Torso3": "torso",
        "AnimalArmature": "torso",
        "FrontShoulder.L": front,
        "FrontUpperLeg.L": front,
        "FrontUpLeg.L": front,
        "FrontLeg.L": front,
        "FrontLowerLeg.L": "front left lower leg",
        "FrontLowLeg.R": "front right lower leg",
        "FrontFoot.R": "front right lower leg",
        "FF.L": "front left lower leg",
        "FFB.L": "back left lower leg",
        "IKFrontLeg.R": "front right lower leg",
        "IKBackLeg.R": "back right lower leg",
        "BackLeg.R": "back right upper leg",
        "BackShoulder.R": "back right upper leg",
        "BackUpperLeg.L": "back left upper leg",
        "BackFoot.L": "back left lower leg",
        "BackLowerLeg.L_end": "back left lower leg",
    }
    assert {joint: PARTS[part_of(joint)] for joint in expected} == expected
    assert [part_of(joint) for joint in ("Wing.L", "FrontKnee.L", "head", "Headlight", "", "FrontFoot")] == [None] * 6
    assert len(PARTS) == len(set(PARTS)) == 13


def test_the_release_s_folders_are_found_and_its_humanoids_are_not(tmp_path):
    """``animals/`` is looked into where it is there; files of other names are passed over; classes are those of the
    files found."""
    for name in ("foxWDFS_Walk", "bear3EP_Agression", "bear84Q_Walk"):
        write_animation(tmp_path / "animals", name)
    write_animation(tmp_path / "humanoids", "clarie_run")
    for other in (
        "animals/bear3EP_Agression/screenshots.anime",
        "animals/bear3EP_Agression/._bear3EP_Agression.anime",
        "animals/notes.txt",
    ):
        (tmp_path / other).write_bytes(b"?")
    found = DT4D.entries(tmp_path)
    assert [(e.id, e.label, e.subject) for e in found] == [
        ("bear3EP_Agression", 0, "bear3EP"),
        ("bear84Q_Walk", 0, "bear84Q"),
        ("foxWDFS_Walk", 1, "foxWDFS"),
    ]
    train = load_dataset("deforming-things4d", root=tmp_path)
    assert train.classes == load_dataset("deforming-things4d", "test", root=tmp_path).classes == ("bear", "fox")
    assert "3 of 1772 in all" in repr(train)


# -------------------------------------------------------------------------------------------- splits


def test_the_clip_split_takes_a_fifth_of_every_category_and_depends_on_its_ids_alone(tmp_path):
    """Every category of two clips or more is on both sides, one of one clip trains; another category's coming changes
    nothing."""
    write_herd(tmp_path)
    write_animation(tmp_path, "lonelyX_Walk")
    by_category = lambda split: np.bincount(
        load_dataset("deforming-things4d", split, root=tmp_path).labels, minlength=10
    )
    names = load_dataset("deforming-things4d", root=tmp_path).classes
    expected_test = np.array([0 if name == "lonely" else 1 for name in names])
    assert np.array_equal(by_category("test"), expected_test) and np.array_equal(
        by_category("train"), np.where(expected_test, 5, 1)
    )
    before = {e.id: e.handle.test for e in DT4D.entries(tmp_path)}
    first_hash = split_hash(tmp_path)
    assert first_hash == split_hash(tmp_path) and len(first_hash) == 16
    write_animation(tmp_path, "zebraQ_Walk")
    assert {e.id: e.handle.test for e in DT4D.entries(tmp_path) if e.subject != "zebraQ"} == before
    assert split_hash(tmp_path) != first_hash


def test_the_split_is_the_same_on_every_machine_and_day(tmp_path):
    """Numbers on a split mean something only while it stays: which clips are test must not change unseen."""
    write_herd(tmp_path, species=4, clips=5)
    assert [e.id for e in DT4D.entries(tmp_path) if e.handle.test] == [
        "HorseWhite_Idle",
        "Horse_Sleepy",
        "beasta_GetHit",
        "beastb_Idle",
    ]


def test_the_identity_split_shares_no_mesh_whatever_the_names(tmp_path):
    """A quarter of the meshes is test; two names of one mesh stay together in every world of other animals."""
    for species in range(3, 12):
        root = write_herd(tmp_path / str(species), species, clips=1)
        sides = {e.subject: e.handle.test_identity for e in DT4D.entries(root)}
        assert sides["Horse"] == sides["HorseWhite"]
        meshes = len(sides) - 1
        assert sum(sides.values()) - (sides["Horse"]) == max(1, (meshes + 2) // 4)
    train, test = (load_dataset("deforming-things4d", f"{side}-identities", root=root) for side in ("train", "test"))
    assert not set(train.subjects) & set(test.subjects) and len(train) + len(test) == 11


def test_the_motion_task_is_of_unseen_identities_and_of_motions_on_both_sides(tmp_path):
    """An action that only one side has, and one without a motion, are left out; labels are the same motions on both
    sides."""
    write_herd(tmp_path)
    lone = next(e.subject for e in DT4D.entries(tmp_path) if e.handle.test_identity)
    write_animation(tmp_path, f"{lone}_Swim")
    write_animation(tmp_path, f"{lone}_act7")
    train, test = (load_dataset("deforming-things4d-actions", side, root=tmp_path) for side in ("train", "test"))
    assert train.classes == test.classes == ("hit", "attack", "rest", "walk", "idle")
    assert not set(train.subjects) & set(test.subjects) and set(train.labels) == set(test.labels) == set(range(5))
    assert all(train.classes[e.label] == motion_of(e.id.split("_", 1)[1]) for e in train.videos_found)
    assert not any("Swim" in e.id or "act7" in e.id for e in train.videos_found)


# -------------------------------------------------------------------------------------------- parts


def test_an_animal_brings_the_part_of_every_vertex(tmp_path):
    root = tmp_path / "animals"
    path = write_animation(root, "Horse_Walk")
    write_parts(root, "Horse")
    entry = ANIMALS.entries(root)[0]
    video = ANIMALS.read(entry)
    assert [PARTS[p] for p in video.point_labels] == [
        "front left lower leg",
        "front right lower leg",
        "back left lower leg",
        "back right lower leg",
        "front left upper leg",
        "front right upper leg",
        "back left upper leg",
        "torso",
        "ear",
        "tail",
    ]
    clip = sample_clip(video, 4, 100)
    assert clip.point_labels.shape == (4, 100) and clip.point_labels.max() < len(PARTS)
    assert DT4D.read(entry).point_labels is None
    before = ANIMALS.fingerprint_of(entry)
    write_parts(root, "Horse", JOINTS[::-1])
    assert ANIMALS.fingerprint_of(entry) != before != DT4D.fingerprint_of(entry)
    path.write_bytes(anime_bytes(motion(5)))
    assert DT4D.fingerprint_of(entry) not in before


BAD_PARTS = {
    "no labels": (lambda folder: (folder / "Horse.npy").unlink(), "cannot be read: No such file"),
    "no names": (lambda folder: (folder / "Horse.names.json").unlink(), "cannot be read: No such file"),
    "another mesh": (lambda folder: np.save(folder / "Horse.npy", np.arange(9)), "shape .9,.*10 vertices"),
    "floats": (lambda folder: np.save(folder / "Horse.npy", np.zeros(10)), "float64"),
    "objects": (lambda folder: np.save(folder / "Horse.npy", np.array([{}] * 10)), "damaged"),
    "unnamed joint": (lambda folder: np.save(folder / "Horse.npy", np.full(10, 77)), r"joints \[77\]"),
    "no part": (
        lambda folder: (folder / "Horse.names.json").write_text(json.dumps({str(k): "Wing.L" for k in range(10)})),
        r"joints \[0, 1",
    ),
    "no json": (lambda folder: (folder / "Horse.names.json").write_text("[1, 2"), "damaged"),
    "a list": (lambda folder: (folder / "Horse.names.json").write_text("[1, 2]"), "damaged"),
    "gigabytes promised": (lambda folder: (folder / "Horse.npy").write_bytes(promising((1 << 40,))), "damaged"),
}


def promising(shape):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<i2", "fortran_order": False, "shape": shape})
    return stream.getvalue() + bytes(20)


@pytest.mark.parametrize("case", BAD_PARTS)
def test_bad_parts_are_refused_with_file_and_mend(tmp_path, case):
    root = tmp_path / "animals"
    write_animation(root, "Horse_Walk")
    write_parts(root, "Horse")
    spoil, message = BAD_PARTS[case]
    spoil(tmp_path / "animals-parts")
    with pytest.raises(DataError, match=message) as refusal:
        ANIMALS.read(ANIMALS.entries(root)[0])
    assert "Horse." in refusal.value.where and refusal.value.fix


def test_animals_without_a_folder_of_parts_are_refused_with_the_other_name(tmp_path):
    write_animation(tmp_path / "animals", "Horse_Walk")
    with pytest.raises(DataError, match="no folder of parts.*deforming-things4d"):
        ANIMALS.read(ANIMALS.entries(tmp_path / "animals")[0])


# -------------------------------------------------------------------------------------------- refusals


GOOD = anime_bytes(motion())


def with_number(at, value, form="<i"):
    data = bytearray(GOOD)
    struct.pack_into(form, data, at, value)
    return bytes(data)


BAD = {
    "empty": (b"", "too short for a header"),
    "short header": (GOOD[:11], "11 bytes are too short"),
    "truncated": (GOOD[:-1], "truncated: the header promises"),
    "too long": (GOOD + b"\0", "too long"),
    "gigabytes promised": (struct.pack("<3i", 2**31 - 1, 2**31 - 1, 5) + GOOD[12:], "truncated"),
    "triangles promised": (with_number(8, 2**30), "truncated"),
    "negative": (struct.pack("<3i", -4, 10, 8) + GOOD[12:], "no animation"),
    "no frame": (struct.pack("<3i", 0, 10, 8) + GOOD[12:], "no animation"),
    "no triangle": (struct.pack("<3i", 1, 10, 0) + bytes(120), "no animation"),
    "big-endian": (struct.pack(">3i", 4, 10, 8) + GOOD[12:], "truncated|no animation"),
    "a corner that is no vertex": (with_number(12 + 120, 10), r"triangle 0 is \[10, 4, 6\], of 10 vertices"),
    "a negative corner": (with_number(12 + 120 + 12, -1), "triangle 1 is"),
    "a vertex that is none": (with_number(12 + 24, float("nan"), "<f"), "frame 0, vertex 2 is"),
    "an infinite offset": (with_number(len(GOOD) - 4, float("inf"), "<f"), "frame 3, vertex 9 is"),
    "too far away": (with_number(len(GOOD) - 4, 1e30, "<f"), "frame 3, vertex 9 is"),
    "text": (b"Dear student, this is not an animation.", "truncated|no animation"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_animation_is_refused_with_file_and_mend(tmp_path, case):
    data, message = BAD[case]
    with pytest.raises(DataError, match=message) as refusal:
        read_bytes_as(data, tmp_path)
    assert refusal.value.where.endswith("bear3EP_Walk.anime") and refusal.value.fix


def test_a_file_that_is_gone_or_larger_than_any_animation_is_refused(tmp_path):
    """The size is looked at before the content, even where the header agrees with it: the sparse file is never read."""
    entry = Entry("x_Walk", 0, "x", Animation(tmp_path / "x_Walk.anime", "x", "walk", "y"))
    with pytest.raises(DataError, match="cannot be read"):
        DT4D.read(entry)
    with open(tmp_path / "x_Walk.anime", "wb") as stream:
        stream.write(struct.pack("<3i", 10**4, 10**5, 1))
        stream.truncate(12 + 12 * (10**9 + 1))
    with pytest.raises(DataError, match="more than any animation"):
        DT4D.read(entry)


def test_one_frame_and_no_motion_are_animations(tmp_path):
    """A file may hold a single frame, or offsets that are all zero: the clip repeats, or stands still."""
    assert len(read_bytes_as(anime_bytes(motion(1)), tmp_path).frames) == 1
    still = read_bytes_as(anime_bytes(np.repeat(motion(1), 3, 0)), tmp_path)
    assert np.ptp(sample_clip(still, 3, 50).points, axis=0).max() == 0


@pytest.mark.parametrize("case", ["gigabytes promised", "triangles promised"])
def test_no_header_makes_the_reader_allocate(tmp_path, case):
    """Peak memory of Python and numpy while refusing stays within some kilobytes, whatever the header promises."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            read_bytes_as(BAD[case][0], tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 2**18
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("count", DAMAGED)
@pytest.mark.parametrize("file", ["Horse_Walk.anime", "Horse.npy", "Horse.names.json"])
def test_damaged_files_give_a_valid_video_or_a_data_error(tmp_path, file, count):
    """No other exception, no invalid video, within seconds."""
    root = tmp_path / "animals"
    write_animation(root, "Horse_Walk")
    write_parts(root, "Horse")
    path = next(tmp_path.rglob(file))
    good, entry, parts = path.read_bytes(), ANIMALS.entries(root)[0], tmp_path / "animals-parts"
    refused, begin = 0, time.process_time()
    for seed in range(count):
        path.write_bytes(damage(good, random.Random(seed)))
        try:
            if file.endswith(".anime"):
                video = DT4D.read(entry)
                assert (
                    np.isfinite(video.frames).all()
                    and video.frames.dtype == np.float32
                    and 0 <= video.triangles.min()
                    and video.triangles.max() < 10
                )
            else:
                labels = read_parts(parts / "Horse.npy", parts / "Horse.names.json", 10)
                assert (
                    labels.shape == (10,)
                    and labels.dtype == np.int64
                    and 0 <= labels.min()
                    and labels.max() < len(PARTS)
                )
        except DataError as error:
            refused += 1
            assert Path(error.where).parent in (path.parent, parts) and error.fix
    assert 0.3 * count < refused <= count
    assert time.process_time() - begin < 30


def test_a_damaged_file_does_not_keep_the_others_from_being_found(tmp_path):
    write_herd(tmp_path, 4, 2)
    before = [(e.id, e.label) for e in DT4D.entries(tmp_path)]
    for path in sorted(tmp_path.rglob("beasta_*.anime")):
        path.write_bytes(b"?")
    assert [(e.id, e.label) for e in DT4D.entries(tmp_path)] == before


# -------------------------------------------------------------------------------------------- the real animals


@pytest.fixture(scope="module")
def real_animals():
    folder = Path(os.environ.get("CROSS4D_DATA", "")) / "animals"
    if not os.environ.get("CROSS4D_DATA") or not folder.is_dir():
        pytest.skip("the animals are not at $CROSS4D_DATA/animals")
    return folder


def test_real_animals_are_found_and_split(real_animals):
    """168 clips of 15 species; 135 / 33 by clip; 11 / 4 species by identity, the two horses together, every part on
    both sides."""
    splits = {split: load_dataset("animals", split, root=real_animals) for split in ANIMALS.splits}
    assert {split: len(ds) for split, ds in splits.items()} == {
        "train": 135,
        "test": 33,
        "train-identities": 118,
        "test-identities": 50,
    }
    assert set(splits["train"].labels) == set(splits["test"].labels) == set(range(15))
    assert sorted(set(splits["test-identities"].subjects)) == ["Alpaca", "Donkey", "Husky", "ShibaInu"]
    assert {"Horse", "HorseWhite"} <= set(splits["train-identities"].subjects)
    assert split_hash(real_animals) == split_hash(real_animals, ANIMALS) == "431a0feb10634f9d"
    for side in ("train", "test"):
        first = {e.subject: e for e in splits[f"{side}-identities"].entries}
        assert {int(p) for e in first.values() for p in ANIMALS.read(e).point_labels} == set(range(13))
    assert "168 of 1772 in all" in load_dataset("deforming-things4d", root=real_animals).found()


def test_real_motions_are_on_both_sides(real_animals):
    train, test = (load_dataset("animals-actions", side, root=real_animals) for side in ("train", "test"))
    assert (
        train.classes == ("hit", "death", "attack", "jump", "eat", "run", "walk", "idle")
        and len(train.videos_found) == 168
    )
    assert set(train.labels) == set(test.labels) == set(range(8)) and not set(train.subjects) & set(test.subjects)


def test_real_animals_stand_move_and_have_their_parts_in_place(real_animals):
    """Heads above feet, left legs on the animal's left (our right, seen from its front), every clip moves."""
    for entry in [e for e in ANIMALS.entries(real_animals) if e.id.endswith("_Walk")]:
        assert entry.handle.up == "y"
        video = ANIMALS.read(entry)
        height = lambda name: -video.frames[0][video.point_labels == PARTS.index(name), 1].mean()
        assert height("head") > height("front left lower leg") and height("torso") > height("back right lower leg")
        assert height("front left upper leg") > height("front left lower leg") and height(
            "back left upper leg"
        ) > height("back left lower leg")
        front = before_camera(read_anime(entry.handle.path)[0], "y", 0)[0]
        across = lambda name: front[video.point_labels == PARTS.index(name), 0].mean()
        assert across("front left lower leg") > across("front right lower leg") and across(
            "back left upper leg"
        ) > across("back right upper leg")
        clip = sample_clip(replace(video, id=entry.id), 16, 2048)
        assert clip.tracked and np.isfinite(clip.points).all() and np.ptp(clip.points, axis=0).max() > 0.1
