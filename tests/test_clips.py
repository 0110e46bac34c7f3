"""From videos to clips: which frames, which points, how many of them repeated, and which videos.

Claims: a clip always has T frames of N points; what it repeats is counted exactly; sampling depends on the video's id
and the seed alone, so neither order, nor limit, nor neighbours change a clip; and a limited dataset still spreads over
classes and subjects. The videos are made here, each coordinate a code of its frame and point.
"""

import json
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross4d_lib.clips import (
    Video,
    check_finite,
    clip_generator,
    frame_indices,
    point_indices,
    sample_clip,
    surface_samples,
)
from cross4d_lib.datasets.base import ClipDataset, Entry, Source, across_subjects, spread
from cross4d_lib.datasets.data_files import dataset_root
from cross4d_lib.decisions import CLIP_MEMORY, FLOAT32_BLUR
from cross4d_lib.errors import ConfigError, DataError, EmptyVideoError
from cross4d_lib.files import file_digest


def coded_video(sizes, video_id="v", labels=False):
    """A video whose frame f has sizes[f] points, point n of frame f at (f, n, 0), labelled n % 3."""
    frames = [
        np.stack([np.full(size, f), np.arange(size), np.zeros(size)], axis=1).astype(np.float32)
        for f, size in enumerate(sizes)
    ]
    return Video(frames, video_id, 1, "s1", [np.arange(size) % 3 for size in sizes] if labels else None)


# -------------------------------------------------------------------------------------------- frames


@given(available=st.integers(1, 300), frames=st.integers(1, 64), stride=st.integers(1, 8))
def test_a_stride_gives_the_centred_window_and_counts_its_padding(available, frames, stride):
    """Long enough: frames exactly ``stride`` apart, as many free frames before as after (or one fewer). Too short: from
    frame 0 on, and every frame beyond the end is the last one, counted."""
    indices, repeated = frame_indices(available, frames, stride)
    assert indices.shape == (frames,) and indices.dtype == np.int64
    reach = (frames - 1) * stride + 1
    if available >= reach:
        assert repeated == 0 and (np.diff(indices) == stride).all()
        before, after = indices[0], available - 1 - indices[-1]
        assert after - before in (0, 1)
    else:
        oracle = [f * stride for f in range(frames)]
        assert indices.tolist() == [min(f, available - 1) for f in oracle]
        assert repeated == sum(f >= available for f in oracle) > 0


@given(available=st.integers(1, 300), frames=st.integers(1, 64))
def test_uniform_sees_the_whole_video_and_counts_its_repetitions(available, frames):
    """First and last frame are among them, steps are even to one frame, and none repeats unless there are too few."""
    indices, repeated = frame_indices(available, frames, "uniform")
    assert indices.shape == (frames,) and indices[0] == 0
    assert frames == 1 or indices[-1] == available - 1
    steps = np.diff(indices)
    assert (steps >= 0).all() and (frames == 1 or np.ptp(steps) <= 1)
    assert repeated == max(0, frames - available)


def test_two_windows_by_hand():
    assert frame_indices(10, 4)[0].tolist() == [3, 4, 5, 6]
    assert frame_indices(10, 4, 2)[0].tolist() == [1, 3, 5, 7]
    indices, repeated = frame_indices(3, 5)
    assert (indices.tolist(), repeated) == ([0, 1, 2, 2, 2], 2)
    indices, repeated = frame_indices(3, 5, "uniform")
    assert (indices.tolist(), repeated) == ([0, 0, 1, 2, 2], 2)


@pytest.mark.parametrize(
    ("frames", "stride"), [(0, 1), (-3, 1), (2.5, 1), ("4", 1), (True, 1), (4, 0), (4, -1), (4, "all"), (4, 1.5)]
)
def test_a_size_that_is_no_clip_is_refused(frames, stride):
    with pytest.raises(ConfigError, match=r"(frames|stride)=.*a whole number, 1 or more"):
        frame_indices(10, frames, stride)


