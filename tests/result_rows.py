"""Rows written by hand, for the tests of tables, findings and plots."""

import numpy as np

from cross4d_lib.evaluation import TAUS
from cross4d_lib.evaluation.segmentation import SegmentationResult
from cross4d_lib.experiments.row import Accuracy, Correspondence, Coverage, Row, Segmentation

CLIPS = 20
SUBJECTS = [f"s{k % 5}" for k in range(CLIPS)]


def accuracy(right: int, seed: int = 0) -> Accuracy:
    """``right`` of CLIPS, the first ones, shifted by the seed."""
    correct = np.roll(np.arange(CLIPS) < right, seed)
    digits = "".join("01"[int(c)] for c in correct)
    return Accuracy(accuracy=float(correct.mean()), low=0.0, high=1.0, correct=digits)


def probed(right: int, seed: int = 0) -> dict[str, Accuracy]:
    """The three probes: ``right`` for the first, one more for each of the others."""
    return {probe: accuracy(right + k, seed) for k, probe in enumerate(("linear", "standardized", "converged"))}


def segmented(seed: int, classes: int = 3) -> Segmentation:
    """Of a random confusion of classes; the last class of no point."""
    confusion = np.random.default_rng(seed).integers(1, 30, (CLIPS, classes, classes))
    confusion[:, -1] = 0
    return Segmentation(**SegmentationResult(confusion).metrics())


def matched(value: float) -> Correspondence:
    per_clip = [value + d for d in (-0.01, 0.01)] * (CLIPS // 2)
    return Correspondence(accuracy=value, low=0.0, high=1.0, curve=[value] * len(TAUS), per_clip=per_clip)


def covered(value: float) -> Coverage:
    return Coverage(coverage=value)


def write_row(results, spec, metrics, older: bool = False, **changes) -> Row:
    """A row as ``run`` writes it. older : by an earlier version of the code."""
    code = {room: version - older for room, version in spec.code.items()}
    key = spec.key_with(spec.contents, code)
    row = Row(
        **{
            "key": key,
            "spec": spec.model_dump(),
            "contents": spec.contents,
            "code": code,
            "profile": spec.profile,
            "dataset": spec.data.dataset if spec.data else spec.measured_on,
            "target": spec.measured_on,
            "task": spec.task.name,
            "stand_in": spec.measured_on.startswith("synthetic"),
            "teacher": spec.teacher,
            "teacher_label": "UNTRAINED" if spec.teacher.endswith("/untrained") else "",
            "teacher_revision": "r",
            "seed": spec.seed,
            "metrics": metrics,
            "chance": 0.05,
            "measures": {"subjects": {"train": SUBJECTS, "test": SUBJECTS}},
            "clips_trained": CLIPS,
            "clips_evaluated": CLIPS,
            "found": "20 of 20",
            "padded": {"train": {}, "test": {}},
            "commit": "0123456789ab",
            "dirty": False,
            "versions": {},
            "date": f"2026-01-0{spec.seed + 1}T00:00:00+00:00",
            "config_hash": key,
            "data_hash": {},
            "device": "cpu",
            "precision": "float32",
            "seconds": 1.0,
            **changes,
        }
    )
    path = results / spec.profile / "runs" / f"{key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(row.to_json())
    return row


def specs_of(name: str, profile) -> dict:
    """Line -> its specs by seed."""
    from cross4d_lib.experiments import ARTIFACTS

    found = {}
    for spec in ARTIFACTS[name].runs(profile):
        found.setdefault(ARTIFACTS[name].line(spec), {})[spec.seed] = spec
    return found
