"""What one and two people do in ``synthetic-interactions``, as tables of key poses.

Part of the STAND-IN ``synthetic-interactions`` (see ``interactions.py``). The channels are those of ``motions.py``;
where that file already has a motion it is used again. Two people share their key moments, and at some of them hands go
where they must: to the other's hand, chest, back or face.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .motions import ACTIONS, Action, key


@dataclass(frozen=True)
class Touch:
    """At the moments of touch ``side`` hand of performer ``who`` (0 or 1) goes to the other's ``goal``: "hand" (the
    same hand, half-way), "chest", "back" or "face"."""

    who: int
    side: str
    goal: str


@dataclass(frozen=True)
class Pair:
    """Two performers with the same number of keys. gap : metres between them before they begin. faces : "other", "away"
    from each other, or "same" (the first looks at the second's back). meet : how far the touches hold at the keys of
    lead, cycle and tail."""

    first: Action
    second: Action
    gap: float
    faces: str
    touches: tuple[Touch, ...]
    meet: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]


def pose(**channels) -> np.ndarray:
    """A pose (23,): the named channels, the others at rest."""
    return key(0, **channels)[1]


def together(
    gap: float,
    lead: tuple,
    cycle: tuple = (),
    times: tuple[int, int] = (1, 1),
    tail: tuple = (),
    faces: str = "other",
    touches: tuple[Touch, ...] = (),
) -> Pair:
    """A Pair from moments (seconds, touch 0..1, first's channels, second's channels)."""
    one = lambda who: Action(
        *(tuple(key(m[0], **m[2 + who]) for m in part) for part in (lead, cycle)),
        times,
        tuple(key(m[0], **m[2 + who]) for m in tail),
    )
    return Pair(one(0), one(1), gap, faces, touches, tuple(tuple(m[1] for m in part) for part in (lead, cycle, tail)))


def walk(steps: int, stride: float, first_foot: str = "right") -> list[tuple[float, dict]]:
    """Moments (seconds, channels) of walking forward: ``steps`` steps, ``stride`` leg lengths each, feet together at
    the end."""
    feet, moments, lead = {"right": 0.0, "left": 0.0}, [], first_foot
    for step in range(steps):
        other = "left" if lead == "right" else "right"
        goal = feet[other] + (0.0 if step == steps - 1 else stride / 2 if step == 0 else 0.5 * stride)
        swing = 0.30 * (1 if lead == "right" else -1)
        arms = lambda s: {"right hand": (0.11, -0.93, 0.08 - s), "left hand": (0.11, -0.93, 0.08 + s)}
        middle = {
            f"{lead} foot": (0, 0.11, 0.5 * (feet[lead] + goal)),
            f"{other} foot": (0, 0, feet[other]),
            f"{lead} toe": -15,
        }
        moments.append((0.24, {**middle, **arms(0.0), "pelvis": (0, 0.0, feet[other]), "bend": 4}))
        down = {
            f"{lead} foot": (0, 0, goal),
            f"{other} foot": (0, 0.02, feet[other]),
            f"{lead} toe": 12,
            f"{other} toe": -12,
        }
        moments.append((0.24, {**down, **arms(swing), "pelvis": (0, -0.03, 0.5 * (goal + feet[other])), "bend": 4}))
        feet[lead], lead = goal, other
    return moments


def stand_at(forward: float, **channels) -> dict:
    """Channels of somebody who stands ``forward`` leg lengths ahead of where they began."""
    return {"pelvis": (0, 0, forward), "rf": (0, 0, forward), "lf": (0, 0, forward), **channels}


def end_there(pair: Pair, forward: float) -> Pair:
    """The same, both staying ``forward`` leg lengths ahead instead of returning."""
    end = pose(**stand_at(forward))
    return replace(pair, first=replace(pair.first, end=end), second=replace(pair.second, end=end))


_ON_LAP = {"r": (0.06, -0.62, 0.42), "l": (0.06, -0.62, 0.42), "re": 45, "le": 45}
SEATED = pose(pelvis=(0, -0.50, -0.44), bend=6, **_ON_LAP)
_SITTING = (
    key(0.40, pelvis=(0, -0.12, -0.16), bend=26, r=(0.02, -0.80, 0.35), l=(0.02, -0.80, 0.35)),
    key(0.42, pelvis=(0, -0.40, -0.40), bend=38, r=(0.0, -0.66, 0.55), l=(0.0, -0.66, 0.55)),
    key(0.38, pelvis=(0, -0.50, -0.44), bend=10, **_ON_LAP),
)
_RISING = (
    key(0.35, pelvis=(0, -0.50, -0.42), bend=32, **_ON_LAP),
    key(0.38, pelvis=(0, -0.36, -0.30), bend=40, r=(0.0, -0.66, 0.55), l=(0.0, -0.66, 0.55)),
    key(0.40, pelvis=(0, -0.10, -0.10), bend=18, r=(0.05, -0.85, 0.30), l=(0.05, -0.85, 0.30)),
)
LYING = pose(
    pelvis=(0, -0.93, -0.50),
    bend=-94,
    nod=22,
    rf=(0.10, 0.03, 0.35),
    lf=(0.06, 0.10, 0.22),
    rt=50,
    lt=40,
    r=(0.55, -0.02, -0.62),
    l=(0.65, -0.02, -0.50),
)
_DRINK = {"r": (-0.16, 0.14, 0.36), "re": 55, "nod": -8}

SINGLES: dict[str, Action] = {
    "drink": Action(
        lead=(
            key(0.45, r=(0.05, -0.35, 0.55), re=30),
            key(0.5, **_DRINK),
            key(0.7, **{**_DRINK, "nod": -24, "re": 75}),
            key(0.45, r=(0.05, -0.35, 0.55), re=30),
        )
    ),
    "pick up": Action(
        lead=(
            *ACTIONS["pick up & throw"].lead,
            key(0.65, r=(0.05, -0.35, 0.55), re=35),
            key(0.4, r=(0.05, -0.32, 0.55), re=35),
        ),
        end=pose(r=(0.05, -0.35, 0.52), re=35),
    ),
    "throw": ACTIONS["high throw"],
    "sit down": Action(lead=_SITTING, end=SEATED),
    "stand up": Action(lead=_RISING, start=SEATED),
    "clap": ACTIONS["hand clap"],
    "wave": ACTIONS["high arm wave"],
    "kick": ACTIONS["forward kick"],
    "jump up": Action(
        cycle=(
            key(0.40, pelvis=(0, -0.22, -0.12), bend=32, r=(0.15, -0.72, -0.45), l=(0.15, -0.72, -0.45)),
            key(
                0.20,
                pelvis=(0, 0.28, 0.02),
                rf=(0, 0.26, 0),
                lf=(0, 0.26, 0),
                rt=-40,
                lt=-40,
                r=(0.15, 0.72, 0.45),
                l=(0.15, 0.72, 0.45),
                re=60,
                le=60,
            ),
            key(0.20, pelvis=(0, -0.15, -0.06), bend=20, r=(0.3, -0.5, 0.4), l=(0.3, -0.5, 0.4)),
            key(0.25, pelvis=(0, -0.02, 0)),
        ),
        times=(1, 2),
    ),
    "fall": Action(
        lead=(
            key(
                0.35, pelvis=(0.02, -0.06, -0.12), bend=-10, lean=6, r=(0.60, -0.20, 0.45), l=(0.70, 0.0, 0.40), nod=10
            ),
            key(
                0.35,
                pelvis=(0, -0.55, -0.40),
                bend=-26,
                r=(0.55, -0.30, -0.30),
                l=(0.60, -0.10, 0.40),
                rf=(0.06, 0.04, 0.12),
                lf=(0.04, 0.06, 0.06),
                rt=20,
                lt=10,
                nod=18,
            ),
            key(
                0.25,
                pelvis=(0, -0.90, -0.50),
                bend=-66,
                r=(0.50, -0.12, -0.55),
                l=(0.60, -0.10, -0.30),
                rf=(0.08, 0.12, 0.32),
                lf=(0.06, 0.16, 0.24),
                rt=40,
                lt=40,
                nod=28,
            ),
            (0.2, LYING),
            (0.6, LYING),
        ),
        end=LYING,
    ),
}

_REACH = {"r": (-0.12, -0.30, 0.78), "re": 30, "bend": 6}
_FOREARM = {"r": (0.0, -0.45, 0.52), "re": 30}
_BOTH = {"r": (0.0, -0.08, 0.40), "l": (0.0, -0.08, 0.40), "re": 55, "le": 55}
_WINCE = {
    "bend": -14,
    "nod": -18,
    "twist": -14,
    "pelvis": (0, -0.05, -0.14),
    "rf": (0, 0, -0.16),
    "r": (0.25, -0.45, 0.40),
    "l": (0.25, -0.45, 0.40),
}
_STAGGER = {
    "bend": -16,
    "nod": 8,
    "pelvis": (0, -0.06, -0.30),
    "rf": (0, 0, -0.42),
    "lf": (0, 0, -0.10),
    "r": (0.45, -0.25, 0.62),
    "l": (0.45, -0.25, 0.62),
}
_HOLD = {"r": (-0.05, 0.0, 0.55), "l": (-0.05, -0.15, 0.55), "re": 60, "le": 60}
_STEP, _CLOSER = walk(3, 0.34), 0.34
_SIDE_BY_SIDE = tuple((s, 0.0, c, c) for s, c in walk(5, 0.56))

PAIRS: dict[str, Pair] = {
    "punch": together(
        0.98,
        lead=(
            (
                0.5,
                0,
                dict(r=(0.22, -0.28, 0.0), re=50, twist=24, pelvis=(0.03, -0.02, -0.06), l=(0.0, -0.25, 0.40)),
                dict(nod=-3),
            ),
        ),
        cycle=(
            (
                0.20,
                1,
                dict(r=(-0.12, 0.10, 0.98), re=60, twist=-28, bend=10, pelvis=(0, -0.04, 0.18), rf=(0, 0, 0.16)),
                dict(nod=-4),
            ),
            (
                0.18,
                0,
                dict(r=(-0.10, 0.0, 0.75), re=60, twist=-20, bend=8, pelvis=(0, -0.04, 0.16), rf=(0, 0, 0.16)),
                _WINCE,
            ),
        ),
        tail=((0.35, 0, dict(r=(0.12, -0.45, 0.35), rf=(0, 0, 0.06)), {**_WINCE, "r": (0.0, -0.10, 0.40), "nod": 14}),),
        touches=(Touch(0, "right", "face"),),
    ),
    "push": together(
        0.82,
        lead=(
            (0.5, 0, dict(**_BOTH, pelvis=(0, -0.03, -0.04), bend=4), {}),
            (
                0.22,
                1,
                dict(r=(-0.05, -0.1, 0.62), l=(-0.05, -0.1, 0.62), bend=10, pelvis=(0, -0.05, 0.08), rf=(0, 0, 0.14)),
                {},
            ),
        ),
        cycle=(
            (
                0.24,
                0.35,
                dict(
                    r=(-0.05, -0.05, 0.95),
                    l=(-0.05, -0.05, 0.95),
                    re=50,
                    le=50,
                    bend=20,
                    pelvis=(0, -0.06, 0.24),
                    rf=(0, 0, 0.30),
                ),
                _STAGGER,
            ),
            (
                0.25,
                0,
                dict(r=(-0.02, -0.10, 0.85), l=(-0.02, -0.10, 0.85), bend=16, pelvis=(0, -0.06, 0.22), rf=(0, 0, 0.30)),
                {**_STAGGER, "lf": (0, 0, -0.38), "pelvis": (0, -0.05, -0.40)},
            ),
        ),
        touches=(Touch(0, "right", "chest"), Touch(0, "left", "chest")),
    ),
    "pat on the back": together(
        0.62,
        faces="same",
        lead=((0.55, 0, dict(r=(-0.10, 0.0, 0.60), re=50), {}),),
        cycle=(
            (0.20, 1, dict(r=(-0.15, -0.10, 0.80), re=50, bend=5), dict(nod=4)),
            (0.24, 0.25, dict(r=(-0.05, 0.12, 0.52), re=55), dict(look=10)),
        ),
        times=(2, 3),
        touches=(Touch(0, "right", "back"),),
    ),
    "hug": together(
        1.02,
        lead=(
            *((s, 0, c, c) for s, c in _STEP[:4]),
            (
                0.35,
                0,
                stand_at(_CLOSER * 0.9, r=(0.5, 0.05, 0.62), l=(0.5, -0.12, 0.62)),
                stand_at(_CLOSER * 0.9, r=(0.5, 0.05, 0.62), l=(0.5, -0.12, 0.62)),
            ),
            (0.45, 1, stand_at(_CLOSER, **_HOLD, look=-18, bend=6), stand_at(_CLOSER, **_HOLD, look=-18, bend=6)),
        ),
        cycle=(
            (
                0.45,
                1,
                stand_at(_CLOSER, **_HOLD, look=-20, bend=8, lean=3),
                stand_at(_CLOSER, **_HOLD, look=-20, bend=8, lean=-3),
            ),
        ),
        times=(1, 2),
        tail=(
            (
                0.4,
                0,
                stand_at(_CLOSER, r=(0.5, -0.2, 0.55), l=(0.5, -0.2, 0.55)),
                stand_at(_CLOSER, r=(0.5, -0.2, 0.55), l=(0.5, -0.2, 0.55)),
            ),
        ),
        touches=tuple(Touch(who, side, "back") for who in (0, 1) for side in ("right", "left")),
    ),
    "give": together(
        1.05,
        lead=((0.5, 0, _FOREARM, {}), (0.45, 0.9, _REACH, _REACH)),
        cycle=((0.35, 1, _REACH, _REACH),),
        tail=((0.4, 0, dict(r=(0.10, -0.75, 0.35)), _FOREARM), (0.3, 0, {}, _FOREARM)),
        touches=(Touch(0, "right", "hand"), Touch(1, "right", "hand")),
    ),
    "shake hands": together(
        1.0,
        lead=((0.5, 0, dict(r=(0.0, -0.50, 0.55), re=30), dict(r=(0.0, -0.50, 0.55), re=30)), (0.3, 1, _REACH, _REACH)),
        cycle=(
            (0.16, 1, {**_REACH, "r": (-0.12, -0.14, 0.78)}, {**_REACH, "r": (-0.12, -0.14, 0.78)}),
            (0.16, 1, {**_REACH, "r": (-0.12, -0.46, 0.74)}, {**_REACH, "r": (-0.12, -0.46, 0.74)}),
        ),
        times=(3, 4),
        touches=(Touch(0, "right", "hand"), Touch(1, "right", "hand")),
    ),
    "walk towards": end_there(together(2.75, lead=_SIDE_BY_SIDE), 1.12),
    "walk apart": end_there(together(0.85, lead=_SIDE_BY_SIDE, faces="away"), 1.12),
}
CLASSES = (*SINGLES, *PAIRS)
