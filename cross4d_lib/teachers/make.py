"""Make ``cross4d-tiny``: a pool of synthetic performers nobody else uses, the recipe, a probe, and the model card.

Run as ``cross4d train-teacher --out FOLDER``. The pool's bodies are numbered from FIRST_BODY on, so no subject of
``synthetic-actions`` (1 to 10) is ever seen, neither of its training nor of its test split.
"""

from __future__ import annotations

import copy
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from ..clips import sample_clip
from ..datasets import ClipDataset, load_dataset
from ..datasets.synthetic.actions import CLASSES, GENERATOR_VERSION, make_video, video_length
from ..errors import Cross4DError
from .recipe import FramePool, TeacherRecipe, save_teacher, train_teacher

FIRST_BODY = 1000
POOL_VIDEOS, POOL_FRAMES, POOL_POINTS = 4000, 6, 1024


def pool_clip(number: int, frames: int = POOL_FRAMES, points: int = POOL_POINTS) -> np.ndarray:
    """Performance ``number``: its own body, action, view (within 25 degrees) and moments. (frames, points, 3) float32."""
    generator = np.random.default_rng([7, number])
    action, body = number % len(CLASSES), FIRST_BODY + number
    moments = np.sort(generator.choice(video_length(action, body, 0), frames, replace=False))
    video = make_video(action, body, 0, yaw=generator.uniform(-25, 25), frames=moments)
    return sample_clip(video, frames, points).points


def make_pool(videos: int = POOL_VIDEOS, workers: int = 2) -> FramePool:
    """The training pool: ``videos`` performances of as many bodies, FramePool of videos x POOL_FRAMES frames."""
    if workers <= 1:
        clips = map(pool_clip, range(videos))
        return FramePool.from_clips(tqdm(clips, total=videos, desc="bodies", mininterval=5))
    with ProcessPoolExecutor(workers) as executor:
        clips = executor.map(pool_clip, range(videos), chunksize=25)
        return FramePool.from_clips(tqdm(clips, total=videos, desc="bodies", mininterval=5))


def make_tiny(out: Path, recipe: TeacherRecipe = TeacherRecipe(), videos: int = POOL_VIDEOS, minutes: float | None = None, workers: int = 2) -> None:
    """Train and save the teacher in ``out``: config.json, model.safetensors, training.json and its card, README.md.

    minutes : stop then, the schedule following the clock; None trains recipe.steps. The probes of ``probe_sets`` are logged
    from the untrained model on; they choose nothing.
    """
    probe = make_probe(probe_sets(), recipe.image)
    model, log = train_teacher(make_pool(videos, workers), recipe, probe, minutes=minutes, checkpoint=out)
    save_teacher(model, out, recipe, log)
    (out / "README.md").write_text(card(recipe, log, videos, sum(p.numel() for p in model.parameters())))


def probe_sets() -> dict[str, tuple[ClipDataset, ClipDataset]]:
    """What the training log is probed on: pairs (fit, held out) of disjoint subjects.

    The embedded actions, and, where it is present, real MSR-Action3D: subjects 1-3 against 4-5, all five from its TRAINING
    split, so that no test subject is ever looked at while a teacher is made.
    """
    clip = {"frames": 8, "points": 1024, "stride": "uniform"}
    sets = {"synthetic-actions": (load_dataset("synthetic-actions", "train", limit=160, **clip), load_dataset("synthetic-actions", "test", limit=160, **clip))}
    try:
        real = load_dataset("msr-action3d", "train", **clip)
        subjects = sorted(set(real.subjects))
        sets["msr-action3d training subjects 4-5"] = (real.of_subjects(subjects[:3]), real.of_subjects(subjects[3:]))
    except Cross4DError:
        pass  # not here: the log has one curve less
    return sets


def card(recipe: TeacherRecipe, log: list[dict], videos: int, parameters: int) -> str:
    """The model card, from the recipe and the log."""
    last = log[-1]
    return f"""---
license: apache-2.0
library_name: transformers
tags: [dinov2, depth, point-cloud, cross4d]
---
# cross4d-tiny

A DINOv2-architecture image model ({recipe.layers} layers, D = {recipe.hidden_size}, {recipe.heads} heads, patch {recipe.patch} px, {parameters / 1e6:.2f} M parameters,
stored in fp16) for depth-shaded renders of point clouds at {recipe.image} px. It is the teacher that `cross4d_lib` uses when no
other can be downloaded. It is small and has only ever seen synthetic people: results on it are not results with DINOv2-large.

- **Data**: {videos:,} performances by as many synthetic bodies ({GENERATOR_VERSION}, bodies {FIRST_BODY} to {FIRST_BODY + videos - 1}, {POOL_FRAMES} frames each),
  none of them a subject of `synthetic-actions`. No real recording, no label.
- **Objective**: an EMA of the model is the target of three contrasts across two views of the same frame (class token, mean
  token, and patches that show the same 3D point), half of the patches masked in every second image.
- **Training**: {last["step"] + 1:,} steps of {recipe.clips * recipe.frames} frames in two views ({last["renders"]:,} renders), {last["minutes"]:.0f} minutes on 2 CPU cores, seed {recipe.seed}.
  All settings and the loss curve: `training.json`.
- **Use**: `cross4d_lib.load_teacher("cross4d-tiny")`. Only patches that show something are given to the model
  (`foreground_tokens_only` in the configuration).
- **Licence**: Apache-2.0.
"""


def make_probe(datasets: dict[str, tuple], image: int, frames: int = 8):
    """A probe for the training log: is the action readable from the teacher's own features?

    datasets : name -> (fit, held_out), ClipDatasets of two disjoint sets of subjects. Per clip the mean over frames of
    (class token, mean patch token) and the same of each frame concatenated; logistic regression on z-scored features.
    Returns a callable for ``train_teacher``: model -> {name: accuracy, name/concatenated: accuracy}. Labels reach this
    probe only, never the training.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from ..render import render
    from .dinov2 import Dinov2Teacher

    views = {name: [[render(ds[i].points[:: max(1, ds.frames // frames)], image).image for i in range(len(ds))] for ds in pair] for name, pair in datasets.items()}

    def probe(model) -> dict[str, float]:
        teacher = Dinov2Teacher(copy.deepcopy(model), "probe", "", True, "")
        scores = {}
        for name, pair in datasets.items():
            read = []
            for images in views[name]:
                features = [teacher(image) for image in images]
                shown = [(f.patches.abs().sum(-1, keepdim=True) > 0) for f in features]
                read.append(np.stack([torch.cat([f.summary, f.patches.sum((1, 2)) / s.sum((1, 2))], -1).numpy() for f, s in zip(features, shown)]))
            for suffix, pool in (("", lambda x: x.mean(1)), ("/concatenated", lambda x: x.reshape(len(x), -1))):
                solver = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300)).fit(pool(read[0]), pair[0].labels)
                scores[name + suffix] = float(solver.score(pool(read[1]), pair[1].labels))
        return scores

    return probe
