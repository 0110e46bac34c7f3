"""A hand with five fingers and its forearm, as capsules; it opens and closes around what it takes.

Part of the STAND-IN ``synthetic-scenes`` (see ``scenes.py``). The hand's axes: columns are towards the thumb, out of
the palm, along the fingers; its origin is the middle of the palm's surface. A right hand; the left one is seen in a
mirrored world.
"""

from __future__ import annotations

import numpy as np

from .assembly import Assembly
from .body import unit

PALM, THICK = 0.046, 0.017  # metres: palm centre to knuckles, half the palm's thickness
BONES = np.array(
    [[0.040, 0.024, 0.020], [0.045, 0.028, 0.022], [0.041, 0.026, 0.021], [0.032, 0.020, 0.018]]
)  # index to little finger
ACROSS = (0.032, 0.011, -0.011, -0.031)  # where the knuckles lie
STRAIGHT = np.array([8.0, 12.0, 8.0])  # degrees each joint of an open hand is bent


def bends(width: float, size: float) -> np.ndarray:
    """Degrees (4, 3) the joints of the four fingers are bent around something ``width`` metres thick: bone after bone
    along its round."""
    around = np.degrees(BONES * size / (width / 2 + 0.016))
    return np.clip(around * np.array([0.95, 1.0, 0.9]), 14, 88)


def add_hand(
    stage: Assembly,
    axes: np.ndarray,
    origin: np.ndarray,
    closed: np.ndarray,
    width: float,
    elbow: np.ndarray,
    size: float,
    sleeve: float,
    part: int,
) -> None:
    """Add the hand to the stage. axes (F, 3, 3), origin (F, 3), closed (F,) from 0 open to 1 closed around ``width``
    metres.

    elbow : (F, 3), where the forearm comes from. size : multiplies every length. sleeve : metres added to the forearm's
    radius.
    """
    thumb, palm, ahead = axes[..., 0], axes[..., 1], axes[..., 2]
    at = lambda t, p, a: origin + size * (t * thumb + p * palm + a * ahead)
    rod = lambda a, b, radius_a, radius_b, **flat: stage.rod(a, b, size * radius_a, size * radius_b, part, **flat)
    for across in (0.022, -0.020):
        rod(at(0.8 * across, -THICK, -0.030), at(across, -THICK, 0.9 * PALM), 0.021, 0.019, flat=palm, flatness=0.75)

    angle = STRAIGHT + closed[:, None, None] * (bends(width, size) - STRAIGHT)  # (F, 4, 3)
    for finger, across in enumerate(ACROSS):
        joint, total = at(across, -0.9 * THICK, PALM), np.zeros(len(closed))
        for bone in range(3):
            total = total + np.radians(angle[:, finger, bone])
            after = joint + size * BONES[finger, bone] * (
                np.cos(total)[:, None] * ahead + np.sin(total)[:, None] * palm
            )
            rod(joint, after, 0.0095 - 0.001 * bone, 0.0085 - 0.001 * bone)
            joint = after

    k = closed[:, None]
    first = unit(
        (1 - k) * (0.75 * thumb + 0.15 * palm + 0.65 * ahead) + k * (0.35 * thumb + 0.85 * palm + 0.25 * ahead)
    )
    second = unit(
        (1 - k) * (0.55 * thumb + 0.20 * palm + 0.80 * ahead) + k * (0.05 * thumb + 0.80 * palm + 0.60 * ahead)
    )
    root = at(0.030, -0.6 * THICK, -0.022)
    middle = root + size * 0.042 * first
    rod(at(0.015, -0.8 * THICK, -0.035), root, 0.018, 0.015)
    rod(root, middle, 0.014, 0.011)
    rod(middle, middle + size * 0.036 * second, 0.011, 0.009)

    wrist = at(0, -THICK, -0.060)
    arm, long = unit(elbow - wrist), np.linalg.norm(elbow - wrist, axis=-1, keepdims=True)
    rod(at(0, -THICK, -0.03), wrist, 0.026, 0.024, flat=palm, flatness=0.8)
    rod(wrist, wrist + 0.09 * size * arm, 0.025, 0.029 + 0.3 * sleeve)
    rod(wrist + 0.08 * size * arm, wrist + np.maximum(long, 0.26 * size) * arm, 0.031 + sleeve, 0.043 + sleeve)
