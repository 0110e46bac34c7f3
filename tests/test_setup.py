"""Claims proved here: the set-up says everything once, names everything that is imported, and fits any machine."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PIN = re.compile(r"^([\w-]+)==(\d[\w.]*)$")
MACHINE_PATH = re.compile(r"/(?<![\w.~$})-]/)(home|root|work|tmp|Users)/")


def lines_of(name):
    """The lines of a file at the root that say something."""
    return [line for line in (ROOT / name).read_text().splitlines() if line.strip() and not line.startswith("#")]


def normal(package):
    return re.sub(r"[-_.]+", "-", package).lower()


def pins(name):
    return {normal(PIN.match(line)[1]) for line in lines_of(name)}


def imports_of(folder):
    """Top-level modules that the Python files of a folder import, the standard library's and our own left out."""
    files, found = list((ROOT / folder).rglob("*.py")), set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"cross4d_lib", *(path.stem for path in files)}


def tracked_files():
    """Files that git tracks or would (a new one counts); without git, all outside of hidden and built folders."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not any(part.startswith(".") or part == "build" for part in path.relative_to(ROOT).parts)
    ]


def make(*words, **environment):
    """Run make; CompletedProcess. No job server or flags of a make that runs this test reach it."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ENV", "VENV")
    }
    return subprocess.run(["make", *words], cwd=ROOT, env={**clean, **environment}, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-test.txt"])
def test_every_direct_dependency_has_an_exact_version(name):
    assert lines_of(name) and all(PIN.match(line) for line in lines_of(name))


def test_versions_are_written_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "dependencies" not in project["project"] and "dependencies" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["dependencies"] == {"file": "requirements.txt"}
    conda = lines_of("environment.yml")
    assert "name: cross4d" in conda and "  - python=3.11" in conda
    assert conda[conda.index("  - pip:") + 1 :] == [
        "      - -r requirements.txt",
        "      - -r requirements-test.txt",
        "      - -e .",
    ]
    packages = pins("requirements.txt") | pins("requirements-test.txt")
    for name in ("pyproject.toml", "environment.yml", "Makefile"):
        retyped = [
            word for word in re.findall(r"([\w-]+)==[\d]", (ROOT / name).read_text()) if normal(word) in packages
        ]
        assert not retyped, f"{name} retypes the versions of {retyped}"


@pytest.mark.parametrize(
    "folder, files",
    [
        ("cross4d_lib", ["requirements.txt"]),
        ("tests", ["requirements.txt", "requirements-test.txt"]),
        ("benchmarks", ["requirements.txt", "requirements-test.txt"]),
    ],
)
def test_what_is_imported_is_pinned(folder, files):
    distributions = packages_distributions()
    pinned = set().union(*map(pins, files))
    for module in imports_of(folder):
        assert module in distributions, f"{folder} imports {module}, which is not installed"
        assert pinned & set(map(normal, distributions[module])), (
            f"{folder} imports {module}, which {' and '.join(files)} do not name"
        )


def test_torch_is_installed_first_and_alone():
    installs = [
        line
        for line in make("-n", "setup", f"VENV={ROOT / 'build' / 'no-such-venv'}").stdout.splitlines()
        if "pip install" in line
    ]
    assert (
        re.search(r"torch==\S+$", installs[0])
        and "-r requirements.txt" in installs[1]
        and installs[-1].endswith("-e .")
    )


def test_a_finished_setup_is_not_repeated_until_the_pins_change(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    stamp = tmp_path / ".cross4d-installed"
    stamp.touch()
    assert make("--question", "setup", f"VENV={tmp_path}").returncode == 0
    os.utime(stamp, (0, 0))  # older than the pins
    assert make("--question", "setup", f"VENV={tmp_path}").returncode == 1


def test_make_says_what_to_do_without_a_python():
    refused = make("-n", "setup", "PYTHON=", f"VENV={ROOT / 'build' / 'no-such-venv'}")
    assert refused.returncode == 2 and "make PYTHON=" in refused.stderr


def test_conda_needs_an_active_environment():
    refused = make("-n", "setup", "ENV=conda", CONDA_PREFIX="")
    assert refused.returncode == 2 and "no conda environment is active" in refused.stderr
    assert "/somewhere/bin/python -m pip" in make("-n", "setup", "ENV=conda", CONDA_PREFIX="/somewhere").stdout


def test_the_readmes_commands_are_targets():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = re.findall(
        r"^\s*(?:\$ )?make(?: ([a-z]+))?\b",
        "\n".join(re.findall(r"```\w*\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)),
        re.MULTILINE,
    )
    assert {"", "test"} <= set(commands) <= targets | {""}


def test_continuous_integration_runs_the_readmes_command():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK) and "make test" in script.read_text().splitlines()


@pytest.mark.parametrize("target", ["check", "test"])
def test_lint_comes_before_the_tests(target, tmp_path):
    (tmp_path / "bin").mkdir()
    for name in ("bin/python", ".cross4d-installed"):
        (tmp_path / name).touch()
    plan = make("-n", target, f"VENV={tmp_path}").stdout
    steps = [plan.index(step) for step in ("-m ruff format --check", "-m ruff check", "-m mypy", "-m pytest")]
    assert steps == sorted(steps) and ('-m "not slow"' in plan) == (target == "check")


def test_licence():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0" in text and "The Cross4D companion authors" in text
    assert len(text.splitlines()) > 190  # the whole of it


def test_no_path_of_one_machine_is_written_anywhere():
    named = {}
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # pictures, weights
        if MACHINE_PATH.search(text):
            named[str(path.relative_to(ROOT))] = MACHINE_PATH.search(text)[0]
    assert not named


def test_the_pattern_of_machine_paths_finds_them():
    for folder in ("home", "root", "tmp"):
        assert MACHINE_PATH.search(f'"/{folder}/x') and MACHINE_PATH.search(f"in /{folder}/x")
    for text in ("https://example.org/home/x", "~/data/x", "results/tmp/x"):
        assert not MACHINE_PATH.search(text)
