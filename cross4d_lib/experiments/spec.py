"""What a run is: a frozen spec. Its key is the hash of its canonical form; two tables that ask for the same run share it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from ..decisions import CENTRE_TARGETS, GLOBAL_TARGET
from ..errors import ConfigError
from .profiles import Profile

PRETEXTS = ("random", "global", "dense")


@dataclass(frozen=True)
class RunSpec:
    """Pretrain an encoder one way on one dataset's training split, probe it on the same dataset, with one seed.

    pretext : "random" (no pretraining), "global" or "dense". The fields that a random encoder does not depend on are empty
    in its spec, so that all teachers and granularities share one random run. stand_in : the dataset is synthetic.
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

    def canonical(self) -> dict:
        """JSON-ready form that the key is made of: all fields but the profile's name, and the contents behind two names.

        The shipped teacher and the embedded datasets can change under their names, so the digest of the teacher's weights
        and that of the generator belong to the run.
        """
        fields = asdict(self)
        del fields["profile"]
        fields["encoder"] = dict(self.encoder)
        fields["teacher_content"] = shipped_digest(self.teacher)
        fields["data_content"] = embedded_digest(self.dataset)
        return fields

    @property
    def key(self) -> str:
        return hashlib.sha256(json.dumps(self.canonical(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]

    def __str__(self) -> str:
        teacher = f", {self.teacher}" if self.teacher else ""
        return f"{self.pretext} on {self.dataset}{teacher}, seed {self.seed}"


def make_spec(profile: Profile, dataset: str, pretext: str, seed: int, **changes) -> RunSpec:
    """The spec of one run of a profile. changes : fields that differ from the profile's (teacher, summary, epochs, ...)."""
    if pretext not in PRETEXTS:
        raise ConfigError(f"pretext {pretext!r}", "make_spec", f"one of {', '.join(PRETEXTS)}")
    common = dict(
        profile=profile.name, dataset=dataset, pretext=pretext, seed=seed, frames=profile.frames, points=profile.points,
        stride=profile.stride, clips=profile.clips, encoder=tuple(sorted(profile.encoder.items())),
    )  # fmt: skip
    if pretext == "random":
        kept = {name: value for name, value in changes.items() if name in common}
        return RunSpec(**{**common, **kept})
    spec = RunSpec(
        **common, teacher=profile.teacher, size=profile.size, dim=profile.dim, projection="random", cameras=1,
        summary=GLOBAL_TARGET if pretext == "global" else "", centre=CENTRE_TARGETS, variance_weight=1.0,
        epochs=profile.epochs, batch=profile.batch,
    )  # fmt: skip
    return replace(spec, **changes)


def shipped_digest(teacher: str) -> str:
    """Digest of the weights file of a teacher that lies on disk (shipped, or a folder), "" for hub ids and none."""
    from ..datasets.base import file_digest
    from ..teachers import SHIPPED, UNTRAINED

    stem = teacher.removesuffix(UNTRAINED)
    folder = SHIPPED.get(stem) or (Path(stem) if stem else None)
    name = "config.json" if teacher.endswith(UNTRAINED) else "model.safetensors"
    return file_digest(folder / name) if folder and (folder / name).is_file() else ""


@lru_cache
def embedded_digest(dataset: str) -> str:
    """Digest of what identifies an embedded dataset's videos (its generator's version); "" for recorded data, whose files
    are not needed to name a run: a row's ``data_hash`` says which they were."""
    from ..datasets import load_source

    source = load_source(dataset)
    if not source.stand_in:
        return ""
    return hashlib.sha256(json.dumps([source.fingerprint_of(entry) for entry in source.entries(None)]).encode()).hexdigest()[:16]
