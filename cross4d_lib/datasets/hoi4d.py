"""HOI4D, semantic segmentation: a hand, an object and a room as seen by a head-mounted depth camera, a class for every
point.

Files ``train1.h5`` ... ``train4.h5`` (HDF5), each with ``pcd`` [S, F, N, 3] float32, camera coordinates, and
``semantic`` [S, F, N], a class id of 0..48; published with F = 300 and N = 8,192. (``center``, a pivot for
augmentation, is not needed.) Only the frames a clip takes are read from disk.

The official test labels are hidden, so there is no official test split here. ``train`` / ``test``: the sequences found,
in the order of SHA-256 of their ids, the first floor(0.8 S) train. That is most likely what the paper did: of three of
the four files, 2,221 sequences, floor(0.8 x 2,221) = 1,776 train and 445 test, as it says. ``official-train``:
everything.

A sequence has no class of its own: every label is -1.

Reading executes nothing and follows nothing: links to other files, virtual and external data, filters outside HDF5
itself, and types other than plain numbers are refused.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import h5py
import numpy as np

from ..clips import Video
from ..errors import DataError
from .base import Entry, Source, by_hash, frames_and_labels
from .data_files import ACCESS, FETCH, check_content, dataset_root, find_clips

NAME = "hoi4d"
FILE_NAME = r"(train\d)\.h5"
CLASS_IDS = 49  # the head of the benchmark's own baseline has as many outputs
KNOWN = {
    0: "ignored 0",
    1: "ignored 1",
    47: "hand",
}  # no list of the ids is published; 47 follows from the annotation's colours

MOST = (10_000, 10_000, 1_000_000)  # sequences, frames, points; published are 750, 300 and 8,192
MAX_CHUNK_BYTES = 2**27  # what one read has to unpack at least; a whole published sequence has 29.5 million bytes
BUILT_IN_FILTERS = {1, 2, 3, 5, 6, 32000}  # deflate, shuffle, Fletcher-32, n-bit, scale-offset, and h5py's own LZF

EXPORT = "export the file again with plain arrays `pcd` and `semantic`"


class Shard:
    """An open file, checked: ``pcd`` [S, F, N, 3] and ``semantic`` [S, F, N] of one shape, stored in this file as plain
    numbers.

    Raises DataError on any other file.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            with open(path, "rb") as stream:
                check_content(stream.read(512), path)
        except OSError as error:
            raise DataError(f"the file cannot be read: {error.strerror}", path, ACCESS) from error
        try:
            self.file = h5py.File(path, "r", locking=False, rdcc_nbytes=MAX_CHUNK_BYTES)
        except Exception as error:  # h5py turns what its C library finds into many kinds
            raise DataError(f"no HDF5 file, or a damaged one ({type(error).__name__}: {error})", path, FETCH) from error
        try:
            self.check()
        except Exception as error:
            self.file.close()  # now, not when the error is forgotten: HDF5 would hand out the open file again
            if isinstance(error, DataError):
                raise
            raise DataError(f"a damaged HDF5 file ({type(error).__name__}: {error})", path, FETCH) from error

    def check(self) -> None:
        """Find the two arrays. Raises DataError where they are not as they should be, and whatever h5py raises on
        damage."""
        path = self.path
        self.points, self.labels = self.plain("pcd", "f", 4), self.plain("semantic", "iu", 3)
        self.shape = self.points.shape[:3]  # (S, F, N)
        self.stamp = path.stat().st_size, self.shape
        if self.points.shape[3] != 3 or self.labels.shape != self.shape or not all(self.shape):
            raise DataError(
                f"pcd has shape {self.points.shape}, semantic {self.labels.shape}, "
                "where (S, F, N, 3) and (S, F, N) are expected",
                path,
                EXPORT,
            )
        if any(size > most for size, most in zip(self.shape, MOST)):
            raise DataError(
                f"{self.shape[0]:,} sequences of {self.shape[1]:,} frames of {self.shape[2]:,} points",
                path,
                f"at most {MOST} are read: cut the file, or {FETCH}",
            )

    def plain(self, key: str, kinds: str, axes: int) -> h5py.Dataset:
        """The array ``key``, if it is a plain one that lies in this file."""
        link = self.file.get(key, getlink=True)
        if link is None:
            raise DataError(f"no array {key!r} among {sorted(self.file)[:8]}", self.path, EXPORT)
        if not isinstance(link, h5py.HardLink):
            raise DataError(f"{key!r} is a link ({type(link).__name__})", self.path, EXPORT)
        array = self.file[key]
        if not isinstance(array, h5py.Dataset):
            raise DataError(f"{key!r} is no array", self.path, EXPORT)
        layout = array.id.get_create_plist()
        if array.is_virtual or layout.get_external_count():
            raise DataError(f"the numbers of {key!r} lie in other files", self.path, EXPORT)
        if {layout.get_filter(i)[0] for i in range(layout.get_nfilters())} - BUILT_IN_FILTERS:
            raise DataError(f"{key!r} is packed by a filter that is not part of HDF5", self.path, EXPORT)
        if array.dtype.kind not in kinds or array.dtype.itemsize > 8 or array.ndim != axes:
            raise DataError(f"{key!r} holds {array.dtype} on {array.ndim} axes", self.path, EXPORT)
        if array.chunks and np.prod(array.chunks, dtype=object) * array.dtype.itemsize > MAX_CHUNK_BYTES:
            raise DataError(
                f"{key!r} is stored in chunks of {array.chunks}",
                self.path,
                f"store it in chunks of {MAX_CHUNK_BYTES >> 20} MiB or less, a frame each at best",
            )
        return array

    def frame(self, sequence: int, f: int) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, 3) float32 and labels (N,) int64 of one frame, read from disk. Raises DataError on values that are
        none."""
        try:
            points, labels = np.asarray(self.points[sequence, f], np.float32), self.labels[sequence, f]
        except Exception as error:
            raise DataError(
                f"sequence {sequence}, frame {f} cannot be read ({type(error).__name__}: {error})", self.path, FETCH
            ) from error
        if not np.isfinite(points).all():
            raise DataError(f"sequence {sequence}, frame {f} has a coordinate that is not finite", self.path, FETCH)
        if labels.min() < 0 or labels.max() >= CLASS_IDS:
            raise DataError(
                f"sequence {sequence}, frame {f} has labels {labels.min()}..{labels.max()}, outside 0..{CLASS_IDS - 1}",
                self.path,
                FETCH,
            )
        return points, labels.astype(np.int64)


def entries(root: Path | None = None) -> list[Entry]:
    """The sequences of every ``trainN.h5`` below ``root`` (or $CROSS4D_DATA/hoi4d), sorted by id (``train1_0000``).

    handle = (file, sequence, whether it trains). Raises DataError when the folder is not there, or a file is no such
    file.
    """
    found = find_clips(dataset_root(NAME, root), FILE_NAME, lambda match: match[1].lower())
    bare = [
        Entry(f"{shard}_{s:04}", -1, shard, (path, s))
        for shard, (_, path) in found.items()
        for s in range(Shard(path).shape[0])
    ]
    train = {entry.id for entry in by_hash(bare)[: len(bare) * 4 // 5]}
    bare.sort(key=lambda entry: entry.id)
    return [Entry(e.id, e.label, e.subject, (*e.handle, e.id in train)) for e in bare]


def in_split(entry: Entry, split: str) -> bool:
    """By hash for ``train`` and ``test``; ``official-train`` is every sequence."""
    return split == "official-train" or entry.handle[2] == (split == "train")


def read(entry: Entry) -> Video:
    """The sequence, its frames read as they are asked for; point labels are class ids. Raises DataError on a file that
    is none."""
    path, sequence, _ = entry.handle
    shard = Shard(Path(path))
    if not 0 <= sequence < shard.shape[0]:
        raise DataError(
            f"no sequence {sequence} among {shard.shape[0]}", path, "load the dataset again: the file has changed"
        )
    points, labels = frames_and_labels(lambda f: shard.frame(sequence, f), shard.shape[1])
    return Video(points, entry.id, None, entry.subject, labels)


def fingerprint_of(entry: Entry) -> str:
    """The file's size and shape and a digest of the sequence's first frame: the files themselves have tens of
    gigabytes."""
    path, sequence, _ = entry.handle
    shard = Shard(Path(path))
    points, labels = shard.frame(sequence, 0)
    return hashlib.sha256(repr((shard.stamp, sequence)).encode() + points.tobytes() + labels.tobytes()).hexdigest()[:16]


SOURCE = Source(
    name=NAME,
    classes=(),
    splits=("train", "test", "official-train"),
    entries=entries,
    in_split=in_split,
    read=read,
    expected={"all": 2971, "train": 2376, "test": 595, "official-train": 2971},
    citation="Liu et al. HOI4D: a 4D egocentric dataset for category-level human-object interaction. CVPR 2022.",
    point_classes=tuple(KNOWN.get(i, f"class {i}") for i in range(CLASS_IDS)),
    ignored=(0, 1),
    fingerprint_of=fingerprint_of,
)
