"""A clip of a moving point cloud, and how its frames and points are sampled from a video (problem formulation, Sec. 3).

A *video* is what a sensor recorded: any number of frames, any number of points a frame. A *clip* is what the method
reads: exactly T frames of exactly N points. Going from one to the other repeats frames or points when there are too
few, never drops a video, and counts what it repeated.

Coordinates are those of a camera: x to the right, y DOWN, z away from the viewer, in metres where the sensor knows
them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from .errors import ConfigError, DataError

Stride = int | Literal["uniform"]


@dataclass(frozen=True)
class Video:
    """What a reader returns, before any sampling.

    frames : a sequence of F arrays (n_f, 3) float32, camera coordinates; n_f differs from frame to frame and may be 0
    where the sensor
        saw nothing. A sequence that shows a neighbour in place of an empty frame has their indices in its attribute
        ``replaced``.
    point_labels : F arrays (n_f,) int64 beside them, or None.
    label : class index, or None. id : unique within the dataset. subject : who performs, or None.
    triangles : (K, 3) int64 for a moving surface, else None. The frames are then the vertices of one mesh, in one
    order, and
        point_labels ((V,) int64, once) are the vertices'; a clip's points are drawn on the surface.
    """

    frames: Sequence[np.ndarray]
    id: str
    label: int | None = None
    subject: str | None = None
    point_labels: Sequence[np.ndarray] | np.ndarray | None = None
    triangles: np.ndarray | None = None


@dataclass(frozen=True)
class Clip:
    """P = {P_f}: T frames of N points (Sec. 3).

    points : (T, N, 3) float32, camera coordinates (x right, y down, z away).
    label : class index or None. point_labels : (T, N) int64 or None. id, subject : as in the video.
    frame_indices : (T,) int64, which frame of the video each frame of the clip is.
    frames_repeated : frames beyond the video's end, filled by repeating its last one, and empty ones that show a
    neighbour.
    points_repeated : points of the clip that are repetitions, because a frame held fewer than N.
    tracked : point n is the same point of the surface in every frame, so ``points[:, n]`` is its path (the ground truth
    of
        Table 16). Only moving meshes know that; a depth camera's points have nothing to do with those of the next
        frame.
    """

    points: np.ndarray
    id: str
    label: int | None = None
    subject: str | None = None
    point_labels: np.ndarray | None = None
    frame_indices: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    frames_repeated: int = 0
    points_repeated: int = 0
    tracked: bool = False


def frame_indices(available: int, frames: int, stride: Stride = 1) -> tuple[np.ndarray, int]:
    """Which frames of a video make the clip, and how many of them are repetitions.

    stride k (Table 8 uses 1 or 2): the window of ``frames`` frames k apart, centred in the video; a video too short for
    it is played whole and its last frame repeated. ``"uniform"``: ``frames`` frames spread evenly from first to last,
    so the whole motion is seen; a video with fewer frames repeats some of them.

    Returns ((frames,) int64 indices, number of repeated frames). The paper does not say where its window lies: centred
    is our decision. Raises ConfigError on a non-positive size.
    """
    if frames < 1 or (stride != "uniform" and (not isinstance(stride, int) or stride < 1)):
        raise ConfigError(
            f"frames={frames}, stride={stride!r} is not a clip",
            "frame sampling",
            'frames >= 1, stride >= 1 or "uniform"',
        )
    if available < 1:
        raise DataError("a video without frames", "frame sampling", "remove the file or record it again")
    if stride == "uniform":
        indices = np.round(np.linspace(0, available - 1, frames)).astype(np.int64)
        return indices, frames - len(np.unique(indices))
    reach = (frames - 1) * stride + 1
    start = max(0, (available - reach) // 2)
    indices = start + stride * np.arange(frames, dtype=np.int64)
    repeated = int((indices >= available).sum())
    return np.minimum(indices, available - 1), repeated


def clip_generator(clip_id: str, seed: int) -> np.random.Generator:
    """A random generator that depends on the clip's id and the seed alone: not on order, worker or process."""
    digest = hashlib.sha256(f"{seed}/{clip_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def point_indices(available: int, points: int, generator: np.random.Generator) -> tuple[np.ndarray, int]:
    """Which points of a frame are kept: ``points`` of them without replacement; with fewer, all of them and then
    repetitions.

    Returns ((points,) int64 indices, number of repetitions).
    """
    if points < 1:
        raise ConfigError(f"points={points} is not a frame", "point sampling", "points >= 1")
    if available < 1:
        raise DataError("a frame without points", "point sampling", "drop the frame from the recording")
    if available >= points:
        return generator.permutation(available)[:points].astype(np.int64), 0
    rounds = -(-points // available)
    order = np.concatenate([generator.permutation(available) for _ in range(rounds)])[:points]
    return order.astype(np.int64), points - available


def surface_samples(
    vertices: np.ndarray, triangles: np.ndarray, points: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """``points`` places on a surface, uniform by area. vertices (V, 3), triangles (K, 3) -> corners (n, 3) int64,
    weights (n, 3).

    Row i lies at ``weights[i] @ vertices[corners[i]]``, and stays the same place of the surface when the vertices move.
    Raises DataError on a surface without area.
    """
    a, b, c = (vertices[triangles[:, k]].astype(np.float64) for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)  # (K,), twice the area
    if not area.sum() > 0:
        raise DataError("a surface without area", "surface sampling", "remove the mesh, or export it again")
    chosen = generator.choice(len(triangles), points, p=area / area.sum())
    u, v = generator.random((2, points))
    side = np.sqrt(u)  # the square root spreads evenly what would crowd at one corner
    return triangles[chosen].astype(np.int64), np.stack([1 - side, side * (1 - v), side * v], 1)


def _sample_surface(
    video: Video, indices: np.ndarray, points: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """Points (T, N, 3) that stay on their place of the surface, and the label of the nearest corner (T, N) or None."""
    corners, weights = surface_samples(video.frames[indices[0]], video.triangles, points, generator)
    cloud = np.empty((len(indices), points, 3), np.float32)
    for f, source in enumerate(indices):
        vertices = video.frames[source]
        cloud[f] = sum(
            weights[:, k, None] * vertices[corners[:, k]] for k in range(3)
        )  # faster than einsum, the same to the last bit
    if video.point_labels is None:
        return cloud, None
    nearest = corners[np.arange(points), weights.argmax(1)]
    return cloud, np.broadcast_to(np.asarray(video.point_labels, np.int64)[nearest], cloud.shape[:2]).copy()


def sample_clip(video: Video, frames: int, points: int, stride: Stride = 1, seed: int = 0) -> Clip:
    """Sample a Clip from a Video, deterministically by (video.id, seed).

    A moving mesh gives points drawn on its surface, uniform by area in the clip's first frame, with fixed barycentric
    coordinates: point n is one and the same point in every frame.

    Raises DataError when a chosen frame has no points or a coordinate that is not finite, naming clip and frame.
    """
    indices, frames_repeated = frame_indices(len(video.frames), frames, stride)
    generator = clip_generator(video.id, seed)
    if video.triangles is not None:
        cloud, labels = _sample_surface(video, indices, points, generator)
        check_finite(cloud, video.id)
        return Clip(cloud, video.id, video.label, video.subject, labels, indices, frames_repeated, tracked=True)
    cloud = np.empty((frames, points, 3), np.float32)
    labels = np.empty((frames, points), np.int64) if video.point_labels is not None else None
    points_repeated = 0
    for f, source in enumerate(indices):
        frame = video.frames[source]
        if len(frame) == 0:
            raise DataError(
                f"frame {source} has no points",
                video.id,
                "drop the frame from the recording, or the recording from the split",
            )
        chosen, repeated = point_indices(len(frame), points, generator)
        points_repeated += repeated
        cloud[f] = frame[chosen]
        if labels is not None:
            labels[f] = video.point_labels[source][chosen]
    check_finite(cloud, video.id)
    replaced = getattr(video.frames, "replaced", ())
    frames_repeated += len({int(f) for f in indices} & set(replaced))
    return Clip(cloud, video.id, video.label, video.subject, labels, indices, frames_repeated, points_repeated)


def check_finite(points: np.ndarray, where: str) -> None:
    """Raise DataError naming the first frame and point whose coordinates are not finite. points : (T, N, 3)."""
    bad = ~np.isfinite(points).all(-1)
    if bad.any():
        f, n = np.argwhere(bad)[0]
        raise DataError(
            f"frame {f}, point {n} is not finite: {points[f, n].tolist()}",
            where,
            "remove NaN and infinite points before making a clip",
        )
