"""What every dataset file provides, and the one class that turns it into clips.

A dataset file holds one :class:`Source`: how its videos are found, split, labelled and read. :class:`ClipDataset` does
the rest for all of them: sampling, counting, fingerprints.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..clips import Clip, Stride, Video, sample_clip, whole_number, whole_stride, window_starts
from ..decisions import CLIP_MEMORY
from ..errors import ConfigError, DataError, EmptyVideoError
from ..files import file_digest
from ..recent import Recent


@dataclass(frozen=True)
class Entry:
    """One video of a dataset before it is read. ``handle`` is what the source's ``read`` needs: a path, or parameters.

    A window of a video (``ClipDataset.windows``) has an id of its own, the ``start`` of the window, and its video.
    """

    id: str
    label: int
    subject: str
    handle: Any
    start: int | None = None
    video: Entry | None = None


def content_digest(entry: Entry) -> str:
    """What identifies a video whose handle is its file: the file's content."""
    return file_digest(Path(entry.handle))


@dataclass(frozen=True)
class Source:
    """A dataset: names, split and reader.

    name : as in ``load_dataset``. classes : class names, in label order; empty where only the files know them: then
    classes_of(videos found) gives them. splits : names of its splits.
    entries(root) : every video found, sorted by id, whatever the split. in_split(entry, split) : the split's rule.
    read(entry) : the Video; raises DataError only. expected : videos per split in the literature ("all" for the whole),
    so that what is missing can be stated. stand_in : True where this library generates the data. rigged :
    True where it is animated models, not recordings or the published set. point_classes : names of the
    per-point labels, in label order, or empty. ignored : those of them that no segmentation is trained or scored on.
    fingerprint_of(entry) : what identifies its content (a generator's version, or a file's digest). folder : its folder
    in $CROSS4D_DATA where that is not its name. balance_subjects : a ``limit`` is even over subjects too (see
    ``spread``), where a class has more subjects than its share of the limit.

    Its functions are those of a module, not lambdas: a dataset must pickle to reach the workers of a DataLoader.
    """

    name: str
    classes: tuple[str, ...]
    splits: tuple[str, ...]
    entries: Callable[[Path | None], list[Entry]]
    in_split: Callable[[Entry, str], bool]
    read: Callable[[Entry], Video]
    expected: dict[str, int]
    citation: str
    stand_in: bool = False
    rigged: bool = False
    point_classes: tuple[str, ...] = ()
    ignored: tuple[int, ...] = ()
    fingerprint_of: Callable[[Entry], str] = content_digest
    classes_of: Callable[[list[Entry]], tuple[str, ...]] | None = None
    folder: str = ""
    balance_subjects: bool = False

    @property
    def kind(self) -> str:
        """What its numbers are, in words that stand beside them wherever they are shown."""
        return "synthetic stand-in" if self.stand_in else "rigged models" if self.rigged else "real"


class FramesOnDemand(Sequence):
    """F frames, each computed when it is asked for, because a clip takes few of a video's.

    frame(f) : what frame f, 0..length-1, is: points (n, 3), or labels (n,).
    """

    def __init__(self, frame: Callable[[int], np.ndarray], length: int):
        self.frame, self.length = frame, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, f):
        if isinstance(f, slice):
            return [self[i] for i in range(*f.indices(self.length))]
        if not -self.length <= f < self.length:
            raise IndexError(f"frame {f} of {self.length}")
        return self.frame(int(f) % self.length)


def frames_and_labels(both: Callable[[int], tuple], length: int) -> tuple[FramesOnDemand, FramesOnDemand]:
    """The frames of a video and the labels of their points, where ``both(f)`` computes the two together.

    A frame's labels are asked for right after its points: the last two answers are kept.
    """
    recent = lru_cache(maxsize=2)(both)
    return FramesOnDemand(lambda f: recent(f)[0], length), FramesOnDemand(lambda f: recent(f)[1], length)


