"""Run what a profile still lacks, one after another or over processes. An interrupted queue goes on where it
stopped."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing.connection import wait

import torch

from ..errors import ConfigError, Cross4DError
from .artifacts import ARTIFACTS, runs_for
from .profiles import load_profile
from .row import Row
from .run import load_row, run
from .spec import RunSpec


def run_queue(profile: str, only: list[str] | None = None, jobs: int = 1, renew: bool = False) -> int:
    """Run every missing run of some artifacts of a profile. Returns the number of runs that failed; prints a line each.

    A run that fails, for whatever reason, is named and does not stop the others.

    only : artifact names such as "table01"; None takes all that are ready. jobs : processes; the cores are shared out
    among them. renew : run again what has a row by older code only. Raises ConfigError on an artifact that does not
    exist or is not built yet.
    """
    for name in only or ():
        if name not in ARTIFACTS or not ARTIFACTS[name].ready:
            raise ConfigError(
                f"no artifact {name!r} to run",
                "run_queue",
                f"one of {', '.join(n for n, a in ARTIFACTS.items() if a.ready)}",
            )
    specs = runs_for(load_profile(profile), only)
    rows = {spec: load_row(spec) for spec in specs}
    older = [spec for spec, row in rows.items() if row is not None and not row.is_current]
    missing = [spec for spec, row in rows.items() if row is None or renew and spec in older]
    of_older = f" ({len(older)} by older code)" if older and not renew else ""
    print(f"{profile}: {len(specs)} runs, {len(specs) - len(missing)} there{of_older}, {len(missing)} to do")
    failed = 0
    if jobs <= 1:
        for spec in missing:
            failed += not _report(spec, *_attempt(spec, None))
        return failed
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(_attempt_all, group, threads): group for group in sharing(missing)}
        for future in as_completed(futures):
            group = futures[future]
            try:
                outcomes = future.result()
            except BrokenProcessPool as error:  # a process was killed, most often for memory
                outcomes = [(None, f"{error} Run the queue again with fewer jobs", 0.0)] * len(group)
            failed += sum(not _report(spec, *outcome) for spec, outcome in zip(group, outcomes))
    return failed


def sharing(specs: list[RunSpec]) -> list[list[RunSpec]]:
    """The specs in groups that share a pretrained encoder, in order: one process trains it, once, and the others of its
    group load it."""
    groups: dict[str, list[RunSpec]] = {}
    for spec in specs:
        groups.setdefault(spec.encoder_key if spec.pretext else spec.key, []).append(spec)
    return list(groups.values())


@cache
def end_with_parent() -> None:
    """A worker whose queue was killed ends too, in the middle of its run: the next queue resumes it."""
    if parent := multiprocessing.parent_process():
        watch = lambda: (wait([parent.sentinel]), os._exit(1))
        threading.Thread(target=watch, daemon=True).start()


def _attempt_all(specs: list[RunSpec], threads: int) -> list[tuple[Row | None, str, float]]:
    end_with_parent()
    return [_attempt(spec, threads) for spec in specs]


def _attempt(spec: RunSpec, threads: int | None) -> tuple[Row | None, str, float]:
    if threads:
        torch.set_num_threads(threads)
    started = time.perf_counter()
    try:
        return run(spec, progress=threads is None), "", time.perf_counter() - started
    except Cross4DError as error:
        return None, str(error), time.perf_counter() - started
    except Exception:  # a bug, or memory: say where
        return None, traceback.format_exc(), time.perf_counter() - started


def _report(spec: RunSpec, row: Row | None, error: str, seconds: float) -> bool:
    if row is None:
        print(f"FAILED  {spec}: {error}", flush=True)
        return False
    found = "  ".join(f"{setting} {metric.value:.3f}" for setting, metric in row.metrics.items())
    print(f"done    {spec.key}  {spec}: {found}  ({seconds:.0f} s)", flush=True)
    return True
