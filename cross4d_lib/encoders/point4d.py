"""Point4D (Sec. 3.2): two PointNet++ set abstractions inside each frame, then a transformer over all tokens of the
clip.

The set abstractions see space, one frame at a time; the transformer sees space and time together. The tokens stay close
to single surface points, which is what a target per point needs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import nn

from ..decisions import FIRST_LEVEL, NEIGHBOURS
from ..errors import ConfigError
from ..points import farthest_point_sample, gather_points, nearest_neighbours, strongest
from .base import Encoder, Tokens


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
    widths: tuple[int, int] = (64, 128)  # features after the first and inside the second abstraction


class SetAbstraction(nn.Module):
    """PointNet++: every centre looks at its k neighbours, a small network reads each, the strongest answer wins.

    The network is linear - GELU - linear on (offset, neighbour's feature). Its first layer is applied to the features
    before they are gathered (a linear map commutes with picking rows), and the LayerNorm comes after the maximum: the
    same function of the neighbourhood for far fewer operations.
    """

    def __init__(self, features: int, hidden: int, out: int):
        super().__init__()
        self.offset = nn.Linear(3, hidden)
        self.feature = nn.Linear(features, hidden, bias=False) if features else None
        self.second = nn.Linear(hidden, out)
        self.norm = nn.LayerNorm(out)

    def forward(self, points, features, centres, neighbours):
        """points (B, T, N, 3), features (B, T, N, F) or None, centres (B, T, S, 3), neighbours (B, T, S, k) -> (B, T,
        S, out)."""
        hidden = self.offset(gather_points(points, neighbours) - centres[..., None, :])  # (B, T, S, k, hidden)
        if self.feature is not None:
            hidden = hidden + gather_points(self.feature(features), neighbours)
        answers = self.second(nn.functional.gelu(hidden))  # (B, T, S, k, out)
        return self.norm(strongest(answers))


class Block(nn.Module):
    """Pre-norm transformer block with joint attention over all M tokens of a clip."""

    def __init__(self, dim: int, heads: int, mlp_ratio: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, mlp_ratio * dim), nn.GELU(), nn.Linear(mlp_ratio * dim, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, M, C) -> (B, M, C)."""
        q, k, v = (
            self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        )  # 3 x (B, heads, M, C/heads)
        x = x + self.out(attend(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """softmax(q k^T / sqrt(d)) v over (B, heads, M, d). Fused on a GPU; written out on a CPU, where its backward is
    faster."""
    if q.is_cuda:
        return nn.functional.scaled_dot_product_attention(q, k, v)
    return torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1), -1) @ v


class Point4D(Encoder):
    """f_theta: (B, T, N, 3) -> Tokens with M = T x tokens, frame by frame.

    Config fields may be given as keywords: ``Point4D(dim=128, depth=2, tokens=16)``. Centres are FPS samples of the
    input, so n*(j) of Eq. 4 is the sampled point itself. Raises ConfigError on sizes that do not fit each other or the
    clip.
    """

    def __init__(self, config: Point4DConfig | None = None, **fields):
        super().__init__()
        self.config = config or Point4DConfig(**fields)
        c = self.config
        if c.dim % c.heads:
            raise ConfigError(
                f"{c.heads} heads do not divide C = {c.dim}", "Point4D", "choose dim as a multiple of heads"
            )
        self.dim = c.dim
        self.abstract1 = SetAbstraction(0, c.widths[0], c.widths[0])
        self.abstract2 = SetAbstraction(c.widths[0], c.widths[1], c.widths[1])
        self.embed = nn.Linear(c.widths[1], c.dim)
        self.position = nn.Sequential(nn.Linear(4, c.dim), nn.GELU(), nn.Linear(c.dim, c.dim))
        self.blocks = nn.ModuleList(Block(c.dim, c.heads, c.mlp_ratio) for _ in range(c.depth))
        self.norm = nn.LayerNorm(c.dim)

    def token_rule(self) -> dict:
        c = self.config
        return {
            "rule": "fps prefix, k nearest",
            "tokens": c.tokens,
            "first_level": c.first_level,
            "neighbours": c.neighbours,
        }

    def settings(self) -> dict:
        """The configuration, JSON-ready."""
        return {"encoder": "point4d", **asdict(self.config)}

    @torch.no_grad()
    def group(self, points: torch.Tensor) -> dict[str, torch.Tensor]:
        """Which points become centres and who their neighbours are. points (B, T, N, 3) -> int64 tensors:

        first (B, T, S), centres of the first level (the second level's are its first ``tokens``: a prefix of an FPS
        order is the FPS sample); near_first (B, T, S, k) into the N points; near_second (B, T, tokens, k) into the S
        centres; point, frame (B, T * tokens).
        """
        check_batch(points)
        c = self.config
        batch, frames, count, _ = points.shape
        size = min(c.first_level * c.tokens, count)
        if c.tokens > count or c.neighbours > size:
            raise ConfigError(
                f"{c.tokens} tokens with {c.neighbours} neighbours from {count} points a frame",
                "Point4D",
                "sample more points a frame, or ask for fewer tokens",
            )
        first = farthest_point_sample(points, size)  # (B, T, S)
        centres = gather_points(points, first)  # (B, T, S, 3)
        return {
            "first": first,
            "near_first": nearest_neighbours(centres, points, c.neighbours),
            "near_second": nearest_neighbours(centres[:, :, : c.tokens], centres, c.neighbours),
            "point": first[:, :, : c.tokens].flatten(1),
            "frame": torch.arange(frames, device=points.device).repeat_interleave(c.tokens).expand(batch, -1),
        }

    def forward(self, points: torch.Tensor, grouping: dict[str, torch.Tensor] | None = None) -> Tokens:
        check_batch(points)
        groups = self.group(points) if grouping is None else grouping
        cloud = normalise(points)
        first = gather_points(cloud, groups["first"])  # (B, T, S, 3)
        second = first[:, :, : self.config.tokens]  # (B, T, tokens, 3)
        features = self.abstract1(cloud, None, first, groups["near_first"])  # (B, T, S, widths[0])
        features = self.abstract2(first, features, second, groups["near_second"])  # (B, T, tokens, widths[1])
        x = (self.embed(features) + self.position(with_time(second))).flatten(1, 2)  # (B, M, C)
        for block in self.blocks:
            x = block(x)
        centres = gather_points(points, groups["first"][:, :, : self.config.tokens]).flatten(1, 2)  # (B, M, 3)
        return Tokens(self.norm(x), centres, groups["frame"], groups["point"])


def check_batch(points: torch.Tensor) -> None:
    """Raise ConfigError unless points are (B, T, N, 3)."""
    if points.ndim != 4 or points.shape[-1] != 3:
        raise ConfigError(f"points of shape {tuple(points.shape)}", "Point4D", "give a batch of clips, (B, T, N, 3)")


def normalise(points: torch.Tensor) -> torch.Tensor:
    """Each clip (B, T, N, 3) to centroid 0 and root-mean-square radius 1, over all its frames: motion is kept, units
    go."""
    centred = points - points.mean((1, 2), keepdim=True)
    scale = centred.square().sum(-1).mean((1, 2)).sqrt().clamp_min(1e-12)
    return centred / scale[:, None, None, None]


def with_time(centres: torch.Tensor) -> torch.Tensor:
    """Append the time of the frame, -1 for the first to 1 for the last (0 when alone). (B, T, S, 3) -> (B, T, S, 4)."""
    batch, frames, size, _ = centres.shape
    time = torch.linspace(-1, 1, frames, device=centres.device) if frames > 1 else torch.zeros(1, device=centres.device)
    return torch.cat([centres, time.to(centres.dtype)[None, :, None, None].expand(batch, -1, size, 1)], -1)
