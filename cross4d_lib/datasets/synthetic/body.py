"""An articulated body: 20 joints moved by a pose, and the limbs with volume around them.

Part of the STAND-IN ``synthetic-actions`` (see ``actions.py``). Arms and legs follow their end point (hand, foot) by
analytic two-bone inverse kinematics, so that a pose is a handful of numbers a person can read. The surface is a union
of *tapered capsules*: two spheres joined by a cone, optionally flattened along one direction (a chest is wide, not
deep).

Body coordinates: x to the subject's right, y up, z forward, metres, the floor at y = 0. These axes are left-handed;
``actions.py`` maps them to a camera so that the subject's right appears on the right, as in the Kinect's mirrored
stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .subjects import Subject

JOINTS = (
    "hip centre",
    "spine",
    "shoulder centre",
    "head",
    "right shoulder",
    "right elbow",
    "right wrist",
    "right hand",
    "left shoulder",
    "left elbow",
    "left wrist",
    "left hand",
    "right hip",
    "right knee",
    "right ankle",
    "right foot",
    "left hip",
    "left knee",
    "left ankle",
    "left foot",
)
PARTS = (
    "head",
    "torso",
    "hips",
    "right upper arm",
    "right forearm",
    "right hand",
    "left upper arm",
    "left forearm",
    "left hand",
    "right thigh",
    "right shin",
    "right foot",
    "left thigh",
    "left shin",
    "left foot",
)
SIDES = (("right", 1.0), ("left", -1.0))


@dataclass(frozen=True)
class Posed:
    """A body in F poses. joints : (F, 20, 3) metres. pelvis, chest, head : (F, 3, 3), columns right, up, forward.
    toes : (F, 2, 3) unit directions in which the right and the left foot point."""

    joints: np.ndarray
    pelvis: np.ndarray
    chest: np.ndarray
    head: np.ndarray
    toes: np.ndarray

    def joint(self, name: str) -> np.ndarray:
        """(F, 3) positions of a joint by its name in JOINTS."""
        return self.joints[:, JOINTS.index(name)]


@dataclass(frozen=True)
class Capsules:
    """P tapered capsules over F frames.

    ends : (F, P, 2, 3) centres of the two spheres. radii : (P, 2). flat_axis : (F, P, 3) unit direction of flattening;
    flatness : (P,) thickness along it as a fraction of the radius (1 = round). part : (P,) int64 index into PARTS.
    """

    ends: np.ndarray
    radii: np.ndarray
    flat_axis: np.ndarray
    flatness: np.ndarray
    part: np.ndarray


def rotation(yaw, bend, lean) -> np.ndarray:
    """Angles in degrees, (F,) each -> (F, 3, 3): lean to the right, then bend forward, then turn right about the
    vertical."""
    yaw, bend, lean = (np.radians(angle) for angle in (yaw, bend, lean))
    (sy, cy), (sb, cb), (sl, cl) = ((np.sin(a), np.cos(a)) for a in (yaw, bend, lean))
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)
    rows = lambda *entries: np.stack(entries, -1).reshape(-1, 3, 3)  # (F, 9) -> (F, 3, 3)
    turn = rows(cy, zero, sy, zero, one, zero, -sy, zero, cy)
    pitch = rows(one, zero, zero, zero, cb, -sb, zero, sb, cb)
    roll = rows(cl, sl, zero, -sl, cl, zero, zero, zero, one)
    return turn @ pitch @ roll


def unit(vector: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) scaled to length 1."""
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)


