"""What every dataset file provides, and the one class that turns it into clips.

A dataset file holds one :class:`Source`: how its videos are found, split, labelled and read. :class:`ClipDataset` does
the rest for all of them: sampling, counting, fingerprints.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..clips import Clip, Stride, Video, sample_clip
from ..errors import ConfigError, DataError
from ..files import expanded, file_digest


@dataclass(frozen=True)
class Entry:
    """One video of a dataset before it is read. ``handle`` is what the source's ``read`` needs: a path, or
    parameters."""

    id: str
    label: int
    subject: str
    handle: object


@dataclass(frozen=True)
class Source:
    """A dataset: names, split and reader.

    name : as in ``load_dataset``. classes : class names, in label order; empty where only the files know them: then
    classes_of(videos found) tells them. splits : names of its splits.
    entries(root) : every video found, sorted by id, whatever the split. in_split(entry, split) : the split's rule.
    read(entry) : the Video; raises DataError only. expected : videos per split in the literature ("all" for the whole),
    so that what is missing can be said. stand_in : True where this library makes the data. rigged :
    True where it is animated models, not recordings or the published set. point_classes : names of the
    per-point labels, in label order, or empty. ignored : those of them that no segmentation is trained or scored on.
    fingerprint_of(entry) : what identifies its content (a generator's version, or a file's digest). folder : its folder
    in $CROSS4D_DATA where that is not its name. deals_subjects : a ``limit`` deals the subjects out over the classes
    (see ``spread``), where a class has more subjects than its share of the limit.
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
    fingerprint_of: Callable[[Entry], str] = field(default=lambda entry: file_digest(Path(entry.handle)))
    classes_of: Callable[[list[Entry]], tuple[str, ...]] | None = None
    folder: str = ""
    deals_subjects: bool = False

    @property
    def kind(self) -> str:
        """What its numbers are, in words that stand beside them wherever they are shown."""
        return "synthetic stand-in" if self.stand_in else "rigged models" if self.rigged else "real"


def dataset_root(name: str, root: str | os.PathLike | None) -> Path:
    """The folder of a dataset: ``root``, or $CROSS4D_DATA/<name>. Raises DataError when neither is there."""
    if root is None:
        base = os.environ.get("CROSS4D_DATA")
        if not base:
            raise DataError(
                f"no folder given for {name}",
                "$CROSS4D_DATA is not set",
                f"set CROSS4D_DATA to the folder that holds {name}/, or pass root=, or use an embedded dataset such as synthetic-actions",
            )
        root = Path(base) / name
    folder = expanded(root)
    if not folder.is_dir():
        raise DataError(
            f"the folder of {name} is not there",
            folder,
            "check CROSS4D_DATA or root=; `cross4d doctor` lists what is present",
        )
    return folder


class ClipDataset(Sequence):
    """A split of a dataset, sampled to clips. ``ds[i]`` is a Clip; sampling depends on clip id and seed alone.

    Attributes: source, split, frames, points, stride, seed, root; ids, labels (n,) int64, subjects; classes.
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
    ):
        if split not in source.splits:
            raise ConfigError(
                f"{source.name} has no split {split!r}", "load_dataset", f"one of {', '.join(source.splits)}"
            )
        if limit is not None and limit < 1:
            raise ConfigError(f"limit={limit} keeps no clip", "load_dataset", "limit >= 1, or None for all")
        self.source, self.split, self.root = source, split, root
        self.frames, self.points, self.stride, self.seed = frames, points, stride, seed
        self.videos_found = source.entries(root)
        self.entries = [e for e in self.videos_found if source.in_split(e, split)]
        if not self.entries:
            raise DataError(
                f"no video of split {split!r} among {len(self.videos_found)} found",
                f"{source.name} in {root}",
                "check the folder against the README's data section",
            )
        if limit is not None:
            self.entries = spread(self.entries, limit, source.deals_subjects)
        self._clips: dict[int, Clip] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, i: int) -> Clip:
        if not -len(self) <= i < len(self):
            raise IndexError(f"clip {i} of {len(self)}")
        i %= len(self)
        if i not in self._clips:
            self._clips[i] = sample_clip(
                self.source.read(self.entries[i]), self.frames, self.points, self.stride, self.seed
            )
        return self._clips[i]

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
        part = copy.copy(self)
        part.entries = [e for e in self.entries if e.subject in set(subjects)]
        part._clips = {}
        part.__dict__.pop("_fingerprint", None)
        if not part.entries:
            raise ConfigError(
                f"no clip of subjects {sorted(subjects)}", repr(self), f"some of {sorted(set(self.subjects))}"
            )
        return part

    def found(self) -> str:
        """What was found beside what the literature counts, in one line: ``266 of 270 (train), 556 of 567 in all``."""
        of = lambda split: f" of {self.source.expected[split]}" if split in self.source.expected else ""
        return f"{len(self)}{of(self.split)} ({self.split}), {len(self.videos_found)}{of('all')} in all"

    def counts(self) -> dict[str, int]:
        """What sampling repeated over the whole split: clips, clips and frames padded, points repeated. Reads every
        clip."""
        clips = [self[i] for i in range(len(self))]
        return {
            "clips": len(clips),
            "clips_padded": sum(c.frames_repeated > 0 for c in clips),
            "frames_repeated": sum(c.frames_repeated for c in clips),
            "points_repeated": sum(c.points_repeated for c in clips),
        }

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
            rows = [[e.id, e.label, self.source.fingerprint_of(e)] for e in self.entries]
            self._fingerprint = hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
        return self._fingerprint

    def __repr__(self) -> str:
        return f"ClipDataset({self.source.name}, {self.found()}, {self.frames} frames x {self.points} points, stride {self.stride})"


def spread(entries: list[Entry], limit: int, deal: bool = False) -> list[Entry]:
    """``limit`` entries, taken in turn from every class, so a small subset still holds them all; order by id is kept.

    deal : each class starts with the subject after the one at which the class before it ended, so that subjects are as
    even as classes although no class holds all of them. Without, every class starts with the first subject.
    """
    by_class: dict[int, list[Entry]] = {}
    for entry in entries:
        by_class.setdefault(entry.label, []).append(entry)
    dealt, share = 0, -(-limit // max(1, len(by_class)))
    turns = []
    for label, group in sorted(by_class.items()):
        # round r takes the r-th entry of each class; within a class, subjects are spread by striding
        ranked = across_subjects(group, dealt if deal else None)
        turns += [(r, label, e.id, e) for r, e in enumerate(ranked)]
        dealt += min(share, len(group))
    kept = [turn[-1] for turn in sorted(turns, key=lambda turn: turn[:3])[:limit]]
    return sorted(kept, key=lambda e: e.id)


def across_subjects(group: list[Entry], dealt: int | None = None) -> list[Entry]:
    """One entry of every subject, then a second of every subject, and so on.

    dealt : how many subjects were dealt to other classes before; the next comes first, and a subject's entries are in
    the order of their id's hash, so that none of the recording's circumstances in the id (camera, place) is preferred.
    """
    order = {subject: i for i, subject in enumerate(sorted({e.subject for e in group}))}
    if dealt is not None:
        order = {subject: (i - dealt) % len(order) for subject, i in order.items()}
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
