"""Eq. 3 and 4: from a 2D feature map back to the points, and from tokens to points.

Eq. 3   y_(f,n) = (Phi_f W)[pix_pi(P_(f,n))] for visible points. ``patch_index`` is pix_pi at the resolution of patches.
Eq. 4   n*(j) = the input point of the token's own frame nearest to its centre. ``match_tokens``.
"""

from __future__ import annotations

import math

import torch

from .errors import ConfigError
from .render import Rendering, fit_camera, render


def patch_index(view: Rendering, patch: int = 14) -> torch.Tensor:
    """The teacher's patch each point projects to: (T, N) int64, row-major in the h x w grid; -1 where occluded (Eq. 3).

    A visible point can own pixels of its disc in a neighbouring patch; its patch is the one of its own projection. Raises
    ConfigError when the patch does not divide the image: a floored grid would shift every correspondence silently.
    """
    size = view.index.shape[-1]
    if patch < 1 or size % patch:
        raise ConfigError(f"patches of {patch} px do not divide an image of {size} px", "patch_index", f"render at a multiple, e.g. size={max(1, round(size / max(patch, 1))) * max(patch, 1)}")
    grid = size // patch
    column, row = (view.pixel.clamp(0, size - 1) // patch).unbind(-1)  # a disc can reach in from a point just outside
    return torch.where(view.visible, row * grid + column, -1)


def point_features(patches: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Carry patch features to the points (Eq. 3). patches (T, h, w, D), index (T, N) of ``patch_index`` -> (T, N, D), NaN where occluded."""
    frames, dim = patches.shape[0], patches.shape[-1]
    flat = patches.reshape(frames, -1, dim)  # (T, h*w, D)
    carried = torch.gather(flat, 1, index.clamp_min(0)[..., None].expand(-1, -1, dim))  # (T, N, D)
    return torch.where((index >= 0)[..., None], carried, torch.nan)


def match_tokens(centres: torch.Tensor, frame: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Eq. 4: the input point nearest to each token's centre, in the token's own frame.

    centres (B, M, 3), frame (B, M) int64, points (B, T, N, 3), all in the same coordinates -> (B, M) int64 index into N;
    ties go to the lowest index. For Point4D the centres are input points, so this returns the sampled index itself (unless
    two points coincide).
    """
    own = torch.gather(points.flatten(2), 1, frame[..., None].expand(-1, -1, points.shape[2] * 3))  # (B, M, N*3)
    distance = (own.unflatten(-1, (-1, 3)) - centres[:, :, None]).square().sum(-1)  # (B, M, N)
    return distance.argmin(-1)


def camera_yaws(cameras: int) -> list[float]:
    """Angles in radians of 1, 2, 4, ... cameras, evenly spaced around the vertical axis; the first is frontal (Table 15)."""
    if cameras < 1:
        raise ConfigError(f"cameras={cameras}", "camera_yaws", "at least one camera")
    return [2 * math.pi * k / cameras for k in range(cameras)]


def render_cameras(points: torch.Tensor, size: int, cameras: int = 1) -> list[Rendering]:
    """The clip under each of several fixed cameras (Table 15). points (T, N, 3)."""
    points = torch.as_tensor(points, dtype=torch.float32)
    return [render(points, size, fit_camera(points, size, yaw)) for yaw in camera_yaws(cameras)]


def coverage(views: list[Rendering]) -> float:
    """Share of all points that at least one camera sees (Table 15 reports .49 for MSR-Action3D and one camera)."""
    return torch.stack([view.visible for view in views]).any(0).float().mean().item()