@pytest.mark.parametrize("number", [np.int64, np.uint8, float, np.float32])
def test_whole_numbers_of_any_type_are_sizes(number):
    """In sampling and in a dataset, whose settings stay plain JSON."""
    assert np.array_equal(frame_indices(10, number(4), number(2))[0], frame_indices(10, 4, 2)[0])
    dataset = toy(frames=number(4), points=number(10), stride=number(2), seed=number(1), limit=number(5))
    assert json.dumps(dataset.settings()) == json.dumps(toy(frames=4, points=10, stride=2, seed=1, limit=5).settings())
    assert dataset[number(1) if number in (np.int64, np.uint8) else 1].points.shape == (4, 10, 3)


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"points": 64.5}, {"stride": "all"}, {"seed": None}, {"limit": "3"}])
def test_a_dataset_refuses_numbers_that_are_none_before_it_reads(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}="):
        toy(**wrong)


# -------------------------------------------------------------------------------------------- points


@given(available=st.integers(1, 200), points=st.integers(1, 200), seed=st.integers(0, 99))
def test_points_are_distinct_while_they_last_and_then_repeat_evenly(available, points, seed):
    """Without replacement; with too few, every point appears, none more than once oftener than another, and the count
    is exact."""
    indices, repeated = point_indices(available, points, np.random.default_rng(seed))
    times = np.bincount(indices, minlength=available)
    assert indices.shape == (points,) and indices.dtype == np.int64 and len(times) == available
    assert repeated == max(0, points - available) == points - (times > 0).sum()
    assert np.ptp(times) <= 1


def test_every_point_is_equally_likely():
    """2,000 draws of 5 of 20 points: each is drawn 500 times on average, standard deviation 19."""
    generator = np.random.default_rng(0)
    times = sum(np.bincount(point_indices(20, 5, generator)[0], minlength=20) for _ in range(2000))
    assert abs(times - 500).max() < 100


def test_a_frame_of_nothing_and_a_sample_of_nothing_are_refused():
    with pytest.raises(ConfigError, match="points=0"):
        point_indices(5, 0, np.random.default_rng(0))
    with pytest.raises(DataError, match="without points"):
        point_indices(0, 5, np.random.default_rng(0))
    with pytest.raises(DataError, match="without frames"):
        frame_indices(0, 5)


# -------------------------------------------------------------------------------------------- clips


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=40),
    frames=st.integers(1, 30),
    points=st.integers(1, 80),
    stride=st.sampled_from([1, 2, 3, "uniform"]),
)
def test_a_clip_has_its_size_its_video_s_points_and_exact_counts(sizes, frames, points, stride):
    """T x N whatever the video; frame f of the clip holds points of frame frame_indices[f]; labels stay beside their
    points.

    Repeated frames are those beyond the video's end. With a stride over 1 the first of them may show the last frame for
    the first time, so the distinct frames are the rest, or one more.
    """
    clip = sample_clip(coded_video(sizes, labels=True), frames, points, stride)
    assert clip.points.shape == (frames, points, 3) and clip.points.dtype == np.float32
    assert (clip.points[..., 0] == clip.frame_indices[:, None]).all()
    assert (clip.point_labels == clip.points[..., 1] % 3).all()
    distinct = [len(np.unique(frame[:, 1])) for frame in clip.points]
    assert distinct == [min(points, sizes[f]) for f in clip.frame_indices]
    assert clip.points_repeated == sum(points - d for d in distinct)
    distinct_frames = len(set(clip.frame_indices.tolist()))
    assert distinct_frames - (frames - clip.frames_repeated) in ((0,) if stride in (1, "uniform") else (0, 1))
    assert (clip.id, clip.label, clip.subject) == ("v", 1, "s1")


def test_sampling_depends_on_id_and_seed_alone():
    """The same id and seed twice: the same clip. Another seed or another id: another choice of points."""
    sizes = [50] * 6
    clip = lambda video_id="v", seed=0: sample_clip(coded_video(sizes, video_id), 6, 20, seed=seed).points
    assert np.array_equal(clip(), clip())
    assert not np.array_equal(clip(), clip(seed=1))
    assert not np.array_equal(clip(), clip("w"))


