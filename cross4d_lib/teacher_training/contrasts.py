"""How an image teacher learns without labels: three contrasts between two views of the same frames.

A student and its slowly following copy (the EMA) look at the same frame from two slightly different cameras. Three
contrasts, and a fourth where the recipe asks for it, all in the EMA's feature space, all inside the batch:

- class: the student's class token in view A picks out the EMA's class token of view B among all frames of the batch;
  several frames of one clip are in it, so the pose has to be told apart, not the person;
- mean: the same for the mean of the foreground patch tokens;
- patch: a 3D point seen in both views names a patch in A and a patch in B. The student's patch feature in A, half of
its
  patches masked, picks out the EMA's patch feature in B among all others of the batch;
- track: a place of the body seen in view A of one moment and in view B of another. The student's patch feature picks
out the EMA's
  at the other moment among patches of the same clip that show other places. A raised hand and a lowered one must be
  told to be one thing, which no place in the image tells. (Bodies whose points have homes; see ``homes.py``.)

The third is the method's own correspondence (Eq. 3) used to train its teacher. The movement grows beyond a patch, so
that a patch cannot be named by its place in the image for long. What failed before this worked is told in notebook 03.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn
from transformers import Dinov2Config, Dinov2Model

from ..teachers.dinov2 import IMAGENET_MEAN, IMAGENET_STD, encode, foreground_share, select_tokens
from .recipe import TeacherRecipe
from .train import spread
from .views import FramePool, random_views, thinned


class Heads(nn.Module):
    """A projection head for each contrast (class, mean, patch, track), batch-normalised: D -> 512 -> 128, unit
    length."""

    def __init__(self, dim: int, count: int):
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Linear(dim, 512),
                nn.BatchNorm1d(512),
                nn.GELU(),
                nn.Linear(512, 128),
                nn.BatchNorm1d(128, affine=False),
            )
            for _ in range(count)
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


def some_foreground(
    image: torch.Tensor, patch: int, most: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Up to ``most`` non-empty patches of each image, by chance: indices (b, k) ascending, and which of them show
    something (b, k)."""
    share = foreground_share(image, patch)  # (b, h*w)
    order = (share > 0) * (1 + torch.rand(share.shape, generator=generator, device=share.device))
    keep = order.topk(min(most, share.shape[1]), dim=1).indices.sort(1).values
    return keep, share.gather(1, keep) > 0


