"""UTD-MHAD: 27 actions, 8 subjects, 861 depth videos of a Kinect v1.

Files ``aX_sY_tZ_depth.mat`` (action, subject, trial) with the array ``d_depth``, uint16 millimetres, 0 where there is
background. Odd subjects train, even subjects test.
"""

from __future__ import annotations

from pathlib import Path

from ..clips import Video
from .base import Entry, Source, dataset_root
from .depth_video import back_project_video, find_files, parse_mat, read_bytes

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
    the folder is not there.
    """
    found: dict[str, Entry] = {}
    for match, path in find_files(dataset_root(NAME, root), FILE_NAME):
        action, subject, trial = (int(number) for number in match.groups())
        if 1 <= action <= len(CLASSES) and 1 <= subject <= 8:
            video_id = f"a{action:02}_s{subject}_t{trial}"
            found.setdefault(video_id, Entry(video_id, action - 1, f"s{subject}", path))
    return sorted(found.values(), key=lambda entry: entry.id)


def in_split(entry: Entry, split: str) -> bool:
    """Cross-subject: odd subjects train, even subjects test."""
    return (int(entry.subject[1:]) % 2 == 1) == (split == "train")


def read(entry: Entry) -> Video:
    """The video's points in metres, F arrays (n_f, 3). Raises DataError on a file that is no such ``.mat``, or
    damaged."""
    path = Path(entry.handle)
    depth = parse_mat(read_bytes(path), "d_depth", path)
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
