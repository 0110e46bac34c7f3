"""What a run is: a frozen spec of nested parts. Its key is the hash of its canonical form; two tables that ask for the
same run share it.

    seed        draws the encoder's weights and the order of training
    encoder     the architecture
    data        the clips it is pretrained on        } none of these four
    targets     the teacher and what is kept of it   } for a random encoder
    pretext     what is predicted                    }
    training    how long, in which batches           }
    task        what is measured, on which clips

The part without the task decides the encoder, so runs that differ in their tasks alone share the encoder.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from ..datasets import load_source
from ..decisions import VISIBILITY
from ..encoders import encoder_config
from ..errors import ConfigError
from ..files import file_digest
from ..pretexts import pretext_config, pretext_needs
from ..teachers import CONTROL_TEACHERS, PACKAGED, SHIPPED, image_size
from ..teachers.provenance import FILES, IN_DOMAIN_PREFIX, UNTRAINED
from .profiles import Profile, clip_settings

NO_PRETEXT = ("random", "none")  # an encoder without training; no encoder at all
ROOMS_OF = {  # part of a spec -> the rooms of ``code_version`` whose code decides what comes of it
    "encoder": {"points", "encoders"},
    "data": {"clips"},
    "targets": {"render", "teachers", "targets"},
    "pretext": {"pretexts"},
    "training": {"training"},
    "task": {"clips", "training", "evaluation"},
}


class Part(BaseModel):
    """Frozen, hashable, without unknown fields. Raises ConfigError, naming the field, where pydantic refuses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values):
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise refused(error, type(self).__name__, f"see {type(self).__module__}") from None

    def __hash__(self) -> int:
        return hash(self.model_dump_json())


def refused(error: ValidationError, where: str, fix: str) -> ConfigError:
    """The first of pydantic's complaints as one of ours, ``targets.cameras: Input should be ..., not 'two'``; our own,
    raised inside a part, as it is."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ConfigError):
        return cause
    path = ".".join(str(step) for step in first["loc"])
    value = "" if first["type"] in ("missing", "value_error") else f", not {str(first['input'])[:60]!r}"
    return ConfigError(f"{path}: {first['msg'].removeprefix('Value error, ')}{value}".removeprefix(": "), where, fix)


class DataSpec(Part):
    """Clips: a split of a dataset, T frames of N points. clips : at most so many, None for all."""

    dataset: str
    split: str = "train"
    frames: int
    points: int
    stride: int | Literal["uniform"]
    clips: int | None = None


class EncoderSpec(Part):
    """A registered encoder. settings : fields of its Config that differ from the defaults, the paper's."""

    name: str = "point4d"
    settings: dict[str, object] = {}

    @model_validator(mode="before")
    @classmethod
    def known(cls, values):
        return with_settings(values, encoder_config, "point4d")


class TargetSpec(Part):
    """A frozen teacher, its layer (None: the last), the side of its renders in pixels, d_p, the projection W of Eq. 2,
    the number of cameras, the render's rule of who is visible."""

    teacher: str
    layer: int | None = None
    size: int
    dim: int
    projection: str = "random"
    cameras: int = 1
    visibility: str = VISIBILITY


class PretextSpec(Part):
    """A registered pretext. settings : fields of its Config that differ from the defaults."""

    name: str
    settings: dict[str, object] = {}

    @model_validator(mode="before")
    @classmethod
    def known(cls, values):
        return with_settings(values, pretext_config)


class TrainingSpec(Part):
    """Length and batch of pretraining."""

    epochs: int
    batch: int


class TaskSpec(Part):
    """What is measured (``tasks.TASKS``). data : the clips scored on. learned_from : the split of the same dataset
    that a head learns from. windows : of every video, that a probe reads (``ClipDataset.windows``)."""

    name: str = "probe"
    data: DataSpec
    learned_from: str = "train"
    windows: int = 1


def with_settings(values: object, config_of, default: str = "") -> object:
    """Check the settings of a registered part against its Config; keep those that differ from the defaults, by name.

    Raises ConfigError on an unknown name, an unknown setting or a wrong type.
    """
    if not isinstance(values, dict):
        return values
    name, settings = values.get("name", default), values.get("settings", {})
    config = config_of(name)
    if settings.keys() - vars(config).keys():
        config_of(name, **settings)  # refuses them
    try:
        checked = adapter(config.__class__).validate_python(settings)
    except ValidationError as error:
        raise refused(error, name, f"see {type(config).__name__}") from None
    differing = {key: getattr(checked, key) for key in sorted(settings) if getattr(checked, key) != vars(config)[key]}
    return {**values, "name": name, "settings": json.loads(json.dumps(differing))}


@lru_cache
def adapter(config: Any) -> TypeAdapter:
    """Pydantic's validator of a Config: building one takes a millisecond, and a report builds thousands of specs."""
    return TypeAdapter(config)


