"""The protocol of a frozen 2D teacher g_phi (Eq. 2), and what it returns."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..errors import TeacherError


@dataclass(frozen=True)
class Features:
    """Phi_f for every frame of a clip.

    patches : (T, h, w, D) float32, one feature a patch. summary : (T, D) float32, the class token.
    """

    patches: torch.Tensor
    summary: torch.Tensor


class Teacher:
    """A frozen 2D model. Call it with the images of a clip, (T, 3, H, W) float32 in [0, 1] -> Features. Never has a gradient.

    name : how it was asked for. revision : hash of configuration and weights, the teacher's part of every key. patch : side
    of a patch in pixels. dim : D. trained : False for random weights, which every table must say. description : one line.
    """

    name: str
    revision: str
    patch: int
    dim: int
    trained: bool
    description: str

    def __call__(self, image: torch.Tensor) -> Features:
        if image.ndim != 4 or image.shape[1] != 3 or image.shape[2] != image.shape[3]:
            raise TeacherError(f"images of shape {tuple(image.shape)}", self.name, "give (T, 3, size, size), as render() returns them")
        if image.shape[-1] % self.patch:
            raise TeacherError(f"patches of {self.patch} px do not divide images of {image.shape[-1]} px", self.name, f"render at size={self.patch * max(1, round(image.shape[-1] / self.patch))}")
        with torch.inference_mode():
            features = self.forward(image)
        if not (torch.isfinite(features.patches).all() and torch.isfinite(features.summary).all()):
            raise TeacherError("features that are not finite", self.name, "the weights are damaged, or the precision too low for this model: load it again, or with dtype=torch.float32")
        return features

    def forward(self, image: torch.Tensor) -> Features:
        raise NotImplementedError
