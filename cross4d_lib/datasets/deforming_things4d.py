"""DeformingThings4D, its animals: 1,772 animations of meshes whose vertices correspond over time.

Files ``<identity>_<action>/<identity>_<action>.anime``, below the root or, as in the release, below its folder
``animals/`` (beside ``humanoids/``, which is then left out). There is no official split, and 31 of the 38 categories
have one identity, so there are two tasks:

``deforming-things4d`` is the paper's, the animal's category. ``train`` / ``test`` go by clip: within a category, clips
stand in the order of SHA-256 of their ids, and the first fifth (rounded, at least one of two or more) is test. The
paper's 1,413 / 359 follows an unpublished rule; ``split_hash`` names ours. The same identity, with the same mesh, is on
both sides.

``deforming-things4d-actions`` asks for the motion instead, and of animals never seen: ``train`` / ``test`` go by
identity. The first task has this split too, as ``train-identities`` / ``test-identities``, for pretraining and for
labels of points.

Names. Category: where an identity begins in lower case, its leading lower-case letters, since the release appends a
code of capitals and digits (``bear3EP``, ``bear84Q`` are bears, ``foxWDFS`` a fox); where it begins with a capital, it
has no code and all of it is the category (``ShibaInu``). Action: what follows the first ``_``. Motion: the first of
MOTIONS whose pattern the action contains.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..clips import Video
from ..decisions import ANIMAL_VIEW
from ..errors import DataError
from ..files import file_digest
from .anime import before_camera, read_anime, read_header, up_axis
from .base import Entry, Source, by_hash
from .data_files import dataset_root, find_clips

NAME = "deforming-things4d"
FILE_NAME = r"([^_.][^_]*)_(.+)\.anime"
SPLITS = ("train", "test", "train-identities", "test-identities")
CITATION = "Li et al. 4DComplete: non-rigid motion estimation beyond the observable surface. ICCV 2021."

# In this order, on the action in lower case: a gallop that jumps is a jump, an idle stand that is hit is a hit.
MOTIONS = {
    "hit": r"get_?hit|hit_?react|hurt|damage",
    "death": r"death|die|dead",
    "attack": r"attack|atk|agress|aggress|bite|claw|kick|headbutt|fight|strike",
    "jump": r"jump|leap|hop",
    "fly": r"fly|glide|soar",
    "swim": r"swim",
    "eat": r"(?<!br)(?<!thr)eat|drink|graze",
    "rest": r"sleep|sit|lie|lay|rest",
    "turn": r"turn|rotate",
    "run": r"run|gallop|sprint|trot",
    "walk": r"walk|step|sneak|crawl",
    "call": r"roar|howl|bark|growl",
    "idle": r"idle|stand|look|breath",
}


@dataclass(frozen=True)
class Animation:
    """What reading and splitting one animation needs. up : the axis of the file that is up. test : by clip.
    test_identity : by identity."""

    path: Path
    category: str
    motion: str | None
    up: str
    test: bool = False
    test_identity: bool = False


def category_of(identity: str) -> str:
    """``bear3EP`` -> ``bear``; ``ShibaInu`` -> ``ShibaInu``."""
    return re.match(r"[a-z]*", identity)[0] or identity


def motion_of(action: str) -> str | None:
    """The coarse motion of an action's name, or None where no pattern is in it: ``Idle_HitReact_Left`` -> ``hit``."""
    return next((motion for motion, pattern in MOTIONS.items() if re.search(pattern, action.lower())), None)


def mesh_key(identity: str, path: Path) -> object:
    """What tells meshes apart: how many vertices and triangles. Two animals that agree in both by chance are taken for
    one, which errs to the safe side: it can only keep them in one fold."""
    try:
        return read_header(path)[1:]
    except DataError:
        return identity  # reading the file will say why


def test_identities(first_files: dict[str, Path]) -> set[str]:
    """Identities of the test side: a quarter of the meshes (rounded, at least one of two or more), in the order of
    SHA-256 of the first of their names.

    first_files : identity -> one of its files. Identities of one mesh, whatever their names (a horse and its white
    twin), stay together.
    """
    meshes: dict[object, list[str]] = {}
    for identity, path in sorted(first_files.items()):
        meshes.setdefault(mesh_key(identity, path), []).append(identity)
    groups = sorted(meshes.values(), key=lambda names: hashlib.sha256(names[0].encode()).hexdigest())
    return {identity for names in groups[: share(len(groups), 4)] for identity in names}


