"""MSR-Action3D: 20 actions, 10 subjects, 567 depth videos cut out of their background (Table 8).

Files ``aXX_sYY_eZZ_sdepth`` (action, subject, episode), in the original headered ``.bin`` or in MATLAB's ``.mat``
(array ``depth``); which of the two a file is, its content says. Subjects 1-5 train, 6-10 test.
"""

from __future__ import annotations

from pathlib import Path

from ..clips import Video
from .base import Entry, Source, dataset_root
from .depth_video import back_project_video, find_files, is_hdf5, is_mat, parse_bin, parse_mat, read_bytes

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

    A video present in both forms is read from its ``.bin``, the original. Files of other names, and of actions or
    subjects the dataset does not have, are passed over. Raises DataError when the folder is not there.
    """
    found: dict[str, Entry] = {}
    files = find_files(dataset_root(NAME, root), FILE_NAME)
    for match, path in sorted(files, key=lambda file: file[1].suffix.lower() != ".bin"):
        action, subject, episode = (int(number) for number in match.groups()[:3])
        if 1 <= action <= len(CLASSES) and 1 <= subject <= 10:
            video_id = f"a{action:02}_s{subject:02}_e{episode:02}"
            found.setdefault(video_id, Entry(video_id, action - 1, f"s{subject:02}", path))
    return sorted(found.values(), key=lambda entry: entry.id)


def in_split(entry: Entry, split: str) -> bool:
    """Cross-subject: subjects 1-5 train, 6-10 test."""
    return (int(entry.subject[1:]) in TRAIN_SUBJECTS) == (split == "train")


def read(entry: Entry) -> Video:
    """The video's points in metres, F arrays (n_f, 3). Raises DataError on a file that is neither form, or damaged."""
    path = Path(entry.handle)
    data = read_bytes(path)
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
