"""Where everything lies that is computed once and can be computed again (targets, encoders, checkpoints, teachers), and
how a file is written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import uuid
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from .errors import ConfigError

DRAFT = re.compile(r"\.draft-(?P<host>.+)-(?P<process>\d+)-[0-9a-f]{32}$")  # ends the name of what is being written


def expanded(path: str | os.PathLike) -> Path:
    """The path with ~ as the home folder. Raises ConfigError where no home folder is known."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            "the home folder is not known", path, "set HOME, or give a path without ~ ($CROSS4D_CACHE for the cache)"
        ) from error


def cache_folder() -> Path:
    """Where stores lie: $CROSS4D_CACHE, or ~/.cache/cross4d."""
    return expanded(os.environ.get("CROSS4D_CACHE") or "~/.cache/cross4d")


def write_whole(path: str | os.PathLike, write: Callable[[Path], object]) -> None:
    """Write a file or a folder whole or not at all.

    write(draft) : writes to exactly that path, which lies beside ``path`` and takes its place when ``write`` returns.
    The draft is removed on failure; drafts of this path that killed processes left are removed first. A folder does not
    replace another one. Raises what ``write`` raises, and OSError.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep_drafts(path.parent, path.name)
    draft = path.with_name(f"{path.name}.draft-{platform.node()}-{os.getpid()}-{uuid.uuid4().hex}")
    try:
        write(draft)
        draft.replace(path)
    except BaseException:
        _remove(draft)
        raise


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file in UTF-8 whole or not at all."""
    write_whole(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def sweep_drafts(folder: str | os.PathLike, name: str | None = None) -> None:
    """Remove the drafts in a folder (of one file ``name``, or of all) whose process on this machine has ended."""
    with os.scandir(Path(folder)) as entries:
        for entry in entries:
            draft = DRAFT.search(entry.name)
            if not draft or name not in (None, entry.name[: draft.start()]) or draft["host"] != platform.node():
                continue
            if not _runs(int(draft["process"])):
                _remove(Path(entry.path))


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def file_digest(path: str | os.PathLike) -> str:
    """SHA-256 of a file's bytes, first 16 hex digits. A file that has not been written to since is not read again."""
    state = os.stat(path)
    return _digest(str(path), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4096)
def _digest(path: str, size: int, changed: int) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
