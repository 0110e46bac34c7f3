"""Where is the class of a point to be read: in the teacher's target, in the student that learned to predict it, or in
the mere place?

A dense student can only learn what its targets hold. So the same converged head reads the class of the same tokens,
those that have a target, from four things: the targets themselves, the trained student's tokens, the untrained
student's tokens, and the places of the tokens. Where the targets tell no more than the places, no student of theirs can
be expected to. Ours.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import torch

from ..datasets import ClipDataset
from ..encoders import Encoder, normalise
from ..targets import TargetStore
from .converged import converged_head
from .features import read_clips
from .segmentation import IGNORED, SegmentationResult, confusion, point_labels

DEGREE = 3  # of the polynomial of a place


def place_code(places: torch.Tensor, degree: int = DEGREE) -> torch.Tensor:
    """All products of up to ``degree`` coordinates: (..., 3) -> (..., 19)."""
    chosen = [list(c) for k in range(1, degree + 1) for c in combinations_with_replacement(range(3), k)]
    return torch.stack([places[..., c].prod(-1) for c in chosen], -1)


def readability(
    students: dict[str, Encoder],
    train_set: ClipDataset,
    test_set: ClipDataset,
    train_targets: TargetStore,
    test_targets: TargetStore,
) -> dict[str, SegmentationResult]:
    """mIoU over the tokens that have a target: "targets", "place", and one line a student, each through its own
    converged head.

    students : name -> encoder with the token rule of the stores. The stores hold the targets of the two datasets, clip
    for clip.
    """
    classes = len(train_set.source.point_classes)
    seen, held = (_labelled(*pair) for pair in ((train_set, train_targets), (test_set, test_targets)))
    views = {
        "targets": [_stored(store, "targets") for store in (train_targets, test_targets)],
        "place": [_places(store) for store in (train_targets, test_targets)],
    }
    views |= {
        name: [_features(encoder, dataset) for dataset in (train_set, test_set)] for name, encoder in students.items()
    }
    results = {}
    for name, (train, test) in views.items():
        x, clip = (
            torch.cat([f[kept] for f, (_, kept) in zip(train, seen)]),
            torch.cat([torch.full((int(kept.sum()),), i) for i, (_, kept) in enumerate(seen)]),
        )
        mean, deviation = x.mean(0), x.std(0).clamp_min(1e-8)
        head, selected = converged_head(
            (x - mean) / deviation, torch.cat([y[kept] for y, kept in seen]), clip, classes, train_set.subjects
        )
        said = [head((f - mean) / deviation).argmax(1) for f in test]
        counts = np.stack([confusion(s, torch.where(kept, y, IGNORED), classes) for s, (y, kept) in zip(said, held)])
        results[name] = replace(SegmentationResult(counts), selected=selected)
    return results


def _labelled(dataset: ClipDataset, store: TargetStore) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """For each clip the classes of its tokens' own points, (M,), and which of them have a target and a class."""
    rows = []
    for i in range(len(store)):
        clip = store.clip(i)
        labels = point_labels(dataset, i)[clip["grouping/frame"].long(), clip["grouping/point"].long()]
        rows.append((labels, clip["visible"] & (labels != IGNORED)))
    return rows


def _stored(store: TargetStore, name: str) -> list[torch.Tensor]:
    return [store.clip(i)[name].float() for i in range(len(store))]


def _places(store: TargetStore) -> list[torch.Tensor]:
    """The place of every token as the encoder has it: centroid 0, radius 1 over the clip."""
    clips = [store.clip(i) for i in range(len(store))]
    return [
        place_code(normalise(clip["points"][None])[0][clip["grouping/frame"].long(), clip["grouping/point"].long()])
        for clip in clips
    ]


def _features(encoder: Encoder, dataset: ClipDataset) -> list[torch.Tensor]:
    return list(
        torch.cat(read_clips(encoder, dataset, lambda clips, points, tokens: tokens.features.float().cpu())).clone()
    )
