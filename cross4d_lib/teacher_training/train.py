"""Train a teacher of our own: pool, recipe, training, and a folder that ``load_teacher`` opens. Run as ``cross4d
train-teacher``. The steps are those of ``training.train``; what is here is the EMA, the log and the files."""

from __future__ import annotations

import copy
import json
import os
import platform
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from ..datasets import ClipDataset, load_dataset
from ..errors import ConfigError
from ..files import file_digest, write_text, write_whole
from ..teachers import load_teacher
from ..teachers.frozen import IMAGENET_MEAN, IMAGENET_STD, checked_options
from ..teachers.provenance import IN_DOMAIN, in_domain_note
from ..training import Training, TrainingLog, train
from .contrasts import Contrasts, draw_views
from .pool import build_pool, pool_spec
from .recipe import Schedule, TeacherRecipe, named_recipe
from .views import Draws, FramePool

ROWS = 100  # of the log, at most
CHECKPOINT = "unfinished.pt"  # beside the weights, until the training is over
OBJECTIVE = """an EMA of the model is the target of three contrasts across two views of the same frame (class token,
  mean token, and patches that show the same 3D point), half of the patches masked in every second image."""


def ema_momentum(step: int, schedule: Schedule) -> float:
    """How much of itself the EMA keeps in a step: 1 - 1 / memory, the memory a share of the steps made so far, within
    its bounds. It depends on the steps made alone, so it never reaches 1, where the EMA would stand still."""
    most = max(schedule.memory_most, schedule.memory_least)
    return 1 - 1 / min(max(schedule.memory * step, schedule.memory_least), most)


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, momentum: float) -> None:
    """slow <- momentum slow + (1 - momentum) fast, parameter by parameter."""
    torch._foreach_lerp_(list(slow.parameters()), [p.detach() for p in fast.parameters()], 1 - momentum)


def build_objective(recipe: TeacherRecipe, device: torch.device) -> Contrasts:
    """The recipe's objective, its weights drawn from the recipe's seed, or those of ``start``; nobody else's random
    numbers move. Raises ConfigError when ``start`` is a teacher of other sizes."""
    # on CPUs the backward pass of SDPA in bfloat16 is 1.7 times slower
    attention = "sdpa" if device.type == "cuda" else "eager"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        objective = Contrasts(recipe, attention)
    objective.to(device)
    if start := recipe.start:
        try:
            objective.start_from(load_teacher(start, device=device, dtype=torch.float32).model.state_dict())
        except RuntimeError as error:
            raise ConfigError(
                f"start={start!r} has other sizes than the recipe",
                "train-teacher",
                "a teacher of the same width, layers, patch and image size",
            ) from error
    return objective


