"""Encoder and head trained together on labelled clips (Tables 4, 17)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..augment import augment
from ..datasets import ClipDataset
from ..decisions import CLASSIFIER_PASSES, TUNE_EPOCHS
from ..encoders import Encoder
from ..errors import ConfigError
from ..training import Training, train
from .features import inference, mean_pool
from .probes import ProbeResult, of_subjects, voted
from .segmentation import BATCH, SegmentationResult, Segmenter, confusion, label_loss, point_labels


@dataclass(frozen=True)
class LabelledClips:
    """Training data: points (B, T, N, 3) of clips, and their classes (B,), or with ``per_point`` those of their points
    (B, T, N)."""

    dataset: ClipDataset
    per_point: bool

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        label = point_labels(self.dataset, i) if self.per_point else torch.tensor(int(self.dataset.labels[i]))
        return torch.as_tensor(self.dataset[i].points), label

    @staticmethod
    def collate(clips: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, ...]:
        return tuple(map(torch.stack, zip(*clips)))


class FineTuning(nn.Module):
    """A model of points, augmentation and loss as the one module that ``train`` trains."""

    def __init__(self, model: nn.Module, loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]):
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        points, labels = batch
        device = next(self.parameters()).device
        # drawn from torch's own state, which checkpoints keep
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        return {"loss": self.loss(self.model(augment(points, generator).to(device)), labels.to(device))}


class Classifier(nn.Module):
    """The encoder, the mean over its tokens, and a linear head: points (B, T, N, 3) -> scores (B, K)."""

    def __init__(self, encoder: Encoder, classes: int):
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(encoder.dim, classes)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.head(mean_pool(self.encoder(points)))


def tuned(
    make: Callable[[], nn.Module],
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    clips: LabelledClips,
    epochs: int,
    seed: int,
    checkpoint: Path | None,
    run: dict,
) -> nn.Module:
    """The model that ``make`` builds, trained on all its weights: head, order and augmentation are drawn from the
    seed. run : what a checkpoint is refused by, where it differs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make()
        torch.manual_seed(seed)
        options = Training(epochs, BATCH, seed=seed)
        train(FineTuning(model, loss), clips, options, checkpoint=checkpoint, describe="fine-tuning", run=run)
    return model


def classify_finetuned(
    encoder: Encoder,
    train_set: ClipDataset,
    test_set: ClipDataset,
    seed: int = 0,
    passes: int = CLASSIFIER_PASSES,
    checkpoint: Path | None = None,
) -> ProbeResult:
    """Train encoder and a linear head end to end on the classes of the training clips, and classify the test clips
    (Table 4); where these are windows of videos, their probabilities vote. The last epoch counts. The encoder is
    changed in place.

    passes : over every video, shared among its windows. checkpoint : as in ``training.train``."""
    classes = len(train_set.classes)
    epochs = max(1, passes * len(set(train_set.videos)) // len(train_set))
    run = {"clips": train_set.fingerprint(), "classes": classes}
    make = lambda: Classifier(encoder, classes).to(next(encoder.parameters()).device)
    model = tuned(make, F.cross_entropy, LabelledClips(train_set, False), epochs, seed, checkpoint, run)
    scores = []
    with inference(model) as device:
        for first in range(0, len(test_set), BATCH):
            clips = range(first, min(first + BATCH, len(test_set)))
            points = torch.stack([torch.as_tensor(test_set[i].points) for i in clips]).to(device)
            scores.append(model(points).float().softmax(-1).cpu())
    found = voted(torch.cat(scores).double().numpy(), test_set.labels, test_set.videos)
    return of_subjects(test_set, found)


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
    run = {"clips": train_set.fingerprint(), "classes": classes}
    make = lambda: Segmenter(encoder, classes).to(next(encoder.parameters()).device)
    segmenter = tuned(make, label_loss, LabelledClips(train_set, True), epochs, seed, checkpoint, run)
    counts = [
        confusion(predict(segmenter, test_set, i), point_labels(test_set, i), classes) for i in range(len(test_set))
    ]
    return SegmentationResult(np.stack(counts), subjects=test_set.subjects)


def predict(segmenter: Segmenter, dataset: ClipDataset, i: int) -> torch.Tensor:
    """The class of every point of clip i, (T, N) int64 on the CPU."""
    with inference(segmenter) as device:
        return segmenter(torch.as_tensor(dataset[i].points)[None].to(device))[0].argmax(-1).cpu()
