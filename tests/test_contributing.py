"""Claim: CONTRIBUTING.md's dataset, encoder and pretext work as they stand there, and its commands exist."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
AFTERWARDS = """
import json
from cross4d_lib.errors import ConfigError
try:
    c4d.pretrain(encoder, store, "toy-masked", shown=1)
except ConfigError as error:
    refusal = str(error)
print(json.dumps({"loss": [row["loss"] for row in log.epochs], "shape": features.shape, "refusal": refusal}))
"""


@pytest.mark.slow
def test_the_additions_of_the_page_train():
    """In a process of its own: what is registered there is not here afterwards."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    program = "".join(blocks) + AFTERWARDS
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    shown = json.loads(ended.stdout.splitlines()[-1])
    assert shown["shape"] == [1, 36, 16] and len(shown["loss"]) == 3 and all(0 < loss < 10 for loss in shown["loss"])
    assert "no setting 'shown'" in shown["refusal"]


def test_the_commands_of_the_page_are_targets():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", PAGE)) <= targets
