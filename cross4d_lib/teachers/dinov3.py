"""DINOv3 (``DINOv3ViTModel``) as a teacher: patches of 16 px, rotary positions that fit any grid, register tokens."""

from __future__ import annotations

import torch
from transformers import DINOv3ViTModel

from .frozen import FrozenTeacher


class Dinov3Teacher(FrozenTeacher):
    """Patch tokens after the final LayerNorm, behind the class token and the registers, and the class token."""

    architecture, label = DINOv3ViTModel, "DINOv3"

    @classmethod
    def settings(cls, config) -> list:
        return [*super().settings(config), config.num_register_tokens, config.rope_theta]

    def _forward_batch(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.model(self.normalised(image)).last_hidden_state.float()  # (b, 1 + registers + h*w, D)
        return self.on_grid(out[:, 1 + self.model.config.num_register_tokens :], image.shape[-1]), out[:, 0]
