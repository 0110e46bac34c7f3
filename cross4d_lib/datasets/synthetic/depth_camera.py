"""A simulated depth camera: rays against tapered capsules (and the solids of ``solids.py``), then the faults of a
structured-light sensor.

Part of the STAND-INS ``synthetic-actions`` (see ``actions.py``), ``synthetic-scenes`` and ``synthetic-interactions``.
It imitates the first Kinect at 320 x 240 as in MSR-Action3D: only the visible surface is seen, depth is measured as a
quantised disparity (so steps and noise grow with z^2), edges are ragged, the projector's shadow and weak returns leave
holes. Not imitated: background, lens distortion, multi-path, colour, the frame-to-frame persistence of a real sensor's
errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from .body import Capsules
from .solids import Solids, cast_solids

MISSED = -1


@dataclass(frozen=True)
class DepthCamera:
    """Intrinsics in pixels, faults in pixels of the image or of disparity; ``DepthCamera.ideal()`` has no faults.

    disparity_step : of the stored disparity, pixels of this image (1/8 pixel at 640 columns, 1/16 here); 0 =
    continuous. baseline : projector to sensor, metres, also the width of the projector's shadow; 0 = no shadow.
    disparity_noise : standard deviation, in disparity steps. edge_noise : of the place a pixel looks at, pixels.
    hole_level : a pixel is lost where a smooth standard normal field exceeds it. grain : size of smooth noise,
    pixels.
    """

    width: int = 320
    height: int = 240
    focal: float = 285.63
    centre_x: float = 160.0
    centre_y: float = 120.0
    baseline: float = 0.075
    disparity_step: float = 1 / 16
    disparity_noise: float = 0.45
    edge_noise: float = 0.55
    hole_level: float = 3.0
    grain: int = 4

    @staticmethod
    def ideal() -> DepthCamera:
        """The same camera without any fault."""
        return DepthCamera(baseline=0.0, disparity_step=0.0, disparity_noise=0.0, edge_noise=0.0, hole_level=math.inf)


@njit(cache=True, nogil=True, error_model="numpy")
def hit_capsule(dx, dy, dz, ax, ay, az, bx, by, bz, ra, rb):
    """First hit of the ray t (dx, dy, dz), from the origin, with a tapered capsule; inf where it misses.

    The surface is two spheres, centres a and b, and the cone tangent to both. Returns t.
    """
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    dx, dy, dz = dx / length, dy / length, dz / length
    best = math.inf
    a_along = dx * ax + dy * ay + dz * az
    h = a_along * a_along - (ax * ax + ay * ay + az * az) + ra * ra
    if h >= 0.0:
        best = a_along - math.sqrt(h)
    b_along = dx * bx + dy * by + dz * bz
    h = b_along * b_along - (bx * bx + by * by + bz * bz) + rb * rb
    if h >= 0.0:
        best = min(best, b_along - math.sqrt(h))
    ux, uy, uz = bx - ax, by - ay, bz - az
    taper = ra - rb
    m0 = ux * ux + uy * uy + uz * uz
    d2 = m0 - taper * taper
    if d2 > 1e-9:  # otherwise one sphere holds the other
        m1 = -(ux * ax + uy * ay + uz * az)
        m2 = ux * dx + uy * dy + uz * dz
        k2 = d2 - m2 * m2
        k1 = -d2 * a_along - m1 * m2 + m2 * taper * ra
        k0 = d2 * (ax * ax + ay * ay + az * az) - m1 * m1 + 2.0 * m1 * taper * ra - m0 * ra * ra
        h = k1 * k1 - k0 * k2
        if h >= 0.0 and abs(k2) > 1e-12:
            root = math.sqrt(h)
            for sign in (-1.0, 1.0):
                t = (sign * root - k1) / k2
                y = m1 - ra * taper + t * m2  # place along the axis, scaled
                if 0.0 < y < d2 and 0.0 < t < best:
                    best = t
    return best / length


@njit(cache=True, nogil=True, error_model="numpy")
def cast_frame(ends, radii, flat_axis, flatness, part, focal, centre_x, centre_y, depth, parts):
    """Fill depth (H, W) metres, inf where nothing is hit, and parts (H, W), MISSED there; one frame of capsules, camera
    coordinates.

    Each capsule is tried only on the pixels its two spheres' bounding boxes span. Returns the box of all that was
    tried: first row, last row, first column, last column.
    """
    height, width = depth.shape
    top, bottom, left, right = height - 1, 0, width - 1, 0
    depth[:] = math.inf
    parts[:] = MISSED
    for p in range(len(radii)):
        u_low, u_high, v_low, v_high = math.inf, -math.inf, math.inf, -math.inf
        for e in range(2):
            x, y, z, r = ends[p, e, 0], ends[p, e, 1], ends[p, e, 2], radii[p, e]
            near = max(z - r, 0.05)
            u_low = min(u_low, (x - r) / (near if x < r else z + r))
            u_high = max(u_high, (x + r) / (near if x > -r else z + r))
            v_low = min(v_low, (y - r) / (near if y < r else z + r))
            v_high = max(v_high, (y + r) / (near if y > -r else z + r))
        u0, u1 = max(0, int(focal * u_low + centre_x)), min(width - 1, int(focal * u_high + centre_x) + 1)
        v0, v1 = max(0, int(focal * v_low + centre_y)), min(height - 1, int(focal * v_high + centre_y) + 1)
        top, bottom, left, right = min(top, v0), max(bottom, v1), min(left, u0), max(right, u1)
        # flattening by s along n is a round capsule seen in space stretched by 1/s along n; the eye, at 0, stays
        stretch = 1.0 / flatness[p] - 1.0
        nx, ny, nz = flat_axis[p, 0], flat_axis[p, 1], flat_axis[p, 2]
        ax, ay, az = ends[p, 0, 0], ends[p, 0, 1], ends[p, 0, 2]
        bx, by, bz = ends[p, 1, 0], ends[p, 1, 1], ends[p, 1, 2]
        k = stretch * (nx * ax + ny * ay + nz * az)
        ax, ay, az = ax + k * nx, ay + k * ny, az + k * nz
        k = stretch * (nx * bx + ny * by + nz * bz)
        bx, by, bz = bx + k * nx, by + k * ny, bz + k * nz
        for v in range(v0, v1 + 1):
            for u in range(u0, u1 + 1):
                dx, dy, dz = (u - centre_x) / focal, (v - centre_y) / focal, 1.0
                k = stretch * (nx * dx + ny * dy + nz)
                t = hit_capsule(dx + k * nx, dy + k * ny, dz + k * nz, ax, ay, az, bx, by, bz, radii[p, 0], radii[p, 1])
                if t < depth[v, u]:
                    depth[v, u] = t  # the ray's third component is 1, so t is the depth z
                    parts[v, u] = part[p]
    return top, bottom, left, right


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def smooth(field, v, u, grain):
    """Bilinear value of a coarse noise field (rows, columns), one sample every ``grain`` pixels, at pixel (v, u)."""
    i, j = v // grain, u // grain
    a, b = (v - i * grain) / grain, (u - j * grain) / grain
    return (1 - a) * ((1 - b) * field[i, j] + b * field[i, j + 1]) + a * (
        (1 - b) * field[i + 1, j] + b * field[i + 1, j + 1]
    )


@njit(cache=True, nogil=True, error_model="numpy")
def sense_frame(
    depth,
    parts,
    box,
    noise,
    focal,
    centre_x,
    centre_y,
    baseline,
    step,
    disparity_noise,
    edge_noise,
    hole_level,
    grain,
    points,
    labels,
):
    """Turn an exact depth image into what the sensor reports; returns how many points were written.

    box : (first row, last row, first column, last column) to look at. noise : (4, rows, columns) coarse standard normal
    fields over the box: place (2), disparity, holes. points : (H W, 3) float32 and labels : (H W,) int64, filled from
    the start, row by row.
    """
    top, bottom, left, right = box
    written = 0
    for v in range(top, bottom + 1):
        for u in range(left, right + 1):
            i, j = v - top, u - left
            from_v, from_u = v, u
            if edge_noise > 0.0:
                from_v = min(max(int(round(v + edge_noise * smooth(noise[0], i, j, grain))), top), bottom)
                from_u = min(max(int(round(u + edge_noise * smooth(noise[1], i, j, grain))), left), right)
            z = depth[from_v, from_u]
            if z == math.inf or smooth(noise[3], i, j, grain) > hole_level:
                continue
            shadowed = False
            for away in range(
                1, min(4, from_u - left) + 1
            ):  # the projector stands to the side: what it cannot light is not measured
                front = depth[from_v, from_u - away]
                if front < z and focal * baseline * (1.0 / front - 1.0 / z) > away:
                    shadowed = True
            if shadowed:
                continue
            if step > 0.0:
                disparity = focal * baseline / z + step * disparity_noise * smooth(noise[2], i, j, grain)
                z = focal * baseline / (step * round(disparity / step))
            points[written, 0] = (u - centre_x) / focal * z
            points[written, 1] = (v - centre_y) / focal * z
            points[written, 2] = z
            labels[written] = parts[from_v, from_u]
            written += 1
    return written


def photograph(
    capsules: Capsules,
    camera: DepthCamera,
    generators: list[np.random.Generator],
    solids: Solids | None = None,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Photograph F frames of capsules, and solids where there are some, in camera coordinates (x right, y down, z away,
    metres).

    generators : one a frame, so that a frame looks the same whichever others are taken. Returns (frames, point_labels):
    F arrays (n_f, 3) float32 of back-projected points, and F arrays (n_f,) int64 of part indices.
    """
    shape = (camera.height, camera.width)
    depth, parts = np.empty(shape), np.empty(shape, np.int64)
    points, labels = np.empty((depth.size, 3), np.float32), np.empty(depth.size, np.int64)
    frames, point_labels = [], []
    for f, generator in enumerate(generators):
        box = cast_frame(
            capsules.ends[f],
            capsules.radii,
            capsules.flat_axis[f],
            capsules.flatness,
            capsules.part,
            camera.focal,
            camera.centre_x,
            camera.centre_y,
            depth,
            parts,
        )
        if solids is not None:
            box = cast_solids(
                solids.kind,
                solids.axes[f],
                solids.centre[f],
                solids.size,
                solids.part,
                camera.focal,
                camera.centre_x,
                camera.centre_y,
                depth,
                parts,
                box,
            )
        top, bottom, left, right = box
        noise = generator.standard_normal(
            (4, (bottom - top) // camera.grain + 2, (right - left) // camera.grain + 2), np.float32
        )
        written = sense_frame(
            depth,
            parts,
            box,
            noise,
            camera.focal,
            camera.centre_x,
            camera.centre_y,
            camera.baseline,
            camera.disparity_step,
            camera.disparity_noise,
            camera.edge_noise,
            camera.hole_level,
            camera.grain,
            points,
            labels,
        )
        frames.append(points[:written].copy())
        point_labels.append(labels[:written].copy())
    return frames, point_labels
