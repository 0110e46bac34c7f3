"""Frozen 2D teachers by name (Eq. 2, Sec. 3.4)."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import ConfigError, TeacherError
from ..files import cache_folder
from .base import Features, Teacher
from .formulas import CONTROL_TEACHERS, PREFIX, load_control
from .projection import pca_projection, random_projection
from .provenance import HOME, UNTRAINED, mark_of, marked
from .published import FAMILIES, Family, known_config, render_size

__all__ = [
    "CONTROL_TEACHERS",
    "Features",
    "Teacher",
    "SHIPPED",
    "family_of",
    "folder_of",
    "home_of",
    "image_size",
    "load_teacher",
    "mark_of",
    "marked",
    "pca_projection",
    "random_projection",
]

SHIPPED = {
    name: Path(__file__).parent / name
    for name in ("cross4d-tiny", "cross4d-tiny-shade", "cross4d-tiny-long", "cross4d-tiny-video")
}


def load_teacher(name: str, seed: int = 0, **options) -> Teacher:
    """A frozen teacher by name: ``cross4d-tiny`` (ships with the library), a folder, or a hub id
    (``facebook/dinov2-large``).

    The family is read off its configuration: DINOv2 with or without registers, DINOv3, V-JEPA 2, VideoMAE, SigLIP,
    CLIP. ``NAME/untrained`` gives NAME's architecture with random weights drawn from ``seed``: a control, marked as
    untrained wherever its numbers appear; the sizes in ``published.PUBLISHED`` need no network for that. options :
    device, dtype, batch (see FrozenTeacher), and trust_remote_code=True for a checkpoint that brings its own code,
    which is never run otherwise. ``in-domain/DATASET`` is the teacher that ``cross4d train-teacher --data DATASET``
    made on this machine; none ships. ``control/position``, ``control/geometry`` and ``control/grey`` are formulas in a
    teacher's place (see ``controls.py``).

    Raises TeacherError when it cannot be loaded, ConfigError when the name is empty.
    """
    name = str(name)
    if name in ("", UNTRAINED):
        raise ConfigError(
            "an empty teacher name", "load_teacher", f"one of {', '.join(SHIPPED)}, a folder, or a hub id"
        )
    if name.startswith(PREFIX):
        return load_control(name)
    stem = name.removesuffix(UNTRAINED)
    from .load import load_transformers  # transformers takes seconds to import: only when a teacher is wanted

    return load_transformers(str(folder_of(stem)), name, seed if name.endswith(UNTRAINED) else None, **options)


def home_of(dataset: str) -> Path:
    """Where the teacher of a dataset's own clips lies (see ``cross4d train-teacher --data``)."""
    return cache_folder() / "teachers" / dataset


def folder_of(stem: str) -> Path | str:
    """The folder of a shipped or in-domain teacher; any other name as it is. Raises TeacherError when no in-domain
    teacher was made, or its training is not over."""
    if not stem.startswith(HOME):
        return SHIPPED.get(stem, stem)
    dataset = stem.removeprefix(HOME)
    folder, mend = home_of(dataset), f"cross4d train-teacher --data {dataset}"
    if not (folder / "model.safetensors").is_file():
        raise TeacherError(f"no teacher was trained on the clips of {dataset} here, and none ships", folder, mend)
    told = folder / "training.json"
    if told.is_file() and not json.loads(told.read_text()).get("finished", True):
        raise TeacherError("this teacher's training was stopped", folder, f"go on: {mend}")
    return folder


def image_size(name: str, near: int = 126) -> int:
    """The render side nearest to ``near`` that suits a teacher, told from its configuration alone: no weights, no
    network.

    ``near`` itself for a hub id that ``published.PUBLISHED`` does not list: its teacher then says what it needs.
    """
    return render_size(known_config(str(name).removesuffix(UNTRAINED), SHIPPED), near)


def family_of(name: str) -> Family | None:
    """The family of a teacher, from its configuration alone; None for a hub id that ``published.PUBLISHED`` does not
    list."""
    return FAMILIES.get(known_config(str(name).removesuffix(UNTRAINED), SHIPPED).get("model_type", ""))
