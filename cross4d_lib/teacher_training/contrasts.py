"""How an image teacher learns without labels: three contrasts between two views of the same frames.

A student and its slowly following copy (the EMA) take the same frame from two slightly different cameras. The three
contrasts are in the EMA's feature space, inside the batch:

- class: the student's class token in view A picks out the EMA's class token of view B among all frames of the batch;
  several frames of one clip are in it, so the pose has to be recognised, not the person;
- mean: the same for the mean of the foreground patch tokens;
- patch: a 3D point seen in both views names a patch in A and a patch in B. The student's patch feature in A, half of
  its patches masked, picks out the EMA's patch feature in B among all others of the batch.

The third is the method's own correspondence (Eq. 3) used to train its teacher. The movement grows beyond a patch, so
that a patch cannot be named by its place in the image for long.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn
from transformers import Dinov2Config, Dinov2Model

from ..precision import autocast
from ..teachers.frozen import IMAGENET_MEAN, IMAGENET_STD
from ..teachers.image import encode, foreground_share, select_tokens
from .recipe import TeacherRecipe
from .views import FramePool, random_views


class Heads(nn.Module):
    """A projection head for each contrast (class, mean, patch), batch-normalised: D -> 512 -> 128, unit length."""

    def __init__(self, dim: int):
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Linear(dim, 512),
                nn.BatchNorm1d(512),
                nn.GELU(),
                nn.Linear(512, 128),
                nn.BatchNorm1d(128, affine=False),
            )
            for _ in range(3)
        )

    def forward(self, which: int, features: torch.Tensor) -> torch.Tensor:
        return F.normalize(self.heads[which](features), dim=-1)


def contrast(
    student: torch.Tensor, target: torch.Tensor, temperature: float, same: torch.Tensor | None = None
) -> torch.Tensor:
    """InfoNCE: row i of ``student`` (n, d) must pick row i of ``target`` (n, d). same (n, n) bool marks rows that are
    no fair wrong answers because they show the same thing; row i itself always stays."""
    logits = student @ target.T / temperature
    own = torch.arange(len(logits), device=logits.device)
    if same is not None:
        same = same.clone()
        same[own, own] = False
        logits = logits.masked_fill(same, -torch.inf)
    return F.cross_entropy(logits, own)


def draw_foreground(
    image: torch.Tensor, patch: int, limit: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Up to ``limit`` non-empty patches of each image, by chance: indices (b, k) ascending, and which of them show
    something (b, k)."""
    share = foreground_share(image, patch)  # (b, h*w)
    order = (share > 0) * (1 + torch.rand(share.shape, generator=generator, device=share.device))
    keep = order.topk(min(limit, share.shape[1]), dim=1).indices.sort(1).values
    return keep, share.gather(1, keep) > 0


