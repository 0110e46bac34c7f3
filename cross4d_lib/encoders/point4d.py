"""Point4D (Sec. 3.2): two PointNet++ set abstractions, then a transformer over all tokens of the clip.

The set abstractions see space, one frame at a time; the transformer sees space and time together. (With ``motion`` the
second abstraction also reads what lay around its centre in the frame before.) The tokens stay close to single surface
points, which is what a target per point needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ..decisions import FIRST_LEVEL, MOTION, NEIGHBOURS
from ..errors import ConfigError
from ..points import farthest_point_sample, gather_points, nearest_neighbours
from .base import Encoder, Tokens, check_batch
from .layers import Block, PositionCode, SetAbstraction, normalise, reference_of, time_of, with_previous
from .registry import register_encoder


@dataclass(frozen=True)
class Point4DConfig:
    """The paper's size by default: 64 tokens a frame, C = 256, depth 4, 4 heads; 3.28 M parameters (Table 9)."""

    tokens: int = 64  # a frame
    dim: int = 256  # C
    depth: int = 4
    heads: int = 4
    mlp_ratio: int = 4
    neighbours: int = NEIGHBOURS
    first_level: int = FIRST_LEVEL  # centres of the first abstraction, x tokens
    motion: int = MOTION  # neighbours of the second abstraction in the frame before; 0: none
    widths: tuple[int, int] = (64, 128)  # features after the first and inside the second abstraction


@register_encoder("point4d")
class Point4D(Encoder):
    """f_theta: (B, T, N, 3) -> Tokens with M = T x tokens, frame by frame.

    Centres are FPS samples of the input, so n*(j) of Eq. 4 is the sampled point itself. Raises ConfigError on sizes
    that do not fit each other or the clip.
    """

    Config = Point4DConfig
    config: Point4DConfig

    def __init__(self, config: Point4DConfig | None = None, **fields):
        super().__init__(config, **fields)
        c = self.config
        self.dim = c.dim
        self.abstract1 = SetAbstraction(0, c.widths[0], c.widths[0])
        self.abstract2 = SetAbstraction(c.widths[0], c.widths[1], c.widths[1], coordinates=4 if c.motion else 3)
        self.to_token = nn.Linear(c.widths[1], c.dim)
        self.position = PositionCode(c.dim)
        self.blocks = nn.ModuleList(Block(c.dim, c.heads, c.mlp_ratio) for _ in range(c.depth))
        self.norm = nn.LayerNorm(c.dim)

    def token_rule(self) -> dict:
        c = self.config
        rule = {
            "rule": "fps prefix, k nearest",
            "tokens": c.tokens,
            "first_level": c.first_level,
            "neighbours": c.neighbours,
        }
        return rule | ({"motion": c.motion} if c.motion else {})

    @torch.no_grad()
    def group(self, points: torch.Tensor) -> dict[str, torch.Tensor]:
        """Which points become centres and who their neighbours are. points (B, T, N, 3) -> int64 tensors:

        first (B, T, S), centres of the first level (the second level's are its first ``tokens``: a prefix of an FPS
        order is the FPS sample); near_first (B, T, S, k) into the N points; near_second (B, T, tokens, k + motion) into
        the S centres of the frame, and then, as S + number, of the frame before; point, frame (B, T * tokens).
        """
        check_batch(points, "Point4D")
        c = self.config
        batch, frames, count, _ = points.shape
        size = min(c.first_level * c.tokens, count)
        if c.tokens > count or max(c.neighbours, c.motion) > size:
            raise ConfigError(
                f"{c.tokens} tokens with {max(c.neighbours, c.motion)} neighbours from {count} points a frame",
                "Point4D",
                "sample more points a frame, or ask for fewer tokens",
            )
        first = farthest_point_sample(points, size)  # (B, T, S)
        centres = gather_points(points, first)  # (B, T, S, 3)
        second = centres[:, :, : c.tokens].contiguous()  # (B, T, tokens, 3)
        near = nearest_neighbours(second, centres, c.neighbours)  # (B, T, tokens, k)
        if c.motion:
            before = torch.cat([centres[:, :1], centres[:, :-1]], 1)
            near = torch.cat([near, size + nearest_neighbours(second, before, c.motion)], -1)
        return {
            "first": first,
            "near_first": nearest_neighbours(centres, points, c.neighbours),
            "near_second": near,
            "point": first[:, :, : c.tokens].flatten(1),
            "frame": torch.arange(frames, device=points.device).repeat_interleave(c.tokens).expand(batch, -1),
        }

    def embed(self, points, grouping=None, reference=None, times=None) -> Tokens:
        check_batch(points, "Point4D")
        groups = self.group(points) if grouping is None else grouping
        reference = reference or reference_of(points)
        batch, frames, tokens = len(points), points.shape[1], self.config.tokens
        cloud = normalise(points, reference)  # (B, T, N, 3)
        first = gather_points(cloud, groups["first"])  # (B, T, S, 3)
        features = self.abstract1(cloud, None, first, groups["near_first"])  # (B, T, S, widths[0])
        time = time_of(frames, times, batch, points.device)[:, :, None, None].to(first.dtype)  # (B, T, 1, 1)
        timed = torch.cat([first, time.expand(-1, -1, first.shape[2], -1)], -1)  # (B, T, S, 4)
        place = timed[:, :, :tokens]  # (B, T, tokens, 4)
        if self.config.motion:
            first, second, features = with_previous(timed), place, with_previous(features)  # (B, T, 2 S, ...)
        else:
            second = first[:, :, :tokens]  # (B, T, tokens, 3)
        features = self.abstract2(first, features, second, groups["near_second"])  # (B, T, tokens, widths[1])
        centres = gather_points(points, groups["first"][:, :, :tokens]).flatten(1, 2)  # (B, M, 3)
        return Tokens(
            self.to_token(features).flatten(1, 2), centres, groups["frame"], groups["point"], place.flatten(1, 2)
        )
