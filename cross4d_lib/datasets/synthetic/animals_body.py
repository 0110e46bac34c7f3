"""An animal's skeleton in its bind pose and the shapes around the bones.

Part of the STAND-IN ``synthetic-animals`` (see ``animals.py``). The bind pose is not a stance: the legs hang stretched,
so that no leg touches the belly or another leg while the skin is wrapped around them (``animals_skin.py``).

Body coordinates: x forward, y to the animal's LEFT, z up, metres, right-handed; the floor is z = 0 once it stands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .animals_builds import Animal, Leg
from .body import unit

PARTS = (
    "head",
    "ear",
    "neck",
    "torso",
    "tail",
    "front left upper leg",
    "front left lower leg",
    "front right upper leg",
    "front right lower leg",
    "back left upper leg",
    "back left lower leg",
    "back right upper leg",
    "back right lower leg",
)
LEGS = ("front left", "front right", "back left", "back right")
SIDES = np.array([1.0, -1.0, 1.0, -1.0])  # of the legs along y: left is positive
SPINE = (
    "pelvis",
    "loin",
    "chest",
    "neck 1",
    "neck 2",
    "neck 3",
    "head",
    "jaw",
    "left ear",
    "right ear",
    *(f"tail {i}" for i in range(1, 5)),
    *(f"trunk {i}" for i in range(1, 5)),
)
BONES = SPINE + tuple(f"{leg} {bone}" for leg in LEGS for bone in ("upper", "lower", "cannon", "toes"))
PARENTS = {
    "pelvis": None,
    "loin": "pelvis",
    "chest": "loin",
    "neck 1": "chest",
    "neck 2": "neck 1",
    "neck 3": "neck 2",
    "head": "neck 3",
    "jaw": "head",
    "left ear": "head",
    "right ear": "head",
    "tail 1": "pelvis",
    "tail 2": "tail 1",
    "tail 3": "tail 2",
    "tail 4": "tail 3",
    "trunk 1": "head",
    "trunk 2": "trunk 1",
    "trunk 3": "trunk 2",
    "trunk 4": "trunk 3",
    **{
        f"{leg} {bone}": f"{leg} {above}"
        for leg in LEGS
        for bone, above in (("lower", "upper"), ("cannon", "lower"), ("toes", "cannon"))
    },
    **{f"{leg} upper": "chest" if leg.startswith("front") else "pelvis" for leg in LEGS},
}
HANG = np.array([0.12, 0.0, -1.0])  # where a trunk hangs
BEND = {"front": np.array([-1.0, 0.0, -0.6]), "back": np.array([1.0, 0.0, 0.45])}  # where elbow and knee point
BEND_SPRAWLED = {"front": np.array([-0.5, 1.0, 1.0]), "back": np.array([0.3, 1.0, 1.0])}  # y: outward


@dataclass(frozen=True)
class Shapes:
    """P tapered capsules of the bind pose. ends : (P, 2, 3). radii : (P, 2). flat : (P, 3) unit direction of
    flattening; thickness : (P,) along it, 1 = round. bone, part : (P,) int64 indices into BONES and PARTS."""

    ends: np.ndarray
    radii: np.ndarray
    flat: np.ndarray
    thickness: np.ndarray
    bone: np.ndarray
    part: np.ndarray


@dataclass(frozen=True)
class Skeleton:
    """The bind pose. joints : (B, 3), where each bone begins. hips : (4, 3), where the legs hang, ordered as LEGS.
    stance : (4, 3) where the balls of the feet stand, relative to the pelvis joint on the floor. height : of the pelvis
    joint when standing. tips : of tail and trunk, bone -> (from its joint to its end (3,), radius there). animal :
    whose it is."""

    animal: Animal
    joints: np.ndarray
    stance: np.ndarray
    height: float
    tips: dict[int, tuple[np.ndarray, float]]

    @property
    def hips(self) -> np.ndarray:
        return self.joints[[BONES.index(f"{leg} upper") for leg in LEGS]]

    def leg(self, i: int) -> Leg:
        return self.animal.build.front if i < 2 else self.animal.build.back


def direction(pitch: float, yaw: float = 0.0) -> np.ndarray:
    """Degrees above the horizontal, and to the left -> a unit vector (3,)."""
    p, y = np.radians(pitch), np.radians(yaw)
    return np.array([np.cos(p) * np.cos(y), np.cos(p) * np.sin(y), np.sin(p)])


def stance_of(build) -> tuple[float, float, float]:
    """Heights of the hip and the shoulder joints when standing, and the slope of the back in degrees."""
    ground = lambda leg: leg.radii[3] + leg.stand * leg.length
    if build.biped:
        return ground(build.back), 0.0, build.pitch
    drop = 0.25 * (build.girth[2] - build.girth[0])  # the joints hang a quarter of the girth below the axis
    rise = ground(build.front) + drop - ground(build.back)
    return (
        ground(build.back),
        ground(build.front),
        float(np.degrees(np.arcsin(np.clip(rise / build.trunk_length, -0.6, 0.6)))),
    )


def assemble(animal: Animal) -> tuple[Skeleton, Shapes]:
    """The bind pose of an individual and the shapes around its bones. The pelvis joint is the origin."""
    b = animal.build
    hip_height, _, slope = stance_of(b)
    back = direction(slope)
    upright = direction(slope + 90)
    side = np.array([0.0, 1.0, 0.0])
    at: dict[str, np.ndarray] = {}
    rows: list[tuple] = []

    def add(bone, part, a, c, ra, rc, flat=side, thickness=1.0):
        rows.append((bone, part, np.asarray(a, float), np.asarray(c, float), ra, rc, flat, thickness))

    # torso: pelvis, loin, chest on one axis
    shoulder = b.trunk_length * back
    hips, loins, ribs = b.girth
    at.update({"pelvis": np.zeros(3), "loin": 0.30 * shoulder, "chest": 0.65 * shoulder})
    middle = 0.5 * shoulder - np.array([0, 0, b.sag])
    add("pelvis", "torso", 0 * back - 0.15 * hips * back, 0.25 * shoulder, hips, 0.5 * (hips + loins), side, b.wide)
    add(
        "loin",
        "torso",
        0.28 * shoulder - np.array([0, 0, 0.5 * b.sag]),
        middle,
        0.5 * (hips + loins),
        loins,
        side,
        b.wide,
    )
    add(
        "chest",
        "torso",
        middle + 0.12 * shoulder,
        shoulder - 0.1 * ribs * back,
        0.5 * (loins + ribs),
        ribs,
        side,
        b.wide,
    )

    # neck and head
    length, angle, r0, r1 = b.neck
    angle += animal.poise
    root = shoulder + (0.55 * ribs - 0.3 * r0) * back + max(0.0, 0.85 * (ribs - r0)) * upright
    along = direction(angle)
    tip = root + length * along
    for i, start in enumerate((0.0, 0.33, 0.67)):
        at[f"neck {i + 1}"] = root + start * length * along
        add(
            f"neck {i + 1}",
            "neck",
            root + (start - 0.12 * (i == 0)) * length * along,
            root + (start + 0.33) * length * along,
            *(r0 + (r1 - r0) * s**0.7 for s in (start, start + 0.33)),
            side,
            0.85,
        )
    _head(b, tip, at, add)
    if "mane" in b.extras:
        crest = direction(angle + 90)
        for i, start in enumerate((0.1, 0.36, 0.68)):
            add(
                f"neck {i + 1}",
                "neck",
                root + start * length * along + 0.85 * r0 * (1 - 0.3 * start) * crest,
                root + (start + 0.28) * length * along + 0.95 * r1 * crest,
                0.30 * r0,
                0.30 * r0,
                side,
                0.7,
            )
    if "hump" in b.extras:
        add(
            "chest",
            "torso",
            0.85 * shoulder + 0.45 * ribs * upright,
            shoulder + 0.35 * ribs * upright,
            0.65 * ribs,
            0.6 * ribs,
        )
    if "udder" in b.extras:
        add(
            "pelvis",
            "torso",
            0.16 * shoulder - 0.85 * loins * upright,
            0.24 * shoulder - 0.95 * loins * upright,
            0.35 * hips,
            0.3 * hips,
        )
    if "scutes" in b.extras:
        for bone, x in (("pelvis", 0.1), ("loin", 0.45), ("chest", 0.85)):
            add(
                bone,
                "torso",
                (x - 0.15) * shoulder + 0.85 * loins * upright,
                (x + 0.15) * shoulder + 0.85 * loins * upright,
                0.25 * loins,
                0.25 * loins,
            )

    # tail: four bones along a line
    tips: dict[int, tuple[np.ndarray, float]] = {}
    length, angle, r0, r1 = b.tail
    backward = -direction(-angle)
    root = -(0.35 * hips + 0.45 * max(hips - r0, 0.0)) * back + 0.55 * max(hips - r0, 0.0) * upright
    if r0 > 0.7 * hips:
        root = -0.5 * hips * back
    for i in range(4):
        at[f"tail {i + 1}"] = root + i / 4 * length * backward
        radii = [r0 + (r1 - r0) * s**0.8 for s in (i / 4, (i + 1) / 4)]
        end = root + (i + 1) / 4 * length * backward
        add(f"tail {i + 1}", "tail", at[f"tail {i + 1}"], end, *radii)
        tips[BONES.index(f"tail {i + 1}")] = (end - at[f"tail {i + 1}"], radii[1])

    # legs, stretched
    for i, name in enumerate(LEGS):
        leg, kind = (b.front, "front") if i < 2 else (b.back, "back")
        hang = (0.90 * shoulder if i < 2 else np.zeros(3)) - 0.25 * (ribs if i < 2 else hips) * upright
        hip = hang + SIDES[i] * leg.hip * side
        at[f"{name} upper"] = hip
        out = 55.0 if b.sprawl else 8.0
        down = np.array([0.0, SIDES[i] * np.sin(np.radians(out)), -np.cos(np.radians(out))])
        at[f"{name} lower"] = hip + leg.bones[0] * unit(down + 0.10 * (-1 if i < 2 else 1) * np.array([1.0, 0, 0]))
        at[f"{name} cannon"] = at[f"{name} lower"] + leg.bones[1] * unit(
            down - 0.10 * (-1 if i < 2 else 1) * np.array([1.0, 0, 0])
        )
        at[f"{name} toes"] = at[f"{name} cannon"] + leg.bones[2] * down
        _limb(b, leg, name, i, at, add, upright)

    joints = np.stack([at[bone] for bone in BONES])
    names, parts, starts, stops, ra, rb, flat, thickness = zip(*rows)
    shapes = Shapes(
        np.stack([np.stack(starts), np.stack(stops)], 1),
        np.stack([ra, rb], 1).astype(float),
        np.stack(flat),
        np.array(thickness, float),
        np.array([BONES.index(n) for n in names]),
        np.array([PARTS.index(p) for p in parts]),
    )
    for i in range(4):
        tips[BONES.index(f"trunk {i + 1}")] = (0.9 * b.head[0] * unit(HANG), b.head[3] * (0.7 - 0.15 * i))
    return Skeleton(animal, joints, _stance(b, joints), hip_height + 0.25 * hips, tips), shapes


def _limb(b, leg: Leg, name: str, i: int, at, add, upright) -> None:
    """The shapes of one leg, arm or wing."""
    r_hip, r_knee, r_ankle, r_foot = leg.radii
    hip, knee, ankle, ball = (at[f"{name} {bone}"] for bone in ("upper", "lower", "cannon", "toes"))
    upper, lower = f"{name} upper leg", f"{name} lower leg"
    wing = "beak" in b.extras and i < 2
    add(f"{name} upper", upper, hip, knee, r_hip, r_knee, np.array([0.0, 1.0, 0.0]), 0.45 if wing else 0.8)
    if wing:
        add(f"{name} lower", lower, knee, ball, r_knee, r_foot, np.array([0.0, 1.0, 0.0]), 0.45)
        return
    calf = knee + 0.25 * (ankle - knee)
    add(f"{name} lower", lower, knee, calf, r_knee, 0.96 * r_knee)
    add(f"{name} lower", lower, calf, ankle, 0.96 * r_knee, r_ankle)
    add(f"{name} cannon", lower, ankle, ball, r_ankle, 0.5 * (r_ankle + r_foot))
    add(
        f"{name} toes",
        lower,
        ball,
        ball + leg.bones[3] * np.array([1.0, 0, 0]),
        r_foot,
        0.85 * r_foot,
        np.array([0.0, 0.0, 1.0]),
        0.9,
    )


def _head(b, tip: np.ndarray, at, add) -> None:
    """Skull, muzzle, jaw, ears and what else a head carries, around the head joint ``tip``."""
    length, angle, skull, muzzle = b.head
    along, crown, side = direction(angle), direction(angle + 90), np.array([0.0, 1.0, 0.0])
    at["head"] = tip
    brow = tip + 0.25 * length * along + 0.1 * skull * crown
    nose = tip + (length - muzzle) * along
    add("head", "head", tip, brow, 0.9 * skull, skull, side, 0.9)
    at["jaw"] = tip + 0.1 * length * along - 0.45 * skull * crown
    if b.jaw:  # a mouth that opens: upper and lower jaw apart
        broad = crown if b.sprawl else side
        add(
            "head",
            "head",
            brow + 0.1 * skull * crown,
            nose + 0.45 * muzzle * crown,
            0.75 * skull,
            0.7 * muzzle,
            broad,
            0.75,
        )
        add("jaw", "head", at["jaw"], at["jaw"] + (b.jaw - muzzle) * along, 0.45 * skull, 0.5 * muzzle, broad, 0.85)
    elif "beak" in b.extras:
        add("head", "head", brow, tip + 1.5 * length * along, 0.55 * skull, 0.4 * muzzle, crown, 0.8)
    else:
        add("head", "head", brow, nose, 0.8 * skull, muzzle, side, 0.9)

    reach, lift, r0, r1 = b.ear
    for name, sign in (("left ear", 1.0), ("right ear", -1.0)):
        s = sign * side
        if "trunk" in b.extras:  # sheets that hang beside the skull
            root = tip + 0.75 * skull * s + 0.35 * skull * np.array([0.0, 0, 1.0])
            sheet = unit(np.array([-0.62, 0, -0.25]) + 0.75 * s)
            at[name] = root
            add(
                name,
                "ear",
                root + 0.30 * reach * sheet,
                root + 0.55 * reach * sheet - np.array([0, 0, 0.35 * reach]),
                r0,
                0.8 * r0,
                unit(np.cross(sheet, [0.0, 0, 1.0])),
                0.15,
            )
            continue
        root = (
            tip
            + 0.10 * length * along
            + 0.75
            * skull
            * (np.sin(np.radians(max(lift, 20))) * np.array([0, 0, 1.0]) + 0.75 * np.cos(np.radians(max(lift, 20))) * s)
            + 0.15 * skull * s
        )
        at[name] = root
        if reach:
            out = unit(np.cos(np.radians(lift)) * s + np.sin(np.radians(lift)) * np.array([-0.15, 0, 1.0]))
            root = root + (0.35 * skull * s if lift < 0 else 0)
            add(name, "ear", root, root + reach * out, r0, r1, s if lift < 0 else np.array([1.0, 0, 0]), 0.6)
        if "horns" in b.extras:
            base = tip + 0.05 * length * along + 0.6 * skull * crown + 0.45 * skull * s
            bent = base + 1.1 * skull * unit(s + 0.3 * crown)
            add("head", "head", base, bent, 0.24 * skull, 0.20 * skull)
            add(
                "head",
                "head",
                bent,
                bent + 1.0 * skull * unit(0.35 * s + crown + 0.35 * along),
                0.20 * skull,
                0.12 * skull,
            )
        if "ossicones" in b.extras:
            base = tip + 0.05 * length * along + 0.7 * skull * crown + 0.4 * skull * s
            add(
                "head",
                "head",
                base,
                base + 1.1 * skull * unit(crown + np.array([0, 0, 0.6])),
                0.22 * skull,
                0.26 * skull,
            )

    start = tip + (length - 0.5 * muzzle) * along
    for i in range(4):
        at[f"trunk {i + 1}"] = start + i / 4 * 3.6 * length * unit(HANG)
        if "trunk" in b.extras:
            add(
                f"trunk {i + 1}",
                "head",
                at[f"trunk {i + 1}"],
                at[f"trunk {i + 1}"] + 0.9 * length * unit(HANG),
                muzzle * (0.85 - 0.15 * i),
                muzzle * (0.7 - 0.15 * i),
            )
    if "tusks" in b.extras:
        for s in (side, -side):
            base = tip + 0.75 * length * along + 0.7 * muzzle * s
            bent = base + 1.5 * muzzle * unit(np.array([0.7, 0, -0.8]) + 0.25 * s)
            add("head", "head", base, bent, 0.26 * muzzle, 0.24 * muzzle)
            add(
                "head",
                "head",
                bent,
                bent + 1.6 * muzzle * unit(np.array([1.0, 0, 0.0]) + 0.1 * s),
                0.24 * muzzle,
                0.20 * muzzle,
            )


def _stance(b, joints: np.ndarray) -> np.ndarray:
    """Where the balls of the feet stand, (4, 3), z the height of the ball above the floor, x and y from the pelvis
    joint."""
    stance = np.zeros((4, 3))
    for i, name in enumerate(LEGS):
        leg = b.front if i < 2 else b.back
        hip = joints[BONES.index(f"{name} upper")]
        ahead = 0.75 * leg.bones[2] * np.sin(np.radians(-leg.cannon))  # half of what the slanted cannon reaches forward
        centre = 0.10 * b.trunk_length if b.biped and not b.hop else 0.0  # a biped's feet stand under its weight
        stance[i] = [hip[0] + ahead + centre, SIDES[i] * leg.foot, leg.radii[3]]
    return stance
