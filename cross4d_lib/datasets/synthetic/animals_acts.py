"""What an animal does on the spot: jump, eat, look around, attack, lie down. Shape over time u, 0 to 1 through the
video.

Part of the STAND-IN ``synthetic-animals`` (see ``animals.py``). The window a clip of 16 frames takes lies in the
middle (u from 0.17 to 0.83), so what tells one act from another happens there.
"""

from __future__ import annotations

import numpy as np

from .animals_body import BONES, Skeleton, stance_of
from .animals_pose import Motion


def ramp(u: np.ndarray, start: float, stop: float) -> np.ndarray:
    """0 before ``start``, 1 after ``stop``, smooth between."""
    t = np.clip((u - start) / (stop - start), 0, 1)
    return t * t * (3 - 2 * t)


def hold(u: np.ndarray, a: float, b: float, c: float, d: float) -> np.ndarray:
    """Rises from a to b, falls from c to d."""
    return ramp(u, a, b) - ramp(u, c, d)


def idle(m: Motion, u: np.ndarray, skeleton: Skeleton, start: float, amount: float = 1.0) -> None:
    """What never stops: breath in the flanks, a swaying tail, a twitching ear."""
    for k in range(4):
        m.tail_yaw[:, k] += amount * 9 * np.sin(2 * np.pi * (1.1 * u + start - 0.1 * k)) * (0.5 + 0.3 * k)
    m.ear += amount * 9 * np.maximum(0, np.sin(2 * np.pi * (2.3 * u + 2 * start))) ** 3
    if "trunk" in skeleton.animal.build.extras:
        m.trunk += 5 * np.sin(2 * np.pi * (0.9 * u[:, None] + start - 0.1 * np.arange(4)))


def jump(skeleton: Skeleton, u: np.ndarray, start: float) -> Motion:
    """Crouches, takes off, flies stretched, lands and gives way; the camera stays."""
    b, animal, m = skeleton.animal.build, skeleton.animal, Motion.standing(len(u))
    hips, _, _ = stance_of(b)
    off, down = 0.38, 0.66
    s = np.clip((u - off) / (down - off), 0, 1)
    flying = hold(u, off - 0.03, off + 0.05, down - 0.05, down + 0.01)
    height = {"elephant": 0.25, "crocodile": 0.9, "rabbit": 1.5, "cat": 1.3, "dog": 0.9, "kangaroo": 0.9}.get(
        animal.category, 0.5
    )
    crouch = hold(u, 0.08, 0.26, off - 0.08, off) + 0.8 * hold(u, down, down + 0.08, 0.76, 0.92)
    m.lift = hips * animal.amplitude * (height * 4 * s * (1 - s) - (0.12 if b.sprawl else 0.24) * crouch)
    far = 0.25 * b.trunk_length + 0.20 * hips
    m.surge = far * (2 * (0.08 * ramp(u, 0.1, off) + 0.84 * s + 0.08 * ramp(u, down, 0.8)) - 1)
    m.feet[..., 0] = far * (2 * ramp(u, off, down)[:, None] - 1)
    m.pitch = (
        20
        * (
            np.cos(np.pi * s) * (flying > 0) * flying
            + 0.7 * hold(u, 0.26, off, off, off + 0.04)
            - 0.4 * hold(u, down - 0.02, down, down, 0.78)
        )
        * (0.5 if b.biped else 1)
    )
    m.flex = -10 * crouch + 8 * flying
    m.neck = 12 * flying - 0.6 * m.pitch
    m.free = np.repeat(flying[:, None], 4, 1)
    m.held[:, :2] = np.stack([0.35 + 0.1 * s, 0 * s + 0.02, -0.45 - 0.35 * s**2], -1)[:, None]
    m.held[:, 2:] = np.stack([-0.55 + 0.85 * s, 0 * s + 0.05, -0.66 + 0.05 * s], -1)[:, None] * (
        0.9 if not b.hop else 0.75
    )
    if b.sprawl:
        m.held[..., 1] += 0.5
    m.cannon[:, :2] = 55 * flying[:, None] * (1 - s[:, None])
    m.cannon[:, 2:] = 45 * flying[:, None] * (1 - s[:, None]) + 20 * hold(u, 0.3, off, off, off + 0.05)[:, None]
    m.toes = -60 * np.repeat((flying * (1 - s))[:, None], 4, 1)
    m.arms[..., 0] = -50 * flying[:, None] if "beak" in b.extras else 25 * flying[:, None]
    m.tail[:, 0] = 30 * flying * (b.tail[1] < 30) - 12 * crouch
    m.ear = -15 * flying
    idle(m, u, skeleton, start, 0.3)
    return m


