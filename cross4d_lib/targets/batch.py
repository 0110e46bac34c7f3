"""What a training step reads of the cached targets, and how several cameras give one target a token (Table 15)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import torch

from ..errors import ConfigError, TargetError


@dataclass(frozen=True)
class Batch:
    """What a training step reads: B clips with their targets under V cameras.

    points : (B, T, N, 3) float32. grouping : the encoder's index tensors, int64, leading dimension B. view_targets :
    (B, V, M, d_p) float16, Eq. 4 under each camera, 0 where that camera does not see the token's point; view_visible :
    (B, V, M) bool. view_summaries : "class" (mean class token) and "mean" (mean over visible points) -> (B, V, d_p)
    float32. cameras : (B, V, 3, 4) float64, the camera matrices: a point (x, y, z) lies on pixel (u / w, v / w), where
    (u, v, w) = matrix (x, y, z, 1) and w is its depth. Without a teacher the last four are None.
    """

    points: torch.Tensor
    grouping: dict[str, torch.Tensor]
    view_targets: torch.Tensor | None = None
    view_visible: torch.Tensor | None = None
    view_summaries: dict[str, torch.Tensor] | None = None
    cameras: torch.Tensor | None = None

    def merged(self, how: str = "mean") -> tuple[torch.Tensor, torch.Tensor]:
        """One target a token: (B, M, d_p) float32 targets, 0 where no camera sees the point, and (B, M) bool visible.

        how : "mean" over the cameras that see the token's point, or "first" of them. Raises ConfigError on another
        word, TargetError where there are no targets.
        """
        if self.view_targets is None:
            raise TargetError("clips without targets", "Batch", "build the targets with a teacher")
        return merge_views(self.view_targets, self.view_visible, how)

    @cached_property
    def _mean(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.merged("mean")

    @property
    def targets(self) -> torch.Tensor:
        """(B, M, d_p) float32: the mean over the cameras that see a token's point."""
        return self._mean[0]

    @property
    def visible(self) -> torch.Tensor:
        """(B, M) bool: some camera sees the token's point."""
        return self._mean[1]

    @cached_property
    def summaries(self) -> dict[str, torch.Tensor]:
        """The name of a summary -> (B, d_p) float32, the mean over all cameras."""
        return {name: summary.mean(1) for name, summary in (self.view_summaries or {}).items()}

    def to(self, device: str | torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(*(_moved(getattr(self, field.name), device) for field in fields(self)))


def _moved(value, device):
    if isinstance(value, dict):
        return {name: tensor.to(device) for name, tensor in value.items()}
    return value if value is None else value.to(device)


def merge_views(targets: torch.Tensor, visible: torch.Tensor, how: str = "mean") -> tuple[torch.Tensor, torch.Tensor]:
    """targets (..., V, M, d_p), 0 where not visible, visible (..., V, M) -> (..., M, d_p) float32, (..., M) bool; see
    ``Batch.merged``."""
    if how not in ("mean", "first"):
        raise ConfigError(f"merge {how!r}", "the targets of several cameras", '"mean" or "first"')
    if targets.shape[-3] == 1:
        return targets.squeeze(-3).float(), visible.squeeze(-2)
    if how == "first":
        visible = visible & (visible.cumsum(-2) == 1)
        targets = torch.where(visible[..., None], targets, 0)
    seen = visible.sum(-2)  # (..., M)
    return targets.float().sum(-3) / seen.clamp_min(1)[..., None], seen > 0
