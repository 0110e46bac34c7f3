"""Moving meshes: DeformingThings4D's ``.anime`` files, and how their animals stand before the camera.

An ``.anime`` is little-endian: int32 frames, vertices, triangles; float32 vertices of the first frame (V, 3); int32
triangles (K, 3); float32 offsets (F - 1, V, 3) of the later frames, each relative to the FIRST. What the header
promises is compared with the file's size before anything is read for it.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..decisions import ANIMAL_VIEW
from ..errors import DataError
from .data_files import ACCESS, FETCH, check_content

HEADER_BYTES = 12
MAX_BYTES = 2**30  # an animation of the release has 50 frames and some thousand vertices on average: some megabytes

# Proper rotations that bring a mesh with that axis up to x left of the animal, y up, z ahead of it.
UPRIGHT = {
    "y": np.eye(3, dtype=np.float32),
    "z": np.array(
        [[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32
    ),  # Blender's world: z up, an animal seen from its front looks along -y
}


def read_header(path: Path) -> tuple[int, int, int]:
    """(frames, vertices, triangles), once the file's size has confirmed them. Raises DataError otherwise."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror}", path, ACCESS) from error
    check_content(head, path)
    if len(head) < HEADER_BYTES:
        raise DataError(f"{size} bytes are too short for a header", path, FETCH)
    frames, vertices, triangles = struct.unpack_from("<3i", head)
    if frames < 1 or vertices < 3 or triangles < 1:
        raise DataError(
            f"{frames} frames of {vertices} vertices and {triangles} triangles are no animation", path, FETCH
        )
    promised = HEADER_BYTES + 12 * (frames * vertices + triangles)
    if size != promised:
        fault = "truncated" if size < promised else "too long"
        raise DataError(f"{fault}: the header promises {promised:,} bytes, the file has {size:,}", path, FETCH)
    if size > MAX_BYTES:
        raise DataError(f"{size:,} bytes are more than any animation has", path, "cut or simplify it")
    return frames, vertices, triangles


def read_anime(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (F, V, 3) float32 in the file's own coordinates, and triangles (K, 3) int64.

    Raises DataError on a header that the size contradicts, a triangle that names no vertex, or a coordinate that is not
    finite.
    """
    frames, vertices, triangles = read_header(path)
    data = path.read_bytes()
    if len(data) != HEADER_BYTES + 12 * (frames * vertices + triangles):
        raise DataError("the file changed while it was read", path, FETCH)
    corners_at = HEADER_BYTES + 12 * vertices
    corners = np.frombuffer(data, "<i4", 3 * triangles, corners_at).reshape(triangles, 3)
    bad = (corners < 0) | (corners >= vertices)
    if bad.any():
        k = int(bad.any(1).argmax())
        raise DataError(f"triangle {k} is {corners[k].tolist()}, of {vertices} vertices", path, FETCH)
    cloud = np.empty((frames, vertices, 3), np.float32)
    cloud[0] = np.frombuffer(data, "<f4", 3 * vertices, HEADER_BYTES).reshape(vertices, 3)
    offsets = np.frombuffer(data, "<f4", 3 * (frames - 1) * vertices, corners_at + 12 * triangles).reshape(
        frames - 1, vertices, 3
    )
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is looked at next
        np.add(cloud[0], offsets, out=cloud[1:])
    check_vertices(cloud, path)
    return cloud, corners.astype(np.int64)


def check_vertices(cloud: np.ndarray, path: Path) -> None:
    """Raise DataError naming the first frame and vertex of (F, V, 3) that is not finite, or too far away to be
    measured."""
    bad = ~(np.abs(cloud) < 1e18).all(-1)  # beyond, float32 cannot square a distance
    if bad.any():
        f, v = np.argwhere(bad)[0]
        raise DataError(f"frame {f}, vertex {v} is {cloud[f, v].tolist()}", path, FETCH)


def up_axis(paths: Iterable[Path]) -> str:
    """Which axis of these meshes is up, "y" or "z": the one along which they stand on their ground.

    The release's meshes are in Blender's world, z up; exports to other programs have y up, and no file says which. Both
    put the ground at 0 and the animal's middle near 0 along the horizontal axes, so along the vertical one the lowest
    vertex of the first frame lies at 0 relative to the animal's extent. Each file has a vote (a jump or a flight may
    begin above the ground), the majority decides for all; unreadable files have none, and without votes it is "y".
    """
    votes = Counter()
    for path in paths:
        try:
            _, vertices, _ = read_header(path)
            first = np.fromfile(path, "<f4", 3 * vertices, offset=HEADER_BYTES).reshape(-1, 3)
            check_vertices(first[None], path)
        except (DataError, OSError):
            continue
        low, extent = np.abs(first.min(0)), np.ptp(first, axis=0) + 1e-9
        votes["y" if low[1] / extent[1] <= low[2] / extent[2] else "z"] += 1
    return max(votes, key=lambda axis: (votes[axis], axis == "y"), default="y")


def before_camera(cloud: np.ndarray, up: str, yaw: float = ANIMAL_VIEW) -> np.ndarray:
    """Vertices (F, V, 3) in the file's coordinates -> camera coordinates (x right, y down, z away), the animal standing
    upright.

    yaw : degrees it turns about the vertical; 0 shows its front, 90 its side, in between three quarters. A rotation and
    nothing else: no mirror image, no scale, no shift.
    """
    cos, sin = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], np.float32)
    level = np.diag(np.float32([1, -1, -1]))  # half a turn about x: up becomes -y, and the front looks at the viewer
    return cloud @ (level @ turn @ UPRIGHT[up]).T
