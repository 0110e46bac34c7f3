"""The 20 actions of MSR-Action3D as tables of key poses, and how they become a pose for every frame.

Part of the STAND-IN ``synthetic-actions`` (see ``actions.py``). A key says how long the move towards it takes and which
channels leave the rest pose; everything not named is at rest. Written for a right-handed subject; a left-handed one
plays the mirror image. Between keys the channels follow a monotone cubic, so a hand neither overshoots nor halts on its
way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .subjects import Subject

FRAMES_PER_SECOND = 15.0

# channel -> its value at rest. Hands: (outward, up, forward) from the shoulder, in arm lengths. Feet: the same from
# where they stand, in leg lengths. Pelvis: (right, up, forward) from where it rests, in leg lengths. The rest in
# degrees: elbow 0 points down, 90 outward; toe > 0 lifts the toes; turn (whole body), twist (chest against pelvis) and
# look (head) to the right; bend and nod forward; lean to the right.
REST = {
    "right hand": (0.11, -0.97, 0.08),
    "left hand": (0.11, -0.97, 0.08),
    "right elbow": 35,
    "left elbow": 35,
    "right foot": (0, 0, 0),
    "left foot": (0, 0, 0),
    "right toe": 0,
    "left toe": 0,
    "pelvis": (0, 0, 0),
    "turn": 0,
    "twist": 0,
    "bend": 0,
    "lean": 0,
    "look": 0,
    "nod": 0,
}
CHANNELS = tuple(REST)
REST_POSE = np.concatenate([np.atleast_1d(np.asarray(value, float)) for value in REST.values()])  # (23,)
_STARTS = np.cumsum([0] + [np.size(value) for value in REST.values()])
COLUMNS = {name: slice(_STARTS[i], _STARTS[i + 1]) for i, name in enumerate(CHANNELS)}
MIRRORED = ("turn", "twist", "lean", "look")  # change sign in the mirror; so does the pelvis's first component
MOST_KEYS = 64  # habits are drawn for this many keys, so that they do not depend on how often a cycle is repeated
SHORT_NAMES = {
    "r": "right hand",
    "l": "left hand",
    "re": "right elbow",
    "le": "left elbow",
    "rf": "right foot",
    "lf": "left foot",
    "rt": "right toe",
    "lt": "left toe",
}


@dataclass(frozen=True)
class Action:
    """lead, cycle x (fewest to most, drawn per episode), tail: lists of keys (seconds to reach it, pose (23,)). start,
    end : the poses (23,) before and after; None: at rest."""

    lead: tuple = ()
    cycle: tuple = ()
    times: tuple[int, int] = (1, 1)
    tail: tuple = ()
    start: np.ndarray | None = None
    end: np.ndarray | None = None


def key(seconds: float, **channels) -> tuple[float, np.ndarray]:
    """A key pose: the named channels, the others at rest. r, l, re, le, rf, lf, rt, lt abbreviate hands, elbows, feet,
    toes."""
    pose = REST_POSE.copy()
    for name, value in channels.items():
        pose[COLUMNS[SHORT_NAMES.get(name, name)]] = value
    return seconds, pose


def clasped(right: float, up: float, forward: float) -> dict:
    """Both hands together (the wrists a hand's breadth apart) at a place given from between the shoulders, in arm
    lengths."""
    return {"r": (right - 0.22, up, forward), "l": (-right - 0.22, up, forward)}


def circle(keys: int, seconds: float) -> tuple:
    """Keys of the right hand around a circle in front of the face, clockwise from the top."""
    angles = np.linspace(0, 2 * np.pi, keys + 1)[1:]
    return tuple(key(seconds, r=(0.42 * np.sin(a) - 0.05, 0.22 + 0.42 * np.cos(a), 0.72), re=40) for a in angles)


_UP_WAVE = {"re": 60, "lean": -2}
_GUARD = {"turn": 40, "bend": 8, "pelvis": (0, -0.04, 0), "rf": (0.12, 0, 0.02), "lf": (0.05, 0, 0.06)}
_FISTS = {"r": (-0.05, -0.15, 0.35), "l": (-0.10, -0.08, 0.42)}
_ADDRESS = {
    "bend": 28,
    "nod": 10,
    "pelvis": (0, -0.05, -0.10),
    "re": 20,
    "le": 20,
    "lf": (0.08, 0, 0),
    "rf": (0.08, 0, 0),
}

ACTIONS: dict[str, Action] = {
    "high arm wave": Action(
        lead=(key(0.6, r=(0.45, 0.80, 0.30), **_UP_WAVE),),
        cycle=(key(0.32, r=(-0.12, 0.88, 0.38), **_UP_WAVE), key(0.32, r=(0.72, 0.60, 0.25), **_UP_WAVE)),
        times=(2, 3),
    ),
    "horizontal arm wave": Action(
        lead=(key(0.55, r=(0.55, 0.02, 0.78), re=35),),
        cycle=(key(0.42, r=(-0.60, 0.05, 0.62), re=45, twist=-8), key(0.42, r=(0.80, 0.02, 0.55), re=35, twist=6)),
        times=(1, 2),
    ),
    "hammer": Action(
        lead=(
            key(0.55, r=(0.25, 0.50, 0.05), re=55, lean=4, bend=-4, twist=10),
            key(0.15, r=(0.25, 0.55, 0.02), re=55, lean=4, bend=-5, twist=12),
        ),
        cycle=(
            key(0.26, r=(-0.05, -0.45, 0.72), re=30, bend=20, twist=-12, nod=8, pelvis=(0, -0.03, -0.04)),
            key(0.20, r=(-0.05, -0.42, 0.70), re=30, bend=18, twist=-10, nod=8, pelvis=(0, -0.03, -0.04)),
        ),
    ),
    "hand catch": Action(
        lead=(key(0.5, r=(0.30, 0.45, 0.62), re=50, look=8, nod=-6),),
        cycle=(
            key(0.16, r=(0.18, 0.58, 0.76), re=50, look=8, nod=-8),
            key(0.22, r=(0.14, 0.02, 0.32), re=40, look=2),
            key(0.25, r=(0.14, 0.0, 0.30), re=40),
        ),
    ),
    "forward punch": Action(
        lead=(key(0.5, r=(0.22, -0.28, 0.0), re=50, twist=22, pelvis=(0.03, -0.02, -0.04), l=(0.0, -0.25, 0.40)),),
        cycle=(
            key(
                0.22,
                r=(-0.12, 0.06, 0.98),
                re=60,
                twist=-28,
                bend=8,
                pelvis=(0, -0.04, 0.10),
                rf=(0, 0, 0.05),
                l=(0.12, -0.50, 0.15),
            ),
            key(
                0.16,
                r=(-0.12, 0.05, 0.96),
                re=60,
                twist=-26,
                bend=8,
                pelvis=(0, -0.04, 0.10),
                rf=(0, 0, 0.05),
                l=(0.12, -0.50, 0.15),
            ),
        ),
        tail=(key(0.3, r=(0.12, -0.45, 0.35), twist=-4),),
    ),
    "high throw": Action(
        lead=(
            key(0.5, r=(0.45, 0.05, -0.10), re=60, twist=15),
            key(
                0.3,
                r=(0.36, 0.38, -0.42),
                re=80,
                twist=32,
                bend=-10,
                lean=6,
                pelvis=(0.04, -0.03, -0.06),
                l=(0.20, -0.35, 0.60),
            ),
        ),
        cycle=(
            key(0.2, r=(0.10, 0.88, 0.42), re=70, twist=-8, bend=4, pelvis=(0, 0, 0.08), l=(0.25, -0.7, 0.25)),
            key(0.2, r=(-0.22, 0.30, 0.88), re=60, twist=-26, bend=16, pelvis=(0, -0.03, 0.12), rf=(0, 0.02, 0.10)),
            key(0.25, r=(-0.40, -0.55, 0.55), re=40, twist=-28, bend=20, pelvis=(0, -0.03, 0.12), rf=(0, 0, 0.12)),
        ),
    ),
    "draw x": Action(
        lead=(
            key(0.5, r=(0.45, 0.62, 0.60), re=45),
            key(0.42, r=(-0.42, -0.25, 0.72), re=35, twist=-6),
            key(0.10, r=(-0.43, -0.25, 0.68), re=35, twist=-6),
        ),
        cycle=(
            key(0.36, r=(-0.45, 0.58, 0.60), re=60, twist=-6),
            key(0.10, r=(-0.43, 0.58, 0.62), re=60, twist=-6),
            key(0.42, r=(0.45, -0.28, 0.74), re=30),
        ),
    ),
    "draw tick": Action(
        lead=(key(0.5, r=(-0.42, 0.30, 0.68), re=50, twist=-5), key(0.12, r=(-0.42, 0.30, 0.69), re=50, twist=-5)),
        cycle=(
            key(0.28, r=(-0.10, -0.22, 0.84), re=35),
            key(0.40, r=(0.62, 0.62, 0.45), re=40, lean=3),
            key(0.15, r=(0.64, 0.63, 0.42), re=40, lean=3),
        ),
    ),
    "draw circle": Action(lead=(key(0.5, r=(-0.05, 0.64, 0.72), re=40),), cycle=circle(8, 0.165), times=(1, 1)),
    "hand clap": Action(
        lead=(key(0.5, r=(0.62, 0.0, 0.55), l=(0.62, 0.0, 0.55), re=55, le=55),),
        cycle=(
            key(0.22, **clasped(0, -0.02, 0.62), re=60, le=60),
            key(0.24, r=(0.58, 0.02, 0.58), l=(0.58, 0.02, 0.58), re=55, le=55),
        ),
        times=(2, 3),
    ),
    "two hand wave": Action(
        lead=(
            key(0.4, r=(0.95, 0.10, 0.10), l=(0.95, 0.10, 0.10)),
            key(0.25, r=(0.60, 0.75, 0.12), l=(0.60, 0.75, 0.12), re=70, le=70),
        ),
        cycle=(
            key(0.30, r=(-0.10, 0.93, 0.15), l=(-0.10, 0.93, 0.15), re=80, le=80),
            key(0.30, r=(0.62, 0.70, 0.12), l=(0.62, 0.70, 0.12), re=70, le=70),
        ),
        times=(2, 3),
        tail=(key(0.3, r=(0.95, 0.05, 0.10), l=(0.95, 0.05, 0.10)),),
    ),
    "side boxing": Action(
        lead=(key(0.55, **_GUARD, **_FISTS, twist=15, re=40, le=40),),
        cycle=(
            key(0.22, **_GUARD, l=(-0.15, 0.06, 0.97), r=(-0.02, -0.12, 0.30), twist=48, re=40, le=60),
            key(0.24, **_GUARD, **_FISTS, twist=15, re=40, le=40),
            key(0.22, **_GUARD, r=(0.02, 0.06, 0.98), l=(-0.02, -0.10, 0.30), twist=18, re=60, le=40),
            key(0.24, **_GUARD, **_FISTS, twist=15, re=40, le=40),
        ),
    ),
    "bend": Action(
        lead=(
            key(
                0.75,
                r=(0.0, -0.97, 0.22),
                l=(0.0, -0.97, 0.22),
                bend=78,
                nod=12,
                pelvis=(0, -0.06, -0.20),
                re=15,
                le=15,
            ),
        ),
        cycle=(
            key(
                0.35,
                r=(-0.02, -0.98, 0.18),
                l=(-0.02, -0.98, 0.18),
                bend=94,
                nod=15,
                pelvis=(0, -0.08, -0.22),
                re=15,
                le=15,
            ),
        ),
        tail=(
            key(
                0.3, r=(0.0, -0.97, 0.22), l=(0.0, -0.97, 0.22), bend=76, nod=10, pelvis=(0, -0.06, -0.20), re=15, le=15
            ),
        ),
    ),
    "forward kick": Action(
        lead=(
            key(
                0.45,
                rf=(0, 0.10, -0.30),
                rt=-35,
                pelvis=(-0.06, -0.02, 0.03),
                bend=6,
                l=(0.25, -0.85, 0.30),
                r=(0.30, -0.85, -0.20),
            ),
        ),
        cycle=(
            key(
                0.24,
                rf=(-0.06, 0.62, 0.84),
                rt=35,
                pelvis=(-0.07, 0.0, 0.02),
                bend=-10,
                l=(0.40, -0.75, -0.20),
                r=(0.35, -0.78, 0.30),
            ),
            key(
                0.13,
                rf=(-0.06, 0.60, 0.82),
                rt=35,
                pelvis=(-0.07, 0.0, 0.02),
                bend=-10,
                l=(0.40, -0.75, -0.20),
                r=(0.35, -0.78, 0.30),
            ),
        ),
        tail=(key(0.26, rf=(0, 0.12, 0.22), rt=5, pelvis=(-0.05, 0.0, 0.0)),),
    ),
    "side kick": Action(
        lead=(
            key(
                0.45,
                rf=(-0.02, 0.28, 0.12),
                pelvis=(-0.08, -0.02, 0),
                lean=-6,
                r=(0.25, -0.75, 0.30),
                l=(0.25, -0.75, 0.30),
            ),
        ),
        cycle=(
            key(
                0.24,
                rf=(0.78, 0.50, 0.05),
                rt=15,
                pelvis=(-0.12, -0.01, 0),
                lean=-26,
                r=(0.50, -0.75, 0.05),
                l=(0.55, -0.55, 0.25),
            ),
            key(
                0.13,
                rf=(0.76, 0.48, 0.05),
                rt=15,
                pelvis=(-0.12, -0.01, 0),
                lean=-25,
                r=(0.50, -0.75, 0.05),
                l=(0.55, -0.55, 0.25),
            ),
        ),
        tail=(key(0.3, rf=(0.12, 0.16, 0.05), pelvis=(-0.06, -0.01, 0), lean=-6),),
    ),
    "jogging": Action(
        lead=(key(0.35, r=(0.12, -0.42, 0.28), l=(0.12, -0.42, 0.28), bend=5),),
        cycle=(
            key(
                0.20,
                rf=(0, 0.28, -0.14),
                rt=-30,
                pelvis=(-0.02, 0.0, 0),
                bend=6,
                twist=9,
                r=(0.16, -0.50, -0.14),
                l=(0.02, -0.22, 0.46),
            ),
            key(0.08, pelvis=(0, -0.05, 0), bend=6, r=(0.12, -0.42, 0.20), l=(0.12, -0.42, 0.20)),
            key(
                0.20,
                lf=(0, 0.28, -0.14),
                lt=-30,
                pelvis=(0.02, 0.0, 0),
                bend=6,
                twist=-9,
                l=(0.16, -0.50, -0.14),
                r=(0.02, -0.22, 0.46),
            ),
            key(0.08, pelvis=(0, -0.05, 0), bend=6, r=(0.12, -0.42, 0.20), l=(0.12, -0.42, 0.20)),
        ),
        times=(2, 4),
    ),
    "tennis swing": Action(
        lead=(
            key(
                0.6,
                turn=48,
                twist=25,
                look=-30,
                bend=14,
                lean=4,
                r=(0.55, -0.20, -0.25),
                l=(0.10, -0.35, 0.55),
                pelvis=(0.10, -0.10, -0.02),
                rf=(0.12, 0, -0.12),
                re=50,
            ),
            key(
                0.15,
                turn=52,
                twist=30,
                look=-34,
                bend=15,
                lean=4,
                r=(0.55, -0.25, -0.40),
                l=(0.10, -0.35, 0.55),
                pelvis=(0.12, -0.11, -0.02),
                rf=(0.12, 0, -0.12),
                re=50,
            ),
        ),
        cycle=(
            key(
                0.25,
                turn=8,
                twist=10,
                bend=10,
                r=(0.42, -0.15, 0.85),
                l=(0.30, -0.60, 0.25),
                pelvis=(-0.02, -0.07, 0.06),
                rf=(0.12, 0, -0.12),
                re=40,
            ),
            key(
                0.25,
                turn=-28,
                twist=-28,
                look=25,
                bend=2,
                r=(-0.45, 0.50, 0.55),
                l=(0.30, -0.70, 0.0),
                pelvis=(-0.10, -0.01, 0.08),
                rf=(0.10, 0.03, -0.06),
                rt=-25,
                re=70,
            ),
            key(
                0.18,
                turn=-30,
                twist=-30,
                look=27,
                bend=2,
                r=(-0.50, 0.52, 0.45),
                l=(0.30, -0.70, 0.0),
                pelvis=(-0.10, -0.01, 0.08),
                rf=(0.10, 0.03, -0.06),
                rt=-25,
                re=70,
            ),
        ),
    ),
    "tennis serve": Action(
        lead=(
            key(0.55, turn=25, r=(0.35, -0.80, -0.20), l=(0.05, 0.10, 0.85), nod=-10, pelvis=(0.05, -0.05, 0)),
            key(
                0.35,
                turn=32,
                twist=15,
                r=(0.45, 0.10, -0.35),
                l=(0.10, 0.92, 0.30),
                re=80,
                bend=-12,
                nod=-15,
                pelvis=(0.06, -0.07, -0.03),
            ),
        ),
        cycle=(
            key(
                0.18,
                turn=28,
                twist=12,
                r=(0.25, 0.35, -0.45),
                l=(0.10, 0.70, 0.45),
                re=85,
                bend=-12,
                nod=-15,
                pelvis=(0.05, -0.06, -0.02),
            ),
            key(
                0.22,
                turn=-2,
                twist=-6,
                lean=-8,
                r=(0.12, 0.97, 0.22),
                l=(0.05, -0.35, 0.40),
                re=70,
                nod=-12,
                pelvis=(-0.03, 0.01, 0.08),
                rf=(0, 0.02, 0.02),
                rt=-25,
            ),
            key(
                0.25,
                turn=-22,
                twist=-20,
                bend=26,
                r=(-0.45, -0.60, 0.55),
                l=(0.20, -0.75, 0.10),
                pelvis=(-0.05, -0.06, 0.14),
                rf=(0, 0.04, 0.12),
                re=45,
            ),
        ),
        tail=(
            key(
                0.25, turn=-15, twist=-12, bend=18, r=(-0.40, -0.75, 0.30), pelvis=(-0.03, -0.04, 0.10), rf=(0, 0, 0.10)
            ),
        ),
    ),
    "golf swing": Action(
        lead=(key(0.6, **_ADDRESS, **clasped(0.0, -0.85, 0.35)), key(0.2, **_ADDRESS, **clasped(0.0, -0.85, 0.34))),
        cycle=(
            key(0.45, **{**_ADDRESS, "re": 30, "le": 50}, **clasped(0.35, 0.25, 0.45), turn=28, twist=38, look=-45),
            key(0.12, **{**_ADDRESS, "re": 30, "le": 50}, **clasped(0.36, 0.28, 0.43), turn=29, twist=39, look=-46),
            key(0.22, **_ADDRESS, **clasped(0.0, -0.80, 0.42), turn=-8),
            key(
                0.22,
                **clasped(-0.30, 0.32, 0.45),
                turn=-45,
                twist=-35,
                look=20,
                bend=2,
                lf=(0.08, 0, 0),
                rf=(0.08, 0.06, 0.04),
                rt=-40,
                pelvis=(-0.08, 0, 0.02),
                re=50,
                le=30,
            ),
            key(
                0.25,
                **clasped(-0.30, 0.36, 0.40),
                turn=-48,
                twist=-36,
                look=22,
                bend=0,
                lf=(0.08, 0, 0),
                rf=(0.08, 0.06, 0.04),
                rt=-40,
                pelvis=(-0.08, 0, 0.02),
                re=50,
                le=30,
            ),
        ),
    ),
    "pick up & throw": Action(
        lead=(
            key(
                0.65,
                bend=72,
                nod=-5,
                pelvis=(0, -0.30, -0.18),
                r=(-0.05, -0.80, 0.48),
                l=(0.15, -0.70, 0.20),
                twist=-12,
                re=20,
            ),
            key(
                0.2,
                bend=76,
                nod=-5,
                pelvis=(0, -0.34, -0.18),
                r=(-0.05, -0.86, 0.46),
                l=(0.15, -0.70, 0.20),
                twist=-12,
                re=20,
            ),
        ),
        cycle=(
            key(0.5, r=(0.40, 0.20, -0.20), re=70, twist=25, bend=-2, pelvis=(0.03, -0.02, -0.03)),
            key(
                0.2,
                r=(0.36, 0.40, -0.42),
                re=80,
                twist=32,
                bend=-9,
                lean=6,
                pelvis=(0.04, -0.03, -0.06),
                l=(0.20, -0.35, 0.60),
            ),
            key(0.2, r=(0.10, 0.86, 0.45), re=70, twist=-8, bend=6, pelvis=(0, 0, 0.08), l=(0.25, -0.7, 0.25)),
            key(0.2, r=(-0.25, 0.15, 0.90), re=60, twist=-26, bend=18, pelvis=(0, -0.03, 0.12), rf=(0, 0.02, 0.10)),
            key(0.2, r=(-0.40, -0.60, 0.50), re=40, twist=-28, bend=20, pelvis=(0, -0.03, 0.12), rf=(0, 0, 0.12)),
        ),
    ),
}


def monotone_cubic(times: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Interpolate keys (K,), (K, C) at the times (F,) -> (F, C), without overshoot (Fritsch and Carlson, 1980).

    A channel's slope is zero where it turns back, the harmonic mean of its neighbours' elsewhere.
    """
    steps = np.diff(times)[:, None]
    slopes = np.diff(values, axis=0) / steps
    product = slopes[:-1] * slopes[1:]
    tangents = np.zeros_like(values)
    same_way = product > 0
    tangents[1:-1][same_way] = (2 * product / np.where(same_way, slopes[:-1] + slopes[1:], 1))[same_way]
    i = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2)
    h, s = steps[i], ((at - times[i]) / steps[i, 0])[:, None]
    return (
        ((1 + 2 * s) * (1 - s) ** 2) * values[i]
        + s * (1 - s) ** 2 * h * tangents[i]
        + s**2 * (3 - 2 * s) * values[i + 1]
        + s**2 * (s - 1) * h * tangents[i + 1]
    )


