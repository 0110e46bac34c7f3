"""A file is written whole or not at all, and paths are what they say.

Claims proved:
1. Whole. Whatever ends a writing (an error, Ctrl-C, SIGKILL, a second writer), a reader finds the old content or the
   new one, and no draft outlives its process and the next writing.
2. Paths. ~ is the home folder in every setting that is a path; without a home folder the error says what to do.
3. A digest follows the content.
"""

import os
import platform
import signal
import threading
from pathlib import Path

import pytest

from cross4d_lib.datasets import dataset_root
from cross4d_lib.errors import ConfigError
from cross4d_lib.files import cache_folder, expanded, file_digest, sweep_drafts, write_text, write_whole

# ----------------------------------------------------------------------------------------------- 1. whole or not at all


def drafts(folder):
    return [path.name for path in folder.iterdir() if ".draft-" in path.name]


def test_a_text_is_there_in_folders_that_were_not(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "ä")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "ä".encode() and not drafts(tmp_path / "a")
    write_text(tmp_path / "a" / "b.txt", "another")
    assert (tmp_path / "a" / "b.txt").read_text() == "another"


@pytest.mark.parametrize("fault", [ValueError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("folder", [False, True])
def test_a_failed_writing_leaves_what_was_there(tmp_path, fault, folder):
    def write(draft):
        (draft.mkdir() or (draft / "part").write_text("new")) if folder else draft.write_text("new")
        raise fault

    (tmp_path / "file").write_text("old")
    with pytest.raises(type(fault)):
        write_whole(tmp_path / "file", write)
    assert (tmp_path / "file").read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_a_folder_is_whole_and_replaces_no_other(tmp_path):
    write = lambda draft: draft.mkdir() or (draft / "part").write_text("x")
    write_whole(tmp_path / "store", write)
    with pytest.raises(OSError):
        write_whole(tmp_path / "store", write)
    assert os.listdir(tmp_path) == ["store"] and (tmp_path / "store" / "part").read_text() == "x"


def test_two_writers_at_once_do_not_share_a_draft(tmp_path):
    """Each is in the middle of its writing while the other begins; the content is that of one of them."""
    both = threading.Barrier(2)

    def write(text):
        def within(draft):
            draft.write_text(text)
            both.wait(60)
            assert draft.read_text() == text

        write_whole(tmp_path / "file", within)

    threads = [threading.Thread(target=write, args=(text,)) for text in ("one", "other")]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert (tmp_path / "file").read_text() in ("one", "other") and os.listdir(tmp_path) == ["file"]


def test_the_draft_of_a_killed_process_is_removed_by_the_next_writing(tmp_path):
    child = os.fork()
    if child == 0:
        write_whole(tmp_path / "file", lambda draft: draft.write_text("half") and os.kill(os.getpid(), signal.SIGKILL))
    os.waitpid(child, 0)
    (dead,) = drafts(tmp_path)
    other = tmp_path / dead.replace("file.", "other.")
    alive = tmp_path / dead.replace(f"-{child}-", f"-{os.getpid()}-")
    elsewhere = tmp_path / dead.replace(platform.node(), platform.node() + "-elsewhere")
    for path in (other, alive, elsewhere):
        path.write_text("half")
    write_text(tmp_path / "file", "whole")
    assert not (tmp_path / dead).exists() and all(path.exists() for path in (other, alive, elsewhere))
    sweep_drafts(tmp_path)
    assert not other.exists() and alive.exists() and elsewhere.exists()
    assert (tmp_path / "file").read_text() == "whole"


def test_folders_left_by_dead_processes_are_swept_too(tmp_path):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    draft = tmp_path / f"a.zarr.draft-{platform.node()}-{child}-{'0' * 32}"
    (draft / "inner").mkdir(parents=True)
    (tmp_path / "my.draft-2").mkdir()  # of the user
    sweep_drafts(tmp_path)
    assert os.listdir(tmp_path) == ["my.draft-2"]


# ------------------------------------------------------------------------------------------------ 2. paths


def test_the_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CROSS4D_CACHE", "~/my cache")
    assert cache_folder() == tmp_path / "my cache"
    monkeypatch.delenv("CROSS4D_CACHE")
    assert cache_folder() == tmp_path / ".cache" / "cross4d"
    (tmp_path / "data" / "msr-action3d").mkdir(parents=True)
    monkeypatch.setenv("CROSS4D_DATA", "~/data")
    assert dataset_root("msr-action3d", None) == dataset_root("msr-action3d", "~/data/msr-action3d")
    assert dataset_root("msr-action3d", None) == tmp_path / "data" / "msr-action3d"


def test_without_a_home_folder_the_error_says_what_to_set(monkeypatch):
    def unknown(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", unknown)
    with pytest.raises(ConfigError, match="home folder is not known.*HOME.*CROSS4D_CACHE"):
        expanded("~/x")


# ------------------------------------------------------------------------------------------------ 3. digests


def test_a_digest_is_the_sha_256_of_the_bytes(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    assert file_digest(file) == file_digest(str(file)) == "ba7816bf8f01cfea"
    file.write_bytes(b"")
    assert file_digest(file) == "e3b0c44298fc1c14"