def test_the_choice_of_points_is_the_same_on_every_machine_and_day():
    """Stored targets and results refer to these points: a change of generator must not pass unseen."""
    clip = sample_clip(coded_video([9, 9, 9], "a01_s01_e01"), 3, 4, seed=7)
    assert clip.points[..., 1].astype(int).tolist() == [[8, 4, 5, 1], [3, 4, 7, 2], [5, 6, 0, 7]]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_coordinate_that_is_not_finite_is_named(bad):
    points = np.zeros((3, 4, 3), np.float32)
    points[2, 1, 0] = bad
    with pytest.raises(DataError, match="frame 2, point 1 is not finite.*my clip"):
        check_finite(points, "my clip")
    video = coded_video([5, 5])
    video.frames[1][:, 2] = bad
    with pytest.raises(DataError, match="frame 1.*not finite"):
        sample_clip(video, 2, 5)


@settings(deadline=None)
@given(
    sizes=st.lists(st.sampled_from([0, 0, 3, 9]), min_size=1, max_size=12),
    frames=st.integers(1, 16),
    stride=st.sampled_from([1, 2, "uniform"]),
)
def test_an_empty_frame_shows_the_nearest_with_points_and_counts_as_repeated(sizes, frames, stride):
    """Of two as near the earlier; points, labels and indices are those of the frame shown. A video without a point is
    refused."""
    video = coded_video(sizes, labels=True)
    filled = [f for f, size in enumerate(sizes) if size]
    if not filled:
        with pytest.raises(EmptyVideoError, match=r"no frame has a point \[v\].*Fix"):
            sample_clip(video, frames, 5, stride)
        return
    wanted, padded = frame_indices(len(sizes), frames, stride)
    clip = sample_clip(video, frames, 5, stride)
    assert clip.frame_indices.tolist() == [min(filled, key=lambda g: (abs(g - f), g)) for f in wanted]
    assert (clip.points[..., 0] == clip.frame_indices[:, None]).all()
    assert (clip.point_labels == clip.points[..., 1] % 3).all()
    inside = wanted if stride == "uniform" else wanted[: frames - padded]
    assert clip.frames_repeated == padded + len({f for f in inside.tolist() if not sizes[f]}) <= frames


@pytest.mark.parametrize("mesh", [False, True])
@pytest.mark.parametrize("place", [(0, 0, 0), (3, -2, 4), (4.5e5, 5.4e6, 120), (-1e9, 0, 1e12)])
def test_float64_coordinates_far_from_the_origin_lose_nothing(mesh, place):
    """Differences between a clip's points are the video's to FLOAT32_BLUR, wherever it was recorded; origin + points is
    where that was, and origin is 0 near the origin."""
    rng = np.random.default_rng(0)
    near = [rng.normal(size=(60, 3)) for _ in range(4)]
    triangles = np.arange(60).reshape(20, 3) if mesh else None
    far = Video([frame + np.array(place, float) for frame in near], "v", triangles=triangles)
    clip, expected = sample_clip(far, 4, 40), sample_clip(Video(near, "v", triangles=triangles), 4, 40)
    assert clip.points.dtype == np.float32 and clip.origin.shape == (3,) and clip.origin.dtype == np.float64
    rounding = 2 * np.spacing(np.abs(place).max()) + 1e-5 * 3 * FLOAT32_BLUR / 1e-5
    assert np.allclose(clip.points + clip.origin - np.array(place, float), expected.points, atol=rounding, rtol=0)
    assert (clip.origin == 0).all() == (max(np.abs(place)) < 10) and np.abs(clip.points).max() < 20
    assert (sample_clip(coded_video([9] * 3), 3, 4).origin == 0).all()


def test_a_coordinate_that_float32_cannot_hold_is_named():
    video = Video([np.array([[0.0, 0, 1], [0, 1e39, 1]])], "v")
    with pytest.raises(DataError, match="frame 0, point . is not finite.*1e.39"):
        sample_clip(video, 1, 2)


# -------------------------------------------------------------------------------------------- datasets


