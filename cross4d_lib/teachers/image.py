"""Image teachers: DINOv2 without registers (``Dinov2Model``) and with (``Dinov2WithRegistersModel``), and DINOv3
(``DINOv3ViTModel``: patches of 16 px, rotary positions that fit any grid, registers).

Registers are learned tokens behind the class token in which a model keeps what belongs to no patch. They are skipped,
as many as the configuration says.
"""

from __future__ import annotations

import torch
from transformers import Dinov2Model, Dinov2WithRegistersModel, DINOv3ViTModel

from .frozen import FrozenTeacher


class Dinov2Teacher(FrozenTeacher):
    """Last-layer patch tokens after the final LayerNorm, and the class token. Positions are interpolated to any grid.

    Models whose configuration sets ``foreground_tokens_only`` (ours does) are run on the patches that show something;
    the empty ones are left out of attention, which is how they were trained and four times as fast. Their features are
    returned as 0. Arguments: see FrozenTeacher.
    """

    architecture, label = Dinov2Model, "DINOv2"

    def __init__(self, model, *arguments, **options):
        self.foreground_only = bool(getattr(model.config, "foreground_tokens_only", False))
        super().__init__(model, *arguments, **options)

    @classmethod
    def settings(cls, config) -> list:
        return [
            config.num_attention_heads,
            config.hidden_act,
            config.layer_norm_eps,
            bool(getattr(config, "foreground_tokens_only", False)),
        ]

    def _forward_batch(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = self.model.embeddings(self.normalised(image))  # (b, 1 + h*w, D)
        if self.foreground_only:
            keep = foreground_patches(image, self.patch)  # (b, k), k the largest count in the batch, so that
            shown = foreground_share(image, self.patch).gather(1, keep) > 0  # (b, k) some of the others' are empty
            out = encode(self.model, select_tokens(tokens, keep), shown).float()
            patches = out.new_zeros(len(image), tokens.shape[1] - 1, self.dim)
            patches.scatter_(1, keep[..., None].expand(-1, -1, self.dim), out[:, 1:].masked_fill(~shown[..., None], 0))
        else:
            out = encode(self.model, tokens).float()
            patches = out[:, 1:]
        return self.on_grid(patches, image.shape[-1]), out[:, 0]


class Dinov2RegistersTeacher(FrozenTeacher):
    """DINOv2 with registers: patch tokens after the final LayerNorm, behind the class token and the registers."""

    architecture, label = Dinov2WithRegistersModel, "DINOv2 with registers"

    @classmethod
    def settings(cls, config) -> list:
        return [*super().settings(config), config.num_register_tokens]

    def _forward_batch(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.model(self.normalised(image)).last_hidden_state.float()  # (b, 1 + registers + h*w, D)
        return self.on_grid(out[:, 1 + self.model.config.num_register_tokens :], image.shape[-1]), out[:, 0]


class Dinov3Teacher(Dinov2RegistersTeacher):
    """DINOv3, whose tokens lie in the same order."""

    architecture, label = DINOv3ViTModel, "DINOv3"

    @classmethod
    def settings(cls, config) -> list:
        return [*super().settings(config), config.rope_theta]


def foreground_share(image: torch.Tensor, patch: int) -> torch.Tensor:
    """Share of each patch's pixels that show something. image (b, 3, H, W) with background exactly 0 -> (b, h*w), in
    [0, 1]."""
    return torch.nn.functional.avg_pool2d((image[:, :1] > 0).float(), patch).flatten(1)


def foreground_patches(image: torch.Tensor, patch: int) -> torch.Tensor:
    """Indices of the patches with the most foreground pixels, as many for every image of the batch: (b, k) int64,
    ascending.

    image (b, 3, H, W) with background exactly 0. k is the largest count of non-empty patches in the batch.
    """
    share = foreground_share(image, patch)  # (b, h*w)
    k = max(1, int((share > 0).sum(1).max()))
    return share.sort(dim=1, descending=True, stable=True).indices[:, :k].sort(dim=1).values


def select_tokens(tokens: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """The class token and the kept patch tokens. tokens (b, 1 + P, D), keep (b, k) -> (b, 1 + k, D)."""
    chosen = torch.gather(tokens[:, 1:], 1, keep[..., None].expand(-1, -1, tokens.shape[-1]))
    return torch.cat([tokens[:, :1], chosen], 1)


def encode(model: Dinov2Model, tokens: torch.Tensor, shown: torch.Tensor | None = None) -> torch.Tensor:
    """Blocks and final LayerNorm over embedded tokens (b, 1 + k, D) -> (b, 1 + k, D).

    shown (b, k) bool : the patch tokens that the others may attend to; None is all of them.
    """
    mask = None
    if shown is not None and not shown.all():
        mask = tokens.new_zeros(len(tokens), 1, 1, tokens.shape[1])
        # added to the scores; the class token is never hidden
        mask[..., 1:].masked_fill_(~shown[:, None, None], -torch.inf)
    return model.layernorm(model.encoder(tokens, attention_mask=mask).last_hidden_state)