class PretrainingSpec(Part):
    """Everything that decides an encoder: a RunSpec without its task. ``profile`` is a name and decides nothing."""

    profile: str
    seed: int
    encoder: EncoderSpec | None = None
    data: DataSpec | None = None
    targets: TargetSpec | None = None
    pretext: PretextSpec | None = None
    training: TrainingSpec | None = None

    @model_validator(mode="after")
    def whole(self):
        """A pretext needs an encoder, clips and training, and none of the last two, nor targets, is of use without."""
        trained = [part is not None for part in (self.pretext, self.data, self.training)]
        if len(set(trained)) > 1 or (self.targets and not self.pretext) or (self.pretext and not self.encoder):
            raise ValueError("pretext, data and training stand together, with an encoder; targets need a pretext")
        return self

    @property
    def pretext_name(self) -> str:
        """The pretext, "random" for an encoder without one, "none" where there is no encoder."""
        return self.pretext.name if self.pretext else NO_PRETEXT[self.encoder is None]

    @property
    def teacher(self) -> str:
        """The teacher's name, "" for none."""
        return self.targets.teacher if self.targets else ""

    @property
    def contents(self) -> dict[str, str]:
        """name -> digest of what can change under a name: a teacher on disk, an embedded dataset."""
        digests = {self.teacher: teacher_digest(self.teacher)} | {name: data_digest(name) for name in self._datasets()}
        return {name: digest for name, digest in sorted(digests.items()) if digest}

    @property
    def code(self) -> dict[str, int]:
        """room -> version of the code that decides the result, for the rooms this spec passes through."""
        from .code_version import code_versions  # not above: the module is a command, too

        rooms = set().union(*(ROOMS_OF[name] for name in ROOMS_OF if getattr(self, name, None) is not None))
        return {room: version for room, version in code_versions().items() if room in rooms | self._rooms()}

    @property
    def encoder_part(self) -> PretrainingSpec:
        """The spec without a task: runs that share it share the encoder."""
        return PretrainingSpec(**{name: getattr(self, name) for name in PretrainingSpec.model_fields})

    def _datasets(self) -> list[str]:
        return [self.data.dataset] if self.data else []

    def _rooms(self) -> set[str]:
        return set()

    def canonical(self) -> dict:
        """JSON-ready form that keys are made of: all fields but the profile's name. A field with its default is left
        out, so a field that is added later changes no key."""
        return self.model_dump(mode="json", exclude={"profile"}, exclude_defaults=True)

    def key_with(self, contents: dict[str, str], code: dict[str, int] | None) -> str:
        """12 hex digits of the canonical form, contents and code. code None : the same for every version."""
        form = {"spec": self.canonical(), "contents": contents} | ({} if code is None else {"code": code})
        return hashlib.sha256(json.dumps(form, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]

    @property
    def key(self) -> str:
        return self.key_with(self.contents, self.code)

    @property
    def without_code_key(self) -> str:
        """The key but for the versions of the code: rows of one spec by older code share it."""
        return self.key_with(self.contents, None)

    def changed(self, **changes):
        """This spec with other values: ``changed(seed=1, task="coverage", **{"targets.cameras": 4})``, as in
        ``build_spec``. Raises ConfigError where they are refused."""
        return type(self)(**merged(self.model_dump(), nested(changes)))


class RunSpec(PretrainingSpec):
    """Pretrain an encoder one way, then measure it by one task, with one seed."""

    task: TaskSpec

    @property
    def dataset(self) -> str:
        """The dataset pretrained on; without pretraining, that of the task."""
        return self.data.dataset if self.data else self.measured_on

    @property
    def measured_on(self) -> str:
        """The dataset the task is done on."""
        return self.task.data.dataset

    @property
    def encoder_key(self) -> str:
        return self.encoder_part.key

    def _datasets(self) -> list[str]:
        return [*super()._datasets(), self.measured_on]

    def _rooms(self) -> set[str]:
        return {"render"} if self.task.name == "coverage" else set()

    def __str__(self) -> str:
        elsewhere = self.dataset != self.measured_on
        task = f"{self.task.name} on {self.measured_on}" if elsewhere or self.task.name != "probe" else ""
        control = (
            getattr(pretext_config(self.pretext.name, **self.pretext.settings), "control", "") if self.pretext else ""
        )
        words = (f"{self.pretext_name} on {self.dataset}", self.teacher, control, task, f"seed {self.seed}")
        return ", ".join(filter(None, words))


def build_spec(profile: Profile, dataset: str, pretext: str, seed: int, /, **changes) -> RunSpec:
    """The spec of one run of a profile: a registered pretext, "random", or "none" where no encoder is asked for.

    changes : what differs from the profile's, part by part or by path: ``targets={"cameras": 4}`` or
    ``**{"targets.cameras": 4}``, "training.epochs", "data.frames", "encoder.tokens" and "pretext.centre" (settings),
    "task.data.dataset", "task.learned_from", and ``task="segmentation"`` for its name.

    The task is done on the test split of the dataset unless ``task.data`` says otherwise, with clips sampled as in
    pretraining or as the profile samples the other dataset. A random encoder has no data, targets, pretext or training:
    changes of theirs are left out. Renders have the side that suits the teacher, nearest to the profile's. Raises
    ConfigError on names and settings that do not exist.
    """
    changes = nested(changes)
    own = changes.get("data", {})
    other = changes.get("task", {}).get("data", {}).get("dataset", dataset)
    sampled = {name: value for name, value in own.items() if name not in ("dataset", "split")}
    scored = {"dataset": other, "split": "test", "clips": profile.clips, **clip_settings(profile, other), **sampled}
    task: dict[str, object] = {"data": scored}
    spec = {"profile": profile.name, "seed": seed, "task": task}
    if changes.get("task", {}).get("name", "probe") in ("probe", "classification"):
        task["windows"] = 1 if scored["stride"] == "uniform" else profile.windows
    if pretext != "none":
        name = changes.get("encoder", {}).get("name", "point4d")
        known = vars(encoder_config(name))
        settings = {key: value for key, value in profile.encoder.items() if key in known}
        spec["encoder"] = {"name": name, "settings": settings}
    if pretext not in NO_PRETEXT:
        teacher = changes.get("targets", {}).get("teacher", profile.teacher)
        epochs = profile.by_dataset.get(dataset, {}).get("epochs", profile.epochs)
        spec |= {
            "data": {"dataset": dataset, "clips": profile.clips, **clip_settings(profile, dataset)},
            "pretext": {"name": pretext},
            "training": {"epochs": epochs, "batch": profile.batch},
        }
        if pretext_needs(pretext):
            size = image_size(teacher, profile.sizes.get(teacher, profile.size))
            layer = profile.layers.get(teacher)
            spec["targets"] = {"teacher": teacher, "layer": layer, "size": size, "dim": profile.dim}
    return RunSpec(**merged(spec, {name: value for name, value in changes.items() if name in spec}))


def nested(changes: dict) -> dict:
    """{"targets.cameras": 4, "encoder.dim": 64, "task": "coverage"} -> {"targets": {"cameras": 4}, "encoder":
    {"settings": {"dim": 64}}, "task": {"name": "coverage"}}. Raises ConfigError on a part that does not exist."""
    tree: dict = {}
    for path, value in changes.items():
        part, *steps = path.split(".")
        if part not in RunSpec.model_fields:
            raise ConfigError(f"a spec has no {part}", path, f"one of {', '.join(RunSpec.model_fields)}")
        if isinstance(value, str) and part in ("task", "encoder", "pretext") and not steps:
            steps = ["name"]
        for step in reversed(steps):
            value = {step: value}
        if part in ("encoder", "pretext") and isinstance(value, dict) and "settings" not in value:
            settings = {key: setting for key, setting in value.items() if key != "name"}
            value = {key: name for key, name in value.items() if key == "name"} | {"settings": settings}
        tree = merged(tree, {part: value})
    return tree


def merged(base: dict, changes: dict) -> dict:
    """``base`` with the leaves of ``changes`` in place of its own."""
    both = lambda name, value: isinstance(value, dict) and isinstance(base.get(name), dict)
    return base | {name: merged(base[name], value) if both(name, value) else value for name, value in changes.items()}


def teacher_digest(teacher: str) -> str:
    """Digest of the files that decide a teacher on disk (shipped, or a folder), a control's revision; "" for none, and
    for what a reader of the rows has not got: hub ids and in-domain teachers, whose revision the row states."""
    if teacher in CONTROL_TEACHERS:
        return CONTROL_TEACHERS[teacher].revision
    if teacher in PACKAGED:
        return PACKAGED[teacher].files
    if teacher.startswith(IN_DOMAIN_PREFIX):
        return ""
    stem = teacher.removesuffix(UNTRAINED)
    folder = SHIPPED.get(stem) or (Path(stem) if stem else None)
    untrained = teacher.endswith(UNTRAINED)
    names = [name for name in FILES if not (untrained and name == "model.safetensors")]
    files = {name: file_digest(folder / name) for name in names if folder and (folder / name).is_file()}
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16] if "config.json" in files else ""


@lru_cache
def data_digest(dataset: str) -> str:
    """Digest of what identifies an embedded dataset's videos (its generator's version); "" for recorded data, whose
    files are not needed to name a run: a row's ``data_hash`` says which they were."""
    source = load_source(dataset)
    if not source.stand_in:
        return ""
    videos = [source.fingerprint_of(entry) for entry in source.entries(None)]
    return hashlib.sha256(json.dumps(videos).encode()).hexdigest()[:16]
