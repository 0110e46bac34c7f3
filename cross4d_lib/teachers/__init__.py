"""Frozen 2D teachers by name (Eq. 2, Sec. 3.4)."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError
from .base import Features, Teacher
from .controls import CONTROL_TEACHERS, PREFIX, load_control
from .projection import pca_projection, random_projection

__all__ = ["CONTROL_TEACHERS", "Features", "Teacher", "SHIPPED", "load_teacher", "pca_projection", "random_projection"]

SHIPPED = {"cross4d-tiny": Path(__file__).parent / "cross4d-tiny"}
UNTRAINED = "/untrained"


def load_teacher(name: str, seed: int = 0, **options) -> Teacher:
    """A frozen teacher by name: ``cross4d-tiny`` (ships with the library), a folder, or a hub id (``facebook/dinov2-large``).

    ``NAME/untrained`` gives NAME's architecture with random weights drawn from ``seed``: a control, marked
    as untrained wherever its numbers appear. ``control/position`` and ``control/geometry`` are formulas in a teacher's place
    (see ``controls.py``). options : device, dtype, batch (see Dinov2Teacher).

    Raises TeacherError when it cannot be loaded, ConfigError when the name is empty.
    """
    name = str(name)
    if name in ("", UNTRAINED):
        raise ConfigError("an empty teacher name", "load_teacher", f"one of {', '.join(SHIPPED)}, a folder, or a hub id")
    if name.startswith(PREFIX):
        return load_control(name)
    untrained = name.endswith(UNTRAINED)
    stem = name.removesuffix(UNTRAINED)
    from .dinov2 import load_dinov2  # transformers takes seconds to import: only when a teacher is wanted

    return load_dinov2(str(SHIPPED.get(stem, stem)), name, seed if untrained else None, **options)
