"""NTU RGB+D 60: 60 actions, 40 subjects, 3 cameras, 56,880 depth videos of a Kinect v2, cut out of their background.

Folders ``SsssCcccPpppRrrrAaaa`` (setup, camera, subject, repetition, action), each with one ``MDepth-%08d.png`` a
frame: the published masked depth maps, 16-bit millimetres, 512 x 424, background 0. Actions 61-120 belong to NTU RGB+D
120 and are passed over.

Splits: ``train`` / ``test`` cross-subject, by the 20 training subjects of the literature; ``train-views`` /
``test-views`` cross-view, cameras 2 and 3 against camera 1.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import numpy as np

from ..clips import Video
from ..errors import DataError
from .base import Entry, FramesOnDemand, Source
from .data_files import ACCESS, dataset_root, find_clips
from .depth_png import parse_png
from .depth_video import back_project, read_depth

NAME = "ntu-rgbd60"
FOLDER_NAME = r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})"
FRAME_NAME = re.compile(r"MDepth-(\d{8})\.png", re.IGNORECASE)

ROWS, COLUMNS, METRES_PER_UNIT = 424, 512, 0.001
KINECT_V2 = (366.4, 366.5, 256.3, 208.5)  # fx, fy, cx, cy in pixels, of its depth camera

TRAIN_SUBJECTS = frozenset((1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38))
TRAIN_CAMERAS = frozenset((2, 3))

CLASSES = (
    "drink water",
    "eat meal",
    "brush teeth",
    "brush hair",
    "drop",
    "pick up",
    "throw",
    "sit down",
    "stand up",
    "clapping",
    "reading",
    "writing",
    "tear up paper",
    "put on jacket",
    "take off jacket",
    "put on a shoe",
    "take off a shoe",
    "put on glasses",
    "take off glasses",
    "put on a hat",
    "take off a hat",
    "cheer up",
    "hand waving",
    "kicking something",
    "reach into pocket",
    "hopping",
    "jump up",
    "phone call",
    "play with phone",
    "type on a keyboard",
    "point to something",
    "taking a selfie",
    "check time",
    "rub two hands",
    "nod head",
    "shake head",
    "wipe face",
    "salute",
    "put palms together",
    "cross hands in front",
    "sneeze",
    "staggering",
    "falling down",
    "headache",
    "chest pain",
    "back pain",
    "neck pain",
    "nausea",
    "fan self",
    "punch",
    "kicking",
    "pushing",
    "pat on back",
    "point finger",
    "hugging",
    "giving object",
    "touch pocket",
    "shaking hands",
    "walking towards",
    "walking apart",
)


def entries(root: Path | None = None) -> list[Entry]:
    """The videos below ``root`` (or $CROSS4D_DATA/ntu-rgbd60), sorted by id (``S001C001P001R001A001``).

    Folders of other names, and of actions, cameras or subjects the dataset does not have, are passed over. Raises
    DataError when the folder is not there, or holds a video twice.
    """
    found = find_clips(dataset_root(NAME, root), FOLDER_NAME, clip_id, folders=True)
    return [Entry(video_id, int(match[5]) - 1, f"P{match[3]}", path) for video_id, (match, path) in found.items()]


def clip_id(match: re.Match) -> str | None:
    """``S001C001P001R001A001``, or None where the dataset has no such action, camera or subject."""
    _, camera, subject, _, action = map(int, match.groups())
    known = 1 <= action <= len(CLASSES) and 1 <= camera <= 3 and 1 <= subject <= 40
    return match[0].upper() if known else None


def in_split(entry: Entry, split: str) -> bool:
    """Cross-subject for ``train`` and ``test``; cross-view for ``train-views`` and ``test-views``."""
    if split.endswith("-views"):
        return (int(entry.id[5:8]) in TRAIN_CAMERAS) == (split == "train-views")
    return (int(entry.subject[1:]) in TRAIN_SUBJECTS) == (split == "train")


def frame_files(folder: Path) -> list[Path]:
    """The depth maps of a video, by frame number. Raises DataError when there are none."""
    try:
        numbered = sorted((int(match[1]), name) for name in os.listdir(folder) if (match := FRAME_NAME.fullmatch(name)))
    except OSError as error:
        raise DataError(f"the folder cannot be read: {error.strerror}", folder, ACCESS) from error
    if not numbered:
        raise DataError(
            "no frame MDepth-########.png", folder, "unpack the masked depth maps again, or remove the folder"
        )
    return [folder / name for _, name in numbered]


def read(entry: Entry) -> Video:
    """The video, its frames decoded as they are asked for: a damaged one raises DataError then, a missing folder at
    once."""
    files = frame_files(Path(entry.handle))

    def decode(f: int) -> np.ndarray:
        """The points of a frame, (n, 3) float32, metres; (0, 3) where the mask left nothing."""
        return back_project(parse_png(read_depth(files[f]), ROWS, COLUMNS, files[f]), METRES_PER_UNIT, KINECT_V2)

    return Video(FramesOnDemand(decode, len(files)), entry.id, entry.label, entry.subject)


def fingerprint_of(entry: Entry) -> str:
    """A digest of the frames' names and sizes: a compressed map of another content nearly always has another size, and
    hashing the 83 GB themselves would take longer than training."""
    lines = [f"{path.name} {path.stat().st_size}" for path in frame_files(Path(entry.handle))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


SOURCE = Source(
    name=NAME,
    classes=CLASSES,
    splits=("train", "test", "train-views", "test-views"),
    entries=entries,
    in_split=in_split,
    read=read,
    expected={"all": 56_880, "train": 40_320, "test": 16_560, "train-views": 37_920, "test-views": 18_960},
    citation="Shahroudy, Liu, Ng, Wang. NTU RGB+D: a large scale dataset for 3D human activity analysis. CVPR 2016.",
    fingerprint_of=fingerprint_of,
    balance_subjects=True,
)
