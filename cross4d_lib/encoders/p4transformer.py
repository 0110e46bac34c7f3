"""P4Transformer (Fan, Yang, Kankanhalli 2021), the paper's other encoder (Tables 3, 9, 20): one point 4D convolution,
then a transformer over all tokens.

The convolution reads tubes: at every second frame some points are sampled as anchors, and each anchor looks at the
balls around its place in the frame before, its own and the frame after. Tokens stand at every second frame and are
wide; there is one set abstraction less than in Point4D and thirteen times as many parameters. Written from the
published description, without compiled operators.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ..decisions import BALL_RADIUS
from ..errors import ConfigError
from ..points import ball_query, farthest_point_sample, gather_points, max_of_linear
from .base import Encoder, Tokens, check_batch
from .layers import Block, normalise, reference_of, time_of
from .registry import register_encoder

STRIDE = 2  # frames from one anchor frame to the next
TUBE = (-1, 0, 1)  # frames of a tube, from its anchor frame; the first frame stands in for the one before it


@dataclass(frozen=True)
class P4TransformerConfig:
    """The published size for MSR-Action3D by default: 42.0 M parameters (Table 9)."""

    spatial_stride: int = 32  # points a frame : anchors a frame
    neighbours: int = 32  # points of a ball
    radius: float = BALL_RADIUS  # in the clip's own unit (``layers.normalise``)
    dim: int = 1024  # C
    depth: int = 5
    heads: int = 8
    mlp_ratio: int = 2
    final_norm: bool = False  # a LayerNorm after the last block, which the published model has not (Table 20)


@register_encoder("p4transformer")
class P4Transformer(Encoder):
    """f_theta: (B, T, N, 3) -> Tokens with M = ceil(T / 2) x N / 32, anchor frame by anchor frame.

    Anchors are FPS samples of the input, so n*(j) of Eq. 4 is the anchor itself. Raises ConfigError on sizes that do
    not fit each other or the clip.
    """

    Config = P4TransformerConfig
    config: P4TransformerConfig

    def __init__(self, config: P4TransformerConfig | None = None, **fields):
        super().__init__(config, **fields)
        c = self.config
        self.dim = c.dim
        self.tube = nn.Linear(4, c.dim, bias=False)  # of the offset in space and time
        self.position = nn.Linear(4, c.dim)  # of the anchor's place and time
        self.blocks = nn.ModuleList(P4Block(c.dim, c.heads, c.mlp_ratio) for _ in range(c.depth))
        self.norm = nn.LayerNorm(c.dim) if c.final_norm else nn.Identity()

    def token_rule(self) -> dict:
        c = self.config
        sizes = {"spatial_stride": c.spatial_stride, "neighbours": c.neighbours, "radius": c.radius}
        return {"rule": "tubes of balls", **sizes}

    @torch.no_grad()
    def group(self, points: torch.Tensor) -> dict[str, torch.Tensor]:
        """Anchors and the points of their tubes. points (B, T, N, 3) -> int64 tensors: near (B, L, 3, S, k) into the N
        points of the frame before, the anchor's frame and the frame after; point, frame (B, L * S)."""
        check_batch(points, "P4Transformer")
        c = self.config
        batch, frames, count, _ = points.shape
        anchors = count // c.spatial_stride
        if anchors < 1 or c.neighbours > count:
            raise ConfigError(
                f"one anchor of {c.spatial_stride} points with {c.neighbours} neighbours from {count} points a frame",
                "P4Transformer",
                "sample more points a frame, or choose a smaller spatial_stride or fewer neighbours",
            )
        cloud = normalise(points.float())
        at, tube = tube_frames(frames, points.device)  # (L,), (L, 3)
        first = farthest_point_sample(points[:, at].contiguous(), anchors)  # (B, L, S)
        places = gather_points(cloud[:, at], first)  # (B, L, S, 3)
        around = cloud[:, tube].flatten(1, 2)  # (B, L * 3, N, 3)
        queries = places[:, :, None].expand(-1, -1, len(TUBE), -1, -1).flatten(1, 2)  # (B, L * 3, S, 3)
        near = ball_query(queries, around, c.radius, c.neighbours)
        return {
            "near": near.unflatten(1, (len(at), len(TUBE))),
            "point": first.flatten(1),
            "frame": at.repeat_interleave(anchors).expand(batch, -1),
        }

    def embed(self, points, grouping=None, reference=None, times=None) -> Tokens:
        check_batch(points, "P4Transformer")
        groups = self.group(points) if grouping is None else grouping
        batch, frames = len(points), points.shape[1]
        cloud = normalise(points, reference or reference_of(points))  # (B, T, N, 3)
        at, tube = tube_frames(frames, points.device)
        point = groups["point"].unflatten(1, (len(at), -1))  # (B, L, S)
        places = gather_points(cloud[:, at], point)  # (B, L, S, 3)
        near = groups["near"]  # (B, L, 3, S, k)
        found = gather_points(cloud[:, tube].flatten(1, 2), near.flatten(1, 2)).unflatten(1, (len(at), len(TUBE)))
        offsets = found - places[:, :, None, :, None]  # (B, L, 3, S, k, 3)
        step = torch.tensor(TUBE, dtype=offsets.dtype, device=offsets.device).view(1, 1, -1, 1, 1, 1)
        offsets = torch.cat([offsets, step.expand(*offsets.shape[:-1], 1)], -1)  # with the offset in time, in frames
        offsets = offsets.transpose(2, 3).flatten(3, 4)  # (B, L, S, 3 k, 4): the maximum is over space and time at once
        features = max_of_linear(offsets, self.tube.weight, offsets.new_zeros(self.dim))  # (B, L, S, C)
        time = time_of(frames, times, batch, points.device)[:, at, None, None].to(places.dtype)
        place = torch.cat([places, time.expand(*places.shape[:-1], 1)], -1)  # (B, L, S, 4)
        centres = gather_points(points[:, at], point).flatten(1, 2)  # (B, M, 3)
        return Tokens(features.flatten(1, 2), centres, groups["frame"], groups["point"], place.flatten(1, 2))


def tube_frames(frames: int, device) -> tuple[torch.Tensor, torch.Tensor]:
    """Anchor frames (L,), every second one from the first on, and the frames of their tubes (L, 3); a frame before the
    first or after the last is that one again."""
    at = torch.arange(0, frames, STRIDE, device=device)
    return at, (at[:, None] + torch.tensor(TUBE, device=device)).clamp(0, frames - 1)


class P4Block(Block):
    """The block as published: no bias in the projection to queries, keys and values, a GELU after the projection of
    the attention's output."""

    def __init__(self, dim: int, heads: int, mlp_ratio: int):
        super().__init__(dim, heads, mlp_ratio)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Sequential(nn.Linear(dim, dim), nn.GELU())
