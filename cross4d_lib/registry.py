"""Parts of the method by name: a class, its frozen configuration, and one clear refusal for what does not exist.

Encoders and pretexts are registered where they are defined, so adding one touches no other file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from .errors import ConfigError


class Registry:
    """Classes by name. kind : the word errors use ("encoder", "pretext"). Every class has ``Config``, a frozen
    dataclass of its settings."""

    def __init__(self, kind: str):
        self.kind = kind
        self._classes: dict[str, Any] = {}

    def register(self, name: str) -> Callable[[Any], Any]:
        """A class decorator: the class is found under ``name`` and carries it as ``.name``. A second class of the same
        name replaces the first only when it is the same definition run again (a notebook cell)."""

        def add(cls: Any) -> Any:
            known = self._classes.get(name)
            if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise ConfigError(f"two {self.kind}s are called {name!r}", cls.__module__, "choose another name")
            cls.name = name
            self._classes[name] = cls
            return cls

        return add

    def names(self) -> tuple[str, ...]:
        return tuple(self._classes)

    def __getitem__(self, name: str) -> Any:
        if name not in self._classes:
            raise ConfigError(f"no {self.kind} is called {name!r}", self.kind, f"one of {', '.join(self._classes)}")
        return self._classes[name]

    def config(self, name: str, **settings):
        """The configuration of a name with some settings changed. Lists become tuples, as JSON gives them back. Raises
        ConfigError on an unknown name or setting."""
        known = {field.name for field in fields(self[name].Config)}
        if unknown := sorted(set(settings) - known):
            expected = f"one of {', '.join(sorted(known))}" if known else "it has no settings"
            raise ConfigError(f"{self.kind} {name!r} has no setting {unknown[0]!r}", self.kind, expected)
        return self[name].Config(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})
