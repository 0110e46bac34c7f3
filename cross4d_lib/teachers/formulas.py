"""Targets without a teacher: what a dense student learns from the place of a pixel alone. Ours; the paper has none.

The formula stands behind the teacher protocol and looks at the same picture as a real teacher, so nothing else in the
pipeline knows of it. Its patch is one pixel: a point's target is that of the pixel it projects to, finer than any real
teacher's, so that the control does not lose for being coarse.
"""

from __future__ import annotations

import math

import torch

from ..decisions import POSITION_WAVES
from ..errors import ConfigError
from .base import Features, Teacher

PREFIX = "control/"


class PositionTeacher(Teacher):
    """The sinusoid of the pixel, blind to what it shows: sine and cosine of column and row at POSITION_WAVES
    wavelengths. The summary is the mean over the pixels that show something, 0 where none does."""

    name, dim = f"{PREFIX}position", 4 * len(POSITION_WAVES)
    patch, trained = 1, False
    revision = f"position-1-{'-'.join(f'{wave:g}' for wave in POSITION_WAVES)}"
    description = "CONTROL, no teacher: sinusoid of the pixel's column and row"

    def forward(self, image: torch.Tensor) -> Features:
        seen, size = image[:, 0] > 0, image.shape[-1]  # (T, H, W)
        code = sinusoid(torch.arange(size, device=image.device))  # (size, 2K): column and row alike
        grid = torch.cat([code[None].expand(size, -1, -1), code[:, None].expand(-1, size, -1)], -1)  # (H, W, 4K)
        patches = grid[None].expand(len(image), -1, -1, -1)
        shown = torch.where(seen[..., None], patches, 0.0).sum((1, 2))
        return Features(patches, shown / seen.sum((1, 2)).clamp_min(1)[:, None])


def sinusoid(pixel: torch.Tensor, size: int | None = None) -> torch.Tensor:
    """Sines, then cosines, of 2 pi u / wave at the K POSITION_WAVES; u = (pixel + 1/2) / size is the middle of the
    pixel. pixel (n,) -> (n, 2 K) float32."""
    u = (pixel.double() + 0.5) / (size or len(pixel))
    angle = 2 * math.pi * u[:, None] / u.new_tensor(POSITION_WAVES)
    return torch.cat([angle.sin(), angle.cos()], -1).float()


CONTROL_TEACHERS = {PositionTeacher.name: PositionTeacher}


def load_control(name: str) -> Teacher:
    """A control by its name. Raises ConfigError on another name that begins like one."""
    if name not in CONTROL_TEACHERS:
        raise ConfigError(f"no control is called {name!r}", "load_teacher", f"one of {', '.join(CONTROL_TEACHERS)}")
    return CONTROL_TEACHERS[name]()
