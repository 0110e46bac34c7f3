"""Do single points know what they are? Classes of points, what a segmenter gets right, and a dataset under a frozen
encoder (Tables 6, 17)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..correspondence import at_points, token_neighbours
from ..datasets import ClipDataset
from ..distributed import all_rows
from ..encoders import Encoder, Tokens
from ..errors import DataError
from .features import read_clips
from .statistics import interval

BATCH = 8  # clips
IGNORED = -100  # what torch's cross-entropy passes over


@dataclass(frozen=True)
class SegmentationResult:
    """What a segmenter got right, as counts of points: everything else follows from them.

    confusion : (clips, K, K) int64, rows the true class, columns the predicted one; points of ignored classes are in
    none of them. A class that no test point has is left out of the means. selected : what was chosen on training clips,
    {} for nothing. subjects : whom each clip shows, where it is known.
    """

    confusion: np.ndarray
    selected: dict = field(default_factory=dict)
    subjects: list[str] | None = None

    @property
    def counts(self) -> np.ndarray:
        """(clips, 3, K): points of the class predicted as such, points of the class, points predicted as the class."""
        return np.stack(
            [np.diagonal(self.confusion, axis1=1, axis2=2), self.confusion.sum(2), self.confusion.sum(1)], 1
        )

    @property
    def per_class(self) -> np.ndarray:
        """IoU_k = right / (true + predicted - right), (K,); NaN for a class no test point has."""
        return class_iou(self.counts.sum(0))

    @property
    def miou(self) -> float:
        return float(miou(self.counts.sum(0)))

    @property
    def macc(self) -> float:
        """Mean over classes of the share of a class's points that were found."""
        right, true, _ = self.counts.sum(0)
        return float(np.mean(right[true > 0] / true[true > 0]))

    @property
    def oa(self) -> float:
        """Share of all points that were right."""
        right, true, _ = self.counts.sum(0)
        return float(right.sum() / true.sum())

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Of mIoU, 95 %, over subjects and their clips; without other seeds of the encoder."""
        found = interval(self.counts[None], self.subjects, miou)
        return found.low, found.high

    def metrics(self) -> dict:
        """JSON-ready, with the counts of every clip for paired comparisons."""
        return {
            "mIoU": self.miou,
            "mAcc": self.macc,
            "OA": self.oa,
            "low": self.interval[0],
            "high": self.interval[1],
            **self.selected,
            "per_class": [None if np.isnan(v) else round(float(v), 4) for v in self.per_class],
            "confusion": self.confusion.sum(0).tolist(),
            "counts": self.counts.tolist(),
        }


def class_iou(counts: np.ndarray) -> np.ndarray:
    """(..., 3, K) counts of right, true and predicted points -> IoU (..., K), NaN where no point is true."""
    right, true, predicted = np.moveaxis(np.asarray(counts, float), -2, 0)
    with np.errstate(invalid="ignore"):
        return np.where(true > 0, right / (true + predicted - right), np.nan)


def miou(counts: np.ndarray) -> np.ndarray:
    """(..., 3, K) counts, or their mean over clips -> mean IoU (...), over the classes that have a point. The statistic
    for ``statistics.interval`` and ``compare``."""
    return np.nanmean(class_iou(counts), -1)


@dataclass(frozen=True)
class LabelledTokens:
    """A dataset under a frozen encoder. features (n, M, C) float32; index, weights (n, T, N, k): each point's tokens;
    labels (n, T, N) int64, IGNORED where no class is trained or scored; subjects (n,): whom each clip shows."""

    features: torch.Tensor
    index: torch.Tensor
    weights: torch.Tensor
    labels: torch.Tensor
    subjects: list[str]

    def nearest(self) -> LabelledTokens:
        """The same with each point taking its nearest token alone."""
        return replace(self, index=self.index[..., :1], weights=torch.ones_like(self.weights[..., :1]))

    def clip(self, i: int) -> tuple[torch.Tensor, ...]:
        """(features, index, weights, labels) of one clip."""
        return self.features[i], self.index[i].long(), self.weights[i], self.labels[i]


def point_labels(dataset: ClipDataset, i: int) -> torch.Tensor:
    """Labels of a clip's points, (T, N) int64, IGNORED for ignored classes. Raises DataError when the clip has none, or
    one beyond the classes."""
    if (labels := dataset[i].point_labels) is None:
        raise DataError(
            "a clip without point labels",
            f"{dataset.source.name} {dataset.ids[i]}",
            "choose a dataset whose points carry classes; `cross4d list` names them",
        )
    labels, classes = torch.as_tensor(labels), len(dataset.source.point_classes)
    if labels.max() >= classes:
        raise DataError(
            f"point label {labels.max()} of {classes} classes",
            f"{dataset.source.name} {dataset.ids[i]}",
            "labels count from 0; give the source a name for every one",
        )
    return torch.where(torch.isin(labels, torch.tensor([-1, *dataset.source.ignored])), IGNORED, labels)


def label_tokens(encoder: Encoder, dataset: ClipDataset) -> LabelledTokens:
    """One pass of the frozen encoder over a dataset with point labels."""

    def read(clips: range, points: torch.Tensor, tokens: Tokens) -> tuple[torch.Tensor, ...]:
        index, weights = token_neighbours(tokens.centres, tokens.frame, points)
        return (
            tokens.features.float().cpu(),
            index.int().cpu(),
            weights.float().cpu(),
            torch.stack([point_labels(dataset, i) for i in clips]),
        )

    parts = (torch.cat(part).clone() for part in zip(*read_clips(encoder, dataset, read, BATCH)))
    return LabelledTokens(*parts, dataset.subjects)


def label_loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of scores (..., K) over the points that carry a label (...); 0 where none does."""
    total = F.cross_entropy(scores.float().flatten(0, -2), labels.flatten(), ignore_index=IGNORED, reduction="sum")
    return total / all_rows((labels != IGNORED).sum()[None].float()).mean().clamp_min(1)


def confusion(predicted: torch.Tensor, labels: torch.Tensor, classes: int) -> np.ndarray:
    """Counts of points, rows the true class, columns the predicted one; points labelled IGNORED are passed over. -> (K,
    K) int64."""
    kept = labels != IGNORED
    return (
        torch.bincount(labels[kept] * classes + predicted[kept], minlength=classes * classes)
        .view(classes, classes)
        .numpy()
    )


class Segmenter(nn.Module):
    """Encoder and linear head, trained together (Table 17). points (B, T, N, 3) -> scores (B, T, N, K)."""

    def __init__(self, encoder: Encoder, classes: int):
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(encoder.dim, classes)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        tokens = self.encoder(points)
        index, weights = token_neighbours(tokens.centres, tokens.frame, points)
        return at_points(self.head(tokens.features), index, weights)
