"""The cached targets are what Eq. 1 to 4 say, and a store is whole or says that it is not.

Claims proved:
1. Formula. Under each camera a token's target is W^T times the teacher's feature of the patch under the token's point
   n*(j), for points that own a pixel of the z-buffered render, rounded to fp16; several cameras merge to the mean or to
   the first that sees. Spelled out here in loops over cameras, frames, points and pixels. The stored camera matrices
   are the cameras.
2. Key. A store's name changes with everything that decides its content, and with nothing else.
3. No label enters. Without a teacher a store holds points and grouping alone.
4. Whole or not at all. However a build ends (SIGKILL within any write, full disk, Ctrl-C) and whatever happens to a
   file later (flipped, cut, lost, swapped, another type), no wrong array is ever read, the next build computes exactly
   what is missing, and the result is the undisturbed one bit for bit. So it is with several processes or threads.
5. Size. A store of many clips opens without reading them, an epoch holds a bounded number of bytes, and a clip costs
   the same number of file reads wherever it lies. A store travels to the workers of a DataLoader.
"""

import errno
import json
import math
import os
import pickle
import random
import shutil
import signal
import subprocess
import time
import tracemalloc
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import zarr
from conftest import DIM, FRAMES, POINTS, SIZE, tiny_encoder
from zarr.storage import _local

from cross4d_lib.datasets import ClipDataset, load_dataset, load_source
from cross4d_lib.decisions import SHADE_FAR, SHADE_QUANTILES, SPLAT
from cross4d_lib.errors import ConfigError, TargetError, TeacherError
from cross4d_lib.recent import Recent
from cross4d_lib.render import fit_camera
from cross4d_lib.targets import Batch, TargetStore, build_targets, clip_targets, fit_pca, key_of, store_spec
from cross4d_lib.targets import build as room
from cross4d_lib.targets.store import checksum
from cross4d_lib.teachers import load_teacher, random_projection

PATCH = 14


class Watched:
    """A teacher that counts its calls (one a clip and camera) and does something before each."""

    def __init__(self, teacher, before=lambda call: None):
        self.teacher, self.before, self.calls = teacher, before, 0

    def __getattr__(self, name):
        return getattr(self.teacher, name)

    def __call__(self, image):
        self.calls += 1
        self.before(self.calls)
        return self.teacher(image)


class Fixed(list):
    """Clips that travel to other processes: all that build_targets asks of a dataset."""

    def __init__(self, dataset):
        super().__init__(SimpleNamespace(points=dataset[i].points) for i in range(len(dataset)))
        self.ids, self._settings = dataset.ids, dataset.settings()

    def settings(self):
        return self._settings


def build(clips, teacher, **changes):
    return build_targets(
        clips, teacher, **{"dim": DIM, "size": SIZE, "encoder": tiny_encoder(), "progress": False, **changes}
    )


def assert_same(store, other):
    """Every array of every clip holds the same bytes."""
    assert len(store) == len(other) and store.key == other.key
    for i in range(len(store)):
        a, b = store.read(i), other.read(i)
        assert a.keys() == b.keys()
        assert all(a[name].tobytes() == b[name].tobytes() for name in a), store.ids[i]


def reopened(store):
    return TargetStore(store.path)


@pytest.fixture
def copied(finished, cache):
    """A copy of the finished store, free to be damaged, where build() looks for it."""
    path = cache / "targets" / finished.path.name
    shutil.copytree(finished.path, path)
    return TargetStore(path)


def nothing_half_made(cache):
    """Every store that is there opens, and every clip of it is whole or says that it is not."""
    for path in (cache / "targets").glob("*.zarr"):
        store = TargetStore(path)
        assert all(isinstance(store.has(i), bool) for i in range(6))


# ---------------------------------------------------------------------------------------------- 1. the formula, by hand


def render_by_hand(cloud, camera):
    """Eq. 1 in loops: (T, 3, H, W) image, (T, H, W) owner of each pixel or -1, (T, N) column and row of each point."""
    place, depth = camera.project(cloud)
    place = place.floor().long()
    near, far = torch.quantile(depth.flatten(), torch.tensor(SHADE_QUANTILES)).tolist()
    radius = SPLAT * SIZE / math.sqrt(cloud.shape[1])
    reach = range(-math.ceil(radius), math.ceil(radius) + 1)
    image, owner = torch.zeros(len(cloud), 3, SIZE, SIZE), -torch.ones(len(cloud), SIZE, SIZE, dtype=torch.long)
    for f in range(len(cloud)):
        for n in range(cloud.shape[1]):
            column, row = place[f, n].tolist()
            for y in (row + dy for dy in reach):
                for x in (column + dx for dx in reach):
                    if 0 <= x < SIZE and 0 <= y < SIZE and (x - column) ** 2 + (y - row) ** 2 <= radius**2:
                        before = owner[f, y, x]
                        if before < 0 or depth[f, n] < depth[f, before]:  # a tie leaves the lower index
                            owner[f, y, x] = n
        for y in range(SIZE):
            for x in range(SIZE):
                if (n := owner[f, y, x]) >= 0:
                    nearness = 1 - min(max((depth[f, n].item() - near) / (far - near), 0), 1)
                    image[f, :, y, x] = SHADE_FAR + (1 - SHADE_FAR) * nearness
    return image, owner, place


