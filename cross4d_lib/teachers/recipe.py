"""How ``cross4d-tiny`` is trained: label-free, on renders of moving point clouds, with the architecture of DINOv2.

A student and its slowly following copy (the EMA) look at the same frame from two slightly different cameras. Three
contrasts, all in the EMA's feature space, all inside the batch:

- class: the student's class token in view A picks out the EMA's class token of view B among all frames of the batch;
  several frames of one clip are in it, so the pose has to be told apart, not the person;
- mean: the same for the mean of the foreground patch tokens;
- patch: a 3D point seen in both views names a patch in A and a patch in B. The student's patch feature in A, half of its
  patches masked, picks out the EMA's patch feature in B among all others of the batch.

The third is the method's own correspondence (Eq. 3) used to train its teacher: views move, so a patch cannot be named by
its place in the image alone. What failed before this worked is told in notebook 03.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm
from transformers import Dinov2Config, Dinov2Model

from ..render import depth_range, fit_camera, owners, shade, splat_radius, z_buffer
from .dinov2 import IMAGENET_MEAN, IMAGENET_STD, encode, fast_dtype, foreground_patches, select_tokens


@dataclass(frozen=True)
class TeacherRecipe:
    """Everything that decides a trained teacher, written beside its weights."""

    hidden_size: int = 192
    layers: int = 6
    heads: int = 3
    image: int = 126  # pixels
    patch: int = 7  # pixels: 18 x 18 patches; at 14 a forearm would be one patch
    tokens: int = 72  # foreground patches kept a view
    clips: int = 16  # a batch
    frames: int = 4  # of each clip in a batch
    pairs: int = 12  # points a frame in the patch contrast
    steps: int = 3000
    rate: float = 1e-3  # AdamW, peak
    weight_decay: float = 0.05
    warmup: int = 150  # steps
    momentum: float = 0.996  # of the EMA, rising to 1 by a cosine
    temperature: float = 0.1
    mask: float = 0.5  # share of the student's patches that are masked, in every second image
    yaw: float = 11.0  # degrees; 26 failed
    scale: tuple[float, float] = (0.85, 1.05)
    shift: float = 0.08  # of the half image
    seed: int = 0


class Heads(nn.Module):
    """Three projection heads (class, mean, patch), batch-normalised: D -> 512 -> 128, unit length."""

    def __init__(self, dim: int):
        super().__init__()
        self.heads = nn.ModuleList(nn.Sequential(nn.Linear(dim, 512), nn.BatchNorm1d(512), nn.GELU(), nn.Linear(512, 128), nn.BatchNorm1d(128, affine=False)) for _ in range(3))

    def forward(self, which: int, features: torch.Tensor) -> torch.Tensor:
        return F.normalize(self.heads[which](features), dim=-1)


@dataclass
class FramePool:
    """Frames of many clips, ready to be seen from anywhere.

    points : (F, n, 3) float32 in units of their clip's camera distance, centroid at 0. clip : (F,) which clip a frame is of.
    near, far : (F,) ends of the clip's grey scale, relative to the centroid, same unit.
    """

    points: torch.Tensor
    clip: torch.Tensor
    near: torch.Tensor
    far: torch.Tensor

    @staticmethod
    def from_clips(clips) -> FramePool:
        """clips : (T, N, 3) arrays in any unit; T and N the same for all."""
        points, clip, near, far = [], [], [], []
        for c, cloud in enumerate(clips):
            cloud = torch.as_tensor(cloud)
            camera = fit_camera(cloud, 1)
            centroid = cloud.reshape(-1, 3).mean(0)
            distance = (centroid - camera.position)[2]
            local = (cloud - centroid) / distance
            low, high = depth_range(local[..., 2] + 1)
            points.append(local.half())
            clip += [c] * len(local)
            near += [low - 1] * len(local)
            far += [high - 1] * len(local)
        return FramePool(torch.cat(points), torch.tensor(clip), torch.tensor(near), torch.tensor(far))


def random_views(points: torch.Tensor, near: torch.Tensor, far: torch.Tensor, recipe: TeacherRecipe, generator: torch.Generator):
    """Render each frame from a slightly moved camera. points (B, n, 3) in camera distances.

    Returns images (B, 3, H, W), pixels (B, n, 2) and visible (B, n). The movement is given to the points instead of the
    camera, so that one camera and one call draw the whole batch.
    """
    batch = len(points)
    uniform = lambda low, high: torch.rand(batch, 1, generator=generator) * (high - low) + low
    angle = uniform(-recipe.yaw, recipe.yaw) * math.pi / 180
    size = uniform(*recipe.scale)
    cos, sin = angle.cos(), angle.sin()
    x, y, z = points.unbind(-1)
    camera = fit_camera(torch.zeros(1, 1, 3), recipe.image)  # at distance 1 from the origin
    tangent = recipe.image / 2 / camera.focal
    moved = torch.stack([cos * x - sin * z + uniform(-1, 1) * recipe.shift * tangent, y + uniform(-1, 1) * recipe.shift * tangent, sin * x + cos * z], -1) * size[..., None]
    pixels, depth = camera.project(moved)
    pixels = pixels.floor().long()
    radius = splat_radius(recipe.image, points.shape[1]) * (0.9 + 0.3 * torch.rand(1, generator=generator).item())
    index = z_buffer(pixels, depth, recipe.image, radius)
    jitter = uniform(0.9, 1.1)
    image = shade(index, depth, 1 + near[:, None] * size * jitter, 1 + far[:, None] * size * jitter)
    inside = ((pixels >= 0) & (pixels < recipe.image)).all(-1)
    return image, pixels.clamp(0, recipe.image - 1), owners(index, points.shape[1]) & inside


def contrast(student: torch.Tensor, target: torch.Tensor, temperature: float, same: torch.Tensor | None = None) -> torch.Tensor:
    """InfoNCE: row i of ``student`` (n, d) must pick row i of ``target`` (n, d). same (n, n) bool marks rows that are no
    fair negatives because they are the same patch."""
    logits = student @ target.T / temperature
    if same is not None:
        logits = logits.masked_fill(same & ~torch.eye(len(logits), dtype=torch.bool), -torch.inf)
    return F.cross_entropy(logits, torch.arange(len(logits)))


def pick_pairs(patch_a, patch_b, seen, keep_a, keep_b, pairs: int, generator: torch.Generator):
    """Points seen in both views whose patches are kept in both. patch_*, seen (B, n); keep_* (B, k) ascending.

    Returns (B, pairs) positions in keep_a, in keep_b, and a (B, pairs) mask of those that are real.
    """
    place_a, place_b = torch.searchsorted(keep_a, patch_a), torch.searchsorted(keep_b, patch_b)
    place_a, place_b = place_a.clamp_max(keep_a.shape[1] - 1), place_b.clamp_max(keep_b.shape[1] - 1)
    usable = seen & (keep_a.gather(1, place_a) == patch_a) & (keep_b.gather(1, place_b) == patch_b)
    order = (torch.rand(usable.shape, generator=generator) + usable).argsort(dim=1, descending=True)[:, :pairs]
    return place_a.gather(1, order), place_b.gather(1, order), usable.gather(1, order)


def train_teacher(pool: FramePool, recipe: TeacherRecipe = TeacherRecipe(), probe: Callable[[Dinov2Model], dict] | None = None, probe_every: int = 400, minutes: float | None = None, checkpoint: Path | None = None) -> tuple[Dinov2Model, list[dict]]:
    """Train a DINOv2-architecture teacher on a pool of frames. Returns the EMA model and the log (one dict every 50 steps).

    probe : called with the EMA model every ``probe_every`` steps, its dict joins the log. minutes : stop early (the schedule
    then follows the clock instead of the steps). checkpoint : where the EMA is saved at every probe, so that an interrupted
    training leaves a usable model.
    """
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    config = Dinov2Config(
        hidden_size=recipe.hidden_size, num_hidden_layers=recipe.layers, num_attention_heads=recipe.heads, image_size=recipe.image,
        patch_size=recipe.patch, layerscale_value=1.0, use_mask_token=True, foreground_tokens_only=True, attn_implementation="eager",
    )  # fmt: skip
    student, heads = Dinov2Model(config), Heads(recipe.hidden_size)
    nn.init.trunc_normal_(student.embeddings.position_embeddings, std=0.02)
    nn.init.trunc_normal_(student.embeddings.mask_token, std=0.02)
    ema, ema_heads = copy.deepcopy(student).requires_grad_(False), copy.deepcopy(heads).requires_grad_(False)
    parameters = [*student.parameters(), *heads.parameters()]
    decayed = [p for p in parameters if p.ndim > 1]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}], lr=recipe.rate)
    frames_of = frames_by_clip(pool.clip)
    mean, std = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
    precision = torch.autocast("cpu", fast_dtype(torch.device("cpu")), enabled=fast_dtype(torch.device("cpu")) != torch.float32)
    batch, grid = recipe.clips * recipe.frames, recipe.image // recipe.patch
    log, started = [], time.time()

    progress = tqdm(range(recipe.steps), desc="teacher", mininterval=10)
    for step in progress:
        done = step / recipe.steps if minutes is None else max(step / recipe.steps, (time.time() - started) / 60 / minutes)
        if done >= 1:
            break
        warm = min(1.0, (step + 1) / recipe.warmup)
        rate = recipe.rate * warm * (0.5 + 0.5 * math.cos(math.pi * done))
        for group in optimiser.param_groups:
            group["lr"] = rate

        clips = torch.randperm(len(frames_of), generator=generator)[: recipe.clips]
        rows = torch.cat([frames_of[c][torch.randperm(len(frames_of[c]), generator=generator)[: recipe.frames]] for c in clips.tolist()])
        count = int(torch.randint(pool.points.shape[1] // 2, pool.points.shape[1] + 1, (1,), generator=generator))
        subset = torch.randperm(pool.points.shape[1], generator=generator)[:count]
        points = pool.points[rows][:, subset].float()
        doubled = [t.repeat(2, *[1] * (t.ndim - 1)) for t in (points, pool.near[rows], pool.far[rows])]
        image, pixels, visible = random_views(*doubled, recipe, generator)
        keep = foreground_patches(image, recipe.patch, recipe.tokens)  # (2B, k)
        pixel_values = (image - mean) / std
        masked = torch.zeros(2 * batch, grid * grid, dtype=torch.bool)
        half = torch.rand(2 * batch, recipe.tokens, generator=generator) < recipe.mask
        half &= (torch.arange(2 * batch) % 2 == 0)[:, None]
        masked.scatter_(1, keep, half)
        patch = (pixels // recipe.patch)[..., 1] * grid + (pixels // recipe.patch)[..., 0]  # (2B, n)
        seen = (visible[:batch] & visible[batch:]).repeat(2, 1)
        other = torch.arange(2 * batch).roll(batch)  # the same frame in the other view
        place, place_other, real = pick_pairs(patch, patch[other], seen, keep, keep[other], recipe.pairs, generator)

        with precision:
            with torch.no_grad():
                target = encode(ema, select_tokens(ema.embeddings(pixel_values), keep)).float()
            out = encode(student, select_tokens(student.embeddings(pixel_values, bool_masked_pos=masked), keep)).float()
        gather = lambda tokens, places: tokens[:, 1:].gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))[real]
        name = (torch.arange(2 * batch)[:, None] * grid * grid + keep)[other].gather(1, place_other)[real]  # of each target patch
        losses = {
            "class": contrast(heads(0, out[:, 0]), ema_heads(0, target[:, 0])[other], recipe.temperature),
            "mean": contrast(heads(1, out[:, 1:].mean(1)), ema_heads(1, target[:, 1:].mean(1))[other], recipe.temperature),
            "patch": contrast(heads(2, gather(out, place)), ema_heads(2, gather(target[other], place_other)), recipe.temperature, name[:, None] == name[None]),
        }
        loss = sum(losses.values())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        momentum = 1 - (1 - recipe.momentum) * (0.5 + 0.5 * math.cos(math.pi * done))
        with torch.no_grad():
            for slow, fast in zip([*ema.parameters(), *ema_heads.parameters()], parameters):
                slow.lerp_(fast, 1 - momentum)
        if step % 50 == 0:
            row = {"step": step, "minutes": (time.time() - started) / 60, "renders": (step + 1) * 2 * batch, **{k: v.item() for k, v in losses.items()}}
            log.append(row)
            progress.set_postfix({k: f"{v.item():.2f}" for k, v in losses.items()})
        if probe and step % probe_every == 0:
            log[-1] |= probe(ema.eval())
            ema.train()
            if checkpoint:
                save_teacher(ema, checkpoint, recipe, log)
    if probe and log:
        log.append(log[-1] | {"step": step, "minutes": (time.time() - started) / 60} | probe(ema.eval()))
    return ema.eval(), log


def frames_by_clip(clip: torch.Tensor) -> list[torch.Tensor]:
    """Row numbers of each clip's frames. clip (F,) of equal runs."""
    _, counts = clip.unique_consecutive(return_counts=True)
    return list(torch.arange(len(clip)).split(counts.tolist()))


def save_teacher(model: Dinov2Model, folder: Path, recipe: TeacherRecipe, log: list[dict]) -> None:
    """Write config.json, model.safetensors (fp16), preprocessor_config.json and training.json: a folder ``load_teacher`` opens."""
    folder.mkdir(parents=True, exist_ok=True)
    half = copy.deepcopy(model).half()
    half.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": IMAGENET_MEAN, "image_std": IMAGENET_STD}, indent=1) + "\n")
    (folder / "training.json").write_text(json.dumps({"recipe": asdict(recipe), "log": log}, indent=1) + "\n")
