"""Evaluate a teacher by what linear models find in its features, so that recipes are chosen by measuring. No test
individual is used.

Two measures, each fitted on some TRAINING individuals and scored on others, and one that needs no labels:

- parts: the body part of a visible point from its patch's feature alone (embedded people and animals), beside the
  accuracy from the patch's PLACE in the image: a teacher below that line has learned little about bodies;
- actions: the action from the features of a clip's frames, on the embedded people and, where it is present, on
  MSR-Action3D;
- spread: how many directions the features of all frames fill, and how much of them the picture's MEAN GREY explains.
  Two views of a frame are equally bright, so a teacher may have learned to recognise frames by brightness alone.

One JSON a teacher, written part by part: what is there is not measured again.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score

from ..correspondence import patch_index, point_features
from ..datasets import ClipDataset, load_dataset
from ..errors import ConfigError, Cross4DError
from ..evaluation import one_thread, zscore
from ..files import write_text
from ..render import mean_grey, render
from ..teachers import UNTRAINED, Teacher, folder_of, label_of, load_teacher
from ..teachers.image import foreground_share

FORMAT = 1  # raised whenever the same settings would measure something else


@dataclass(frozen=True)
class Amounts:
    """How much is measured. The same for all teachers of a table.

    clips : (fitted on, scored on), at most. frames, points : of a clip. rows : visible points a frame that the parts
    are predicted for.
    """

    clips: tuple[int, int] = (40, 30)
    frames: int = 8
    points: int = 1024
    rows: int = 24


def training_pair(
    name: str, fitted: int, split: str = "train", limit: tuple[int, int] | None = None, **clip
) -> tuple[ClipDataset, ClipDataset]:
    """(fitted on, scored on): clips of the training split's first ``fitted`` subjects of each kind, and of its
    others."""
    whole = load_dataset(name, split, **clip)
    # "s03" -> 3, "horse 2" -> 2
    rank = {subject: int(re.search(r"\d+$", subject).group()) for subject in set(whole.subjects)}
    order = sorted(set(rank.values()))
    first = [subject for subject in rank if rank[subject] in order[:fitted]]
    pair = whole.of_subjects(first), whole.of_subjects(set(rank) - set(first))
    if limit:
        for part, most in zip(pair, limit):
            chosen = np.unique(np.linspace(0, len(part) - 1, min(most, len(part))).astype(int))
            part.entries = [part.entries[i] for i in chosen]
    return pair


def depth_data() -> str:
    """MSR-Action3D where it is present, else its stand-in."""
    try:
        load_dataset("msr-action3d", "train")
        return "msr-action3d"
    except Cross4DError:
        return "synthetic-actions"


def predictions(x, labels, z, penalty: float, iterations: int, z_score: bool = True) -> np.ndarray:
    """Logistic regression fitted on x (n, D) and labels (n,); its predictions for z (m, D). penalty : scikit-learn's
    C."""
    if z_score:
        x, z = zscore(torch.as_tensor(x), torch.as_tensor(z))
    with one_thread():
        return LogisticRegression(C=penalty, max_iter=iterations).fit(x, labels).predict(z)


def point_rows(teacher: Teacher, dataset: ClipDataset, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (n, D), patches (n,) and part labels (n,) of up to ``rows`` visible points a frame, evenly taken."""
    features, places, labels = [], [], []
    for i in range(len(dataset)):
        clip = dataset[i]
        view = render(clip.points, teacher.image_size())
        index = patch_index(view, teacher.patch)  # (T, N)
        carried = point_features(teacher(view.image).patches, index)  # (T, N, D)
        for f in range(len(index)):
            seen = torch.nonzero(index[f] >= 0)[:, 0]
            seen = seen[torch.linspace(0, len(seen) - 1, min(rows, len(seen))).long()]
            features.append(carried[f, seen].numpy())
            places.append(index[f, seen].numpy())
            labels.append(clip.point_labels[f][seen.numpy()])
    return np.concatenate(features), np.concatenate(places), np.concatenate(labels)


