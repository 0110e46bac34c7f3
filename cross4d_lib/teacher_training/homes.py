"""Which surface point a photographed point is: where it was in its clip's first frame (its *home*), from the body that
was photographed.

A depth camera sees other points in every frame. The bodies of the embedded worlds are rigid pieces, so a point is
carried back with the piece it lies on. Two points of a clip with one home are one place of the body at two moments. No
part is named by it, no class.
"""

from __future__ import annotations

import numpy as np

from ..datasets.synthetic.body import Capsules, unit
from ..datasets.synthetic.solids import BOX, Solids

TINY = 1e-9


def capsule_frames(capsules: Capsules) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Own axes (F, P, 3, 3) of every capsule (columns: along, flat, across), its origin (F, P, 3) and its length (F,
    P)."""
    along = capsules.ends[:, :, 1] - capsules.ends[:, :, 0]
    length = np.linalg.norm(along, axis=-1)
    flat = capsules.flat_axis
    along = np.where(
        length[..., None] > 1e-6, along, np.roll(flat, 1, -1)
    )  # a ball has no axis: any that turns with it
    along = unit(along)
    flat = unit(flat - (flat * along).sum(-1, keepdims=True) * along)
    return np.stack([along, flat, np.cross(along, flat)], -1), capsules.ends[:, :, 0], length


def homes(points: np.ndarray, capsules: Capsules, solids: Solids) -> np.ndarray:
    """Where each point of a photographed clip was in its first frame: (F, n, 3) -> (F, n, 3) float32, same coordinates.

    A point belongs to the piece whose surface is nearest, and moves with it; along a capsule whose length changes it
    keeps its share.
    """
    axes, origin, length = capsule_frames(capsules)
    found = np.empty(points.shape, np.float32)
    for f, cloud in enumerate(points.astype(np.float64)):
        on_capsules = np.einsum("npi,pij->npj", cloud[:, None] - origin[f], axes[f])  # (n, P, 3): along, flat, across
        share = (on_capsules[..., 0] / np.maximum(length[f], 1e-6)).clip(0, 1)
        beyond = on_capsules[..., 0] - share * length[f]
        radius = capsules.radii[:, 0] + share * (capsules.radii[:, 1] - capsules.radii[:, 0])
        gap = np.abs(
            np.sqrt(beyond**2 + (on_capsules[..., 1] / capsules.flatness) ** 2 + on_capsules[..., 2] ** 2) - radius
        )
        at_first = np.stack([share * length[0] + beyond, on_capsules[..., 1], on_capsules[..., 2]], -1)
        back = np.einsum("npj,pij->npi", at_first, axes[0]) + origin[0]
        if len(solids.kind):
            on_solids = np.einsum("npi,pij->npj", cloud[:, None] - solids.centre[f], solids.axes[f])  # (n, P, 3)
            gap = np.concatenate([gap, np.abs(outside(on_solids, solids))], 1)
            back = np.concatenate([back, np.einsum("npj,pij->npi", on_solids, solids.axes[0]) + solids.centre[0]], 1)
        found[f] = back[np.arange(len(cloud)), gap.argmin(1)]
    return found


def outside(places: np.ndarray, solids: Solids) -> np.ndarray:
    """How far places (n, P, 3), each in a solid's own axes, lie outside of its surface, about: (n, P), negative
    inside."""
    box = (np.abs(places) - solids.size).max(-1)
    height = (places[..., 1] / np.maximum(solids.size[:, 1], TINY)).clip(-1, 1)
    radius = solids.size[:, 0] + (height + 1) / 2 * (solids.size[:, 2] - solids.size[:, 0])
    tube = np.maximum(np.hypot(places[..., 0], places[..., 2]) - radius, np.abs(places[..., 1]) - solids.size[:, 1])
    return np.where(solids.kind == BOX, box, tube)
