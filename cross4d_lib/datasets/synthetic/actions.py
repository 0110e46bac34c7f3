"""``synthetic-actions``: the embedded STAND-IN for MSR-Action3D, generated on the fly, nothing to download.

A parametric body with 20 joints performs MSR-Action3D's 20 actions before a simulated Kinect; 10 subjects, 3 episodes
each, cross-subject split, and a body-part label on every point, which the real dataset does not have.

Imitated: the actions and their order, frame rate and length, size and place in the image, the visible side only,
quantised and noisy depth, ragged edges, holes, subjects who differ in body, clothes, speed and style, mirrored image.
Not imitated: real people. Motions are a few key poses, cloth does not fold, hands have no fingers, faces are eggs,
nobody hesitates or errs. Numbers on it show that the method's parts work, never what they would reach on MSR-Action3D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ...clips import Video
from ...errors import ConfigError
from ..base import Entry, Source
from . import frame_by_frame, generated_fingerprint
from .body import PARTS, Capsules, apply_pose, clothe, rotation
from .depth_camera import DepthCamera, photograph
from .motions import ACTIONS, channels_of, perform
from .subjects import Subject, make_subject

GENERATOR_VERSION = "synthetic-actions/2"  # change it whenever the same arguments make another video
CLASSES = tuple(ACTIONS)
SUBJECTS, EPISODES = 10, 3
CAMERA_HEIGHT, CAMERA_TILT = 1.32, 6.0  # metres above the floor; degrees it looks down


def make_poses(action: int, subject: Subject, number: int, episode: int, seed: int = 0) -> np.ndarray:
    """The poses (F, 23) of one performance; number : the subject's."""
    habit = np.random.default_rng([seed, 2, action, number])
    moment = np.random.default_rng([seed, 3, action, number, episode])
    return perform(ACTIONS[CLASSES[action]], subject, habit, moment)


def before_camera(capsules: Capsules, subject: Subject, yaw: float) -> Capsules:
    """Body coordinates (right, up, forward) to camera coordinates (x right, y down, z away), the subject facing the
    camera.

    yaw : degrees the subject turns to its right about the vertical where it stands.
    """
    turn, tilt = rotation(np.array([yaw, 0.0]), np.array([0.0, CAMERA_TILT]), np.zeros(2))
    level = np.diag([1.0, -1.0, -1.0])
    to_camera = tilt @ level @ turn
    place = tilt @ np.array([subject.offset, CAMERA_HEIGHT, subject.distance])
    return replace(capsules, ends=capsules.ends @ to_camera.T + place, flat_axis=capsules.flat_axis @ to_camera.T)


def make_video(
    action: int,
    subject: int,
    episode: int,
    seed: int = 0,
    size_scale: float = 1.0,
    yaw: float = 0.0,
    frames: Sequence[int] | np.ndarray | None = None,
    camera: DepthCamera | None = None,
) -> Video:
    """One video, a pure function of its arguments: the same bytes in any order, process or run.

    action : index into CLASSES. subject, episode : any integers >= 0 (the dataset uses subjects 1-10, episodes 1-3;
    every other number is another body). seed : another world of bodies and noise. size_scale : multiplies the body's
    size. yaw : degrees, seen from another side, on top of the subject's own few degrees. frames : indices of the
    frames to generate (see ``video_length``), None for all; a frame looks the same whichever others are. camera :
    None for the default.

    Returns a Video in camera coordinates, metres; label ``action``; point_labels index PARTS. Raises ConfigError on an
    action, subject, episode or frame that does not exist.
    """
    if not 0 <= action < len(CLASSES) or subject < 0 or episode < 0:
        raise ConfigError(
            f"no video for action={action}, subject={subject}, episode={episode}",
            "make_video",
            f"action 0..{len(CLASSES) - 1}, subject >= 0, episode >= 0",
        )
    who = make_subject(subject, seed, size_scale)
    poses = make_poses(action, who, subject, episode, seed)
    chosen = np.arange(len(poses)) if frames is None else np.asarray(frames, np.int64)
    if len(chosen) == 0 or chosen.min() < 0 or chosen.max() >= len(poses):
        raise ConfigError(
            f"frames {chosen.tolist()} of a video of {len(poses)}",
            "make_video",
            "indices from 0 to video_length(...) - 1",
        )
    capsules = clothe(who, apply_pose(who, channels_of(poses[chosen])))
    own_yaw = who.yaw + np.random.default_rng([seed, 4, action, subject, episode]).normal(0, 3)
    generators = [np.random.default_rng([seed, 5, action, subject, episode, int(f)]) for f in chosen]
    clouds, labels = photograph(before_camera(capsules, who, own_yaw + yaw), camera or DepthCamera(), generators)
    return Video(clouds, f"a{action + 1:02d}_s{subject:02d}_e{episode:02d}", action, f"s{subject:02d}", labels)


def video_length(action: int, subject: int, episode: int, seed: int = 0) -> int:
    """How many frames ``make_video`` returns for these arguments; cheap, nothing is rendered."""
    return len(make_poses(action, make_subject(subject, seed), subject, episode, seed))


def _read(entry: Entry) -> Video:
    return frame_by_frame(make_video, entry, video_length(*entry.handle))


def _entries(root: Path | None) -> list[Entry]:
    """All 600 videos, sorted by id; handle = (action, subject, episode). ``root`` is not needed."""
    return [
        Entry(f"a{a + 1:02d}_s{s:02d}_e{e:02d}", a, f"s{s:02d}", (a, s, e))
        for a in range(len(CLASSES))
        for s in range(1, SUBJECTS + 1)
        for e in range(1, EPISODES + 1)
    ]


def _in_split(entry: Entry, split: str) -> bool:
    """Cross-subject: subjects 1-5 train, 6-10 test."""
    return (entry.handle[1] <= SUBJECTS // 2) == (split == "train")


SOURCE = Source(
    name="synthetic-actions",
    classes=CLASSES,
    splits=("train", "test"),
    entries=_entries,
    in_split=_in_split,
    read=_read,
    expected={"train": 300, "test": 300, "all": 600},
    citation="A stand-in made by this library, after MSR-Action3D (Li, Zhang and Liu, CVPR Workshops 2010).",
    stand_in=True,
    point_classes=PARTS,
    fingerprint_of=partial(generated_fingerprint, GENERATOR_VERSION),
)
