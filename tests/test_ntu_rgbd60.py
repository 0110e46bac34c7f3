"""The reader of NTU RGB+D 60.

Claims: folders become videos of the right action, subject and camera; a pixel becomes the point that the Kinect v2's
lens sees in it; frames are decoded only when asked for; a
limit is even over classes and subjects; and whatever a PNG holds, reading it ends in points or in a DataError that
names the file.
"""

import io
import random
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from conftest import DAMAGED, damage
from PIL import Image

from cross4d_lib.clips import sample_clip
from cross4d_lib.datasets import load_dataset, load_source, ntu_rgbd60
from cross4d_lib.datasets.base import Entry
from cross4d_lib.datasets.depth_png import parse_png
from cross4d_lib.datasets.ntu_rgbd60 import CLASSES, KINECT_V2, TRAIN_SUBJECTS
from cross4d_lib.errors import DataError, EmptyVideoError

NTU = load_source("ntu-rgbd60")


def person(shift=0, points=True):
    """(424, 512) uint16 millimetres: a slanted patch in the middle of nothing."""
    depth = np.zeros((424, 512), np.uint16)
    if points:
        depth[150:190, 230 + shift : 260 + shift] = 2500 + 3 * np.arange(40)[:, None]
    return depth


def png_bytes(picture):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def write_video(root, name, frames):
    """frames : pictures (424, 512), or bytes."""
    folder = root / name
    folder.mkdir(parents=True)
    for f, frame in enumerate(frames, start=1):
        (folder / f"MDepth-{f:08}.png").write_bytes(frame if isinstance(frame, bytes) else png_bytes(frame))
    return folder


def read_folder(folder):
    return NTU.read(Entry(folder.name, 0, "P001", folder))


# -------------------------------------------------------------------------------------------- names and splits


def test_folders_become_videos_and_others_are_passed_over(tmp_path):
    """At the root or in folders below; actions of NTU 120, cameras and subjects that do not exist, and files are passed
    over."""
    deep = tmp_path / "nturgb+d_depth_masked" / "s001"
    for name in ("S001C001P001R001A001", "S017C003P040R002A060", "s001c002p003r001a012"):
        (deep if name.startswith("S") else tmp_path).joinpath(name).mkdir(parents=True)
    for name in (
        "S001C001P001R001A061",
        "S001C004P001R001A001",
        "S001C001P041R001A001",
        "S001C001P001R001A000",
        "S001C001P001R001A001x",
        "S01C001P001R001A001",
    ):
        (tmp_path / name).mkdir()
    (tmp_path / "S001C001P001R001A002").write_bytes(b"")
    found = NTU.entries(tmp_path)
    assert [(e.id, e.label, e.subject) for e in found] == [
        ("S001C001P001R001A001", 0, "P001"),
        ("S001C002P003R001A012", 11, "P003"),
        ("S017C003P040R002A060", 59, "P040"),
    ]
    assert [NTU.in_split(e, "train") for e in found] == [True, False, False]
    assert [NTU.in_split(e, "test") for e in found] == [False, True, True]
    assert [NTU.in_split(e, "train-views") for e in found] == [False, True, True]
    assert [NTU.in_split(e, "test-views") for e in found] == [True, False, False]


def test_sixty_classes_twenty_training_subjects_and_the_literature_s_counts():
    assert len(CLASSES) == len(set(CLASSES)) == 60 and len(TRAIN_SUBJECTS) == 20 and max(TRAIN_SUBJECTS) == 38
    assert (CLASSES[7], CLASSES[42], CLASSES[59]) == ("sit down", "falling down", "walking apart")
    expected = NTU.expected
    assert (
        expected["train"] + expected["test"]
        == expected["train-views"] + expected["test-views"]
        == expected["all"]
        == 56_880
    )


