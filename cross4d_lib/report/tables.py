"""Every table of the registry from its rows: the paper's value, ours, chance, and what ours was measured on.

A table is a long frame, one line a measured quantity: ``table(name, profile)``. Its column ``line`` holds the line's
identity, ``method`` its label. Means, intervals and comparisons are those of ``evaluation.statistics``; nothing else is
computed here. ``side_by_side`` turns tables into what a reader wants to see: a column a source of numbers.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from ..datasets import load_source
from ..decisions import PROBE_WINDOWS
from ..evaluation import GAPS, TAUS
from ..evaluation.segmentation import miou
from ..evaluation.statistics import Interval, interval, mean_of_clips
from ..experiments import ARTIFACTS, PROFILES, RESULTS, Line, Profile, load_profile, load_row, load_rows
from ..experiments.row import Accuracy, Correspondence, Coverage, Row, Segmentation
from ..experiments.tasks import (
    CALIBRATION_RATES,
    COVERAGE_CAMERAS,
    COVERAGE_SIZES,
    COVERAGE_SPLATS,
)
from ..files import write_text
from ..teachers import family_of
from . import paper
from .sizes import clips, operations

PROBES = {
    "linear": "300 epochs, as in the paper",
    "standardized": "300 epochs, z-scored",
    "converged": "L-BFGS, z-scored",
}
LIKENESS = ("cosine", "centred", "centred, nearest token")  # of features
COORDINATES = ("raw XYZ", "XYZ of the nearest token")  # compared by distance, the same whatever the encoder
TAU = 0.02  # Table 16's, of the bounding box's diagonal

Rows = dict[int, Row]  # by seed
Readings = dict[str, dict]  # a metric's name in a row -> what it is, as columns


def shown_profile(name: str) -> Profile:
    """The profile whose tables are shown: on its own dataset as soon as rows were measured on it, whether or not the
    files are on this machine, and a role played by the dataset that has rows, if any. (``load_profile`` is what runs
    are built with: without the files it falls back to embedded data.)"""
    profile = load_profile(name)
    seen = {row.target for row in load_rows(name)}
    roles = {
        role: candidates if len(candidates) == 1 else tuple(dataset for dataset in candidates if dataset in seen)[:1]
        for role, candidates in profile.roles.items()
    }
    fallback = profile.dataset if profile.dataset in seen else profile.fallback
    return replace(profile, shown=True, roles=roles, fallback=fallback)


def shown_profiles() -> list[Profile]:
    """Every profile that has rows, smallest first, as ``shown_profile`` gives it."""
    return [shown_profile(name) for name in PROFILES if load_rows(name)]


def rows_of(name: str, profile: Profile) -> dict[tuple[str, Line], Rows]:
    """The rows of an artifact by (dataset measured on, line), then by seed; lines without rows are left out."""
    artifact, found = ARTIFACTS[name], {}
    for spec in artifact.runs(profile):
        if row := load_row(spec):
            found.setdefault((spec.measured_on, artifact.line(spec)), {})[spec.seed] = row
    return found


# ------------------------------------------------------------------------------------------------ one line of a table


def counted(row: Row, key: str) -> np.ndarray:
    """What a metric counts in each clip, (n, *item), as ``statistics.interval`` takes it."""
    metric = row.metrics[key]
    if isinstance(metric, Accuracy):
        return np.frombuffer(metric.correct.encode(), np.int8) - ord("0")
    return np.array(metric.per_clip if isinstance(metric, Correspondence) else metric.counts, float)


def statistic_of(row: Row, key: str):
    return miou if isinstance(row.metrics[key], Segmentation) else mean_of_clips


@lru_cache(maxsize=4096)
def _interval(content: bytes, kind: np.dtype, shape: tuple, groups: tuple | None, statistic) -> Interval:
    """``statistics.interval``, once for the same counts: several tables and pages show the same rows."""
    return interval(np.frombuffer(content, kind).reshape(shape), groups, statistic)


def measured(rows: Rows, key: str) -> dict:
    """Mean and deviation over seeds, the interval over subjects, clips and seeds, and each seed's value."""
    every = list(rows.values())
    metrics = [row.metrics[key] for row in every]
    values, name = np.array([metric.value for metric in metrics]), next(iter(type(metrics[0]).model_fields))
    if isinstance(metrics[0], Coverage):
        return {name: values.mean()}
    counts, groups = np.array([counted(row, key) for row in every]), every[0].subjects
    content = counts.tobytes(), counts.dtype, counts.shape
    sure = _interval(*content, groups and tuple(groups), statistic_of(every[0], key))
    line = {name: values.mean(), "std": values.std(ddof=1) if len(values) > 1 else np.nan}
    line |= {"low": sure.low, "high": sure.high}
    if isinstance(metrics[0], Segmentation):
        line |= {other: np.mean([getattr(metric, other) for metric in metrics]) for other in ("mAcc", "OA")}
    return line | {"seeds": " ".join(map(str, rows)), "each": " ".join(f"{value:.4f}" for value in values)}


