"""4D encoders f_theta. ``load_encoder`` makes one from the settings a run or a checkpoint records."""

from ..errors import ConfigError
from .base import Encoder, Tokens, count_flops, count_parameters
from .point4d import Point4D, Point4DConfig

__all__ = ["Encoder", "Point4D", "Point4DConfig", "Tokens", "count_flops", "count_parameters", "load_encoder"]

_BY_NAME = {"point4d": Point4D}


def load_encoder(settings: dict) -> Encoder:
    """An encoder with fresh weights from ``encoder.settings()``. Raises ConfigError on a name we do not know."""
    fields = dict(settings)
    name = fields.pop("encoder", None)
    if name not in _BY_NAME:
        raise ConfigError(f"no encoder is called {name!r}", "load_encoder", f"one of {', '.join(_BY_NAME)}")
    if "widths" in fields:
        fields["widths"] = tuple(fields["widths"])
    return _BY_NAME[name](**fields)