def toy_source(sizes_of, classes=3, subjects=4, takes=3):
    """A source of classes x subjects x takes videos; the first half of the subjects trains. sizes_of(id): points per
    frame."""
    ids = [(f"a{a}_s{s}_t{t}", a, f"s{s}") for a in range(classes) for s in range(subjects) for t in range(takes)]
    entries = [Entry(video_id, label, subject, None) for video_id, label, subject in ids]
    return Source(
        name="toy",
        classes=tuple(f"class {a}" for a in range(classes)),
        splits=("train", "test"),
        entries=lambda root: entries,
        in_split=lambda entry, split: (int(entry.subject[1:]) < subjects // 2) == (split == "train"),
        read=lambda entry: coded_video(sizes_of(entry.id), entry.id),
        expected={"all": 36, "train": 20},
        citation="",
        fingerprint_of=lambda entry: str(sizes_of(entry.id)),
    )


def toy(split="train", sizes_of=lambda video_id: [30] * 8, **options):
    return ClipDataset(toy_source(sizes_of), split, **{"frames": 4, "points": 10, **options})


def test_neither_order_nor_limit_nor_split_mates_change_a_clip():
    """Clips read forwards, in random order, twice, or from a limited dataset are the same clips."""
    forwards = toy()
    points = {forwards.ids[i]: forwards[i].points for i in range(len(forwards))}
    shuffled, order = toy(), list(range(18))
    random.Random(0).shuffle(order)
    assert all(np.array_equal(shuffled[i].points, points[shuffled.ids[i]]) for i in order + order)
    few = toy(limit=5)
    assert all(np.array_equal(clip.points, points[clip.id]) for clip in few)


def test_a_dataset_is_a_sequence_of_its_split():
    train, test = toy("train"), toy("test")
    assert (
        len(train) == len(test) == 18
        and not set(train.ids) & set(test.ids)
        and not set(train.subjects) & set(test.subjects)
    )
    assert train[-1].id == train.ids[-1] and train[-1] is train[17]
    assert [clip.id for clip in train] == train.ids
    assert train.labels.dtype == np.int64 and train.labels.tolist() == [int(i[1]) for i in train.ids]
    assert train.classes == ("class 0", "class 1", "class 2")
    for outside in (18, -19):
        with pytest.raises(IndexError):
            train[outside]


def test_found_says_what_the_literature_counts():
    assert toy().found() == "18 of 20 (train), 36 of 36 in all"
    assert toy("test").found() == "18 (test), 36 of 36 in all"
    assert toy().found() in repr(toy())


def test_counts_add_up_what_was_repeated():
    """One video of 3 frames padded to 4, one with a frame of 4 points brought to 10: both counted, no other."""
    sizes = {"a0_s0_t0": [30, 30, 30], "a1_s0_t0": [30, 4, 30, 30]}
    counts = toy(sizes_of=lambda video_id: sizes.get(video_id, [30] * 8)).counts()
    assert counts == {"clips": 18, "clips_padded": 1, "frames_repeated": 1, "points_repeated": 6}


@settings(deadline=None)
@given(limit=st.integers(1, 40))
def test_a_limit_spreads_over_classes_and_subjects(limit):
    """Class sizes differ by one at most, and within a class so do the subjects' shares; order by id is kept."""
    entries = [Entry(f"a{a}_s{s}_t{t}", a, f"s{s}", None) for a in range(3) for s in range(4) for t in range(3)]
    kept = spread(entries, limit)
    assert len(kept) == min(limit, 36) and [e.id for e in kept] == sorted({e.id for e in kept})
    assert np.ptp(np.bincount([e.label for e in kept], minlength=3)) <= 1
    for label in range(3):
        assert np.ptp(np.bincount([int(e.subject[1:]) for e in kept if e.label == label], minlength=4)) <= 1


def test_a_limit_takes_all_of_a_small_class_before_more_of_a_large_one():
    entries = [Entry(f"a0_{i:02}", 0, "s1", None) for i in range(20)] + [Entry("a1_00", 1, "s1", None)]
    assert [e.id for e in spread(entries, 3)] == ["a0_00", "a0_01", "a1_00"]
    group = [Entry(i, 0, s, None) for i, s in (("1", "s1"), ("2", "s1"), ("3", "s2"))]
    assert [e.id for e in across_subjects(group)] == ["1", "3", "2"]


def test_a_limit_below_one_an_unknown_split_and_an_empty_split_are_refused():
    with pytest.raises(ConfigError, match="limit=0"):
        toy(limit=0)
    with pytest.raises(ConfigError, match="one of train, test"):
        toy("validation")
    empty = toy_source(lambda video_id: [5], subjects=1)  # half of one subject is none
    with pytest.raises(DataError, match="no video of split 'train' among 9 found"):
        ClipDataset(empty, "train")


def test_a_slice_is_the_dataset_of_those_clips():
    """Of the same settings and memory, with a fingerprint of its own; other indices work or are refused."""
    whole = toy()
    of_all = whole.fingerprint()
    for part, ids in ((whole[:2], whole.ids[:2]), (whole[::-5], whole.ids[::-5]), (whole[2:][1:4], whole.ids[3:6])):
        assert isinstance(part, ClipDataset) and part.ids == ids and len(part) == len(part.labels) == len(ids)
        assert all(part[i] is whole[whole.ids.index(part.ids[i])] for i in range(len(part)))
        assert part.fingerprint() != of_all == whole.fingerprint() and part.settings().keys() == whole.settings().keys()
    assert whole[np.int64(3)] is whole[3] and len(whole[18:]) == 0
    for wrong in (1.0, "a", [0, 1], None):
        with pytest.raises(ConfigError, match=r"ds\[:10\]"):
            whole[wrong]


def test_memory_stays_bounded_however_many_clips_are_read():
    """400 clips of 60 kB pass through 1 MiB; the last 17 stay, the first are read again, the same as before."""
    source = toy_source(lambda video_id: [30] * 8, takes=67)
    dataset = ClipDataset(source, "train", frames=5, points=1000, memory=1)
    first = dataset[0].points.copy()
    kept = dataset[1]
    tracemalloc.start()
    try:
        for _ in dataset:
            assert tracemalloc.get_traced_memory()[0] < 2 * 2**20
    finally:
        tracemalloc.stop()
    assert len(dataset) > 400 and dataset[-1] is dataset[-1] and dataset[1] is not kept
    assert np.array_equal(dataset[0].points, first)
    unkept = ClipDataset(source, "train", frames=5, points=1000, memory=0)
    assert unkept[0] is not unkept[0] and np.array_equal(unkept[0].points, first)


def test_the_environment_sets_how_much_is_kept(monkeypatch):
    monkeypatch.setenv("CROSS4D_CLIP_MEMORY", "0")
    assert (lambda ds: ds[0] is not ds[0])(toy())
    monkeypatch.setenv("CROSS4D_CLIP_MEMORY", "lots")
    with pytest.raises(ConfigError, match="memory='lots'.*CROSS4D_CLIP_MEMORY"):
        toy()
    monkeypatch.delenv("CROSS4D_CLIP_MEMORY")
    assert (lambda ds: ds[0] is ds[0])(toy())
    assert CLIP_MEMORY << 20 > 290 * 24 * 2048 * 12  # a split of MSR-Action3D at the paper's size


def test_videos_without_a_point_are_listed_at_once_and_left_out_on_request():
    """One error names them all; with skip_empty they are left out before the limit, and counted."""
    empty = {"a0_s0_t0", "a1_s1_t2", "a2_s0_t1", "a0_s3_t0"}  # the last is in the test split
    sizes = lambda video_id: [0] * 3 if video_id in empty else [0, 30, 0]
    whole = toy(sizes_of=sizes)
    with pytest.raises(EmptyVideoError, match="3 of 18 videos .*a0_s0_t0, a1_s1_t2, a2_s0_t1.*skip_empty=True"):
        whole[0]
    rest = toy(sizes_of=sizes, skip_empty=True)
    assert rest.left_out == sorted(empty)[:1] + ["a1_s1_t2", "a2_s0_t1"] and set(rest.ids) == set(whole.ids) - empty
    assert rest.found() == "15 of 20 (train, 3 without points left out), 36 of 36 in all"
    assert rest.counts() == {
        "clips": 15,
        "clips_padded": 15,
        "frames_repeated": 45,
        "points_repeated": 0,
        "videos_left_out": 3,
    }
    assert len(toy(sizes_of=sizes, skip_empty=True, limit=15)) == 15
    assert (
        toy(skip_empty=True).settings() == toy().settings() and "videos_left_out" not in toy(skip_empty=True).counts()
    )
    with pytest.raises(DataError, match="no video of split"):
        toy(sizes_of=lambda video_id: [0], skip_empty=True)


def test_the_fingerprint_follows_content_and_selection_and_the_settings_everything_else():
    """A stored target belongs to exactly one dataset: any change of its clips shows in settings(), and nothing else
    does."""
    same = toy().settings()
    assert same == toy().settings()
    changed = [
        toy("test"),
        toy(frames=5),
        toy(points=9),
        toy(stride=2),
        toy(seed=1),
        toy(limit=7),
        toy(sizes_of=lambda video_id: [30] * (7 if video_id == "a0_s0_t0" else 8)),
    ]
    assert all(dataset.settings() != same for dataset in changed)
    assert toy(frames=5).fingerprint() == toy().fingerprint() != toy(limit=7).fingerprint()


def test_a_file_s_digest_is_its_content_s(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "b").write_bytes(b"x" * 3_000_000)
    (tmp_path / "c").write_bytes(b"x" * 2_999_999 + b"y")
    a, b, c = (file_digest(tmp_path / name) for name in "abc")
    assert a == b != c and len(a) == 16


def test_the_root_is_the_argument_or_the_environment_s(tmp_path, monkeypatch):
    monkeypatch.setenv("CROSS4D_DATA", str(tmp_path))
    (tmp_path / "toy").mkdir()
    assert dataset_root("toy", None) == tmp_path / "toy"
    assert dataset_root("toy", str(tmp_path)) == tmp_path
    with pytest.raises(DataError, match="is not there.*Fix"):
        dataset_root("other", None)
    monkeypatch.delenv("CROSS4D_DATA")
    with pytest.raises(DataError, match="set CROSS4D_DATA"):
        dataset_root("toy", None)


# -------------------------------------------------------------------------------------------- moving meshes


SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [4, 0, 0], [4, 1, 0]], np.float32)
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3], [1, 4, 5], [1, 5, 2]])  # a square of area 1 beside a rectangle of area 3


