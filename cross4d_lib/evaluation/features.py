"""Frozen features of whole clips: the mean over tokens of Sec. 4.1; their z-scores; and whether they have
collapsed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits
from torch import nn

from ..datasets import ClipDataset
from ..encoders import Encoder, Tokens
from ..precision import autocast


def mean_pool(tokens: Tokens) -> torch.Tensor:
    """Mean over all M tokens: (B, M, C) -> (B, C)."""
    return tokens.features.mean(1)


@contextmanager
def inference(model: nn.Module) -> Iterator[torch.device]:
    """The model in evaluation mode, without gradients, in the precision of its device, which is given; its mode is
    restored."""
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    try:
        with torch.inference_mode(), autocast(device):
            yield device
    finally:
        model.train(was_training)


def read_clips(
    encoder: Encoder, dataset: ClipDataset, read: Callable[[range, torch.Tensor, Tokens], object], batch: int = 16
) -> list:
    """What ``read(clip numbers, points (B, T, N, 3), tokens)`` answers for each batch of a dataset, the encoder frozen
    and in evaluation mode."""
    rows = []
    with inference(encoder) as device:
        for start in range(0, len(dataset), batch):
            clips = range(start, min(start + batch, len(dataset)))
            points = torch.stack([torch.as_tensor(dataset[i].points) for i in clips]).to(device)
            rows.append(read(clips, points, encoder(points)))
    return rows


def pooled_features(
    encoder: Encoder, dataset: ClipDataset, batch: int = 16, pool: Callable[[Tokens], torch.Tensor] = mean_pool
) -> torch.Tensor:
    """One feature a clip. Returns (len(dataset), C) float32 on the CPU."""
    return torch.cat(
        read_clips(encoder, dataset, lambda clips, points, tokens: pool(tokens).float().cpu(), batch)
    ).clone()


def moments(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of every feature over all rows, (..., C) -> (C,), (C,); a constant feature gets a deviation of
    1e-8."""
    rows = features.flatten(0, -2)
    return rows.mean(0), rows.std(0).clamp_min(1e-8)


def zscore(train: torch.Tensor, *others: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """All of them (..., C) in units of the training features' deviation from the training features' mean."""
    mean, deviation = moments(train)
    return tuple((features - mean) / deviation for features in (train, *others))


@contextmanager
def one_thread():
    """A probe is thousands of tiny products: threads cost more than they bring, up to fifty times on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def effective_rank(features: torch.Tensor) -> float:
    """exp of the entropy of the singular values' shares: 1 when all rows point one way, d when all d directions are
    used alike (Roy and Vetterli 2007; RankMe of Garrido et al. 2023). features (n, d), not centred. 0 for all-zero
    features."""
    values = torch.linalg.svdvals(features.double())
    if values.sum() == 0:
        return 0.0
    shares = values / values.sum()
    return float(torch.exp(-(shares * shares.clamp_min(1e-300).log()).sum()))


def direction_spread(features: torch.Tensor) -> float:
    """How far the rows' directions differ: 1 - |mean of the unit rows|^2. 0 when all point one way, 1 when they cancel.

    It is also the mean squared deviation of the unit rows, summed over dimensions. features (n, d); rows of zeros count
    as pointing nowhere.
    """
    unit = torch.nn.functional.normalize(features.double(), dim=-1)
    return max(0.0, float(1 - unit.mean(0).square().sum()))