def two_bones(
    root: np.ndarray, target: np.ndarray, first: float, second: float, pole: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where the middle joint and the end of a two-bone limb lie when the end reaches for ``target``.

    root, target, pole : (F, 3); the middle joint bends towards ``pole``. first, second : bone lengths, metres. A target
    out of reach is approached as far as the straight limb goes. Returns (middle, end), (F, 3) each.
    """
    towards = unit(target - root)
    reach = np.clip(
        np.linalg.norm(target - root, axis=-1, keepdims=True),
        1.02 * abs(first - second) + 0.02,
        0.998 * (first + second),
    )
    along = (first**2 - second**2 + reach**2) / (2 * reach)  # law of cosines
    aside = np.sqrt(np.maximum(first**2 - along**2, 0.0))
    sideways = unit(pole - (pole * towards).sum(-1, keepdims=True) * towards)
    return root + along * towards + aside * sideways, root + reach * towards


def apply_pose(subject: Subject, pose: dict[str, np.ndarray]) -> Posed:
    """Move the skeleton.

    pose : channel name -> (F,) or (F, 3), as listed in ``motions.CHANNELS``. Hands are in arm lengths from the
    shoulder, (outward, up, forward), turned with the chest but always upright; feet and pelvis in leg lengths from
    where they rest.
    """
    frames = len(pose["turn"])
    joints = np.zeros((frames, len(JOINTS), 3))
    put = lambda name, value: joints.__setitem__((slice(None), JOINTS.index(name)), value)
    at = lambda name: joints[:, JOINTS.index(name)]

    pelvis = rotation(pose["turn"], 0.45 * pose["bend"], 0.4 * pose["lean"])
    chest = rotation(pose["turn"] + pose["twist"], pose["bend"], pose["lean"])
    head = rotation(
        pose["turn"] + 0.5 * pose["twist"] + pose["look"], 0.7 * pose["bend"] + pose["nod"], 0.6 * pose["lean"]
    )
    upright = rotation(pose["turn"] + pose["twist"], 0 * pose["bend"], 0 * pose["lean"])

    rest_height = subject.ankle + 0.99 * subject.leg
    put("hip centre", np.array([0, rest_height, 0]) + subject.leg * pose["pelvis"])
    put("spine", at("hip centre") + 0.35 * subject.trunk * pelvis[:, :, 1])
    put("shoulder centre", at("spine") + 0.65 * subject.trunk * chest[:, :, 1])
    put(
        "head",
        at("shoulder centre")
        + subject.neck * unit(chest[:, :, 1] + head[:, :, 1])
        + 0.9 * subject.head * head[:, :, 1],
    )

    toes = np.zeros((frames, 2, 3))
    for s, (side, sign) in enumerate(SIDES):
        mirror = np.array([sign, 1, 1])
        shrug = 0.10 * np.clip(pose[f"{side} hand"][:, 1:2] + 0.4, 0, None)  # a raised arm lifts its shoulder
        put(
            f"{side} shoulder",
            at("shoulder centre") + subject.shoulder * (sign * chest[:, :, 0] + (shrug - 0.2) * chest[:, :, 1]),
        )
        wrist_target = at(f"{side} shoulder") + subject.arm * np.einsum(
            "fij,fj->fi", upright, mirror * pose[f"{side} hand"]
        )
        swivel = np.radians(pose[f"{side} elbow"])
        pole = np.einsum(
            "fij,fj->fi", upright, np.stack([sign * np.sin(swivel), -np.cos(swivel), -0.35 + 0 * swivel], -1)
        )
        elbow, wrist = two_bones(at(f"{side} shoulder"), wrist_target, subject.upper_arm, subject.forearm, pole)
        put(f"{side} elbow", elbow)
        put(f"{side} wrist", wrist)
        put(f"{side} hand", wrist + 0.8 * subject.hand * unit(wrist - elbow))

        put(f"{side} hip", at("hip centre") + subject.hip * sign * pelvis[:, :, 0])
        standing = np.array([sign * subject.stance, subject.ankle, 0])
        yaw = np.radians(sign * 12 + 0.6 * pose["turn"])
        foot_pitch = np.radians(pose[f"{side} toe"])
        toes[:, s] = np.stack(
            [np.sin(yaw) * np.cos(foot_pitch), np.sin(foot_pitch), np.cos(yaw) * np.cos(foot_pitch)], -1
        )
        foot_target = standing + subject.leg * mirror * pose[f"{side} foot"]
        bend_towards = np.stack([np.sin(yaw), 0.15 + 0 * yaw, np.cos(yaw)], -1)
        knee, ankle = two_bones(at(f"{side} hip"), foot_target, subject.thigh, subject.shin, bend_towards)
        put(f"{side} knee", knee)
        put(f"{side} ankle", ankle)
        put(f"{side} foot", ankle + 0.65 * subject.foot * toes[:, s] - np.array([0, 0.45 * subject.ankle, 0]))
    return Posed(joints, pelvis, chest, head, toes)


def clothe(subject: Subject, posed: Posed) -> Capsules:
    """The surface of a posed body. Radii are fractions of stature times girth, plus what clothes add."""
    rows = []
    size = subject.height / 1.70 * subject.girth
    at = posed.joint
    pelvis, chest, head = posed.pelvis, posed.chest, posed.head
    up, forward, right = (lambda frame: frame[:, :, 1]), (lambda frame: frame[:, :, 2]), (lambda frame: frame[:, :, 0])

    def add(part, a, b, radius_a, radius_b, flat_axis=None, flatness=1.0):
        axis = np.broadcast_to([0.0, 0.0, 1.0], a.shape) if flat_axis is None else flat_axis
        rows.append((np.stack([a, b], 1), (radius_a, radius_b), axis, flatness, PARTS.index(part)))

    # head: skull, jaw, neck, hair
    skull, width = at("head"), subject.head
    add(
        "head",
        skull + 0.20 * width * up(head),
        skull + (0.30 * up(head) - 0.25 * forward(head)) * width,
        0.98 * width,
        1.0 * width,
        right(head),
        0.86,
    )
    add(
        "head",
        skull - 0.55 * width * up(head) + 0.25 * width * forward(head),
        skull,
        0.62 * width,
        0.9 * width,
        right(head),
        0.9,
    )
    add(
        "head",
        at("shoulder centre"),
        skull - 0.3 * width * up(head) - 0.2 * width * forward(head),
        0.056 * size,
        0.052 * size,
    )
    if subject.hair == "long":
        add(
            "head",
            skull + (0.4 * up(head) - 0.4 * forward(head)) * width,
            skull - (2.0 * up(head) + 0.75 * forward(head)) * width,
            1.06 * width,
            0.95 * width,
        )
    elif subject.hair == "bun":
        add("head", skull + 1.1 * width * up(head), skull + 1.45 * width * up(head), 0.45 * width, 0.4 * width)
    elif subject.hair == "hat":
        add(
            "head",
            skull + 0.9 * width * up(head),
            skull + 0.55 * width * up(head) + 1.1 * width * forward(head),
            0.85 * width,
            0.35 * width,
        )

    # torso and hips: wide and flat; the chest hangs from the shoulders, the waist joins it to the pelvis
    j, centre, spine, hips = subject.jacket, at("shoulder centre"), at("spine"), at("hip centre")
    chest_low, chest_high = centre - 0.62 * subject.trunk * up(chest), centre - 0.28 * subject.trunk * up(chest)
    broad = 0.78 * subject.shoulder
    add("torso", chest_low, chest_high, 0.135 * size + j, broad + 0.03 * size + j, forward(chest), 0.66)
    for _, sign in SIDES:
        add(
            "torso",
            centre + 0.10 * subject.trunk * up(chest),
            centre + sign * 0.88 * subject.shoulder * right(chest) - 0.06 * subject.trunk * up(chest),
            0.05 * size,
            0.062 * size + 0.5 * j,
        )
        breast = centre + sign * 0.45 * subject.shoulder * right(chest) - 0.27 * subject.trunk * up(chest)
        add("torso", breast, breast - 0.2 * subject.trunk * up(chest), 0.092 * size + j, 0.090 * size + j)
    add("torso", spine, chest_low, 0.140 * size + j, 0.140 * size + j, forward(chest), 0.70)
    if subject.belly > 0.005:
        add(
            "torso",
            spine + 0.03 * up(pelvis) + (0.01 + subject.belly) * forward(pelvis),
            spine + 0.10 * up(chest) + 0.01 * forward(chest),
            0.105 * size + j,
            0.09 * size + j,
        )
    add("hips", hips - 0.02 * up(pelvis), spine, 0.144 * size + j, 0.141 * size + j, forward(pelvis), 0.74)
    for _, sign in SIDES:
        buttock = hips + sign * subject.hip * right(pelvis) - 0.035 * up(pelvis)
        add("hips", buttock - 0.03 * forward(pelvis), buttock + 0.05 * up(pelvis), 0.098 * size, 0.098 * size + 0.5 * j)

    for s, (side, sign) in enumerate(SIDES):
        shoulder, elbow, wrist, hand = (at(f"{side} {joint}") for joint in ("shoulder", "elbow", "wrist", "hand"))
        sleeve = subject.sleeve
        add(f"{side} upper arm", shoulder, elbow, 0.055 * size + 0.6 * sleeve, 0.043 * size + sleeve)
        bulge = elbow + 0.3 * (wrist - elbow)
        add(f"{side} forearm", elbow, bulge, 0.042 * size + sleeve, 0.043 * size + sleeve)
        add(f"{side} forearm", bulge, wrist, 0.043 * size + sleeve, 0.029 * size + 0.9 * sleeve)
        add(
            f"{side} hand",
            wrist + 0.35 * (hand - wrist),
            hand,
            0.042 * size,
            0.034 * size,
            unit(np.cross(hand - wrist, np.broadcast_to([0.2, 0.3, 1.0], hand.shape))),
            0.75,
        )

        hip, knee, ankle, foot = (at(f"{side} {joint}") for joint in ("hip", "knee", "ankle", "foot"))
        cloth = subject.trouser
        thigh_top = hip + 0.08 * (knee - hip) + sign * 0.012 * right(pelvis)
        add(f"{side} thigh", thigh_top, knee, 0.090 * size + cloth, 0.060 * size + cloth)
        calf = knee + 0.32 * (ankle - knee) - 0.012 * posed.toes[:, s]
        add(f"{side} shin", knee, calf, 0.058 * size + cloth, 0.059 * size + cloth)
        add(f"{side} shin", calf, ankle, 0.059 * size + cloth, 0.040 * size + 1.3 * cloth)
        heel = ankle - 0.12 * subject.foot * posed.toes[:, s] - np.array([0, 0.35 * subject.ankle, 0])
        add(f"{side} foot", heel, foot, 0.045 * size, 0.040 * size)
    if subject.skirt:
        knees = 0.5 * (at("right knee") + at("left knee"))
        add("hips", hips, hips + 0.75 * (knees - hips), 0.15 * size, 0.20 * size, forward(pelvis), 0.8)

    ends, radii, axes, flatness, part = zip(*rows)
    return Capsules(np.stack(ends, 1), np.array(radii), np.stack(axes, 1), np.array(flatness), np.array(part, np.int64))
