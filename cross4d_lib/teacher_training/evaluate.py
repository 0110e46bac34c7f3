"""Judge a teacher by what can be read from its features, so that recipes are chosen by measuring. No test individual is
looked at.

Three measures, each fitted on some TRAINING individuals and scored on others, and one that needs no labels:

- parts: linear readability of the body part a visible point belongs to, from its patch's feature alone (embedded people
and
  animals), beside what the patch's PLACE in the image says: a teacher below that line has learned little about bodies;
- actions: the probe of the training log, on the embedded people and, where it is here, on MSR-Action3D;
- distillation: what teachers are for. An encoder of a small size is pretrained densely on the teacher's targets and
probed:
  MSR-Action3D where it is here, else the embedded people, and the scores say which;
- spread: how many directions the features of all frames fill, and how much of it the picture's MEAN GREY explains. Two
views of a
  frame are equally bright, so a teacher may have learned to tell frames apart by brightness alone.

One JSON a teacher, written part by part: what is there is not measured again.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from ..correspondence import patch_index, point_features
from ..datasets import ClipDataset, load_dataset
from ..encoders import Point4D
from ..errors import ConfigError, Cross4DError
from ..evaluation import one_thread, probe_all, zscore
from ..experiments.run import default_device, device_name, provenance
from ..render import mean_grey, render
from ..targets import build_targets
from ..teachers import UNTRAINED, Teacher, folder_of, load_teacher, mark_of
from ..teachers.dinov2 import foreground_share
from ..training import pretrain
from .probe import action_scores, frame_vectors

FORMAT = 1  # raised whenever the same settings would measure something else


@dataclass(frozen=True)
class Judgement:
    """How much is measured. The same for all teachers of a table.

    clips : (fitted on, scored on), most. frames, points : of a clip. rows : visible points a frame that the parts are
    read from.
    student : fields of Point4DConfig. depth_clips, depth_frames, depth_points : of the distillation; epochs, dim, seeds
    : its training.
    """

    clips: tuple[int, int] = (40, 30)
    frames: int = 8
    points: int = 1024
    rows: int = 24
    student: dict = field(default_factory=lambda: {"tokens": 32, "dim": 96, "depth": 2, "heads": 3, "widths": (32, 64)})
    depth_clips: int | None = None
    depth_frames: int = 12
    depth_points: int = 512
    epochs: int = 15
    dim: int = 96
    seeds: tuple[int, ...] = (0,)


def training_pair(
    name: str, fitted: int, split: str = "train", limit: tuple[int, int] | None = None, **clip
) -> tuple[ClipDataset, ClipDataset]:
    """(fitted on, scored on): clips of the training split's first ``fitted`` subjects of each kind, and of its
    others."""
    whole = load_dataset(name, split, **clip)
    rank = {
        subject: int(re.search(r"\d+$", subject).group()) for subject in set(whole.subjects)
    }  # "s03" -> 3, "horse 2" -> 2
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


@one_thread()
def read_parts(fit: tuple, held: tuple, patches: int) -> dict[str, float]:
    """Accuracy, and recall averaged over parts, of a linear classifier on features, and of the same on the one-hot
    place."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import recall_score

    scores = {}
    tables = {
        "": [part.numpy() for part in zscore(*(torch.as_tensor(x[0]) for x in (fit, held)))],
        "/place": [np.eye(patches)[x[1]] for x in (fit, held)],
    }
    for suffix, (x, z) in tables.items():
        said = LogisticRegression(C=0.1, max_iter=200).fit(x, fit[2]).predict(z)
        known = np.isin(held[2], fit[2])
        scores |= {
            f"accuracy{suffix}": float((said == held[2]).mean()),
            f"recall{suffix}": float(
                recall_score(held[2][known], said[known], labels=np.unique(held[2][known]), average="macro")
            ),
        }
    return scores


