"""What this machine is, and which library runs on it: the part of a result's provenance that is the same for all."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGES = ("torch", "numpy", "transformers", "scikit-learn", "zarr")


def default_device() -> torch.device:
    """CUDA when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """The device in words: the GPU's name, or the CPU's cores and threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} of {os.cpu_count()} cores"


def provenance() -> dict:
    """Commit, whether the library differs from it, package versions and date."""
    commit, dirty = git_state()
    return {
        "commit": commit,
        "dirty": dirty,
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


@lru_cache
def git_state() -> tuple[str, bool | None]:
    """(commit, dirty) of the library's checkout; ("", None) outside of one. Only the library counts as dirty, not
    results."""
    here = Path(__file__).resolve().parents[1]
    git = lambda *words: subprocess.run(
        ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        return git("rev-parse", "HEAD")[:12], bool(git("status", "--porcelain", "--", "cross4d_lib"))
    except (OSError, subprocess.CalledProcessError):
        return "", None
