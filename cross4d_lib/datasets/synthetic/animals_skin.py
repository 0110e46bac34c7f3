"""The skin of an animal: one closed mesh around its shapes, without hidden inner surface, and what moves each vertex.

Part of the STAND-IN ``synthetic-animals`` (see ``animals.py``). The shapes' signed distances are blended into one field
(Quilez's polynomial smooth minimum), whose zero level is meshed by naive surface nets (Gibson, 1998): one vertex in
every cell of a grid that the surface crosses. Vertices follow the bones by linear blend skinning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit
from scipy.sparse import coo_matrix, diags

from .animals_body import BONES, PARENTS, Shapes, Skeleton, assemble
from .animals_builds import make_animal

VERTICES = 4500  # aimed at, whatever the animal
BLEND = 0.45  # of the thinner shape's radius: how wide two shapes melt together
SMOOTHINGS = 3  # rounds of averaging the weights over a vertex's neighbours
CORNERS = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
EDGES = np.array(
    [(a, c) for a in range(8) for c in range(a + 1, 8) if np.abs(CORNERS[a] - CORNERS[c]).sum() == 1]
)  # (12, 2)


@dataclass(frozen=True)
class Body:
    """An individual ready to move. vertices : (V, 3) float32 in the bind pose. triangles : (K, 3) int64, facing
    outward. labels : (V,) int64 into PARTS. weights : (V, B) float32, rows sum to 1. spread : (V, 4 B) float32, each
    weight times the homogeneous vertex, so that posing all frames is one matrix product."""

    skeleton: Skeleton
    vertices: np.ndarray
    triangles: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    spread: np.ndarray

    def move(self, transforms: np.ndarray) -> np.ndarray:
        """transforms (F, B, 3, 4), bind pose to posed -> vertices (F, V, 3) float32."""
        frames, bones = transforms.shape[:2]
        columns = transforms.transpose(1, 3, 0, 2).reshape(4 * bones, 3 * frames).astype(np.float32)
        return np.ascontiguousarray((self.spread @ columns).reshape(-1, frames, 3).transpose(1, 0, 2))


@lru_cache(maxsize=8)  # an individual's clips are usually made one after another
def make_body(category: str, identity: int, seed: int = 0) -> Body:
    """The body of an individual, a pure function of its arguments."""
    skeleton, shapes = assemble(make_animal(category, identity, seed))
    cell = cell_size(shapes)
    radii = np.maximum(
        shapes.radii, 0.85 * cell / np.minimum(1, shapes.thickness**0.5)[:, None]
    )  # nothing thinner than the grid can hold
    low = (shapes.ends - radii.max(1)[:, None, None]).min((0, 1)) - 2.5 * cell
    high = (shapes.ends + radii.max(1)[:, None, None]).max((0, 1)) + 2.5 * cell
    field = np.full(np.ceil((high - low) / cell).astype(int) + 1, 1e3)
    rows, width = prepare(shapes.ends, radii, shapes.flat, shapes.thickness), BLEND * radii.min(1)
    melt(field, low, cell, shapes.ends, radii.max(1) + width + 2 * cell, rows, width)
    vertices, triangles = surface_nets(field)
    vertices = low + cell * vertices
    distance = distances(vertices, rows)
    weights = skin_weights(distance, shapes, radii, triangles)
    homogeneous = np.concatenate([vertices, np.ones((len(vertices), 1))], 1)
    spread = (weights[:, :, None] * homogeneous[:, None]).reshape(len(vertices), -1)
    return Body(
        skeleton,
        vertices.astype(np.float32),
        triangles,
        shapes.part[distance.argmin(1)],
        weights.astype(np.float32),
        spread.astype(np.float32),
    )


def cell_size(shapes: Shapes) -> float:
    """The grid's step for about VERTICES vertices: from the summed side areas of the shapes."""
    length = np.linalg.norm(shapes.ends[:, 1] - shapes.ends[:, 0], axis=1)
    area = (np.pi * shapes.radii.sum(1) * (length + 0.5 * shapes.radii.sum(1)) * (0.5 + 0.5 * shapes.thickness)).sum()
    return float(np.sqrt(0.92 * area / VERTICES))


def prepare(ends: np.ndarray, radii: np.ndarray, flat: np.ndarray, thickness: np.ndarray) -> np.ndarray:
    """The shapes as rows of numbers (P, 14) that ``_distance`` reads: start, stretched axis over its squared length,
    axis, radius and its change, flattening direction times its stretch, and the scale back to metres."""
    stretch = 1 / thickness - 1
    axis = ends[:, 1] - ends[:, 0]
    axis = axis + (stretch * (axis * flat).sum(1))[:, None] * flat
    squared = (axis**2).sum(1) + 1e-12
    return np.column_stack(
        [ends[:, 0], axis, flat, stretch, 1 / squared, radii[:, 0], radii[:, 1] - radii[:, 0], np.sqrt(thickness)]
    )


@njit(cache=True)
def _distance(x, y, z, s, p):
    """Signed distance of a place to shape p: how far the radius at the nearest place of its axis is exceeded."""
    x, y, z = x - s[p, 0], y - s[p, 1], z - s[p, 2]
    across = (x * s[p, 6] + y * s[p, 7] + z * s[p, 8]) * s[p, 9]
    x, y, z = x + across * s[p, 6], y + across * s[p, 7], z + across * s[p, 8]
    t = min(1.0, max(0.0, (x * s[p, 3] + y * s[p, 4] + z * s[p, 5]) * s[p, 10]))
    x, y, z = x - t * s[p, 3], y - t * s[p, 4], z - t * s[p, 5]
    return (np.sqrt(x * x + y * y + z * z) - s[p, 11] - t * s[p, 12]) * s[p, 13]


