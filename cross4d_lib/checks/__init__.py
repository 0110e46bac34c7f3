"""Feedback on the exercises: ``check("02.disc", my_answer)`` says right, not yet (and why), or not answered.

Every notebook's checks stand in a file of its own, ``nb02.py`` and so on; each is a function that raises AssertionError
with a sentence of help, or returns nothing. Our own answers are in ``solutions/``, and a test holds them to the same
checks.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from ..errors import ConfigError

_CHECKS: dict[str, Callable[[object], None]] = {}


def exercise(name: str):
    """Register a check under ``notebook.exercise``, e.g. "02.disc"."""

    def register(verify: Callable[[object], None]):
        _CHECKS[name] = verify
        return verify

    return register


def whole(answer: object, what: str) -> None:
    """The answer must be a whole number of something."""
    assert isinstance(answer, int), f"Give a whole number of {what}."


def close(case: str, given, wanted: float, hint: str = "", tolerance: float = 1e-6) -> None:
    """A number must be the wanted one. case : what it is the answer to, as the start of a sentence."""
    given = float(given)
    assert abs(given - wanted) <= tolerance, f"{case} it is {wanted:.4g}, yours is {given:.4g}. {hint}".rstrip()


def avoid(given, wrong: float, wanted: float, hint: str, tolerance: float = 1e-6) -> None:
    """A number must not be that of a common mistake, unless the mistake gives the wanted one too."""
    assert abs(float(given) - wrong) > tolerance or abs(wrong - wanted) <= tolerance, hint


def shaped(given, wanted: tuple[int, ...]) -> None:
    """An array or tensor must have the wanted shape."""
    assert tuple(given.shape) == tuple(wanted), f"The shape is {tuple(wanted)}, yours is {tuple(given.shape)}."


def names(notebook: str) -> list[str]:
    """Names of a notebook's exercises, e.g. ``names("02")``."""
    import_module(f".nb{notebook}", __name__)
    return [name for name in _CHECKS if name.startswith(f"{notebook}.")]


def check(name: str, answer: object) -> bool:
    """Print feedback on an answer; True when it is right. None or ... means not answered.

    Raises ConfigError on an exercise that does not exist.
    """
    if name not in names(name.split(".")[0]):
        raise ConfigError(f"no exercise {name!r}", "check", f"one of {', '.join(names(name.split('.')[0]))}")
    if answer is None or answer is ...:
        print(f"exercise {name}: not answered yet")
        return False
    try:
        _CHECKS[name](answer)
    except AssertionError as hint:
        print(f"exercise {name}: not yet. {hint}")
        return False
    except Exception as error:  # an answer may fail in any way; the reader wants to know how
        print(f"exercise {name}: your answer stops with {type(error).__name__}: {error}")
        return False
    print(f"exercise {name}: right")
    return True
