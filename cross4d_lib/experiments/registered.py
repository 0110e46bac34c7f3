"""Configs of encoders and pretexts by name, until their registries have them."""

from __future__ import annotations

from dataclasses import dataclass

from ..encoders import Point4DConfig
from ..errors import ConfigError
from ..pretexts import CONTROLS


@dataclass(frozen=True)
class DenseConfig:
    variance_weight: float = 1.0
    centre: bool = True
    merge: str = "mean"


@dataclass(frozen=True)
class GlobalConfig(DenseConfig):
    summary: str = "class"


@dataclass(frozen=True)
class ControlConfig(DenseConfig):
    control: str = "shuffled points"

    def __post_init__(self):
        if self.control not in CONTROLS:
            raise ConfigError(f"control {self.control!r}", "pretext control", f"one of {', '.join(CONTROLS)}")


def config_of(kind: str, configs: dict, name: str):
    if name not in configs:
        raise ConfigError(f"no {kind} is called {name!r}", kind, f"one of {', '.join(configs)}")
    return configs[name]


def encoder_config(name: str):
    return config_of("encoder", {"point4d": Point4DConfig}, name)


def pretext_config(name: str):
    return config_of("pretext", {"dense": DenseConfig, "global": GlobalConfig, "control": ControlConfig}, name)
