"""Where is the class of a point: in the teacher's target, in the student that learned to predict it, or in the mere
place?

A dense student can only learn what its targets hold. So the same converged head reads the class of the same tokens,
those that have a target, from four things: the targets themselves, the trained student's tokens, the untrained
student's tokens, and the places of the tokens. Where the targets tell no more than the places, no student of theirs can
be expected to. Ours.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement

import numpy as np
import torch

from ..datasets import ClipDataset
from ..encoders import Encoder, normalise
from ..targets import Batch, TargetStore
from .features import moments, read_clips
from .point_heads import converged_head
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
        "targets": [
            _of_store(store, lambda batch: batch.targets[0].float()) for store in (train_targets, test_targets)
        ],
        "place": [_of_store(store, _place) for store in (train_targets, test_targets)],
    }
    views |= {
        name: [_features(encoder, dataset) for dataset in (train_set, test_set)] for name, encoder in students.items()
    }
    y = torch.cat([labels[kept] for labels, kept in seen])
    clip = torch.cat([torch.full((int(kept.sum()),), i) for i, (_, kept) in enumerate(seen)])
    results = {}
    for name, (train, test) in views.items():
        x = torch.cat([features[kept] for features, (_, kept) in zip(train, seen)])
        mean, deviation = moments(x)
        head, selected = converged_head((x - mean) / deviation, y, clip, classes, train_set.subjects)
        predicted = [head((features - mean) / deviation).argmax(1) for features in test]
        counts = [
            confusion(p, torch.where(kept, labels, IGNORED), classes) for p, (labels, kept) in zip(predicted, held)
        ]
        results[name] = SegmentationResult(np.stack(counts), selected, test_set.subjects)
    return results


def _of_store(store: TargetStore, read: Callable[[Batch], object]) -> list:
    """What ``read`` makes of each clip of a store, given as a Batch of one."""
    return [read(store.batch([i])) for i in range(len(store))]


def _labelled(dataset: ClipDataset, store: TargetStore) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """For each clip the classes of its tokens' own points, (M,), and which of them have a target and a class."""
    rows = []
    for i, (frame, point, visible) in enumerate(_of_store(store, lambda b: (*_own_points(b), b.visible[0]))):
        labels = point_labels(dataset, i)[frame, point]
        rows.append((labels, visible & (labels != IGNORED)))
    return rows


def _own_points(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Frame and number of each token's own point, (M,) int64 both."""
    return batch.grouping["frame"][0].long(), batch.grouping["point"][0].long()


def _place(batch: Batch) -> torch.Tensor:
    """The place of every token in the unit of the encoder."""
    return place_code(normalise(batch.points)[0][_own_points(batch)])


def _features(encoder: Encoder, dataset: ClipDataset) -> list[torch.Tensor]:
    return list(
        torch.cat(read_clips(encoder, dataset, lambda clips, points, tokens: tokens.features.float().cpu())).clone()
    )
