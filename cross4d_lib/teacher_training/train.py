"""One loop for our teachers: schedules that are sane by steps and by the clock, an EMA that never stands still, exact
resume.

What is learned is injected as an objective: ``trained`` (a module), ``followed`` (the part of it that the EMA follows),
``slow`` (the EMA), ``model`` (what is kept of it) and ``losses(done, generator, precision) -> (losses, notes)``.

By steps, a training that was stopped and resumed equals one that was not, bit for bit on a CPU with one thread count (a
GPU adds up in no fixed order). By the clock it goes on where it stood; how many steps fit into the minutes is the
machine's affair.
"""

from __future__ import annotations

import json
import math
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from ..allocator import keep_freed_memory
from ..errors import ConfigError
from ..teachers.dinov2 import fast_dtype
from .recipe import Schedule

ROWS = 200  # of the log, about, however long the training
SAVE_EVERY = 120.0  # seconds of training between two checkpoints


def learning_rate(done: float, schedule: Schedule) -> float:
    """Linear up to the peak over the first ``warmup`` of the training, then a half cosine to 0. done : share that is
    over, 0 to 1."""
    if done < schedule.warmup:
        return schedule.rate * (done + 1e-3) / (schedule.warmup + 1e-3)
    return (
        schedule.rate
        * 0.5
        * (1 + math.cos(math.pi * min(1.0, (done - schedule.warmup) / max(1e-9, 1 - schedule.warmup))))
    )


def ema_momentum(step: int, schedule: Schedule) -> float:
    """How much of itself the EMA keeps in a step: 1 - 1 / memory, the memory a share of the steps made so far, within
    its bounds.

    It depends on the steps alone, so a clock cannot push it to 1. (It once rose to 1 with ``done``, and the saved model
    stayed behind the trained one.)
    """
    return 1 - 1 / min(
        max(schedule.memory * step, schedule.memory_least), max(schedule.memory_most, schedule.memory_least)
    )


def spread(features: torch.Tensor) -> float:
    """Deviation over rows of layer-normed features (n, D), averaged over dimensions: 0 where all rows are one
    (collapse), at most 1."""
    return F.layer_norm(features.float(), features.shape[-1:]).std(0).mean().item()


def train(
    objective,
    schedule: Schedule,
    seed: int,
    run: dict,
    device: torch.device,
    minutes: float | None = None,
    probe: Callable | None = None,
    probes: int = 10,
    checkpoint: Path | None = None,
    pause: float | None = None,
    keep: Callable[[list], None] | None = None,
) -> tuple[list[dict], bool]:
    """Train the objective in place. Returns the log and whether the training is over.

    The log has about ROWS dicts: step, minutes, renders, losses, rate, momentum, notes. minutes : of training; the
    schedule then follows the clock instead of the steps. probe(model) : its dict joins the log, ``probes`` times and at
    the end. checkpoint : a file that is resumed from when it is there, written every few minutes, and when the training
    pauses or is interrupted. pause : stop after so many minutes of THIS call. keep(log) : called after each probe, to
    leave a usable model. run : what else must be the same when a checkpoint is resumed, JSON-ready. Raises ConfigError
    when the checkpoint is damaged or of another run.
    """
    keep_freed_memory()
    parameters = [p for p in objective.trained.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": schedule.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=schedule.rate,
    )
    generator = torch.Generator(device).manual_seed(seed)
    step, seconds, renders, log = 0, 0.0, 0, []
    run = json.loads(json.dumps({**run, "minutes": minutes}))
    if checkpoint and checkpoint.exists():
        step, seconds, renders, log = resume(checkpoint, objective, optimiser, generator, run)
    precision = torch.autocast(device.type, torch.bfloat16, enabled=fast_dtype(device) == torch.bfloat16)
    share = lambda: seconds / 60 / minutes if minutes else step / schedule.steps
    save = lambda: (
        checkpoint and write_checkpoint(checkpoint, objective, optimiser, generator, run, step, seconds, renders, log)
    )
    saved, began, row = seconds, time.perf_counter(), dict(log[-1]) if log else {}
    objective.trained.train()
    objective.slow.train()  # its heads' batch norm reads the batch, as the student's does
    bar = tqdm(total=100, initial=int(100 * share()), desc="teacher", unit="%", mininterval=10, disable=None)
    try:
        while (done := share()) < 1:
            if pause and time.perf_counter() - began > 60 * pause:
                break
            started = time.perf_counter()
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(done, schedule)
            losses, notes = objective.losses(done, generator, precision)
            optimiser.zero_grad(set_to_none=True)
            sum(losses.values()).backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            momentum = ema_momentum(step, schedule)
            follow(objective.slow, objective.followed, momentum)
            values = {name: value.item() for name, value in losses.items()}
            if not math.isfinite(sum(values.values())):
                raise ConfigError(
                    f"the loss is not finite at step {step}",
                    "train-teacher",
                    "lower schedule.rate; the last checkpoint is from before",
                )
            seconds += time.perf_counter() - started
            renders += notes.pop("renders")
            row = {
                "step": step,
                "minutes": seconds / 60,
                "renders": renders,
                **values,
                **notes,
                "rate": optimiser.param_groups[0]["lr"],
                "momentum": momentum,
            }
            step += 1
            probing = probe and share() < 1 and (step == 1 or crossed(done, share(), probes))
            if probing or not log or crossed(done, share(), ROWS):
                log.append(row | (measured(probe, objective) if probing else {}))
                bar.update(int(100 * share()) - bar.n)
                bar.set_postfix({name: f"{value:.2f}" for name, value in values.items()})
            if probing and keep:
                keep(log)
            if seconds - saved > SAVE_EVERY:
                save()
                saved = seconds
    except KeyboardInterrupt:
        save()
        raise
    finally:
        bar.close()
    over = share() >= 1
    if over and step and "final" not in log[-1]:
        log.append(row | (measured(probe, objective) if probe else {}) | {"final": True})
    save()
    objective.model.eval()
    return log, over