def teacher_in_full(row: Row) -> str:
    """The teacher's name, and its label where the name does not say it."""
    label = row.teacher_label
    return row.teacher or "none" if label.lower() in row.teacher.lower() else f"{row.teacher} ({label})"


def provenance(profile: Profile, rows: Rows) -> dict:
    """What a line was measured on: data and its kind, teacher, size, clips, device, commit, dates, the rows' keys, and
    whether all of them are of the current code."""
    every = list(rows.values())
    first, clips, training = every[0], every[0].spec.task.data, every[0].spec.training
    joined = lambda field: " ".join(sorted({str(getattr(row, field)) for row in every}))
    return {
        "kind": load_source(first.target).kind,
        "teacher": teacher_in_full(first),
        "profile": profile.name,
        "clip": f"{clips.frames} x {clips.points}, stride {clips.stride}",
        "epochs": training.epochs if training else 0,
        "clips_trained": first.clips_trained,
        "clips_evaluated": first.clips_evaluated,
        **{name: joined(name) for name in ("device", "precision", "commit", "dirty")},
        "code": "current" if all(row.is_current for row in every) else "older",
        "date": max(row.date for row in every),
        "runs": joined("key"),
    }


BY_PROBE = {probe: {"probe": probe} for probe in PROBES}
CALIBRATED = {f"Adam {rate:g}": f"300 epochs, Adam {rate:g}" for rate in CALIBRATION_RATES} | {
    probe: PROBES[probe] for probe in ("standardized", "converged")
}
BY_WINDOWS = {
    f"{probe}/{count}": {"windows": count, "probe": probe} for count in (1, PROBE_WINDOWS) for probe in CALIBRATED
}
FINE_TUNED = {"fine-tuned": {"setting": "fine-tuned"}}
FEATURES = {f"{like}, gap {gap}": {"compared by": like, "gap": gap} for like in LIKENESS for gap in GAPS}
PLACES = {f"{which}, gap {gap}": {"compared by": "distance", "gap": gap} for which in COORDINATES for gap in GAPS}


def readings_of(name: str, row: Row) -> Readings:
    """What a table takes from a row: a metric's name -> the columns that say what it is."""
    known = {"calibration": BY_WINDOWS, "classification": FINE_TUNED, "correspondence": FEATURES}.get(
        ARTIFACTS[name].shape, BY_PROBE
    )
    if isinstance(next(iter(row.metrics.values())), Segmentation):
        known = {key: {"setting": key} for key in row.metrics}
    return {key: at for key, at in known.items() if key in row.metrics and ARTIFACTS[name].only in ("", key)}


def lines(name: str, profile: Profile, before=lambda data, line, row: {}, after=None) -> list[dict]:
    """One line a dataset, line of the table and reading. before(data, line, row), after(rows, metric) : columns that
    stand before and behind the value."""
    artifact, found = ARTIFACTS[name], []
    for (data, line), rows in rows_of(name, profile).items():
        first = next(iter(rows.values()))
        common = {"data": data, **before(data, line, first), "method": str(line)}
        for key, at in readings_of(name, first).items():
            value = {"paper": paper.stated(artifact.paper, data, line, at), **measured(rows, key)}
            more = after(rows, key) if after else {"chance": first.chance}
            found.append(common | at | value | more | provenance(profile, rows) | {"line": line})
    return found


# ------------------------------------------------------------------------------------------------ shapes of tables


def accuracy(name: str, profile: Profile) -> list[dict]:
    """One line a method and probe; coverage is that of the clips trained on."""

    def after(rows: Rows, key: str) -> dict:
        covered = [row.measures["coverage"] for row in rows.values() if "coverage" in row.measures]
        first = next(iter(rows.values()))
        return {"chance": first.chance, "coverage": np.mean(covered) if covered else np.nan}

    return lines(name, profile, after=after)


def teachers(name: str, profile: Profile) -> list[dict]:
    """The same with the family of each teacher: the paper's value stands on the line of the family it was measured
    with; our teacher of that family is smaller, trained by us or not at all."""

    def family(data: str, line: Line, row: Row) -> dict:
        known = family_of(line.teacher) if line.teacher else None
        return {"family": known.label if known else "", "modality": known.modality if known else ""}

    return lines(name, profile, family)


def transfer(name: str, profile: Profile) -> list[dict]:
    """The same with source and target. The paper's column stands beside the z-scored probe, because that is the probe
    its random row (.593) agrees with: Table 11's standardised one, not Table 1's (.42)."""
    return lines(name, profile, lambda data, line, row: {"source": line.source or line.pretext, "target": data})


def segmentation(name: str, profile: Profile) -> list[dict]:
    """One line a method and setting of the head; and one a dataset for always saying the commonest class."""
    found = lines(name, profile)
    for (data, _), rows in rows_of(name, profile).items():
        row = next(iter(rows.values()))
        if not any(line["data"] == data and line["setting"] == "no features" for line in found):
            guess = row.measures["commonest"]
            common = {"data": data, "method": f"always {guess['class']}", "setting": "no features", "paper": np.nan}
            value = {metric: guess[metric] for metric in ("mIoU", "mAcc", "OA")}
            about = provenance(profile, {row.seed: row}) | {"teacher": "none", "line": Line("commonest")}
            found.append(common | value | {"std": np.nan, "seeds": "", "chance": row.chance} | about)
    order = list(dict.fromkeys(line["data"] for line in found))
    return sorted(found, key=lambda line: order.index(line["data"]))


