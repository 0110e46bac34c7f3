"""Run a spec once, and write what came of it: one JSON file a run."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from ..datasets.base import file_digest
from ..encoders import Encoder
from ..errors import DataError
from ..files import cache_folder
from ..teachers import mark_of
from ..training import pretrain
from .build import clips_of, fresh_encoder, targets_of, task_clips
from .old_spec import RunSpec
from .tasks import TASKS

RESULTS = Path(os.environ.get("CROSS4D_RESULTS") or Path(__file__).resolve().parents[2] / "results")
PACKAGES = ("torch", "numpy", "transformers", "scikit-learn", "zarr")


def rows_folder(profile: str) -> Path:
    """Where the rows of a profile lie."""
    return RESULTS / profile / "runs"


def row_path(spec: RunSpec) -> Path:
    return rows_folder(spec.profile) / f"{spec.key}.json"


def load_row(spec: RunSpec) -> dict | None:
    """The run's row if it has been run, else None. Raises DataError on a damaged one."""
    path = row_path(spec)
    return _read_row(path) if path.is_file() else None


def load_rows(profile: str) -> list[dict]:
    """All rows of a profile, by key. Raises DataError on a damaged one."""
    return [_read_row(path) for path in sorted(rows_folder(profile).glob("*.json"))]


def _read_row(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise DataError(f"a damaged row ({error})", path, "restore it from git, or delete it and run again") from error


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all: ``write`` is given a draft beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft-{os.getpid()}")
    write(draft)
    draft.replace(path)


def default_device() -> torch.device:
    """CUDA when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pretrained_encoder(spec: RunSpec, device=None, progress: bool = True) -> tuple[Encoder, dict]:
    """The spec's encoder, trained now or loaded from the cache, with what was measured on the way.

    The measures: seconds of building targets and of training, clips a second, losses of the first and last epoch and
    the whole curve, coverage, bytes of the store. They are kept beside the weights, so a loaded encoder reports the run
    that made it.
    """
    device, spec = torch.device(device or default_device()), spec.pretraining
    encoder = fresh_encoder(spec).to(device)
    if spec.pretext in ("none", "random"):
        return encoder.eval(), {}
    weights = cache_folder() / "encoders" / f"{spec.key}.safetensors"
    notes = weights.with_suffix(".json")
    if (measures := _measures_of(weights, notes)) is not None:
        encoder.load_state_dict(load_file(weights))
        return encoder.eval(), measures
    started = time.perf_counter()
    targets = targets_of(spec, encoder, clips_of(spec), device, progress)
    built = time.perf_counter() - started
    checkpoint = cache_folder() / "checkpoints" / f"{spec.key}.pt"
    log = pretrain(
        encoder,
        targets,
        spec.pretext,
        spec.epochs,
        spec.seed,
        variance_weight=spec.variance_weight,
        centre=spec.centre,
        summary=spec.summary or "class",
        control=spec.control,
        augmented=spec.augmented,
        checkpoint=checkpoint,
        batch=spec.batch,
    )
    measures = {
        "teacher_revision": targets.spec["teacher"],
        "targets_seconds": built,
        "training_seconds": log.seconds,
        "training_clips_per_second": log.clips_per_second,
        "first_epoch": log.epochs[0],
        "last_epoch": log.epochs[-1],
        "curve": {name: [round(epoch[name], 4) for epoch in log.epochs] for name in log.epochs[0] if name != "epoch"},
        "coverage": targets.coverage,
        "store_bytes": targets.measured_bytes(),
        "store_clips": len(targets),
    }
    _write_whole(
        weights,
        lambda draft: save_file(
            {name: tensor.cpu().contiguous() for name, tensor in encoder.state_dict().items()}, draft
        ),
    )
    _write_whole(
        notes, lambda draft: draft.write_text(json.dumps({**measures, "weights_digest": file_digest(weights)}))
    )
    checkpoint.unlink(missing_ok=True)
    return encoder.eval(), measures


def _measures_of(weights: Path, notes: Path) -> dict | None:
    """The measures kept beside cached weights, or None when there are no weights, or not those that were written."""
    try:
        measures, digest = json.loads(notes.read_text()), file_digest(weights)
    except (OSError, ValueError):
        return None
    return measures if measures.pop("weights_digest", digest) == digest else None


def run(spec: RunSpec, device=None, progress: bool = True, again: bool = False) -> dict:
    """Run a spec unless its row is there; returns the row. again : run it even so."""
    row = load_row(spec)
    if row is not None and not again:
        return row
    started = time.perf_counter()
    device = torch.device(device or default_device())
    train, test = task_clips(spec)
    encoder, measures = pretrained_encoder(spec, device, progress)
    checkpoint = cache_folder() / "checkpoints" / f"{spec.key}-{spec.task}.pt"
    outcome = TASKS[spec.task](spec, encoder, train, test, checkpoint)
    checkpoint.unlink(missing_ok=True)
    row = {
        "key": spec.key,
        "spec": spec.canonical(),
        "profile": spec.profile,
        "dataset": spec.dataset,
        "target": spec.measured_on,
        "task": spec.task,
        "stand_in": train.source.stand_in,
        "teacher": spec.teacher,
        "teacher_mark": mark_of(spec.teacher),
        "teacher_revision": measures.pop("teacher_revision", ""),
        "seed": spec.seed,
        "metrics": outcome.metrics,
        "chance": outcome.chance,
        "measures": {**measures, **outcome.notes},
        "clips_trained": len(train),
        "clips_evaluated": len(test),
        "found": train.found(),
        "padded": {
            split: {k: v for k, v in ds.counts().items() if k != "clips"}
            for split, ds in zip(("train", "test"), (train, test))
        },
        **provenance(),
        "config_hash": spec.key,
        "data_hash": {"train": train.fingerprint(), "test": test.fingerprint()},
        "device": device_name(device),
        "seconds": time.perf_counter() - started,
    }
    _write_whole(row_path(spec), lambda draft: draft.write_text(json.dumps(row, indent=1) + "\n"))
    return row


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
    here = Path(__file__).resolve().parents[2]
    git = lambda *words: subprocess.run(
        ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        return git("rev-parse", "HEAD")[:12], bool(git("status", "--porcelain", "--", "cross4d_lib"))
    except (OSError, subprocess.CalledProcessError):
        return "", None


def device_name(device: torch.device) -> str:
    """The device in words: the GPU's name, or the CPU's cores and threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} of {os.cpu_count()} cores"