def clip_memory(memory: Any) -> int:
    """Bytes of clips that a dataset keeps, of ``memory``, else $CROSS4D_CLIP_MEMORY, else CLIP_MEMORY, all in MiB."""
    if memory is None:
        setting = os.environ.get("CROSS4D_CLIP_MEMORY") or str(CLIP_MEMORY)
        memory = int(setting) if setting.strip().isdecimal() else setting
    return whole_number(memory, "memory", "load_dataset or $CROSS4D_CLIP_MEMORY, in MiB", least=0) << 20


class ClipDataset(Sequence):
    """A split of a dataset, sampled to clips. ``ds[i]`` is a Clip; sampling depends on clip id and seed alone.

    ``ds[:10]`` is the dataset of those clips. What was read is kept, up to ``memory`` MiB. Datasets pickle, so a torch
    DataLoader with workers takes one, and batches clips as ``collate`` does.

    Attributes: source, split, frames, points, stride, seed, root; ids, labels (n,) int64, subjects; classes;
    left_out: ids of the split's videos without a point in any frame, with ``skip_empty``.
    """

    def __init__(
        self,
        source: Source,
        split: str,
        root=None,
        frames: int = 24,
        points: int = 2048,
        stride: Stride = 1,
        seed: int = 0,
        limit: int | None = None,
        skip_empty: bool = False,
        memory: int | None = None,
    ):
        where = "load_dataset"
        if split not in source.splits:
            raise ConfigError(f"{source.name} has no split {split!r}", where, f"one of {', '.join(source.splits)}")
        limit = limit if limit is None else whole_number(limit, "limit", where)
        self.source, self.split, self.root = source, split, root
        self.frames, self.points = whole_number(frames, "frames", where), whole_number(points, "points", where)
        self.stride, self.seed = whole_stride(stride), whole_number(seed, "seed", where, least=0)
        self._recent = Recent(clip_memory(memory))
        self._last: tuple[str, Video] | None = None
        self.videos_found = source.entries(root)
        self.entries = [e for e in self.videos_found if source.in_split(e, split)]
        self.left_out = self.without_points() if skip_empty else []
        self.entries = [e for e in self.entries if e.id not in set(self.left_out)]
        if not self.entries:
            raise DataError(
                f"no video of split {split!r} among {len(self.videos_found)} found",
                f"{source.name} in {root}",
                "check the folder against the README's data section",
            )
        if limit is not None:
            self.entries = spread(self.entries, limit, source.balance_subjects)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, i):
        if isinstance(i, slice):
            return self._part(self.entries[i])
        _collate_in_data_loaders()
        try:
            entry = self.entries[i]
        except IndexError:
            raise IndexError(f"clip {i} of {len(self)}") from None
        except TypeError:
            raise ConfigError(f"a dataset at {i!r}", repr(self), "a number, or a slice such as ds[:10]") from None
        clip = self._recent.get(entry.id)
        if clip is None:
            try:
                video = self._read(entry)
                clip = sample_clip(video, self.frames, self.points, self.stride, self.seed, entry.start)
            except EmptyVideoError as error:
                empty = self.without_points()
                shown = ", ".join(empty[:10]) + f", and {len(empty) - 10} more" * (len(empty) > 10)
                raise EmptyVideoError(
                    f"{len(empty)} of {len(self)} videos have no point in any frame: {shown}",
                    repr(self),
                    "load with skip_empty=True to leave them out, or remove them",
                ) from error
            labels = 0 if clip.point_labels is None else clip.point_labels.nbytes
            self._recent.put(entry.id, clip, clip.points.nbytes + labels)
        return clip

    def _read(self, entry: Entry) -> Video:
        """The video of an entry, under the entry's id. Windows of one video come one after the other: it is kept."""
        if entry.video is None:
            return self.source.read(entry)
        if self._last is None or self._last[0] != entry.video.id:
            self._last = entry.video.id, self.source.read(entry.video)
        return replace(self._last[1], id=entry.id)

    def windows(self, count: int) -> ClipDataset:
        """Up to ``count`` windows of every video in the place of the centred one (``clips.window_starts``); ``videos``
        says whose each is. Reads every video once, for its length.

        A probe that is given windows learns from each, and takes a test video for the class that its windows' mean
        probability favours: the protocol of the field (P4Transformer, PSTNet), whose windows start at every frame.
        """
        count = whole_number(count, "count", "windows")
        if count == 1 or self.stride == "uniform":
            return self._part(self.entries)
        found = []
        for entry in self.entries:
            starts = window_starts(len(self._read(entry).frames), self.frames, self.stride, count)
            one = starts == [None]
            found += [entry] if one else [replace(entry, id=f"{entry.id}@{s}", start=s, video=entry) for s in starts]
        return self._part(found)

    @property
    def videos(self) -> np.ndarray:
        """The number of each clip's video, (n,) int64: of windows of one video the same."""
        names = [(e.video or e).id for e in self.entries]
        return np.unique(names, return_inverse=True)[1]

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_last": None, "_recent": self._recent.limit}  # what was read stays in its process

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state, _recent=Recent(state["_recent"]))

    def _part(self, entries: list[Entry]) -> ClipDataset:
        """The dataset of some of its entries; they share the memory."""
        part = copy.copy(self)
        part.__dict__.update(self.__dict__, entries=entries)
        part.__dict__.pop("_fingerprint", None)
        return part

    def without_points(self) -> list[str]:
        """Ids of the videos that have no point in any frame. Opens every video, up to its first frame with points."""
        return [e.id for e in self.entries if not any(len(frame) for frame in self.source.read(e).frames)]

    @staticmethod
    def collate(clips: list[Clip]) -> dict:
        """Clips as a batch: points (B, T, N, 3) float32, label (B,) int64 (-1 for None), id and subject (lists), and
        point_labels (B, T, N) int64 where the clips have them. Tensors of torch."""
        import torch

        batch = {
            "points": torch.stack([torch.from_numpy(clip.points) for clip in clips]),
            "label": torch.tensor([-1 if clip.label is None else clip.label for clip in clips]),
            "id": [clip.id for clip in clips],
            "subject": [clip.subject for clip in clips],
        }
        if all(clip.point_labels is not None for clip in clips):
            batch["point_labels"] = torch.stack([torch.from_numpy(clip.point_labels) for clip in clips])
        return batch

    @property
    def classes(self) -> tuple[str, ...]:
        return self.source.classes_of(self.videos_found) if self.source.classes_of else self.source.classes

    @property
    def ids(self) -> list[str]:
        return [e.id for e in self.entries]

    @property
    def labels(self) -> np.ndarray:
        return np.array([e.label for e in self.entries], np.int64)

    @property
    def subjects(self) -> list[str]:
        return [e.subject for e in self.entries]

    def of_subjects(self, subjects) -> ClipDataset:
        """The same split with the clips of some subjects only: a part held out for choosing, never for reporting."""
        part = self._part([e for e in self.entries if e.subject in set(subjects)])
        if not part.entries:
            raise ConfigError(
                f"no clip of subjects {sorted(subjects)}", repr(self), f"some of {sorted(set(self.subjects))}"
            )
        return part

    def found(self) -> str:
        """What was found beside what the literature counts, in one line: ``266 of 270 (train), 556 of 567 in all``."""
        of = lambda split: f" of {self.source.expected[split]}" if split in self.source.expected else ""
        empty = f", {len(self.left_out)} without points left out" if self.left_out else ""
        return f"{len(self)}{of(self.split)} ({self.split}{empty}), {len(self.videos_found)}{of('all')} in all"

    def counts(self) -> dict[str, int]:
        """What sampling repeated over the whole split: clips, clips and frames padded, points repeated; and videos left
        out, where there are any. Reads every clip."""
        repeated = np.array([(clip.frames_repeated, clip.points_repeated) for clip in self]).reshape(-1, 2)
        counts = {
            "clips": len(self),
            "clips_padded": int((repeated[:, 0] > 0).sum()),
            "frames_repeated": int(repeated[:, 0].sum()),
            "points_repeated": int(repeated[:, 1].sum()),
        }
        return counts | ({"videos_left_out": len(self.left_out)} if self.left_out else {})

    def settings(self) -> dict:
        """Everything that decides the clips' content, JSON-ready: the dataset's part of a run's and a store's key."""
        return {
            "dataset": self.source.name,
            "split": self.split,
            "frames": self.frames,
            "points": self.points,
            "stride": self.stride,
            "seed": self.seed,
            "videos": self.fingerprint(),
        }

    def fingerprint(self) -> str:
        """A hash of ids, labels and contents of the split's videos (16 hex digits)."""
        if not hasattr(self, "_fingerprint"):
            rows = [[e.id, e.label, self.source.fingerprint_of(e.video or e)] for e in self.entries]
            self._fingerprint = hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
        return self._fingerprint

    def __repr__(self) -> str:
        size = f"{self.frames} frames x {self.points} points, stride {self.stride}"
        return f"ClipDataset({self.source.name}, {self.found()}, {size})"


