"""Targets without a teacher: what a dense student learns from a place alone, from the surface alone, or from a frame's
brightness alone. Ours; the paper has none of them.

They stand behind the teacher protocol and look at the same picture as a real teacher, so nothing else in the pipeline
knows of them. Their patch is one pixel: a point's target is that of the pixel it projects to, finer than any real
teacher's, so that a control does not lose for being coarse. The picture holds depth without a unit; DEPTH_RELIEF is our
assumption for it.
"""

from __future__ import annotations

import math

import torch
from torch.nn.functional import conv2d

from ..decisions import DEPTH_RELIEF, GEOMETRY_WEIGHTS, GEOMETRY_WINDOW, POSITION_WAVES, SHADE_FAR
from ..errors import ConfigError
from ..render import mean_grey
from .base import Features, Teacher

PREFIX = "control/"
REACH = 2.5  # deviations at which the window is cut off
RIDGE = (
    0.0,
    1e-6,
    1e-6,
    1e-3,
    1e-3,
    1e-3,
)  # of the fit, x the weight in the window: where few pixels are seen the surface is taken for flat


class PixelTeacher(Teacher):
    """A feature for every pixel by a fixed formula: nothing is learned, nothing can be trained. The summary is the mean
    over the pixels that show something, 0 where none does."""

    patch, trained = 1, False

    def forward(self, image: torch.Tensor) -> Features:
        seen = image[:, 0] > 0  # (T, H, W)
        patches = self.at_pixels(image[:, 0], seen)  # (T, H, W, D)
        shown = torch.where(seen[..., None], patches, 0.0).sum((1, 2))
        return Features(patches, shown / seen.sum((1, 2)).clamp_min(1)[:, None])

    def at_pixels(self, grey: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class PositionTeacher(PixelTeacher):
    """The sinusoid of the pixel, blind to what it shows: sine and cosine of column and row at POSITION_WAVES
    wavelengths."""

    name, dim = f"{PREFIX}position", 4 * len(POSITION_WAVES)
    revision = f"position-1-{'-'.join(f'{wave:g}' for wave in POSITION_WAVES)}"
    description = "CONTROL, no teacher: sinusoid of the pixel's column and row"

    def at_pixels(self, grey, seen):
        size = grey.shape[-1]
        code = sinusoid(torch.arange(size, device=grey.device))  # (size, 2K): column and row alike
        grid = torch.cat([code[None].expand(size, -1, -1), code[:, None].expand(-1, size, -1)], -1)  # (H, W, 4K)
        return grid[None].expand(len(grey), -1, -1, -1)


def sinusoid(pixel: torch.Tensor, size: int | None = None) -> torch.Tensor:
    """``waves`` of u = (pixel + 1/2) / size, the middle of the pixel. pixel (n,) -> (n, 2 K) float32."""
    return waves((pixel.double() + 0.5) / (size or len(pixel)))


def waves(u: torch.Tensor) -> torch.Tensor:
    """Sines, then cosines, of 2 pi u / wave at the K POSITION_WAVES. u (n,) -> (n, 2 K) float32."""
    angle = 2 * math.pi * u[:, None] / u.new_tensor(POSITION_WAVES)
    return torch.cat([angle.sin(), angle.cos()], -1).float()


class GeometryTeacher(PixelTeacher):
    """Depth, normal and curvature of the surface at the pixel, each kind weighted by GEOMETRY_WEIGHTS; 0 where nothing
    is seen.

    The channels: nearness in [0, 1]; the normal (right, down, away; it points to the camera); the two principal
    curvatures, the larger first, in 1 / window, positive where the surface bulges to the camera, cut off at +-1. See
    ``surface``.
    """

    name, dim = f"{PREFIX}geometry", 6
    revision = (
        f"geometry-1-{DEPTH_RELIEF:g}-{GEOMETRY_WINDOW:g}-{'-'.join(f'{weight:g}' for weight in GEOMETRY_WEIGHTS)}"
    )
    description = "CONTROL, no teacher: depth, normal and curvature of the rendered surface"

    def at_pixels(self, grey, seen):
        size = grey.shape[-1]
        nearness = (grey.double() - SHADE_FAR) / (1 - SHADE_FAR)
        window = GEOMETRY_WINDOW * size
        depth, normal, curvature = surface((1 - nearness) * DEPTH_RELIEF * size, seen, window)
        near = 1 - depth[:, None] / (DEPTH_RELIEF * size)
        kinds = (near, normal, (curvature * window).clamp(-1, 1))
        out = nearness.new_zeros(*grey.shape, self.dim)
        out[seen] = torch.cat([weight * kind for weight, kind in zip(GEOMETRY_WEIGHTS, kinds)], -1)
        return out.float()


def surface(depth: torch.Tensor, seen: torch.Tensor, window: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The smoothed surface at every seen pixel: depth (n,), normal (n, 3), principal curvatures (n, 2), the larger
    first.

    depth (T, H, W) float64 in pixels, away from the camera; seen (T, H, W) bool; n seen pixels in row-major order.
    Around each of them the depth of the seen pixels is fitted by a quadric, weighted by a Gaussian of deviation
    ``window`` pixels: a plane is met exactly, also at the border of what is seen. From the quadric's slope and second
    derivatives follow normal and curvature. A step between two surfaces is smoothed over as if they were one; no edge
    is looked for.
    """
    reach = math.ceil(REACH * window)
    offset = torch.arange(-reach, reach + 1, dtype=depth.dtype, device=depth.device) / window  # in windows
    gauss = (-offset.square() / 2).exp()
    rows = [gauss * offset**p for p in range(5)]
    along = lambda image, row, column: conv2d(
        conv2d(image[:, None], rows[row][None, None, :, None], padding=(reach, 0)),
        rows[column][None, None, None],
        padding=(0, reach),
    )[:, 0]
    mask = seen.to(depth)
    moment = {(p, q): along(mask, q, p)[seen] for p in range(5) for q in range(5 - p)}  # sum of w u^p v^q
    height = {(p, q): along(depth * mask, q, p)[seen] for p in range(3) for q in range(3 - p)}
    terms = (
        ((0, 0), 1.0),
        ((1, 0), 1.0),
        ((0, 1), 1.0),
        ((2, 0), 0.5),
        ((1, 1), 1.0),
        ((0, 2), 0.5),
    )  # f = f0 + fu u + fv v + fuu u^2 / 2 + ...
    left = torch.stack(
        [torch.stack([a * b * moment[p + r, q + s] for (r, s), b in terms], -1) for (p, q), a in terms], -2
    )  # (n, 6, 6)
    right = torch.stack([a * height[power] for power, a in terms], -1)  # (n, 6)
    left = left + moment[0, 0][:, None, None] * torch.diag(left.new_tensor(RIDGE))
    f0, fu, fv, fuu, fuv, fvv = torch.linalg.solve(left, right).unbind(-1)
    fx, fy, fxx, fxy, fyy = fu / window, fv / window, fuu / window**2, fuv / window**2, fvv / window**2
    steep = (1 + fx.square() + fy.square()).sqrt()
    mean = ((1 + fy.square()) * fxx - 2 * fx * fy * fxy + (1 + fx.square()) * fyy) / (2 * steep**3)
    spread = (mean.square() - (fxx * fyy - fxy.square()) / steep**4).clamp_min(0).sqrt()
    return (
        f0,
        torch.stack([fx, fy, -torch.ones_like(fx)], -1) / steep[:, None],
        torch.stack([mean + spread, mean - spread], -1),
    )


class GreyTeacher(PixelTeacher):
    """One number a frame: the mean grey of what it shows, as the sinusoid of that number; every pixel has the same."""

    name, dim = f"{PREFIX}grey", 2 * len(POSITION_WAVES)
    revision = f"grey-1-{'-'.join(f'{wave:g}' for wave in POSITION_WAVES)}"
    description = "CONTROL, no teacher: sinusoid of the frame's mean grey"

    def at_pixels(self, grey, seen):
        return waves(mean_grey(grey[:, None]))[:, None, None].expand(-1, *grey.shape[1:], -1)


CONTROL_TEACHERS = {teacher.name: teacher for teacher in (PositionTeacher, GeometryTeacher, GreyTeacher)}


def load_control(name: str) -> PixelTeacher:
    """A control by its name. Raises ConfigError on another name that begins like one."""
    if name not in CONTROL_TEACHERS:
        raise ConfigError(f"no control is called {name!r}", "load_teacher", f"one of {', '.join(CONTROL_TEACHERS)}")
    return CONTROL_TEACHERS[name]()
