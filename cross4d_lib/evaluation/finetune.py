"""Encoder and head trained together on labelled clips (Table 17)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..augment import augment
from ..datasets import ClipDataset
from ..decisions import TUNE_EPOCHS
from ..encoders import Encoder
from ..errors import ConfigError
from ..training import Training, train
from .features import inference
from .segmentation import BATCH, SegmentationResult, Segmenter, confusion, label_loss, point_labels


@dataclass(frozen=True)
class LabelledClips:
    """Training data: points (B, T, N, 3) and labels (B, T, N) of clips."""

    dataset: ClipDataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.as_tensor(self.dataset[i].points), point_labels(self.dataset, i)

    @staticmethod
    def collate(clips: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, ...]:
        return tuple(map(torch.stack, zip(*clips)))


class FineTuning(nn.Module):
    """Segmenter, augmentation and loss as the one module that ``train`` trains."""

    def __init__(self, segmenter: Segmenter):
        super().__init__()
        self.segmenter = segmenter

    def forward(self, batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        points, labels = batch
        device = next(self.parameters()).device
        # drawn from torch's own state, which checkpoints keep
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        return {"loss": label_loss(self.segmenter(augment(points, generator).to(device)), labels.to(device))}


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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        segmenter = Segmenter(encoder, classes).to(next(encoder.parameters()).device)
        torch.manual_seed(seed)
        train(
            FineTuning(segmenter),
            LabelledClips(train_set),
            Training(epochs, BATCH, seed=seed),
            checkpoint=checkpoint,
            describe="fine-tuning",
            run={"clips": train_set.fingerprint(), "classes": classes},
        )
    counts = [
        confusion(predict(segmenter, test_set, i), point_labels(test_set, i), classes) for i in range(len(test_set))
    ]
    return SegmentationResult(np.stack(counts), subjects=test_set.subjects)


def predict(segmenter: Segmenter, dataset: ClipDataset, i: int) -> torch.Tensor:
    """The class of every point of clip i, (T, N) int64 on the CPU."""
    with inference(segmenter) as device:
        return segmenter(torch.as_tensor(dataset[i].points)[None].to(device))[0].argmax(-1).cpu()
