"""What every 4D encoder f_theta returns and provides, so that pretexts, targets and probes can take any of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Tokens:
    """f_theta(P) = {(t_j, c_j)}, j = 1..M (Sec. 3).

    features : (B, M, C), t_j. centres : (B, M, 3), c_j in the input's coordinates. frame : (B, M) int64, the frame of
    token j. point : (B, M) int64, n*(j), the input point of that frame nearest to c_j (Eq. 4).
    """

    features: torch.Tensor
    centres: torch.Tensor
    frame: torch.Tensor
    point: torch.Tensor


class Encoder(nn.Module):
    """A 4D encoder. ``dim`` is C.

    group(points) : the index part of the forward pass, which depends on the points alone: a dict of int64 tensors with
    leading dimension B. It is computed once a clip and stored beside the targets; ``point`` (B, M) and ``frame`` (B, M)
    are always in it. forward(points, grouping=None) computes it when not given. token_rule() : what decides the
    grouping, JSON-ready, the encoder's part of a target store's key.
    """

    dim: int

    def group(self, points: torch.Tensor) -> dict[str, torch.Tensor]:
        raise NotImplementedError

    def token_rule(self) -> dict:
        raise NotImplementedError

    def forward(self, points: torch.Tensor, grouping: dict[str, torch.Tensor] | None = None) -> Tokens:
        raise NotImplementedError


def count_parameters(module: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def count_flops(encoder: Encoder, frames: int, points: int) -> dict[str, int]:
    """Floating-point operations of one forward pass over one clip, 2 per multiply-add, counted by torch (Table 9).

    Returns ``all``, ``attention`` (the two products softmax(QK^T)V alone) and ``without_attention``: Table 9's figure
    leaves no room for joint attention, so both are shown.
    """
    from torch.utils.flop_counter import FlopCounterMode

    device = next(encoder.parameters()).device
    cloud = torch.randn(1, frames, points, 3, generator=torch.Generator().manual_seed(0)).to(device)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        encoder(cloud)
    by_operation = {str(op): flops for op, flops in counter.get_flop_counts()["Global"].items()}
    attention = sum(flops for op, flops in by_operation.items() if "bmm" in op or "attention" in op)
    total = sum(by_operation.values())
    return {"all": total, "attention": attention, "without_attention": total - attention}
