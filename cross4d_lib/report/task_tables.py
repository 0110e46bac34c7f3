"""Tables of the dense tasks and of other datasets (5, 6, 12, 15, 16, 17 and our controls beside them), from rows
alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..evaluation import TAUS, bootstrap_interval
from ..evaluation.segmentation import resampled_miou
from ..experiments import ARTIFACTS, Profile, RunSpec
from . import paper
from .tables import grouped, measured, method_of, provenance_columns, with_paper

TAU = 0.02  # Table 16's, of the bounding box's diagonal


def _spread(values: np.ndarray) -> float:
    return values.std(ddof=1) if len(values) > 1 else np.nan


# ---------------------------------------------------------------------------------------------- other datasets' Table 1


def _granularity(artifact: str, profile: Profile) -> pd.DataFrame:
    specs = ARTIFACTS[artifact].runs(profile)
    stated = paper.TABLE_1.get(paper.as_in_paper(specs[0].measured_on), {}) if specs else {}
    return with_paper(
        measured(profile, specs),
        lambda line: stated.get(line["method"], (np.nan, None))[0] if line["probe"] == "linear" else np.nan,
    )


def control_animals(profile: Profile) -> pd.DataFrame:
    """Table 1's row for DeformingThings4D (or what stands for it): which animal, by-clip split."""
    return _granularity("control_animals", profile)


def control_animal_actions(profile: Profile) -> pd.DataFrame:
    """Ours: which action, on animals that the probe has never seen."""
    return _granularity("control_animal_actions", profile)


def control_people(profile: Profile) -> pd.DataFrame:
    """Table 1's row for NTU RGB+D 60 (or what stands for it)."""
    return _granularity("control_people", profile)


# ---------------------------------------------------------------------------------------------------- Tables 5 and 12


def transferred(profile: Profile) -> pd.DataFrame:
    """One line a source, target and probe; the source ``random`` has seen no data."""
    lines = []
    specs = ARTIFACTS["table12"].runs(profile)
    for target in dict.fromkeys(spec.measured_on for spec in specs):
        for source in dict.fromkeys(spec.dataset if spec.pretext == "dense" else "random" for spec in specs):
            group = [
                spec
                for spec in specs
                if spec.measured_on == target and (spec.dataset if spec.pretext == "dense" else "random") == source
            ]
            frame = measured(profile, group)
            if len(frame):
                frame.insert(0, "target", target)
                frame.insert(0, "source", source)
                lines.append(frame)
    return pd.concat(lines, ignore_index=True) if lines else pd.DataFrame()


def _stated_transfer(line: pd.Series) -> float:
    source = "random" if line["source"] == "random" else paper.as_in_paper(line["source"])
    return paper.TABLE_12.get(source, {}).get(paper.as_in_paper(line["target"]), np.nan)


def table12(profile: Profile) -> pd.DataFrame:
    """Table 12: every source on every target under every probe. The paper's column stands beside the z-scored probe,
    because that is the probe its random row (.593) agrees with: Table 11's standardised one, not Table 1's (.42)."""
    frame = transferred(profile)
    return with_paper(frame, lambda line: _stated_transfer(line) if line["probe"] == "standardized" else np.nan)


def table05(profile: Profile) -> pd.DataFrame:
    """Table 5: the same under the z-scored probe alone."""
    frame = table12(profile)
    return frame[frame["probe"] == "standardized"] if len(frame) else frame


# ---------------------------------------------------------------------------------------------------- Tables 6 and 17


def segmenter_name(spec: RunSpec) -> str:
    """The line of a segmentation run: "random", "dense", or "dense, zero-shot" where it was pretrained on another
    dataset."""
    return spec.pretext + (", zero-shot" if spec.target else "")


