"""Pretexts by name; one file each. ``training.pretrain`` trains an encoder under any of them."""

from .base import Pretext, build_pretext, pretext_config, pretext_names, pretext_needs, register_pretext
from .dense_global import Dense, Global, cosine_loss, variance_loss
from .target_controls import CONTROLS, Control, ControlledTargets

__all__ = [
    "CONTROLS",
    "Control",
    "ControlledTargets",
    "Dense",
    "Global",
    "Pretext",
    "build_pretext",
    "cosine_loss",
    "pretext_config",
    "pretext_names",
    "pretext_needs",
    "register_pretext",
    "variance_loss",
]
