"""What is done to a thing in ``synthetic-scenes``: key moments, and the hand's and the thing's place in every frame.

Part of the STAND-IN ``synthetic-scenes`` (see ``scenes.py``). World: right, up, away from the person, metres, the table
at height 0. The hand is described by how near it is (0 rests at the table's edge, 1 touches) and how closed; the thing
by where it was carried, how far it tips and how far it stands open. Nothing but the hand moves before it touches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .assembly import Place
from .body import rotation, unit
from .hand import PALM
from .motions import FRAMES_PER_SECOND, monotone_cubic
from .things import Thing, moving_place

DONE_TO = {
    "grasp": ("mug", "bottle", "box", "ball", "kettle", "bowl", "toy car"),
    "lift": ("bottle", "mug", "ball", "box", "kettle", "toy car", "bowl"),
    "place": ("box", "ball", "mug", "toy car", "bottle"),
    "pour": ("mug", "bottle", "kettle"),
    "push": ("toy car", "box", "bowl", "mug", "ball"),
    "open": ("laptop", "drawer"),
    "close": ("drawer", "laptop"),
}
ACTIONS = tuple(DONE_TO)
NEAR, CLOSED, CARRY, TILT, OPENING = 0, 1, slice(2, 5), 5, 6  # columns of a key
REST = np.array([0.28, 0.055, -0.15])  # where the hand waits


@dataclass(frozen=True)
class Play:
    """F frames of one performance, world coordinates. thing : Place of the thing acted on; opening (F,) of its lid or
    drawer. hand : Place; closed (F,); near (F,); width : of what it closes around."""

    thing: Place
    opening: np.ndarray
    hand: Place
    closed: np.ndarray
    near: np.ndarray
    width: float


def key(
    seconds: float, near: float, closed: float = 0.0, carry=(0, 0, 0), tilt: float = 0.0, opening: float = 0.0
) -> tuple[float, np.ndarray]:
    """A key moment: seconds since the one before, and the seven channels."""
    return seconds, np.array([near, closed, *carry, tilt, opening], float)


def keys_of(action: str, goal: np.ndarray, height: float, tilt: float) -> list[tuple[float, np.ndarray]]:
    """The key moments of an action. goal (3,) : where the thing is carried, from where it stood. height : of the
    lift, metres. tilt : degrees it is tipped to the left when pouring."""
    over = np.array([0, height, 0])
    shut = 1.0 if action == "close" else 0.0
    reach = [key(0.2, 0, opening=shut), key(0.65, 0.7, opening=shut), key(0.35, 1, opening=shut)]
    take = [*reach, key(0.3, 1, 1, opening=shut)]
    if action == "grasp":
        return [*take, key(0.9, 1, 1)]
    if action == "lift":
        return [*take, key(0.15, 1, 1), key(0.7, 1, 1, over), key(0.4, 1, 1, 1.05 * over)]
    if action == "place":
        there = np.asarray(goal)
        return [
            *take,
            key(0.35, 1, 1, 0.25 * there + over),
            key(0.5, 1, 1, there + over),
            key(0.35, 1, 1, there),
            key(0.25, 1, 0, there),
            key(0.5, 0.55, 0, there),
        ]
    if action == "pour":
        before = np.array([0.4, 0.6, 0.5]) * goal
        return [
            *take,
            key(0.6, 1, 1, before),
            key(0.55, 1, 1, goal, tilt),
            key(0.8, 1, 1, goal, 1.08 * tilt),
            key(0.5, 1, 1, before),
            key(0.3, 1, 1, before),
        ]
    if action == "push":
        return [*reach, key(0.12, 1), key(0.9, 1, 0, goal), key(0.12, 1, 0, goal), key(0.5, 0.6, 0, goal)]
    moved = 1.0 - shut
    return [
        *take,
        key(0.15, 1, 1, opening=shut),
        key(0.9, 1, 1, opening=moved),
        key(0.2, 1, 0, opening=moved),
        key(0.5, 0.5, 0, opening=moved),
    ]


def facing(ahead, palm) -> np.ndarray:
    """Hand axes (3, 3): fingers along ``ahead``, the palm towards ``palm`` as nearly as it can."""
    ahead = unit(np.asarray(ahead, float))
    palm = np.asarray(palm, float)
    palm = unit(palm - (palm @ ahead) * ahead)
    return np.stack([np.cross(palm, ahead), palm, ahead], 1)


RESTING = facing((-0.35, 0.05, 0.95), (-0.5, -0.85, 0))


def grip_of(thing: Thing, action: str) -> tuple[np.ndarray, np.ndarray]:
    """How the hand holds a thing, in the thing's coordinates (in those of its lid or drawer, if that is taken): axes
    (3, 3), origin (3,)."""
    grip = np.array(thing.grip)
    if action == "push":
        axes = facing((-0.12, -0.02, 1.0), (-1, 0, 0))
        return axes, np.array([thing.reach + 0.003, max(0.6 * thing.grip[1], 0.048), -0.03])
    if thing.hold == "side":
        axes = facing((-0.5, -0.03, 0.87), (-0.87, 0, -0.5))
        origin = grip - (0.5 * thing.width + 0.003) * axes[:, 1] - 0.034 * axes[:, 2]
    elif thing.hold == "top":
        axes = facing((-0.30, -0.62, 0.75), (-0.1, -1, -0.6))
        origin = grip - (0.34 * thing.width + 0.006) * axes[:, 1] - 0.045 * axes[:, 2]
    else:
        axes = facing((-0.22, -0.10, 0.97), (0, -1, 0.1))
        origin = grip - (PALM + 0.042) * axes[:, 2] - 0.016 * axes[:, 1]
    return axes, np.array([origin[0], max(origin[1], 0.045), origin[2]])


def play(
    action: str,
    thing: Thing,
    start: Place,
    goal: np.ndarray,
    height: float,
    tilt: float,
    tempo: float,
    moment: np.random.Generator,
) -> Play:
    """Perform an action on a thing that stands at ``start`` ((3, 3), (3,)). tempo multiplies every duration."""
    keys = keys_of(action, goal, height, tilt)
    times = np.cumsum([tempo * seconds * np.exp(0.12 * moment.standard_normal()) for seconds, _ in keys])
    times -= times[0]
    at = np.arange(0, times[-1], 1 / FRAMES_PER_SECOND)
    tracks = monotone_cubic(times, np.stack([values for _, values in keys]), at)  # (F, 7)
    near, closed, opening = tracks[:, NEAR], tracks[:, CLOSED], tracks[:, OPENING]
    still = np.zeros(len(at))

    axes, origin = start
    grip_axes, grip_origin = grip_of(thing, action)
    tip = rotation(still, still, -tracks[:, TILT])
    place = tip @ axes, origin + tracks[:, CARRY]
    held = place
    if thing.hold == "edge":
        moving = moving_place(thing, place, opening)
        # the hand goes where the edge goes, but its own turn is a third of a lid's
        partly = (
            rotation(still, 0.33 * thing.travel * opening, still)
            if thing.hinge is not None
            else np.broadcast_to(np.eye(3), tip.shape)
        )
        edge = np.einsum("fij,j->fi", moving[0], np.array(thing.grip)) + moving[1]
        held = axes @ partly, edge - np.einsum("fij,j->fi", axes @ partly, np.array(thing.grip))
    touch_axes = held[0] @ grip_axes
    touch = np.einsum("fij,j->fi", held[0], grip_origin) + held[1]

    rest = REST + moment.normal(0, 0.015, 3)
    blend = near[:, None]
    arch = 0.05 * np.sin(np.pi * near)[:, None] * (0.3 if action == "push" else 1.0)
    palm = touch + (1 - blend) * (rest - touch) + arch * np.array([0.6, 1.0, -0.2])
    ahead = unit((1 - blend) * RESTING[:, 2] + blend * touch_axes[:, :, 2])
    towards = (1 - blend) * RESTING[:, 1] + blend * touch_axes[:, :, 1]
    towards = unit(towards - (towards * ahead).sum(-1, keepdims=True) * ahead)
    hand = np.stack([np.cross(towards, ahead), towards, ahead], -1), palm
    return Play(place, opening, hand, closed, near, 0.09 if thing.hold == "edge" else thing.width)