def share(count: int, parts: int) -> int:
    """One part of ``parts``, rounded; of two or more at least one, of one none."""
    return 0 if count < 2 else max(1, (count + parts // 2) // parts)


def find_animations(folder: Path) -> list[Entry]:
    """Every animation, sorted by id, its label the category's place in the alphabet, its subject the identity."""
    released = folder / "animals"
    files = find_clips(released if released.is_dir() else folder, FILE_NAME, lambda match: "_".join(match.groups()))
    first_files = {match[1]: path for match, path in reversed(files.values())}
    up, apart = up_axis(first_files.values()), test_identities(first_files)
    categories = sorted({category_of(identity) for identity in first_files})
    found = []
    for clip_id, (match, path) in files.items():
        identity, action = match.groups()
        category = category_of(identity)
        animation = Animation(path, category, motion_of(action), up, test_identity=identity in apart)
        found.append(Entry(clip_id, categories.index(category), identity, animation))
    test = set()
    for label in range(len(categories)):
        clips = by_hash([entry for entry in found if entry.label == label])
        test |= {entry.id for entry in clips[: share(len(clips), 5)]}
    return [replace(entry, handle=replace(entry.handle, test=entry.id in test)) for entry in found]


def entries(root: Path | None = None, folder: str = NAME) -> list[Entry]:
    """The animations below ``root`` (or $CROSS4D_DATA/<folder>), labelled by category. Raises DataError when the folder
    is not there."""
    return find_animations(dataset_root(folder, root))


def action_entries(root: Path | None = None, folder: str = NAME) -> list[Entry]:
    """Those whose motion is known and occurs on both sides of the identity split, labelled by motion, in MOTIONS'
    order."""
    named = [entry for entry in entries(root, folder) if entry.handle.motion]
    sides = [{entry.handle.motion for entry in named if entry.handle.test_identity == test} for test in (False, True)]
    common = [motion for motion in MOTIONS if motion in sides[0] & sides[1]]
    return [replace(entry, label=common.index(entry.handle.motion)) for entry in named if entry.handle.motion in common]


def in_split(entry: Entry, split: str) -> bool:
    """By clip for ``train`` and ``test``, by identity for the two others."""
    side = entry.handle.test_identity if split.endswith("-identities") else entry.handle.test
    return side == split.startswith("test")


def in_action_split(entry: Entry, split: str) -> bool:
    """By identity."""
    return entry.handle.test_identity == (split == "test")


def names_of(label_name: str, found: list[Entry]) -> tuple[str, ...]:
    """The names that the found entries' labels stand for, in label order. label_name : field of the handle."""
    return tuple(dict(sorted((entry.label, getattr(entry.handle, label_name)) for entry in found)).values())


def split_hash(root: Path | None = None, source: Source | None = None) -> str:
    """A hash of the split (16 hex digits): of every id and whether it trains. Two people with the same hash have the
    same split."""
    source = source or SOURCE
    lines = [f"{entry.id} {'train' if source.in_split(entry, 'train') else 'test'}" for entry in source.entries(root)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def read(entry: Entry) -> Video:
    """The moving mesh before the camera: F frames of its vertices (V, 3), triangles (K, 3). Raises DataError on a
    damaged file."""
    vertices, triangles = read_anime(Path(entry.handle.path))
    return Video(before_camera(vertices, entry.handle.up), entry.id, entry.label, entry.subject, triangles=triangles)


def fingerprint_of(entry: Entry) -> str:
    """The file's content, and from where it is seen."""
    return f"{file_digest(Path(entry.handle.path))}/{entry.handle.up}/{ANIMAL_VIEW:g}"


SOURCE = Source(
    name=NAME,
    classes=(),
    splits=SPLITS,
    entries=entries,
    in_split=in_split,
    read=read,
    expected={"all": 1772, "train": 1413, "test": 359},
    citation=CITATION,
    fingerprint_of=fingerprint_of,
    classes_of=partial(names_of, "category"),
)

ACTIONS = replace(
    SOURCE,
    name=f"{NAME}-actions",
    splits=("train", "test"),
    entries=action_entries,
    in_split=in_action_split,
    expected={},
    classes_of=partial(names_of, "motion"),
    folder=NAME,
)