def test_a_limit_of_a_thousand_is_even_over_classes_subjects_and_cameras(tmp_path, monkeypatch):
    """Of 40 subjects x 60 actions x 3 cameras x 2 repetitions, ``limit=1000`` trains on 16 or 17 clips of every class,
    exactly 50 of every training subject, and no camera has more than two fifths. Repeatable, and none of the test
    side's."""
    names = [
        f"S001C{c:03}P{p:03}R{r:03}A{a:03}"
        for c in (1, 2, 3)
        for p in range(1, 41)
        for r in (1, 2)
        for a in range(1, 61)
    ]
    entries = sorted((Entry(name, int(name[-3:]) - 1, name[8:12], tmp_path) for name in names), key=lambda e: e.id)
    source = ntu_rgbd60.SOURCE
    monkeypatch.setattr(ntu_rgbd60, "SOURCE", type(source)(**{**source.__dict__, "entries": lambda root: entries}))
    subset = load_dataset("ntu-rgbd60", root=tmp_path, limit=1000)
    count = lambda values: dict(zip(*np.unique(values, return_counts=True), strict=True))
    assert len(subset) == 1000 and set(count(subset.labels).values()) == {16, 17} and len(count(subset.labels)) == 60
    assert count(subset.subjects) == {f"P{s:03}": 50 for s in sorted(TRAIN_SUBJECTS)}
    cameras = count([e.id[5:8] for e in subset.entries])
    assert len(cameras) == 3 and max(cameras.values()) < 400
    assert subset.ids == load_dataset("ntu-rgbd60", root=tmp_path, limit=1000).ids


# -------------------------------------------------------------------------------------------- points


def test_a_pixel_becomes_the_point_that_the_lens_sees_in_it(tmp_path):
    """x = (u - cx) z / fx, y = (v - cy) z / fy, metres; oracle: a double loop over the pixels."""
    depth = person()
    fx, fy, cx, cy = KINECT_V2
    expected = [
        [(u - cx) * z / fx, (v - cy) * z / fy, z]
        for v in range(424)
        for u in range(512)
        if depth[v, u]
        for z in [depth[v, u] / 1000]
    ]
    points = read_folder(write_video(tmp_path, "S001C001P001R001A001", [depth])).frames[0]
    assert points.shape == (1200, 3) and points.dtype == np.float32 and np.allclose(points, expected, atol=1e-5)
    assert points[0, 1] < points[-1, 1] and points[0, 0] < points[29, 0]  # y down, x right


def test_every_filter_is_undone_as_pillow_does():
    """Noise makes an encoder use every prediction; our picture, each filter forced in turn and all mixed, is
    Pillow's."""
    noise = np.random.default_rng(0).integers(0, 65536, (424, 512), np.uint16)
    smooth = (person() + np.arange(512) * 37).astype(np.uint16)
    files = [png_bytes(noise), png_bytes(smooth)]
    rows = np.random.default_rng(1).integers(0, 256, (424, 1025), np.uint8)
    for method in range(6):
        rows[:, 0] = method if method < 5 else np.arange(424) % 5
        files.append(png(pixels=zlib.compress(rows.tobytes(), 1)))
    for data in files:
        assert np.array_equal(parse_png(data, 424, 512, "x.png"), np.asarray(Image.open(io.BytesIO(data))))


def test_frames_are_decoded_when_they_are_asked_for_and_in_the_order_of_their_numbers(tmp_path):
    """A clip of 4 of 40 frames decodes four; a damaged frame that no clip takes harms nothing."""
    folder = write_video(tmp_path, "S001C001P001R001A001", [person(f) for f in range(12)] + [b"?"] * 4)
    (folder / "MDepth-00000099.png.part").write_bytes(b"?")
    video = read_folder(folder)
    assert len(video.frames) == 16
    assert np.allclose(
        [video.frames[f][0, 0] for f in (0, 5)], [(230 + f - KINECT_V2[2]) * 2.5 / KINECT_V2[0] for f in (0, 5)]
    )
    assert sample_clip(video, 4, 100).frame_indices.tolist() == [6, 7, 8, 9]
    with pytest.raises(DataError, match="not a PNG.*MDepth-00000013.png"):
        sample_clip(video, 16, 100)
    assert len(video.frames[2:5]) == 3 and np.array_equal(video.frames[-5], video.frames[11])
    with pytest.raises(IndexError):
        video.frames[16]


def test_a_frame_that_the_mask_left_empty_has_no_points_and_decodes_when_asked_for(tmp_path):
    """A clip shows the nearest frame with points in its place; of a damaged one it never takes, it decodes nothing."""
    filled = [False, True, False, False, True, False, True, True]
    frames = [person(f, points) for f, points in enumerate(filled)]
    video = read_folder(write_video(tmp_path, "S001C001P001R001A001", [*frames, b"?"]))
    assert video.frames[0].shape == (0, 3) and video.frames[0].dtype == np.float32
    clip = sample_clip(video, 4, 50)
    assert (clip.frame_indices.tolist(), clip.frames_repeated) == ([1, 4, 4, 4], 3)
    left = clip.points[..., 0].min(1) * KINECT_V2[0] / 2.5 + KINECT_V2[2] - 230
    assert np.allclose(left, clip.frame_indices, atol=2)


