"""Walk, trot and gallop: footfalls in their order, and what the rest of the body does meanwhile.

Part of the STAND-IN ``synthetic-animals`` (see ``animals.py``). The camera travels along with the animal: a foot on the
ground moves backwards with one constant speed, the ground's. Phases are those of real gaits (Hildebrand's footfall
formulas): the walk's four beats in lateral sequence, the trot's diagonal pairs, the gallop's hind feet, then forefeet,
then all in the air.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .animals_body import Skeleton, stance_of
from .animals_pose import Motion


@dataclass(frozen=True)
class Gait:
    """phases : of a stride at which front left, front right, back left, back right land. duty : share of the stride a
    foot stands. period : seconds a stride, for a leg of 1 m. excursion : metres a standing foot goes, in leg lengths.
    lift : of a swinging foot, in leg lengths. bounce : of the body, in leg lengths, lowest in mid-stance; beats :
    bounces a stride. pitch, flex : degrees, once a stride. nod : degrees of the neck. reach : the neck, lowered and
    stretched. tuck : a swinging cannon bends, degrees."""

    phases: tuple[float, float, float, float]
    duty: float
    period: float
    excursion: float
    lift: float
    bounce: float
    beats: int
    pitch: float
    flex: float
    nod: float
    reach: float
    tuck: float


GAITS = {
    "walk": Gait((0.25, 0.75, 0.0, 0.5), 0.62, 1.30, 0.55, 0.10, -0.012, 2, 0, 0, 4, 0, 35),
    "trot": Gait((0.5, 0.0, 0.0, 0.5), 0.42, 0.78, 0.55, 0.17, 0.045, 2, 0, 0, 1, -4, 60),
    "gallop": Gait((0.42, 0.52, 0.0, 0.10), 0.27, 0.56, 0.72, 0.26, 0.07, 1, 6, 14, 5, 16, 75),
}
BIPED = {
    "walk": Gait((0, 0, 0.0, 0.5), 0.60, 1.20, 0.55, 0.13, -0.015, 2, 0, 0, 4, 0, 30),
    "trot": Gait((0, 0, 0.0, 0.5), 0.42, 0.78, 0.62, 0.24, 0.05, 2, 0, 0, 2, 5, 55),
    "gallop": Gait((0, 0, 0.0, 0.5), 0.28, 0.52, 0.80, 0.36, 0.08, 2, 0, 0, 2, 14, 80),
}
HOP = {
    "walk": Gait((0.50, 0.60, 0.0, 0.0), 0.55, 0.95, 0.45, 0.16, 0.05, 1, 5, 6, 3, 0, 25),
    "trot": Gait((0.46, 0.54, 0.0, 0.0), 0.42, 0.72, 0.60, 0.28, 0.14, 1, 9, 10, 3, 6, 40),
    "gallop": Gait((0.44, 0.50, 0.0, 0.0), 0.28, 0.56, 0.85, 0.42, 0.26, 1, 13, 20, 3, 12, 55),
}
SUPPLE = {
    "dog": 1.5,
    "cat": 1.8,
    "rabbit": 1.6,
    "crocodile": 0.7,
    "elephant": 0.35,
    "giraffe": 0.6,
    "cow": 0.7,
}  # flex of the back against a horse's


def gait_of(skeleton: Skeleton, name: str) -> Gait:
    """How this animal goes."""
    b = skeleton.animal.build
    return (HOP if b.hop else BIPED if b.biped else GAITS)[name]


def ground_speed(skeleton: Skeleton, name: str, pace: float = 1.0) -> float:
    """Metres a second at which the ground passes under the animal."""
    gait = gait_of(skeleton, name)
    return _excursion(skeleton, gait) / (gait.duty * _period(skeleton, gait, pace))


def _legs(skeleton: Skeleton) -> float:
    """The leg length that sets the stride: the height of the hip, or of the shoulder where that is lower."""
    hips, shoulders, _ = stance_of(skeleton.animal.build)
    return hips if skeleton.animal.build.biped else min(hips, shoulders)


def _excursion(skeleton: Skeleton, gait: Gait) -> float:
    return gait.excursion * skeleton.animal.amplitude * _legs(skeleton)


def _period(skeleton: Skeleton, gait: Gait, pace: float) -> float:
    return gait.period * skeleton.animal.tempo * pace * _legs(skeleton) ** 0.3  # long legs swing slowly


def locomotion(skeleton: Skeleton, name: str, seconds: np.ndarray, start: float, pace: float) -> Motion:
    """A gait at the times ``seconds`` (F,). start : phase at time 0, in strides. pace : multiplies the stride's
    duration."""
    gait, animal = gait_of(skeleton, name), skeleton.animal
    b, m = animal.build, Motion.standing(len(seconds))
    stride = start + seconds / _period(skeleton, gait, pace)  # (F,)
    length, legs = _excursion(skeleton, gait), _legs(skeleton)
    for i in range(4):
        if not (b.biped and i < 2):
            _step(m, skeleton, gait, i, np.mod(stride - gait.phases[i], 1), length, legs)

    swing = 0.4 if b.sprawl else 1.0  # of the body: a sprawler's keeps low
    wave = lambda beats, at=0.0: np.cos(2 * np.pi * (beats * (stride - at)))
    middle = gait.duty / 2
    m.lift = -gait.bounce * swing * animal.amplitude * legs * wave(gait.beats, middle)
    m.lift -= {"walk": 0.0, "trot": 0.03, "gallop": 0.07}[name] * legs  # long steps need bent legs
    supple = SUPPLE.get(animal.category, 1.0)
    gathered = wave(1, 0.90)  # 1 when the legs are gathered under the body
    m.flex = -gait.flex * supple * gathered
    m.pitch = gait.pitch * swing * (wave(1, 0.40) if not b.hop else wave(1, 0.25)) + 0.5 * gait.flex * supple * gathered
    m.lift -= np.sin(np.radians(m.pitch + 0.5 * m.flex)) * b.trunk_length * 0.5 * (not b.biped)
    m.neck = gait.nod * wave(gait.beats, middle + 0.1) - gait.reach - 0.6 * m.pitch - 0.5 * m.flex
    m.head = -0.8 * m.neck if b.biped else -0.4 * m.neck
    if b.biped and not b.hop:
        m.pitch -= 0.5 * gait.reach
        m.roll = 3.0 * wave(1, middle)
        m.bend = 4.0 * wave(1, 0.0)
        m.arms[:, 0, 0], m.arms[:, 1, 0] = 12 * wave(1, 0.5), 12 * wave(1, 0.0)
    if b.biped and b.hop:
        m.pitch = m.pitch - {"walk": 14, "trot": 16, "gallop": 30}[name]
        m.neck, m.head = m.neck + 6, m.head + 6
    sway = {"walk": 10.0, "trot": 6.0, "gallop": 5.0}[name]
    if b.sprawl:
        sway, m.bend = 16.0, 14.0 * wave(1, 0.30)
        m.neck_yaw, m.head_yaw = -0.5 * m.bend, -0.3 * m.bend
    for k in range(4):
        m.tail_yaw[:, k] = sway * wave(1, 0.30 + 0.13 * k) * (0.6 + 0.2 * k)
        m.tail[:, k] = (4 * wave(gait.beats, 0.1 * k)) + (k == 0) * _carried(b, name)
    if "trunk" in b.extras:
        m.trunk = 7 * np.stack([wave(1, 0.15 * k) for k in range(4)], -1)
    m.ear = -12.0 * (name == "gallop") + 4 * wave(gait.beats)
    return m


def _carried(b, name: str) -> float:
    """How far a hanging tail is lifted, degrees: horses stream it at a gallop."""
    lifted = {"walk": 0.0, "trot": 0.25, "gallop": 0.75}[name]
    return lifted * max(0.0, -b.tail[1]) if not b.hop else lifted * 30.0


def _step(m: Motion, skeleton: Skeleton, gait: Gait, i: int, phase: np.ndarray, length: float, legs: float) -> None:
    """One foot: on the ground it moves straight back; in the air it meets the ground's speed at both ends (cubic
    Hermite)."""
    leg, amplitude = skeleton.leg(i), skeleton.animal.amplitude
    stands = phase < gait.duty
    back = np.where(stands, phase / gait.duty, 1.0)
    q = np.clip((phase - gait.duty) / (1 - gait.duty), 0, 1)
    slope = -length * (1 - gait.duty) / gait.duty
    swing = (
        (2 * q**3 - 3 * q**2 + 1) * -length / 2
        + (q**3 - 2 * q**2 + q) * slope
        + (3 * q**2 - 2 * q**3) * length / 2
        + (q**3 - q**2) * slope
    )
    reach = 0.5 * length + 0.12 * leg.length  # a foot does not follow through for ever
    swing = reach * np.tanh(swing / reach * 1.2) / np.tanh(1.2 * 0.5 * length / reach) * 0.5 * length / reach
    m.feet[:, i, 0] = np.where(stands, length / 2 - back * length, swing)
    arc = np.sin(np.pi * q) ** 1.3 * (1.25 - 0.5 * q)
    m.feet[:, i, 2] = gait.lift * amplitude * legs * arc
    flat = leg.cannon < -50  # walks on its soles: the heel leaves the ground before the toes
    push = (45.0 if flat else 16.0) * np.where(stands, np.clip(2 * back - 1, 0, 1) ** 2, (1 - q) ** 2)
    tilt = np.degrees(np.arctan2(-m.feet[:, i, 0], leg.stand * leg.length)) * (0.15 if flat else 0.45)
    tuck = gait.tuck * (1.0 if i < 2 else 0.6) * (0.5 if flat else 1.0)
    m.cannon[:, i] = tilt + push + tuck * np.sin(np.pi * q) ** 1.2
    m.toes[:, i] = -(tuck * 0.9 + 20) * np.sin(np.pi * q) ** 1.2
