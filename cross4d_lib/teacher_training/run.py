"""Make a teacher of our own: pool, recipe, training, and a folder that ``load_teacher`` opens. Run as ``cross4d
train-teacher``."""

from __future__ import annotations

import copy
import json
import os
import platform
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import torch

from ..datasets import ClipDataset, load_dataset
from ..errors import ConfigError
from ..teachers import load_teacher
from ..teachers.frozen import IMAGENET_MEAN, IMAGENET_STD
from ..teachers.provenance import IN_DOMAIN, in_domain_words
from .contrasts import Contrasts
from .pool import make_pool, pool_spec
from .prediction import Prediction
from .probe import make_probe, probe_sets
from .recipe import TeacherRecipe, VideoRecipe, named_recipe
from .train import train
from .views import FramePool

CHECKPOINT = "unfinished.pt"  # beside the weights, until the training is over


def objective_of(recipe: TeacherRecipe | VideoRecipe, pool: FramePool, device: torch.device) -> Contrasts | Prediction:
    """The recipe's objective on a pool, its weights drawn from the recipe's seed, or those of ``start``; nobody else's
    random numbers move. Raises ConfigError when ``start`` is a teacher of other sizes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        objective = (Prediction if isinstance(recipe, VideoRecipe) else Contrasts)(recipe, pool.to(device), device)
    if start := getattr(recipe, "start", ""):
        first = load_teacher(start, device=device, dtype=torch.float32).model.state_dict()
        for model in (objective.trained["model"], objective.slow["model"]):
            held = model.state_dict()
            if {name: value.shape for name, value in held.items()} != {
                name: value.shape for name, value in first.items()
            }:
                raise ConfigError(
                    f"start={start!r} has other sizes than the recipe",
                    "train-teacher",
                    "a teacher of the same width, layers, patch and image size",
                )
            model.load_state_dict(first)
    return objective


def make_teacher(
    out: Path,
    model: str = "cross4d-tiny",
    changes: dict | None = None,
    data: str | None = None,
    split: str = "train",
    minutes: float | None = None,
    pause: float | None = None,
    device: str | None = None,
    workers: int | None = None,
    cache: Path | None = None,
    probes: int = 8,
) -> bool:
    """Train a teacher and save it in ``out``; a training that was stopped is taken up. Returns whether it is over.

    model : a named recipe. changes : of its settings. data, split : a dataset to learn from, its labels unread, instead
    of the embedded worlds; such a teacher is marked IN-DOMAIN wherever its numbers stand. minutes : of training, the
    schedule following the clock; None trains ``schedule.steps``. pause : minutes after which this call stops, to be
    taken up by the next. device : None takes CUDA where there is one. workers : processes that make bodies, None: one a
    core. cache : folder that keeps pools. probes : how often the log is probed.

    Raises ConfigError on settings that do not exist, and when ``out`` holds another teacher.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    recipe, clips = named_recipe(model, place.type, changes), None
    if data:
        clips = load_dataset(
            data,
            split,
            frames=recipe.bodies.frames,
            points=recipe.bodies.points,
            stride="uniform",
            limit=recipe.bodies.videos,
        )
        recipe = replace(recipe, bodies=replace(recipe.bodies, worlds=(), videos=len(clips)))
    about = json.loads(
        json.dumps(
            {
                "model": model,
                "recipe": asdict(recipe),
                "pool": pool_spec(recipe.bodies, clips),
                IN_DOMAIN: domain_of(clips),
            }
        )
    )
    if start := getattr(recipe, "start", ""):
        first = load_teacher(start)
        about |= {"start": first.revision, IN_DOMAIN: about[IN_DOMAIN] or getattr(first.model.config, IN_DOMAIN, None)}
    if _is_finished(out, about):
        return True
    objective = objective_of(recipe, make_pool(recipe.bodies, clips, cache, workers or os.cpu_count() or 1), place)
    keep = lambda log, finished=False: save_teacher(objective.model, out, about, log, place, finished)
    log, over = train(
        objective,
        recipe.schedule,
        recipe.seed,
        about,
        place,
        minutes,
        make_probe(probe_sets(), recipe.image) if probes else None,
        probes,
        out / CHECKPOINT,
        pause,
        keep,
    )
    if log:
        keep(log, over)
    if over:
        (out / CHECKPOINT).unlink(missing_ok=True)
    return over


