"""The package's own names: rooms and what they offer are there right after ``import cross4d_lib``, and torch is not."""

import subprocess
import sys


def answers(program: str) -> str:
    """What a new process prints that starts with ``import cross4d_lib as c4d``."""
    program = f"import sys, cross4d_lib as c4d\n{program}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_every_room_is_an_attribute_right_after_import_and_listed():
    """``c4d.points`` and every other module, but where a function has its name; an unknown name is none."""
    program = """
from pkgutil import iter_modules
assert c4d.points.__name__ == "cross4d_lib.points"
rooms = {room.name for room in iter_modules(c4d.__path__)}
assert {"clips", "points", "decisions", "render", "datasets"} <= rooms <= set(dir(c4d)) >= set(c4d.__all__)
for room in ("clips", "correspondence", "datasets", "decisions", "errors", "files", "points"):
    assert getattr(c4d, room) is sys.modules[f"cross4d_lib.{room}"]
print(callable(c4d.render), hasattr(c4d, "nonsense"), hasattr(c4d, "_points"))
"""
    assert answers(program).split() == ["True", "False", "False"]


def test_importing_the_package_and_naming_a_dataset_need_no_torch():
    assert answers("c4d.dataset_names(); print('torch' in sys.modules)").strip() == "False"
