"""UTD-MHAD: 27 actions, 8 subjects, 861 depth videos of a Kinect v1.

Files ``aX_sY_tZ_depth.mat`` (action, subject, trial) with the array ``d_depth``, uint16 millimetres, 0 where there is
background. Odd subjects train, even subjects test.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..clips import Video
from .base import Entry, Source
from .data_files import dataset_root, find_clips
from .depth_video import back_project_video, parse_mat, read_depth

NAME = "utd-mhad"
FILE_NAME = r"a(\d{1,2})_s(\d)_t(\d{1,2})_depth\.mat"
METRES_PER_UNIT = 0.001

CLASSES = (
    "swipe left",
    "swipe right",
    "wave",
    "clap",
    "throw",
    "arm cross",
    "basketball shoot",
    "draw x",
    "draw circle clockwise",
    "draw circle counter clockwise",
    "draw triangle",
    "bowling",
    "boxing",
    "baseball swing",
    "tennis swing",
    "arm curl",
    "tennis serve",
    "push",
    "knock",
    "catch",
    "pickup and throw",
    "jog",
    "walk",
    "sit to stand",
    "stand to sit",
    "lunge",
    "squat",
)


def entries(root: Path | None = None) -> list[Entry]:
    """The videos below ``root`` (or $CROSS4D_DATA/utd-mhad), sorted by id (``a01_s1_t1``: the action padded to sort).

    Files of other names, and of actions or subjects the dataset does not have, are passed over. Raises DataError when
    the folder is not there, or holds a video twice.
    """
    found = find_clips(dataset_root(NAME, root), FILE_NAME, clip_id)
    return [Entry(video_id, int(match[1]) - 1, f"s{match[2]}", path) for video_id, (match, path) in found.items()]


def clip_id(match: re.Match) -> str | None:
    """``a01_s1_t1``, or None where the dataset has no such action or subject."""
    action, subject, trial = map(int, match.groups())
    return f"a{action:02}_s{subject}_t{trial}" if 1 <= action <= len(CLASSES) and 1 <= subject <= 8 else None


def in_split(entry: Entry, split: str) -> bool:
    """Cross-subject: odd subjects train, even subjects test."""
    return (int(entry.subject[1:]) % 2 == 1) == (split == "train")


def read(entry: Entry) -> Video:
    """The video's points in metres, F arrays (n_f, 3). Raises DataError on a file that is no such ``.mat``, or
    damaged."""
    path = Path(entry.handle)
    depth = parse_mat(read_depth(path), "d_depth", path)
    return Video(back_project_video(depth, METRES_PER_UNIT), entry.id, entry.label, entry.subject)


SOURCE = Source(
    name=NAME,
    classes=CLASSES,
    splits=("train", "test"),
    entries=entries,
    in_split=in_split,
    read=read,
    expected={"all": 861, "train": 431, "test": 430},
    citation="Chen, Jafari, Kehtarnavaz. UTD-MHAD: a multimodal dataset for human action recognition. ICIP 2015.",
)
