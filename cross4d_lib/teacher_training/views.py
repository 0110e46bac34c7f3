"""Frames kept ready to be seen from anywhere, and seeing them: from a moved camera, in clothes, through a faulty
sensor."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from scipy.spatial import cKDTree

from ..errors import ConfigError, DataError
from ..files import write_whole
from ..render import depth_range, fit_camera, owners, shade, splat_radius, z_buffer
from .disturb import clothe_points, lost_points, measure_depth, uniform

NORMAL_NEIGHBOURS = 12


def surface_normals(points: np.ndarray) -> np.ndarray:
    """Unit normals of a cloud (n, 3), towards the camera at the origin: the direction in which the nearest neighbours
    vary least.

    It is the direction that the inverse of their covariance stretches most, found by squaring the inverse twice: a
    fifth of the time of an eigendecomposition.
    """
    near = cKDTree(points).query(points, min(NORMAL_NEIGHBOURS, len(points)))[1]  # (n, k)
    spread = points[near] - points[near].mean(1, keepdims=True)
    covariance = (spread.mT @ spread).astype(np.float64)
    inverse = np.linalg.inv(
        covariance / np.maximum(np.trace(covariance, axis1=1, axis2=2), 1e-12)[:, None, None] + 1e-4 * np.eye(3)
    )
    for _ in range(2):
        inverse = inverse @ inverse
        inverse /= np.abs(inverse).max((1, 2), keepdims=True)
    column = np.diagonal(inverse, axis1=1, axis2=2).argmax(1)
    normals = inverse[np.arange(len(points)), :, column]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where((normals * points).sum(-1, keepdims=True) > 0, -normals, normals).astype(np.float32)


@dataclass(frozen=True)
class FramePool:
    """Frames of many clips, the camera at distance 1 from the middle of each clip.

    points : (F, n, 3) float16 in units of their clip's camera distance, the clip's centroid at 0. normals : (F, n, 3)
    int8, unit vectors times 127. clip : (F,) int64, which clip a frame is of, rising from 0. world : (F,) int64, which
    world its clip is of. near, far : (F,) float32, ends of the clip's grey scale, relative to the centroid, same unit.
    """

    points: torch.Tensor
    normals: torch.Tensor
    clip: torch.Tensor
    world: torch.Tensor
    near: torch.Tensor
    far: torch.Tensor

    @staticmethod
    def from_clips(clips, worlds=None) -> FramePool:
        """clips : pairs (points, normals) of (T, N, 3) arrays in camera coordinates, any unit; T and N the same for
        all. worlds : a number for each clip; None: one world."""
        points, normals, near, far, frames = [], [], [], [], 1
        for cloud, facing in clips:
            cloud = torch.as_tensor(cloud)
            camera, centroid, frames = fit_camera(cloud, 1), cloud.reshape(-1, 3).mean(0), len(cloud)
            local = (cloud - centroid) / (centroid - camera.position)[2]
            low, high = depth_range(local[..., 2] + 1)
            points.append(local.half())
            normals.append((torch.as_tensor(facing) * 127).round().to(torch.int8))
            near.append(low - 1)
            far.append(high - 1)
        each = lambda values: torch.tensor(values).repeat_interleave(frames)
        clip, world = each(range(len(near))), each([0] * len(near) if worlds is None else worlds)
        return FramePool(torch.cat(points), torch.cat(normals), clip, world, each(near), each(far))

    @property
    def frames(self) -> int:
        """Frames of a clip; all have as many."""
        return len(self.clip) // (int(self.clip[-1]) + 1)

    def to(self, device) -> FramePool:
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def digest(self) -> str:
        """SHA-256 over all tensors, 16 hex digits."""
        digest = hashlib.sha256()
        for f in fields(self):
            digest.update(getattr(self, f.name).numpy().tobytes())
        return digest.hexdigest()[:16]

    def save(self, path: Path) -> None:
        """Write the pool with its digest, whole or not at all."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        write_whole(path, lambda draft: save_file(tensors, draft, {"digest": self.digest()}))

    @staticmethod
    def load(path: Path) -> FramePool:
        """Raises DataError on a file that is not as it was written."""
        try:
            with safe_open(path, "pt") as file:
                pool, digest = FramePool(**{name: file.get_tensor(name) for name in file.keys()}), file.metadata()
            if digest != {"digest": pool.digest()}:
                raise ValueError("its digest differs")
        except (OSError, SafetensorError, TypeError, ValueError) as error:
            raise DataError(f"a damaged pool of frames ({error})", path, "delete it: it is built again") from error
        return pool

    def draw_rows(
        self, clips: int, frames: int, one_world: bool, generator: torch.Generator, in_order: bool = False
    ) -> torch.Tensor:
        """Row numbers (clips * frames,) of a batch: ``clips`` different clips (or as many as there are), ``frames``
        frames of each.

        one_world : all of one world, drawn by its share of the clips. in_order : consecutive frames, else different
        ones by chance.
        """
        first = torch.arange(0, len(self.clip), self.frames, device=self.clip.device)  # (C,), first rows of the clips
        if one_world:
            chosen = self.world[first[torch.randint(len(first), (1,), generator=generator, device=first.device)]]
            first = first[self.world[first] == chosen]
        first = first[torch.rand(len(first), generator=generator, device=first.device).argsort()[:clips]]
        if in_order:
            start = torch.randint(self.frames - frames + 1, (len(first), 1), generator=generator, device=first.device)
            return (first[:, None] + start + torch.arange(frames, device=first.device)).flatten()
        order = torch.rand(len(first), self.frames, generator=generator, device=first.device).argsort(1)[:, :frames]
        return (first[:, None] + order).flatten()


