"""Claim: every exercise's check accepts our own answer and does not accept a blank or a wrong one."""

import importlib.util
from pathlib import Path

import pytest

from cross4d_lib.checks import check, names

SOLUTIONS = sorted((Path(__file__).parents[1] / "solutions").glob("nb*.py"))


def test_a_common_mistake_is_named(capsys):
    assert not check("00.cache_megabytes", lambda clips, tokens, dim: clips * tokens * dim / 1e6)
    assert "factor of two" in capsys.readouterr().out
    assert not check("02.disc", 30)
    assert not check("06.balanced", lambda predictions, labels: 0.25)
    assert "it is 0.5, yours is 0.25" in capsys.readouterr().out


def answers():
    for path in SOLUTIONS:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name in names(path.stem.removeprefix("nb")):
            yield name, module.ANSWERS[name]


@pytest.mark.parametrize("name, answer", list(answers()), ids=lambda value: value if isinstance(value, str) else "")
def test_our_answer_passes_and_others_do_not(name, answer, capsys):
    assert check(name, answer), capsys.readouterr().out
    assert not check(name, None)
    assert "not answered" in capsys.readouterr().out
    assert not check(name, object())
    assert name in capsys.readouterr().out
