"""A clip of a moving point cloud, and how its frames and points are sampled from a video (problem formulation, Sec. 3).

A *video* is what a sensor recorded: any number of frames, any number of points a frame. A *clip* is what the method
reads: exactly T frames of exactly N points. Going from one to the other repeats frames or points when there are too
few, never drops a video, and counts what it repeated.

Coordinates are those of a camera: x to the right, y DOWN, z away from the viewer, in metres where the sensor knows
them.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from .decisions import FLOAT32_BLUR
from .errors import ConfigError, DataError, EmptyVideoError

Stride = int | Literal["uniform"]


@dataclass(frozen=True)
class Video:
    """What a reader returns, before any sampling.

    frames : a sequence of F arrays (n_f, 3) float32, or float64 where float32 is too coarse, camera coordinates; n_f
        differs from frame to frame and may be 0 where the sensor saw nothing.
    point_labels : F arrays (n_f,) int64 beside them, or None.
    label : class index, or None. id : unique within the dataset. subject : who performs, or None.
    triangles : (K, 3) int64 for a moving surface, else None. The frames are then the vertices of one mesh, in one
        order, and point_labels ((V,) int64, once) are the vertices'; a clip's points are drawn on the surface.
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

    points : (T, N, 3) float32, camera coordinates (x right, y down, z away), relative to ``origin``.
    label : class index or None. point_labels : (T, N) int64 or None. id, subject : as in the video.
    frame_indices : (T,) int64, the frame of the video that each frame of the clip shows.
    frames_repeated : frames beyond the video's end, which show its last one, and empty ones, which show a neighbour.
    points_repeated : points of the clip that are repetitions, because a frame held fewer than N.
    tracked : point n is the same point of the surface in every frame, so ``points[:, n]`` is its path (the ground truth
        of Table 16). Only moving meshes know that; a depth camera's points are unrelated from frame to frame.
    origin : (3,) float64, 0 unless the video lies so far out that float32 would blur it (see ``to_float32``).
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
    origin: np.ndarray = field(default_factory=lambda: np.zeros(3))


def whole_number(value, name: str, where: str, least: int = 1) -> int:
    """``value`` as an int: an int of Python or numpy, or a float without a fraction. Raises ConfigError otherwise."""
    try:
        number = (
            int(value) if isinstance(value, (float, np.floating)) and value == int(value) else operator.index(value)
        )
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise ConfigError(f"{name}={value!r}", where, f"a whole number, {least} or more")
    return number