def domain_of(clips: ClipDataset | None) -> dict | None:
    """What a teacher's configuration says of a reader's data it was trained on."""
    return clips and {
        "dataset": clips.source.name,
        "split": clips.split,
        "data_hash": clips.fingerprint(),
        "clips": len(clips),
    }


def _is_finished(out: Path, about: dict) -> bool:
    """Does ``out`` hold this very teacher, trained to the end? Raises ConfigError when it holds another."""
    file = out / "training.json"
    if not file.is_file():
        return False
    held = json.loads(file.read_text())
    if {name: held.get(name) for name in about} != about:
        raise ConfigError("a teacher of other settings lies here", out, "train into another folder, or delete this one")
    return held["finished"]


def save_teacher(
    model, folder: Path, about: dict, log: list[dict], device: torch.device, finished: bool = True
) -> None:
    """Write config.json, model.safetensors (fp16), preprocessor_config.json, training.json and the model card, each
    whole or not at all."""
    draft = folder / "draft"
    draft.mkdir(parents=True, exist_ok=True)
    half = copy.deepcopy(model).half()
    if about[IN_DOMAIN]:
        setattr(half.config, IN_DOMAIN, about[IN_DOMAIN])
    half.save_pretrained(draft)
    machine = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{torch.get_num_threads()} threads of a {platform.machine()} CPU"
    )
    training = {
        **about,
        "finished": finished,
        "device": machine,
        "versions": {name: version(name) for name in ("torch", "transformers", "numpy")},
        "log": log,
    }
    text = {
        "preprocessor_config.json": {"image_mean": IMAGENET_MEAN, "image_std": IMAGENET_STD},
        "training.json": training,
    }
    for name, content in text.items():
        (draft / name).write_text(json.dumps(content, indent=1) + "\n")
    (draft / "README.md").write_text(card(training, sum(p.numel() for p in model.parameters())))
    for file in draft.iterdir():
        file.replace(folder / file.name)
    draft.rmdir()


OBJECTIVES = {
    "cross4d-tiny-video": """an EMA of the encoder, which sees the whole video, says what a student that sees a part of it must predict
  at hidden places (L1 on layer-normed features), as in V-JEPA 2.""",
    "": """an EMA of the model is the target of three contrasts across two views of the same frame (class token, mean
  token, and patches that show the same 3D point), half of the patches masked in every second image.""",
}


def card(training: dict, parameters: int) -> str:
    """The model card, from what ``training.json`` holds."""
    recipe, last, data = training["recipe"], training["log"][-1], training[IN_DOMAIN]
    video = training["model"].endswith("-video")
    bodies = recipe["bodies"]
    seen = (
        in_domain_words(training).removeprefix(", ")
        if data
        else (
            f"{bodies['videos']:,} clips of {bodies['frames']} frames of as many individuals from {', '.join(bodies['worlds'])}, numbered from "
            f"{training['pool']['first_individual']} on: none of them is in a split of those datasets. No real recording, no label"
        )
    )
    return f"""---
license: apache-2.0
library_name: transformers
tags: [{"vjepa2" if video else "dinov2"}, depth, point-cloud, cross4d]
---
# {training["model"]}{" (IN-DOMAIN)" if data else ""}

A {"V-JEPA 2" if video else "DINOv2"}-architecture {"video" if video else "image"} model ({recipe["layers"]} layers, D = {recipe["hidden_size"]}, {recipe["heads"]} heads, patch {recipe["patch"]} px, {parameters / 1e6:.2f} M parameters,
stored in fp16) for depth-shaded renders of point clouds at {recipe["image"]} px. It is a small stand-in for a teacher trained on
millions of photographs or videos: results on it are not results with DINOv2-large or V-JEPA 2.

- **Data**: {seen}.
- **Objective**: {OBJECTIVES.get(training["model"], OBJECTIVES[""])}{" A fourth contrast finds places of the body again at another moment." if recipe.get("track") else ""}{" Each view has a grey scale of its own, so that brightness does not tell frames apart." if recipe["movement"].get("shade") else ""}
- **Training**: {f"from the weights of {recipe['start']} (revision {training['start']}), " if recipe.get("start") else ""}{last["step"] + 1:,} steps, {last["renders"]:,} renders, {last["minutes"]:.0f} minutes of training on {training["device"]}, seed {recipe["seed"]}.
  All settings and the curves: `training.json`.{"" if training["finished"] else " NOT FINISHED."}
- **Use**: `cross4d_lib.load_teacher("FOLDER")`.
- **Licence**: Apache-2.0.
"""
