"""The protocol of a frozen 2D teacher g_phi (Eq. 2), and what it returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..errors import TeacherError
from .published import nearest_multiple

ROUNDING = 1e-6  # by which an image may leave [0, 1]


@dataclass(frozen=True)
class Features:
    """Phi_f for every frame of a clip.

    patches : (T, h, w, D) float32, one feature a patch. summary : (T, D) float32, the class token, or what stands for
    it.
    """

    patches: torch.Tensor
    summary: torch.Tensor


class Teacher:
    """A frozen 2D model. Call it with the images of a clip, (T, 3, H, W) float in [0, 1], a tensor or an array ->
    Features. Never has a gradient. Raises TeacherError on images of another shape, side, dtype or range.

    name : as asked for. revision : hash of weights, architecture and preprocessing, the teacher's part of every key.
    patch : side of a patch in pixels. dim : D. trained : False for random weights, which every table must say.
    description : one line. fixed_size : the only render side it accepts in pixels, None for any multiple of the patch.
    A video teacher takes the images as one clip in order; an image teacher takes each for itself.
    """

    name: str
    revision: str
    patch: int
    dim: int
    trained: bool
    description: str
    fixed_size: int | None = None

    def __call__(self, image: torch.Tensor | np.ndarray) -> Features:
        image = torch.as_tensor(np.ascontiguousarray(image) if isinstance(image, np.ndarray) else image)
        if image.ndim != 4 or image.numel() == 0 or image.shape[1] != 3 or image.shape[2] != image.shape[3]:
            raise TeacherError(
                f"images of shape {tuple(image.shape)}", self.name, "give (T, 3, size, size), as render() returns them"
            )
        low, high = (end.item() for end in image.aminmax())
        if not (image.is_floating_point() and -ROUNDING <= low and high <= 1 + ROUNDING):  # NaN fails it too
            kind = str(image.dtype).removeprefix("torch.")
            raise TeacherError(
                f"images of {kind} from {low:g} to {high:g}", self.name, "give floats in [0, 1]: divide bytes by 255"
            )
        if image.shape[-1] % self.patch:
            raise TeacherError(
                f"patches of {self.patch} px do not divide images of {image.shape[-1]} px",
                self.name,
                f"render at size={self.image_size(image.shape[-1])}",
            )
        if self.fixed_size and image.shape[-1] != self.fixed_size:
            raise TeacherError(
                f"images of {image.shape[-1]} px, it takes {self.fixed_size} px and nothing else",
                self.name,
                f"render at size={self.fixed_size}",
            )
        with torch.inference_mode():
            features = self.forward(image)
        grid, found = (len(image), *2 * (image.shape[-1] // self.patch,), self.dim), tuple(features.patches.shape)
        if found != grid or tuple(features.summary.shape) != (len(image), self.dim):
            raise TeacherError(
                f"features of shape {found} and {tuple(features.summary.shape)}, not {grid} and {grid[::3]}",
                self.name,
                "the adapter does not fit this model: its patches would be carried to the wrong points",
            )
        if not (torch.isfinite(features.patches).all() and torch.isfinite(features.summary).all()):
            raise TeacherError(
                "features that are not finite",
                self.name,
                "the weights are damaged, or the precision too low for this model: load it with dtype=torch.float32",
            )
        return features

    def image_size(self, near: int = 126) -> int:
        """The render side nearest to ``near`` that this teacher's patches divide exactly: 126 for patches of 7 or 14,
        128 for 16."""
        return self.fixed_size or nearest_multiple(self.patch, near)

    def forward(self, image: torch.Tensor) -> Features:
        raise NotImplementedError
