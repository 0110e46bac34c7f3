"""The layers that encoders share, and how a clip's space and time are normalised.

Space is measured from the first frame and time is counted in frames, so neither a prefix of a clip nor a subsample of
its frames moves a token: a model that predicts the future has not been shown its extent, and a clip that lost frames
(Table 13) keeps its clock.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from ..decisions import MEDIAN_TO_RMS, TIME_UNIT
from ..errors import ConfigError
from ..points import gather_points, max_of_linear


class Reference(NamedTuple):
    """Where a clip's coordinates are measured from, and in what unit. origin : (B, 3). scale : (B,), in input units."""

    origin: torch.Tensor
    scale: torch.Tensor


def reference_of(points: torch.Tensor) -> Reference:
    """The reference of a clip (B, T, N, 3): the coordinate-wise median of its FIRST frame, and the median distance from
    there, times the factor that makes it the root-mean-square radius of a normal cloud (our decision).

    Medians, so that stray points decide nothing; the first frame, so that later ones decide nothing. A first frame
    whose points coincide has scale 1.
    """
    first = points[:, 0].float()  # (B, N, 3)
    origin = first.median(1).values
    radius = (first - origin[:, None]).norm(dim=-1).median(1).values  # (B,)
    return Reference(origin, torch.where(radius > 0, MEDIAN_TO_RMS * radius, 1.0))


def normalise(points: torch.Tensor, reference: Reference | None = None) -> torch.Tensor:
    """Points (B, T, N, 3) measured from their reference, in its unit: motion is kept, units go."""
    origin, scale = reference or reference_of(points)
    return (points - origin[:, None, None]) / scale[:, None, None, None]


def time_of(frames: int, times: torch.Tensor | None, batch: int, device: torch.device) -> torch.Tensor:
    """The time of every frame, (B, T) float32, in units of TIME_UNIT frames. times : frame numbers, (T,) or (B, T);
    None counts from 0. Raises ConfigError unless there is one number a frame."""
    if times is None:
        times = torch.arange(frames, device=device)
    if times.shape[-1] != frames or times.dim() > 2:
        raise ConfigError(f"{tuple(times.shape)} times for {frames} frames", "embed", "give one number a frame")
    return (times.to(device, torch.float32) / TIME_UNIT).expand(batch, frames)


class SetAbstraction(nn.Module):
    """PointNet++: a small network reads each of a centre's k neighbours, and the maximum over them is kept.

    The network is linear - GELU - linear on (offset, neighbour's feature); the offset is in space, or in space and
    time. Its first layer is applied to the features before they are gathered (a linear map commutes with picking
    rows), and the LayerNorm comes after the maximum: the same function of the neighbourhood for far fewer operations.
    """

    def __init__(self, features: int, hidden: int, out: int, coordinates: int = 3):
        super().__init__()
        self.offset = nn.Linear(coordinates, hidden)
        self.feature = nn.Linear(features, hidden, bias=False) if features else None
        self.second = nn.Linear(hidden, out)
        self.norm = nn.LayerNorm(out)

    def forward(self, points, features, centres, neighbours):
        """points (B, T, N, c), features (B, T, N, F) or None, centres (B, T, S, c), neighbours (B, T, S, k) -> (B, T,
        S, out); c is 3, or 4 with time."""
        pad = nn.functional.pad  # one more coordinate of 1 multiplies the bias: one product, in its fast orientation
        offsets = gather_points(pad(points, (0, 1), value=1.0), neighbours) - pad(centres, (0, 1))[..., None, :]
        hidden = offsets @ torch.cat([self.offset.weight.t(), self.offset.bias[None]])  # (B, T, S, k, hidden)
        if self.feature is not None:
            hidden = hidden + gather_points(self.feature(features), neighbours)
        hidden = nn.functional.gelu(hidden)
        return self.norm(max_of_linear(hidden, self.second.weight, self.second.bias))


def with_previous(values: torch.Tensor) -> torch.Tensor:
    """Each frame's rows, then those of the frame before it: (B, T, S, C) -> (B, T, 2 S, C). The first frame stands in
    for the one before it: the clip has stood still."""
    return torch.cat([values, torch.cat([values[:, :1], values[:, :-1]], 1)], 2)


class PositionCode(nn.Sequential):
    """linear (x, y, z, t) -> C, GELU, linear C -> C: (..., 4) -> (..., C). Our decision, after P4Transformer."""

    def __init__(self, dim: int):
        super().__init__(nn.Linear(4, dim), nn.GELU(), nn.Linear(dim, dim))


class Block(nn.Module):
    """Pre-norm transformer block with joint attention over all tokens it is given."""

    def __init__(self, dim: int, heads: int, mlp_ratio: int = 4):
        super().__init__()
        if dim % heads:
            raise ConfigError(f"{heads} heads do not divide C = {dim}", "Block", "choose dim as a multiple of heads")
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
    """softmax(q k^T / sqrt(d)) v over (B, heads, M, d). Fused, but for bfloat16 on a CPU, where training is 1.7 to 2.5
    times as fast written out (benchmarks/bench_pretrain.py)."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        return torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1), -1) @ v
    return nn.functional.scaled_dot_product_attention(q, k, v)
