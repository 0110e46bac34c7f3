"""``synthetic-scenes``: the embedded STAND-IN for HOI4D, generated on the fly, nothing to download.

Somebody at a table does one of seven things to one of nine kinds of thing, seen by a depth camera at the person's head.
20 rooms, each with its own table, background, camera, hand and things; the last four are the test set. Every point
carries a class.

Imitated: the view from the head, its slow sway, hand and forearm with fingers that close around what they take, things
that move only when they are handled, things that are not, clutter behind the table, one visible side, quantised and
noisy depth, ragged edges and holes, left hands. Not imitated: real hands (no skin, no tendons, a few joints), contact
forces, liquids, the other hand, walks through the room, HOI4D's 40 classes and its 20-second recordings. Numbers on it
show that the method's parts work, never what they would reach on HOI4D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from ...clips import Video
from ...errors import ConfigError
from ..base import Entry, Source
from . import frame_by_frame, generated_fingerprint
from .assembly import Assembly, Block, Place, pick, see, standing
from .body import Capsules, unit
from .depth_camera import DepthCamera, photograph
from .hand import add_hand
from .motions import FRAMES_PER_SECOND
from .plays import ACTIONS, DONE_TO, Play, play
from .solids import BOX, Solids
from .things import KINDS, Thing, make_thing, moving_place

GENERATOR_VERSION = "synthetic-scenes/1"  # change it whenever the same arguments make another video
POINT_CLASSES = ("background", "table", "hand", *KINDS)
ROOMS, TRAIN_ROOMS, EPISODES = 20, 16, 4
CAMERA = DepthCamera(width=176, height=156, focal=236.0, centre_x=88.0, centre_y=78.0, baseline=0.05, edge_noise=0.45)
SIDE_THINGS = ("bottle", "box", "mug", "ball", "bowl", "toy car", "kettle")  # what may stand by, unhandled
SEATS = ((-0.20, 0.20), (0.20, 0.18), (0.0, 0.26))  # where it may stand: right, away, metres
BESIDE, SMALL = (
    ((-0.27, 0.16), (0.26, 0.22)),
    ("bottle", "mug", "ball"),
)  # beside a laptop or a drawer, and what fits there


@dataclass(frozen=True)
class Scene:
    """One performance before it is seen, world coordinates (right, up, away; metres; the table at height 0).

    thing, play : what is handled, and how. others : things that stand by, with their Places; for "pour" the first is
    poured into. furniture : (point class, Block) pairs. eye, target : (F, 3), the camera's place and what it looks
    at. elbow : (3,). mirrored : the person is left-handed, and everything is seen in a mirror. hand_size, sleeve :
    see ``add_hand``.
    """

    thing: Thing
    play: Play
    others: tuple[tuple[Thing, Place], ...]
    furniture: tuple[tuple[int, Block], ...]
    eye: np.ndarray
    target: np.ndarray
    elbow: np.ndarray
    mirrored: bool
    hand_size: float
    sleeve: float

    @property
    def frames(self) -> int:
        return len(self.eye)


def kind_of(action: int, room: int, episode: int) -> str:
    """The kind of thing an episode handles: the rooms and episodes go through those an action can be done to."""
    kinds = DONE_TO[ACTIONS[action]]
    return kinds[(room + episode) % len(kinds)]


def make_furniture(rng: np.random.Generator) -> tuple[tuple[int, Block], ...]:
    """A room's table, wall, floor and what stands at the wall."""
    half_width, near, far = rng.uniform(0.40, 0.60), -0.40, rng.uniform(0.27, 0.32)
    wall, floor = rng.uniform(0.42, 0.55), -0.72
    table = Block(BOX, (half_width, 0.015, (far - near) / 2), (rng.uniform(-0.05, 0.05), -0.015, (far + near) / 2))
    rows = [
        (1, table),
        (0, Block(BOX, (3.0, 2.0, 0.05), (0, 0.5, wall + 0.05))),
        (0, Block(BOX, (3.0, 0.05, 2.0), (0, floor - 0.05, 0))),
    ]
    for side in (-1, 1):
        x, y, z = rng.uniform(0.06, 0.14), rng.uniform(0.25, 0.50), rng.uniform(0.02, 0.045)
        rows.append((0, Block(BOX, (x, y, z), (side * rng.uniform(0.12, 0.30), floor + y, wall - z))))
    return tuple(rows)


