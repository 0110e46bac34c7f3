"""MSR-Action3D: 20 actions, 10 subjects, 567 depth videos cut out of their background (Table 8).

Files ``aXX_sYY_eZZ_sdepth`` (action, subject, episode), in the original headered ``.bin`` or in MATLAB's ``.mat``
(array ``depth``); which of the two a file is, its content says. Subjects 1-5 train, 6-10 test.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..clips import Video
from .base import Entry, Source
from .data_files import dataset_root, find_clips
from .depth_video import back_project_video, is_hdf5, is_mat, parse_bin, parse_mat, read_depth

NAME = "msr-action3d"
FILE_NAME = r"a(\d\d)_s(\d\d)_e(\d\d)_sdepth\.(bin|mat)"
TRAIN_SUBJECTS = range(1, 6)

# The dataset's documents name no unit. 5.12 mm is inferred from its skeletons; the method itself normalises scale away.
METRES_PER_UNIT = 0.00512

CLASSES = (
    "high arm wave",
    "horizontal arm wave",
    "hammer",
    "hand catch",
    "forward punch",
    "high throw",
    "draw x",
    "draw tick",
    "draw circle",
    "hand clap",
    "two hand wave",
    "side boxing",
    "bend",
    "forward kick",
    "side kick",
    "jogging",
    "tennis swing",
    "tennis serve",
    "golf swing",
    "pick up & throw",
)


def entries(root: Path | None = None) -> list[Entry]:
    """The videos below ``root`` (or $CROSS4D_DATA/msr-action3d), sorted by id (``a01_s01_e01``).

    Of a folder that holds a video in both forms, the ``.bin`` is read, the original. Files of other names, and of
    actions or subjects the dataset does not have, are passed over. Raises DataError when the folder is not there, or
    holds a video twice.
    """
    found = find_clips(dataset_root(NAME, root), FILE_NAME, clip_id, prefer=(".bin", ".mat"))
    return [Entry(video_id, int(match[1]) - 1, f"s{match[2]}", path) for video_id, (match, path) in found.items()]


def clip_id(match: re.Match) -> str | None:
    """``a01_s01_e01``, or None where the dataset has no such action or subject."""
    known = 1 <= int(match[1]) <= len(CLASSES) and 1 <= int(match[2]) <= 10
    return "a{}_s{}_e{}".format(*match.groups()) if known else None


def in_split(entry: Entry, split: str) -> bool:
    """Cross-subject: subjects 1-5 train, 6-10 test."""
    return (int(entry.subject[1:]) in TRAIN_SUBJECTS) == (split == "train")


def read(entry: Entry) -> Video:
    """The video's points in metres, F arrays (n_f, 3). Raises DataError on a file that is neither form, or damaged."""
    path = Path(entry.handle)
    data = read_depth(path)
    depth = parse_mat(data, "depth", path) if is_mat(data) or is_hdf5(data) else parse_bin(data, path)
    return Video(back_project_video(depth, METRES_PER_UNIT), entry.id, entry.label, entry.subject)


SOURCE = Source(
    name=NAME,
    classes=CLASSES,
    splits=("train", "test"),
    entries=entries,
    in_split=in_split,
    read=read,
    expected={"all": 567, "train": 270, "test": 297},
    citation="Li, Zhang, Liu. Action recognition based on a bag of 3D points. CVPR Workshops 2010.",
)
