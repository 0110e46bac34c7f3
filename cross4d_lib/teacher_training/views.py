"""Frames kept ready to be seen from anywhere, and seeing them: from a moved camera, in clothes, through a faulty
sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from scipy.spatial import cKDTree

from ..render import Camera, depth_range, fit_camera, owners, shade, splat_radius, z_buffer
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
    world its clip is of.
    near, far : (F,) float32, ends of the clip's grey scale, relative to the centroid, same unit. home : (F, n, 3)
    float16, where each point was in its clip's first frame, same unit; (F, 0, 3) where nobody knows, as in recordings.
    """

    points: torch.Tensor
    normals: torch.Tensor
    clip: torch.Tensor
    world: torch.Tensor
    near: torch.Tensor
    far: torch.Tensor
    home: torch.Tensor

    @staticmethod
    def from_clips(clips, worlds=None) -> FramePool:
        """clips : (T, N, 3) arrays in camera coordinates, any unit, or triples (points, normals, homes) of such; T and
        N the same for all.
        worlds : a number for each clip; None: one world."""
        points, normals, home, near, far, frames = [], [], [], [], [], 1
        for clip in clips:
            cloud, facing, where = (
                clip
                if isinstance(clip, tuple)
                else (clip, np.stack([surface_normals(np.asarray(frame)) for frame in clip]), None)
            )
            cloud = torch.as_tensor(cloud)
            camera, centroid, frames = fit_camera(cloud, 1), cloud.reshape(-1, 3).mean(0), len(cloud)
            into = lambda places: (places - centroid) / (centroid - camera.position)[2]
            local = into(cloud)
            home.append(local.new_zeros(frames, 0, 3).half() if where is None else into(torch.tensor(where)).half())
            low, high = depth_range(local[..., 2] + 1)
            points.append(local.half())
            normals.append((torch.as_tensor(facing) * 127).round().to(torch.int8))
            near.append(low - 1)
            far.append(high - 1)
        each = lambda values: torch.tensor(values).repeat_interleave(frames)
        return FramePool(
            torch.cat(points),
            torch.cat(normals),
            each(range(len(near))),
            each([0] * len(near) if worlds is None else worlds),
            each(near),
            each(far),
            torch.cat(home),
        )

    @property
    def frames(self) -> int:
        """Frames of a clip; all have as many."""
        return len(self.clip) // (int(self.clip[-1]) + 1)

    def to(self, device) -> FramePool:
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def save(self, path: Path) -> None:
        """Write the pool whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.draft")
        save_file({f.name: getattr(self, f.name) for f in fields(self)}, draft)
        draft.replace(path)

    @staticmethod
    def load(path: Path) -> FramePool:
        return FramePool(**load_file(path))

    def draw(
        self, clips: int, frames: int, one_world: bool, generator: torch.Generator, in_order: bool = False
    ) -> torch.Tensor:
        """Row numbers (clips * frames,) of a batch: ``clips`` different clips (or as many as there are), ``frames``
        frames of each.

        one_world : all of one world, drawn by its share of the clips. in_order : consecutive frames, else different
        ones by chance.
        """
        first = torch.arange(
            0, len(self.clip), self.frames, device=self.clip.device
        )  # (C,), the first row of each clip
        if one_world:
            chosen = self.world[first[torch.randint(len(first), (1,), generator=generator, device=first.device)]]
            first = first[self.world[first] == chosen]
        first = first[torch.rand(len(first), generator=generator, device=first.device).argsort()[:clips]]
        if in_order:
            start = torch.randint(self.frames - frames + 1, (len(first), 1), generator=generator, device=first.device)
            return (first[:, None] + start + torch.arange(frames, device=first.device)).flatten()
        order = torch.rand(len(first), self.frames, generator=generator, device=first.device).argsort(1)[:, :frames]
        return (first[:, None] + order).flatten()


def moved_camera(size: int) -> Camera:
    """The camera all views are drawn with: it stands 1 before the origin."""
    return fit_camera(torch.zeros(1, 1, 3), size)


def thinned(pool: FramePool, recipe, generator: torch.Generator) -> torch.Tensor:
    """Which points of every frame a batch keeps: (n,) int64, by the sensor's ``thin``."""
    total = pool.points.shape[1]
    count = int(uniform((1,), recipe.sensor.thin, 1, generator) * total) if recipe.sensor.thin < 1 else total
    return torch.rand(total, generator=generator, device=pool.points.device).argsort()[: max(16, count)]


def random_views(
    pool: FramePool,
    rows: torch.Tensor,
    recipe,
    generator: torch.Generator,
    views: int = 2,
    together: int = 1,
    strength: float = 1.0,
    kept: torch.Tensor | None = None,
):
    """See the frames ``rows`` (B,) of a pool ``views`` times. Returns images (V B, 3, H, W), view after view, pixels (V
    B, n, 2) int64 and visible (V B, n) bool; n is the number of points kept, the same points in all views.

    kept (n,) : the points of every frame, None: as ``thinned`` draws them. together : so many rows after one another
    share a camera (the frames of a video). strength : multiplies the movement. The movement is given to the points
    instead of the camera, so that one camera and one call draw the whole batch.
    """
    movement, device = recipe.movement, pool.points.device
    if kept is None:
        kept = thinned(pool, recipe, generator)
    points, normals = (
        pool.points[rows[:, None], kept].float(),
        pool.normals[rows[:, None], kept].float() / 127,
    )  # (B, n, 3)
    points = clothe_points(points, normals, pool.clip[rows].unique(return_inverse=True)[1], recipe.cloth, generator)
    points, normals, near, far = (
        t.repeat(views, *[1] * (t.ndim - 1))
        for t in (points, normals, pool.near[rows][:, None], pool.far[rows][:, None])
    )

    batch = len(points)
    draw = lambda low, high: uniform((batch // together, 1), low, high, generator).repeat_interleave(
        together, 0
    )  # (V B, 1)
    spread = lambda most: draw(-most * strength, most * strength)
    low, high = (1 + (end - 1) * strength for end in movement.scale)
    turn = rotations(spread(math.radians(movement.yaw)), spread(math.radians(movement.pitch)))  # (V B, 3, 3)
    size, camera = draw(max(low, 0.4), high), moved_camera(recipe.image)
    tangent = recipe.image / 2 / camera.focal
    aside = torch.cat(
        [spread(movement.shift * tangent), spread(movement.shift * tangent), torch.zeros_like(size)], 1
    )  # (V B, 3)
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
