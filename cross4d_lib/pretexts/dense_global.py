"""Eq. 5 and 6: predict the teacher's feature, of every token (dense) or of the clip (global).

Dense and global are the same loss on different rows: all visible tokens with their own targets, or the mean of a clip's
tokens with the clip's summary. Nothing else differs, so a difference in what they learn is a difference of granularity.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..decisions import CENTRE_TARGETS, GLOBAL_TARGET, VARIANCE_EPS
from ..distributed import all_rows
from ..encoders import Encoder, Tokens
from ..errors import ConfigError
from ..precision import autocast
from ..targets import Batch
from .base import Pretext, register_pretext

MERGES = ("mean", "first")  # of several views of one token
SUMMARIES = ("class", "mean")  # the class token, or the mean over visible points


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


def _one_of(value: str, allowed: tuple[str, ...], what: str) -> None:
    if value not in allowed:
        raise ConfigError(f"{what} {value!r}", "pretext", f"one of {', '.join(allowed)}")


@dataclass(frozen=True)
class DenseConfig:
    """variance_weight : lambda of Eq. 6. centre : subtract the training mean from the targets (our decision). merge :
    what several cameras give a token: the "mean" over those that see it, or the "first" that does."""

    variance_weight: float = 1.0
    centre: bool = CENTRE_TARGETS
    merge: str = "mean"

    def __post_init__(self):
        _one_of(self.merge, MERGES, "merge")


@dataclass(frozen=True)
class GlobalConfig:
    """As DenseConfig. summary : the clip's target, the "class" token or the "mean" over visible points."""

    variance_weight: float = 1.0
    centre: bool = CENTRE_TARGETS
    summary: str = GLOBAL_TARGET

    def __post_init__(self):
        _one_of(self.summary, SUMMARIES, "global target")


class CosinePretext(Pretext):
    """L + lambda L_var over rows of token features and their targets; ``rows`` says which.

    psi : linear C -> d_p (98,688 parameters at 256 -> 384, Table 9). mean : (d_p,), subtracted from every target.
    """

    needs = frozenset({"targets"})
    mean: torch.Tensor

    def __init__(self, config, encoder: Encoder, data):
        super().__init__(config, encoder, data)
        self.psi = nn.Linear(encoder.dim, data.dim)
        self.register_buffer("mean", self.target_mean(data) if config.centre else torch.zeros(data.dim))

    def target_mean(self, data) -> torch.Tensor:
        """The training mean of the targets of ``rows``, (d_p,)."""
        raise NotImplementedError

    def rows(self, tokens: Tokens, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (n, C) and targets (n, d_p), row by row."""
        raise NotImplementedError

    def loss(self, encoder: Encoder, batch: Batch) -> dict[str, torch.Tensor]:
        """{"loss", "cosine", "variance"}; loss = cosine + lambda variance, in float32."""
        features, target = self.rows(encoder(batch.points, batch.grouping), batch)
        with autocast(features.device, "float32"):
            predicted = all_rows(self.psi(features.float()))  # (n, d_p)
            cosine, variance = cosine_loss(predicted, all_rows(target - self.mean)), variance_loss(predicted)
        return {"loss": cosine + self.config.variance_weight * variance, "cosine": cosine, "variance": variance}


@register_pretext("dense")
class Dense(CosinePretext):
    """L_dense + lambda L_var over the tokens whose matched point is visible (Eq. 5, 6)."""

    Config = DenseConfig

    def target_mean(self, data) -> torch.Tensor:
        return data.mean["dense" if self.config.merge == "mean" else "first"]

    def rows(self, tokens: Tokens, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        targets, visible = batch.merged(self.config.merge)
        return tokens.features[visible], targets[visible]


@register_pretext("global")
class Global(CosinePretext):
    """The same loss with one row a clip: the mean of its tokens against the clip's summary (Table 1's global row)."""

    Config = GlobalConfig

    def target_mean(self, data) -> torch.Tensor:
        return data.mean[self.config.summary]

    def rows(self, tokens: Tokens, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        return tokens.features.mean(1), batch.summaries[self.config.summary]
