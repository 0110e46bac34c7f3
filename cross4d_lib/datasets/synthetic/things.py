"""The things on the table of ``synthetic-scenes``: their shapes, how a hand takes them, and what of them moves.

Part of the STAND-IN ``synthetic-scenes`` (see ``scenes.py``). A thing's own coordinates: right, up, away from the
person, metres, its foot at 0. It is made of the shapes of ``assembly.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .assembly import Block, Place, Rod
from .body import rotation
from .solids import BOX, CUP, TUBE

KINDS = ("mug", "bottle", "bowl", "box", "ball", "kettle", "laptop", "drawer", "toy car")


@dataclass(frozen=True)
class Thing:
    """kind : one of KINDS. shapes : Rods and Blocks. grip : where the hand takes it (3,). width : of what the hand
    closes around, metres. hold : "side" (palm towards the thing), "top" (palm down) or "edge" (fingertips on a lid or
    handle). hinge : a point (3,) of the axis, along right, about which the moving shapes turn by ``travel`` degrees;
    None: they slide ``travel`` metres towards the person. reach : half its width. mouth : where it pours from
    (3,)."""

    kind: str
    shapes: tuple
    grip: tuple
    width: float
    hold: str
    reach: float
    hinge: tuple | None = None
    travel: float = 0.0
    mouth: tuple = (0.0, 0.0, 0.0)


def ring(places: list[tuple], radius: float) -> list[Rod]:
    """Rods from place to place: a handle or a spout."""
    return [Rod(a, b, radius, radius) for a, b in zip(places, places[1:])]


def make_thing(kind: str, rng: np.random.Generator) -> Thing:
    """A thing of that kind, its size drawn from ``rng``."""
    grow = float(np.exp(rng.normal(0, 0.06)))
    vary = lambda low, high: float(rng.uniform(low, high)) * grow
    return _MAKERS[kind](vary)


def _mug(vary) -> Thing:
    r, h = vary(0.038, 0.046), vary(0.085, 0.105)
    handle = ring(
        [
            (0.45 * r, 0.8 * h, -0.85 * r),
            (0.85 * r, 0.78 * h, -1.5 * r),
            (0.85 * r, 0.30 * h, -1.5 * r),
            (0.45 * r, 0.22 * h, -0.85 * r),
        ],
        0.007,
    )
    return Thing(
        "mug",
        (Block(CUP, (0.94 * r, h / 2, r), (0, h / 2, 0)), *handle),
        (0, 0.5 * h, 0),
        2 * r,
        "side",
        r,
        mouth=(-r, h, 0),
    )


def _bottle(vary) -> Thing:
    r, h, neck = vary(0.032, 0.039), vary(0.13, 0.17), vary(0.05, 0.07)
    shapes = (
        Block(TUBE, (r, h / 2, r), (0, h / 2, 0)),
        Block(TUBE, (r, 0.02, 0.45 * r), (0, h + 0.02, 0)),
        Block(TUBE, (0.42 * r, neck / 2, 0.38 * r), (0, h + 0.03 + neck / 2, 0)),
    )
    return Thing("bottle", shapes, (0, 0.55 * h, 0), 2 * r, "side", r, mouth=(-0.3 * r, h + neck + 0.03, 0))


def _bowl(vary) -> Thing:
    r, h = vary(0.072, 0.09), vary(0.055, 0.07)
    return Thing(
        "bowl",
        (Block(CUP, (0.45 * r, h / 2, r), (0, h / 2, 0)), Block(TUBE, (0.45 * r, 0.005, 0.42 * r), (0, 0.005, 0))),
        (0.62 * r, 0.75 * h, 0),
        0.5 * r,
        "side",
        r,
    )


def _box(vary) -> Thing:
    x, y, z = vary(0.042, 0.06), vary(0.035, 0.055), vary(0.032, 0.042)
    return Thing("box", (Block(BOX, (x, y, z), (0, y, 0)),), (0, 1.75 * y, 0), 2 * z, "top", x)


def _ball(vary) -> Thing:
    r = vary(0.034, 0.048)
    return Thing("ball", (Rod((0, r, 0), (0, r, 0.001), r, r),), (0, 1.2 * r, 0), 1.8 * r, "top", r)


def _kettle(vary) -> Thing:
    r, h = vary(0.062, 0.075), vary(0.11, 0.14)
    spout = (Rod((-0.8 * r, 0.45 * h, 0), (-1.55 * r, 0.95 * h, 0), 0.016, 0.010),)
    handle = ring(
        [(0.72 * r, 0.92 * h, 0), (1.55 * r, 0.95 * h, 0), (1.65 * r, 0.35 * h, 0), (0.92 * r, 0.25 * h, 0)], 0.010
    )
    body = (
        Block(TUBE, (r, h / 2, 0.72 * r), (0, h / 2, 0)),
        Block(TUBE, (0.6 * r, 0.008, 0.3 * r), (0, h + 0.008, 0)),
        Rod((0, h + 0.022, 0), (0, h + 0.03, 0), 0.011, 0.011),
    )
    return Thing(
        "kettle",
        (*body, *spout, *handle),
        (1.6 * r, 0.62 * h, 0),
        0.022,
        "side",
        1.2 * r,
        mouth=(-1.6 * r, 0.98 * h, 0),
    )


def _laptop(vary) -> Thing:
    x, z = vary(0.13, 0.155), vary(0.088, 0.105)
    base, lid = Block(BOX, (x, 0.007, z), (0, 0.007, 0)), Block(BOX, (x, 0.004, z), (0, 0.019, 0), moving=True)
    return Thing(
        "laptop", (base, lid), (0.25 * x, 0.022, -z), 0.008, "edge", x, hinge=(0, 0.017, z), travel=vary(100, 115)
    )


def _drawer(vary) -> Thing:
    x, y, z = vary(0.115, 0.14), vary(0.062, 0.078), vary(0.085, 0.10)
    inner, low = 0.9 * x, 0.25 * y
    tray = (
        Block(BOX, (0.94 * x, 0.80 * y, 0.006), (0, y, -z - 0.007), moving=True),
        Block(BOX, (inner, 0.004, 0.9 * z), (0, low, -0.06 * z), moving=True),
        Block(BOX, (0.004, 0.55 * y, 0.9 * z), (-inner, 0.85 * y, -0.06 * z), moving=True),
        Block(BOX, (0.004, 0.55 * y, 0.9 * z), (inner, 0.85 * y, -0.06 * z), moving=True),
        Rod((-0.35 * x, 1.1 * y, -z - 0.033), (0.35 * x, 1.1 * y, -z - 0.033), 0.008, 0.008, moving=True),
        Rod((-0.33 * x, 1.1 * y, -z - 0.033), (-0.33 * x, 1.1 * y, -z - 0.01), 0.006, 0.006, moving=True),
        Rod((0.33 * x, 1.1 * y, -z - 0.033), (0.33 * x, 1.1 * y, -z - 0.01), 0.006, 0.006, moving=True),
    )
    return Thing(
        "drawer",
        (Block(BOX, (x, y, z), (0, y, 0)), *tray),
        (0, 1.1 * y, -z - 0.033),
        0.016,
        "edge",
        x,
        travel=vary(0.10, 0.13),
    )


def _toy_car(vary) -> Thing:
    x, y, z = vary(0.060, 0.075), vary(0.016, 0.020), vary(0.030, 0.036)
    wheel = lambda sx, sz: Block(
        TUBE, (0.019, 0.007, 0.019), (sx * 0.62 * x, 0.019, sz * z), ((1, 0, 0), (0, 0, 1), (0, -1, 0))
    )
    body = (
        Block(BOX, (x, y, z), (0, 0.016 + y, 0)),
        Block(BOX, (0.5 * x, 0.8 * y, 0.88 * z), (0.1 * x, 0.014 + 2.7 * y, 0)),
    )
    return Thing(
        "toy car",
        (*body, *(wheel(sx, sz) for sx in (-1, 1) for sz in (-1, 1))),
        (0.5 * x, 0.02 + 2.2 * y, 0),
        2 * z,
        "top",
        x,
    )


_MAKERS = {
    "mug": _mug,
    "bottle": _bottle,
    "bowl": _bowl,
    "box": _box,
    "ball": _ball,
    "kettle": _kettle,
    "laptop": _laptop,
    "drawer": _drawer,
    "toy car": _toy_car,
}


def moving_place(thing: Thing, place: Place, opening: np.ndarray) -> Place:
    """Where a thing's lid or drawer is. opening : (F,), 0 shut, 1 open."""
    axes, origin = place
    still = 0.0 * opening
    if thing.hinge is None:
        return axes, origin + np.einsum("fij,fj->fi", axes, np.stack([still, still, -thing.travel * opening], -1))
    turn = rotation(still, thing.travel * opening, still)
    hinge = np.asarray(thing.hinge, float)
    return axes @ turn, origin + np.einsum("fij,fj->fi", axes, hinge - turn @ hinge)
