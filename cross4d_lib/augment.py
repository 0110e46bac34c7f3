"""The augmentation of Sec. 4.1: in the paper of fine-tuning alone; a control asks what it would do in pretraining."""

from __future__ import annotations

import torch

from .decisions import AUGMENTATION


def augment(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Scale, turn about the vertical and jitter each clip (Sec. 4.1; sizes are our decision). points (B, T, N, 3) ->
    the same shape.

    A clip is scaled and turned about its own centroid, so its place in the scene stays; the jitter is in units of its
    radius.
    """
    share, degrees, jitter = AUGMENTATION
    uniform = lambda reach: reach * (2 * torch.rand(len(points), 1, 1, generator=generator) - 1)
    centroid = points.mean((1, 2), keepdim=True)
    local = points - centroid
    radius = local.norm(dim=-1).amax((1, 2))[:, None, None, None]
    angle = torch.deg2rad(uniform(degrees))
    x, y, z = (local * (1 + uniform(share)[..., None])).unbind(-1)
    turned = torch.stack([angle.cos() * x + angle.sin() * z, y, angle.cos() * z - angle.sin() * x], -1)
    return centroid + turned + jitter * radius * torch.randn(points.shape, generator=generator)
