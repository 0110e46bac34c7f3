"""The files of a dataset: where they lie, which of them belong to it, and what is in them. Every reader finds and reads
its files through this."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import DataError
from ..files import expanded

FETCH = "fetch the file again"
ACCESS = "check that it exists and may be read"
RESOURCE_FOLDERS = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
LFS, ANNEX = b"version https://git-lfs.github.com/spec/", b"/annex/objects/"
PAGES = (b"<!doctype html", b"<html", b"<head", b"<?xml", b"<error>")


def dataset_root(name: str, root: str | os.PathLike | None) -> Path:
    """The folder of a dataset: ``root``, or $CROSS4D_DATA/<name>. Raises DataError when neither is there."""
    if root is None:
        base = os.environ.get("CROSS4D_DATA")
        if not base:
            raise DataError(
                f"no folder given for {name}",
                "$CROSS4D_DATA is not set",
                f"set CROSS4D_DATA to the folder that holds {name}/, or pass root=, or use an embedded dataset such as "
                "synthetic-actions",
            )
        root = Path(base) / name
    folder = expanded(root)
    if not folder.is_dir():
        raise DataError(
            f"the folder of {name} is not there",
            folder,
            "check CROSS4D_DATA or root=; `cross4d doctor` lists what is present",
        )
    return folder


def find_clips(
    folder: Path,
    pattern: str,
    clip_id: Callable[[re.Match], str | None],
    folders: bool = False,
    prefer: tuple[str, ...] = (),
) -> dict[str, tuple[re.Match, Path]]:
    """Everything below ``folder``, at any depth, whose whole name fits ``pattern`` (case ignored), by clip id, sorted.

    clip_id(match) : the id, or None for a clip that the dataset does not have. folders : clips are folders, which are
    not looked into, instead of files. prefer : suffixes; of two files of one clip in one folder, the one whose suffix
    comes first is taken. Names that do not fit are passed over: skeletons and notes lie beside the videos.
    Symbolic links are followed, each real folder is visited once; hidden folders and those that an archiver or a system
    leaves behind are not looked into.

    Raises DataError on a folder that cannot be read, and on clips that are there twice, in different folders.
    """
    name = re.compile(pattern, re.IGNORECASE)
    found: dict[str, tuple[re.Match, Path]] = {}
    twice: list[str] = []
    for path, is_folder in _walk(folder, name, folders, set()):
        match = name.fullmatch(path.name)
        key = clip_id(match) if match and is_folder == folders else None
        if key is None:
            continue
        other = found.setdefault(key, (match, path))[1]
        if other is path or os.path.realpath(other) == os.path.realpath(path):
            continue
        suffixes = [p.suffix.lower() for p in (other, path)]
        if other.parent == path.parent and suffixes[0] != suffixes[1] and set(suffixes) <= set(prefer):
            found[key] = min(found[key], (match, path), key=lambda file: prefer.index(file[1].suffix.lower()))
        else:
            twice.append(f"{key}: {other} and {path}")
    if twice:
        more = f", and {len(twice) - 3} more" if len(twice) > 3 else ""
        raise DataError(f"clips that are there twice ({'; '.join(twice[:3])}{more})", folder, "remove one of each")
    return dict(sorted(found.items()))


def _walk(folder: Path, name: re.Pattern, folders: bool, visited: set) -> Iterator[tuple[Path, bool]]:
    """Path and "is a folder" of everything below, by name, links followed. Folders that are clips are not entered."""
    try:
        state = folder.stat()
        if (state.st_dev, state.st_ino) in visited:
            return
        visited.add((state.st_dev, state.st_ino))
        with os.scandir(folder) as entries:
            inside = sorted((e.name, os.path.isdir(e.path) if e.is_symlink() else e.is_dir()) for e in entries)
    except OSError as error:
        raise DataError(f"the folder cannot be read: {error.strerror}", folder, ACCESS) from error
    for entry, is_folder in inside:
        if is_folder and (entry.startswith(".") or entry in RESOURCE_FOLDERS):
            continue
        yield folder / entry, is_folder
        if is_folder and not (folders and name.fullmatch(entry)):
            yield from _walk(folder / entry, name, folders, visited)


def read_bytes(path: Path, most: int, what: str, fix: str = FETCH) -> bytes:
    """The file's content. Raises DataError when it cannot be read, is empty, stands for another file, or has more than
    ``most`` bytes, as many as ``what`` can have."""
    try:
        size = path.stat().st_size
        if size == 0:
            raise DataError("the file is empty", path, FETCH)
        if size > most:
            raise DataError(f"{size:,} bytes are more than any {what} has", path, fix)
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror}", path, ACCESS) from error
    check_content(data, path)
    return data


def check_content(data: bytes, path: Path) -> None:
    """Raise DataError where a file's first bytes are those of a pointer to the data, or of a web page in its place."""
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(LFS):
        raise DataError("a git-lfs pointer, not the data", path, "fetch the data: git lfs pull")
    if ANNEX in start and len(data) < 2**15:
        raise DataError("a git-annex pointer, not the data", path, "fetch the data: git annex get")
    if start.startswith(PAGES):
        raise DataError(
            "an HTML or XML page, not the data", path, "download the file again; the site may ask for a login first"
        )