def graze_angles(skeleton: Skeleton) -> tuple[float, float]:
    """How far the neck and then the whole body have to go down until the muzzle reaches the floor, degrees."""
    b = skeleton.animal.build
    at = lambda bone: skeleton.joints[BONES.index(bone)]
    root, segments = at("neck 1"), np.diff([at(f"neck {i}") for i in (1, 2, 3)] + [at("head")], axis=0)
    snout = b.head[0]
    for body in range(0, 70 if b.hop else 46, 3):
        for neck in range(0, 60 if b.hop else 121, 4):
            z = skeleton.height * (1 - stoop(b)) + np.hypot(root[0], root[2]) * np.sin(
                np.arctan2(root[2], root[0]) - np.radians(body)
            )
            for i, segment in enumerate(segments):
                angle = max(np.arctan2(segment[2], segment[0]) - np.radians(body + neck * (i + 1) / 3), -np.pi / 2)
                z += np.linalg.norm(segment) * np.sin(angle)
            if z - snout * np.sin(np.radians(58)) < b.head[3]:
                return float(neck), float(body)
    return (60.0, 70.0) if b.hop else (120.0, 45.0)


def stoop(build) -> float:
    """How far a feeding animal's hips sink, as a share of their height."""
    return 0.30 if build.hop and build.biped else 0.10


def eat(skeleton: Skeleton, u: np.ndarray, start: float) -> Motion:
    """Lowers the head to the ground and feeds there, in small tugs; an elephant's trunk carries the food to the
    mouth."""
    b, m = skeleton.animal.build, Motion.standing(len(u))
    hips, _, _ = stance_of(b)
    low = hold(u, 0.04, 0.34, 0.92, 1.1)
    tug = low * np.sin(2 * np.pi * (3.2 * u + start))
    idle(m, u, skeleton, start, 1.0)
    if "trunk" in b.extras:
        reach = 0.5 - 0.5 * np.cos(
            2 * np.pi * 1.5 * np.clip(u - 0.12, 0, None)
        )  # from the ground to the mouth and back
        m.trunk = np.stack([12 - 32 * reach, -8 - 34 * reach, -10 - 48 * reach, -12 - 55 * reach], -1)
        m.trunk[:, 0] += 30 * reach
        m.neck, m.head = -8 * low, 4 * tug
        return m
    neck, body = (0.0, 0.0) if b.sprawl else graze_angles(skeleton)
    face = 4 if b.sprawl else 58  # degrees below the horizontal
    m.pitch = -body * low
    m.neck = -neck * low + 3 * tug
    m.head = (neck + body - b.head[1] - face) * low + 5 * tug
    m.jaw = 12 * low * (1 + np.sin(2 * np.pi * (6 * u + start))) * bool(b.jaw)
    m.head_yaw = 7 * low * np.sin(2 * np.pi * (1.1 * u + start))
    m.feet[:, 0, 0] = 0.14 * hips * low  # one forefoot ahead, as grazers stand
    if not b.biped:
        m.feet[:, :2, 1] = 0.006 * body * hips * low[:, None]
    m.tail[:, 0] -= 0.5 * body * low
    m.arms[..., 0] = body * low[:, None] * (0.5 if "beak" not in b.extras else 0)
    m.lift = -stoop(b) * hips * low * (body > 12)
    return m


def look_around(skeleton: Skeleton, u: np.ndarray, start: float) -> Motion:
    """Stands, head high, and turns it far to one side, then to the other."""
    b, m = skeleton.animal.build, Motion.standing(len(u))
    side = 1 if start < 0.5 else -1
    yaw = side * (ramp(u, 0.12, 0.30) - 2 * ramp(u, 0.44, 0.66) + ramp(u, 0.80, 0.98))
    alert = hold(u, 0.05, 0.2, 0.85, 1.0)
    m.neck_yaw, m.head_yaw = 48 * yaw, 34 * yaw
    m.neck = (10 if b.neck[1] < 60 else 3) * alert
    m.head = 6 * alert + 5 * np.sin(2 * np.pi * (2 * u + start))
    m.bend = 7 * yaw
    m.roll = 2 * yaw
    m.ear = 12 * np.sin(2 * np.pi * (3 * u + start))
    idle(m, u, skeleton, start, 1.6)
    return m