def place_in(keep: torch.Tensor, patch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where in keep (B, k), ascending, the patches (B, n) stand, (B, n), and whether they do, (B, n) bool."""
    place = torch.searchsorted(keep, patch).clamp_max(keep.shape[1] - 1)
    return place, keep.gather(1, place) == patch


def track_pairs(
    home: torch.Tensor,
    usable: torch.Tensor,
    partner: torch.Tensor,
    count: int,
    same_place: float,
    generator: torch.Generator,
):
    """Points of each view that are also seen in its partner, another moment of the clip. home (B, n, 3), usable (B, n)
    bool, partner (B,).

    Returns (B, count) point numbers in the view, in the partner (the one whose home is nearest), and a (B, count) mask
    of those whose homes lie within ``same_place``.
    """
    asked = (torch.rand(usable.shape, generator=generator, device=usable.device) + usable).argsort(
        dim=1, descending=True
    )[:, :count]
    mine = home.gather(1, asked[..., None].expand(-1, -1, 3))
    apart = torch.cdist(mine, home[partner]).masked_fill(~usable[partner][:, None], torch.inf)  # (B, count, n)
    nearest = apart.min(2)
    return asked, nearest.indices, usable.gather(1, asked) & (nearest.values <= same_place)


def pick_pairs(patch_a, patch_b, seen, keep_a, keep_b, pairs: int, generator: torch.Generator):
    """Points seen in both views whose patches are kept in both. patch_*, seen (B, n); keep_* (B, k) ascending.

    Returns (B, pairs) positions in keep_a, in keep_b, and a (B, pairs) mask of those that are real.
    """
    (place_a, there_a), (place_b, there_b) = place_in(keep_a, patch_a), place_in(keep_b, patch_b)
    usable = seen & there_a & there_b
    order = (torch.rand(usable.shape, generator=generator, device=usable.device) + usable).argsort(
        dim=1, descending=True
    )[:, :pairs]
    return place_a.gather(1, order), place_b.gather(1, order), usable.gather(1, order)


def new_model(recipe: TeacherRecipe, attention: str = "eager") -> Dinov2Model:
    """The student before any training, drawn from torch's generator."""
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


class Contrasts:
    """The objective as ``loop.train`` wants it: trained modules, the part of them that the EMA follows, and the losses
    of a batch."""

    def __init__(self, recipe: TeacherRecipe, pool: FramePool, device: torch.device):
        self.recipe, self.pool = recipe, pool
        self.tracked = recipe.track > 0 and pool.home.shape[1] > 0
        attention = (
            "sdpa" if device.type == "cuda" else "eager"
        )  # on CPUs the backward pass of SDPA in bfloat16 is 1.7 times slower
        self.followed = self.trained = nn.ModuleDict(
            {"model": new_model(recipe, attention), "heads": Heads(recipe.hidden_size, 3 + self.tracked)}
        ).to(device)
        self.slow = copy.deepcopy(self.followed).requires_grad_(False)
        self.mean, self.std = (
            torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD)
        )

    @property
    def model(self) -> Dinov2Model:
        """What is kept: the EMA."""
        return self.slow["model"]

    def losses(
        self, done: float, generator: torch.Generator, precision
    ) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
        """({"class", "mean", "patch", and "track" where points have homes}, {"renders", "spread"}) of one batch;
        spread: the deviation of the EMA's class token over the batch, 0 when it has collapsed to a constant and near 1
        when it has not."""
        recipe, other = self.recipe, lambda t: t.roll(len(t) // 2, 0)  # the same frame in the other view
        rows = self.pool.draw(recipe.clips, recipe.frames, recipe.one_world, generator)
        kept = thinned(self.pool, recipe, generator)
        image, pixels, visible = random_views(
            self.pool, rows, recipe, generator, strength=1 + (recipe.movement.growth - 1) * done, kept=kept
        )
        grid, count = recipe.image // recipe.patch, len(image)
        keep, shown = some_foreground(image, recipe.patch, recipe.tokens, generator)  # (2B, k)
        masked = torch.zeros(count, grid * grid, dtype=torch.bool, device=image.device)
        half = torch.rand(keep.shape, generator=generator, device=image.device) < recipe.mask
        half[1::2] = False
        masked.scatter_(1, keep, half)
        patch = (pixels // recipe.patch)[..., 1] * grid + (pixels // recipe.patch)[..., 0]  # (2B, n)
        place, place_other, real = pick_pairs(
            patch, other(patch), visible & other(visible), keep, other(keep), recipe.pairs, generator
        )

        student, slow, pixel_values = self.followed, self.slow, (image - self.mean) / self.std
        with precision:
            with torch.no_grad():
                target = encode(
                    slow["model"], select_tokens(slow["model"].embeddings(pixel_values), keep), shown
                ).float()
            out = encode(
                student["model"],
                select_tokens(student["model"].embeddings(pixel_values, bool_masked_pos=masked), keep),
                shown,
            ).float()
        first = torch.arange(count, device=image.device)
        named = lambda images, kept, places: (images[:, None] * grid * grid + kept).gather(1, places)[
            real
        ]  # image and patch in one number
        asked, right = named(first, keep, place), named(other(first), other(keep), place_other)
        own_image, unfair = other(first)[None] == first[:, None], right[:, None] == right[None]
        if recipe.own_view:
            own_image = None
        else:
            unfair |= asked[:, None] == right[None]
        gather = lambda tokens, places: tokens[:, 1:].gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))[
            real
        ]
        average = lambda tokens: (tokens[:, 1:] * shown[..., None]).sum(1) / shown.sum(1, keepdim=True).clamp_min(1)
        losses = {
            "class": contrast(
                student["heads"](0, out[:, 0]), other(slow["heads"](0, target[:, 0])), recipe.temperature, own_image
            ),
            "mean": contrast(
                student["heads"](1, average(out)),
                other(slow["heads"](1, average(target))),
                recipe.temperature,
                own_image,
            ),
            "patch": contrast(
                student["heads"](2, gather(out, place)),
                slow["heads"](2, gather(other(target), place_other)),
                recipe.temperature,
                unfair,
            ),
        }
        if self.tracked:
            losses["track"] = self.track_loss(rows, kept, patch, visible, keep, out, target, generator)
        return losses, {"renders": count, "spread": spread(target[:, 0])}

    def track_loss(self, rows, kept, patch, visible, keep, out, target, generator: torch.Generator) -> torch.Tensor:
        """The contrast across moments. rows (B,) and kept (n,) of the pool; patch, visible (2B, n); keep (2B, k); out,
        target (2B, 1 + k, D).

        A view's partner is the other view of its clip's next frame in the batch; patches of other clips are no
        candidates.
        """
        recipe, first = self.recipe, torch.arange(len(keep), device=keep.device)
        across = first.roll(len(keep) // 2)
        partner = across - across % recipe.frames + (across + 1) % recipe.frames
        home = self.pool.home[rows[:, None], kept].float().repeat(2, 1, 1)  # (2B, n, 3)
        clip = self.pool.clip[rows].repeat(2)[:, None].expand(-1, recipe.track)
        place, there = place_in(keep, patch)
        asked, found, real = track_pairs(home, visible & there, partner, recipe.track, recipe.same_place, generator)
        if real.sum() < 2:
            return out.sum() * 0.0  # nothing to tell apart
        clip, mine = clip[real], home.gather(1, asked[..., None].expand(-1, -1, 3))[real]
        unfair = (clip[:, None] != clip[None]) | (
            torch.cdist(mine, mine) < recipe.other_place
        )  # found lies where asked does
        gather = lambda tokens, places: tokens[:, 1:].gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))[
            real
        ]
        student = self.followed["heads"](3, gather(out, place.gather(1, asked)))
        slow = self.slow["heads"](3, gather(target[partner], place[partner].gather(1, found)))
        return contrast(student, slow, recipe.temperature, unfair)
