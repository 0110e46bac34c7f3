"""Frozen features of whole clips: the mean over tokens that the paper's linear probe reads (Sec. 4.1)."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..datasets import ClipDataset
from ..encoders import Encoder, Tokens
from ..training import has_half


def mean_pool(tokens: Tokens) -> torch.Tensor:
    """Mean over all M tokens: (B, M, C) -> (B, C)."""
    return tokens.features.mean(1)


def pooled_features(encoder: Encoder, dataset: ClipDataset, batch: int = 16, pool: Callable[[Tokens], torch.Tensor] = mean_pool) -> torch.Tensor:
    """One feature a clip, the encoder frozen and in evaluation mode. Returns (len(dataset), C) float32 on the CPU."""
    device = next(encoder.parameters()).device
    was_training = encoder.training
    encoder.eval()
    rows = []
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=has_half(device)):
        for start in range(0, len(dataset), batch):
            clips = [torch.as_tensor(dataset[i].points) for i in range(start, min(start + batch, len(dataset)))]
            rows.append(pool(encoder(torch.stack(clips).to(device))).float().cpu())
    encoder.train(was_training)
    return torch.cat(rows).clone()