@lru_cache(maxsize=4)
def make_scene(action: int, room: int, episode: int, seed: int = 0) -> Scene:
    """Everything but the picture, a pure function of its arguments (see ``make_video``)."""
    if not 0 <= action < len(ACTIONS) or room < 0 or episode < 0:
        raise ConfigError(
            f"no scene for action={action}, room={room}, episode={episode}",
            "make_scene",
            f"action 0..{len(ACTIONS) - 1}, room >= 0, episode >= 0",
        )
    of_room, moment = np.random.default_rng([seed, 11, room]), np.random.default_rng([seed, 12, action, room, episode])
    furniture = make_furniture(of_room)
    eye = np.array([of_room.normal(0, 0.03), of_room.uniform(0.42, 0.50), of_room.uniform(-0.48, -0.42)])
    hand_size, sleeve, tempo = (
        of_room.uniform(0.92, 1.10),
        float(of_room.choice([0.0, 0.0, 0.008, 0.016])),
        float(np.exp(of_room.normal(0, 0.12))),
    )
    mirrored = bool(of_room.random() < 0.15)

    name = ACTIONS[action]
    thing = make_thing(kind_of(action, room, episode), moment)
    big = thing.hold == "edge"
    spot = np.array(
        [
            moment.uniform(-0.02, 0.02) if big else moment.uniform(0.0, 0.06),
            0,
            moment.uniform(0.09, 0.12) if big else moment.uniform(-0.03, 0.05),
        ]
    )
    axes, origin = standing(1, spot, moment.normal(0, 4))
    start = axes[0], origin[0]
    height, tilt, goal = (
        moment.uniform(0.12, 0.16),
        moment.uniform(48, 60) if thing.kind == "kettle" else moment.uniform(90, 105),
        np.zeros(3),
    )
    others: list[tuple[Thing, np.ndarray]] = []
    if name == "pour":
        into = make_thing("bowl" if (room + episode) % 2 or thing.kind == "mug" else "mug", moment)
        at = spot + np.array([-moment.uniform(0.17, 0.20), 0, moment.uniform(-0.01, 0.03)])
        others.append((into, at))
        lean = np.radians(tilt)
        mouth = np.array(
            [
                thing.mouth[0] * np.cos(lean) - thing.mouth[1] * np.sin(lean),
                thing.mouth[0] * np.sin(lean) + thing.mouth[1] * np.cos(lean),
                0,
            ]
        )
        goal = (
            at + np.array([0.012, moment.uniform(0.10, 0.12) + (0.025 if into.kind == "mug" else 0), 0]) - spot - mouth
        )
    elif name == "place":
        goal = np.array([-moment.uniform(0.16, 0.21), 0, moment.uniform(-0.02, 0.05)])
        height *= 0.65
    elif name == "push":
        goal = np.array([-moment.uniform(0.17, 0.22), 0, moment.uniform(-0.01, 0.02)])
    free = moment.permutation(BESIDE if big else SEATS)
    spare = [kind for kind in (SMALL if big else SIDE_THINGS) if kind not in (thing.kind, *(t.kind for t, _ in others))]
    for seat, kind in zip(free[: int(moment.integers(1, 3))], moment.permutation(spare)):
        others.append(
            (make_thing(str(kind), moment), np.array([seat[0], 0, seat[1]]) + moment.normal(0, 0.008, 3) * [1, 0, 1])
        )

    acted = play(name, thing, start, goal, height, tilt, tempo, moment)
    frames = len(acted.near)
    phase = (
        2
        * np.pi
        * (np.arange(frames)[:, None] / FRAMES_PER_SECOND * moment.uniform(0.15, 0.45, 3) + moment.uniform(0, 1, 3))
    )
    sway = 0.006 * np.sin(phase)
    eyes = eye + moment.normal(0, 0.012, 3) + sway
    target = np.array([0.0, 0.07, 0.06]) + moment.normal(0, 0.012, 3) + 0.7 * sway[:, [1, 2, 0]]
    elbow = np.array([0.34, 0.08, -0.48]) + moment.normal(0, 0.02, 3)
    placed = tuple((t, standing(frames, at, moment.uniform(-25, 25))) for t, at in others)
    return Scene(thing, acted, placed, furniture, eyes, target, elbow, mirrored, hand_size, sleeve)


