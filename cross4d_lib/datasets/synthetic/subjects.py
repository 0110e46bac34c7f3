"""Who performs: the proportions, clothes and habits of a synthetic subject, drawn from the subject's number.

Part of the STAND-IN ``synthetic-actions`` (see ``actions.py``). Lengths are adult averages from anthropometric tables,
as fractions of stature, varied by a few per cent each so that no two subjects share a silhouette.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Subject:
    """A body and its habits. Lengths and radii in metres; ``girth`` multiplies every radius.

    shoulder, hip : half the distance between the two shoulder (hip) joints. trunk : hip centre to shoulder centre.
    sleeve, trouser : added to the radii of arms and legs; jacket : to the torso's; belly : added in front. hair :
    "short", "long", "bun" or "hat". skirt : True covers the thighs with a cone. tempo : multiplies the duration of
    every move. amplitude : multiplies how far a pose departs from rest. left_handed : mirrors every action. distance,
    offset, yaw : where the subject stands (metres from the camera, metres to the side) and looks (degrees).
    """

    height: float
    girth: float
    upper_arm: float
    forearm: float
    hand: float
    thigh: float
    shin: float
    ankle: float
    foot: float
    shoulder: float
    hip: float
    trunk: float
    neck: float
    head: float
    stance: float
    sleeve: float
    trouser: float
    jacket: float
    belly: float
    hair: str
    skirt: bool
    tempo: float
    amplitude: float
    slouch: float
    left_handed: bool
    distance: float
    offset: float
    yaw: float

    @property
    def arm(self) -> float:
        """Shoulder to wrist, metres: the unit of hand positions."""
        return self.upper_arm + self.forearm

    @property
    def leg(self) -> float:
        """Hip to ankle, metres: the unit of foot and pelvis positions."""
        return self.thigh + self.shin


def make_subject(subject: int, seed: int = 0, size_scale: float = 1.0) -> Subject:
    """The subject with that number (any integer >= 0), always the same for the same seed. size_scale multiplies the
    stature."""
    rng = np.random.default_rng([seed, 1, subject])
    height = size_scale * float(np.clip(rng.normal(1.72, 0.085), 1.50, 1.95))
    broad = rng.normal(0, 1)  # > 0: wide shoulders and narrow hips
    vary = lambda fraction, spread=0.04: float(
        height * fraction * np.clip(rng.normal(1, spread), 1 - 2.5 * spread, 1 + 2.5 * spread)
    )
    return Subject(
        height=height,
        girth=float(np.clip(rng.normal(1.03, 0.09), 0.85, 1.30)),
        upper_arm=vary(0.172),
        forearm=vary(0.148),
        hand=vary(0.098),
        thigh=vary(0.242),
        shin=vary(0.243),
        ankle=vary(0.042),
        foot=vary(0.150),
        shoulder=vary(0.104) * (1 + 0.04 * broad),
        hip=vary(0.052) * (1 - 0.05 * broad),
        trunk=vary(0.285),
        neck=vary(0.065),
        head=vary(0.066, 0.03),
        stance=vary(0.068, 0.15),
        sleeve=float(rng.choice([0.004, 0.010, 0.018, 0.026])) * size_scale,
        trouser=float(rng.choice([0.006, 0.014, 0.020, 0.028])) * size_scale,
        jacket=float(rng.choice([0.005, 0.015, 0.028])) * size_scale,
        belly=float(max(0.0, rng.normal(0.005, 0.02))) * size_scale,
        hair=str(rng.choice(["short", "long", "bun", "hat"], p=[0.6, 0.2, 0.08, 0.12])),
        skirt=bool(rng.random() < 0.08),
        tempo=float(0.87 * np.exp(rng.normal(0, 0.13))),
        amplitude=float(np.clip(rng.normal(0.98, 0.06), 0.84, 1.10)),
        slouch=float(rng.normal(3, 3)),
        left_handed=bool(rng.random() < 0.1),
        distance=float(rng.uniform(2.55, 3.0)),
        offset=float(rng.normal(-0.12, 0.08)),
        yaw=float(rng.normal(0, 5)),
    )