def place_in(keep: torch.Tensor, patch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where in keep (B, k), ascending, the patches (B, n) stand, (B, n), and whether they do, (B, n) bool."""
    place = torch.searchsorted(keep, patch).clamp_max(keep.shape[1] - 1)
    return place, keep.gather(1, place) == patch


def draw_pairs(patch_a, patch_b, seen, keep_a, keep_b, pairs: int, generator: torch.Generator):
    """Points seen in both views whose patches are kept in both. patch_*, seen (B, n); keep_* (B, k) ascending.

    Returns (B, pairs) positions in keep_a, in keep_b, and a (B, pairs) mask of those that are real.
    """
    (place_a, there_a), (place_b, there_b) = place_in(keep_a, patch_a), place_in(keep_b, patch_b)
    usable = seen & there_a & there_b
    order = (torch.rand(usable.shape, generator=generator, device=usable.device) + usable).argsort(
        dim=1, descending=True
    )[:, :pairs]
    return place_a.gather(1, order), place_b.gather(1, order), usable.gather(1, order)


def build_image_model(recipe: TeacherRecipe, attention: str = "eager") -> Dinov2Model:
    """The student before any training, drawn from torch's generator. attention : transformers' implementation."""
    model = Dinov2Model(
        Dinov2Config(
            hidden_size=recipe.hidden_size,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            image_size=recipe.image,
            patch_size=recipe.patch,
            layerscale_value=1.0,
            use_mask_token=True,
            foreground_tokens_only=True,
            attn_implementation=attention,
        )
    )
    nn.init.trunc_normal_(model.embeddings.position_embeddings, std=0.02)
    nn.init.trunc_normal_(model.embeddings.mask_token, std=0.02)
    return model


def other(values: torch.Tensor) -> torch.Tensor:
    """(2B, ...), view after view: the same frames in the other view."""
    return values.roll(len(values) // 2, 0)


def draw_views(
    pool: FramePool, recipe: TeacherRecipe, done: float, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """A batch of two views of B frames: image (2B, 3, H, W), view after view; keep (2B, k), the patches that enter the
    model, and shown (2B, k), which of them show something; masked (2B, h*w); place, place_other and real (2B, pairs):
    where the patches of the same points stand in keep and in the other view's keep, and which of them exist."""
    rows = pool.draw_rows(recipe.clips, recipe.frames, recipe.one_world, generator)
    strength = 1 + (recipe.movement.growth - 1) * done
    image, pixels, visible = random_views(pool, rows, recipe, generator, strength=strength)
    grid = recipe.image // recipe.patch
    keep, shown = draw_foreground(image, recipe.patch, recipe.tokens, generator)
    half = torch.rand(keep.shape, generator=generator, device=image.device) < recipe.mask
    half[1::2] = False
    masked = torch.zeros(len(image), grid * grid, dtype=torch.bool, device=image.device).scatter_(1, keep, half)
    patch = pixels[..., 1] // recipe.patch * grid + pixels[..., 0] // recipe.patch  # (2B, n)
    seen = visible & other(visible)
    place, place_other, real = draw_pairs(patch, other(patch), seen, keep, other(keep), recipe.pairs, generator)
    return {
        "image": image,
        "keep": keep,
        "shown": shown,
        "masked": masked,
        "place": place,
        "place_other": place_other,
        "real": real,
    }


class Contrasts(nn.Module):
    """Student, EMA and the three contrasts between them."""

    def __init__(self, recipe: TeacherRecipe, attention: str = "eager"):
        super().__init__()
        self.recipe = recipe
        self.student = nn.ModuleDict(
            {"model": build_image_model(recipe, attention), "heads": Heads(recipe.hidden_size)}
        )
        self.slow = copy.deepcopy(self.student).requires_grad_(False)
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    @property
    def followed(self) -> nn.Module:
        """What the EMA follows."""
        return self.student

    @property
    def result(self) -> Dinov2Model:
        """What is saved: the EMA."""
        return self.slow["model"]

    def start_from(self, weights: dict[str, torch.Tensor]) -> None:
        """The first weights of student and EMA."""
        for part in (self.student, self.slow):
            part["model"].load_state_dict(weights)

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """A batch of ``draw_views`` -> {"loss", "class", "mean", "patch", "spread", "renders"}. spread : the deviation
        of the EMA's class token over the batch, 0 when it has collapsed to a constant and near 1 when it has not.
        renders : images of the batch."""
        image, keep, shown, real = batch["image"], batch["keep"], batch["shown"], batch["real"]
        student, slow, pixels = self.student, self.slow, (image - self.mean) / self.std
        with torch.no_grad():
            tokens = select_tokens(slow["model"].embeddings(pixels), keep)
            target = encode(slow["model"], tokens, shown).float()  # (2B, 1 + k, D)
        tokens = select_tokens(student["model"].embeddings(pixels, bool_masked_pos=batch["masked"]), keep)
        out = encode(student["model"], tokens, shown).float()

        with autocast(image.device, "float32"):
            average = lambda t: (t[:, 1:] * shown[..., None]).sum(1) / shown.sum(1, keepdim=True).clamp_min(1)
            at = lambda t, place: t[:, 1:].gather(1, place[..., None].expand(-1, -1, t.shape[-1]))[real]
            pairs = (
                (out[:, 0], other(target[:, 0])),
                (average(out), other(average(target))),
                (at(out, batch["place"]), at(other(target), batch["place_other"])),
            )
            own_image, own_patch = self.not_wrong(batch)
            names, not_wrong = ("class", "mean", "patch"), (own_image, own_image, own_patch)
            losses = {
                name: contrast(student["heads"](k, a), slow["heads"](k, b), self.recipe.temperature, not_wrong[k])
                for k, (name, (a, b)) in enumerate(zip(names, pairs))
            }
        renders = losses["class"].new_tensor(float(len(image)))
        return {"loss": sum(losses.values()), **losses, "spread": spread(target[:, 0]), "renders": renders}

    def not_wrong(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Which candidates are no wrong answers: of images (2B, 2B), an image's own EMA feature; of patches (n, n), the
        patch itself and the patch looked for, which several points may name."""
        real, patches = batch["real"], batch["masked"].shape[1]
        first = torch.arange(len(real), device=real.device)
        number = lambda images, keep, place: (images[:, None] * patches + keep).gather(1, place)[
            real
        ]  # image and patch
        asked = number(first, batch["keep"], batch["place"])
        wanted = number(other(first), other(batch["keep"]), batch["place_other"])
        return other(first)[None] == first[:, None], (wanted[:, None] == wanted) | (asked[:, None] == wanted)


def spread(features: torch.Tensor) -> torch.Tensor:
    """Deviation over rows of layer-normed features (n, D), averaged over dimensions: 0 where all rows are one
    (collapse), at most 1."""
    return F.layer_norm(features.float(), features.shape[-1:]).std(0).mean()
