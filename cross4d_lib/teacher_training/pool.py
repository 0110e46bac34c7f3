"""The clips our teachers learn from: the four embedded worlds, or a reader's own training split. No label is kept.

The individuals of the embedded worlds are numbered from FIRST_INDIVIDUAL on, beyond any that the datasets use (people 1
to 12 and their bodies 1 to 10 and 201 to 212, animals 1 to 6, rooms 1 to 20), so nobody in a train or test split has
ever been seen.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ..clips import Video, sample_clip
from ..datasets import ClipDataset
from ..datasets.synthetic import actions, animals, interactions, scenes
from ..datasets.synthetic.assembly import Assembly, pick, see
from ..datasets.synthetic.body import Capsules, apply_pose, clothe, rotation
from ..datasets.synthetic.depth_camera import DepthCamera, photograph
from ..datasets.synthetic.motions import channels_of
from ..datasets.synthetic.solids import Solids
from ..datasets.synthetic.subjects import make_subject
from ..errors import ConfigError
from .recipe import Bodies
from .views import FramePool, surface_normals

FORMAT = 3  # raised whenever the same settings give another pool
FIRST_INDIVIDUAL = 1000
FEWEST_POINTS = 64  # of a frame; a view that shows less is turned back
Stage = tuple[Capsules, Solids]


def actions_stage(number: int, moments, rng: np.random.Generator) -> Stage:
    """A person of ``synthetic-actions``, in camera coordinates."""
    action, body = number % len(actions.CLASSES), FIRST_INDIVIDUAL + number
    who = make_subject(body)
    poses = actions.make_poses(action, who, body, 0)
    capsules = clothe(who, apply_pose(who, channels_of(poses[moments(len(poses))])))
    return actions.before_camera(capsules, who, who.yaw), Assembly(len(capsules.ends)).solids()


def interactions_stage(number: int, moments, rng: np.random.Generator) -> Stage:
    """One or two people of ``synthetic-interactions``, seen by one of its cameras."""
    action, subject, repetition = number % len(interactions.CLASSES), FIRST_INDIVIDUAL + number, 1 + number % 2
    performance = interactions.make_performance(action, subject, repetition)
    camera = interactions.view_of(int(rng.integers(1, 4)), repetition, performance.distance)
    return see(*pick(*interactions.set_stage(action, subject, repetition), moments(performance.frames)), *camera)


def scenes_stage(number: int, moments, rng: np.random.Generator) -> Stage:
    """A room of ``synthetic-scenes``, seen from the head."""
    scene = scenes.make_scene(number % len(scenes.ACTIONS), FIRST_INDIVIDUAL + number, number % scenes.EPISODES)
    stage, chosen = scenes.set_stage(scene), moments(scene.frames)
    return pick(*see(stage.capsules(), stage.solids(), *scenes.look(scene.eye, scene.target, scene.mirrored)), chosen)


def animals_video(number: int, moments, rng: np.random.Generator) -> Video:
    """An animal of ``synthetic-animals``, from any side: a moving mesh."""
    category, action = number % len(animals.CATEGORIES), number // len(animals.CATEGORIES) % len(animals.ACTIONS_OF)
    video = animals.make_video(category, FIRST_INDIVIDUAL + number, action, yaw=float(rng.uniform(-180, 180)))
    return replace(video, frames=[video.frames[f] for f in moments(len(video.frames))])


STAGES = {
    "synthetic-actions": actions_stage,
    "synthetic-interactions": interactions_stage,
    "synthetic-animals": animals_video,
    "synthetic-scenes": scenes_stage,
}
GENERATORS = {module.SOURCE.name: module.GENERATOR_VERSION for module in (actions, interactions, animals, scenes)}
SENSORS = {"synthetic-scenes": scenes.CAMERA}
TURNS = {"synthetic-scenes": 1 / 3}  # of the turn and tilt of the others: behind a table stands a wall


def moments_of(length: int, bodies: Bodies, rng: np.random.Generator) -> np.ndarray:
    """Which frames of a video of ``length`` are kept, rising: (bodies.frames,) int64. Repeats some where there are too
    few."""
    if bodies.even:
        span = rng.uniform(min(bodies.frames, length) - 1, length - 1)
        return np.round(rng.uniform(0, length - 1 - span) + np.linspace(0, span, bodies.frames)).astype(np.int64)
    return np.sort(rng.choice(length, bodies.frames, replace=length < bodies.frames))


def turned(stage: Stage, yaw: float, tilt: float) -> Stage:
    """The stage turned about its middle, in degrees: about the vertical, then nodding towards the camera."""
    middle = stage[0].ends.reshape(-1, 3).mean(0)
    turn = rotation(*(np.array([angle]) for angle in (yaw, tilt, 0.0)))[0]
    return see(*stage, turn, middle - turn @ middle)


def without_faults(camera: DepthCamera) -> DepthCamera:
    """A world's sensor without the faults that ``disturb.py`` draws for each view; ragged edges and the projector's
    shadow stay."""
    return replace(camera, disparity_step=0.0, hole_level=math.inf)


def world_clip(world: str, number: int, bodies: Bodies) -> np.ndarray:
    """Clip ``number`` of a world: its own individual, view and moments. (frames, points, 3) float32, camera
    coordinates."""
    rng = np.random.default_rng([7, list(STAGES).index(world), number])
    stage = STAGES[world](number, lambda length: moments_of(length, bodies, rng), rng)
    name, share = f"{world}/{number}", TURNS.get(world, 1.0)
    yaw, tilt = rng.uniform(-1, 1, 2) * np.array([bodies.turn, bodies.tilt]) * share
    if isinstance(stage, Video):  # a mesh shows all its sides, so the points are turned
        points = sample_clip(replace(stage, id=name), bodies.frames, bodies.points).points
        middle, turn = points.reshape(-1, 3).mean(0), rotation(np.zeros(1), np.array([tilt]), np.zeros(1))[0]
        return ((points - middle) @ turn.T.astype(np.float32) + middle).astype(np.float32)
    for angles in ((yaw, tilt), (0.0, 0.0)):
        generators = [np.random.default_rng([8, number, f]) for f in range(bodies.frames)]
        capsules, solids = turned(stage, *angles)
        clouds, _ = photograph(capsules, without_faults(SENSORS.get(world, DepthCamera())), generators, solids)
        if min(map(len, clouds)) >= FEWEST_POINTS:
            break
    return sample_clip(Video(clouds, name), bodies.frames, bodies.points).points


def with_normals(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A clip's points and normals, (frames, points, 3) float32 each."""
    return points, np.stack([surface_normals(frame) for frame in points])