def train_objective(
    objective: Contrasts,
    recipe: TeacherRecipe,
    pool: FramePool,
    checkpoint: Path | None = None,
    run: dict | None = None,
    after_step: Callable[[int, int], None] | None = None,
) -> TrainingLog:
    """Train the objective in place, with at most ROWS rows in its log. run : what else must be equal when the
    checkpoint is resumed. after_step(step, steps) : called when the EMA has followed. Raises as ``training.train``."""
    schedule = recipe.schedule
    steps = -(-schedule.steps // ROWS)  # an epoch
    epochs = -(-schedule.steps // steps)

    def each_step(step: int, total: int) -> None:
        follow(objective.slow, objective.followed, ema_momentum(step, schedule))
        if after_step:
            after_step(step, total)

    options = Training(
        epochs=epochs,
        batch=1,  # an item is a whole batch
        rate=schedule.rate,
        weight_decay=schedule.weight_decay,
        warmup=schedule.warmup,
        seed=recipe.seed,
    )
    return train(
        objective,
        Draws(draw_views, pool, recipe, epochs, steps),
        options,
        checkpoint=checkpoint,
        describe="teacher",
        after_step=each_step,
        run=run,
    )


def train_teacher(
    out: Path,
    model: str = "stage-1",
    changes: dict | None = None,
    data: str | None = None,
    split: str = "train",
    pause: float | None = None,
    device: str | None = None,
    workers: int | None = None,
    cache: Path | None = None,
) -> bool:
    """Train a teacher and save it in ``out``; a training that was stopped is resumed. Returns whether it is finished.

    model : a named recipe. changes : of its settings. data, split : a dataset to learn from, its labels unread, instead
    of the embedded worlds; such a teacher is labelled IN-DOMAIN wherever its numbers stand. pause : minutes of training
    after which this call stops, to be resumed by the next. device : None takes CUDA where there is one. workers :
    processes that compute clips, None: one a core. cache : folder that keeps pools.

    Raises ConfigError on settings that do not exist, and when ``out`` holds another teacher or a changed one.
    """
    place = checked_options(device or ("cuda" if torch.cuda.is_available() else "cpu"))[0]
    recipe, clips, out = named_recipe(model, place.type, changes), None, Path(out)
    if data:
        bodies = recipe.bodies
        sizes = {"frames": bodies.frames, "points": bodies.points, "limit": bodies.videos}
        clips = load_dataset(data, split, stride="uniform", **sizes)
        recipe = replace(recipe, bodies=replace(bodies, worlds=(), videos=len(clips)))
    pool = pool_spec(recipe.bodies, clips)
    about = {"model": model, "recipe": asdict(recipe), "pool": pool, IN_DOMAIN: in_domain_entry(clips)}
    if start := recipe.start:
        first = load_teacher(start, dtype=torch.float32)
        about |= {"start": first.revision, IN_DOMAIN: about[IN_DOMAIN] or getattr(first.model.config, IN_DOMAIN, None)}
    about = json.loads(json.dumps(about))
    if is_finished(out, about):
        (out / CHECKPOINT).unlink(missing_ok=True)
        return True
    objective = build_objective(recipe, place)
    frames = build_pool(recipe.bodies, clips, cache, workers or os.cpu_count() or 1).to(place)
    end = time.monotonic() + 60 * pause if pause else float("inf")

    def stop_at_the_end(step: int, steps: int) -> None:
        if time.monotonic() > end and step + 1 < steps:
            signal.raise_signal(signal.SIGINT)  # the trainer then writes its checkpoint and stops

    try:
        log = train_objective(objective, recipe, frames, out / CHECKPOINT, about, stop_at_the_end)
    except KeyboardInterrupt:
        if time.monotonic() > end:
            return False
        raise
    save_teacher(objective.result, out, about, log, place)
    (out / CHECKPOINT).unlink()
    return True


def in_domain_entry(clips: ClipDataset | None) -> dict | None:
    """What a teacher's configuration states of a reader's data it was trained on."""
    return clips and {
        "dataset": clips.source.name,
        "split": clips.split,
        "data_hash": clips.fingerprint(),
        "clips": len(clips),
    }


def is_finished(out: Path, about: dict) -> bool:
    """Does ``out`` hold this very teacher, trained to the end? Raises ConfigError when it holds another, or one whose
    files were changed since."""
    file, weights = out / "training.json", out / "model.safetensors"
    if not file.is_file():
        return False
    try:
        saved = json.loads(file.read_text())
        other = {name: saved.get(name) for name in about} != about
        changed = not weights.is_file() or saved.get("weights") != file_digest(weights)
    except (ValueError, AttributeError) as error:
        raise ConfigError("training.json is damaged", out, "train into another folder, or delete this one") from error
    if other or changed:
        fault = "a teacher of other settings lies here" if other else "the weights are not those that were saved here"
        raise ConfigError(fault, out, "train into another folder, or delete this one")
    return True


def save_teacher(model, folder: Path, about: dict, log: TrainingLog, device: torch.device) -> None:
    """Write model.safetensors (fp16), config.json, preprocessor_config.json, the model card, and at last training.json
    with the digest of the weights; each whole or not at all."""
    half = copy.deepcopy(model).half()
    half.config.architectures, half.config.dtype = [type(half).__name__], torch.float16
    if about[IN_DOMAIN]:
        setattr(half.config, IN_DOMAIN, about[IN_DOMAIN])
    weights = folder / "model.safetensors"
    write_whole(weights, lambda draft: save_file(half.state_dict(), draft, {"format": "pt"}))
    on_gpu = device.type == "cuda"
    threads = f"{torch.get_num_threads()} threads of a {platform.machine()} CPU"
    training = {
        **about,
        "finished": True,
        "weights": file_digest(weights),
        "device": torch.cuda.get_device_name(device) if on_gpu else threads,
        "precision": log.precision,
        "versions": {name: version(name) for name in ("torch", "transformers", "numpy")},
        "log": log_rows(log),
    }
    write_text(folder / "config.json", half.config.to_json_string())
    mean_and_std = {"image_mean": IMAGENET_MEAN, "image_std": IMAGENET_STD}
    write_text(folder / "preprocessor_config.json", json.dumps(mean_and_std, indent=1) + "\n")
    write_text(folder / "README.md", card(training, sum(p.numel() for p in model.parameters())))
    write_text(folder / "training.json", json.dumps(training, indent=1) + "\n")


def log_rows(log: TrainingLog) -> list[dict]:
    """The log for ``training.json``: each epoch's mean losses with its last step and the renders made until then; the
    last row has the minutes of training."""
    steps, renders, rows = log.clips // len(log.epochs), 0.0, []
    for epoch in log.epochs:
        renders += epoch["renders"] * steps
        rows.append({**epoch, "step": epoch["epoch"] * steps - 1, "renders": round(renders)})
    rows[-1]["minutes"] = log.seconds / 60
    return rows


def card(training: dict, parameters: int) -> str:
    """The model card, from what ``training.json`` holds."""
    recipe, last = training["recipe"], training["log"][-1]
    bodies, start = recipe["bodies"], ""
    if recipe.get("start"):
        start = f"from the weights of {recipe['start']} (revision {training['start']}), "
    source = in_domain_note(training).removeprefix(", ") or (
        f"{bodies['videos']:,} clips of {bodies['frames']} frames of as many individuals from\n"
        f"  {', '.join(bodies['worlds'])}, numbered from {training['pool']['first_individual']} on: none of them is\n"
        "  in a split of those datasets. No real recording, no label"
    )
    shade = " Each view has a grey scale of its own, so that brightness does not identify frames."
    size = (
        f"{recipe['layers']} layers, D = {recipe['hidden_size']}, {recipe['heads']} heads, patch {recipe['patch']} px"
    )
    return f"""---
license: apache-2.0
library_name: transformers
tags: [dinov2, depth, point-cloud, cross4d]
---
# {training["model"]}{" (IN-DOMAIN)" if training[IN_DOMAIN] else ""}

A DINOv2-architecture image model ({size}, {parameters / 1e6:.2f} M
parameters, stored in fp16) for depth-shaded renders of point clouds at {recipe["image"]} px. It is a small stand-in for
a teacher trained on millions of photographs or videos: results on it are not results with DINOv2-large or V-JEPA 2.

- **Data**: {source}.
- **Objective**: {OBJECTIVE}{shade if recipe["movement"].get("shade") else ""}
- **Training**: {start}{last["step"] + 1:,} steps, {last["renders"]:,} renders,
  {last["minutes"]:.0f} minutes of training on {training["device"]}, seed {recipe["seed"]}.
  All settings and the curves: `training.json`.
- **Use**: `cross4d_lib.load_teacher("FOLDER")`.
- **Licence**: Apache-2.0.
"""
