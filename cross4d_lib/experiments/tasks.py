"""What a run measures once its encoder is there: one function a task, all with the same arguments and the same answer.

probe           the class of a clip, three linear probes (Tables 1, 2, 5, 11, 12, ...)
classification  the class of a clip, encoder and head trained together (Table 4 at 100 % of the labels)
calibration     the same for several windows of a video and rates of the probe (ours)
segmentation    the class of every point, a linear head on the frozen encoder (Table 6)
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
from ..decisions import PROBE_WINDOWS, SPLAT
from ..encoders import Encoder
from ..evaluation import (
    TAUS,
    ProbeResult,
    classify_finetuned,
    coordinates,
    correspondence,
    encoder_features,
    interval,
    leave_subjects_out,
    pooled_features,
    probe_all,
    probe_all_features,
    probe_features,
    readability,
    segment_all,
    segment_finetuned,
    token_coordinates,
)
from ..evaluation.probes import of_subjects
from ..evaluation.segmentation import IGNORED, SegmentationResult, confusion, point_labels
from ..render import render
from .build import fresh_encoder, targets_of
from .row import Accuracy, Correspondence, Coverage, Metric, Segmentation
from .spec import RunSpec

CALIBRATION_RATES = (1e-3, 3e-3, 1e-2)  # of Adam
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
    """Accuracy of the three probes; ``correct`` holds one digit a video, in id order, for paired tests. Where the clips
    learned from are those scored, each of their subjects is left out in turn."""
    windows = spec.task.windows
    if train.split == test.split:
        clips = train.windows(windows)
        features = pooled_features(encoder, clips)
        results = leave_subjects_out(features, clips.labels, clips.subjects, spec.seed, clips.videos)
    else:
        results = probe_all(encoder, train.windows(windows), test.windows(windows), spec.seed)
    metrics = {name: accuracy_of(result) for name, result in results.items()}
    return Outcome(metrics, 1 / len(train.classes), subjects(test))


def calibration(spec: RunSpec, encoder: Encoder, train: ClipDataset, test: ClipDataset, checkpoint) -> Outcome:
    """Accuracy of ``PROBE/WINDOWS``: the paper's probe at several rates, on z-scored features, and converged; on one
    clip a video and on PROBE_WINDOWS of them, learning from each and voting."""
    metrics = {}
    for count in (1, PROBE_WINDOWS) if spec.task.data.stride != "uniform" else (1,):
        seen, scored = train.windows(count), test.windows(count)
        x, z = pooled_features(encoder, seen), pooled_features(encoder, scored)
        known = x, seen.labels, z, scored.labels
        results = {
            f"Adam {rate:g}": probe_features(*known, seed=spec.seed, rate=rate, videos=scored.videos)
            for rate in CALIBRATION_RATES
        }
        usual = probe_all_features(x, seen.labels, seen.subjects, z, scored.labels, spec.seed, scored.videos)
        results |= {name: usual[name] for name in ("standardized", "converged")}
        metrics |= {f"{name}/{count}": accuracy_of(of_subjects(scored, result)) for name, result in results.items()}
    return Outcome(metrics, 1 / len(train.classes), subjects(test))


def classification(spec: RunSpec, encoder: Encoder, train: ClipDataset, test: ClipDataset, checkpoint) -> Outcome:
    """Accuracy of the encoder trained end to end on the labels, from the weights it has: the windows of the task."""
    windows = spec.task.windows
    seen, scored = train.windows(windows), test.windows(windows)
    result = classify_finetuned(encoder, seen, scored, spec.seed, checkpoint=checkpoint)
    return Outcome({"fine-tuned": accuracy_of(result)}, 1 / len(train.classes), subjects(test))


def accuracy_of(result: ProbeResult) -> Accuracy:
    low, high = result.interval
    correct = "".join("01"[int(c)] for c in result.per_clip)
    return Accuracy(accuracy=result.accuracy, low=low, high=high, correct=correct, **result.selected)


def subjects(*splits: ClipDataset) -> dict:
    return {"subjects": {clips.split: list(clips.subjects) for clips in splits if None not in clips.subjects}}


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
    """Share of points that are visible: under the rule of the targets by cameras; and, as the paper's rule has it (owns
    a pixel), under one camera, by splat radius and by image size."""
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
    owns = lambda points, size, **splat: coverage([render(points, size, visibility="pixel", **splat)])
    metrics |= {
        f"{n} camera{'s'[: n > 1]}, by pixel": mean(
            lambda points: coverage(render_cameras(points, 126, n, visibility="pixel"))
        )
        for n in COVERAGE_CAMERAS
    }
    metrics |= {
        f"splat x {times}": mean(lambda points: owns(points, 126, radius=radius(times))) for times in COVERAGE_SPLATS
    }
    metrics |= {f"{size} px": mean(lambda points: owns(points, size)) for size in COVERAGE_SIZES}
    metrics |= {
        f"{size} px, splat of 126 px": mean(lambda points: owns(points, size, radius=radius(1.0)))
        for size in COVERAGE_SIZES
        if size != 126
    }
    return Outcome(metrics, 0.0, {"clips_covered": len(clips)})


TASKS: dict[str, Callable[..., Outcome]] = {
    "probe": probe,
    "calibration": calibration,
    "classification": classification,
    "segmentation": segmentation,
    "fine-tuning": fine_tuning,
    "correspondence": temporal,
    "readability": readable,
    "coverage": covered,
}
