"""The probe of the training log: can the action be read from the teacher's own features? It chooses nothing."""

from __future__ import annotations

import copy

import numpy as np
import torch

from ..datasets import ClipDataset, load_dataset
from ..errors import Cross4DError
from ..render import render
from ..teachers.base import Teacher
from ..teachers.dinov2 import foreground_share
from ..teachers.load import ADAPTERS

FRAMES = 8  # of a clip


def teacher_of(model) -> Teacher:
    """A model in training as a teacher, in the precision the device is fast in: a copy, so the model is not touched."""
    return ADAPTERS[model.config.model_type](
        copy.deepcopy(model), "in training", "", True, "", device=next(model.parameters()).device
    )


def frame_vectors(teacher: Teacher, image: torch.Tensor) -> np.ndarray:
    """What a teacher says of each frame: its summary beside the mean of the patches that show something. (T, 3, H, W)
    -> (T, 2 D)."""
    features = teacher(image)
    shown = (
        (foreground_share(image, teacher.patch) > 0).float().unflatten(1, features.patches.shape[1:3])[..., None]
    )  # (T, h, w, 1)
    mean = (features.patches * shown).sum((1, 2)) / shown.sum((1, 2)).clamp_min(1)
    return torch.cat([features.summary, mean], -1).numpy()


def action_scores(read: tuple[np.ndarray, np.ndarray], labels: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """Logistic regression on z-scored clip features, fitted on the first part and scored on the second: {"": of the
    mean over frames, "/concatenated": of the frames one after the other}. read : (clips, T, 2 D) each."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = {}
    for suffix, pool in (("", lambda x: x.mean(1)), ("/concatenated", lambda x: x.reshape(len(x), -1))):
        solver = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300)).fit(pool(read[0]), labels[0])
        scores[suffix] = float(solver.score(pool(read[1]), labels[1]))
    return scores


def make_probe(datasets: dict[str, tuple[ClipDataset, ClipDataset]], image: int):
    """A probe for ``loop.train``. datasets : name -> (fit, held out), clips of two disjoint sets of subjects.

    Returns a callable: model -> {name: accuracy, name/concatenated: accuracy}. Labels reach this probe only, never the
    training.
    """
    views = {
        name: [
            [render(ds[i].points[:: max(1, ds.frames // FRAMES)], image).image for i in range(len(ds))] for ds in pair
        ]
        for name, pair in datasets.items()
    }

    def probe(model) -> dict[str, float]:
        teacher, scores = teacher_of(model), {}
        for name, pair in datasets.items():
            read = tuple(np.stack([frame_vectors(teacher, clip) for clip in part]) for part in views[name])
            scores |= {
                name + suffix: value for suffix, value in action_scores(read, (pair[0].labels, pair[1].labels)).items()
            }
        return scores

    return probe


def probe_sets() -> dict[str, tuple[ClipDataset, ClipDataset]]:
    """What the training log is probed on: pairs (fit, held out) of disjoint subjects.

    The embedded stand-in, train against test; and, where MSR-Action3D is present, its TRAINING subjects 1-3 against
    4-5: a look at real depth that leaves the test subjects alone. Nothing is chosen by these curves.
    """
    small = dict(frames=FRAMES, points=1024, stride="uniform")
    sets = {
        "synthetic-actions": (
            load_dataset("synthetic-actions", "train", limit=160, **small),
            load_dataset("synthetic-actions", "test", limit=160, **small),
        )
    }
    try:
        real = load_dataset("msr-action3d", "train", **small)
        subjects = sorted(set(real.subjects))
        sets["msr-action3d training subjects 4-5"] = (real.of_subjects(subjects[:3]), real.of_subjects(subjects[3:]))
    except Cross4DError:
        pass  # not here: the log has one curve less
    return sets