def judge_parts(teacher: Teacher, how: Judgement) -> dict[str, float]:
    """Body parts, on people (subjects 1-3 against 4-5) and animals (individuals 1-3 against 4)."""
    clip, scores = dict(frames=how.frames, points=how.points, stride="uniform", limit=how.clips), {}
    patches = (teacher.image_size() // teacher.patch) ** 2
    for name, split in (("synthetic-actions", "train"), ("synthetic-animals", "train-identities")):
        read = [point_rows(teacher, part, how.rows) for part in training_pair(name, 3, split, **clip)]
        scores |= {f"{name}/{measure}": value for measure, value in read_parts(*read, patches).items()}
    return scores


def judge_actions(teacher: Teacher, how: Judgement) -> dict[str, float]:
    """Actions from the teacher's own clip features, on training subjects 1-3 against 4-5."""
    scores = {}
    for name in dict.fromkeys(("synthetic-actions", depth_data())):
        pair = training_pair(
            name,
            3,
            frames=how.frames,
            points=how.points,
            stride="uniform",
            limit=None if name == "msr-action3d" else tuple(4 * n for n in how.clips),
        )
        read = tuple(
            np.stack(
                [frame_vectors(teacher, render(part[i].points, teacher.image_size()).image) for i in range(len(part))]
            )
            for part in pair
        )
        with one_thread():
            scores |= {
                name + suffix: value for suffix, value in action_scores(read, (pair[0].labels, pair[1].labels)).items()
            }
    return scores


def judge_distillation(teacher: Teacher, how: Judgement, device="cpu") -> dict[str, float]:
    """Probes of an encoder pretrained densely on the teacher's targets of subjects 1-3, scored on 4-5; mean over the
    seeds."""
    name = depth_data()
    limit = how.depth_clips and (how.depth_clips, how.depth_clips)
    train, held = training_pair(
        name, 3, frames=how.depth_frames, points=how.depth_points, stride="uniform", limit=limit
    )
    found: dict[str, list[float]] = {}
    for seed in how.seeds:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            encoder = Point4D(**how.student).to(device)
        targets = build_targets(train, teacher, how.dim, teacher.image_size(), encoder=encoder, progress=False)
        log = pretrain(encoder, targets, epochs=how.epochs, seed=seed)
        results = {probe: result.accuracy for probe, result in probe_all(encoder, train, held, seed).items()} | {
            "cosine": log.epochs[-1]["cosine"]
        }
        for measure, value in results.items():
            found.setdefault(f"{name}/{measure}", []).append(value)
    return {measure: float(np.mean(values)) for measure, values in found.items()}


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


def judge_spread(teacher: Teacher, how: Judgement) -> dict[str, float]:
    """Over the frames of training subjects 1-3: directions that class tokens and patch features fill, and the share of
    the class token's variance that the frame's mean grey explains."""
    scores = {}
    for name in dict.fromkeys(("synthetic-actions", depth_data())):
        clips = training_pair(name, 3, frames=how.frames, points=how.points, stride="uniform", limit=how.clips)[0]
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


PARTS = {"parts": judge_parts, "actions": judge_actions, "distillation": judge_distillation, "spread": judge_spread}


def training_of(name: str) -> dict | None:
    """What a teacher's ``training.json`` says of its length and recipe; None where there is none, or the weights are
    not those it made."""
    file = Path(folder_of(name.removesuffix(UNTRAINED))) / "training.json"
    if name.endswith(UNTRAINED) or not file.is_file():
        return None
    told = json.loads(file.read_text())
    last = told["log"][-1]
    return {
        "recipe": told["recipe"],
        "steps": last["step"] + 1,
        "renders": last["renders"],
        "minutes": round(last["minutes"], 1),
        "finished": told.get("finished", True),
    }


def judge_teachers(
    names: list[str], out: Path, only: list[str] | None = None, device=None, how: Judgement = Judgement()
) -> list[dict]:
    """Judge teachers one after another; one JSON each in ``out``, whose parts are measured once. Returns their
    contents: scores, what the teacher was trained with, the settings of the judgement, device, commit, versions and
    date of the last part.

    Raises ConfigError on a part that does not exist, TeacherError on a teacher that cannot be loaded.
    """
    unknown = set(only or ()) - set(PARTS)
    if unknown:
        raise ConfigError(
            f"nothing called {sorted(unknown)[0]!r} is judged", "judge_teachers", f"some of {', '.join(PARTS)}"
        )
    device, judged = device or default_device(), []
    for name in names:
        teacher = load_teacher(name, device=device)
        settings = json.loads(json.dumps({"format": FORMAT, **asdict(how), "depth_data": depth_data()}))
        path = Path(out) / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', name).strip('_')[-60:]}-{teacher.revision}.json"
        held = json.loads(path.read_text()) if path.is_file() else {}
        if held.get("settings") != settings:
            held = {
                "teacher": name,
                "revision": teacher.revision,
                "description": teacher.description,
                "mark": mark_of(name),
                "settings": settings,
                "training": training_of(name),
                "scores": {},
                "seconds": {},
            }
        for part, judge in PARTS.items():
            if part in held["scores"] or (only and part not in only):
                continue
            started = time.perf_counter()
            held["scores"][part] = judge(teacher, how, device) if judge is judge_distillation else judge(teacher, how)
            held["seconds"][part] = time.perf_counter() - started
            held |= {**provenance(), "device": device_name(torch.device(device))}
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{path.name}.draft-{os.getpid()}")
            draft.write_text(json.dumps(held, indent=1) + "\n")
            draft.replace(path)
        judged.append(held)
    return judged
