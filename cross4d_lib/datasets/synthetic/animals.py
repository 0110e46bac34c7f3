"""``synthetic-animals``: the embedded STAND-IN for DeformingThings4D's animals, generated on the fly: no download.

Twelve animals x 6 individuals x 8 gaits and acts, 24 frames each: the whole surface as one moving mesh, so that every
point is known in every frame, with a part label per vertex. ``synthetic-animals`` labels the animal,
``synthetic-animals-actions`` what it does.

Imitated: categories by name, one mesh per animation with vertex correspondence, individuals of several proportions,
real footfall orders, metres. Not imitated: fur, muscles, faces, or an artist's eye; bodies are tubes melted together,
every kind walks by the same rules, and elephants do not really trot. Numbers on it show that the method's parts work,
never what they would reach on DeformingThings4D.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from ...clips import Video
from ...errors import ConfigError
from ..base import Entry, Source
from . import generated_fingerprint
from .animals_acts import ACTS
from .animals_body import PARTS
from .animals_builds import BUILDS
from .animals_gaits import GAITS, locomotion
from .animals_pose import pose, turn
from .animals_skin import make_body

GENERATOR_VERSION = "synthetic-animals/1"  # change it whenever the same arguments make another video
CATEGORIES = tuple(BUILDS)
ACTIONS_OF = (*GAITS, *ACTS)
IDENTITIES, FRAMES, FRAMES_PER_SECOND = 6, 24, 15.0
TRAIN_IDENTITIES = 4  # of the identity-disjoint splits
TEST_SHARE = 0.2  # of the split by clip, as DeformingThings4D's 359 of 1,772


def make_video(
    category: int, identity: int, action: int, seed: int = 0, frames: int = FRAMES, yaw: float = 0.0
) -> Video:
    """One animation, a pure function of its arguments.

    category, action : indices into CATEGORIES and ACTIONS_OF. identity : any integer >= 0 (the dataset uses 1-6; every
    other number is another individual). seed : another world of individuals. frames : its length; a gait goes on at 15
    frames a second, an act fills the video. yaw : degrees, seen from another side, on top of its own three-quarter
    view.

    Returns a Video in camera coordinates, metres: frames (F, V, 3) float32 of one mesh, triangles (K, 3) int64 facing
    outward, point_labels (V,) int64 into PARTS; label ``category``. Raises ConfigError on a category, identity, action
    or length that does not exist.
    """
    if not (0 <= category < len(CATEGORIES) and 0 <= action < len(ACTIONS_OF)) or identity < 0 or frames < 2:
        raise ConfigError(
            f"no video for category={category}, identity={identity}, action={action}, frames={frames}",
            "make_video",
            f"category 0..{len(CATEGORIES) - 1}, action 0..{len(ACTIONS_OF) - 1}, identity >= 0, frames >= 2",
        )
    body = make_body(CATEGORIES[category], identity, seed)
    rng = np.random.default_rng([seed, 2, category, identity, action])
    start, pace, own_yaw = (
        rng.uniform(),
        float(np.exp(np.clip(rng.normal(0, 0.06), -0.12, 0.12))),
        body.skeleton.animal.yaw + rng.normal(0, 4),
    )
    name = ACTIONS_OF[action]
    if name in GAITS:
        motion = locomotion(body.skeleton, name, np.arange(frames) / FRAMES_PER_SECOND, start, pace)
    else:
        late = rng.uniform(-0.04, 0.04)
        motion = ACTS[name](body.skeleton, np.linspace(0, 1, frames) - late, start)
    vertices = body.move(pose(body.skeleton, motion))
    vertices[..., 2] = np.maximum(vertices[..., 2], 0)  # flesh gives way to the floor
    cloud = before_camera(vertices, own_yaw + yaw)
    return Video(
        cloud,
        video_id(category, identity, action),
        category,
        f"{CATEGORIES[category]} {identity}",
        body.labels,
        body.triangles,
    )


def before_camera(vertices: np.ndarray, yaw: float) -> np.ndarray:
    """Body coordinates (forward, left, up) to camera coordinates (x right, y down, z away), float32.

    The animal heads to the right and ``yaw`` degrees towards the viewer; the camera stands well away, looking down 8
    degrees.
    """
    level = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])  # forward -> right, left -> away, up -> -y
    tilt = np.radians(8.0)
    down = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(tilt), np.sin(tilt)], [0.0, -np.sin(tilt), np.cos(tilt)]])
    low, high = (np.array([extreme(vertices[..., k]) for k in range(3)]) for extreme in (np.min, np.max))
    away = np.array([0.0, 0.0, 2.2 * float(np.linalg.norm(high - low))])
    middle = np.array([0.0, 0.0, 0.5 * (low[2] + high[2])])
    to_camera = down @ level @ turn(yaw=-yaw)
    return (vertices.reshape(-1, 3) @ to_camera.T.astype(np.float32)).reshape(vertices.shape) + (
        away - to_camera @ middle
    ).astype(np.float32)


def video_id(category: int, identity: int, action: int) -> str:
    """``horse_i1_look-around``."""
    return f"{CATEGORIES[category]}_i{identity}_{ACTIONS_OF[action].replace(' ', '-')}"


def _entries(root: Path | None = None) -> list[Entry]:
    """All 576 videos, sorted by id; handle = (category, identity, action). ``root`` is not needed."""
    entries = [
        Entry(video_id(c, i, a), c, f"{CATEGORIES[c]} {i}", (c, i, a))
        for c in range(len(CATEGORIES))
        for i in range(1, IDENTITIES + 1)
        for a in range(len(ACTIONS_OF))
    ]
    return sorted(entries, key=lambda entry: entry.id)


@lru_cache(maxsize=1)
def held_out() -> frozenset[str]:
    """The test videos of the split by clip: of every category the TEST_SHARE whose ids have the lowest SHA-256."""
    chosen = set()
    for category in range(len(CATEGORIES)):
        ids = [e.id for e in _entries() if e.label == category]
        ids.sort(key=lambda video: hashlib.sha256(video.encode()).hexdigest())
        chosen.update(ids[: round(TEST_SHARE * len(ids))])
    return frozenset(chosen)


def _in_split(entry: Entry, split: str) -> bool:
    """train, test : by clip within a category. train-identities, test-identities : individuals 1-4, 5-6."""
    if split.endswith("-identities"):
        return (entry.handle[1] <= TRAIN_IDENTITIES) == (split == "train-identities")
    return (entry.id in held_out()) == (split == "test")


def _read(entry: Entry) -> Video:
    """The animation, labelled as its entry is: by animal, or by what it does."""
    return replace(make_video(*entry.handle), label=entry.label)


def _action_entries(root: Path | None = None) -> list[Entry]:
    """The same videos, labelled by what the animal does."""
    return [replace(entry, label=entry.handle[2]) for entry in _entries(root)]


def _in_action_split(entry: Entry, split: str) -> bool:
    return _in_split(entry, f"{split}-identities")


SOURCE = Source(
    name="synthetic-animals",
    classes=CATEGORIES,
    splits=("train", "test", "train-identities", "test-identities"),
    entries=_entries,
    in_split=_in_split,
    read=_read,
    expected={"all": 576, "train": 456, "test": 120, "train-identities": 384, "test-identities": 192},
    citation="A stand-in made by this library, after DeformingThings4D (Li et al., ICCV 2021).",
    stand_in=True,
    point_classes=PARTS,
    fingerprint_of=partial(generated_fingerprint, GENERATOR_VERSION),
)
ACTIONS = replace(
    SOURCE,
    name="synthetic-animals-actions",
    classes=ACTIONS_OF,
    splits=("train", "test"),
    entries=_action_entries,
    in_split=_in_action_split,
    expected={"all": 576, "train": 384, "test": 192},
)