def mirror(poses: np.ndarray) -> np.ndarray:
    """Swap left and right in poses (F, 23)."""
    swapped = poses.copy()
    for name, columns in COLUMNS.items():
        if name.startswith("right"):
            other = COLUMNS[name.replace("right", "left")]
            swapped[:, columns], swapped[:, other] = poses[:, other], poses[:, columns]
        elif name in MIRRORED:
            swapped[:, columns] *= -1
    swapped[:, COLUMNS["pelvis"].start] *= -1
    return swapped


def pace(
    action: Action, tempo: float, habit: np.random.Generator, moment: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, int]:
    """When a performance reaches which pose: keys (K, 23), seconds (K,) since the key before, and how often the cycle
    is repeated."""
    cycles = int(moment.integers(action.times[0], action.times[1] + 1))
    before, after = moment.uniform(0.1, 0.4), moment.uniform(0.15, 0.45)
    keys, seconds = key_poses(action, cycles)
    seconds = np.array([0.0, before, *seconds, 0.65 if action.end is None else 0.2, after])
    own_pace = habit.standard_normal(MOST_KEYS)[: len(seconds)]
    this_pace = moment.standard_normal(len(seconds))
    return keys, tempo * seconds * np.exp(0.06 * own_pace + 0.08 * this_pace + 0.06 * moment.standard_normal()), cycles