def kept_points(pool: FramePool, thin: float, generator: torch.Generator) -> torch.Tensor:
    """Which points of every frame a batch keeps: (n,) int64, a share drawn from [thin, 1)."""
    total = pool.points.shape[1]
    count = int(uniform((1,), thin, 1, generator) * total) if thin < 1 else total
    return torch.rand(total, generator=generator, device=pool.points.device).argsort()[: max(16, count)]


def random_views(
    pool: FramePool,
    rows: torch.Tensor,
    recipe,
    generator: torch.Generator,
    views: int = 2,
    together: int = 1,
    strength: float = 1.0,
):
    """See the frames ``rows`` (B,) of a pool ``views`` times. Returns images (V B, 3, H, W), view after view, pixels (V
    B, n, 2) int64 and visible (V B, n) bool; n is the number of points kept, the same points in all views.

    together : so many rows after one another share a camera (the frames of a video). strength : multiplies the
    movement. The movement is given to the points instead of the camera, so that one camera and one call draw the whole
    batch.
    """
    movement, device = recipe.movement, pool.points.device
    kept = kept_points(pool, recipe.sensor.thin, generator)
    points = pool.points[rows[:, None], kept].float()  # (B, n, 3)
    normals = pool.normals[rows[:, None], kept].float() / 127
    points = clothe_points(points, normals, pool.clip[rows].unique(return_inverse=True)[1], recipe.cloth, generator)
    points, normals, near, far = (
        t.repeat(views, *[1] * (t.ndim - 1))
        for t in (points, normals, pool.near[rows][:, None], pool.far[rows][:, None])
    )

    batch = len(points)
    draw = lambda low, high: uniform((batch // together, 1), low, high, generator).repeat_interleave(together, 0)
    spread = lambda most: draw(-most * strength, most * strength)  # (V B, 1)
    low, high = (1 + (end - 1) * strength for end in movement.scale)
    turn = rotations(spread(math.radians(movement.yaw)), spread(math.radians(movement.pitch)))  # (V B, 3, 3)
    size = draw(max(low, 0.4), high)
    camera = fit_camera(torch.zeros(1, 1, 3), recipe.image)  # it stands 1 before the origin
    tangent = recipe.image / 2 / camera.focal
    shift = movement.shift * tangent
    aside = torch.cat([spread(shift), spread(shift), torch.zeros_like(size)], 1)  # (V B, 3)
    moved, normals = (points @ turn.mT + aside[:, None]) * size[..., None], normals @ turn.mT

    pixels, depth = camera.project(moved)
    pixels = pixels.clamp(-1e6, 1e6).floor().long()
    ray = moved + torch.tensor([0.0, 0.0, 1.0], device=device)  # the camera stands 1 before the origin
    grazing = (normals * ray).sum(-1) / ray.norm(dim=-1).clamp_min(1e-6)
    lost = lost_points(pixels, grazing, recipe.image, recipe.sensor, generator) | (depth <= 0)
    depth = torch.where(lost, -1.0, measure_depth(depth, recipe.sensor, generator))
    radius = splat_radius(recipe.image, points.shape[1]) * float(uniform((1,), 0.9, 1.2, generator))
    index = z_buffer(pixels, depth, recipe.image, radius)
    jitter = draw(1 - movement.grey, 1 + movement.grey)
    near, far = near * size * jitter, far * size * jitter
    if movement.shade:
        near, far = near - draw(0, movement.shade) * (far - near), far + draw(0, movement.shade) * (far - near)
    image = shade(index, depth, 1 + near, 1 + far)
    inside = ((pixels >= 0) & (pixels < recipe.image)).all(-1)
    return image, pixels.clamp(0, recipe.image - 1), owners(index, points.shape[1]) & inside


def rotations(yaw: torch.Tensor, pitch: torch.Tensor) -> torch.Tensor:
    """Angles (B, 1) in radians -> (B, 3, 3): about the vertical, then about the horizontal across the view."""
    (cy, sy), (cp, sp) = ((angle.cos(), angle.sin()) for angle in (yaw, pitch))
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    rows = lambda *entries: torch.cat(entries, 1).view(-1, 3, 3)
    return rows(one, zero, zero, zero, cp, -sp, zero, sp, cp) @ rows(cy, zero, -sy, zero, one, zero, sy, zero, cy)


class Draws:
    """The steps of a training as a map-style dataset: an item is a whole batch, a pure function of (seed, epoch,
    index).

    draw(pool, recipe, done, generator) -> batch : done is the share of the training that is over, 0 to 1. steps : of an
    epoch. With ``Training(batch=1)`` a step of the trainer is one item.
    """

    def __init__(self, draw: Callable, pool: FramePool, recipe, epochs: int, steps: int):
        self.draw, self.pool, self.recipe, self.epochs, self.steps, self.epoch = draw, pool, recipe, epochs, steps, 0

    def __len__(self) -> int:
        return self.steps

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        numbers = np.random.SeedSequence([self.recipe.seed, self.epoch, index]).generate_state(1, np.uint64)
        generator = torch.Generator(self.pool.points.device).manual_seed(int(numbers[0] >> np.uint64(1)))
        done = (self.epoch * self.steps + index) / (self.epochs * self.steps)
        return self.draw(self.pool, self.recipe, done, generator)

    def collate(self, items: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        if len(items) != 1:
            raise ConfigError(f"a step of {len(items)} batches", "Draws", "train teachers with batch=1, on one process")
        return items[0]
