"""Every reader of files finds and opens them by the same rules.

Claims, each for all readers: symbolic links to the dataset's folder, to folders inside it and to files are followed,
and loops of them end; hidden folders and those that an archiver leaves behind are passed over; a clip that is there
twice is named with both places; a git-lfs or git-annex pointer and a web page in place of the data are stated to be
that; every dataset, embedded or not, pickles and is read by the workers of a DataLoader under spawn.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from test_hoi4d import write_shard
from test_moving_meshes import BODY, JOINTS, anime_bytes, motion, write_animation, write_parts
from test_ntu_rgbd60 import person, write_video
from test_readers import bin_bytes, mat_bytes, moving_patch
from torch.utils.data import DataLoader

from cross4d_lib.datasets import dataset_names, load_dataset, load_source
from cross4d_lib.datasets.data_files import RESOURCE_FOLDERS, find_clips
from cross4d_lib.errors import DataError, EmptyVideoError


def write_msr(root):
    for name in ("a01_s01_e01", "a02_s02_e01"):
        (root / f"{name}_sdepth.bin").write_bytes(bin_bytes(moving_patch()))


def write_utd(root):
    for name in ("a1_s1_t1", "a2_s3_t2"):
        (root / f"{name}_depth.mat").write_bytes(mat_bytes(moving_patch(), "d_depth"))


def write_ntu(root):
    for name in ("S001C001P001R001A001", "S001C002P002R001A002"):
        write_video(root, name, [person(f) for f in range(2)])


def write_animals(root):
    for identity, more in (("bear3EP", 0), ("foxWDFS", 1)):  # two meshes: each side of the identity split has one
        cloud = motion(vertices=np.concatenate([BODY, BODY[:more]]))
        for action in ("Walk", "Idle"):
            write_animation(root, f"{identity}_{action}", anime_bytes(cloud))
        write_parts(root, identity, JOINTS + JOINTS[:more])


def write_hoi4d(root):
    for shard in ("train1", "train2"):
        write_shard(root / f"{shard}.h5", 4)


WRITERS = {
    "msr-action3d": write_msr,
    "utd-mhad": write_utd,
    "ntu-rgbd60": write_ntu,
    "deforming-things4d": write_animals,
    "animals": write_animals,
    "hoi4d": write_hoi4d,
}
SAME_FILES = {"deforming-things4d-actions": "deforming-things4d", "animals-actions": "animals"}


@pytest.fixture(params=WRITERS)
def files(request, tmp_path):
    """Name of a reader, and a folder in its dataset's form, one level below the root as archives have it."""
    inside = tmp_path / "data" / "inside"
    inside.mkdir(parents=True)
    WRITERS[request.param](inside)
    return request.param, inside.parent


def clips_of(name, root):
    dataset = load_dataset(name, root=root, frames=2, points=16)
    return {clip.id: clip.points for clip in dataset}


def assert_same(one, other):
    assert one.keys() == other.keys() and one
    assert all(np.array_equal(one[key], other[key]) for key in one)


def test_every_reader_of_files_is_here():
    embedded = {name for name in dataset_names() if load_source(name).stand_in}
    assert {*WRITERS, *SAME_FILES} | embedded == set(dataset_names())


# -------------------------------------------------------------------------------------------- links


def test_links_to_the_root_to_folders_and_to_files_are_followed(files, tmp_path):
    name, root = files
    expected = clips_of(name, root)
    (tmp_path / "link").symlink_to(root)
    assert_same(clips_of(name, tmp_path / "link"), expected)
    moved = shutil.move(root / "inside", tmp_path / "elsewhere")
    if name == "animals":
        shutil.move(root / "inside-parts", tmp_path / "elsewhere-parts")
    (root / "inside").symlink_to(moved)
    assert_same(clips_of(name, root), expected)
    single = tmp_path / "single"
    single.mkdir()
    if name == "animals":
        (tmp_path / "single-parts").symlink_to(tmp_path / "elsewhere-parts")
    for path in Path(moved).rglob("*"):
        if not path.is_dir():
            link = single / path.relative_to(moved)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    assert_same(clips_of(name, single), expected)