def key_poses(action: Action, cycles: int) -> tuple[np.ndarray, list[float]]:
    """The poses (K, 23) of an action whose cycle is repeated ``cycles`` times, twice its first and its last; and the
    seconds of the K - 4 between."""
    keys = [*action.lead, *(action.cycle * cycles), *action.tail]
    start, end = (REST_POSE if pose is None else pose for pose in (action.start, action.end))
    return np.stack([start, start, *(k[1] for k in keys), end, end]), [k[0] for k in keys]


def vary(
    poses: np.ndarray, seconds: np.ndarray, subject: Subject, habit: np.random.Generator, moment: np.random.Generator
) -> np.ndarray:
    """Play keys (K, 23) in a subject's own way: poses (F, 23) at FRAMES_PER_SECOND. seconds : (K,) since the key
    before."""
    spread = np.zeros(len(REST_POSE))  # in each channel's own unit
    for name, columns in COLUMNS.items():
        spread[columns] = {"hand": 0.06, "foot": 0.02, "pelvis": 0.015, "elbow": 9.0, "toe": 4.0}.get(
            name.split()[-1], 2.5
        )
    moved = np.abs(poses - REST_POSE) > 1e-9
    own_way = (
        habit.standard_normal(poses.shape[1]) + 0.5 * habit.standard_normal((MOST_KEYS, poses.shape[1]))[: len(poses)]
    )
    this_time = 0.5 * moment.standard_normal(poses.shape)
    poses = REST_POSE + subject.amplitude * (poses - REST_POSE) + moved * spread * (own_way + this_time)
    for foot in ("right foot", "left foot"):
        poses[:, COLUMNS[foot].start + 1] = np.maximum(poses[:, COLUMNS[foot].start + 1], 0)  # the floor

    times = np.cumsum(seconds)
    at = np.arange(0, times[-1], 1 / FRAMES_PER_SECOND)
    frames = monotone_cubic(times, poses, at)
    frames = mirror(frames) if subject.left_handed else frames
    return frames + sway(at, moment) + subject.slouch * (np.arange(len(REST_POSE)) == COLUMNS["bend"].start)


