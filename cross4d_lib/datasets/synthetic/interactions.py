"""``synthetic-interactions``: the embedded STAND-IN for NTU RGB+D 60, generated on the fly, nothing to download.

The bodies of ``synthetic-actions`` do ten things alone and eight in pairs before three cameras at once. 12 people (none
of them a subject of ``synthetic-actions``), two repetitions; cross-subject and cross-view splits; a body-part label on
every point, and "object" on a chair, a cup, a parcel.

Imitated: cameras at -45, 0 and +45 degrees; people face the second camera in one repetition and the third in the other,
so that the first sees them at 45 degrees and the other two from the front and from the side; both performers in one
cloud, one hiding the other; partners on the same side of the split; hands that meet, strike, push and hold. Not
imitated: everything ``actions.py`` names, and bodies that give way where they touch. Numbers on it show that the
method's parts work, never what they would reach on NTU RGB+D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from ...clips import Video
from ...errors import ConfigError
from ..base import Entry, Source
from . import frame_by_frame, generated_fingerprint
from .actions import CAMERA_HEIGHT, CAMERA_TILT
from .assembly import Assembly, Block, Place, Rod, pick, see
from .body import JOINTS, PARTS, Capsules, Posed, apply_pose, clothe, rotation, unit
from .depth_camera import DepthCamera, photograph
from .interaction_motions import CLASSES, PAIRS, SINGLES, Pair, Touch
from .motions import COLUMNS, FRAMES_PER_SECOND, channels_of, key_poses, monotone_cubic, pace, vary
from .solids import BOX, Solids
from .subjects import Subject, make_subject

GENERATOR_VERSION = "synthetic-interactions/1"  # change it whenever the same arguments make another video
POINT_CLASSES = (*PARTS, "object")
SUBJECTS, REPETITIONS = 12, 2
FIRST_BODY = 200  # subject 1 is body 201: nobody is also a subject of synthetic-actions
CAMERA_YAW = {1: 0.0, 2: -45.0, 3: 45.0}  # degrees around the performers
FACING = {1: 45.0, 0: -45.0}  # repetition modulo 2: towards the second camera, towards the third
PROPS = {"drink": "cup", "pick up": "parcel", "give": "parcel", "sit down": "chair", "stand up": "chair"}


@dataclass(frozen=True)
class Performance:
    """F frames of one or two people in the room: right, up, forward, metres, the floor at 0; forward is where cameras
    look from.

    subjects, poses (F, 23), posed : one a performer, in body coordinates. places : each performer's Place in the room.
    meet : (F,) how far hands are held where they must be. distance : metres from the cameras to the room's middle.
    """

    subjects: tuple[Subject, ...]
    poses: tuple[np.ndarray, ...]
    posed: tuple[Posed, ...]
    places: tuple[Place, ...]
    meet: np.ndarray
    distance: float

    @property
    def frames(self) -> int:
        return len(self.meet)

    def joints(self, who: int) -> np.ndarray:
        """(F, 20, 3) of a performer, in the room."""
        axes, origin = self.places[who]
        return self.posed[who].joints @ axes.T + origin


def partner_of(subject: int) -> int:
    """Who performs beside a subject: the next one on the same side of the cross-subject split."""
    half = SUBJECTS // 2
    block, place = divmod(subject - 1, half)
    return block * half + (place + 1) % half + 1


def about(turn: float) -> np.ndarray:
    """(3, 3): turned right by ``turn`` degrees about the vertical."""
    return rotation(*np.array([[turn], [0.0], [0.0]]))[0]


def make_person(subject: int, seed: int) -> Subject:
    """The subject's body. Right-handed beside another: hands that meet are right hands. Moves of the whole body are not
    exaggerated."""
    who = make_subject(FIRST_BODY + subject, seed)
    return replace(who, amplitude=0.8 + 0.2 * who.amplitude)


@lru_cache(maxsize=4)
def make_performance(action: int, subject: int, repetition: int, seed: int = 0) -> Performance:
    """What happens, whoever watches: a pure function of its arguments (see ``make_video``)."""
    if not 0 <= action < len(CLASSES) or subject < 1 or repetition < 0:
        raise ConfigError(
            f"no performance for action={action}, subject={subject}, repetition={repetition}",
            "make_performance",
            f"action 0..{len(CLASSES) - 1}, subject >= 1, repetition >= 0",
        )
    name = CLASSES[action]
    streams = lambda number: (
        np.random.default_rng([seed, 22, action, number]),
        np.random.default_rng([seed, 23, action, number, repetition]),
    )
    setting = np.random.default_rng([seed, 24, action, subject, repetition])
    if name in SINGLES:
        who = make_person(subject, seed)
        habit, moment = streams(subject)
        keys, seconds, _ = pace(SINGLES[name], who.tempo, habit, moment)
        poses = vary(keys, seconds, who, habit, moment)
        place = about(setting.normal(0, 5)), np.array([0, 0, setting.normal(0, 0.05)])
        return Performance(
            (who,),
            (poses,),
            (apply_pose(who, channels_of(poses)),),
            (place,),
            np.zeros(len(poses)),
            setting.uniform(2.8, 3.2),
        )
    return _perform_pair(
        PAIRS[name],
        [make_person(n, seed) for n in (subject, partner_of(subject))],
        [streams(subject), streams(partner_of(subject) + 1000)],
        setting,
    )


def _perform_pair(pair: Pair, people: list[Subject], streams: list, setting: np.random.Generator) -> Performance:
    people = [replace(who, left_handed=False) for who in people]
    keys, seconds, cycles = pace(pair.first, float(np.mean([who.tempo for who in people])), *streams[0])
    both = keys, key_poses(pair.second, cycles)[0]
    poses = [vary(k, seconds, who, *stream) for k, who, stream in zip(both, people, streams)]
    lead, cycle, tail = pair.meet
    weights = np.array([0, 0, *lead, *cycle * cycles, *tail, 0, 0], float)
    frames = len(poses[0])
    meet = monotone_cubic(np.cumsum(seconds), weights[:, None], np.arange(frames) / FRAMES_PER_SECOND)[:, 0]

    gap = pair.gap * np.mean([who.height for who in people]) / 1.72 + setting.normal(0, 0.02)
    turns = {"other": (90, -90), "away": (-90, 90), "same": (90, 90)}[pair.faces]
    askew = setting.choice([-1, 1]) * setting.uniform(8, 22)  # so that from the side one does not quite hide the other
    places = tuple(
        (about(askew + turn + setting.normal(0, 3)), about(askew) @ [side * gap / 2, 0, setting.normal(0, 0.02)])
        for turn, side in zip(turns, (-1, 1))
    )
    for _ in range(2):  # a raised hand lifts its shoulder, which the second round sees
        posed = [apply_pose(who, channels_of(p)) for who, p in zip(people, poses)]
        goals = [_goal(touch, people, posed, places) for touch in pair.touches]
        for touch, goal in zip(pair.touches, goals):
            poses[touch.who] = reach(people[touch.who], poses[touch.who], posed[touch.who], touch.side, goal, meet)
    posed = [apply_pose(who, channels_of(p)) for who, p in zip(people, poses)]
    return Performance(tuple(people), tuple(poses), tuple(posed), places, meet, setting.uniform(3.2, 3.5))


def _goal(touch: Touch, people: list[Subject], posed: list[Posed], places: tuple[Place, ...]) -> np.ndarray:
    """Where the palm goes, in the toucher's body coordinates (F, 3)."""
    me, you = touch.who, 1 - touch.who
    body, who, (axes, origin) = posed[you], people[you], places[you]
    up, forward, right = body.chest[:, :, 1], body.chest[:, :, 2], body.chest[:, :, 0]
    chest = body.joint("shoulder centre") - 0.22 * who.trunk * up
    sign = 1.0 if touch.side == "right" else -1.0
    if touch.goal == "hand":
        mine = posed[me].joint(f"{touch.side} hand") @ places[me][0].T + places[me][1]
        goal = 0.5 * (mine + body.joint(f"{touch.side} hand") @ axes.T + origin)
    else:
        point = {
            "chest": chest + 0.15 * forward - 0.10 * sign * right,
            "back": chest - 0.13 * forward - (0.11 if touch.side == "right" else -0.02) * right,
            "face": body.joint("head") + 0.09 * body.head[:, :, 2] - 0.02 * body.head[:, :, 1],
        }[touch.goal]
        goal = point @ axes.T + origin
    return (goal - places[me][1]) @ places[me][0]