def targets_by_hand(points, teacher, matrix, tokens, cameras):
    """Eq. 1 to 4 in loops, float64: what clip_targets stores of a clip."""
    cloud = torch.from_numpy(points)
    centres, frame = tokens.centres[0], tokens.frame[0]
    targets, times = np.zeros((cameras, len(frame), DIM)), np.zeros((cameras, len(frame)))
    classes, means, covered = [], [], np.zeros(cloud.shape[:2], bool)
    for k in range(cameras):
        image, owner, place = render_by_hand(cloud, fit_camera(cloud, SIZE, 2 * math.pi * k / cameras))
        features = teacher(image)  # Eq. 2
        phi = features.patches.double().numpy() @ matrix.double().numpy()  # (T, h, w, d_p)
        feature_of = {}  # Eq. 3: (f, n) -> y_(f,n), visible points only
        for f in range(len(cloud)):
            for n in set(owner[f].flatten().tolist()) - {-1}:
                column, row = place[f, n].clamp(0, SIZE - 1).tolist()
                feature_of[f, n] = phi[f, row // PATCH, column // PATCH]
                covered[f, n] = True
        for j in range(len(frame)):  # Eq. 4
            f = int(frame[j])
            n = min(range(cloud.shape[1]), key=lambda n: float((cloud[f, n] - centres[j]).square().sum()))
            if (f, n) in feature_of:
                targets[k, j] = feature_of[f, n]
                times[k, j] = 1
        classes.append(features.summary.double().numpy() @ matrix.double().numpy())
        means.append([np.mean([y for (g, _), y in feature_of.items() if g == f], axis=0) for f in range(len(cloud))])
    return {
        "targets": targets,
        "visible": times > 0,
        "class": np.stack(classes),
        "mean": np.stack(means),
        "coverage": covered.mean(),
    }


@pytest.mark.parametrize("cameras", [1, 2])
def test_stored_arrays_are_the_formula_by_hand(clips, teacher, cameras):
    """With two cameras some tokens are seen by one and some by both."""
    encoder, matrix = tiny_encoder(), random_projection(teacher.dim, DIM)
    arrays = clip_targets(clips[3].points, teacher, matrix, encoder, SIZE, cameras, "pixel")
    with torch.no_grad():
        tokens = encoder(torch.from_numpy(clips[3].points)[None])
    by_hand = targets_by_hand(clips[3].points, teacher, matrix, tokens, cameras)
    assert set(by_hand["visible"].sum(0)) >= ({0, 1} if cameras == 1 else {1, 2})
    assert np.array_equal(arrays["visible"], by_hand["visible"]) and np.isclose(arrays["coverage"], by_hand["coverage"])
    for name in ("targets", "class", "mean"):
        assert arrays[name].dtype == np.float16
        rounded = by_hand[name].astype(np.float16)
        assert (arrays[name] == rounded).mean() > 0.95  # the rest lies on the border between two fp16 numbers
        np.testing.assert_allclose(arrays[name], rounded, rtol=2**-10, atol=1e-4)
    assert (arrays["targets"][~arrays["visible"]] == 0).all()


@pytest.mark.parametrize("how", ["mean", "first"])
def test_several_cameras_merge_to_the_mean_or_to_the_first_that_sees(clips, teacher, how):
    """By hand, token by token; as many tokens have a target either way, and one camera is left as it is."""
    batch = build(clips, teacher, cameras=2).batch([3, 0])
    targets, visible = batch.merged(how)
    seen = batch.view_visible.sum(1)
    assert {1, 2} <= set(seen.flatten().tolist())
    for b, j in np.ndindex(*seen.shape):
        rows = batch.view_targets[b, batch.view_visible[b, :, j], j].float()  # (cameras that see j, d_p)
        assert visible[b, j] == (len(rows) > 0)
        expected = (rows[0] if how == "first" else rows.mean(0)) if len(rows) else torch.zeros(DIM)
        torch.testing.assert_close(targets[b, j], expected)
    one = build(clips, teacher).batch([3, 0])
    first = one.view_visible[:, 0]
    assert torch.equal(one.merged(how)[0], one.view_targets[:, 0].float()) and torch.equal(one.merged(how)[1], first)
    assert torch.equal(batch.view_targets[:, 0], one.view_targets[:, 0])
    if how == "first":
        assert torch.equal(targets[first], one.targets[first])
    else:
        assert torch.equal(targets, batch.targets) and torch.equal(visible, batch.visible)
    with pytest.raises(ConfigError, match="median"):
        batch.merged("median")


def test_what_a_clip_gives_with_its_cameras_merged(clips, teacher):
    store = build(clips, teacher, cameras=2)
    clip, batch = store.clip(3), store.batch([3])
    assert torch.equal(clip["targets"], batch.targets[0].half()) and torch.equal(clip["visible"], batch.visible[0])
    assert clip["class"].shape == clip["mean"].shape == (FRAMES, DIM) and torch.equal(clip["points"], batch.points[0])
    for name in ("class", "mean"):
        torch.testing.assert_close(clip[name].float().mean(0), batch.summaries[name][0], rtol=1e-2, atol=1e-2)


def test_camera_matrices_are_the_cameras(clips, teacher):
    store = build(clips, teacher, cameras=3)
    points = store[2]["points"]
    for k, matrix in enumerate(store.batch([2]).cameras[0]):
        pixel, depth = fit_camera(points, SIZE, 2 * math.pi * k / 3).project(points)
        u, v, w = (torch.cat([points, torch.ones(FRAMES, POINTS, 1)], -1).double() @ matrix.T).unbind(-1)
        torch.testing.assert_close(torch.stack([u / w, v / w], -1).float(), pixel, rtol=1e-5, atol=1e-3)
        torch.testing.assert_close(w.float(), depth)


def test_without_a_teacher_there_are_points_and_grouping(clips, teacher, finished):
    store = build(clips, None)
    assert store.key != finished.key and (store.dim, store.views, store.mean, store.coverage) == (0, 0, {}, 0.0)
    assert store.projection is None and store[1].keys() == {n for n in finished[1] if "/" in n} | {"points"}
    batch, other = store.batch([4, 1]), finished.batch([4, 1])
    assert torch.equal(batch.points, other.points) and batch.summaries == {}
    assert all(torch.equal(batch.grouping[name], other.grouping[name]) for name in other.grouping)
    with pytest.raises(TargetError, match="without targets.*with a teacher"):
        _ = batch.targets
    assert torch.equal(store.clip(1)["points"], other.points[1])
    chunk_of(store, "points", 2).unlink()
    assert_same(build(clips, None), store)


def test_the_store_holds_what_clip_targets_returns(clips, teacher, finished):
    matrix = random_projection(teacher.dim, DIM)
    assert torch.equal(finished.projection, matrix)
    for i in range(len(clips)):
        expected, stored = clip_targets(clips[i].points, teacher, matrix, tiny_encoder(), SIZE), finished.read(i)
        assert stored.keys() == expected.keys()
        assert all(np.asarray(expected[name]).tobytes() == stored[name].tobytes() for name in stored)


def test_a_batch_is_what_an_encoder_and_a_loss_read(clips, finished):
    """The grouping inside equals encoder.group; tokens of the encoder are the tokens of the targets; shapes and
    types."""
    encoder, batch = tiny_encoder(), finished.batch([4, 1])
    points = torch.stack([torch.from_numpy(clips[i].points) for i in (4, 1)])
    assert torch.equal(batch.points, points)
    grouping = encoder.group(points)
    assert grouping.keys() == batch.grouping.keys()
    assert all(torch.equal(grouping[name], batch.grouping[name]) for name in grouping)
    given, own = encoder(batch.points, batch.grouping), encoder(points)
    assert torch.equal(given.features, own.features) and torch.equal(given.point, own.point)
    tokens = FRAMES * encoder.config.tokens
    assert (
        batch.targets.shape == (2, tokens, DIM)
        and batch.visible.shape == (2, tokens)
        and batch.visible.dtype == torch.bool
    )
    assert batch.targets.dtype == batch.summaries["class"].dtype == torch.float32 and batch.summaries[
        "class"
    ].shape == (2, DIM)
    np.testing.assert_allclose(
        batch.summaries["mean"][1], finished.read(1)["mean"].astype(np.float64).mean((0, 1)), rtol=1e-5, atol=1e-6
    )


def test_centring_subtracts_the_mean_over_visible_tokens_of_all_clips(finished):
    arrays = [finished.read(i) for i in range(len(finished))]
    visible = np.concatenate([a["targets"][a["visible"]] for a in arrays]).astype(np.float64)
    assert 0 < len(visible) < sum(a["visible"].size for a in arrays)
    np.testing.assert_allclose(finished.mean["dense"], visible.mean(0), rtol=1e-5, atol=1e-7)
    assert torch.equal(finished.mean["first"], finished.mean["dense"])  # one camera
    for name in ("class", "mean"):
        by_hand = np.mean([a[name].astype(np.float64).mean((0, 1)) for a in arrays], 0)
        np.testing.assert_allclose(finished.mean[name], by_hand, rtol=1e-5, atol=1e-6)
    assert np.isclose(finished.coverage, np.mean([a["coverage"] for a in arrays]))


def test_indices_keep_their_value_in_the_store(clips, teacher):
    """int16 holds the indices of up to 32,768 points; a larger frame is stored in int32, whichever indices a clip
    happens to use."""
    cloud = np.random.default_rng(0).standard_normal((1, 2**15 + 1, 3)).astype(np.float32)
    for points, integer in ((cloud, np.int32), (clips[0].points, np.int16)):
        arrays = clip_targets(points, teacher, random_projection(teacher.dim, DIM), tiny_encoder(), SIZE)
        grouping = tiny_encoder().group(torch.from_numpy(points)[None])
        for name, index in grouping.items():
            assert arrays[f"grouping/{name}"].dtype == integer and np.array_equal(arrays[f"grouping/{name}"], index[0])


def test_pca_projects_onto_directions_fitted_once(clips, teacher, monkeypatch):
    store = build(clips, teacher, projection="pca")
    matrix = fit_pca(clips, teacher, DIM, SIZE)
    assert torch.equal(store.projection, matrix)
    torch.testing.assert_close(matrix.T @ matrix, torch.eye(DIM), rtol=0, atol=1e-5)
    assert (
        store.read(2)["targets"].tobytes()
        == clip_targets(clips[2].points, teacher, matrix, tiny_encoder(), SIZE)["targets"].tobytes()
    )
    chunk_of(store, "targets", 2).unlink()
    monkeypatch.setattr(room, "fit_pca", None)  # a repair reads the matrix from the store
    assert (
        build(clips, teacher, projection="pca").read(2)["targets"].tobytes()
        == clip_targets(clips[2].points, teacher, matrix, tiny_encoder(), SIZE)["targets"].tobytes()
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"projection": "pca", "dim": 25}, "25 principal directions"),
        ({"projection": "tsne"}, "tsne"),
        ({"dim": 0}, "0 dimensions"),
        ({"cameras": 0}, "cameras=0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_and_leave_nothing(clips, teacher, cache, changes, says):
    with pytest.raises(ConfigError, match=says):
        build(clips, teacher, **changes)
    assert not list(cache.rglob("*.zarr*"))


# ------------------------------------------------------------------------------------------------ 2. the key


def key(clips=None, teacher="one", encoder=None, dim=DIM, size=SIZE, projection="random", cameras=1, **sampling):
    clips = clips or load_dataset(
        "synthetic-actions",
        **{"split": "train", "frames": FRAMES, "points": POINTS, "stride": "uniform", "limit": 6, **sampling},
    )
    return key_of(
        store_spec(clips, SimpleNamespace(revision=teacher), encoder or tiny_encoder(), dim, size, projection, cameras)
    )


def test_the_key_changes_with_each_ingredient_of_the_content():
    source = load_source("synthetic-actions")
    another = ClipDataset(
        replace(source, fingerprint_of=lambda entry: f"other pixels/{entry.id}"),
        "train",
        None,
        FRAMES,
        POINTS,
        "uniform",
        0,
        6,
    )
    keys = [
        key(),
        key(limit=5),
        key(split="test"),
        key(frames=FRAMES + 1),
        key(points=POINTS + 1),
        key(stride=1),
        key(seed=1),
        key(another),
        key(teacher="another"),
        key(size=SIZE + PATCH),
        key(dim=DIM + 1),
        key(projection="pca"),
        key(cameras=2),
        key(encoder=tiny_encoder(tokens=8)),
        key(encoder=tiny_encoder(neighbours=7)),
        key(encoder=tiny_encoder(first_level=3)),
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "decision",
    ["FIELD_OF_VIEW", "BACK_OFF_MARGIN", "SPLAT", "SHADE_FAR", "SHADE_QUANTILES", "PROJECTION_SEED", "FORMAT"],
)
def test_the_key_changes_with_each_decision_of_ours(monkeypatch, decision):
    before = key()
    value = getattr(room, decision)
    monkeypatch.setattr(room, decision, (0.05, 0.95) if isinstance(value, tuple) else value + 1)
    assert key() != before


def test_the_key_changes_with_nothing_else():
    same = [
        key(encoder=tiny_encoder(seed=1)),
        key(encoder=tiny_encoder(dim=32)),
        key(encoder=tiny_encoder(depth=2)),
        key(encoder=tiny_encoder(heads=4)),
        key(encoder=tiny_encoder(widths=(4, 8))),
    ]
    assert set(same) == {key()}


def test_a_key_is_the_hash_of_the_canonical_form():
    """The order of a dict does not matter; the value is fixed for all time."""
    assert key_of({"a": 1, "b": [2, 3]}) == key_of({"b": [2, 3], "a": 1}) == "efbd0040190fb087"


# ------------------------------------------------------------------------------------------------ 3. no label


def test_no_label_enters_a_store(clips, teacher, finished):
    """Clips with other labels make the same arrays; neither the store nor a Batch has a place for one."""
    entries = [replace(entry, label=(entry.label + 7) % 20) for entry in clips.entries]
    relabelled = ClipDataset(
        replace(clips.source, entries=lambda root: entries, in_split=lambda entry, split: True),
        "train",
        None,
        FRAMES,
        POINTS,
        "uniform",
    )
    assert not np.array_equal(relabelled.labels, clips.labels)
    store = build(relabelled, teacher)
    for i in range(len(clips)):
        a, b = store.read(i), finished.read(i)
        assert all(a[name].tobytes() == b[name].tobytes() for name in b)
    grouping = {f"grouping/{name}" for name in ("first", "near_first", "near_second", "point", "frame")}
    assert (
        finished.read(0).keys() == {"points", "targets", "visible", "class", "mean", "coverage", "cameras"} | grouping
    )
    assert {
        path.parent.relative_to(finished.path).as_posix() for path in finished.path.rglob("zarr.json")
    } == finished.read(0).keys() | {".", "grouping", "finished", "projection"}
    assert set(json.loads((finished.path / "zarr.json").read_text())["attributes"]) == set(
        "spec ids arrays projection checksum".split()
    )
    assert {field.name for field in fields(Batch)} == set(
        "points grouping view_targets view_visible view_summaries cameras".split()
    )


# ----------------------------------------------------------------------------------------------- 4. whole or not at all


def test_opening_a_finished_store_computes_nothing(clips, teacher, finished):
    watched = Watched(teacher)
    first = build(clips, watched)
    assert watched.calls == len(clips)  # one a clip, none twice
    again = build(clips, watched)
    assert watched.calls == len(clips)
    assert_same(again, finished)
    assert (
        again.measured_bytes()
        == first.measured_bytes()
        == sum(f.stat().st_size for f in first.path.rglob("*") if f.is_file())
        > 0
    )
    (first.path / "points" / "c.0.0.0.abc.partial").write_bytes(b"1234")  # what a killed process leaves
    assert again.measured_bytes() == first.measured_bytes()


def test_threads_change_nothing(clips, teacher, finished, tmp_path):
    assert_same(build(clips, teacher, workers=2, cache=tmp_path / "two"), finished)


def die_within_write(number):
    """Be killed within the ``number``-th write of a file, half of it at its final place: worse than zarr's own draft
    files."""
    put, count = _local._put, iter(range(10**6))

    def dying(path, value, exclusive=False):
        if next(count) == number:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = bytes(value.as_buffer_like())
            path.write_bytes(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return put(path, value, exclusive)

    _local._put = dying


def build_elsewhere(clips, teacher_folder, cache, dies_at=None, ready=None, calls=None, pause=0.0):
    """A whole build in a process of its own. ready : told before it starts. calls : told how many clips it made."""
    torch.set_num_threads(1)
    teacher = Watched(load_teacher(str(teacher_folder), dtype=torch.float32), lambda call: time.sleep(pause))
    if dies_at is not None:
        die_within_write(dies_at)
    if ready:
        ready.wait()
    build(clips, teacher, cache=cache)
    if calls:
        calls.put(teacher.calls)


def finished_clips(cache):
    """Clips that are whole in the one store under a cache; none when there is no store."""
    return {(path, i) for path in (cache / "targets").glob("*.zarr") for i in range(6) if TargetStore(path).has(i)}


def goes_on(clips, teacher, cache, finished):
    """The next build makes what is missing, only that, and ends where an undisturbed one does."""
    nothing_half_made(cache)
    watched, whole = Watched(teacher), finished_clips(cache)
    store = build(clips, watched, cache=cache)
    assert watched.calls == len(clips) - len(whole)
    assert_same(reopened(store), finished)


@pytest.mark.parametrize("write", [*(pytest.param(n, marks=pytest.mark.slow) for n in (10, 49, 59)), 42])
def test_a_build_killed_within_a_write_goes_on(clips, teacher, teacher_folder, finished, processes, tmp_path, write):
    """While the store is laid out with its first clip, and while later clips and their marks are written."""
    process = processes.Process(target=build_elsewhere, args=(Fixed(clips), teacher_folder, tmp_path, write))
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    goes_on(clips, teacher, tmp_path, finished)


@pytest.mark.slow
def test_a_build_killed_again_and_again_gets_there(clips, teacher, teacher_folder, finished, processes, tmp_path):
    """At random moments; what was finished once is never made again."""
    moments, whole = random.Random(0), set()
    for _ in range(3):
        ready = processes.Barrier(2)
        process = processes.Process(
            target=build_elsewhere, args=(Fixed(clips), teacher_folder, tmp_path, None, ready, None, 0.05)
        )
        process.start()
        ready.wait(300)
        time.sleep(moments.uniform(0.05, 0.4))
        process.kill()
        process.join()
        assert whole <= (whole := finished_clips(tmp_path))
    goes_on(clips, teacher, tmp_path, finished)


@pytest.mark.slow
def test_two_processes_building_at_once_share_the_work(clips, teacher_folder, finished, processes, tmp_path):
    ready, calls = processes.Barrier(2), processes.Queue()
    both = [
        processes.Process(
            target=build_elsewhere, args=(Fixed(clips), teacher_folder, tmp_path, None, ready, calls, 0.05)
        )
        for _ in range(2)
    ]
    for process in both:
        process.start()
    made = [calls.get(timeout=300) for _ in both]
    for process in both:
        process.join()
    path = tmp_path / "targets" / finished.path.name
    assert_same(TargetStore(path), finished)
    assert 6 <= sum(made) <= 12 and not list(path.parent.glob("*.draft*"))


@pytest.mark.parametrize("call", [1, 2, 4])
def test_what_another_builder_finished_meanwhile_is_not_made_again(clips, teacher, finished, call):
    """Another build runs from start to end while this one makes its ``call``-th clip (the first: before its store
    exists)."""
    watched = Watched(teacher, lambda now: build(clips, teacher) if now == call else None)
    assert_same(build(clips, watched), finished)
    assert watched.calls == call


# A full disk, an interruption, a failing teacher: reported, and gone on from
# ----------------------------------------------


@pytest.mark.parametrize("writes", [*(pytest.param(n, marks=pytest.mark.slow) for n in (0, 48, 59)), 20, 65])
def test_a_full_disk_is_reported_and_gone_on_from(clips, teacher, finished, cache, monkeypatch, writes):
    put, done = _local._put, []

    def full(path, value, exclusive=False):
        if len(done) >= writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        done.append(path)
        return put(path, value, exclusive)

    with monkeypatch.context() as patch:
        patch.setattr(_local, "_put", full)
        with pytest.raises(TargetError, match="the disk is full.*CROSS4D_CACHE"):
            build(clips, teacher)
    assert not list(cache.rglob("*.draft*"))  # no room is lost to a draft
    assert len(finished_clips(cache)) == sum("finished/c." in path.as_posix() for path in done)
    goes_on(clips, teacher, cache, finished)


def test_a_really_full_disk(clips, teacher, finished, tmp_path):
    """A file system of 200 KB, which is then given more."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True, text=True)
        if shutil.which("mount")
        else None
    )
    if mounted is None or mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip() if mounted else 'no mount command'}")
    try:
        with pytest.raises(TargetError, match="the disk is full.*free about 0 MB or set CROSS4D_CACHE"):
            build(clips, teacher, cache=disk)
        assert 1 <= len(finished_clips(disk)) < 6
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        goes_on(clips, teacher, disk, finished)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), TeacherError("features that are not finite")])
@pytest.mark.parametrize("call", [1, 4])
def test_an_interrupted_build_goes_on(clips, teacher, finished, cache, fault, call):
    def fail(now):
        if now == call:
            raise fault

    with pytest.raises(type(fault)):
        build(clips, Watched(teacher, fail))
    assert not list(cache.rglob("*.draft*"))
    assert len(finished_clips(cache)) <= call - 1
    goes_on(clips, teacher, cache, finished)


def test_a_cache_that_cannot_be_written_is_named(clips, teacher, tmp_path):
    (tmp_path / "a file").write_text("")
    with pytest.raises(TargetError, match="a file.*CROSS4D_CACHE"):
        build(clips, teacher, cache=tmp_path / "a file")


# Damage after the fact
# ----------------------------------------------------------------------------------------------------

ARRAYS = [
    "points",
    "targets",
    "visible",
    "class",
    "mean",
    "coverage",
    "cameras",
    "finished",
    "grouping/first",
    "grouping/near_first",
    "grouping/near_second",
    "grouping/point",
]


def flip(chunk, other):
    content = bytearray(chunk.read_bytes())
    content[random.Random(chunk.as_posix()[-20:]).randrange(len(content))] ^= 0x10
    chunk.write_bytes(content)


def cut(chunk, other):
    chunk.write_bytes(chunk.read_bytes()[:-3])


def lose(chunk, other):
    chunk.unlink()


def swap(chunk, other):
    if chunk.read_bytes() == other.read_bytes():
        return lose(chunk, other)  # clips that agree in an array: swapping does no damage
    chunk.write_bytes(other.read_bytes())


def chunk_of(store, name, i):
    """The one file that holds clip i of an array."""
    return next((store.path / name).glob(f"c.{i}*"))


@pytest.mark.parametrize("damage", [flip, cut, lose, swap])
def test_damaged_chunks_are_never_read_and_exactly_their_clips_are_made_again(clips, teacher, copied, finished, damage):
    """Every array in turn, each in another clip; a swapped chunk is that of clip 0, valid in itself."""
    for some in (ARRAYS[:5], ARRAYS[5:10], ARRAYS[10:]):
        hurt = list(range(1, 1 + len(some)))
        for i, name in zip(hurt, some):
            damage(chunk_of(copied, name, i), chunk_of(copied, name, 0))
        store = reopened(copied)
        for i in hurt:
            with pytest.raises(TargetError, match=f"clip {clips.ids[i]} .*run build_targets again"):
                store.read(i)
        watched = Watched(teacher)
        assert_same(reopened(build(clips, watched)), finished)
        assert watched.calls == len(hurt)


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"zarr_format": 3, "node_type": "group", "attributes": {}}'])
@pytest.mark.parametrize("where", ["zarr.json", "targets/zarr.json", "finished/zarr.json"])
def test_a_damaged_description_is_refused_with_a_mend(clips, teacher, copied, where, content):
    (copied.path / where).unlink()
    if content is not None:
        (copied.path / where).write_text(content)
    with pytest.raises(TargetError, match="delete the folder and build the targets again"):
        build(clips, teacher)


def test_a_store_under_anothers_name_is_refused(clips, teacher, copied, finished):
    other = build(clips, teacher, dim=DIM + 1)
    shutil.rmtree(copied.path)
    other.path.rename(copied.path)
    with pytest.raises(TargetError, match=f"says key {other.key}, its folder {finished.key}.*delete the folder"):
        build(clips, teacher)


def test_a_damaged_projection_is_refused_when_clips_are_missing(clips, teacher, copied):
    flip(chunk_of(copied, "projection", 0), None)
    build(clips, teacher)  # nothing is missing: the matrix is not needed
    lose(chunk_of(copied, "finished", 0), None)
    with pytest.raises(TargetError, match="projection is damaged.*delete the folder"):
        build(clips, teacher)


def test_another_type_or_shape_is_not_read(clips, teacher, copied):
    """The chunks keep their bytes, so their own checksums hold: a changed description must be seen by itself."""
    for name, old, new in (
        ("targets", '"float16"', '"int16"'),
        ("class", '"float16"', '"int16"'),
        ("points", f"{POINTS}", f"{POINTS - 1}"),
    ):
        file = copied.path / name / "zarr.json"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        with pytest.raises(TargetError, match="delete the folder and build the targets again"):
            build(clips, teacher)
        file.write_text(text)
    root = copied.path / "zarr.json"
    root.write_text(root.read_text().replace(clips.ids[2], clips.ids[3]))
    with pytest.raises(TargetError, match="description of the store is damaged"):
        reopened(copied)


def test_names_types_and_shapes_enter_the_checksum():
    plain = {"a": np.zeros((2, 3), np.float16), "b": np.zeros((), np.float32)}
    others = [
        {"a": np.zeros((2, 3), np.int16), "b": plain["b"]},
        {"a": np.zeros((3, 2), np.float16), "b": plain["b"]},
        {"b": plain["a"], "a": plain["b"]},
        {"a": plain["a"], "b": np.zeros((1,), np.float32)},
    ]
    assert len({checksum(arrays) for arrays in (plain, *others)}) == 5 and checksum({}) != 0


def test_a_lost_projection_does_not_become_another(clips, teacher, copied):
    """zarr reads a lost chunk as zeros: clips built with it would be wrong and finished."""
    lose(chunk_of(copied, "projection", 0), None)
    lose(chunk_of(copied, "targets", 3), None)
    with pytest.raises(TargetError, match="projection is damaged.*delete the folder"):
        build(clips, teacher)


@pytest.mark.parametrize("form", [2, 3])
def test_a_store_of_another_format_or_codec_is_not_decoded(finished, cache, form):
    path = cache / finished.path.name
    root = zarr.open_group(str(path), mode="w", zarr_format=form)
    arrays = [*finished[0], "finished", "projection"]
    for name in arrays:
        root.create_array(name, shape=(6,), chunks=(1,), dtype="f4")  # with zarr's codecs, not ours
    root.attrs.update(json.loads((finished.path / "zarr.json").read_text())["attributes"])
    with pytest.raises(TargetError, match="not a target store"):
        TargetStore(path)


def test_the_means_are_kept_with_a_checksum_and_computed_when_they_are_wrong(copied, finished, monkeypatch):
    file = copied.path / "means.json"
    file.unlink(missing_ok=True)
    expected, reads = finished.mean, []
    monkeypatch.setattr(TargetStore, "read", lambda self, i, read=TargetStore.read: reads.append(i) or read(self, i))
    same = lambda store: all(torch.equal(store.mean[name], expected[name]) for name in expected)
    store = reopened(copied)
    assert same(store) and store.coverage == finished.coverage and reads == list(range(6))  # one pass
    assert same(reopened(copied)) and len(reads) == 6  # none
    kept = file.read_text()
    values = json.loads(kept)
    values["dense"][0] += 1
    other = json.loads(kept) | {"checksum": 1}
    for wrong in ("", "[]", kept[:-9], json.dumps(values), json.dumps(other)):
        file.write_text(wrong)
        assert same(reopened(copied)) and file.read_text() == kept
    assert len(reads) == 6 * 6


def test_without_verification_only_what_was_never_finished_is_built(clips, teacher, copied, finished):
    lose(chunk_of(copied, "targets", 2), None)
    lose(chunk_of(copied, "finished", 4), None)
    watched = Watched(teacher)
    store = build(clips, watched, verify=False)
    assert watched.calls == 1 and store.unfinished(verify=False) == [] and store.unfinished() == [2]
    with pytest.raises(TargetError, match="lost or foreign chunks"):
        store[2]
    flip(chunk_of(copied, "finished", 1), None)
    assert reopened(copied).unfinished(verify=False) == [1, 2]
    assert_same(build(clips, watched), finished)


def test_half_written_chunks_of_dead_processes_are_removed_when_clips_are_built(clips, teacher, copied):
    old, new = (copied.path / "targets" / f"c.1.0.0.{name}.partial" for name in ("old", "new"))
    for file in (old, new):
        file.write_bytes(b"x")
    os.utime(old, (0, 0))
    lose(chunk_of(copied, "finished", 4), None)
    build(clips, teacher)
    assert not old.exists() and new.exists()


# --------------------------------------------------------------------------------------------------- 5. many clips

MANY = 10_000


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A store of 10,000 equal clips of 64 KB: the chunks of the first, linked to every other place."""
    first = {"points": np.ones((1, 5461, 3), np.float32), "grouping/frame": np.ones(4, np.int16)}
    spec = {"format": room.FORMAT, "clips": "many"}
    path = tmp_path_factory.mktemp("many") / f"{key_of(spec)}.zarr"
    room._create(path, spec, [f"clip {i}" for i in range(MANY)], None, first)
    for name in (*first, "finished"):
        (chunk,) = (path / name).glob("c.0*")
        rest = chunk.name.removeprefix("c.0")
        for i in range(1, MANY):
            os.link(chunk, path / name / f"c.{i}{rest}")
    return path


@pytest.fixture
def file_reads(monkeypatch):
    """The paths that zarr has read so far."""
    reads, get = [], _local._get
    monkeypatch.setattr(_local, "_get", lambda path, *rest: reads.append(path) or get(path, *rest))
    return reads


def test_a_large_store_opens_without_reading_clips_and_every_clip_costs_the_same(many, file_reads):
    store = TargetStore(many)
    assert len(store) == MANY and not [path for path in file_reads if path.name != "zarr.json"]
    assert len(file_reads) < 20
    costs = []
    for i in (0, 1, MANY // 2, MANY - 1):
        file_reads.clear()
        store[i]
        costs.append(len(file_reads))
    assert costs == [3] * 4  # two arrays and the mark
    file_reads.clear()
    store.batch([0, MANY - 1])
    assert not file_reads  # kept


@pytest.mark.slow
def test_an_epoch_over_a_large_store_needs_bounded_memory(many):
    """300 clips are 20 MB; what is kept stays under the limit of 1 MB, beside at most a few clips on their way."""
    store = TargetStore(many, memory=1_000_000)
    store[0]
    tracemalloc.start()
    for i in range(0, MANY, MANY // 300):
        store[i]
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 900_000 < store._recent.bytes <= 1_000_000 and now < 2_000_000 and peak < 3_000_000


def test_what_was_used_last_is_kept():
    recent = Recent(10)
    for key in "abc":
        recent.put(key, key.upper(), 4)
    assert [recent.get(key) for key in "abc"] == [None, "B", "C"] and recent.bytes == 8
    recent.get("b")
    recent.put("d", "D", 4)
    assert [recent.get(key) for key in "bcd"] == ["B", None, "D"]
    recent.put("d", "DD", 10)
    recent.put("e", "E", 11)  # larger than all: not kept
    assert recent.bytes == 0 and recent.get("e") is None


def test_a_store_travels_as_its_path(finished):
    finished.batch(range(6))
    travelled = pickle.dumps(finished)
    assert len(travelled) < 1000
    again = pickle.loads(travelled)
    assert_same(again, finished)
    assert again.memory == finished.memory


@pytest.mark.slow
def test_a_data_loader_with_spawned_workers_gives_the_batches(finished):
    loader = torch.utils.data.DataLoader(
        finished, batch_size=4, collate_fn=finished.collate, num_workers=1, multiprocessing_context="spawn"
    )
    for batch, indices in zip(loader, ([0, 1, 2, 3], [4, 5]), strict=True):
        own = finished.batch(indices)
        assert torch.equal(batch.points, own.points) and torch.equal(batch.view_targets, own.view_targets)
        assert torch.equal(batch.targets, own.targets) and torch.equal(batch.cameras, own.cameras)
        assert all(torch.equal(batch.grouping[name], own.grouping[name]) for name in own.grouping)
        assert all(torch.equal(batch.summaries[name], own.summaries[name]) for name in own.summaries)


def test_a_store_is_a_sequence_of_clips(finished):
    assert len(list(finished)) == 6 and finished[-1] is finished[5]
    with pytest.raises(IndexError, match="clip 6 of 6"):
        finished[6]