def part_accuracy(fit: tuple, held: tuple, patches: int) -> dict[str, float]:
    """Accuracy, and recall averaged over parts, of a linear classifier on features, and of the same on the one-hot
    place. fit, held : as ``point_rows`` gives them."""
    scores, known = {}, np.isin(held[2], fit[2])
    places = [np.eye(patches)[rows[1]] for rows in (fit, held)]
    for suffix, (x, z) in {"": (fit[0], held[0]), "/place": places}.items():
        predicted = predictions(x, fit[2], z, 0.1, 200, z_score=suffix == "")
        parts = np.unique(held[2][known])
        recall = recall_score(held[2][known], predicted[known], labels=parts, average="macro")
        scores |= {f"accuracy{suffix}": float((predicted == held[2]).mean()), f"recall{suffix}": float(recall)}
    return scores


def measure_parts(teacher: Teacher, amounts: Amounts) -> dict[str, float]:
    """Body parts, on people (subjects 1-3 against 4-5) and animals (individuals 1-3 against 4)."""
    clip, scores = dict(frames=amounts.frames, points=amounts.points, stride="uniform", limit=amounts.clips), {}
    patches = (teacher.image_size() // teacher.patch) ** 2
    for name, split in (("synthetic-actions", "train"), ("synthetic-animals", "train-identities")):
        rows = [point_rows(teacher, part, amounts.rows) for part in training_pair(name, 3, split, **clip)]
        scores |= {f"{name}/{measure}": value for measure, value in part_accuracy(*rows, patches).items()}
    return scores


def frame_vectors(teacher: Teacher, image: torch.Tensor) -> np.ndarray:
    """A teacher's summary of each frame beside the mean of its patches that show something. (T, 3, H, W) -> (T, 2
    D)."""
    features = teacher(image)
    shown = (foreground_share(image, teacher.patch) > 0).float()
    shown = shown.unflatten(1, features.patches.shape[1:3])[..., None]  # (T, h, w, 1)
    mean = (features.patches * shown).sum((1, 2)) / shown.sum((1, 2)).clamp_min(1)
    return torch.cat([features.summary, mean], -1).numpy()


def measure_actions(teacher: Teacher, amounts: Amounts) -> dict[str, float]:
    """Actions from the mean over a clip's frames and ("/concatenated") from all of them, subjects 1-3 against 4-5."""
    scores, clip = {}, dict(frames=amounts.frames, points=amounts.points, stride="uniform")
    for name in dict.fromkeys(("synthetic-actions", depth_data())):
        limit = None if name == "msr-action3d" else tuple(4 * n for n in amounts.clips)
        pair, vectors = training_pair(name, 3, limit=limit, **clip), []
        for part in pair:
            images = (render(part[i].points, teacher.image_size()).image for i in range(len(part)))
            vectors.append(np.stack([frame_vectors(teacher, image) for image in images]))  # (clips, T, 2 D)
        for suffix, pool in (("", lambda x: x.mean(1)), ("/concatenated", lambda x: x.reshape(len(x), -1))):
            predicted = predictions(pool(vectors[0]), pair[0].labels, pool(vectors[1]), 0.01, 300)
            scores[name + suffix] = float((predicted == np.asarray(pair[1].labels)).mean())
    return scores


def directions(features: torch.Tensor) -> float:
    """How many directions features (n, D) fill: (sum of variances)^2 / sum of their squares over principal components;
    1 to D."""
    variances = torch.linalg.eigvalsh(torch.cov(features.double().T)).clamp_min(0)
    return float(variances.sum() ** 2 / variances.square().sum())


def explained(features: torch.Tensor, number: torch.Tensor) -> float:
    """Share of the variance of features (n, D) that a cubic of one number a row (n,) explains, fitted on the same rows:
    0 to 1."""
    x = (number.double() - number.double().mean()) / number.double().std().clamp_min(1e-12)
    powers, rest = torch.stack([x**k for k in range(4)], 1), features.double() - features.double().mean(0)
    left = rest - powers @ torch.linalg.lstsq(powers, rest, driver="gelsd").solution
    return float(1 - left.square().sum() / rest.square().sum().clamp_min(1e-12))


def measure_spread(teacher: Teacher, amounts: Amounts) -> dict[str, float]:
    """Over the frames of training subjects 1-3: directions that class tokens and patch features fill, and the share of
    the class token's variance that the frame's mean grey explains."""
    scores, clip = {}, dict(frames=amounts.frames, points=amounts.points, stride="uniform", limit=amounts.clips)
    for name in dict.fromkeys(("synthetic-actions", depth_data())):
        clips = training_pair(name, 3, **clip)[0]
        summaries, patches, greys = [], [], []
        for i in range(len(clips)):
            image = render(clips[i].points, teacher.image_size()).image
            features = teacher(image)
            summaries.append(features.summary)
            patches.append(features.patches.flatten(1, 2)[foreground_share(image, teacher.patch) > 0])
            greys.append(mean_grey(image))
        summary = torch.cat(summaries)
        scores |= {
            f"{name}/directions, class": directions(summary),
            f"{name}/directions, patches": directions(torch.cat(patches)),
            f"{name}/mean grey": explained(summary, torch.cat(greys)),
        }
    return scores


PARTS = {"parts": measure_parts, "actions": measure_actions, "spread": measure_spread}


def training_of(name: str) -> dict | None:
    """Length and recipe of a teacher's training, from its ``training.json``; None where there is none, or the weights
    are not its."""
    file = Path(folder_of(name.removesuffix(UNTRAINED))) / "training.json"
    if name.endswith(UNTRAINED) or not file.is_file():
        return None
    training = json.loads(file.read_text())
    last = training["log"][-1]
    return {
        "recipe": training["recipe"],
        "steps": last["step"] + 1,
        "renders": last["renders"],
        "minutes": round(last["minutes"], 1),
        "finished": training.get("finished", True),
    }


def evaluate_teachers(
    names: list[str],
    out: Path,
    only: list[str] | None = None,
    device=None,
    amounts: Amounts = Amounts(),
    about: dict | None = None,
) -> list[dict]:
    """Evaluate teachers one after another; one JSON each in ``out``, whose parts are measured once. Returns their
    contents: scores, what the teacher was trained with, the amounts measured, and ``about`` (commit, versions, date,
    device) of the last part.

    Raises ConfigError on a part that does not exist, TeacherError on a teacher that cannot be loaded.
    """
    if unknown := set(only or ()) - set(PARTS):
        raise ConfigError(
            f"no part is called {sorted(unknown)[0]!r}", "evaluate_teachers", f"some of {', '.join(PARTS)}"
        )
    device, evaluations = device or ("cuda" if torch.cuda.is_available() else "cpu"), []
    settings = json.loads(json.dumps({"format": FORMAT, **asdict(amounts), "depth_data": depth_data()}))
    for name in names:
        teacher = load_teacher(name, device=device)
        path = Path(out) / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', name).strip('_')[-60:]}-{teacher.revision}.json"
        found = json.loads(path.read_text()) if path.is_file() else {}
        if found.get("settings") != settings:
            found = {
                "teacher": name,
                "revision": teacher.revision,
                "description": teacher.description,
                "label": label_of(name),
                "settings": settings,
                "training": training_of(name),
                "scores": {},
                "seconds": {},
            }
        for part in (part for part in PARTS if part not in found["scores"] and part in (only or PARTS)):
            started = time.perf_counter()
            found["scores"][part] = PARTS[part](teacher, amounts)
            found["seconds"][part] = time.perf_counter() - started
            found |= about or {}
            write_text(path, json.dumps(found, indent=1) + "\n")
        evaluations.append(found)
    return evaluations
