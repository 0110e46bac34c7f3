"""What every 4D encoder f_theta provides, so that pretexts, targets and probes can take any of them.

An encoder works in two steps. ``embed`` turns points into tokens, each from its own neighbourhood. ``contextualise``
lets the tokens, or some of them, attend to each other. A dense pretext calls both; a masked one changes or drops tokens
in between.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import torch
from torch import nn

from ..errors import ConfigError
from .layers import Reference


@dataclass(frozen=True)
class Tokens:
    """f_theta(P) = {(t_j, c_j)}, j = 1..M (Sec. 3).

    features : (B, M, C), t_j. centres : (B, M, 3), c_j in the input's coordinates. frame : (B, M) int64, the frame of
    token j. point : (B, M) int64, n*(j), the input point of that frame nearest to c_j (Eq. 4). place : (B, M, 4), what
    position codes read: the centre in the clip's reference (``layers.normalise``), and the time (``layers.time_of``).
    """

    features: torch.Tensor
    centres: torch.Tensor
    frame: torch.Tensor
    point: torch.Tensor
    place: torch.Tensor

    def keep(self, index: torch.Tensor) -> Tokens:
        """Some tokens of every clip. index (B, K) int64 -> Tokens of K a clip, in that order."""
        pick = lambda values: values.gather(
            1, index.reshape(*index.shape, *[1] * (values.dim() - 2)).expand(-1, -1, *values.shape[2:])
        )
        return Tokens(*(pick(values) for values in (self.features, self.centres, self.frame, self.point, self.place)))

    def with_features(self, features: torch.Tensor) -> Tokens:
        """The same tokens with other features, (B, M, C')."""
        return replace(self, features=features)


class Encoder(nn.Module):
    """A 4D encoder. ``dim`` is C; ``config`` an instance of the class's ``Config``, whose fields may be given as
    keywords: ``Point4D(dim=128)``.

    Subclasses implement ``group``, ``token_rule`` and ``embed``, have ``position``, ``blocks`` and ``norm`` or a
    ``contextualise`` of their own, and register with
    ``@register_encoder("name")``.
    """

    name: ClassVar[str]
    Config: ClassVar[type]
    dim: int
    position: nn.Module
    blocks: nn.ModuleList
    norm: nn.Module

    def __init__(self, config: Any = None, **fields):
        super().__init__()
        self.config = config or type(self).Config(**fields)

    def settings(self) -> dict:
        """Name and configuration, JSON-ready: ``build_encoder(**encoder.settings())`` builds its twin."""
        return {"name": self.name, **asdict(self.config)}

    def group(self, points: torch.Tensor) -> dict[str, torch.Tensor]:
        """The index part of ``embed``, which depends on the points (B, T, N, 3) alone: int64 tensors with leading
        dimension B, among them ``point`` and ``frame`` (B, M). Computed once a clip and stored beside the targets."""
        raise NotImplementedError

    def token_rule(self) -> dict:
        """What decides the grouping, JSON-ready: the encoder's part of a target store's key."""
        raise NotImplementedError

    def embed(
        self,
        points: torch.Tensor,
        grouping: dict[str, torch.Tensor] | None = None,
        reference: Reference | None = None,
        times: torch.Tensor | None = None,
    ) -> Tokens:
        """Tokens before context: points (B, T, N, 3) -> M tokens a clip, each from its own neighbourhood.

        grouping : as ``group`` gives it; None computes it. reference : origin and scale of the clip, None takes them
        from its first frame. times : (T,) or (B, T), the frame numbers, None counts from 0; a clip that lost frames
        passes the numbers of those that are left, and nothing else changes.
        """
        raise NotImplementedError

    def contextualise(self, tokens: Tokens, keep: torch.Tensor | None = None) -> Tokens:
        """Tokens that have attended to each other; keep (B, K) int64 : to these alone, and only they are returned.

        Here: a code of the place is added (``self.position``), then ``self.blocks`` and ``self.norm``.
        """
        kept = tokens if keep is None else tokens.keep(keep)
        x = kept.features + self.position(kept.place)  # (B, K, C)
        for block in self.blocks:
            x = block(x)
        return kept.with_features(self.norm(x))

    def forward(
        self,
        points: torch.Tensor,
        grouping: dict[str, torch.Tensor] | None = None,
        reference: Reference | None = None,
        times: torch.Tensor | None = None,
    ) -> Tokens:
        return self.contextualise(self.embed(points, grouping, reference, times))


def check_batch(points: torch.Tensor, where: str) -> None:
    """Raise ConfigError unless points are (B, T, N, 3)."""
    if points.ndim != 4 or points.shape[-1] != 3:
        raise ConfigError(f"points of shape {tuple(points.shape)}", where, "give a batch of clips, (B, T, N, 3)")


def count_parameters(module: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def count_flops(encoder: Encoder, frames: int, points: int) -> dict[str, int]:
    """Floating-point operations of one forward pass over one clip, 2 per multiply-add, counted by torch (Table 9).

    Returns ``all``, ``attention`` (the two products softmax(QK^T)V alone) and ``without_attention``: Table 9's figure
    leaves no room for joint attention, so both are shown.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    device = next(encoder.parameters()).device
    cloud = torch.randn(1, frames, points, 3, generator=torch.Generator().manual_seed(0)).to(device)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:  # torch counts no fused attention on a CPU
        encoder(cloud)
    by_operation = {str(op): flops for op, flops in counter.get_flop_counts()["Global"].items()}
    attention = sum(flops for op, flops in by_operation.items() if "bmm" in op or "attention" in op)
    total = sum(by_operation.values())
    return {"all": total, "attention": attention, "without_attention": total - attention}
