"""Boxes and tubes for the simulated depth camera: what a table, a mug or a chair is made of, beside capsules.

Part of the STAND-INS ``synthetic-scenes`` and ``synthetic-interactions``. Every solid is hit exactly, by intersecting
the ray with its surface in the solid's own axes; nothing is a mesh.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

BOX, TUBE, CUP = 0, 1, 2


@dataclass(frozen=True)
class Solids:
    """P solids over F frames.

    kind : (P,) int64. BOX: size holds the half edges. TUBE: a cone's frustum about its own second axis, size holds the
    radius at the low end, half the height, the radius at the high end; closed by discs. CUP: a TUBE without its upper
    disc, so that one looks into it. axes : (F, P, 3, 3), columns are the solid's own axes (orthonormal, of either
    handedness). centre : (F, P, 3) metres. size : (P, 3). part : (P,) int64, the label of its points.
    """

    kind: np.ndarray
    axes: np.ndarray
    centre: np.ndarray
    size: np.ndarray
    part: np.ndarray


@njit(cache=True, nogil=True, error_model="numpy")
def hit_box(ox, oy, oz, dx, dy, dz, sx, sy, sz):
    """First hit of the ray o + t d with the box of half edges s around 0, for a ray that starts outside; inf where it
    misses."""
    into, out = 0.0, math.inf
    for o, d, s in ((ox, dx, sx), (oy, dy, sy), (oz, dz, sz)):
        if d == 0.0:
            if abs(o) > s:
                return math.inf
            continue
        one, other = (-s - o) / d, (s - o) / d
        into, out = max(into, min(one, other)), min(out, max(one, other))
    return into if 0.0 < into <= out else math.inf


@njit(cache=True, nogil=True, error_model="numpy")
def hit_tube(ox, oy, oz, dx, dy, dz, low, half, high, is_open):
    """First hit of the ray o + t d with a frustum about y: radius ``low`` at -half, ``high`` at +half; inf where it
    misses.

    is_open : the upper disc is missing, and the wall is met from inside as well.
    """
    best = math.inf
    slope, middle = (high - low) / (2.0 * half), (high + low) / 2.0
    radius, growth = middle + slope * oy, slope * dy  # of the wall, along the ray
    a = dx * dx + dz * dz - growth * growth
    b = ox * dx + oz * dz - radius * growth
    c = ox * ox + oz * oz - radius * radius
    h = b * b - a * c
    if h >= 0.0 and abs(a) > 1e-12:
        root = math.sqrt(h)
        for sign in (-1.0, 1.0):
            t = (sign * root - b) / a
            if 0.0 < t < best and abs(oy + t * dy) <= half:
                best = t
    if dy != 0.0:
        for end in range(1 if is_open else 2):
            t = ((half if end else -half) - oy) / dy
            r = high if end else low
            x, z = ox + t * dx, oz + t * dz
            if 0.0 < t < best and x * x + z * z <= r * r:
                best = t
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def cast_solids(kind, axes, centre, size, part, focal, centre_x, centre_y, depth, parts, box):
    """Draw one frame of solids, camera coordinates, over depth (H, W) and parts (H, W), the nearer wins.

    Each solid is tried only on the pixels its corners span. box : (first row, last row, first column, last column)
    drawn so far; returns it grown by what was tried here.
    """
    height, width = depth.shape
    top, bottom, left, right = box
    for p in range(len(kind)):
        tube = kind[p] != BOX
        across = max(size[p, 0], size[p, 2]) if tube else size[p, 0]
        deep = across if tube else size[p, 2]
        r = axes[p]
        u_low, u_high, v_low, v_high = math.inf, -math.inf, math.inf, -math.inf
        for corner in range(8):
            sx = across if corner & 1 else -across
            sy = size[p, 1] if corner & 2 else -size[p, 1]
            sz = deep if corner & 4 else -deep
            x = centre[p, 0] + r[0, 0] * sx + r[0, 1] * sy + r[0, 2] * sz
            y = centre[p, 1] + r[1, 0] * sx + r[1, 1] * sy + r[1, 2] * sz
            z = centre[p, 2] + r[2, 0] * sx + r[2, 1] * sy + r[2, 2] * sz
            if z < 0.05:  # beside or behind the camera: it may be seen anywhere
                u_low, u_high, v_low, v_high = -1e6, 1e6, -1e6, 1e6
            else:
                u_low, u_high = min(u_low, focal * x / z), max(u_high, focal * x / z)
                v_low, v_high = min(v_low, focal * y / z), max(v_high, focal * y / z)
        u0, u1 = max(0, int(u_low + centre_x)), min(width - 1, int(u_high + centre_x) + 1)
        v0, v1 = max(0, int(v_low + centre_y)), min(height - 1, int(v_high + centre_y) + 1)
        top, bottom, left, right = min(top, v0), max(bottom, v1), min(left, u0), max(right, u1)
        x, y, z = -centre[p, 0], -centre[p, 1], -centre[p, 2]  # the eye, in the solid's axes
        ox, oy, oz = (
            r[0, 0] * x + r[1, 0] * y + r[2, 0] * z,
            r[0, 1] * x + r[1, 1] * y + r[2, 1] * z,
            r[0, 2] * x + r[1, 2] * y + r[2, 2] * z,
        )
        for v in range(v0, v1 + 1):
            for u in range(u0, u1 + 1):
                x, y = (u - centre_x) / focal, (v - centre_y) / focal
                dx, dy, dz = (
                    r[0, 0] * x + r[1, 0] * y + r[2, 0],
                    r[0, 1] * x + r[1, 1] * y + r[2, 1],
                    r[0, 2] * x + r[1, 2] * y + r[2, 2],
                )
                if tube:
                    t = hit_tube(ox, oy, oz, dx, dy, dz, size[p, 0], size[p, 1], size[p, 2], kind[p] == CUP)
                else:
                    t = hit_box(ox, oy, oz, dx, dy, dz, size[p, 0], size[p, 1], size[p, 2])
                if t < depth[v, u]:
                    depth[v, u] = t  # the ray's third component is 1, so t is the depth z
                    parts[v, u] = part[p]
    return top, bottom, left, right