def turned(vertices, angle):
    cos, sin = np.cos(angle), np.sin(angle)
    return (vertices @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T).astype(np.float32)


def moving_mesh(video_id="mesh", frames=8, labels=None):
    """The flat strip turning about the vertical and shifting."""
    return Video(
        [turned(SQUARE, 0.3 * f) + np.float32([f, 0, 2]) for f in range(frames)], video_id, 2, "s1", labels, TRIANGLES
    )


def test_a_surface_is_sampled_by_area():
    """Every part of the surface gets its share of 40,000 points, whichever triangles cover it: the square a quarter,
    and within a triangle each of the four triangles between its edges' middles a quarter."""
    corners, weights = surface_samples(SQUARE, TRIANGLES, 40_000, np.random.default_rng(0))
    assert corners.shape == weights.shape == (40_000, 3) and corners.dtype == np.int64
    assert (weights >= 0).all() and np.allclose(weights.sum(1), 1)
    points = np.einsum("nk,nkc->nc", weights, SQUARE[corners].astype(float))
    assert abs((points[:, 0] < 1).mean() - 0.25) < 0.01
    counts, *_ = np.histogram2d(points[:, 0], points[:, 1], bins=(8, 4), range=((0, 4), (0, 1)))
    assert abs(counts / 40_000 - 1 / 32).max() < 0.005
    quarters = [(weights.max(1) < 0.5).mean(), *(weights > 0.5).mean(0)]
    assert np.allclose(quarters, 0.25, atol=0.01)


