"""Putting capsules and solids together: what is described in a thing's own coordinates is placed frame by frame.

Part of the STAND-INS ``synthetic-scenes`` and ``synthetic-interactions``. A *place* is (axes (F, 3, 3), origin (F, 3)):
columns of ``axes`` are the thing's right, up and away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .body import Capsules
from .solids import Solids

Place = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Rod:
    """A tapered capsule from a to b (3,), metres. flat : direction of flattening; flatness : thickness along it. moving
    : it belongs to the thing's lid or drawer."""

    a: tuple
    b: tuple
    radius_a: float
    radius_b: float
    flat: tuple = (0.0, 0.0, 1.0)
    flatness: float = 1.0
    moving: bool = False


@dataclass(frozen=True)
class Block:
    """A box or tube around ``at``; kind and size as in ``Solids``, axes : its own axes as rows. moving : as for a
    Rod."""

    kind: int
    size: tuple
    at: tuple
    axes: tuple = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    moving: bool = False


class Assembly:
    """Collects Rods and Blocks of F frames in world coordinates."""

    def __init__(self, frames: int):
        self.frames = frames
        self._rods, self._blocks = [], []

    def rod(
        self,
        a: np.ndarray,
        b: np.ndarray,
        radius_a: float,
        radius_b: float,
        part: int,
        flat: np.ndarray | None = None,
        flatness: float = 1.0,
    ) -> None:
        """A capsule between a and b (F, 3) or (3,), flattened along ``flat``."""
        wide = lambda vector: np.broadcast_to(np.asarray(vector, float), (self.frames, 3))
        self._rods.append(
            (
                np.stack([wide(a), wide(b)], 1),
                (radius_a, radius_b),
                wide((0, 0, 1) if flat is None else flat),
                flatness,
                part,
            )
        )

    def add(self, shapes, place: Place, part: int, moving: Place | None = None) -> None:
        """Pieces of a thing at ``place``; those marked moving at ``moving``."""
        for shape in shapes:
            axes, origin = moving if shape.moving else place
            put = lambda point, axes=axes, origin=origin: axes @ np.asarray(point, float) + origin
            if isinstance(shape, Rod):
                self.rod(
                    put(shape.a),
                    put(shape.b),
                    shape.radius_a,
                    shape.radius_b,
                    part,
                    axes @ np.asarray(shape.flat),
                    shape.flatness,
                )
            else:
                self._blocks.append(
                    (shape.kind, axes @ np.asarray(shape.axes, float).T, put(shape.at), shape.size, part)
                )

    def capsules(self) -> Capsules:
        """All rods, in the order they were added."""
        ends, radii, flat, flatness, part = zip(*self._rods)
        return Capsules(
            np.stack(ends, 1), np.array(radii), np.stack(flat, 1), np.array(flatness), np.array(part, np.int64)
        )

    def solids(self) -> Solids:
        """All boxes and tubes, in the order they were added."""
        if not self._blocks:
            return Solids(
                np.zeros(0, np.int64),
                np.zeros((self.frames, 0, 3, 3)),
                np.zeros((self.frames, 0, 3)),
                np.zeros((0, 3)),
                np.zeros(0, np.int64),
            )
        kind, axes, centre, size, part = zip(*self._blocks)
        return Solids(
            np.array(kind, np.int64),
            np.stack(axes, 1),
            np.stack(centre, 1),
            np.array(size, float),
            np.array(part, np.int64),
        )


def pick(capsules: Capsules, solids: Solids, chosen: np.ndarray) -> tuple[Capsules, Solids]:
    """Some of the frames."""
    return replace(capsules, ends=capsules.ends[chosen], flat_axis=capsules.flat_axis[chosen]), replace(
        solids, axes=solids.axes[chosen], centre=solids.centre[chosen]
    )


def standing(frames: int, at, turn: float = 0.0) -> Place:
    """A place that stays: upright at ``at`` (3,), turned by ``turn`` degrees about the vertical (from away towards
    right)."""
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    axes = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return np.broadcast_to(axes, (frames, 3, 3)), np.broadcast_to(np.asarray(at, float), (frames, 3))


def see(capsules: Capsules, solids: Solids, turn: np.ndarray, shift: np.ndarray) -> tuple[Capsules, Solids]:
    """World to camera coordinates: p -> turn p + shift. turn : (F, 3, 3) or (3, 3). shift : (F, 3) or (3,)."""
    turn = np.broadcast_to(turn, (len(capsules.ends), 3, 3))
    shift = np.broadcast_to(shift, (len(turn), 3))
    carry = lambda points: np.einsum("fij,fp...j->fp...i", turn, points)
    there = lambda points: carry(points) + shift.reshape(len(turn), *[1] * (points.ndim - 2), 3)
    seen = replace(capsules, ends=there(capsules.ends), flat_axis=carry(capsules.flat_axis))
    return seen, replace(solids, axes=turn[:, None] @ solids.axes, centre=there(solids.centre))