def _collate_in_data_loaders() -> None:
    """Register how clips become a batch with torch's DataLoader, which collates where it has read."""
    if "torch.utils.data" in sys.modules:
        from torch.utils.data._utils.collate import default_collate_fn_map

        default_collate_fn_map.setdefault(Clip, lambda clips, *, collate_fn_map=None: ClipDataset.collate(clips))


def spread(entries: list[Entry], limit: int, balance_subjects: bool = False) -> list[Entry]:
    """``limit`` entries, taken in turn from every class, so a small subset still holds them all; order by id is kept.

    balance_subjects : each class starts with the subject after the one at which the class before it ended, so that
    subjects are as even as classes although no class holds all of them. Without, every class starts with the first.
    """
    by_class: dict[int, list[Entry]] = {}
    for entry in entries:
        by_class.setdefault(entry.label, []).append(entry)
    taken, share = 0, -(-limit // max(1, len(by_class)))
    turns = []
    for label, group in sorted(by_class.items()):
        # round r takes the r-th entry of each class; within a class, subjects are spread by striding
        ranked = across_subjects(group, taken if balance_subjects else None)
        turns += [(r, label, e.id, e) for r, e in enumerate(ranked)]
        taken += min(share, len(group))
    kept = [turn[-1] for turn in sorted(turns, key=lambda turn: turn[:3])[:limit]]
    return sorted(kept, key=lambda e: e.id)


def across_subjects(group: list[Entry], taken: int | None = None) -> list[Entry]:
    """One entry of every subject, then a second of every subject, and so on.

    taken : how many subjects other classes took before; the next comes first, and a subject's entries are in the order
    of their id's hash, so that none of the recording's circumstances in the id (camera, place) is preferred.
    """
    order = {subject: i for i, subject in enumerate(sorted({e.subject for e in group}))}
    if taken is not None:
        order = {subject: (i - taken) % len(order) for subject, i in order.items()}
        group = by_hash(group)
    seen: dict[str, int] = {}
    ranked = []
    for entry in group:
        seen[entry.subject] = seen.get(entry.subject, 0) + 1
        ranked.append((seen[entry.subject], order[entry.subject], entry))
    return [entry for *_, entry in sorted(ranked, key=lambda row: row[:2])]


def by_hash(entries: list[Entry]) -> list[Entry]:
    """Entries in the order of SHA-256 of their ids: a shuffle that every machine repeats, and that no other entry
    changes."""
    return sorted(entries, key=lambda e: hashlib.sha256(e.id.encode()).hexdigest())