@pytest.mark.parametrize("frames", [1, 8, 13])
def test_a_point_of_a_mesh_is_the_same_place_of_the_surface_in_every_frame(frames):
    """Undoing the mesh's turn and shift brings every frame's points back onto the first frame's, point by point."""
    clip = sample_clip(moving_mesh(), frames, 300)
    assert clip.tracked and clip.points.shape == (frames, 300, 3) and clip.points.dtype == np.float32
    for points, f in zip(clip.points, clip.frame_indices, strict=True):
        assert np.allclose(
            turned(points - np.float32([f, 0, 2]), -0.3 * f),
            turned(clip.points[0] - np.float32([clip.frame_indices[0], 0, 2]), -0.3 * clip.frame_indices[0]),
            atol=1e-5,
        )
    assert (clip.points_repeated, clip.frames_repeated) == (0, max(0, frames - 8))
    assert (clip.id, clip.label, clip.subject, clip.point_labels) == ("mesh", 2, "s1", None)
    assert not sample_clip(coded_video([9] * 3), 3, 4).tracked


def test_a_point_of_a_mesh_has_the_label_of_its_nearest_corner():
    """Nearest by barycentric weight; in this strip of right triangles labelled by x, left of the middle is left."""
    labels = np.array([0, 1, 1, 0, 2, 2])
    clip = sample_clip(moving_mesh(frames=1, labels=labels), 1, 2000)
    x = clip.points[0, :, 0].astype(float)
    assert clip.point_labels.shape == (1, 2000) and clip.point_labels.dtype == np.int64
    assert set(clip.point_labels[0][x < 0.3]) == {0} and set(clip.point_labels[0][x > 3.1]) == {2}
    corners, weights = surface_samples(SQUARE, TRIANGLES, 2000, clip_generator("mesh", 0))
    assert np.array_equal(
        clip.point_labels[0], [labels[c[int(np.argmax(w))]] for c, w in zip(corners, weights, strict=True)]
    )
    several = sample_clip(moving_mesh(labels=labels), 4, 50).point_labels
    assert (several == several[0]).all() and len(set(several[0])) == 3