def frame_indices(available: int, frames: int, stride: Stride = 1, start: int | None = None) -> tuple[np.ndarray, int]:
    """Which frames of a video are the clip, and how many of them are repetitions.

    stride k (Table 8 uses 1 or 2): the window of ``frames`` frames k apart, centred in the video; a video too short for
    it is played whole and its last frame repeated. ``"uniform"``: ``frames`` frames spread evenly from first to last,
    so the whole motion is seen; a video with fewer frames repeats some of them. start : the window's first frame, where
    it is not the centred one.

    Returns ((frames,) int64 indices, number of repeated frames). The paper does not say where its window lies: centred
    is our decision. Raises ConfigError on a size that is no whole number above 0.
    """
    frames, stride = whole_number(frames, "frames", "frame sampling"), whole_stride(stride)
    if available < 1:
        raise DataError("a video without frames", "frame sampling", "remove the file or record it again")
    if stride == "uniform":
        indices = np.round(np.linspace(0, available - 1, frames)).astype(np.int64)
        return indices, frames - len(np.unique(indices))
    reach = (frames - 1) * stride + 1
    start = max(0, (available - reach) // 2) if start is None else start
    indices = start + stride * np.arange(frames, dtype=np.int64)
    repeated = int((indices >= available).sum())
    return np.minimum(indices, available - 1), repeated


def window_starts(available: int, frames: int, stride: Stride, windows: int) -> list[int | None]:
    """First frames of up to ``windows`` windows of a video, evenly spaced from its first frame to its last, each once.

    None is the window of ``frame_indices`` itself, where a video has no other: under "uniform", and where it is too
    short for two.
    """
    room = 0 if stride == "uniform" else available - ((frames - 1) * stride + 1)
    if room < 1 or windows == 1:
        return [None]
    return np.unique(np.linspace(0, room, windows).round().astype(int)).tolist()


def whole_stride(stride) -> Stride:
    """A stride as an int, or "uniform". Raises ConfigError on anything else."""
    if isinstance(stride, str) and stride == "uniform":
        return "uniform"
    return whole_number(stride, "stride", 'frame sampling; "uniform" spreads the frames over the whole video')


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
    """Points (T, N, 3) float64 that stay on their place of the surface, and the label of the nearest corner (T, N) or
    None."""
    triangles = np.asarray(video.triangles)
    corners, weights = surface_samples(video.frames[indices[0]], triangles, points, generator)
    cloud = np.empty((len(indices), points, 3))
    for f, source in enumerate(indices):
        vertices = video.frames[source]
        # (N, 3); faster than einsum, the same to the last bit
        cloud[f] = sum(weights[:, k, None] * vertices[corners[:, k]] for k in range(3))
    if video.point_labels is None:
        return cloud, None
    nearest = corners[np.arange(points), weights.argmax(1)]
    return cloud, np.broadcast_to(np.asarray(video.point_labels, np.int64)[nearest], cloud.shape[:2]).copy()


def _nearest_with_points(video: Video, wanted: int, empty: set[int]) -> tuple[int, np.ndarray]:
    """The frame nearest to ``wanted`` that has points (of two as near the earlier), and its points (n, 3).

    empty : frames known to have none; those found on the way are added. Raises EmptyVideoError when all are empty.
    """
    for f in sorted(range(len(video.frames)), key=lambda g: (abs(g - wanted), g)):
        if f not in empty:
            frame = video.frames[f]
            if len(frame):
                return f, frame
            empty.add(f)
    raise EmptyVideoError("no frame has a point", video.id, "remove the recording, or load with skip_empty=True")


def sample_clip(
    video: Video, frames: int, points: int, stride: Stride = 1, seed: int = 0, start: int | None = None
) -> Clip:
    """Sample a Clip from a Video, deterministically by (video.id, seed). start : as in ``frame_indices``.

    A moving mesh gives points drawn on its surface, uniform by area in the clip's first frame, with fixed barycentric
    coordinates: point n is one and the same point in every frame. A frame without points shows its nearest neighbour
    that has some, and counts as repeated (``decisions.EMPTY_FRAME``).

    Raises EmptyVideoError when no frame has a point, DataError on a coordinate that is not finite, naming clip and
    frame, ConfigError on a size that is no whole number above 0.
    """
    points = whole_number(points, "points", "point sampling")
    indices, frames_repeated = frame_indices(len(video.frames), frames, stride, start)
    generator = clip_generator(video.id, seed)
    points_repeated = 0
    if video.triangles is not None:
        cloud, labels = _sample_surface(video, indices, points, generator)
    else:
        cloud = np.empty((len(indices), points, 3))
        labels = np.empty((len(indices), points), np.int64) if video.point_labels is not None else None
        shown = indices.copy()
        empty: set[int] = set()
        for f, wanted in enumerate(indices):
            shown[f], frame = _nearest_with_points(video, int(wanted), empty)
            chosen, repeated = point_indices(len(frame), points, generator)
            points_repeated += repeated
            cloud[f] = frame[chosen]
            if labels is not None and video.point_labels is not None:
                labels[f] = video.point_labels[shown[f]][chosen]
        own = (
            len(indices) if stride == "uniform" else len(indices) - frames_repeated
        )  # what is beyond the end is counted
        frames_repeated += len(set(indices[:own][(shown != indices)[:own]].tolist()))
        indices = shown
    check_finite(cloud, video.id)
    cloud, origin = to_float32(cloud)
    return Clip(
        points=cloud,
        id=video.id,
        label=video.label,
        subject=video.subject,
        point_labels=labels,
        frame_indices=indices,
        frames_repeated=frames_repeated,
        points_repeated=points_repeated,
        tracked=video.triangles is not None,
        origin=origin,
    )


def to_float32(cloud: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (T, N, 3) as float32, and the origin (3,) float64 that is subtracted first: cloud = points + origin.

    The origin is 0 wherever float32 holds the coordinates to FLOAT32_BLUR of the cloud's size, so that recordings in
    metres stay as they are. Further out (map coordinates such as UTM) it is the cloud's median.
    """
    points, flat = cloud.astype(np.float32), cloud.reshape(-1, 3)
    if np.array_equal(points, cloud):
        return points, np.zeros(3)
    centre = np.median(flat, axis=0)
    size = np.median(np.abs(flat - centre).max(1))
    if np.abs(points - cloud).max() <= FLOAT32_BLUR * size:
        return points, np.zeros(3)
    return (cloud - centre).astype(np.float32), centre


def check_finite(points: np.ndarray, where: str) -> None:
    """Raise DataError naming the first frame and point whose coordinates float32 cannot hold. points : (T, N, 3)."""
    bad = ~(np.abs(points) <= np.finfo(np.float32).max).all(-1)
    if bad.any():
        f, n = np.argwhere(bad)[0]
        raise DataError(
            f"frame {f}, point {n} is not finite: {points[f, n].tolist()}",
            where,
            "remove NaN and infinite points before sampling a clip",
        )
