"""How the video teacher learns without labels: predict the features of hidden blocks of a video, as V-JEPA 2 does.

A student encoder takes a part of the video's tokens (a token is a patch over two frames). A small predictor is given
the hidden places and predicts the features that the slowly following copy (the EMA), which takes everything, has there:
L1 between the prediction and the EMA's layer-normed feature. There are no negatives; what keeps the features from
collapsing to a constant is the EMA and the predictor alone, so their spread is logged.

Ours: hidden blocks lie on the body, and only hidden tokens that show something are predicted. The rest of a render is
empty.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn
from transformers import VJEPA2Config, VJEPA2Model

from ..precision import autocast
from ..teachers.frozen import IMAGENET_MEAN, IMAGENET_STD
from ..teachers.image import foreground_share
from .contrasts import spread
from .disturb import uniform
from .recipe import VideoRecipe
from .views import FramePool, random_views


def build_video_model(recipe: VideoRecipe) -> VJEPA2Model:
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


def encode_places(model: VJEPA2Model, video: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """The encoder on some tokens of each video. video (b, T, 3, H, W), places (b, k) token numbers -> (b, k, D)."""
    tokens = model.encoder.embeddings(video)  # (b, N, D)
    tokens = tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))
    for layer in model.encoder.layer:
        tokens = layer(tokens, places)[0]
    return model.encoder.layernorm(tokens)


def draw_video(
    pool: FramePool, recipe: VideoRecipe, done: float, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """A batch of b clips of N tokens: video (b, T, 3, H, W); context (b, k), the tokens the student takes; places (b,
    m), hidden tokens that may be predicted, and real (b, m), which of them show something; hidden : the share of the
    tokens with something that is hidden, a scalar."""
    rows = pool.draw_rows(recipe.clips, recipe.frames, recipe.one_world, generator, in_order=True)
    strength = 1 + (recipe.movement.growth - 1) * done
    image, _, _ = random_views(pool, rows, recipe, generator, views=1, together=recipe.frames, strength=strength)
    video, grid = image.unflatten(0, (-1, recipe.frames)), recipe.image // recipe.patch  # (b, T, 3, H, W)
    shown = foreground_share(image, recipe.patch) > 0  # (b * T, h*w)
    shown = shown.unflatten(0, (len(video), -1, recipe.tubelet)).any(2)  # (b, T/tubelet, h*w)
    hidden = hidden_cells(shown.any(1).unflatten(1, (grid, grid)), recipe, generator)  # (b, h, w)
    hidden, shown = hidden.flatten(1)[:, None].expand_as(shown).flatten(1), shown.flatten(1)  # (b, N)
    chance = torch.rand(shown.shape, generator=generator, device=shown.device)
    count = min(recipe.context, int((~hidden).sum(1).min()))
    context = torch.where(hidden, -1.0, shown + chance).topk(count, dim=1).indices
    wanted, places = torch.where(hidden & shown, 1 + chance, 0.0).topk(min(recipe.targets, shown.shape[1]), dim=1)
    share = (hidden & shown).sum() / shown.sum().clamp_min(1)
    return {"video": video, "context": context, "places": places, "real": wanted > 0, "hidden": share}


class Prediction(nn.Module):
    """Student encoder with its predictor, and the EMA of the encoder whose features are predicted."""

    def __init__(self, recipe: VideoRecipe):
        super().__init__()
        self.student = build_video_model(recipe)
        self.slow = copy.deepcopy(self.student.encoder).requires_grad_(False)
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    @property
    def followed(self) -> nn.Module:
        """What the EMA follows."""
        return self.student.encoder

    @property
    def result(self) -> VJEPA2Model:
        """What is saved: the EMA's encoder, and the predictor beside it."""
        saved = copy.copy(self.student)
        saved._modules = {**self.student._modules, "encoder": self.slow}
        return saved

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """A batch of ``draw_video`` -> {"loss", "spread", "hidden", "renders"}."""
        video, context, places, real = batch["video"], batch["context"], batch["places"], batch["real"]
        pixels = (video - self.mean) / self.std
        with torch.no_grad():
            target = self.slow(pixel_values_videos=pixels).last_hidden_state  # (b, N, D)
        seen = encode_places(self.student, pixels, context)  # (b, k, D)
        whole = seen.new_zeros(target.shape[:2] + seen.shape[-1:])
        whole = whole.scatter(1, context[..., None].expand_as(seen), seen)  # the predictor picks them out again
        predicted = self.student.predictor(whole, [context], [places]).last_hidden_state
        with autocast(video.device, "float32"):
            target = F.layer_norm(target.float(), target.shape[-1:])
            target = target.gather(1, places[..., None].expand(-1, -1, target.shape[-1]))[real]
            loss = F.l1_loss(predicted.float()[real], target)
        renders = loss.new_tensor(float(video.shape[0] * video.shape[1]))
        return {"loss": loss, "spread": spread(target), "hidden": batch["hidden"], "renders": renders}
