"""Everything that decides a teacher of our own, as data: the named recipes, and how one setting of them is changed.

The shipped teacher was trained by an earlier version of this library, in three stages of which the last one ships. Its
``training.json`` stays as it was written: there the stages have other names (``cross4d-tiny``, ``-shade``, ``-long``),
and the recipe names settings that exist no more. The settings that do exist had the values below.

``stage-1`` starts from random weights, ``stage-2`` from those of stage 1, its views no longer equally bright, and
``cross4d-tiny`` from those of stage 2: pass ``--set start=FOLDER``, the folder of the stage before. ``in-domain``
starts from ``cross4d-tiny``, with a reader's own clips; ``cross4d-small`` is a larger one. All are image models of
DINOv2's architecture. A recipe stands in the ``training.json`` beside its weights. Every disturbance has a value that
switches it off (0, or a share of 1), so that one of them can be varied at a time: ``cross4d train-teacher --set
sensor.holes=0``.

Lengths of cloth and sensor are in CAMERA DISTANCES: the distance from the camera to the middle of the clip, some 2.5 m
for a standing person. So they mean the same for a rabbit and a tyrannosaur, and for recordings in any unit.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, fields, is_dataclass, replace

from ..errors import ConfigError

WORLDS = ("synthetic-actions", "synthetic-interactions", "synthetic-animals", "synthetic-scenes")


@dataclass(frozen=True)
class Bodies:
    """What is looked at: clips of the embedded worlds, each of another individual (or of a reader's own training
    split)."""

    worlds: tuple[str, ...] = WORLDS
    videos: int = 6000  # clips in all, dealt out evenly to the worlds
    frames: int = 8  # of a clip
    even: bool = False  # frames evenly spaced in a random window; False: any moments of the whole video
    points: int = 1024  # of a frame
    # degrees: the most a body is turned about the vertical before it is photographed (an animal: always any way)
    turn: float = 60.0
    tilt: float = 12.0  # degrees: the most the camera looks down or up at it, beside what its world does


@dataclass(frozen=True)
class Cloth:
    """Volume and folds: points are moved along their normals, by one smooth field for all frames of a clip and for both
    views."""

    # camera distances: the most a body is thickened (3 cm on a person); a clip draws its own amount
    inflate: float = 0.012
    folds: float = 0.006  # camera distances: the largest standard deviation of the folds; a clip draws its own
    wave: tuple[float, float] = (0.04, 0.2)  # camera distances: shortest and longest wave of the folds


@dataclass(frozen=True)
class Sensor:
    """What a depth sensor gets wrong, drawn anew for every view: the two views of a frame share no fault that gives
    them away."""

    # camera distances at distance 1: largest standard deviation of depth; grows with the distance squared
    noise: float = 0.004
    step: float = 0.007  # camera distances at distance 1: largest quantum of depth; grows with the distance squared
    holes: int = 2  # missing patches of a view
    hole: float = 0.07  # x image side: largest radius of one
    edges: float = 0.5  # share of the points seen at a grazing angle (cosine below 0.25) that are lost, at most
    # least share of a frame's points that is kept (one draw a batch, for the discs grow with their spacing)
    thin: float = 0.25


@dataclass(frozen=True)
class Movement:
    """How far the two views of a frame lie apart. Drawn evenly from these ranges, for each view.

    What moves little can be named by its place in the picture, what moves much cannot be learned at once: so it grows.
    """

    yaw: float = 11.0  # degrees; 26 from the first step failed
    pitch: float = 3.0  # degrees
    scale: tuple[float, float] = (0.85, 1.05)  # of the size in the image; the lower end is never below 0.4
    shift: float = 0.08  # of half the image; a patch of 7 px is 0.11
    grey: float = 0.1  # share by which the ends of the grey scale lie elsewhere
    # the movement at the end of the training, in that of its start: as much from the first step on is not learned
    growth: float = 2.5
    # lengths of the grey scale by which each of its ends lies farther out, at most: views of unlike mean grey
    shade: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """Optimisation: AdamW as in ``training.py``, and how far back the EMA remembers."""

    steps: int = 3000  # rounded up to whole rows of the log
    rate: float = 1e-3  # peak; a half cosine to 0
    weight_decay: float = 0.05
    warmup: float = 0.05  # share of the training
    memory: float = 0.15  # the EMA remembers this share of the steps made so far ...
    # ... but at least so many steps (momentum .996; at .99 the losses fell less in the first steps)
    memory_least: int = 250
    memory_most: int = 500  # ... and at most so many (momentum .998); it never stands still


@dataclass(frozen=True)
class TeacherRecipe:
    """An image teacher (see ``contrasts.py``)."""

    hidden_size: int = 192
    layers: int = 6
    heads: int = 3
    image: int = 126  # pixels
    patch: int = 7  # pixels: 18 x 18 patches; at 14 a forearm would be one patch
    tokens: int = 72  # non-empty patches kept of a view, drawn by chance
    clips: int = 16  # a batch
    frames: int = 4  # of each clip in a batch
    one_world: bool = True  # a batch holds clips of one world: a person is no fair opponent of a table
    pairs: int = 12  # points a frame in the patch contrast
    temperature: float = 0.1
    mask: float = 0.5  # share of the student's patches that are masked, in every second image
    start: str = ""  # a teacher of these sizes whose weights are the first ones; "": random ones
    seed: int = 0
    bodies: Bodies = field(default_factory=Bodies)
    cloth: Cloth = field(default_factory=Cloth)
    sensor: Sensor = field(default_factory=Sensor)
    movement: Movement = field(default_factory=Movement)
    schedule: Schedule = field(default_factory=Schedule)


STAGE_2 = TeacherRecipe(
    clips=8,
    bodies=Bodies(videos=2400),
    movement=Movement(shade=1.0),
    schedule=Schedule(steps=600, rate=5e-4),
)
RECIPES = {
    "stage-1": TeacherRecipe(),
    "stage-2": STAGE_2,
    "cross4d-tiny": replace(STAGE_2, seed=1, schedule=replace(STAGE_2.schedule, steps=1800)),
    "in-domain": replace(STAGE_2, start="cross4d-tiny", seed=2),
    "cross4d-small": TeacherRecipe(hidden_size=384, layers=12, heads=6, schedule=Schedule(rate=5e-4, warmup=0.1)),
}
LARGE = {"clips": 96, "tokens": 96, "bodies.videos": 24000}
ON_CUDA = {  # what of a recipe is otherwise on a GPU, where steps are cheap and small batches leave it idle
    "stage-1": {**LARGE, "schedule.steps": 20000},
    "stage-2": {**LARGE, "schedule.steps": 10000},
    "cross4d-tiny": {**LARGE, "schedule.steps": 20000},
    "in-domain": {"clips": 96, "tokens": 96, "schedule.steps": 2000},
    "cross4d-small": {**LARGE, "clips": 64, "schedule.steps": 15000},
}


def named_recipe(model: str, device: str = "cpu", changes: dict[str, object] | None = None) -> TeacherRecipe:
    """The recipe of a model on a device, with some settings changed: ``{"seed": 1, "sensor.holes": 0}``.

    Raises ConfigError on a model, a setting or a value that does not exist.
    """
    if model not in RECIPES:
        raise ConfigError(f"no recipe is called {model!r}", "named_recipe", f"one of {', '.join(RECIPES)}")
    recipe = RECIPES[model]
    for name, value in {**(ON_CUDA[model] if str(device).startswith("cuda") else {}), **(changes or {})}.items():
        recipe = change(recipe, name, value)
    return recipe


def change(recipe, name: str, value):
    """A recipe with one setting changed; a setting of a part is named ``part.setting``."""
    first, _, rest = name.partition(".")
    known = {f.name: getattr(recipe, f.name) for f in fields(recipe)}
    if first not in known or bool(rest) != is_dataclass(known[first]):
        raise ConfigError(
            f"no setting is called {name!r}", type(recipe).__name__, f"one of {', '.join(settings_of(recipe))}"
        )
    if rest:
        return replace(recipe, **{first: change(known[first], rest, value)})
    old = known[first]
    if isinstance(old, float) and type(value) is int:
        value = float(value)
    if isinstance(old, tuple) and isinstance(value, list):
        value = tuple(value)
    if type(value) is not type(old) or (isinstance(old, tuple) and first != "worlds" and len(value) != len(old)):
        raise ConfigError(f"{name}={value!r}", type(recipe).__name__, f"a value like {old!r}")
    return replace(recipe, **{first: value})


def settings_of(recipe) -> dict[str, object]:
    """All settings by their full names: {"hidden_size": 192, ..., "sensor.holes": 2, ...}."""
    flat = {}
    for f in fields(recipe):
        value = getattr(recipe, f.name)
        flat |= {f"{f.name}.{k}": v for k, v in settings_of(value).items()} if is_dataclass(value) else {f.name: value}
    return flat


def parse_change(text: str) -> tuple[str, object]:
    """``sensor.holes=0`` -> ("sensor.holes", 0). Raises ConfigError on a text that is no setting and value."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"{text!r} sets nothing", "--set", "NAME=VALUE, such as sensor.holes=0")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
