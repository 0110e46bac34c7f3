"""Eq. 5 and 6: predict the teacher's feature, densely or once a clip.

Dense and global are the same loss on different things: all visible tokens with their own targets, or one pooled token a
clip with the clip's summary. Nothing else differs, so a difference in what they learn is a difference of granularity.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..decisions import VARIANCE_EPS
from ..encoders import Tokens
from ..targets import Batch


def cosine_loss(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Eq. 5 on rows: mean of 1 - cos(predicted, stopgrad(target)). (n, d), (n, d) -> scalar; 0 when there is no row."""
    if len(predicted) == 0:
        return predicted.sum()
    return (1 - F.cosine_similarity(predicted, target.detach(), dim=-1)).mean()


def variance_loss(predicted: torch.Tensor) -> torch.Tensor:
    """Eq. 6: mean_k ReLU(1 - sigma_k), sigma_k = sqrt(Var_j(predicted_jk) + eps). (n, d) -> scalar; 0 for fewer than 2
    rows."""
    if len(predicted) < 2:
        return predicted.sum() * 0
    sigma = (predicted.var(0) + VARIANCE_EPS).sqrt()
    return F.relu(1 - sigma).mean()


class Dense(nn.Module):
    """L_dense + lambda L_var over the tokens whose matched point is visible (Eq. 5, 6).

    psi : linear C -> d_p (98,688 parameters at 256 -> 384, Table 9). mean : (d_p,) subtracted from every target, or
    None.
    """

    def __init__(self, dim: int, target_dim: int, mean: torch.Tensor | None = None, variance_weight: float = 1.0):
        super().__init__()
        self.psi = nn.Linear(dim, target_dim)
        self.variance_weight = variance_weight
        self.register_buffer("mean", torch.zeros(target_dim) if mean is None else mean.clone())

    def rows(self, tokens: Tokens, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Token features (n, C) and centred targets (n, d_p) of the visible tokens of the batch: the set V of Eq. 5."""
        return tokens.features[batch.visible], batch.targets[batch.visible] - self.mean

    def loss(self, tokens: Tokens, batch: Batch) -> dict[str, torch.Tensor]:
        """{"loss", "cosine", "variance"}; loss = cosine + lambda variance."""
        features, target = self.rows(tokens, batch)
        predicted = self.psi(features.float())
        cosine, variance = cosine_loss(predicted, target), variance_loss(predicted)
        return {"loss": cosine + self.variance_weight * variance, "cosine": cosine, "variance": variance}


class Global(Dense):
    """The same loss with one row a clip: the mean of its tokens against the clip's summary (Table 1's global
    column)."""

    def __init__(
        self,
        dim: int,
        target_dim: int,
        mean: torch.Tensor | None = None,
        variance_weight: float = 1.0,
        summary: str = "class",
    ):
        super().__init__(dim, target_dim, mean, variance_weight)
        self.summary = summary

    def rows(self, tokens: Tokens, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        return tokens.features.mean(1), batch.summaries[self.summary] - self.mean
