"""``animals``: rigged models in DeformingThings4D's form, with the part of the body that each vertex belongs to.

168 clips of 15 species, 16 frames each, made from CC0 models by skinning; a small companion to DeformingThings4D, whose
licence forbids passing it on. Horse and HorseWhite share their mesh and motions (colour is all that differs), so no
method tells these two categories apart by points. Reader, splits and tasks are ``deforming_things4d``'s. Beside the
folder ``animals`` lies ``animals-parts``: ``<identity>.npy``, the joint (V,) that moves each vertex most, and
``<identity>.names.json``, the joints' names.

Joints become 13 parts by name (``part_of``). Shoulder, hip and thigh count as the upper leg; shank, foot and the joints
that pull the foot (``IK...``, ``FF``, ``FFB``) as the lower one; horns as the head; every bone of the trunk as the
torso. Sides are the animal's own.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..clips import Video
from ..errors import DataError
from ..files import file_digest
from . import deforming_things4d as dt4d
from .base import Entry
from .data_files import read_bytes

NAME = "animals"
PARTS = ("head", "ear", "neck", "torso", "tail") + tuple(
    f"{end} {side} {half} leg" for end in ("front", "back") for side in ("left", "right") for half in ("upper", "lower")
)

TRUNK = r"Head|\w*Horns?|(Ear|Neck|Tail|Torso)\d*|Back|Body|Hips|Shoulders|RootNode|\w*Armature"
UPPER_LEG, LOWER_LEG = (
    r"(Front|Back)(Shoulder|Leg|UpperLeg|UpLeg)\.(L|R)",
    r"(?:(?:IK)?(Front|Back)(Leg|LowerLeg|LowLeg|Foot)|(FFB?))\.(L|R)",
)
MAX_PARTS_BYTES = 2**26  # of one file of labels; the 15 have some kilobytes
EXPORT = "export the parts of the animals again"


def part_of(joint: str) -> int | None:
    """The part, an index into PARTS, that a joint's name stands for, or None: ``FrontUpLeg.L`` -> ``front left upper
    leg``."""
    joint = joint.removesuffix("_end")
    if match := re.fullmatch(UPPER_LEG, joint):
        return _leg(match[1], match[3], "upper")
    if match := re.fullmatch(LOWER_LEG, joint):
        return _leg(match[1] or {"FF": "Front", "FFB": "Back"}[match[3]], match[4], "lower")
    if re.fullmatch(r"Ear\d*\.(L|R)", joint):
        return PARTS.index("ear")
    if not re.fullmatch(TRUNK, joint):
        return None
    if joint.endswith(("Horn", "Horns")):
        return PARTS.index("head")
    name = re.match(r"[A-Za-z]+", joint)[0].lower()
    return PARTS.index(name if name in PARTS else "torso")


def _leg(end: str, side: str, half: str) -> int:
    return PARTS.index(f"{end.lower()} {'left' if side == 'L' else 'right'} {half} leg")


def part_files(entry: Entry) -> tuple[Path, Path]:
    """Joint of every vertex, and the joints' names, beside the folder that holds the animation's: ``animals-parts``."""
    above = Path(entry.handle.path).resolve().parents
    parts = next((up.parent / f"{up.name}-parts" for up in above if (up.parent / f"{up.name}-parts").is_dir()), None)
    if parts is None:
        raise DataError(
            "no folder of parts beside the animals",
            entry.handle.path,
            f"put animals-parts beside the folder animals, or load {dt4d.NAME!r} from that folder: it needs no parts",
        )
    return parts / f"{entry.subject}.npy", parts / f"{entry.subject}.names.json"


def read_parts(labels: Path, names: Path, vertices: int) -> np.ndarray:
    """The part of every vertex, (V,) int64, indices into PARTS. Raises DataError on files that are none, or of another
    mesh."""
    text = [read_bytes(path, MAX_PARTS_BYTES, "file of parts", EXPORT) for path in (labels, names)][1]
    try:
        # mapped: a shape larger than the file is refused
        joints = np.array(np.load(labels, mmap_mode="r", allow_pickle=False))
        known = {int(number): part_of(name) for number, name in json.loads(text).items()}
    except Exception as error:  # a header of .npy is Python's own notation: damage to it raises anything
        raise DataError(f"damaged ({type(error).__name__}: {error})", labels, EXPORT) from error
    if joints.shape != (vertices,) or joints.dtype.kind not in "iu":
        raise DataError(
            f"joints of shape {joints.shape} and type {joints.dtype}, for {vertices} vertices", labels, EXPORT
        )
    used, place = np.unique(joints, return_inverse=True)
    unknown = [int(joint) for joint in used if known.get(int(joint)) is None]
    if unknown:
        raise DataError(
            f"joints {unknown[:8]} have no name, or one that is no part of an animal",
            names,
            f"name them as the others, or extend {NAME}.part_of",
        )
    return np.array([known[int(joint)] for joint in used], np.int64)[place]


def read(entry: Entry) -> Video:
    """The moving mesh, as of ``deforming_things4d``, with the part of every vertex (V,) as its point labels."""
    video = dt4d.read(entry)
    return replace(video, point_labels=read_parts(*part_files(entry), len(video.frames[0])))


def fingerprint_of(entry: Entry) -> str:
    """The animation's content and its parts'."""
    return "/".join([dt4d.fingerprint_of(entry), *map(file_digest, part_files(entry))])


_shared = {
    "read": read,
    "citation": "15 species from rigged CC0 models, in the form of DeformingThings4D. " + dt4d.CITATION,
    "point_classes": PARTS,
    "fingerprint_of": fingerprint_of,
    "folder": NAME,
    "rigged": True,
}
SOURCE = replace(dt4d.SOURCE, name=NAME, entries=partial(dt4d.entries, folder=NAME), expected={"all": 168}, **_shared)
ACTIONS = replace(dt4d.ACTIONS, name=f"{NAME}-actions", entries=partial(dt4d.action_entries, folder=NAME), **_shared)
