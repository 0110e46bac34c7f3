"""Encoders by name, each with its configuration. An encoder registers itself in its own file."""

from __future__ import annotations

from ..registry import Registry
from .base import Encoder

_ENCODERS = Registry("encoder")
register_encoder = _ENCODERS.register
encoder_names = _ENCODERS.names
encoder_config = _ENCODERS.config  # (name, **settings) -> its Config; ConfigError on an unknown name or setting


def build_encoder(name: str = "point4d", **settings) -> Encoder:
    """An encoder with fresh weights from torch's random state. settings : fields of its Config that differ from the
    defaults. Raises ConfigError on an unknown name or setting."""
    return _ENCODERS[name](encoder_config(name, **settings))