def attack(skeleton: Skeleton, u: np.ndarray, start: float) -> Motion:
    """Rears and strikes with the forefeet; a crocodile and a tyrannosaur lunge and snap, an ostrich kicks, a kangaroo
    kicks from its tail."""
    b, animal, m = skeleton.animal.build, skeleton.animal, Motion.standing(len(u))
    hips, _, _ = stance_of(b)
    up = hold(u, 0.10, 0.36, 0.74, 0.94)
    strike = np.sin(2 * np.pi * (3.0 * u + start))
    m.jaw = 20 * up + 14 * up * strike
    m.ear = -25 * up
    idle(m, u, skeleton, start, 0.5)
    if b.sprawl or b.jaw:
        lunge = np.maximum(hold(u, 0.14, 0.30, 0.36, 0.50), hold(u, 0.50, 0.64, 0.70, 0.86))
        m.jaw = 42 * np.maximum(hold(u, 0.08, 0.26, 0.29, 0.34), hold(u, 0.44, 0.60, 0.63, 0.68))
        m.surge = (0.16 if b.sprawl else 0.22) * b.trunk_length * lunge
        m.neck, m.head = (16 if b.sprawl else -20) * lunge, (8 if b.sprawl else 14) * lunge
        m.pitch = (7 if b.sprawl else -12) * lunge
        m.bend = 26 * (1 if start < 0.5 else -1) * (hold(u, 0.3, 0.42, 0.5, 0.62)) * b.sprawl
        m.head_yaw = 0.8 * m.bend + 14 * (not b.sprawl) * strike * up
        m.lift = -0.06 * hips * lunge
        m.tail_yaw += 14 * np.sin(2 * np.pi * (1.6 * u[:, None] - 0.1 * np.arange(4)))
        return m
    if b.biped:
        kick = np.maximum(hold(u, 0.16, 0.32, 0.36, 0.50), hold(u, 0.50, 0.64, 0.70, 0.86))
        leaders = (2, 3) if b.hop else (2,) if start < 0.5 else (3,)
        for i in leaders:
            m.free[:, i] = kick
            m.held[:, i] = [0.62, 0.03, -0.30] if not b.hop else [0.62, 0.06, -0.12]
            m.cannon[:, i] = (-35 if not b.hop else 20) * kick
            m.toes[:, i] = 35 * kick
        m.pitch = (26 if b.hop else 16) * kick
        m.lift = (0.10 if b.hop else 0.02) * hips * kick
        m.neck, m.head = -8 * kick, 4 * kick
        m.arms[..., 0] = (55 * kick + 18 * strike * up)[:, None] * (1 if b.hop else -1.0)
        m.arms[..., 1] = m.arms[..., 0]
        return m
    high = {"elephant": 24, "giraffe": 18, "cow": 26, "bear": 58, "cat": 42, "rabbit": 46}.get(animal.category, 42)
    m.pitch = high * up * animal.amplitude
    m.lift = -(0.04 if animal.category == "bear" else 0.10) * hips * up
    m.surge = -0.12 * b.trunk_length * up
    m.neck, m.head = (-0.45 * m.pitch if b.neck[1] > 30 else -0.25 * m.pitch), -0.25 * m.pitch
    m.free[:, :2] = up[:, None]
    for i, beat in ((0, strike), (1, -strike)):
        m.held[:, i] = np.stack([0.50 + 0.22 * beat, 0.02 + 0 * beat, -0.42 + 0.30 * beat], -1)
        m.cannon[:, i] = up * (45 - 35 * beat)
        m.toes[:, i] = up * (-40 + 30 * beat)
    m.feet[:, 2:, 0] = 0.05 * b.trunk_length * up[:, None]
    m.tail[:, 0] += -0.5 * m.pitch * (b.tail[1] < 0)
    m.trunk += np.stack([34 * up, 22 * up, 20 * up, 14 * up], -1)
    return m


def lie_down(skeleton: Skeleton, u: np.ndarray, start: float) -> Motion:
    """Sinks, forehand first, until the belly rests on the floor with the legs folded under; a biped sits down."""
    b, m = skeleton.animal.build, Motion.standing(len(u))
    belly = max(b.girth[0], b.girth[1] + 0.7 * b.sag)  # what the hindquarters rest on
    ribs = b.girth[2]
    front, back = ramp(u, 0.14, 0.46), ramp(u, 0.26, 0.62)
    rest = skeleton.height - belly * 1.08
    shoulder = skeleton.height + skeleton.joints[BONES.index("chest")][2] / 0.65
    m.lift = -rest * back
    if b.biped:
        m.pitch = (-0.75 * b.pitch if b.hop else 2.0) * back
        m.tail[:, 0] = (10 if b.hop else -6) * back
    else:
        drop = (skeleton.height - rest * back) - (
            shoulder - (shoulder - ribs * 1.08) * front
        )  # how far the shoulder lies below the hip
        slope = np.degrees(np.arcsin(np.clip((shoulder - skeleton.height) / b.trunk_length, -0.9, 0.9)))
        m.pitch = np.degrees(np.arcsin(np.clip(-drop / b.trunk_length, -0.7, 0.7))) - slope
    m.neck = -0.3 * m.pitch - 8 * ramp(u, 0.5, 0.8)
    m.head = 4 * np.sin(2 * np.pi * (u + start))
    hoofed = b.back.cannon > -12
    for i in range(4):
        leg, done = skeleton.leg(i), front if i < 2 else back
        ahead = (0.26 if hoofed else 0.55) if i < 2 else (0.40 if leg.cannon > -50 else 0.18)
        m.feet[:, i, 0] = ahead * leg.length * done
        m.feet[:, i, 1] = (0.06 if i < 2 else 0.14) * leg.length * done
        m.cannon[:, i] = (-78 - leg.cannon) * done
        step = np.sin(np.pi * done)
        m.feet[:, i, 2] = 0.05 * leg.length * step
    m.arms[..., 0] = 30 * back[:, None] * b.hop
    m.trunk += 18 * back[:, None]
    m.tail[:, 0] += max(0.0, -b.tail[1] - 15) * 0.8 * back * (not b.biped)
    idle(m, u, skeleton, start, 0.6)
    return m


ACTS = {"jump": jump, "eat": eat, "look around": look_around, "attack": attack, "lie down": lie_down}
