"""What a run is: a frozen spec. Its key is the hash of its canonical form; two tables that ask for the same run share
it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path

from ..decisions import CENTRE_TARGETS, GLOBAL_TARGET
from ..errors import ConfigError
from ..pretexts import CONTROLS
from .profiles import Profile, clip_settings

PRETEXTS = ("none", "random", "global", "dense")
SPLITS = ("train", "test")


@dataclass(frozen=True)
class RunSpec:
    """Pretrain an encoder one way on a split of one dataset, then measure it by one task on the same or another
    dataset, with one seed.

    pretext : "random" (no pretraining), "global", "dense", or "none" where no encoder is asked for (coverage). The
    fields that a random encoder does not depend on are empty in its spec, so that all teachers and granularities share
    one random run.
    split : pretrained on. task : see ``tasks.py``. target : the dataset the task is done on, "" for the one pretrained
    on.
    task_splits : learned from and scored on. task_clip : what of frames, points, stride is otherwise in the task's
    clips.
    """

    profile: str
    dataset: str
    pretext: str
    seed: int
    frames: int
    points: int
    stride: int | str
    clips: int | None
    encoder: tuple[tuple[str, object], ...] = ()  # fields of Point4DConfig that differ from the paper's
    teacher: str = ""
    size: int = 0
    dim: int = 0
    projection: str = ""
    cameras: int = 0
    summary: str = ""  # the global target
    centre: bool = False
    variance_weight: float = 0.0
    epochs: int = 0
    batch: int = 0
    split: str = "train"
    task: str = "probe"
    target: str = ""
    task_splits: tuple[str, str] = SPLITS
    task_clip: tuple[tuple[str, object], ...] = ()
    control: str = ""  # other targets for the tokens, one of pretexts.CONTROLS
    augmented: bool = False  # are the clips moved before the student sees them, as in fine-tuning?
    merge: str = "mean"  # of what several cameras say of one token: their mean, or the first that sees it

    def canonical(self) -> dict:
        """JSON-ready form that the key is made of: all fields but the profile's name, and the contents behind the
        names.

        The shipped teacher and the embedded datasets can change under their names, so the digest of the teacher's
        weights and those of the generators belong to the run. What came after the first rows were measured is left out
        while it has the value it had then, so that these rows keep their names.
        """
        form = asdict(self)
        del form["profile"]
        for name, value in LATER.items():
            if form[name] == value:
                del form[name]
        form["encoder"] = dict(self.encoder)
        form["teacher_content"] = shipped_digest(self.teacher)
        form["data_content"] = embedded_digest(self.dataset)
        if self.target:
            form["target_content"] = embedded_digest(self.target)
        if "task_clip" in form:
            form["task_clip"] = dict(self.task_clip)
        return json.loads(json.dumps(form))  # as a row is read back: lists, not tuples

    @classmethod
    def of_row(cls, row: dict) -> RunSpec:
        """The spec that a row says it ran."""
        stated = {name: value for name, value in row["spec"].items() if not name.endswith("_content")}
        pairs = {
            name: tuple(
                sorted(
                    (key, tuple(value) if isinstance(value, list) else value)
                    for key, value in stated.get(name, {}).items()
                )
            )
            for name in ("encoder", "task_clip")
        }
        return cls(
            profile=row["profile"], **{**stated, **pairs, "task_splits": tuple(stated.get("task_splits", SPLITS))}
        )

    @property
    def measured_on(self) -> str:
        """The dataset the task is done on."""
        return self.target or self.dataset

    @property
    def pretraining(self) -> RunSpec:
        """The part of the spec that decides the encoder: runs that share it share the encoder."""
        return replace(
            self,
            **{**LATER, "split": self.split, "control": self.control, "augmented": self.augmented, "merge": self.merge},
        )

    @property
    def key(self) -> str:
        return hashlib.sha256(json.dumps(self.canonical(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()[
            :12
        ]

    def __str__(self) -> str:
        teacher = f", {self.teacher}" if self.teacher else ""
        teacher += f", {self.control}" if self.control else ""
        task = f", {self.task} on {self.measured_on}" if self.target or self.task != "probe" else ""
        return f"{self.pretext} on {self.dataset}{teacher}{task}, seed {self.seed}"


LATER = {
    field.name: field.default
    for field in fields(RunSpec)
    if field.name in ("split", "task", "target", "task_splits", "task_clip", "control", "augmented", "merge")
}


def make_spec(profile: Profile, dataset: str, pretext: str, seed: int, **changes) -> RunSpec:
    """The spec of one run of a profile. changes : fields that differ from the profile's (teacher, epochs, task, target,
    ...).

    A random encoder has seen no data, so its run belongs to the task's dataset; a target that is the dataset itself is
    none. Renders have the admissible size of the teacher that is nearest to the profile's, unless ``size`` says
    otherwise.
    """
    from ..teachers import image_size

    if pretext not in PRETEXTS:
        raise ConfigError(f"pretext {pretext!r}", "make_spec", f"one of {', '.join(PRETEXTS)}")
    if (control := changes.get("control")) and (control not in CONTROLS or pretext != "dense"):
        raise ConfigError(f"control {control!r} of {pretext}", "make_spec", f"one of {', '.join(CONTROLS)}, of dense")
    untrained = pretext in ("none", "random")
    target = changes.pop("target", "")
    if untrained and target:
        dataset = target
    target = "" if target == dataset else target
    settings = clip_settings(profile, dataset)
    otherwise = {
        name: value for name, value in clip_settings(profile, target or dataset).items() if value != settings[name]
    }
    common = dict(
        profile=profile.name,
        dataset=dataset,
        pretext=pretext,
        seed=seed,
        **settings,
        clips=profile.clips,
        encoder=() if pretext == "none" else tuple(sorted(profile.encoder.items())),
        task=changes.pop("task", "probe"),
        target=target,
        task_splits=changes.pop("task_splits", SPLITS),
        task_clip=tuple(sorted({**otherwise, **changes.pop("task_clip", {})}.items())),
    )
    if untrained:
        kept = {name: value for name, value in changes.items() if name in common}
        return RunSpec(**{**common, **kept})
    spec = RunSpec(
        **common,
        teacher=profile.teacher,
        size=image_size(changes.get("teacher", profile.teacher), profile.size),
        dim=profile.dim,
        projection="random",
        cameras=1,
        summary=GLOBAL_TARGET if pretext == "global" else "",
        centre=CENTRE_TARGETS,
        variance_weight=1.0,
        epochs=profile.by_dataset.get(dataset, {}).get("epochs", profile.epochs),
        batch=profile.batch,
    )
    return replace(spec, **changes)


def shipped_digest(teacher: str) -> str:
    """Digest of the weights file of a teacher that lies on disk (shipped, or a folder), a control's revision; "" for
    none, and for what a reader of the rows has not got: hub ids and in-domain teachers, whose revision the row
    states."""
    from ..datasets.base import file_digest
    from ..teachers import CONTROL_TEACHERS, IN_DOMAIN_PREFIX, SHIPPED, UNTRAINED

    if teacher.startswith(IN_DOMAIN_PREFIX):
        return ""
    if teacher in CONTROL_TEACHERS:
        return CONTROL_TEACHERS[teacher].revision
    stem = teacher.removesuffix(UNTRAINED)
    folder = SHIPPED.get(stem) or (Path(stem) if stem else None)
    name = "config.json" if teacher.endswith(UNTRAINED) else "model.safetensors"
    return file_digest(folder / name) if folder and (folder / name).is_file() else ""


@lru_cache
def embedded_digest(dataset: str) -> str:
    """Digest of what identifies an embedded dataset's videos (its generator's version); "" for recorded data, whose
    files are not needed to name a run: a row's ``data_hash`` says which they were."""
    from ..datasets import load_source

    source = load_source(dataset)
    if not source.stand_in:
        return ""
    return hashlib.sha256(
        json.dumps([source.fingerprint_of(entry) for entry in source.entries(None)]).encode()
    ).hexdigest()[:16]
