"""Do single points know what they are? A class for every point, from a frozen encoder or an end-to-end tuned one
(Tables 6, 17).

A linear head gives every token a score for every class; a point's scores are the weighted mean of those of the tokens
around it (``correspondence.token_neighbours``). Because both steps are linear, this equals a linear head on the point's
own interpolated feature, for a small part of the work: a clip has a sixteenth as many tokens as points.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..augment import augment
from ..correspondence import at_points, token_neighbours
from ..datasets import ClipDataset
from ..decisions import HEAD_EPOCHS, HEAD_POINTS, PROBE_RATE, TUNE_EPOCHS
from ..encoders import Encoder, Tokens
from ..errors import ConfigError, DataError
from ..precision import autocast
from ..training import Training, train
from .features import read_clips
from .probe import one_thread
from .statistics import RESAMPLES

BATCH = 8  # clips
IGNORED = -100  # what torch's cross-entropy passes over


@dataclass(frozen=True)
class SegmentationResult:
    """What a segmenter got right, as counts of points: everything else follows from them.

    confusion : (clips, K, K) int64, rows the true class, columns the predicted one; points of ignored classes are in
    none of them. A class that no test point has is left out of the means. selected : what was chosen on training clips,
    {} for nothing.
    """

    confusion: np.ndarray
    selected: dict = field(default_factory=dict)

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
        return float(np.nanmean(self.per_class))

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
        return miou_interval(self.counts)

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


def miou_interval(
    counts: np.ndarray, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of mIoU over test clips. counts (clips, 3, K) -> (low, high)."""
    return tuple(
        float(v) for v in np.quantile(resampled_miou(counts, resamples, seed), [(1 - level) / 2, (1 + level) / 2])
    )


def resampled_miou(counts: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """mIoU of ``resamples`` draws of clips with replacement, (resamples,). The same seed draws the same clips for every
    method."""
    counts = np.asarray(counts, float)
    times = np.random.default_rng(seed).multinomial(
        len(counts), np.full(len(counts), 1 / len(counts)), resamples
    )  # (r, clips)
    return np.nanmean(class_iou(np.tensordot(times, counts, 1)), -1)


@dataclass(frozen=True)
class LabelledTokens:
    """A dataset under a frozen encoder. features (n, M, C) float32; index, weights (n, T, N, k): each point's tokens;
    labels (n, T, N) int64, IGNORED where no class is trained or scored."""

    features: torch.Tensor
    index: torch.Tensor
    weights: torch.Tensor
    labels: torch.Tensor

    def nearest(self) -> LabelledTokens:
        """The same with each point taking its nearest token alone."""
        return LabelledTokens(self.features, self.index[..., :1], torch.ones_like(self.weights[..., :1]), self.labels)


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

    return LabelledTokens(*(torch.cat(part).clone() for part in zip(*read_clips(encoder, dataset, read, BATCH))))


def segment_frozen(
    train_tokens: LabelledTokens,
    test_tokens: LabelledTokens,
    classes: int,
    standardize: bool = False,
    seed: int = 0,
    epochs: int = HEAD_EPOCHS,
) -> tuple[SegmentationResult, nn.Linear]:
    """A linear per-point head on frozen tokens (Table 6). standardize : z-score every feature over the training tokens
    first.

    Returns the result on the test clips and the head. The last epoch counts.
    """
    mean, deviation = 0.0, 1.0
    if standardize:
        flat = train_tokens.features.flatten(0, 1)
        mean, deviation = flat.mean(0), flat.std(0).clamp_min(1e-8)
    x, z = (train_tokens.features - mean) / deviation, (test_tokens.features - mean) / deviation
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        head = nn.Linear(x.shape[-1], classes)
        optimiser = torch.optim.Adam(head.parameters(), lr=PROBE_RATE)
        order = torch.Generator().manual_seed(seed)
        count = train_tokens.labels.shape[-1]
        for _ in range(epochs):
            for rows in torch.randperm(len(x), generator=order).split(BATCH):
                some = torch.randperm(count, generator=order)[:HEAD_POINTS]  # of every frame
                index, weights, labels = (
                    values[rows][:, :, some]
                    for values in (train_tokens.index, train_tokens.weights, train_tokens.labels)
                )
                scores = at_points(head(x[rows]), index.long(), weights)  # (b, T, some, K)
                loss = F.cross_entropy(scores.flatten(0, 2), labels.flatten(), ignore_index=IGNORED)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
        result = score_points(head, z, test_tokens, classes)
    return result, head


@torch.no_grad()
def score_points(head: nn.Linear, features: torch.Tensor, tokens: LabelledTokens, classes: int) -> SegmentationResult:
    """A head's answers at every point of ``tokens``, from features (n, M, C) that may have been standardised since."""
    rows = zip(features, tokens.index, tokens.weights, tokens.labels)
    predicted = (
        (at_points(head(x[None]), index[None].long(), weights[None])[0].argmax(-1), labels)
        for x, index, weights, labels in rows
    )
    return SegmentationResult(np.stack([confusion(p, y, classes) for p, y in predicted]))


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


def segment_finetuned(
    encoder: Encoder,
    train_set: ClipDataset,
    test_set: ClipDataset,
    seed: int = 0,
    epochs: int = TUNE_EPOCHS,
    checkpoint: Path | None = None,
) -> SegmentationResult:
    """Train encoder and head end to end on the labelled clips, and score the test clips (Table 17). The encoder is
    changed in place.

    checkpoint : as in ``training.train``. Raises ConfigError when the dataset has no classes of points.
    """
    classes = len(train_set.source.point_classes)
    if not classes:
        raise ConfigError(
            f"{train_set.source.name} has no classes of points",
            "segment_finetuned",
            "choose a dataset that has; `cross4d list` names them",
        )
    device = next(encoder.parameters()).device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        segmenter = Segmenter(encoder, classes).to(device)

    def losses(indices: list[int], precision) -> dict[str, torch.Tensor]:
        # the augmentation is a function of seed and step, drawn from torch's own state, which checkpoints keep
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        points = augment(torch.stack([torch.as_tensor(train_set[i].points) for i in indices]), generator).to(device)
        labels = torch.stack([point_labels(train_set, i) for i in indices]).to(device)
        with precision:
            scores = segmenter(points)
        return {"loss": F.cross_entropy(scores.float().flatten(0, 2), labels.flatten(), ignore_index=IGNORED)}

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        train(
            nn.ModuleDict({"segmenter": segmenter}),
            losses,
            len(train_set),
            Training(epochs=epochs, batch=BATCH, seed=seed),
            checkpoint,
            "fine-tuning",
            run={"clips": train_set.fingerprint(), "classes": classes},
        )
    return SegmentationResult(
        np.stack(
            [
                confusion(predict(segmenter, test_set, i), point_labels(test_set, i), classes)
                for i in range(len(test_set))
            ]
        )
    )


def predict(segmenter: Segmenter, dataset: ClipDataset, i: int) -> torch.Tensor:
    """The class of every point of clip i, (T, N) int64 on the CPU."""
    device = next(segmenter.parameters()).device
    segmenter.eval()
    with torch.inference_mode(), autocast(device):
        return segmenter(torch.as_tensor(dataset[i].points)[None].to(device))[0].argmax(-1).cpu()