def test_a_mesh_is_sampled_by_id_and_seed_alone():
    clip = lambda video_id="mesh", seed=0: sample_clip(moving_mesh(video_id), 4, 30, seed=seed).points
    assert np.array_equal(clip(), clip())
    assert not np.array_equal(clip(), clip(seed=1)) and not np.array_equal(clip(), clip("other"))


def test_a_surface_without_area_and_a_vertex_that_is_not_finite_are_refused():
    flat = Video([SQUARE * np.float32([1, 0, 0])] * 2, "line", triangles=TRIANGLES)
    with pytest.raises(DataError, match="surface without area.*Fix"):
        sample_clip(flat, 2, 5)
    broken = moving_mesh()
    broken.frames[5][:] = np.nan
    with pytest.raises(DataError, match="frame 5.*not finite.*mesh"):
        sample_clip(broken, 8, 5)
    first = moving_mesh()
    first.frames[0][2] = np.nan
    with pytest.raises(DataError, match="surface"):
        sample_clip(first, 8, 5)


def test_balancing_evens_out_subjects_where_a_class_cannot_hold_them_all():
    """60 classes x 20 subjects x 6 takes, 1,000 of them: 16 or 17 of every class and 50 of every subject; without, the
    last subjects would be missing. A prefix of the takes is not preferred."""
    entries = [
        Entry(f"t{t}_a{a:02}_s{s:02}", a, f"s{s:02}", None) for a in range(60) for s in range(20) for t in range(6)
    ]
    count = lambda kept, key: np.unique([key(e) for e in kept], return_counts=True)[1]
    kept = spread(entries, 1000, balance_subjects=True)
    assert len(kept) == len({e.id for e in kept}) == 1000 and [e.id for e in kept] == sorted(e.id for e in kept)
    assert set(count(kept, lambda e: e.label)) == {16, 17}
    by_subject = count(kept, lambda e: e.subject)
    assert by_subject.tolist() == [50] * 20
    assert count(kept, lambda e: e.id[:2]).min() > 120
    assert len(count(spread(entries, 1000), lambda e: e.subject)) == 17
