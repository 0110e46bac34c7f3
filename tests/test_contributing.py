"""Claim: CONTRIBUTING.md's dataset, encoder and pretext work as they stand there, and its commands exist."""

import re
from pathlib import Path

import pytest
import torch

from cross4d_lib.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()


def test_the_additions_of_the_page_train():
    room = {"__name__": "contributing"}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        exec(compile(block, "CONTRIBUTING.md", "exec"), room)
    assert room["features"].shape == (1, 36, 16)
    losses = [row["loss"] for row in room["log"].epochs]
    assert len(losses) == 3 and torch.isfinite(torch.tensor(losses)).all()
    with pytest.raises(ConfigError, match="no setting 'shown'"):
        room["c4d"].pretrain(room["encoder"], room["store"], "toy-masked", shown=1)


def test_the_commands_of_the_page_are_targets():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", PAGE)) <= targets