def set_stage(scene: Scene) -> Assembly:
    """A scene as capsules and solids, world coordinates, labelled by POINT_CLASSES."""
    stage, acted = Assembly(scene.frames), scene.play
    for label, block in scene.furniture:
        stage.add([block], standing(scene.frames, (0, 0, 0)), label)
    for thing, place in scene.others:
        stage.add(thing.shapes, place, POINT_CLASSES.index(thing.kind))
    stage.add(
        scene.thing.shapes,
        acted.thing,
        POINT_CLASSES.index(scene.thing.kind),
        moving_place(scene.thing, acted.thing, acted.opening),
    )
    add_hand(
        stage,
        *acted.hand,
        acted.closed,
        acted.width,
        scene.elbow,
        scene.hand_size,
        scene.sleeve,
        POINT_CLASSES.index("hand"),
    )
    return stage


@lru_cache(maxsize=4)  # the frames of a clip are asked for one by one
def _before_camera(action: int, room: int, episode: int, seed: int) -> tuple[Capsules, Solids]:
    """All frames of a scene in camera coordinates."""
    scene = make_scene(action, room, episode, seed)
    stage = set_stage(scene)
    return see(stage.capsules(), stage.solids(), *look(scene.eye, scene.target, scene.mirrored))


def look(eye: np.ndarray, target: np.ndarray, mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    """World to camera (x right, y down, z away): turn (F, 3, 3), shift (F, 3)."""
    ahead = unit(target - eye)
    right = unit(np.cross([0.0, 1.0, 0.0], ahead))
    turn = np.stack([right, np.cross(right, ahead), ahead], 1)
    shift = -np.einsum("fij,fj->fi", turn, eye)
    return (turn * [-1.0, 1.0, 1.0] if mirrored else turn), shift


def make_video(
    action: int,
    room: int,
    episode: int,
    seed: int = 0,
    frames: Sequence[int] | np.ndarray | None = None,
    camera: DepthCamera | None = None,
) -> Video:
    """One video, a pure function of its arguments: the same bytes in any order, process or run.

    action : index into ACTIONS. room, episode : any integers >= 0 (the dataset uses rooms 1-20, episodes 1-4). seed :
    another world. frames : indices of the frames to generate, None for all; a frame looks the same whichever others
    are. camera : None for CAMERA.

    Returns a Video in camera coordinates, metres; label ``action``; point_labels index POINT_CLASSES. Raises
    ConfigError on an action, room, episode or frame that does not exist.
    """
    scene = make_scene(action, room, episode, seed)
    chosen = np.arange(scene.frames) if frames is None else np.asarray(frames, np.int64)
    if len(chosen) == 0 or chosen.min() < 0 or chosen.max() >= scene.frames:
        raise ConfigError(
            f"frames {chosen.tolist()} of a video of {scene.frames}",
            "make_video",
            f"indices from 0 to {scene.frames - 1}",
        )
    capsules, solids = pick(*_before_camera(action, room, episode, seed), chosen)
    generators = [np.random.default_rng([seed, 13, action, room, episode, int(f)]) for f in chosen]
    clouds, labels = photograph(capsules, camera or CAMERA, generators, solids)
    return Video(clouds, _name(action, room, episode), action, f"r{room:02d}", labels)


def _name(action: int, room: int, episode: int) -> str:
    return f"a{action + 1:02d}_r{room:02d}_e{episode:02d}"


def _read(entry: Entry) -> Video:
    return frame_by_frame(make_video, entry, make_scene(*entry.handle).frames)


def _entries(root: Path | None) -> list[Entry]:
    """All 560 videos, sorted by id; handle = (action, room, episode). ``root`` is not needed."""
    return [
        Entry(_name(a, r, e), a, f"r{r:02d}", (a, r, e))
        for a in range(len(ACTIONS))
        for r in range(1, ROOMS + 1)
        for e in range(1, EPISODES + 1)
    ]


def _in_split(entry: Entry, split: str) -> bool:
    """By room: 1-16 train, 17-20 test."""
    return (entry.handle[1] <= TRAIN_ROOMS) == (split == "train")


SOURCE = Source(
    name="synthetic-scenes",
    classes=ACTIONS,
    splits=("train", "test"),
    entries=_entries,
    in_split=_in_split,
    read=_read,
    expected={"train": 448, "test": 112, "all": 560},
    citation="A stand-in made by this library, after HOI4D (Liu et al., CVPR 2022).",
    stand_in=True,
    point_classes=POINT_CLASSES,
    ignored=(0,),
    fingerprint_of=partial(generated_fingerprint, GENERATOR_VERSION),
)
