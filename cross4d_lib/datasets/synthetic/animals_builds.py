"""Proportions of the twelve animals, and how an individual departs from its kind.

Part of the STAND-IN ``synthetic-animals`` (see ``animals.py``). Lengths and radii in metres, angles in degrees, typical
of an adult; they are estimates of ours, chosen so that the silhouette reads as the animal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Leg:
    """One kind of leg (left and right are mirror images). Metres and degrees.

    bones : lengths of upper leg, lower leg, cannon (metacarpus or metatarsus: ankle to the ball of the foot) and
    toes. radii : at hip, knee, ankle and foot. hip : distance of the hip joint from the body's middle plane; foot :
    of the foot. cannon : its angle when standing, 0 upright, negative with the ankle behind the foot (-75: walks on
    the whole sole). stand : height of the hip when standing, as a share of the stretched leg.
    """

    bones: tuple[float, float, float, float]
    radii: tuple[float, float, float, float]
    hip: float
    foot: float
    cannon: float = 0.0
    stand: float = 0.93

    @property
    def length(self) -> float:
        """Hip to the ball of the foot, stretched."""
        return sum(self.bones[:3])


@dataclass(frozen=True)
class Build:
    """A body. Metres and degrees; angles above the horizontal, forward for neck and head, backward for the tail.

    trunk_length : hip joint to shoulder joint. girth : radii (half the depth) at pelvis, loin and chest. wide : width
    over depth. sag : the loin's offset downwards. pitch : slope of a biped's back (a quadruped's follows from its
    legs). neck, head, ear, tail : (length, angle, radius at the root, radius at the tip); ear angle: 90 up, 0
    sideways, below 0 hanging. jaw : length of the lower jaw, 0 for a mouth that does not show. biped : the front legs
    are arms or wings. hop : the hind legs move together. sprawl : the legs bend sideways. extras : names of what only
    this animal has. rest_arm : a biped's arm or wing at rest: (upper, lower) angle from straight down, forwards
    positive.
    """

    trunk_length: float
    girth: tuple[float, float, float]
    wide: float
    front: Leg
    back: Leg
    neck: tuple[float, float, float, float]
    head: tuple[float, float, float, float]
    ear: tuple[float, float, float, float]
    tail: tuple[float, float, float, float]
    sag: float = 0.0
    pitch: float = 0.0
    jaw: float = 0.0
    biped: bool = False
    hop: bool = False
    sprawl: bool = False
    extras: tuple[str, ...] = ()
    rest_arm: tuple[float, float] = (0.0, 0.0)


NO_EAR = (0.0, 0.0, 0.0, 0.0)

BUILDS: dict[str, Build] = {
    "horse": Build(
        1.02,
        (0.27, 0.27, 0.30),
        0.80,
        Leg((0.36, 0.42, 0.32, 0.09), (0.15, 0.075, 0.050, 0.065), 0.15, 0.14),
        Leg((0.42, 0.44, 0.42, 0.09), (0.21, 0.085, 0.055, 0.065), 0.14, 0.14, -6, 0.90),
        (0.72, 47, 0.215, 0.130),
        (0.60, -50, 0.135, 0.080),
        (0.16, 80, 0.042, 0.026),
        (0.80, -72, 0.05, 0.085),
        sag=0.02,
        extras=("mane",),
    ),
    "dog": Build(
        0.42,
        (0.110, 0.105, 0.150),
        0.80,
        Leg((0.18, 0.19, 0.09, 0.06), (0.085, 0.040, 0.028, 0.034), 0.075, 0.075, -4),
        Leg((0.20, 0.21, 0.14, 0.06), (0.105, 0.048, 0.028, 0.034), 0.07, 0.075, -14, 0.86),
        (0.21, 48, 0.090, 0.075),
        (0.23, -8, 0.078, 0.040),
        (0.12, -50, 0.036, 0.030),
        (0.36, 40, 0.030, 0.018),
        sag=-0.015,
    ),
    "cat": Build(
        0.27,
        (0.068, 0.068, 0.074),
        0.85,
        Leg((0.10, 0.105, 0.045, 0.035), (0.046, 0.027, 0.019, 0.022), 0.040, 0.036),
        Leg((0.115, 0.115, 0.085, 0.035), (0.064, 0.032, 0.019, 0.022), 0.040, 0.040, -18, 0.80),
        (0.085, 45, 0.054, 0.050),
        (0.062, -10, 0.062, 0.036),
        (0.062, 65, 0.032, 0.010),
        (0.34, 55, 0.020, 0.015),
        sag=0.008,
    ),
    "cow": Build(
        1.15,
        (0.33, 0.41, 0.36),
        0.85,
        Leg((0.34, 0.34, 0.26, 0.09), (0.17, 0.085, 0.058, 0.075), 0.19, 0.17),
        Leg((0.38, 0.38, 0.36, 0.09), (0.22, 0.095, 0.06, 0.075), 0.18, 0.18, -8, 0.90),
        (0.55, 14, 0.25, 0.16),
        (0.48, -42, 0.155, 0.105),
        (0.22, 0, 0.055, 0.035),
        (0.95, -82, 0.040, 0.045),
        sag=0.07,
        extras=("horns", "udder"),
    ),
    "elephant": Build(
        1.55,
        (0.72, 0.80, 0.72),
        0.85,
        Leg((0.72, 0.66, 0.34, 0.10), (0.36, 0.235, 0.20, 0.235), 0.40, 0.40, 0, 0.97),
        Leg((0.72, 0.60, 0.36, 0.10), (0.42, 0.26, 0.20, 0.235), 0.38, 0.38, -4, 0.97),
        (0.50, 25, 0.52, 0.42),
        (0.45, -55, 0.46, 0.26),
        (0.95, 0, 0.42, 0.50),
        (1.15, -78, 0.075, 0.055),
        sag=0.06,
        extras=("trunk", "tusks"),
    ),
    "giraffe": Build(
        1.02,
        (0.34, 0.38, 0.44),
        0.75,
        Leg((0.62, 0.72, 0.66, 0.12), (0.20, 0.105, 0.075, 0.10), 0.20, 0.19, 0, 0.97),
        Leg((0.56, 0.60, 0.64, 0.12), (0.25, 0.11, 0.075, 0.10), 0.19, 0.19, -5, 0.93),
        (1.95, 62, 0.30, 0.135),
        (0.58, -28, 0.155, 0.085),
        (0.24, 10, 0.058, 0.035),
        (1.0, -82, 0.045, 0.065),
        extras=("ossicones",),
    ),
    "bear": Build(
        0.88,
        (0.37, 0.37, 0.38),
        0.90,
        Leg((0.36, 0.34, 0.12, 0.14), (0.22, 0.135, 0.105, 0.10), 0.21, 0.19, -35, 0.92),
        Leg((0.38, 0.34, 0.20, 0.12), (0.26, 0.145, 0.105, 0.10), 0.21, 0.20, -68, 0.80),
        (0.34, 12, 0.29, 0.22),
        (0.34, -14, 0.215, 0.085),
        (0.10, 60, 0.070, 0.070),
        (0.10, -30, 0.08, 0.07),
        sag=0.03,
        extras=("hump",),
    ),
    "rabbit": Build(
        0.165,
        (0.092, 0.090, 0.066),
        0.90,
        Leg((0.065, 0.065, 0.025, 0.022), (0.036, 0.020, 0.015, 0.016), 0.038, 0.034, -8, 0.84),
        Leg((0.100, 0.105, 0.090, 0.025), (0.066, 0.030, 0.018, 0.017), 0.050, 0.058, -80, 0.44),
        (0.060, 48, 0.052, 0.044),
        (0.065, -18, 0.050, 0.032),
        (0.150, 76, 0.020, 0.016),
        (0.035, 40, 0.034, 0.032),
        sag=-0.012,
        hop=True,
    ),
    "crocodile": Build(
        1.15,
        (0.19, 0.22, 0.19),
        1.45,
        Leg((0.24, 0.22, 0.08, 0.12), (0.095, 0.070, 0.055, 0.055), 0.22, 0.42, -20, 0.62),
        Leg((0.28, 0.26, 0.12, 0.14), (0.120, 0.075, 0.058, 0.058), 0.21, 0.46, -35, 0.55),
        (0.26, 4, 0.19, 0.165),
        (0.74, -3, 0.155, 0.085),
        NO_EAR,
        (1.8, -5, 0.19, 0.045),
        jaw=0.70,
        sprawl=True,
        extras=("scutes",),
    ),
    "kangaroo": Build(
        0.52,
        (0.215, 0.185, 0.130),
        0.85,
        Leg((0.19, 0.20, 0.05, 0.06), (0.062, 0.042, 0.032, 0.032), 0.12, 0.13),
        Leg((0.38, 0.50, 0.36, 0.11), (0.185, 0.085, 0.048, 0.045), 0.14, 0.15, -80, 0.60),
        (0.20, 66, 0.11, 0.08),
        (0.19, -14, 0.088, 0.050),
        (0.19, 68, 0.040, 0.022),
        (1.15, -38, 0.125, 0.045),
        pitch=52,
        biped=True,
        hop=True,
        rest_arm=(-8, 58),
    ),
    "ostrich": Build(
        0.62,
        (0.31, 0.36, 0.25),
        0.85,
        Leg((0.36, 0.34, 0.12, 0.10), (0.13, 0.11, 0.09, 0.06), 0.25, 0.30),
        Leg((0.36, 0.54, 0.50, 0.20), (0.20, 0.095, 0.045, 0.040), 0.14, 0.13, -8, 0.86),
        (1.00, 78, 0.090, 0.052),
        (0.15, -8, 0.080, 0.040),
        NO_EAR,
        (0.30, 28, 0.16, 0.12),
        pitch=6,
        biped=True,
        extras=("beak",),
        rest_arm=(-70, -52),
    ),
    "tyrannosaur": Build(
        1.65,
        (0.58, 0.66, 0.52),
        0.80,
        Leg((0.34, 0.30, 0.10, 0.12), (0.130, 0.085, 0.065, 0.060), 0.30, 0.30),
        Leg((1.05, 1.00, 0.66, 0.50), (0.50, 0.25, 0.15, 0.15), 0.36, 0.36, -14, 0.80),
        (0.90, 48, 0.46, 0.36),
        (1.15, -6, 0.38, 0.22),
        NO_EAR,
        (4.2, 4, 0.55, 0.08),
        pitch=8,
        jaw=1.05,
        biped=True,
        rest_arm=(-15, 60),
    ),
}


@dataclass(frozen=True)
class Animal:
    """An individual: its body and its habits.

    tempo : multiplies the duration of everything it does. amplitude : multiplies how far its moves go. poise : degrees
    added to the neck's angle. carriage : degrees added to the tail's. yaw : degrees it stands turned to the viewer.
    """

    category: str
    build: Build
    tempo: float
    amplitude: float
    poise: float
    carriage: float
    yaw: float


def make_animal(category: str, identity: int, seed: int = 0) -> Animal:
    """The individual of that number (any integer >= 0), always the same for the same seed."""
    rng = np.random.default_rng([seed, 1, list(BUILDS).index(category), identity])
    vary = lambda spread: float(np.exp(np.clip(rng.normal(0, spread), -2 * spread, 2 * spread)))
    b, size = BUILDS[category], vary(0.09)
    legs, girth, neck, head, ear, tail = (
        size * vary(0.06),
        size * vary(0.09),
        size * vary(0.07),
        size * vary(0.07),
        size * vary(0.15),
        size * vary(0.12),
    )

    def limb(leg: Leg) -> Leg:
        return replace(
            leg,
            bones=tuple(legs * vary(0.03) * x for x in leg.bones),
            radii=tuple(girth * r for r in leg.radii),
            hip=girth * leg.hip,
            foot=girth * leg.foot,
        )

    def stalk(part: tuple, length: float, radius: float, angle: float) -> tuple:
        return (
            length * part[0],
            part[1] + float(np.clip(rng.normal(0, angle), -2 * angle, 2 * angle)) * (part[0] > 0),
            radius * part[2],
            radius * part[3],
        )

    build = replace(
        b,
        trunk_length=size * vary(0.06) * b.trunk_length,
        girth=tuple(girth * vary(0.03) * r for r in b.girth),
        sag=size * b.sag,
        front=limb(b.front),
        back=limb(b.back),
        neck=stalk(b.neck, neck, np.sqrt(neck * girth), 4),
        head=stalk(b.head, head, head, 4),
        ear=stalk(b.ear, ear, np.sqrt(ear * size), 8),
        tail=stalk(b.tail, tail, np.sqrt(girth * size), 5),
        jaw=head * b.jaw,
    )
    return Animal(
        category,
        build,
        vary(0.10),
        vary(0.08),
        float(rng.normal(0, 3)),
        float(rng.normal(0, 5)),
        float(rng.uniform(20, 40)),
    )
