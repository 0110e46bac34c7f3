"""The version of the code that decides a run's numbers, room by room; it is part of a run's key and of its row.

A room is a step of the method: some files of the library. ``code_versions.json`` holds for each a version, which says
"results are those of this code", and a digest of what its files do. A test compares the digests. When one differs, the
author of the change says whether results change:

    python -m cross4d_lib.experiments.code_version                       which rooms have changed
    python -m cross4d_lib.experiments.code_version --same encoders       results are unchanged: the digest is renewed
    python -m cross4d_lib.experiments.code_version --changed encoders    results change: the version goes up
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
from functools import lru_cache
from pathlib import Path

from .. import decisions
from ..errors import ConfigError
from ..files import write_text

LIBRARY = Path(__file__).resolve().parents[1]
VERSIONS = Path(__file__).with_name("code_versions.json")
ROOMS = {  # -> the files that hold its code, relative to the library
    "clips": ("clips.py", "datasets/**/*.py"),
    "render": ("render.py", "correspondence.py"),
    "points": ("points.py",),
    "teachers": ("teachers/*.py",),
    "targets": ("targets/*.py",),
    "encoders": ("encoders/*.py",),
    "pretexts": ("pretexts/*.py",),
    "training": ("training.py", "augment.py", "precision.py"),
    "evaluation": ("evaluation/*.py", "experiments/tasks.py"),
}


def normal_form(node) -> object:
    """A syntax tree as nested lists, JSON-ready: the same for code that differs in layout, comments or docstrings
    alone, and in every version of Python."""
    if isinstance(node, ast.AST):
        fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            fields["body"] = node.body[1:]
        return [type(node).__name__, {name: normal_form(value) for name, value in fields.items()}]
    return [normal_form(part) for part in node] if isinstance(node, list) else repr(node)


def decided(tree: ast.AST) -> dict[str, str]:
    """The values of ``decisions`` that a file imports: changing one changes what the file does."""
    names = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "decisions"
        for alias in node.names
    ]
    return {name: repr(getattr(decisions, name)) for name in sorted(names)}


def digest_of(room: str, library: Path = LIBRARY) -> str:
    """What the files of a room do, as 16 hex digits."""
    files = sorted({file for pattern in ROOMS[room] for file in library.glob(pattern)})
    trees = [(file.relative_to(library).as_posix(), ast.parse(file.read_text())) for file in files]
    content = [[name, normal_form(tree), decided(tree)] for name, tree in trees]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


@lru_cache
def code_versions() -> dict[str, int]:
    """room -> version of its code, as recorded."""
    return {room: recorded["version"] for room, recorded in json.loads(VERSIONS.read_text()).items()}


def changed_rooms() -> list[str]:
    """Rooms whose code is not the recorded one."""
    recorded = json.loads(VERSIONS.read_text()) if VERSIONS.is_file() else {}
    return [room for room in ROOMS if recorded.get(room, {}).get("digest") != digest_of(room)]


def record(same: list[str] = (), changed: list[str] = ()) -> None:
    """Write the digests of some rooms as they are now; the version of those in ``changed`` goes up by one.

    Raises ConfigError on an unknown room.
    """
    if unknown := {*same, *changed} - ROOMS.keys():
        raise ConfigError(f"no room {', '.join(sorted(unknown))}", "code_version", f"some of {', '.join(ROOMS)}")
    versions = json.loads(VERSIONS.read_text()) if VERSIONS.is_file() else {}
    for room in (*same, *changed):
        version = versions.get(room, {"version": 1})["version"] + (room in changed)
        versions[room] = {"version": version, "digest": digest_of(room)}
    ordered = {room: versions[room] for room in ROOMS if room in versions}
    write_text(VERSIONS, json.dumps(ordered, indent=1) + "\n")
    code_versions.cache_clear()


def main() -> None:
    parser = argparse.ArgumentParser(description="Record a change of the code that decides results.")
    parser.add_argument("--same", nargs="+", default=[], metavar="ROOM", help="results are unchanged")
    parser.add_argument("--changed", nargs="+", default=[], metavar="ROOM", help="results change: a new version")
    options = parser.parse_args()
    record(options.same, options.changed)
    print(f"changed and not recorded: {', '.join(changed_rooms()) or 'none'}")


if __name__ == "__main__":
    main()
