"""Eq. 3 and 4: from a 2D feature map back to the points, from tokens to points, and from points back to tokens.

Eq. 3   y_(f,n) = (Phi_f W)[pix_pi(P_(f,n))] for visible points. ``patch_index`` is pix_pi at the resolution of patches.
Eq. 4   n*(j) = the input point of the token's own frame nearest to its centre. ``match_tokens``.
The way back, a feature for every point from the tokens around it (Sec. 4, segmentation and correspondence), is not in
the paper; ``token_neighbours`` and ``at_points`` are our rule.
"""

from __future__ import annotations

import math

import torch

from .clips import whole_number
from .decisions import POINT_TOKENS, VISIBILITY
from .errors import ConfigError
from .points import nearest_neighbours
from .render import Rendering, fit_camera, render


def patch_index(view: Rendering, patch: int = 14) -> torch.Tensor:
    """The teacher's patch each point projects to: (T, N) int64, row-major in the h x w grid; -1 where occluded (Eq. 3).

    A point's disc may reach into neighbouring patches; its patch is the one of its own projection.
    Raises ConfigError when the patch does not divide the image: a floored grid would shift every correspondence
    silently.
    """
    size, patch = view.index.shape[-1], whole_number(patch, "patch", "patch_index")
    if size % patch:
        raise ConfigError(
            f"patches of {patch} px do not divide an image of {size} px",
            "patch_index",
            f"render at a multiple, e.g. size={max(1, round(size / patch)) * patch}",
        )
    grid = size // patch
    column, row = (view.pixel.clamp(0, size - 1) // patch).unbind(-1)  # a disc can reach in from a point just outside
    return torch.where(view.visible, row * grid + column, -1)


def point_features(patches: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Carry patch features to the points (Eq. 3). patches (T, h, w, D), index (T, N) of ``patch_index`` -> (T, N, D),
    NaN where occluded."""
    frames, dim = patches.shape[0], patches.shape[-1]
    flat = patches.reshape(frames, -1, dim)  # (T, h*w, D)
    carried = torch.gather(flat, 1, index.clamp_min(0)[..., None].expand(-1, -1, dim))  # (T, N, D)
    return torch.where((index >= 0)[..., None], carried, torch.nan)


def match_tokens(centres: torch.Tensor, frame: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Eq. 4: the input point nearest to each token's centre, in the token's own frame.

    centres (B, M, 3), frame (B, M) int64, points (B, T, N, 3), all in the same coordinates -> (B, M) int64 index into
    N; ties go to the lowest index. For Point4D the centres are input points, so this returns the sampled index itself
    (unless two points coincide).
    """
    own = torch.gather(points.flatten(2), 1, frame[..., None].expand(-1, -1, points.shape[2] * 3))  # (B, M, N*3)
    distance = (own.unflatten(-1, (-1, 3)) - centres[:, :, None]).square().sum(-1)  # (B, M, N)
    return distance.argmin(-1)


def token_neighbours(
    centres: torch.Tensor, frame: torch.Tensor, points: torch.Tensor, k: int = POINT_TOKENS
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which tokens a point takes its feature from, and in what shares.

    centres (B, M, 3), frame (B, M) int64, points (B, T, N, 3) -> index (B, T, N, k) int64 into M, weights (B, T, N, k)
    float32 that sum to 1. k = 1: the nearest token of the point's own frame. k > 1: the k nearest, weighted by the
    inverse of the squared distance (the rule of PointNet++). Where an encoder has no tokens in a frame, those of the
    nearest frame that has some are taken, the earlier one of two.

    Raises ConfigError unless every frame that has tokens has equally many, in one run, in order, the same for all
    clips.
    """
    batch, frames = points.shape[:2]
    have, counts = torch.unique_consecutive(frame[0], return_counts=True)
    per_frame = int(counts[0])
    if (counts != per_frame).any() or (have.diff() <= 0).any() or (frame != frame[0]).any():
        raise ConfigError(
            "tokens that are not listed frame by frame, equally many in each",
            "token_neighbours",
            "sort the tokens by frame",
        )
    anchor = (
        (torch.arange(frames, device=frame.device)[:, None] - have).abs().argmin(1)
    )  # (T,) which of the frames that have tokens
    near_centres = centres.view(batch, len(have), per_frame, 3)[:, anchor]  # (B, T, m, 3)
    near = nearest_neighbours(points, near_centres, min(k, per_frame))  # (B, T, N, k)
    chosen = torch.gather(
        near_centres[:, :, None].expand(-1, -1, points.shape[2], -1, -1), 3, near[..., None].expand(*near.shape, 3)
    )  # (B, T, N, k, 3)
    closeness = 1 / (chosen - points[..., None, :]).square().sum(-1).clamp_min(
        1e-30
    )  # a point on a token takes that token alone
    return near + per_frame * anchor[:, None, None], closeness / closeness.sum(-1, keepdim=True)


def at_points(values: torch.Tensor, index: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Token values at the points: the weighted mean over each point's tokens. values (B, M, D), index and weights (B,
    T, N, k) of ``token_neighbours`` -> (B, T, N, D). Differentiable in values; linear, so a linear head may come before
    or after it."""
    batch, tokens, dim = values.shape
    flat = index + tokens * torch.arange(batch, device=index.device)[:, None, None, None]
    taken = values.reshape(-1, dim).index_select(0, flat.flatten()).view(*index.shape, dim)  # (B, T, N, k, D)
    return (weights[..., None].to(taken) * taken).sum(-2)


def camera_yaws(cameras: int) -> list[float]:
    """Angles in radians of 1, 2, 4, ... cameras, evenly spaced around the vertical axis; the first is frontal (Table
    15)."""
    cameras = whole_number(cameras, "cameras", "camera_yaws")
    return [2 * math.pi * k / cameras for k in range(cameras)]


def render_cameras(points: torch.Tensor, size: int, cameras: int = 1, visibility: str = VISIBILITY) -> list[Rendering]:
    """The clip under each of several fixed cameras (Table 15). points (T, N, 3). visibility : as in ``render``."""
    points = torch.as_tensor(points)
    yaws = camera_yaws(cameras)
    return [render(points, size, fit_camera(points, size, yaw), visibility=visibility) for yaw in yaws]


def coverage(views: list[Rendering]) -> float:
    """Share of all points that at least one camera sees (Table 15 reports .49 for MSR-Action3D and one camera)."""
    return torch.stack([view.visible for view in views]).any(0).float().mean().item()