def segmented(profile: Profile, specs: list[RunSpec], name=segmenter_name) -> pd.DataFrame:
    """One line a dataset, method and setting: mIoU (mean, deviation over seeds, interval over clips), mAcc, OA; and the
    line of a segmenter that always says the commonest class."""
    lines = []
    for dataset in dict.fromkeys(spec.measured_on for spec in specs):
        groups = grouped([spec for spec in specs if spec.measured_on == dataset], name)
        for method, rows in groups.items():
            for setting in rows[0]["metrics"]:
                cells = [row["metrics"][setting] for row in rows]
                mean = lambda metric: np.array([cell[metric] for cell in cells])
                draws = np.mean([resampled_miou(cell["counts"]) for cell in cells], 0)
                low, high = np.quantile(draws, [0.025, 0.975])
                lines.append(
                    {
                        "data": dataset,
                        "method": method,
                        "setting": setting,
                        "mIoU": mean("mIoU").mean(),
                        "std": _spread(mean("mIoU")),
                        "low": low,
                        "high": high,
                        "mAcc": mean("mAcc").mean(),
                        "OA": mean("OA").mean(),
                        "seeds": " ".join(str(row["seed"]) for row in rows),
                        **provenance_columns(profile, rows),
                    }
                )
        if groups:
            rows = next(iter(groups.values()))
            guess = rows[0]["measures"]["commonest"]
            lines.append(
                {
                    "data": dataset,
                    "method": f"always {guess['class']}",
                    "setting": "no features",
                    **{k: guess[k] for k in ("mIoU", "mAcc", "OA")},
                    **provenance_columns(profile, rows[:1]),
                    "teacher": "none",
                }
            )
    return pd.DataFrame(lines)


def table06(profile: Profile) -> pd.DataFrame:
    """Table 6: a linear per-point head on frozen encoders, in-domain and zero-shot; the paper's numbers are HOI4D's, in
    shares."""
    frame = segmented(profile, ARTIFACTS["table06"].runs(profile))
    if len(frame):
        stated = lambda line: (
            paper.TABLE_6.get(line["method"], (np.nan,))[0] / 100
            if paper.as_in_paper(line["data"]) == "hoi4d" and line["setting"] == "linear"
            else np.nan
        )
        frame.insert(3, "paper mIoU", [stated(line) for _, line in frame.iterrows()])
    return frame


def table17(profile: Profile) -> pd.DataFrame:
    """Table 17: encoder and head trained together, from scratch and from dense."""
    frame = segmented(
        profile,
        ARTIFACTS["table17"].runs(profile),
        lambda spec: "scratch" if spec.pretext == "random" else spec.pretext,
    )
    if len(frame):
        stated = lambda line: (
            paper.TABLE_17.get(line["method"], (np.nan,))[0] / 100
            if paper.as_in_paper(line["data"]) == "hoi4d"
            else np.nan
        )
        frame.insert(3, "paper mIoU", [stated(line) for _, line in frame.iterrows()])
    return frame


def control_readability(profile: Profile) -> pd.DataFrame:
    """Ours: what the class of a token's point is read from: the target, the student, the untrained student, the place.
    Only tokens that have a target are asked, so the lines compare with each other and not with Table 6."""
    frame = segmented(profile, ARTIFACTS["control_readability"].runs(profile), lambda spec: spec.pretext)
    if len(frame):
        frame = frame[frame["setting"] != "no features"].drop(columns="method").rename(columns={"setting": "read from"})
    return frame


def iou_by_class(profile: Profile, dataset: str, setting: str = "standardized") -> pd.DataFrame:
    """IoU of every class, one column a method, means over seeds; and how many test points the class has."""
    groups = grouped(
        [spec for spec in ARTIFACTS["table06"].runs(profile) if spec.measured_on == dataset], segmenter_name
    )
    columns = {}
    for method, rows in groups.items():
        columns[method] = np.mean(
            [[np.nan if v is None else v for v in row["metrics"][setting]["per_class"]] for row in rows], 0
        )
    if not columns:
        return pd.DataFrame()
    first = next(iter(groups.values()))[0]
    points = np.array(first["metrics"][setting]["counts"]).sum(0)[1]
    return pd.DataFrame({"test points": points, **columns}, index=first["measures"]["point_classes"])


# ---------------------------------------------------------------------------------------------------- Table 16


