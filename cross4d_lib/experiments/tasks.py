"""What a run measures once its encoder is there: one function a task, all with the same arguments and the same answer.

probe           the class of a clip, three linear probes (Tables 1, 2, 5, 11, 12, ...)
pooling         the same from three ways to make one feature of a clip's tokens, on training subjects left out in turn
(ours) segmentation    the class of every point, a linear head on the frozen encoder (Table 6)
fine-tuning     the class of every point, encoder and head trained together (Table 17)
correspondence  the same point across time, by the nearest feature (Table 16)
readability     the class of a point's token in the target, in the student, in the place (ours)
coverage        the share of points with a target; no encoder (Table 15)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from ..correspondence import coverage, render_cameras
from ..datasets import ClipDataset
from ..decisions import SPLAT
from ..encoders import Encoder
from ..evaluation import (
    TAUS,
    ProbeResult,
    both_pools,
    coordinates,
    correspondence,
    encoder_features,
    interval,
    leave_subjects_out,
    pooled_features,
    probe_all,
    probe_all_features,
    readability,
    segment_all,
    segment_finetuned,
    token_coordinates,
)
from ..evaluation.segmentation import IGNORED, SegmentationResult, confusion, point_labels
from ..render import render
from .build import fresh_encoder, targets_of
from .row import Accuracy, Correspondence, Coverage, Metric, Segmentation
from .spec import RunSpec

COVERAGE_CLIPS = 60  # spread over the classes
COVERAGE_CAMERAS = (1, 2, 4)
COVERAGE_SPLATS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)  # x our splat radius
COVERAGE_SIZES = (98, 126, 168, 252, 504)  # pixels


@dataclass(frozen=True)
class Outcome:
    """metrics : by setting. chance : what guessing gets, as the first metric counts it. notes : more to keep,
    JSON-ready, among it the subjects of the evaluated clips by split, in the order of ids."""

    metrics: dict[str, Metric]
    chance: float
    notes: dict = field(default_factory=dict)


def probe(spec: RunSpec, encoder: Encoder, train: ClipDataset, test: ClipDataset, checkpoint) -> Outcome:
    """Accuracy of the three probes; ``correct`` holds one digit a test clip, in id order, for paired tests."""
    windows = spec.task.windows
    results = probe_all(encoder, train.windows(windows), test.windows(windows), spec.seed)
    metrics = {name: accuracy_of(result) for name, result in results.items()}
    return Outcome(metrics, 1 / len(train.classes), subjects(test))


def accuracy_of(result: ProbeResult) -> Accuracy:
    low, high = result.interval
    correct = "".join("01"[int(c)] for c in result.per_clip)
    return Accuracy(accuracy=result.accuracy, low=low, high=high, correct=correct, **result.selected)


def subjects(*splits: ClipDataset) -> dict:
    return {"subjects": {clips.split: list(clips.subjects) for clips in splits if None not in clips.subjects}}


def pooling(spec: RunSpec, encoder: Encoder, train: ClipDataset, test: ClipDataset, checkpoint) -> Outcome:
    """``pool/probe``: each subject of the first split left out in turn; ``pool/probe/scored``: fitted on it, scored on
    the second, where that is another one. Pools as in ``evaluation.POOLS``."""
    read = lambda clips: pooled_features(encoder, clips, pool=both_pools)
    views = {"mean": slice(0, encoder.dim), "frames": slice(encoder.dim, None), "both": slice(None)}
    x = read(train)
    found = {
        f"{pool}/{probe}": result
        for pool, view in views.items()
        for probe, result in leave_subjects_out(x[:, view], train.labels, train.subjects, spec.seed).items()
    }
    if train.split != test.split:
        z = read(test)
        for pool, view in views.items():
            scored = probe_all_features(x[:, view], train.labels, train.subjects, z[:, view], test.labels, spec.seed)
            found |= {f"{pool}/{probe}/scored": result for probe, result in scored.items()}
    metrics = {name: accuracy_of(result) for name, result in found.items()}
    return Outcome(metrics, 1 / len(train.classes), subjects(train, test))


def segmentation(spec: RunSpec, encoder: Encoder, train: ClipDataset, test: ClipDataset, checkpoint) -> Outcome:
    """mIoU, mAcc and OA of linear heads on the frozen encoder; chance is the mIoU of always saying the commonest
    class."""
    results = segment_all(encoder, train, test, spec.seed)
    return segmentation_outcome(results, train, test)


def fine_tuning(spec: RunSpec, encoder: Encoder, train: ClipDataset, test: ClipDataset, checkpoint) -> Outcome:
    """The same end to end."""
    result = segment_finetuned(encoder, train, test, spec.seed, checkpoint=checkpoint)
    return segmentation_outcome({"fine-tuned": result}, train, test)


def readable(spec: RunSpec, encoder: Encoder, train: ClipDataset, test: ClipDataset, checkpoint) -> Outcome:
    """mIoU over the tokens that have a target, read from the targets, the student, the same student untrained, and the
    place."""
    stores = (targets_of(spec, encoder, clips, progress=False) for clips in (train, test))
    results = readability({"student": encoder, "untrained student": fresh_encoder(spec)}, train, test, *stores)
    return segmentation_outcome(results, train, test)


def segmentation_outcome(results: dict[str, SegmentationResult], train: ClipDataset, test: ClipDataset) -> Outcome:
    classes = len(train.source.point_classes)
    seen = sum(
        np.bincount(labels[labels != IGNORED], minlength=classes)
        for labels in (point_labels(train, i).numpy() for i in range(len(train)))
    )
    commonest = int(seen.argmax())
    guess = SegmentationResult(
        np.stack(
            [
                confusion(torch.full_like(labels, commonest), labels, classes)
                for labels in (point_labels(test, i) for i in range(len(test)))
            ]
        )
    )
    return Outcome(
        {name: Segmentation(**result.metrics()) for name, result in results.items()},
        guess.miou,
        {
            **subjects(test),
            "point_classes": list(train.source.point_classes),
            "commonest": {
                "class": train.source.point_classes[commonest],
                "mIoU": guess.miou,
                "mAcc": guess.macc,
                "OA": guess.oa,
            },
        },
    )


def temporal(spec: RunSpec, encoder: Encoder, train: ClipDataset, test: ClipDataset, checkpoint) -> Outcome:
    """acc@tau of the encoder's features, of raw coordinates, and of a match drawn at random, for both gaps of Table
    16."""
    results = {
        "cosine": correspondence(encoder_features(encoder), test, likeness="cosine"),
        "centred": correspondence(encoder_features(encoder), test, likeness="centred"),
        "centred, nearest token": correspondence(encoder_features(encoder, 1), test, likeness="centred"),
        "raw XYZ": correspondence(coordinates, test, likeness="distance"),
        "XYZ of the nearest token": correspondence(token_coordinates(encoder), test, likeness="distance"),
    }
    metrics = {}
    for name, result in results.items():
        for gap in result.acc:
            clips = result.at(gap)
            sure = interval([clips], test.subjects)
            metrics[f"{name}, gap {gap}"] = Correspondence(
                accuracy=float(clips.mean()),
                low=sure.low,
                high=sure.high,
                curve=rounded(result.acc[gap].mean(0)),
                per_clip=rounded(clips),
            )
    chance = {str(gap): rounded(values.mean(0)) for gap, values in result.chance.items()}
    notes = {"taus": list(TAUS), "chance_curve": chance, **subjects(test)}
    return Outcome(metrics, chance[str(min(result.chance))][TAUS.index(0.02)], notes)


def rounded(values) -> list[float]:
    return [round(float(value), 4) for value in values]


def covered(spec: RunSpec, encoder: Encoder, train: ClipDataset, test: ClipDataset, checkpoint) -> Outcome:
    """Share of points that own a pixel: by cameras; and, under one camera, by splat radius and by image size."""
    clips = [
        torch.as_tensor(train[int(i)].points)
        for i in np.unique(np.linspace(0, len(train) - 1, COVERAGE_CLIPS).round().astype(int))
    ]
    mean = lambda share: Coverage(coverage=float(np.mean([share(points) for points in clips])))
    radius = lambda times: times * SPLAT * 126 / np.sqrt(clips[0].shape[1])
    metrics = {
        f"{n} camera{'s'[: n > 1]}": mean(lambda points: coverage(render_cameras(points, 126, n)))
        for n in COVERAGE_CAMERAS
    }
    metrics |= {
        f"splat x {times}": mean(lambda points: coverage([render(points, 126, radius=radius(times))]))
        for times in COVERAGE_SPLATS
    }
    metrics |= {f"{size} px": mean(lambda points: coverage([render(points, size)])) for size in COVERAGE_SIZES}
    metrics |= {
        f"{size} px, splat of 126 px": mean(lambda points: coverage([render(points, size, radius=radius(1.0))]))
        for size in COVERAGE_SIZES
        if size != 126
    }
    return Outcome(metrics, 0.0, {"clips_covered": len(clips)})


TASKS: dict[str, Callable[..., Outcome]] = {
    "probe": probe,
    "pooling": pooling,
    "segmentation": segmentation,
    "fine-tuning": fine_tuning,
    "correspondence": temporal,
    "readability": readable,
    "coverage": covered,
}