def crossed(before: float, after: float, parts: int) -> bool:
    """Does the training pass one of ``parts`` equally spaced marks between two shares?"""
    return int(before * parts) != int(after * parts)


def measured(probe: Callable, objective) -> dict:
    """The probe's dict for the EMA, in evaluation mode."""
    objective.model.eval()
    scores = probe(objective.model)
    objective.slow.train()
    return scores


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, momentum: float) -> None:
    """slow <- momentum slow + (1 - momentum) fast, parameter by parameter."""
    torch._foreach_lerp_(list(slow.parameters()), [p.detach() for p in fast.parameters()], 1 - momentum)


def write_checkpoint(
    path: Path, objective, optimiser, generator, run: dict, step: int, seconds: float, renders: int, log: list
) -> None:
    """Write the checkpoint whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft-{os.getpid()}")
    state = {
        "run": run,
        "step": step,
        "seconds": seconds,
        "renders": renders,
        "log": log,
        "trained": objective.trained.state_dict(),
        "slow": objective.slow.state_dict(),
        "optimiser": optimiser.state_dict(),
        "generator": generator.get_state(),
    }
    torch.save(state, draft)
    draft.replace(path)


def resume(path: Path, objective, optimiser, generator, run: dict) -> tuple[int, float, int, list]:
    """Take up a checkpoint: (step, seconds, renders, log). Raises ConfigError on a damaged one, or one of another
    run."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip():  # torch.load does not look at the checksums it has written
                raise ValueError("a checksum differs")
        state = torch.load(path, map_location="cpu", weights_only=True)
        other = [name for name in {**state["run"], **run} if state["run"].get(name) != run.get(name)]
    except Exception as error:
        raise ConfigError(f"a damaged checkpoint ({type(error).__name__})", path, "delete it to start again") from error
    if other:
        raise ConfigError(
            f"a checkpoint of a training with other settings ({', '.join(other)})",
            path,
            "delete it, or train into another folder",
        )
    objective.trained.load_state_dict(state["trained"])
    objective.slow.load_state_dict(state["slow"])
    optimiser.load_state_dict(state["optimiser"])
    generator.set_state(state["generator"])
    return state["step"], state["seconds"], state["renders"], state["log"]