def test_a_video_without_a_single_point_and_a_folder_without_a_frame_are_refused(tmp_path):
    nothing = read_folder(write_video(tmp_path, "S001C001P001R001A001", [person(points=False)] * 3))
    with pytest.raises(EmptyVideoError, match="no frame has a point.*S001C001P001R001A001"):
        sample_clip(nothing, 3, 10)
    with pytest.raises(DataError, match="no frame MDepth.*Fix"):
        read_folder(write_video(tmp_path, "S001C001P001R001A002", []))
    with pytest.raises(DataError, match="folder cannot be read"):
        read_folder(tmp_path / "gone")


def test_the_fingerprint_follows_the_frames(tmp_path):
    folder = write_video(tmp_path, "S001C001P001R001A001", [person(f) for f in range(3)])
    entry = NTU.entries(tmp_path)[0]
    before = NTU.fingerprint_of(entry)
    assert before == NTU.fingerprint_of(entry)
    (folder / "MDepth-00000002.png").write_bytes(png_bytes(person(3) // 7))
    assert NTU.fingerprint_of(entry) != before


# -------------------------------------------------------------------------------------------- refusals


GOOD = png_bytes(person())


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(wide=512, high=424, bits=16, colours=0, pixels=None, interlaced=0):
    """A PNG by hand: what its header says need not be what follows."""
    pixels = zlib.compress(bytes((1 + 2 * 512) * 424)) if pixels is None else pixels
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, bits, colours, 0, 0, interlaced))
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


BAD = {
    "empty": (b"", "empty"),
    "cut in the header": (GOOD[:30], "truncated"),
    "cut in the picture": (GOOD[: len(GOOD) // 2], "truncated"),
    "no picture": (GOOD[:33] + chunk(b"IEND", b""), "ends 434,600 bytes early"),
    "no end": (GOOD[:-12], "truncated between the chunks"),
    "a flipped bit": (GOOD[:200] + bytes([GOOD[200] ^ 4]) + GOOD[201:], "checksum of chunk b'IDAT'"),
    "text": (b"Dear student, this is not a picture of anything.", "not a PNG"),
    "another size": (png_bytes(person()[:240, :320]), "320 columns x 240 rows, where 512 x 424"),
    "8 bits": (png_bytes((person() >> 8).astype(np.uint8)), "8 bits, grey"),
    "colour": (png_bytes(np.zeros((424, 512, 3), np.uint8)), "8 bits, colour"),
    "palette": (png(bits=8, colours=3), "palette"),
    "gigapixels promised": (png(2**31 - 1, 2**31 - 1), "2147483647 columns"),
    "half a picture": (png(pixels=zlib.compress(bytes(1025 * 200))), "ends 229,600 bytes early"),
    "more than a picture": (png(pixels=zlib.compress(bytes(2**26), 9)), "does not end where its size says"),
    "no compression": (png(pixels=b"depth" * 100), "damaged compression"),
    "a filter that is none": (png(pixels=zlib.compress(b"\5" + bytes(1025 * 424 - 1))), "row 0 has filter 5"),
    "interlaced": (png(interlaced=1), "interlaced"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_png_is_refused_with_file_and_mend_and_without_allocating(tmp_path, case):
    data, message = BAD[case]
    video = read_folder(write_video(tmp_path, "S001C001P001R001A001", [data]))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message) as refusal:
            video.frames[0]
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()
    assert refusal.value.where.endswith("MDepth-00000001.png") and refusal.value.fix


def test_a_file_larger_than_any_depth_map_is_not_read(tmp_path):
    folder = write_video(tmp_path, "S001C001P001R001A001", [b"?"])
    with open(folder / "MDepth-00000001.png", "wb") as stream:
        stream.truncate(100 * 10**9)
    with pytest.raises(DataError, match="more than any"):
        read_folder(folder).frames[0]


@pytest.mark.parametrize("count", DAMAGED)
def test_damaged_pngs_give_points_or_a_data_error(tmp_path, count):
    folder = write_video(tmp_path, "S001C001P001R001A001", [b"?"])
    path, refused, begin = folder / "MDepth-00000001.png", 0, time.process_time()
    for seed in range(count):
        path.write_bytes(damage(GOOD, random.Random(seed)))
        try:
            points = read_folder(folder).frames[0]
        except DataError as error:
            refused += 1
            assert error.where == str(path) and error.fix
        else:
            assert (
                points.ndim == 2 and points.shape[1] == 3 and points.dtype == np.float32 and np.isfinite(points).all()
            )
    assert 0.3 * count < refused <= count
    assert time.process_time() - begin < 30