def correspondence(name: str, profile: Profile) -> list[dict]:
    """One line a method, likeness and gap, with the curve over tau. Coordinates and chance are the same in every row,
    and stand once."""

    def after(rows: Rows, key: str) -> dict:
        row = next(iter(rows.values()))
        chance = row.measures["chance_curve"][str((FEATURES | PLACES)[key]["gap"])]
        curve = np.mean([row.metrics[key].curve for row in rows.values()], 0)
        joined = lambda values: " ".join(f"{value:.4f}" for value in values)
        return {"chance": chance[TAUS.index(TAU)], "curve": joined(curve), "chance curve": joined(chance)}

    found = lines(name, profile, after=after)
    first = next(iter(rows_of(name, profile).items()), None)
    if first:
        (data, _), rows = first
        rows = dict([next(iter(rows.items()))])
        for key, at in PLACES.items():
            line = Line(next(which for which in COORDINATES if key.startswith(f"{which}, gap")))
            value = {"paper": paper.stated(ARTIFACTS[name].paper, data, line, at), **measured(rows, key)}
            about = provenance(profile, rows) | {"teacher": "none", "line": line}
            found.append({"data": data, "method": str(line)} | at | value | after(rows, key) | about)
    return found


def coverage(name: str, profile: Profile) -> list[dict]:
    """Share of points with a target: one line a dataset, clip size and setting. ``varied`` at ``at`` is what the
    setting varies."""
    varied = {f"{n} camera{'s' * (n > 1)}": ("cameras", n) for n in COVERAGE_CAMERAS}
    varied |= {f"{n} camera{'s' * (n > 1)}, by pixel": ("cameras, by pixel", n) for n in COVERAGE_CAMERAS}
    varied |= {f"splat x {times}": ("splat", times) for times in COVERAGE_SPLATS}
    varied |= {f"{size} px": ("pixels", size) for size in COVERAGE_SIZES}
    varied |= {f"{size} px, splat of 126 px": ("pixels, same splat", size) for size in COVERAGE_SIZES}
    found = []
    for spec in ARTIFACTS[name].runs(profile):
        if row := load_row(spec):
            for key, metric in row.metrics.items():
                at = {"setting": key, **dict(zip(("varied", "at"), varied[key]))}
                value = {"paper": paper.stated("COVERAGE", row.target, Line("none"), at), "coverage": metric.coverage}
                about = {"clips": row.measures["clips_covered"], **provenance(profile, {0: row}), "line": Line("none")}
                found.append({"data": row.target, **at, **value, **about})
    return found


SHAPES = {  # readability : of tokens that have a target, in the target, the student, the untrained student and the
    # place, so its lines compare with each other and not with Table 6
    "accuracy": accuracy,
    "calibration": lines,
    "classification": lines,
    "readability": lines,
    "teachers": teachers,
    "transfer": transfer,
    "segmentation": segmentation,
    "correspondence": correspondence,
    "coverage": coverage,
    "clips": clips,
    "operations": operations,
}


def iou_by_class(profile: Profile, dataset: str, setting: str = "standardized") -> pd.DataFrame:
    """Table 6's IoU of every class, one column a line, means over seeds; and how many test points the class has."""
    groups = {
        line: list(rows.values()) for (data, line), rows in rows_of("table06", profile).items() if data == dataset
    }
    if not groups:
        return pd.DataFrame()
    first = next(iter(groups.values()))[0]
    frame = pd.DataFrame({"test points": np.sum(first.metrics[setting].confusion, 1)}, first.measures["point_classes"])
    for line, rows in groups.items():
        frame[line] = np.mean([np.array(row.metrics[setting].per_class, float) for row in rows], 0)
    return frame


def table(name: str, profile: Profile) -> pd.DataFrame:
    """A table of the registry for a profile (best ``shown_profile``); empty where none of its runs has been run."""
    return pd.DataFrame(SHAPES[ARTIFACTS[name].shape](name, profile))


def tables_of(name: str) -> dict[str, pd.DataFrame]:
    """Profile -> the table, for every profile that has lines of it."""
    frames = {profile.name: table(name, profile) for profile in shown_profiles()}
    return {name: frame for name, frame in frames.items() if len(frame)}


def table_names() -> list[str]:
    return [name for name, artifact in ARTIFACTS.items() if artifact.shape]


def write_tables(profile: Profile) -> list[Path]:
    """Write every table that has lines to results/<profile>/tables/. Returns the paths."""
    written = []
    for name in table_names():
        frame = table(name, profile).drop(columns="line", errors="ignore")
        if len(frame):
            path = RESULTS / profile.name / "tables" / f"{name}.csv"
            write_text(path, frame.to_csv(index=False, float_format="%.4f"))
            written.append(path)
    return written
