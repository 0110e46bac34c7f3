"""How the video teacher learns without labels: predict the features of hidden blocks of a video, as V-JEPA 2 does.

A student encoder sees a part of the video's tokens (a token is a patch over two frames). A small predictor is told
which places are hidden and predicts what the slowly following copy (the EMA) says there, having seen everything: L1
between the prediction and the EMA's layer-normed feature. Nothing is told apart from anything; what keeps the answer
from collapsing to a constant is the EMA and the predictor alone, so the spread of the features is logged.

Ours: hidden blocks lie on the body, and only hidden tokens that show something are predicted. The rest of a render is
empty.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from transformers import VJEPA2Config, VJEPA2Model

from ..teachers.dinov2 import IMAGENET_MEAN, IMAGENET_STD, foreground_share
from .disturb import uniform
from .recipe import VideoRecipe
from .train import spread
from .views import FramePool, random_views


def new_video_model(recipe: VideoRecipe) -> VJEPA2Model:
    """Encoder and predictor before any training, drawn from torch's generator."""
    return VJEPA2Model(
        VJEPA2Config(
            patch_size=recipe.patch,
            crop_size=recipe.image,
            frames_per_clip=recipe.frames,
            tubelet_size=recipe.tubelet,
            hidden_size=recipe.hidden_size,
            num_attention_heads=recipe.heads,
            num_hidden_layers=recipe.layers,
            pred_hidden_size=recipe.predictor_size,
            pred_num_attention_heads=recipe.predictor_heads,
            pred_num_hidden_layers=recipe.predictor_layers,
            pred_num_mask_tokens=1,
            attn_implementation="sdpa",
        )
    )


def hidden_cells(shown: torch.Tensor, recipe: VideoRecipe, generator: torch.Generator) -> torch.Tensor:
    """Which cells of the patch grid are hidden, in all frames: (b, h, w) bool. shown (b, h, w) bool: cells with
    something in any frame.

    A clip has many small or few large blocks, by chance; each lies around a cell that shows something, its aspect from
    3/4 to 3/2.
    """
    count, grid = len(shown), shown.shape[1]
    kind = torch.randint(2, (count,), generator=generator, device=shown.device)
    column, row = (
        torch.arange(grid, device=shown.device).view(1, 1, -1),
        torch.arange(grid, device=shown.device).view(1, -1, 1),
    )
    hidden = torch.zeros_like(shown)
    area = torch.tensor(recipe.areas, device=shown.device)[kind] * grid * grid  # (b,)
    for block in range(max(recipe.blocks)):
        used = block < torch.tensor(recipe.blocks, device=shown.device)[kind]  # (b,)
        middle = (shown.flatten(1) * (1 + uniform((count, grid * grid), 0, 1, generator))).argmax(1)
        aspect = uniform((count,), 0.75, 1.5, generator)
        tall, wide = (area * aspect).sqrt() / 2, (area / aspect).sqrt() / 2
        inside = ((row - (middle // grid).view(-1, 1, 1)).abs() <= tall.view(-1, 1, 1)) & (
            (column - (middle % grid).view(-1, 1, 1)).abs() <= wide.view(-1, 1, 1)
        )
        hidden |= inside & used.view(-1, 1, 1)
    return hidden


def encode_some(model: VJEPA2Model, video: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """The encoder on some tokens of each video. video (b, T, 3, H, W), places (b, k) token numbers -> (b, k, D)."""
    tokens = model.encoder.embeddings(video)  # (b, N, D)
    tokens = tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))
    for layer in model.encoder.layer:
        tokens = layer(tokens, places)[0]
    return model.encoder.layernorm(tokens)


class Prediction:
    """The objective as ``loop.train`` wants it (see ``contrasts.Contrasts``)."""

    def __init__(self, recipe: VideoRecipe, pool: FramePool, device: torch.device):
        self.recipe, self.pool = recipe, pool
        self.trained = new_video_model(recipe).to(device)
        self.followed, self.slow = self.trained.encoder, copy.deepcopy(self.trained.encoder).requires_grad_(False)
        self.mean, self.std = (
            torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD)
        )

    @property
    def model(self) -> VJEPA2Model:
        """What is kept: the EMA's encoder, and the predictor beside it."""
        kept = copy.copy(self.trained)
        kept._modules = {**self.trained._modules, "encoder": self.slow}
        return kept

    def losses(
        self, done: float, generator: torch.Generator, precision
    ) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
        """({"prediction"}, {"renders", "spread", "hidden"}) of one batch. hidden : share of the tokens that show
        something."""
        recipe = self.recipe
        rows = self.pool.draw(recipe.clips, recipe.frames, recipe.one_world, generator, in_order=True)
        image, _, _ = random_views(
            self.pool,
            rows,
            recipe,
            generator,
            views=1,
            together=recipe.frames,
            strength=1 + (recipe.movement.growth - 1) * done,
        )
        video = ((image - self.mean) / self.std).unflatten(0, (-1, recipe.frames))  # (b, T, 3, H, W)
        grid = recipe.image // recipe.patch
        shown = (
            (foreground_share(image, recipe.patch) > 0).unflatten(0, (len(video), -1, recipe.tubelet)).any(2)
        )  # (b, T', h*w)
        hidden = (
            hidden_cells(shown.any(1).unflatten(1, (grid, grid)), recipe, generator)
            .flatten(1)[:, None]
            .expand_as(shown)
            .flatten(1)
        )  # (b, N)
        shown = shown.flatten(1)
        chance = torch.rand(shown.shape, generator=generator, device=shown.device)
        context = (
            torch.where(hidden, -1.0, shown + chance)
            .topk(min(recipe.context, int((~hidden).sum(1).min())), dim=1)
            .indices
        )
        wanted, places = torch.where(hidden & shown, 1 + chance, 0.0).topk(min(recipe.targets, shown.shape[1]), dim=1)
        real = wanted > 0
        with precision:
            with torch.no_grad():
                target = self.slow(pixel_values_videos=video).last_hidden_state  # (b, N, D)
            seen = encode_some(self.trained, video, context)
            whole = seen.new_zeros(*shown.shape, seen.shape[-1]).scatter(
                1, context[..., None].expand_as(seen), seen
            )  # the predictor picks them out again
            predicted = self.trained.predictor(whole, [context], [places]).last_hidden_state
        target = F.layer_norm(target.float(), target.shape[-1:]).gather(
            1, places[..., None].expand(-1, -1, target.shape[-1])
        )[real]
        return {"prediction": F.l1_loss(predicted.float()[real], target)}, {
            "renders": len(image),
            "spread": spread(target),
            "hidden": (hidden & shown).sum().item() / max(1, shown.sum().item()),
        }
