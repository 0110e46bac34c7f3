"""From a motion's channels to what moves the skin: forward kinematics for spine, neck, head and tail, inverse for the
legs.

Part of the STAND-IN ``synthetic-animals`` (see ``animals.py``). A motion says where the feet stand; hip and ankle being
known, the two bones between them are solved exactly, so a foot that stands does not slide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .animals_body import BEND, BEND_SPRAWLED, BONES, LEGS, PARENTS, SIDES, SPINE, Skeleton
from .body import two_bones, unit

ALONG = np.array([1.0, 0.0, 0.0])


@dataclass
class Motion:
    """F frames of a performance; every channel is zero in the standing pose. Degrees: up, left and open are positive.

    surge, lift : (F,) metres the pelvis moves forward and up. pitch, roll : of the body about the pelvis. flex : the
    back bends up at the shoulders. bend : the back bends to the left. neck, head : pitch; neck_yaw, head_yaw. jaw :
    opens. ear : pitch of the ears. tail, tail_yaw : (F, 4) per bone. trunk : (F, 4). arms : (F, 2, 2) pitch of upper
    and lower arm, forwards. feet : (F, 4, 3) metres from where they stand: forward, outward, up. cannon : (F, 4) the
    ankle moves forward over the foot. toes : (F, 4) pitch. free, held : (F, 4) and (F, 4, 3): with ``free`` = 1 a
    foot leaves the ground to ``held`` from its own hip, in leg lengths: forward, outward, up.
    """

    surge: np.ndarray
    lift: np.ndarray
    pitch: np.ndarray
    roll: np.ndarray
    flex: np.ndarray
    bend: np.ndarray
    neck: np.ndarray
    neck_yaw: np.ndarray
    head: np.ndarray
    head_yaw: np.ndarray
    jaw: np.ndarray
    ear: np.ndarray
    tail: np.ndarray
    tail_yaw: np.ndarray
    trunk: np.ndarray
    arms: np.ndarray
    feet: np.ndarray
    cannon: np.ndarray
    toes: np.ndarray
    free: np.ndarray
    held: np.ndarray

    @classmethod
    def standing(cls, frames: int) -> Motion:
        """All channels at rest."""
        shapes = {
            "tail": (4,),
            "tail_yaw": (4,),
            "trunk": (4,),
            "arms": (2, 2),
            "feet": (4, 3),
            "cannon": (4,),
            "toes": (4,),
            "free": (4,),
            "held": (4, 3),
        }
        return cls(**{name: np.zeros((frames, *shapes.get(name, ()))) for name in cls.__dataclass_fields__})


def turn(pitch=0.0, yaw=0.0, roll=0.0) -> np.ndarray:
    """Degrees, any shapes (...) that broadcast -> (..., 3, 3): roll to the right, then pitch up, then yaw to the
    left."""
    p, y, r = np.radians(pitch), np.radians(yaw), np.radians(roll)
    sp, cp, sy, cy, sr, cr = np.sin(p), np.cos(p), np.sin(y), np.cos(y), np.sin(r), np.cos(r)
    out = np.zeros((*np.broadcast_shapes(np.shape(p), np.shape(y), np.shape(r)), 3, 3))
    out[..., 0, 0], out[..., 1, 0], out[..., 2, 0] = cy * cp, sy * cp, sp
    out[..., 0, 1], out[..., 1, 1], out[..., 2, 1] = -sy * cr - cy * sp * sr, cy * cr - sy * sp * sr, cp * sr
    out[..., 0, 2], out[..., 1, 2], out[..., 2, 2] = sy * sr - cy * sp * cr, -cy * sr - sy * sp * cr, cp * cr
    return out


def pose(skeleton: Skeleton, m: Motion) -> np.ndarray:
    """Motion -> transforms (F, B, 3, 4) from the bind pose to body coordinates, the floor at z = 0."""
    b, joints, frames = skeleton.animal.build, skeleton.joints, len(m.lift)
    rotation = np.zeros((frames, len(BONES), 3, 3))
    shift = np.zeros((frames, len(BONES), 3))

    pitch, yaw, roll = np.zeros((3, frames, len(SPINE)))  # BONES begins with SPINE
    at = {bone: SPINE.index(bone) for bone in SPINE}
    pitch[:, at["pelvis"]], yaw[:, at["pelvis"]], roll[:, at["pelvis"]] = m.pitch, -0.5 * m.bend, m.roll
    for bone in ("loin", "chest"):
        pitch[:, at[bone]], yaw[:, at[bone]] = 0.5 * m.flex, 0.5 * m.bend
    for i in range(3):
        pitch[:, at[f"neck {i + 1}"]], yaw[:, at[f"neck {i + 1}"]] = m.neck / 3, m.neck_yaw / 3
    pitch[:, at["head"]], yaw[:, at["head"]], pitch[:, at["jaw"]] = m.head, m.head_yaw, -m.jaw
    pitch[:, at["left ear"]] = pitch[:, at["right ear"]] = m.ear
    first = at["tail 1"]
    pitch[:, first : first + 4], yaw[:, first : first + 4] = -m.tail, m.tail_yaw
    pitch[:, first] -= skeleton.animal.carriage
    pitch[:, at["trunk 1"] : at["trunk 1"] + 4] = m.trunk
    own = turn(pitch, yaw, roll)  # (F, S, 3, 3)
    for bone in SPINE:
        k = at[bone]
        if PARENTS[bone] is None:
            rotation[:, k] = own[:, k]
            placed = np.stack([m.surge, 0 * m.lift, skeleton.height + m.lift], -1)
        else:
            up = at[PARENTS[bone]]
            rotation[:, k] = rotation[:, up] @ own[:, k]
            placed = rotation[:, up] @ joints[k] + shift[:, up]
        if bone.startswith(("tail", "trunk")):
            rotation[:, k] = _above_floor(rotation[:, k], placed, *skeleton.tips[k])
        shift[:, k] = placed - rotation[:, k] @ joints[k]

    for i in range(4):
        ks = [BONES.index(f"{LEGS[i]} {bone}") for bone in ("upper", "lower", "cannon", "toes")]
        carrier = BONES.index("chest" if i < 2 else "pelvis")
        hip = rotation[:, carrier] @ joints[ks[0]] + shift[:, carrier]
        if b.biped and i < 2:
            points, sideways = _arm(skeleton, m, i, hip)
        else:
            points, sideways = _leg(skeleton, m, i, hip, rotation[:, carrier])
        bind = np.stack([joints[k] for k in ks] + [joints[ks[3]] + skeleton.leg(i).bones[3] * ALONG])
        reference = np.cross(bind[2] - bind[0], _bends(skeleton, i))
        for n, k in enumerate(ks):
            before = _frame((bind[n + 1] - bind[n])[None], reference[None])
            rotation[:, k] = _frame(points[n + 1] - points[n], sideways) @ before.transpose(0, 2, 1)
            shift[:, k] = points[n] - rotation[:, k] @ joints[k]
    return np.concatenate([rotation, shift[..., None]], -1)


def _above_floor(rotation: np.ndarray, start: np.ndarray, along: np.ndarray, radius: float) -> np.ndarray:
    """Tail and trunk lie down on the floor instead of passing through it: the rotations (F, 3, 3) of a bone that begins
    at ``start`` (F, 3) and reaches ``along`` (3,) in the bind pose, pitched up where its end would come lower than
    ``radius``."""
    length = np.linalg.norm(along)
    now = rotation @ along / length  # (F, 3)
    least = np.clip((radius - start[:, 2]) / length, -1, 0.9)
    rise = np.degrees(np.arcsin(np.maximum(now[:, 2], least)) - np.arcsin(np.clip(now[:, 2], -1, 1)))
    yaw = np.degrees(np.arctan2(now[:, 1], now[:, 0]))
    return turn(yaw=yaw) @ turn(pitch=rise) @ turn(yaw=-yaw) @ rotation


def _bends(skeleton: Skeleton, i: int) -> np.ndarray:
    """Where knee or elbow of leg i point, (3,)."""
    kind = "front" if i < 2 else "back"
    return (BEND_SPRAWLED if skeleton.animal.build.sprawl else BEND)[kind] * np.array([1.0, SIDES[i], 1.0])


def _frame(along: np.ndarray, sideways: np.ndarray) -> np.ndarray:
    """Orthonormal axes (F, 3, 3) as columns: along, sideways made square to it, and the third."""
    first = unit(along)
    second = unit(sideways - (sideways * first).sum(-1, keepdims=True) * first)
    return np.stack([first, second, np.cross(first, second)], -1)


def _leg(
    skeleton: Skeleton, m: Motion, i: int, hip: np.ndarray, carried: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """The five points of a leg (hip, knee, ankle, ball, tip of the toes), (F, 3) each, and the normal of its plane."""
    leg = skeleton.leg(i)
    outward = np.array([1.0, SIDES[i], 1.0])
    stand = skeleton.stance[i] + outward * m.feet[:, i]
    held = hip + leg.length * outward * m.held[:, i]
    ball = stand + m.free[:, i, None] * (held - stand)
    ball[:, 2] = np.maximum(ball[:, 2], leg.radii[3] + leg.bones[3] * np.sin(np.radians(np.maximum(-m.toes[:, i], 0))))
    slant = np.radians(leg.cannon + m.cannon[:, i])
    lean = np.clip((hip[:, 1] - ball[:, 1]) / np.maximum(hip[:, 2] - ball[:, 2], 0.3 * leg.length), -0.8, 0.8)
    cannon = unit(np.stack([np.sin(slant), lean * np.cos(slant), np.cos(slant)], -1))
    ankle = ball + leg.bones[2] * cannon
    ankle[:, 2] = np.maximum(ankle[:, 2], leg.radii[2])
    bends = carried @ _bends(skeleton, i)
    knee, _ = two_bones(hip, ankle, leg.bones[0], leg.bones[1], bends)
    under = np.clip(
        (1.5 * leg.radii[1] - knee[:, 2:]) / leg.radii[1], 0, 2
    )  # a folded leg's knee or elbow turns up, off the floor
    bends = bends + under * np.array([0.0, 0.6 * SIDES[i], 1.2])
    knee, reached = two_bones(hip, ankle, leg.bones[0], leg.bones[1], bends)
    ball = reached + (ball - ankle)
    pitch, splay = np.radians(m.toes[:, i]), np.radians(SIDES[i] * (30 if skeleton.animal.build.sprawl else 6))
    toes = np.stack([np.cos(pitch) * np.cos(splay), np.cos(pitch) * np.sin(splay), np.sin(pitch)], -1)
    return [hip, knee, reached, ball, ball + leg.bones[3] * toes], np.cross(reached - hip, bends)


def _arm(skeleton: Skeleton, m: Motion, i: int, shoulder: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The same five points of an arm or wing, swung by angles."""
    leg, rest = skeleton.leg(i), skeleton.animal.build.rest_arm
    points = [shoulder]
    for length, angle in zip(leg.bones, (rest[0] + m.arms[:, i, 0], *[rest[1] + m.arms[:, i, 1]] * 3)):
        swing = np.radians(angle)
        points.append(points[-1] + length * np.stack([np.sin(swing), 0.10 * SIDES[i] + 0 * swing, -np.cos(swing)], -1))
    return points, np.array([0.0, 1.0, 0.0])
