"""Frozen 2D teachers by name (Eq. 2, Sec. 3.4)."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import ConfigError, TeacherError
from ..files import file_digest
from .base import Features, Teacher
from .formulas import CONTROL_TEACHERS, PREFIX, load_control
from .packaged import PACKAGED, cached_teacher, find_packaged, get_teacher
from .projection import pca_projection, random_projection
from .provenance import (
    IN_DOMAIN_PREFIX,
    UNTRAINED,
    files_digest,
    label_of,
    with_label,
)
from .published import FAMILIES, Family, known_config, render_size

__all__ = [
    "CONTROL_TEACHERS",
    "Features",
    "IN_DOMAIN_PREFIX",
    "PACKAGED",
    "SHIPPED",
    "Teacher",
    "UNTRAINED",
    "cached_teacher",
    "family_of",
    "files_digest",
    "folder_of",
    "get_teacher",
    "image_size",
    "in_domain_folder",
    "label_of",
    "load_teacher",
    "pca_projection",
    "random_projection",
    "with_label",
]

SHIPPED_DIGESTS = {  # of their files, so that a damaged one is not taken for the one that ships
    "cross4d-tiny": "2f66b4727afcbbbc",
}
SHIPPED = {name: Path(__file__).parent / name for name in SHIPPED_DIGESTS}


def load_teacher(name: str, seed: int = 0, **options) -> Teacher:
    """A frozen teacher by name: ``cross4d-tiny`` (ships with the library), a folder, or a hub id
    (``facebook/dinov2-large``).

    The family follows from its configuration: DINOv2 with or without registers, DINOv3, V-JEPA 2, VideoMAE, SigLIP,
    CLIP. ``NAME/untrained`` gives NAME's architecture with random weights drawn from ``seed``: a control, labelled as
    untrained wherever its numbers appear; the sizes in ``published.PUBLISHED`` need no network for that. A name of
    ``packaged.PACKAGED`` is a teacher that ``cross4d get-teacher`` has fetched. options : layer, device, dtype, batch
    (see FrozenTeacher; ``layer=8`` gives the features after block 8, of any teacher but a formula), and
    trust_remote_code=True for a checkpoint that brings its own code, which is never run otherwise.
    ``in-domain/DATASET`` is the teacher that ``cross4d train-teacher --data DATASET`` trained on this machine; none
    ships. ``control/position`` is a formula in a teacher's place (see ``formulas.py``).

    Raises TeacherError when it cannot be loaded, or a shipped one is not as it ships; ConfigError when the name is
    empty or an option has no such value.
    """
    name = str(name)
    if name in ("", UNTRAINED):
        raise ConfigError(
            "an empty teacher name", "load_teacher", f"one of {', '.join(SHIPPED)}, a folder, or a hub id"
        )
    if name.startswith(PREFIX):
        if options.get("layer") is not None:
            raise ConfigError(f"layer={options['layer']!r} of a formula", name, "formulas have no layers: leave it out")
        return load_control(name)
    if name in SHIPPED and files_digest(SHIPPED[name]) != SHIPPED_DIGESTS[name]:
        raise TeacherError("the files of this teacher are not those that ship", SHIPPED[name], "reinstall")
    stem, untrained = name.removesuffix(UNTRAINED), name.endswith(UNTRAINED)
    folder = stem if untrained and stem in PACKAGED else folder_of(stem)
    from .load import load_transformers  # transformers takes seconds to import: only when a teacher is wanted

    return load_transformers(str(folder), name, seed if untrained else None, **options)


def in_domain_folder(dataset: str) -> Path:
    """Where the teacher of a dataset's own clips lies (see ``cross4d train-teacher --data``)."""
    return cached_teacher(dataset)


def folder_of(stem: str) -> Path | str:
    """The folder of a shipped or in-domain teacher; any other name as it is. Raises TeacherError when no in-domain
    teacher was trained, or its training is not finished."""
    if stem in PACKAGED:
        return find_packaged(stem)
    if not stem.startswith(IN_DOMAIN_PREFIX):
        return SHIPPED.get(stem, stem)
    dataset = stem.removeprefix(IN_DOMAIN_PREFIX)
    folder, fix = in_domain_folder(dataset), f"cross4d train-teacher --data {dataset}"
    if not (folder / "model.safetensors").is_file():
        raise TeacherError(f"no teacher was trained on the clips of {dataset} here, and none ships", folder, fix)
    try:
        training = json.loads((folder / "training.json").read_text())
        finished, weights = training.get("finished", True), training.get("weights")
    except (OSError, ValueError, AttributeError):
        finished, weights = False, None
    if not finished:
        raise TeacherError("the training of this teacher was stopped", folder, f"continue it: {fix}")
    if weights and weights != file_digest(folder / "model.safetensors"):
        raise TeacherError(
            "the weights are not those that its training saved", folder, f"delete the folder, then {fix}"
        )
    return folder


def image_size(name: str, near: int = 126) -> int:
    """The render side nearest to ``near`` that suits a teacher, from its configuration alone: no weights, no network.

    ``near`` itself for a hub id that ``published.PUBLISHED`` does not list: its teacher then says what it needs.
    """
    return render_size(known_config(str(name).removesuffix(UNTRAINED), SHIPPED), near)


def family_of(name: str) -> Family | None:
    """The family of a teacher, from its configuration alone; None for a hub id that ``published.PUBLISHED`` does not
    list."""
    return FAMILIES.get(known_config(str(name).removesuffix(UNTRAINED), SHIPPED).get("model_type", ""))