def correspondences(profile: Profile) -> pd.DataFrame:
    """One line a method, comparison and gap, with the curve over tau. Raw coordinates and chance are the same in every
    row."""
    lines = []
    groups = grouped(ARTIFACTS["table16"].runs(profile), segmenter_name)
    for method, rows in groups.items():
        first = next(iter(groups)) == method
        for setting in rows[0]["metrics"]:
            compared, gap = setting.rsplit(", gap ", 1)
            if "XYZ" in compared and not first:
                continue
            cells = [row["metrics"][setting] for row in rows]
            accuracy, clips = (
                np.array([cell["accuracy"] for cell in cells]),
                np.mean([cell["per_clip"] for cell in cells], 0),
            )
            low, high = bootstrap_interval(clips)
            lines.append(
                {
                    "method": compared if "XYZ" in compared else method,
                    "compared by": "distance" if "XYZ" in compared else compared,
                    "gap": int(gap),
                    "accuracy": accuracy.mean(),
                    "std": _spread(accuracy) if "XYZ" not in compared else np.nan,
                    "low": low,
                    "high": high,
                    "chance": rows[0]["measures"]["chance_curve"][gap][TAUS.index(TAU)],
                    "seeds": " ".join(str(row["seed"]) for row in rows),
                    "curve": " ".join(f"{v:.4f}" for v in np.mean([cell["curve"] for cell in cells], 0)),
                    "chance curve": " ".join(f"{v:.4f}" for v in rows[0]["measures"]["chance_curve"][gap]),
                    **provenance_columns(profile, rows),
                }
            )
    return pd.DataFrame(lines)


def table16(profile: Profile) -> pd.DataFrame:
    """Table 16: acc@.02 over gaps of 8 and 15 frames."""
    frame = correspondences(profile)
    if len(frame):
        stated = lambda line: (
            paper.TABLE_16.get(line["method"], {}).get(line["gap"], (np.nan,))[0]
            if line["compared by"] in ("cosine", "distance")
            else np.nan
        )
        frame.insert(3, "paper", [stated(line) for _, line in frame.iterrows()])
    return frame


# ---------------------------------------------------------------------------------------------------- Table 15


def table15(profile: Profile) -> pd.DataFrame:
    """Table 15: dense with 1, 2 and 4 cameras: coverage and accuracy."""
    groups: dict[int, list[RunSpec]] = {}
    for spec in ARTIFACTS["table15"].runs(profile):
        groups.setdefault(spec.cameras, []).append(spec)
    frames = []
    for cameras, specs in groups.items():
        frame = measured(profile, specs)
        if len(frame):
            stated = paper.TABLE_15[cameras]
            frame = with_paper(frame, lambda line: stated[1] if line["probe"] == "linear" else np.nan)
            frame.insert(
                0, "coverage", np.mean([row["measures"]["coverage"] for row in grouped(specs)[method_of(specs[0])]])
            )
            frame.insert(0, "paper coverage", stated[0])
            frame.insert(0, "cameras", cameras)
            frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def merge_line(spec: RunSpec) -> str:
    """The name of a run's line in ``control_merge``."""
    return (
        "1 camera"
        if spec.cameras == 1
        else f"{spec.cameras} cameras, {'the first that sees' if spec.merge == 'first' else 'their mean'}"
    )


def control_merge(profile: Profile) -> pd.DataFrame:
    """Ours: dense with one camera, with four whose mean each token is asked for, and with four of which it believes the
    first that sees it."""
    return with_paper(measured(profile, ARTIFACTS["control_merge"].runs(profile), merge_line), lambda line: np.nan)


def control_coverage(profile: Profile) -> pd.DataFrame:
    """Ours: coverage of each dataset by cameras, and under one camera by splat radius and by resolution; the paper's
    beside ours."""
    lines = []
    for rows in grouped(ARTIFACTS["control_coverage"].runs(profile), lambda spec: spec.key).values():
        (row,) = rows
        columns = provenance_columns(profile, rows)
        own = paper.as_in_paper(columns["data"])
        for setting, cell in row["metrics"].items():
            stated = (
                paper.COVERAGE.get(own, np.nan)
                if setting == "1 camera"
                else paper.TABLE_15[int(setting[0])][0]
                if "cameras" in setting and own == "msr-action3d"
                else np.nan
            )
            lines.append(
                {
                    "data": columns["data"],
                    "setting": setting,
                    "paper": stated,
                    "coverage": cell["coverage"],
                    "clips": row["measures"]["clips_covered"],
                    **columns,
                }
            )
    return pd.DataFrame(lines)