def test_loops_of_links_end_and_a_second_link_is_no_second_clip(files):
    name, root = files
    expected = clips_of(name, root)
    (root / "inside" / "up").symlink_to(root)
    (root / "again").symlink_to(root / "inside")
    (root / "snake").symlink_to(root / "snake")
    assert_same(clips_of(name, root), expected)


def test_a_link_to_nothing_is_named_and_not_passed_over(tmp_path):
    write_msr(tmp_path)
    (tmp_path / "a03_s01_e01_sdepth.bin").symlink_to(tmp_path / "gone.bin")
    with pytest.raises(DataError, match="cannot be read: No such file.*a03_s01_e01_sdepth.bin"):
        clips_of("msr-action3d", tmp_path)


# -------------------------------------------------------------------------------------------- other folders


@pytest.mark.parametrize("folder", ["__MACOSX", ".Trash", ".git"])
def test_hidden_and_resource_folders_are_passed_over(files, folder):
    name, root = files
    expected = clips_of(name, root)
    twin = root / folder / "inside"
    shutil.copytree(root / "inside", twin)
    assert_same(clips_of(name, root), expected)
    assert {"__MACOSX", "@eaDir"} <= RESOURCE_FOLDERS


def test_a_clip_that_is_there_twice_is_named_with_both_places(files):
    name, root = files
    shutil.copytree(root / "inside", root / "a_backup")
    with pytest.raises(DataError, match="there twice.*a_backup.* and .*inside.*Fix"):
        load_dataset(name, root=root)


