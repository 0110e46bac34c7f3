"""What every pretext provides. A pretext is given an encoder and a batch and returns its losses; the trainer knows none
by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from ..encoders import Encoder
from ..errors import ConfigError
from ..registry import Registry
from ..targets import Batch


@dataclass(frozen=True)
class NoSettings:
    """The configuration of a pretext that has nothing to set."""


class Pretext(nn.Module):
    """A label-free objective. Subclasses implement ``loss`` and register with ``@register_pretext("name")``.

    Config : frozen dataclass of its settings. needs : what a batch must hold beyond points: "targets" of a teacher,
    "views" (several of them, each with its camera), or nothing. Its own parameters (heads, predictors, decoders) are
    trained with the encoder and left behind; what must not be trained has ``requires_grad`` off (an EMA encoder).
    """

    name: ClassVar[str]
    Config: ClassVar[type] = NoSettings
    needs: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, config: Any, encoder: Encoder, data):
        """encoder : for its sizes, or to copy. data : the store it will be trained on, for its sizes and means."""
        super().__init__()
        self.config = config

    @classmethod
    def prepare(cls, config: Any, data, seed: int):
        """The data that batches are drawn from: ``data`` itself, unless the pretext exchanges its targets."""
        return data

    def loss(self, encoder: Encoder, batch: Batch) -> dict[str, torch.Tensor]:
        """Scalars by name; "loss" is minimised, the others are logged. Every trainable parameter takes part in each
        step; means over a batch are taken over ``distributed.all_rows``, so that several processes compute one loss."""
        raise NotImplementedError

    def after_step(self, encoder: Encoder, step: int, steps: int) -> None:
        """Called after each optimiser step, ``step`` counting from 0 to ``steps`` - 1: EMA, queues, schedules."""


_PRETEXTS = Registry("pretext")
register_pretext = _PRETEXTS.register
pretext_names = _PRETEXTS.names
pretext_config = _PRETEXTS.config  # (name, **settings) -> its Config; ConfigError on an unknown name or setting


def pretext_needs(name: str) -> frozenset[str]:
    """What a pretext needs beside points (``Pretext.needs``). Raises ConfigError on an unknown name."""
    return _PRETEXTS[name].needs


def build_pretext(name: str, encoder: Encoder, data, seed: int = 0, **settings) -> tuple[Pretext, Any]:
    """A pretext with fresh weights drawn from ``seed``, and the data its batches are drawn from.

    Raises ConfigError on an unknown name or setting, and when the data lack what the pretext needs.
    """
    cls, config = _PRETEXTS[name], pretext_config(name, **settings)
    check_needs(cls, data)
    data = cls.prepare(config, data, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(config, encoder, data), data


def check_needs(cls: type[Pretext], data) -> None:
    """Raise ConfigError when ``data`` (a TargetStore) has no targets, or too few views, for the pretext."""
    if "targets" in cls.needs and not data.views:
        raise ConfigError(
            f"pretext {cls.name!r} needs the targets of a teacher, this store holds none",
            data,
            "build_targets(dataset, teacher, ...) with a teacher",
        )
    if "views" in cls.needs and data.views < 2:
        raise ConfigError(
            f"pretext {cls.name!r} needs several views, this store holds {data.views}",
            data,
            "build_targets(..., cameras=2) or more",
        )