def reach(
    subject: Subject, poses: np.ndarray, posed: Posed, side: str, goal: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Poses (F, 23) whose ``side`` palm goes to ``goal`` (F, 3), body coordinates, by ``weight`` (F,) of the way."""
    columns = COLUMNS[f"{side} hand"]
    shoulder, elbow, wrist = (posed.joint(f"{side} {joint}") for joint in ("shoulder", "elbow", "wrist"))
    target = goal - 0.8 * subject.hand * unit(wrist - elbow)
    pose = channels_of(poses)
    upright = rotation(pose["turn"] + pose["twist"], 0 * pose["bend"], 0 * pose["lean"])
    hand = (
        np.einsum("fji,fj->fi", upright, target - shoulder)
        / subject.arm
        * np.array([1.0 if side == "right" else -1.0, 1, 1])
    )
    reached = poses.copy()
    reached[:, columns] += weight[:, None] * (hand - poses[:, columns])
    return reached


def props(performance: Performance, name: str) -> tuple[list, np.ndarray]:
    """The things in a performance: shapes in their own coordinates, and where they are in the room (F, 3)."""
    size = performance.subjects[0].height / 1.72
    hands = [
        performance.joints(n)[:, JOINTS.index("left hand" if s.left_handed else "right hand")]
        for n, s in enumerate(performance.subjects)
    ]
    kind = PROPS.get(name)
    if kind == "cup":
        return [Rod((0, -0.045, 0), (0, 0.045, 0), 0.036, 0.040)], hands[0] + np.array([0, 0.02, 0])
    if kind == "parcel":
        where = hands[0] - np.array([0, 0.07, 0])
        if len(hands) == 2:  # it changes hands while they meet
            passed = np.cumsum(performance.meet) / performance.meet.sum()
            given = np.clip(2 * passed - 0.5, 0, 1)[:, None]
            where = (1 - given) * where + given * (hands[1] - np.array([0, 0.07, 0]))
        else:  # it lies on the floor until the hand is lowest
            lowest = int(hands[0][:, 1].argmin())
            lying = where[lowest] * [1, 0, 1] + [0, 0.075, 0]
            lifted = np.arange(len(where))[:, None] >= lowest
            where = np.where(
                lifted,
                where + (lying - where[lowest]) * np.exp(-0.4 * np.maximum(np.arange(len(where)) - lowest, 0))[:, None],
                lying,
            )
        return [Block(BOX, (0.11, 0.075, 0.075), (0, 0, 0))], where
    if kind == "chair":
        seated = performance.posed[0].joint("hip centre")[-1 if name == "sit down" else 0]
        top, back = seated[1] - 0.115 * size, seated[2]
        legs = [
            Block(BOX, (0.018, 0.5 * top, 0.018), (x, 0.5 * top, back + z))
            for x in (-0.19, 0.19)
            for z in (-0.16, 0.20)
        ]
        seat = [
            Block(BOX, (0.21, 0.02, 0.21), (0, top - 0.02, back + 0.03)),
            Block(BOX, (0.20, 0.20, 0.015), (0, top + 0.27, back - 0.19)),
        ]
        return legs + seat, np.broadcast_to(performance.places[0][1], (performance.frames, 3))
    return [], np.zeros((performance.frames, 3))


@lru_cache(maxsize=4)  # the frames of a clip are asked for one by one
def set_stage(action: int, subject: int, repetition: int, seed: int = 0) -> tuple[Capsules, Solids]:
    """All frames of a performance in the room's coordinates, labelled by POINT_CLASSES."""
    performance = make_performance(action, subject, repetition, seed)
    stage = Assembly(performance.frames)
    for who, posed, (axes, origin) in zip(performance.subjects, performance.posed, performance.places):
        body = clothe(who, posed)
        ends, flat = body.ends @ axes.T + origin, body.flat_axis @ axes.T
        for p in range(len(body.part)):
            stage.rod(ends[:, p, 0], ends[:, p, 1], *body.radii[p], int(body.part[p]), flat[:, p], body.flatness[p])
    shapes, where = props(performance, CLASSES[action])
    stage.add(
        shapes,
        (np.broadcast_to(performance.places[0][0], (performance.frames, 3, 3)), where),
        POINT_CLASSES.index("object"),
    )
    return stage.capsules(), stage.solids()


def view_of(camera: int, repetition: int, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Room to a camera (x right, y down, z away): turn (3, 3), shift (3,)."""
    yaw = CAMERA_YAW[camera] + FACING[repetition % 2]
    tilt = rotation(np.zeros(1), np.array([CAMERA_TILT]), np.zeros(1))[0]
    return tilt @ np.diag([1.0, -1.0, -1.0]) @ about(yaw), tilt @ np.array([0.0, CAMERA_HEIGHT, distance])


def make_video(
    action: int,
    subject: int,
    repetition: int,
    camera: int,
    seed: int = 0,
    frames: Sequence[int] | np.ndarray | None = None,
    sensor: DepthCamera | None = None,
) -> Video:
    """One video, a pure function of its arguments: the same bytes in any order, process or run.

    action : index into CLASSES. subject, repetition : any integers >= 1 (the dataset uses subjects 1-12, repetitions
    1-2). camera : 1, 2 or 3; the three show the same performance. seed : another world. frames : indices of the frames
    to generate, None for all; a frame looks the same whichever others are. sensor : None for the default.

    Returns a Video in camera coordinates, metres; label ``action``; point_labels index POINT_CLASSES. Raises
    ConfigError on an action, subject, camera or frame that does not exist.
    """
    if camera not in CAMERA_YAW:
        raise ConfigError(f"no camera {camera}", "make_video", f"one of {sorted(CAMERA_YAW)}")
    performance = make_performance(action, subject, repetition, seed)
    chosen = np.arange(performance.frames) if frames is None else np.asarray(frames, np.int64)
    if len(chosen) == 0 or chosen.min() < 0 or chosen.max() >= performance.frames:
        raise ConfigError(
            f"frames {chosen.tolist()} of a video of {performance.frames}",
            "make_video",
            f"indices from 0 to {performance.frames - 1}",
        )
    capsules, solids = see(
        *pick(*set_stage(action, subject, repetition, seed), chosen), *view_of(camera, repetition, performance.distance)
    )
    generators = [np.random.default_rng([seed, 25, action, subject, repetition, camera, int(f)]) for f in chosen]
    clouds, labels = photograph(capsules, sensor or DepthCamera(), generators, solids)
    return Video(clouds, _name(action, subject, repetition, camera), action, f"s{subject:02d}", labels)


def _name(action: int, subject: int, repetition: int, camera: int) -> str:
    return f"a{action + 1:02d}_s{subject:02d}_r{repetition:02d}_c{camera}"


def _read(entry: Entry) -> Video:
    return frame_by_frame(make_video, entry, make_performance(*entry.handle[:3]).frames)


def _entries(root: Path | None) -> list[Entry]:
    """All 1,296 videos, sorted by id; handle = (action, subject, repetition, camera). ``root`` is not needed."""
    return [
        Entry(_name(a, s, r, c), a, f"s{s:02d}", (a, s, r, c))
        for a in range(len(CLASSES))
        for s in range(1, SUBJECTS + 1)
        for r in range(1, REPETITIONS + 1)
        for c in CAMERA_YAW
    ]


def _in_split(entry: Entry, split: str) -> bool:
    """Cross-subject: subjects 1-6 train, 7-12 test. Cross-view ("train-views", "test-views"): cameras 2 and 3 train,
    camera 1 tests."""
    _, subject, _, camera = entry.handle
    if split.endswith("-views"):
        return (camera != 1) == (split == "train-views")
    return (subject <= SUBJECTS // 2) == (split == "train")


SOURCE = Source(
    name="synthetic-interactions",
    classes=CLASSES,
    splits=("train", "test", "train-views", "test-views"),
    entries=_entries,
    in_split=_in_split,
    read=_read,
    expected={"train": 648, "test": 648, "train-views": 864, "test-views": 432, "all": 1296},
    citation="A stand-in made by this library, after NTU RGB+D (Shahroudy et al., CVPR 2016).",
    stand_in=True,
    point_classes=POINT_CLASSES,
    fingerprint_of=partial(generated_fingerprint, GENERATOR_VERSION),
)
