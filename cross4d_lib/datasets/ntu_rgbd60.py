"""NTU RGB+D 60: 60 actions, 40 subjects, 3 cameras, 56,880 depth videos of a Kinect v2, cut out of their background.

Folders ``SsssCcccPpppRrrrAaaa`` (setup, camera, subject, repetition, action), each with one ``MDepth-%08d.png`` a
frame: the published masked depth maps, 16-bit millimetres, 512 x 424, background 0. Actions 61-120 belong to NTU RGB+D
120 and are passed over.

Splits: ``train`` / ``test`` cross-subject, by the 20 training subjects of the literature; ``train-views`` /
``test-views`` cross-view, cameras 2 and 3 against camera 1.

A frame in which the mask left nothing shows the nearest frame with points (the earlier of two as near). The paper is
silent; dropping the video would lose it, dropping the frame would shift time, and a static moment is what a padded clip
has too. ``Clip.frames_repeated`` counts such frames with the other repeated ones.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..clips import Video
from ..errors import DataError
from .base import Entry, Source, dataset_root
from .depth_png import parse_png
from .depth_video import back_project, read_bytes

NAME = "ntu-rgbd60"
FOLDER_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})", re.IGNORECASE)
FRAME_NAME = re.compile(r"MDepth-(\d{8})\.png", re.IGNORECASE)
DEPTH_OF_FOLDERS = 4  # how far below the root a video's folder may lie

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


def video_folders(folder: Path, below: int = DEPTH_OF_FOLDERS) -> Iterator[tuple[re.Match, Path]]:
    """Every folder below ``folder`` with a video's name, sorted by path. A video's own folder is not looked into: there
    are millions of frames."""
    for name in sorted(entry.name for entry in os.scandir(folder) if entry.is_dir()):
        if match := FOLDER_NAME.fullmatch(name):
            yield match, folder / name
        elif below > 1:
            yield from video_folders(folder / name, below - 1)


def entries(root: Path | None = None) -> list[Entry]:
    """The videos below ``root`` (or $CROSS4D_DATA/ntu-rgbd60), sorted by id (``S001C001P001R001A001``).

    Folders of other names, and of actions, cameras or subjects the dataset does not have, are passed over. Raises
    DataError when the folder is not there.
    """
    found: dict[str, Entry] = {}
    for match, path in video_folders(dataset_root(NAME, root)):
        _, camera, subject, _, action = (int(number) for number in match.groups())
        if 1 <= action <= len(CLASSES) and 1 <= camera <= 3 and 1 <= subject <= 40:
            found.setdefault(match[0].upper(), Entry(match[0].upper(), action - 1, f"P{subject:03}", path))
    return sorted(found.values(), key=lambda entry: entry.id)


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
        raise DataError(
            f"the folder cannot be read: {error.strerror}", folder, "check that it exists and may be read"
        ) from error
    if not numbered:
        raise DataError(
            "no frame MDepth-########.png", folder, "unpack the masked depth maps again, or remove the folder"
        )
    return [folder / name for _, name in numbered]


class MaskedFrames(Sequence):
    """The frames of a video, each decoded when it is asked for: a clip takes few of them.

    replaced : indices of the frames asked for so far that are empty and show their nearest neighbour instead.
    """

    def __init__(self, files: list[Path]):
        self.files, self.replaced, self._empty = files, set(), set()

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, f):
        if isinstance(f, slice):
            return [self[i] for i in range(*f.indices(len(self)))]
        if not -len(self) <= f < len(self):
            raise IndexError(f"frame {f} of {len(self)}")
        f = int(f) % len(self)
        for g in sorted(range(len(self)), key=lambda g: (abs(g - f), g)):
            points = self._decode(g)
            if len(points):
                if g != f:
                    self.replaced.add(f)
                return points
        return points  # of a video without a single point; sampling it says so

    def _decode(self, f: int) -> np.ndarray:
        """The points of frame f itself, (n, 3) float32, metres; (0, 3) where the mask left nothing."""
        if f in self._empty:
            return np.zeros((0, 3), np.float32)
        path = self.files[f]
        points = back_project(parse_png(read_bytes(path), ROWS, COLUMNS, path), METRES_PER_UNIT, KINECT_V2)
        if not len(points):
            self._empty.add(f)
        return points


def read(entry: Entry) -> Video:
    """The video, its frames decoded as they are asked for: a damaged one raises DataError then, a missing folder at
    once."""
    return Video(MaskedFrames(frame_files(Path(entry.handle))), entry.id, entry.label, entry.subject)


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
    deals_subjects=True,
)
