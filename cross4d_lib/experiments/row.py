"""What a run leaves: one row, a JSON file named by the run's key. A row is checked whenever it is read: against its
schema, its key, its file's name, and its own numbers."""

from __future__ import annotations

import json
import math
from functools import cached_property
from pathlib import Path

from pydantic import ConfigDict, Field, model_validator

from ..errors import DataError
from .spec import Part, RunSpec

CLOSE = {"rel_tol": 0, "abs_tol": 1e-9}
ROUNDED = {"rel_tol": 0, "abs_tol": 1e-4}  # of values that are kept with four decimals


class Metric(Part):
    """Numbers of one setting of a task."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    @property
    def value(self) -> float:
        """The first number: what the setting is known by."""
        return getattr(self, next(iter(type(self).model_fields)))


class Accuracy(Metric):
    """Share of clips whose class is right, with its 95 % interval. correct : a digit a clip, in the order of ids. C,
    left_out : the penalty chosen by leaving training subjects out, and the accuracy on them."""

    accuracy: float
    low: float
    high: float
    correct: str = Field(pattern="^[01]+$")
    C: float | None = None
    left_out: float | None = Field(None, alias="left-out accuracy")

    @model_validator(mode="after")
    def own_figures(self):
        same(self.accuracy, self.correct.count("1") / len(self.correct), "accuracy", "correct")
        return self

    @property
    def clips(self) -> int:
        return len(self.correct)


class Correspondence(Metric):
    """acc@.02, the mean over clips, with its interval. curve : over all thresholds. per_clip : rounded."""

    accuracy: float
    low: float
    high: float
    curve: list[float]
    per_clip: list[float]

    @model_validator(mode="after")
    def own_figures(self):
        same(self.accuracy, sum(self.per_clip) / len(self.per_clip), "accuracy", "per_clip", ROUNDED)
        return self

    @property
    def clips(self) -> int:
        return len(self.per_clip)


class Segmentation(Metric):
    """mIoU with its interval, mAcc, OA, IoU of each class (None: no test point has it). confusion : (K, K) points, rows
    the true class. counts : (clips, 3, K) points that are right, of the class, predicted as it. penalty, left_out : as
    of Accuracy."""

    mIoU: float
    mAcc: float
    OA: float
    low: float
    high: float
    per_class: list[float | None]
    confusion: list[list[int]]
    counts: list[list[list[int]]] | None = None
    penalty: float | None = None
    left_out: float | None = Field(None, alias="left-out mIoU")

    @model_validator(mode="after")
    def own_figures(self):
        right = [row[k] for k, row in enumerate(self.confusion)]
        true, predicted = [sum(row) for row in self.confusion], [sum(column) for column in zip(*self.confusion)]
        iou = [r / (t + p - r) for r, t, p in zip(right, true, predicted) if t]
        same(self.OA, sum(right) / sum(true), "OA", "confusion")
        same(self.mIoU, sum(iou) / len(iou), "mIoU", "confusion")
        for k, (share, t) in enumerate(zip(self.per_class, true)):
            if (share is None) != (t == 0):
                raise ValueError(f"class {k} of per_class does not follow from confusion")
        if self.counts and [sum(clip[0][k] for clip in self.counts) for k in range(len(right))] != right:
            raise ValueError("counts do not follow from confusion")
        return self

    @property
    def clips(self) -> int | None:
        return len(self.counts) if self.counts else None


class Coverage(Metric):
    """Share of points that own a pixel."""

    coverage: float = Field(ge=0, le=1)
    clips: None = Field(None, exclude=True)


def same(stated: float, computed: float, name: str, source: str, tolerance: dict = CLOSE) -> None:
    if not math.isclose(stated, computed, **tolerance):
        raise ValueError(f"{name} {stated:.6f} does not follow from {source}, which gives {computed:.6f}")


class Row(Part):
    """A run's result and how it came about.

    contents, code : what enters the key beside the spec (see ``PretrainingSpec``). target : the dataset measured on.
    chance : what guessing gets, as the first metric counts it. measures : what else was measured: times, losses,
    coverage, and ``subjects`` of the evaluated clips in the order of ids. found : videos, in words. padded : what
    sampling repeated. teacher_label : "UNTRAINED", "IN-DOMAIN" or "". precision : of the training, "bfloat16" or
    "float32".
    """

    key: str
    spec: RunSpec
    contents: dict[str, str]
    code: dict[str, int]
    profile: str
    dataset: str
    target: str
    task: str
    stand_in: bool
    teacher: str
    teacher_label: str
    teacher_revision: str
    seed: int
    metrics: dict[str, Accuracy | Segmentation | Correspondence | Coverage] = Field(min_length=1)
    chance: float = Field(ge=0, le=1)
    measures: dict
    clips_trained: int
    clips_evaluated: int
    found: str
    padded: dict[str, dict[str, int]]
    commit: str
    dirty: bool | None
    versions: dict[str, str]
    date: str
    config_hash: str
    data_hash: dict[str, str]
    device: str
    precision: str
    seconds: float

    @model_validator(mode="after")
    def own_figures(self):
        """The key is that of the spec, and what is repeated from the spec beside it agrees with it."""
        spec = self.spec
        stated = {
            "key": spec.key_with(self.contents, self.code),
            "config_hash": self.key,
            "profile": spec.profile,
            "dataset": spec.dataset,
            "target": spec.measured_on,
            "task": spec.task.name,
            "teacher": spec.teacher,
            "seed": spec.seed,
        }
        for name, value in stated.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} {getattr(self, name)!r} is not that of the spec, {value!r}")
        for setting, metric in self.metrics.items():
            if metric.clips not in (None, self.clips_evaluated, self.clips_trained):
                raise ValueError(f"{setting} counts {metric.clips} clips of {self.clips_evaluated}")
        return self

    @property
    def is_current(self) -> bool:
        """Is the row of the code and the contents as they are now?"""
        return self.code == self.spec.code and self.contents == self.spec.contents

    @cached_property
    def without_code_key(self) -> str:
        return self.spec.key_with(self.contents, None)

    @property
    def subjects(self) -> list[str] | None:
        """The subjects of the evaluated clips, in the order of ``correct`` or ``per_clip``; None where the row does not
        have them."""
        return self.measures.get("subjects", {}).get(self.spec.task.data.split)

    def to_json(self) -> str:
        """As it is written: None is left out of metrics."""
        form = self.model_dump(mode="json")
        form["metrics"] = {
            name: metric.model_dump(mode="json", exclude_none=True) for name, metric in self.metrics.items()
        }
        return json.dumps(form, indent=1, allow_nan=False) + "\n"


def read_row(path: Path) -> Row:
    """The row in a file. Raises DataError, naming the file, on one that is damaged, of another schema, of other figures
    than its own, or under another row's name or profile."""
    try:
        row = Row(**json.loads(path.read_text()))
        if (row.key, row.profile) != (path.stem, path.parent.parent.name):
            raise ValueError(f"it is row {row.key} of {row.profile}")
        return row
    except (OSError, ValueError, TypeError) as error:  # ConfigError is a ValueError
        what = getattr(error, "what", error)
        raise DataError(f"a damaged row ({what})", path, "restore it from git, or delete it and run again") from error
