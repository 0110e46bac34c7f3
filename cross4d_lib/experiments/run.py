"""Run a spec once, and write what came of it: one JSON file a run."""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..encoders import Encoder
from ..errors import ConfigError, DataError
from ..files import cache_folder, expanded, file_digest, write_text, write_whole
from ..machine import default_device, device_name, provenance
from ..precision import precision_of
from ..teachers import label_of
from ..training import Training, pretrain
from .build import clips_of, fresh_encoder, targets_of, task_clips
from .row import Row, read_row
from .spec import PretrainingSpec, RunSpec
from .tasks import TASKS

RESULTS = expanded(os.environ.get("CROSS4D_RESULTS") or Path(__file__).resolve().parents[2] / "results")
_ROWS: dict[Path, tuple[tuple[int, int], Row]] = {}  # rows that were read, with size and time of their files

_INDEX: dict[Path, tuple[int, dict[str, list[Path]]]] = {}  # keys without code of a folder's rows, with its time


def rows_folder(profile: str) -> Path:
    """Where the rows of a profile lie."""
    return RESULTS / profile / "runs"


def row_path(spec: RunSpec) -> Path:
    """Where the row of a spec lies: the one by the code as it is now, else the newest by older code; where it will lie
    when there is none."""
    path = _own_path(spec)
    older = () if path.is_file() else _older(path.parent).get(spec.without_code_key, ())
    return max(older, key=lambda path: _row(path).date, default=path)


def _own_path(spec: RunSpec) -> Path:
    return rows_folder(spec.profile) / f"{spec.key}.json"


def load_row(spec: RunSpec) -> Row | None:
    """The run's row by the code as it is now, else the newest one by older code (``row.is_current`` is False), else
    None. Raises DataError on a damaged one."""
    path = row_path(spec)
    return _row(path) if path.is_file() else None


def load_rows(profile: str) -> list[Row]:
    """All rows of a profile, by key. Raises DataError on a damaged one."""
    return [_row(path) for path in sorted(rows_folder(profile).glob("*.json"))]


def _older(folder: Path) -> dict[str, list[Path]]:
    """The rows of a folder by their keys without code; listed again only when files have come or gone."""
    if not folder.is_dir():
        return {}
    changed = folder.stat().st_mtime_ns
    if _INDEX.get(folder, (None,))[0] != changed:
        found: dict[str, list[Path]] = {}
        for path in sorted(folder.glob("*.json")):
            found.setdefault(_row(path).without_code_key, []).append(path)
        _INDEX[folder] = changed, found
    return _INDEX[folder][1]


def _row(path: Path) -> Row:
    """A row, read again only when its file has changed."""
    state = path.stat()
    state = state.st_size, state.st_mtime_ns
    if _ROWS.get(path, (None,))[0] != state:
        _ROWS[path] = state, read_row(path)
    return _ROWS[path][1]


def pretrained_encoder(spec: PretrainingSpec, device=None, progress: bool = True) -> tuple[Encoder, dict]:
    """The spec's encoder, trained now or loaded from the cache, with what was measured on the way.

    The measures: seconds of building targets and of training, clips a second, precision, losses of the first and last
    epoch and the whole curve, coverage, bytes of the store. They are kept beside the weights, so a loaded encoder
    reports the run that trained it. An encoder without a pretext is as it was drawn, and has no measures.
    """
    device, spec = torch.device(device or default_device()), spec.encoder_part
    encoder = fresh_encoder(spec).to(device)
    if spec.pretext is None:
        return encoder.eval(), {}
    weights = cache_folder() / "encoders" / f"{spec.key}.safetensors"
    if (measures := _kept_measures(weights)) is not None:
        encoder.load_state_dict(load_file(weights))
        return encoder.eval(), measures
    started = time.perf_counter()
    targets = targets_of(spec, encoder, clips_of(spec.data), device, progress)
    built = time.perf_counter() - started
    checkpoint = cache_folder() / "checkpoints" / f"{spec.key}.pt"
    log = pretrain(
        encoder,
        targets,
        spec.pretext.name,
        spec.training.epochs,
        spec.seed,
        training=Training(batch=spec.training.batch),
        checkpoint=checkpoint,
        **spec.pretext.settings,
    )
    measures = {
        "teacher_revision": targets.spec["teacher"] or "",
        "precision": log.precision,
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
    state = {name: tensor.cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    with _writing(weights):
        write_whole(weights, lambda draft: save_file(state, draft))
        notes = {"measures": measures, "digest": _notes_digest(weights, measures)}
        write_text(weights.with_suffix(".json"), json.dumps(notes, indent=1) + "\n")
    checkpoint.unlink(missing_ok=True)
    return encoder.eval(), measures


def _notes_digest(weights: Path, measures: dict) -> str:
    """Of weights and measures together: neither is taken when one of them is not what was written."""
    return hashlib.sha256(json.dumps([file_digest(weights), measures]).encode()).hexdigest()[:16]


def _kept_measures(weights: Path) -> dict | None:
    """The measures kept beside cached weights; None when there are none, or they or the weights are damaged."""
    try:
        notes = json.loads(weights.with_suffix(".json").read_text())
        return notes["measures"] if notes["digest"] == _notes_digest(weights, notes["measures"]) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def run(spec: RunSpec, device=None, progress: bool = True, again: bool = False) -> Row:
    """Run a spec unless its row by the code as it is now is there; returns the row. again : run it even so.

    Raises ConfigError, before anything is computed, where no row can be written.
    """
    row = load_row(spec)
    if row is not None and row.is_current and not again:
        return row
    path, started = _own_path(spec), time.perf_counter()
    _check_writable(path.parent)
    device = torch.device(device or default_device())
    train, test = task_clips(spec)
    encoder, measures = pretrained_encoder(spec, device, progress) if spec.encoder else (None, {})
    checkpoint = cache_folder() / "checkpoints" / f"{spec.key}-{spec.task.name}.pt"
    outcome = TASKS[spec.task.name](spec, encoder, train, test, checkpoint)
    checkpoint.unlink(missing_ok=True)
    fingerprints = {"train": train.fingerprint(), "test": test.fingerprint()}
    counts = {"train": train.counts(), "test": test.counts()}
    row = Row(
        key=spec.key,
        spec=spec,
        contents=spec.contents,
        code=spec.code,
        profile=spec.profile,
        dataset=spec.dataset,
        target=spec.measured_on,
        task=spec.task.name,
        stand_in=train.source.stand_in,
        teacher=spec.teacher,
        teacher_label=label_of(spec.teacher),
        teacher_revision=measures.pop("teacher_revision", ""),
        seed=spec.seed,
        metrics=outcome.metrics,
        chance=outcome.chance,
        precision=measures.pop("precision", precision_of(device)),
        measures={**measures, **outcome.notes},
        clips_trained=len(train),
        clips_evaluated=len(test),
        found=train.found(),
        padded={split: {k: v for k, v in of.items() if k != "clips"} for split, of in counts.items()},
        **provenance(),
        config_hash=spec.key,
        data_hash=fingerprints,
        device=device_name(device),
        seconds=time.perf_counter() - started,
    )
    with _writing(path):
        write_text(path, row.to_json())
    return _row(path)


@contextmanager
def _writing(path: Path):
    """Raises DataError where a file cannot be written: a full disk, most often."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot be written ({error})", path, "free space and run again: it continues") from error


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise ConfigError("no row can be written here", folder, "set CROSS4D_RESULTS to a folder that can be written")