def world_clip_with_normals(task: tuple[str, int], bodies: Bodies) -> tuple[np.ndarray, np.ndarray]:
    """What a process of the pool computes: clip ``task`` (world, number) and its normals."""
    return with_normals(world_clip(*task, bodies))


def tasks_of(bodies: Bodies) -> list[tuple[str, int]]:
    """(world, number) of every clip, dealt out evenly to the worlds."""
    unknown = [world for world in bodies.worlds if world not in STAGES]
    if unknown or not bodies.worlds:
        raise ConfigError(
            f"no world is called {unknown[0] if unknown else ''!r}",
            "train-teacher",
            f"some of {', '.join(STAGES)}",
        )
    return [(bodies.worlds[i % len(bodies.worlds)], i // len(bodies.worlds)) for i in range(bodies.videos)]


def individuals(bodies: Bodies) -> dict[str, set[int]]:
    """World -> the numbers of everybody (every room) in a pool, partners in pairs among them."""
    found: dict[str, set[int]] = {world: set() for world in bodies.worlds}
    for world, number in tasks_of(bodies):
        found[world].add(FIRST_INDIVIDUAL + number)
        if world == "synthetic-interactions":
            found[world].add(interactions.partner_of(FIRST_INDIVIDUAL + number))
    return found


def pool_spec(bodies: Bodies, data: ClipDataset | None = None) -> dict:
    """Everything that decides a pool's content, JSON-ready."""
    source = (
        data.settings()
        if data
        else {
            "generators": {world: GENERATORS.get(world) for world in bodies.worlds},
            "first_individual": FIRST_INDIVIDUAL,
        }
    )
    return {"format": FORMAT, "bodies": json.loads(json.dumps(asdict(bodies))), **source}


def build_pool(
    bodies: Bodies, data: ClipDataset | None = None, cache: Path | None = None, workers: int = 2
) -> FramePool:
    """The pool, built or opened. data : a training split to learn from instead of the worlds; its clips must have
    ``bodies.frames`` frames of ``bodies.points`` points. cache : folder in which pools are kept by the hash of their
    content; None keeps none. Raises DataError on a damaged file.
    """
    key = hashlib.sha256(json.dumps(pool_spec(bodies, data), sort_keys=True).encode()).hexdigest()[:16]
    path = cache / "pools" / f"{key}.safetensors" if cache else None
    if path and path.is_file():
        return FramePool.load(path)
    if data is not None:
        clips, worlds = (with_normals(data[i].points) for i in range(len(data))), None
    else:
        tasks = tasks_of(bodies)
        clips, worlds = _world_clips(tasks, bodies, workers), [bodies.worlds.index(world) for world, _ in tasks]
    total = len(data) if data is not None else bodies.videos
    pool = FramePool.from_clips(tqdm(clips, total=total, desc="clips", mininterval=5, disable=None), worlds)
    if path:
        pool.save(path)
    return pool


def _world_clips(tasks: list[tuple[str, int]], bodies: Bodies, workers: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The clips in order, computed by ``workers`` processes, which are started clean: a fork of a process that uses
    torch can wait forever."""
    clip = partial(world_clip_with_normals, bodies=bodies)
    if workers <= 1:
        yield from map(clip, tasks)
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as executor:
        yield from executor.map(clip, tasks, chunksize=20)