def test_a_bin_and_a_mat_of_one_video_may_share_a_folder_and_nothing_else(tmp_path):
    write_msr(tmp_path)
    (tmp_path / "a01_s01_e01_sdepth.mat").write_bytes(mat_bytes(moving_patch() + 1))
    found = load_source("msr-action3d").entries(tmp_path)
    assert [Path(entry.handle).suffix for entry in found] == [".bin", ".bin"]
    (tmp_path / "other").mkdir()
    (tmp_path / "a01_s01_e01_sdepth.mat").rename(tmp_path / "other" / "a01_s01_e01_sdepth.mat")
    with pytest.raises(DataError, match="there twice"):
        load_source("msr-action3d").entries(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read_is_named(tmp_path):
    (tmp_path / "locked").mkdir(mode=0)
    with pytest.raises(DataError, match="folder cannot be read.*locked"):
        find_clips(tmp_path, ".*", lambda match: match[0])


def test_a_root_below_the_home_folder_may_begin_with_a_tilde(files, monkeypatch):
    name, root = files
    monkeypatch.setenv("HOME", str(root.parent))
    assert_same(clips_of(name, "~/data"), clips_of(name, root))
    monkeypatch.setenv("CROSS4D_DATA", "~")
    root.rename(root.parent / (load_source(name).folder or name))
    assert len(load_dataset(name))


# -------------------------------------------------------------------------------------------- not the data

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
IMPOSTORS = {
    "lfs": (POINTER, "git-lfs pointer.*git lfs pull"),
    "annex": (b"/annex/objects/SHA256E-s12345--4d7a2146.bin\n", "git-annex pointer.*git annex get"),
    "page": (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>" + bytes(2000), "HTML or XML page"),
    "old page": (b"<HTML><HEAD><TITLE>Login</TITLE></HEAD></HTML>", "HTML or XML page"),
    "xml": (b"\xef\xbb\xbf<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "HTML or XML page"),
}


@pytest.mark.parametrize("kind", IMPOSTORS)
def test_a_pointer_and_a_web_page_are_stated_to_be_that(files, kind):
    data, message = IMPOSTORS[kind]
    name, root = files
    for path in root.rglob("*"):
        if path.is_file() and "parts" not in str(path):
            path.write_bytes(data)
    with pytest.raises(DataError, match=message) as refusal:
        clips_of(name, root)
    assert Path(refusal.value.where).is_file()


@pytest.mark.parametrize("part", ["*.npy", "*.names.json"])
def test_so_are_those_in_place_of_the_parts_of_animals(tmp_path, part):
    (tmp_path / "data").mkdir()
    write_animals(tmp_path / "data")
    for path in tmp_path.rglob(part):
        path.write_bytes(POINTER)
    with pytest.raises(DataError, match="git-lfs pointer"):
        clips_of("animals", tmp_path / "data")


# -------------------------------------------------------------------------------------------- empty frames


@pytest.mark.parametrize("name", ["msr-action3d", "utd-mhad", "ntu-rgbd60"])
def test_every_reader_of_depth_has_one_rule_for_empty_frames(name, tmp_path):
    """An empty frame shows its neighbour, counted; a video of empty frames only is named, and left out on request."""
    depth = moving_patch()
    depth[[0, 2]] = 0
    if name == "msr-action3d":
        (tmp_path / "a01_s01_e01_sdepth.bin").write_bytes(bin_bytes(depth))
        (tmp_path / "a02_s01_e01_sdepth.bin").write_bytes(bin_bytes(0 * depth))
    elif name == "utd-mhad":
        (tmp_path / "a1_s1_t1_depth.mat").write_bytes(mat_bytes(depth, "d_depth"))
        (tmp_path / "a2_s1_t1_depth.mat").write_bytes(mat_bytes(0 * depth, "d_depth"))
    else:
        write_video(tmp_path, "S001C001P001R001A001", [person(f, f not in (0, 2)) for f in range(5)])
        write_video(tmp_path, "S001C001P001R001A002", [person(points=False)] * 5)
    dataset = load_dataset(name, root=tmp_path, frames=5, points=16)
    clip = dataset[0]
    assert clip.frame_indices.tolist() == [1, 1, 1, 3, 4] and clip.frames_repeated == 2
    with pytest.raises(EmptyVideoError, match=f"1 of 2 videos have no point in any frame: {dataset.ids[1]}"):
        dataset[1]
    rest = load_dataset(name, root=tmp_path, frames=5, points=16, skip_empty=True)
    assert rest.ids == dataset.ids[:1] and rest.left_out == dataset.ids[1:] and rest.counts()["videos_left_out"] == 1


# -------------------------------------------------------------------------------------------- workers


@pytest.mark.slow
def test_workers_under_spawn_read_every_dataset(tmp_path, monkeypatch):
    """The clips are those read here, batched by points, labels, ids and subjects. One pair of workers for all datasets,
    through a ConcatDataset, because each start imports torch anew."""
    monkeypatch.setenv("CROSS4D_DATA", str(tmp_path))
    for name, write in WRITERS.items():
        (tmp_path / name).mkdir()
        write(tmp_path / name)
    datasets = [load_dataset(name, frames=2, points=16, limit=2)[:2] for name in dataset_names()]
    datasets[0][0]  # read before it is sent
    together = torch.utils.data.ConcatDataset(datasets)
    loader = DataLoader(together, num_workers=2, multiprocessing_context="spawn")
    expected = [clip for dataset in datasets for clip in dataset]
    for batch, clip in zip(loader, expected, strict=True):
        assert batch["id"] == [clip.id] and batch["subject"] == [clip.subject]
        assert torch.equal(batch["points"], torch.from_numpy(clip.points)[None])
        assert batch["label"].tolist() == [-1 if clip.label is None else clip.label]
        assert ("point_labels" in batch) == (clip.point_labels is not None)
    here = next(iter(DataLoader(datasets[0], batch_size=2)))
    assert here["points"].shape == (2, 2, 16, 3) and here["label"].dtype == torch.int64