def perform(action: Action, subject: Subject, habit: np.random.Generator, moment: np.random.Generator) -> np.ndarray:
    """A subject's performance: poses (F, 23) at FRAMES_PER_SECOND.

    habit : draws what is the same in every episode of this subject and action; moment : what differs between episodes.
    """
    poses, seconds, _ = pace(action, subject.tempo, habit, moment)
    return vary(poses, seconds, subject, habit, moment)


def sway(at: np.ndarray, moment: np.random.Generator) -> np.ndarray:
    """What a body that stands still does anyway, at the times (F,): slow small drifts of every channel but the feet,
    (F, 23)."""
    size = np.zeros(len(REST_POSE))
    for name, columns in COLUMNS.items():
        size[columns] = {"hand": 0.012, "foot": 0.0, "toe": 0.0, "pelvis": 0.006, "elbow": 3.0}.get(
            name.split()[-1], 0.8
        )
    pitch, phase = moment.uniform(0.2, 0.7, len(size)), moment.uniform(0, 2 * np.pi, len(size))
    return size * np.sin(2 * np.pi * pitch * at[:, None] + phase)


def channels_of(poses: np.ndarray) -> dict[str, np.ndarray]:
    """Poses (F, 23) as the dictionary ``body.apply_pose`` reads: (F,) for single channels, (F, 3) for places."""
    return {name: poses[:, c.start] if c.stop - c.start == 1 else poses[:, c] for name, c in COLUMNS.items()}