@njit(cache=True)
def melt(field, low, cell, ends, reach, rows, width):
    """Blend the shapes into ``field`` (X, Y, Z) in place; each touches only the cells within ``reach`` (P,) of its
    axis."""
    first, last = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for p in range(len(ends)):
        for k in range(3):
            first[k] = max(0, int((min(ends[p, 0, k], ends[p, 1, k]) - reach[p] - low[k]) / cell))
            last[k] = min(field.shape[k], int((max(ends[p, 0, k], ends[p, 1, k]) + reach[p] - low[k]) / cell) + 2)
        w = width[p]
        for i in range(first[0], last[0]):
            for j in range(first[1], last[1]):
                for k in range(first[2], last[2]):
                    d = _distance(low[0] + i * cell, low[1] + j * cell, low[2] + k * cell, rows, p)
                    old = field[i, j, k]
                    h = max(w - abs(old - d), 0.0)
                    field[i, j, k] = min(old, d) - h * h * 0.25 / w


@njit(cache=True)
def distances(places, rows):
    """Signed distances of places (V, 3) to every shape -> (V, P)."""
    out = np.empty((len(places), len(rows)))
    for v in range(len(places)):
        for p in range(len(rows)):
            out[v, p] = _distance(places[v, 0], places[v, 1], places[v, 2], rows, p)
    return out


def where(mask: np.ndarray) -> np.ndarray:
    """``np.argwhere``, several times faster on a large sparse mask."""
    return np.stack(np.unravel_index(np.flatnonzero(mask), mask.shape), 1)


def surface_nets(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The zero level of a field (X, Y, Z), positive at its border -> vertices (V, 3) in grid steps, triangles (K, 3)
    int64.

    A cell that the surface crosses holds one vertex, the mean of its edges' crossings; a grid edge that is crossed
    joins the four cells around it by two triangles, facing the positive side. The mesh is closed; where two sheets pass
    through one cell they share its vertex, so a few edges belong to four triangles.
    """
    inside = field < 0
    crossed = np.zeros(np.array(field.shape) - 1, np.int8)
    corner = lambda values, c: values[tuple(slice(o, n - 1 + o) for o, n in zip(c, values.shape))]
    for c in CORNERS:
        crossed += corner(inside, c)
    cells = where((crossed > 0) & (crossed < 8))  # (V, 3)
    number = np.full(crossed.shape, -1, np.int64)
    number[tuple(cells.T)] = np.arange(len(cells))
    values = np.stack([field[tuple((cells + c).T)] for c in CORNERS], 1)  # (V, 8)
    a, c = values[:, EDGES[:, 0]], values[:, EDGES[:, 1]]
    hit = (a < 0) != (c < 0)
    t = np.where(hit, a / np.where(hit, a - c, 1), 0)[..., None]
    places = CORNERS[EDGES[:, 0]] + t * (CORNERS[EDGES[:, 1]] - CORNERS[EDGES[:, 0]])  # (V, 12, 3)
    vertices = cells + (places * hit[..., None]).sum(1) / hit.sum(1, keepdims=True)

    quads = []
    for axis in range(3):
        one, two = np.eye(3, dtype=int)[(axis + 1) % 3], np.eye(3, dtype=int)[(axis + 2) % 3]
        here = inside.take(range(field.shape[axis] - 1), axis)
        there = inside.take(range(1, field.shape[axis]), axis)
        edge = where(here != there)
        around = np.stack([number[tuple((edge - shift).T)] for shift in (0 * one, one, one + two, two)], 1)  # (E, 4)
        outward = here[tuple(edge.T)]
        quads.append(np.where(outward[:, None], around, around[:, ::-1]))
    quad = np.concatenate(quads)
    return vertices, np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])


def skin_weights(distance: np.ndarray, shapes: Shapes, radii: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """distance (V, P) -> weights (V, B): the nearest bone and its neighbours in the skeleton, softly by distance, then
    averaged over the surface. Bones apart in the skeleton never share a vertex by nearness, however close they lie."""
    count = len(distance)
    to_bone = np.full((count, len(BONES)), np.inf, np.float32)
    softness = np.ones(len(BONES), np.float32)
    for bone in np.unique(shapes.bone):
        mine = shapes.bone == bone
        to_bone[:, bone] = distance[:, mine].min(1)
        softness[bone] = 0.30 * radii[mine].mean()
    related = np.eye(len(BONES), dtype=bool)
    for child, parent in PARENTS.items():
        if parent is not None:
            i, j = BONES.index(child), BONES.index(parent)
            related[i, j] = related[j, i] = True
    nearest = to_bone.argmin(1)
    excess = to_bone - to_bone.min(1, keepdims=True)
    weights = np.where(related[nearest], np.exp(-excess / softness[nearest, None]), np.float32(0))
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    ends = np.concatenate([ends, ends[:, ::-1]])
    edges = coo_matrix((np.ones(len(ends), np.float32), (ends[:, 0], ends[:, 1])), (count, count)).tocsr()
    edges.data[:] = 1  # an edge counts once, however many triangles share it
    average = diags(1 / np.maximum(np.asarray(edges.sum(1)).ravel(), 1)).astype(np.float32) @ edges
    weights /= weights.sum(1, keepdims=True)
    for _ in range(SMOOTHINGS):
        weights = np.float32(0.5) * (weights + average @ weights)
    return weights / weights.sum(1, keepdims=True)
