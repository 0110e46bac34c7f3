"""Tables from rows: the paper's value, ours, chance, and what ours was measured on. Nothing is computed here but means.

Every table is a long pandas frame, one line a measured quantity, written to ``results/<profile>/tables/``.
``side_by_side`` turns such frames into what a reader wants to see: one column a source of numbers, each column saying
what it is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ..datasets import load_dataset, load_source
from ..encoders import Point4D, count_flops, count_parameters
from ..errors import Cross4DError
from ..evaluation import bootstrap_interval, paired_bootstrap
from ..experiments import (
    ARTIFACTS,
    PROFILES,
    ROLES,
    Profile,
    RunSpec,
    clip_settings,
    load_profile,
    load_row,
    load_rows,
    main_dataset,
    make_spec,
    role_dataset,
)
from ..teachers import label_of, with_label
from ..teachers.formulas import PREFIX
from . import paper

PROBES = {
    "linear": "300 epochs, as in the paper",
    "standardized": "300 epochs, z-scored",
    "converged": "L-BFGS, z-scored",
}


def shown_profile(name: str) -> Profile:
    """The profile whose tables are shown: on its own dataset as soon as rows were measured on it, whether or not the
    files are on this machine. (``load_profile`` is what runs are made with: without the files it falls back to embedded
    data.)"""
    profile = load_profile(name)
    seen = {measured_on(row) for row in load_rows(name)}
    roles = {
        role: tuple(dataset for dataset in candidates if dataset in seen)[:1] or candidates
        for role, candidates in profile.roles.items()
    }
    return replace(
        profile, shown=True, roles=roles, fallback=profile.dataset if profile.dataset in seen else profile.fallback
    )


def shown_profiles() -> list[Profile]:
    """Every profile that has rows, smallest first, as ``shown_profile`` gives it."""
    return [shown_profile(name) for name in PROFILES if load_rows(name)]


def measured_on(row: dict) -> str:
    """The dataset of a row's task. (The first rows knew no other than the one pretrained on.)"""
    return row.get("target", row["dataset"])


def method_of(spec: RunSpec) -> str:
    """The name of a run's line in a table."""
    name = spec.pretext
    if mark := label_of(spec.teacher):
        name += f" ({mark} teacher)"
    if spec.teacher.startswith(PREFIX):
        name += f" ({spec.teacher.removeprefix(PREFIX)} alone)"
    if spec.control:
        name += f" ({spec.control})"
    if spec.augmented:
        name += " (augmented)"
    if spec.merge == "first":
        name += " (first camera)"
    if spec.summary == "mean":
        name += " (patch mean)"
    if spec.pretext == "dense" and not spec.centre:
        name += " (not centred)"
    if spec.pretext != "random" and spec.variance_weight == 0:
        name += " (lambda = 0)"
    return name


def shown_teacher(row: dict) -> str:
    """A row's teacher for a table's column: its name, and what must be said of it that the name does not say."""
    return with_label(row["teacher"] or "none", row.get("teacher_mark", ""))


def correct_matrix(rows: list[dict], probe: str) -> np.ndarray:
    """Which test clips each row got right: (rows, clips) bool."""
    return np.array([[c == "1" for c in row["metrics"][probe]["correct"]] for row in rows])


def grouped(specs: list[RunSpec], name=method_of) -> dict[str, list[dict]]:
    """The rows of some runs by the name of their line, seeds together; names none of whose runs has been run are left
    out."""
    groups: dict[str, list[RunSpec]] = {}
    for spec in specs:
        groups.setdefault(name(spec), []).append(spec)
    found = {line: [row for row in map(load_row, group) if row is not None] for line, group in groups.items()}
    return {line: rows for line, rows in found.items() if rows}


def measured(profile: Profile, specs: list[RunSpec], name=method_of, setting: str = "{}") -> pd.DataFrame:
    """One line a method (``name`` of a spec) and probe: mean and deviation over seeds, interval over clips, and the
    whole provenance.

    setting : how a row's metrics call a probe, where they hold each more than once. Methods none of whose runs has been
    run are left out; ``seeds`` says which seeds a line holds, ``each`` their accuracies. The interval resamples test
    clips, each counted by its mean over seeds.
    """
    lines = []
    for method, rows in grouped(specs, name).items():
        for probe in PROBES:
            accuracy = np.array([row["metrics"][setting.format(probe)]["accuracy"] for row in rows])
            low, high = bootstrap_interval(correct_matrix(rows, setting.format(probe)).mean(0))
            lines.append(
                {
                    "method": method,
                    "probe": probe,
                    "accuracy": accuracy.mean(),
                    "std": accuracy.std(ddof=1) if len(rows) > 1 else np.nan,
                    "low": low,
                    "high": high,
                    "seeds": " ".join(str(row["seed"]) for row in rows),
                    "each": " ".join(f"{a:.4f}" for a in accuracy),
                    "chance": rows[0]["chance"],
                    **provenance_columns(profile, rows),
                }
            )
    return pd.DataFrame(lines)


def provenance_columns(profile: Profile, rows: list[dict]) -> dict:
    """What a line was measured on: data and its kind, teacher, size, clips, device, commit, dates, and the rows'
    keys."""
    first = rows[0]
    spec = first["spec"] | first["spec"].get("task_clip", {})  # the clips measured on
    joined = lambda field: " ".join(sorted({str(row[field]) for row in rows}))
    return {
        "data": measured_on(first),
        "kind": load_source(measured_on(first)).kind,
        "teacher": shown_teacher(first),
        "profile": profile.name,
        "clip": f"{spec['frames']} x {spec['points']}, stride {spec['stride']}",
        "epochs": spec["epochs"],
        "clips_trained": first["clips_trained"],
        "clips_evaluated": first["clips_evaluated"],
        "device": joined("device"),
        "commit": joined("commit"),
        "dirty": joined("dirty"),
        "date": max(row["date"] for row in rows),
        "runs": joined("key"),
    }


SOURCES = [
    "kind",
    "data",
    "clip",
    "clips_trained",
    "clips_evaluated",
    "epochs",
    "teacher",
    "seeds",
    "device",
    "commit",
    "dirty",
    "date",
    "runs",
]


def sources(frame: pd.DataFrame) -> pd.DataFrame:
    """Where a table's numbers come from, one column a method: ``runs`` are the names of the rows in
    results/<profile>/runs."""
    lines = frame.drop_duplicates("method").set_index("method")[SOURCES]
    return lines.assign(date=lines["date"].str.slice(0, 16)).T  # to the minute


def table01(profile: Profile) -> pd.DataFrame:
    """Table 1 with our control and all three probes; the paper's value where it has one."""
    dataset = main_dataset(profile)
    frame = measured(profile, ARTIFACTS["table01"].runs(profile))
    stated = paper.TABLE_1[paper.as_in_paper(dataset)]
    return with_paper(
        frame, lambda line: stated.get(line["method"], (np.nan, None))[0] if line["probe"] == "linear" else np.nan
    )


def table11(profile: Profile) -> pd.DataFrame:
    """Table 11: the same encoders under the probe without and with standardisation, and the converged one."""
    columns = {"linear": 0, "standardized": 1}
    frame = measured(profile, ARTIFACTS["table11"].runs(profile))
    return with_paper(
        frame,
        lambda line: paper.TABLE_11[line["method"]][columns[line["probe"]]] if line["probe"] in columns else np.nan,
    )


def table14(profile: Profile) -> pd.DataFrame:
    """Table 14: with and without the variance term."""
    frame = measured(profile, ARTIFACTS["table14"].runs(profile))
    return with_paper(
        frame,
        lambda line: (
            paper.TABLE_14[0.0 if "lambda" in line["method"] else 1.0][0] if line["probe"] == "linear" else np.nan
        ),
    )


def control_global_target(profile: Profile) -> pd.DataFrame:
    """Ours: class token or patch mean as the global target."""
    return with_paper(measured(profile, ARTIFACTS["control_global_target"].runs(profile)), lambda line: np.nan)


def control_global_variance(profile: Profile) -> pd.DataFrame:
    """Ours: global with and without the variance term."""
    return with_paper(measured(profile, ARTIFACTS["control_global_variance"].runs(profile)), lambda line: np.nan)


def control_centring(profile: Profile) -> pd.DataFrame:
    """Ours: targets centred or not."""
    return with_paper(measured(profile, ARTIFACTS["control_centring"].runs(profile)), lambda line: np.nan)


def length_line(spec: RunSpec) -> str:
    """The name of a run's line in ``control_length``, alike in all profiles: ``dense, twice the epochs``; ``random``
    has none."""
    shares = {0: "", 1: ", a third of the epochs", 3: ", all epochs", 6: ", twice the epochs"}
    return method_of(spec) + shares[round(3 * spec.epochs / PROFILES[spec.profile].epochs)]


def control_length(profile: Profile) -> pd.DataFrame:
    """Ours: dense after a third, one and twice the profile's epochs, plainly and on augmented clips; the line
    ``random`` has 0."""
    return with_paper(measured(profile, ARTIFACTS["control_length"].runs(profile), length_line), lambda line: np.nan)


def together_line(spec: RunSpec) -> str:
    """The name of a run's line in ``control_together``: ``dense (augmented), 4 cameras``; ``random`` has none."""
    return method_of(spec) + (f", {spec.cameras} camera{'s' * (spec.cameras > 1)}" if spec.cameras else "")


def control_together(profile: Profile) -> pd.DataFrame:
    """Ours: more cameras and augmented clips under the teacher of the controls, one by one and together."""
    return with_paper(
        measured(profile, ARTIFACTS["control_together"].runs(profile), together_line), lambda line: np.nan
    )


def control_in_domain(profile: Profile) -> pd.DataFrame:
    """Ours: the students of a teacher that has seen their own training clips, beside those of the one it began as."""
    return with_paper(measured(profile, ARTIFACTS["control_in_domain"].runs(profile)), lambda line: np.nan)


def control_paper_size(profile: Profile) -> pd.DataFrame:
    """Ours: random, global and dense at the paper's clip and encoder size, one seed, few epochs."""
    stated = paper.TABLE_1["msr-action3d"]
    frame = measured(profile, ARTIFACTS["control_paper_size"].runs(profile))
    return with_paper(frame, lambda line: stated[line["method"]][0] if line["probe"] == "linear" else np.nan)


def with_paper(frame: pd.DataFrame, value) -> pd.DataFrame:
    """Insert the column ``paper`` before ``accuracy``; value(line) gives its entry."""
    if len(frame):
        frame.insert(2, "paper", [value(line) for _, line in frame.iterrows()])
    return frame


def table08(profile: Profile) -> pd.DataFrame:
    """Table 8: the paper's clip settings beside this profile's, with videos found, and what sampling repeated.

    The main dataset, its stand-in and MSR-Action3D are read now; the others are as the rows of their random encoder
    found them.
    """
    read = dict.fromkeys([main_dataset(profile), "synthetic-actions", "msr-action3d"])
    return pd.DataFrame(
        [_clips_read(profile, name) for name in read]
        + [
            _clips_told(profile, dataset)
            for role in ROLES
            if (dataset := role_dataset(profile, role)) and dataset not in read
        ]
    )


def _settings(profile: Profile, name: str) -> dict:
    source, stated = load_source(name), paper.TABLE_8[paper.as_in_paper(name)]
    line = {"data": name, "kind": source.kind}
    line |= {
        f"paper {field}": stated[field]
        for field in ("frames", "points", "stride", "epochs", "train", "test", "classes")
    }
    return line | {
        **clip_settings(profile, name),
        "epochs": profile.epochs,
        "classes": len(source.classes) or np.nan,
        "profile": profile.name,
    }


def _clips_read(profile: Profile, name: str) -> dict:
    line = _settings(profile, name)
    for split in ("train", "test"):
        try:
            clips = load_dataset(name, split, **clip_settings(profile, name), limit=profile.clips)
            line |= {
                split: len(clips),
                f"{split} found": clips.found(),
                **{f"{split} {k}": v for k, v in clips.counts().items() if k != "clips"},
            }
        except Cross4DError as error:
            line |= {split: 0, f"{split} found": f"not present ({error.what})"}
    return line


def _clips_told(profile: Profile, name: str) -> dict:
    line, row = _settings(profile, name), load_row(make_spec(profile, name, "random", profile.seeds[0]))
    if row is None:
        return line | {"train": 0, "test": 0, "train found": "not measured", "test found": "not measured"}
    line |= {
        "classes": round(1 / row["chance"]),
        "train": row["clips_trained"],
        "test": row["clips_evaluated"],
        "train found": row["found"],
    }
    return line | {
        f"{split} {what}": count for split, counts in row["padded"].items() for what, count in counts.items()
    }


def table09(profile: Profile) -> pd.DataFrame:
    """Table 9: parameters and FLOPs of one 24 x 2048 clip at the paper's size, counted, attention with and without."""
    encoder, tokens = Point4D(), 24 * 64
    flops = count_flops(encoder, 24, 2048)
    head = encoder.dim * 384 + 384
    ours = {
        "Point4D encoder": (count_parameters(encoder), flops["all"], flops["without_attention"]),
        "dense per-token head": (head, 2 * encoder.dim * 384 * tokens, 2 * encoder.dim * 384 * tokens),
    }
    lines = []
    for component, (parameters, all_flops, without) in ours.items():
        stated = paper.TABLE_9[component]
        lines.append(
            {
                "component": component,
                "paper parameters (M)": stated[0],
                "parameters (M)": parameters / 1e6,
                "paper FLOPs (G)": stated[1],
                "FLOPs without attention products (G)": without / 1e9,
                "FLOPs with joint attention (G)": all_flops / 1e9,
            }
        )
    return pd.DataFrame(lines)


def comparison(
    profile: Profile,
    first: str = "dense",
    second: str = "global",
    probe: str = "linear",
    artifact: str = "table01",
    name=method_of,
) -> dict:
    """Paired bootstrap over clips of two methods of a table, averaged over the seeds that both have, and seed by seed.

    first, second : as in the table's column ``method``, which ``name`` gives a spec. ``ahead`` : the one that leads by
    more than the interval (to three digits), or "". {} when they have no seed in common.
    """
    rows: dict[str, dict[int, dict]] = {first: {}, second: {}}
    for spec in ARTIFACTS[artifact].runs(profile):
        if name(spec) in rows and (row := load_row(spec)):
            rows[name(spec)][spec.seed] = row
    result = paired(rows[first], rows[second], probe)
    return (
        {
            "first": first,
            "second": second,
            "probe": probe,
            **result,
            "ahead": {1: first, -1: second, 0: ""}[result.pop("ahead")],
        }
        if result
        else {}
    )


def paired(first: dict[int, dict], second: dict[int, dict], probe: str) -> dict:
    """Rows by seed against rows by seed, on the same clips: difference, low, high, p, ``ahead`` (1, -1, or 0 where the
    interval holds zero), ``means`` of the two over these very seeds, ``by seed`` and ``clips``; {} when they have no
    seed in common."""
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return {}
    a, b = (correct_matrix([rows[seed] for seed in seeds], probe) for rows in (first, second))
    by_seed = [round(float(x.mean() - y.mean()), 4) for x, y in zip(a, b)]
    result = paired_bootstrap(a, b)
    return {
        **result,
        "ahead": (round(result["low"], 3) > 0) - (round(result["high"], 3) < 0),
        "means": (float(a.mean()), float(b.mean())),
        "by seed": by_seed,
        "clips": a.shape[1],
    }


def verdicts(found: list[dict]) -> pd.DataFrame:
    """Comparisons as a table, one line a pair of methods, one column a probe: ``difference [low, high] who is ahead``.

    "undecided" where zero lies in the interval. Where the seeds disagree about the sign, each seed's difference is
    added.
    """
    lines: dict[str, dict[str, str]] = {}
    for c in found:
        lines.setdefault(f"{c['first']} − {c['second']} ({len(c['by seed'])} seeds, {c['clips']} clips)", {})[
            c["probe"]
        ] = in_words(c)
    return pd.DataFrame.from_dict(lines, orient="index")


VERDICTS = {
    "HOLDS": "the first is ahead under every probe, and with every seed",
    "HOLDS, one seed": "ahead under every probe, but measured with one seed alone",
    "HOLDS ON AVERAGE, not for every seed": "ahead under every probe, but a seed shows no lead",
    "DEPENDS ON THE PROBE": "ahead under some probes",
    "NOT SHOWN": "under no probe is either ahead",
    "REVERSED UNDER SOME PROBES": "behind under some probes, ahead under none",
    "REVERSED": "behind under every probe",
    "NOT RUN": "a row is missing",
}  # ahead: the 95 % interval over test clips of the paired difference lies above 0


def verdict(found: list[dict]) -> str:
    """Comparisons of one pair under all probes, as one of VERDICTS."""
    if not found:
        return "NOT RUN"
    ahead, behind = (sum(c["ahead"] == c[side] for c in found) for side in ("first", "second"))
    if ahead == len(found):
        if min(len(c["by seed"]) for c in found) == 1:
            return "HOLDS, one seed"
        return "HOLDS" if min(min(c["by seed"]) for c in found) > 0 else "HOLDS ON AVERAGE, not for every seed"
    if behind == len(found):
        return "REVERSED"
    return "DEPENDS ON THE PROBE" if ahead else "REVERSED UNDER SOME PROBES" if behind else "NOT SHOWN"


def legend_of_verdicts() -> pd.DataFrame:
    """What each word of VERDICTS means, for a reader."""
    return pd.DataFrame({"means": VERDICTS}).rename_axis("verdict")


def in_words(c: dict) -> str:
    """A comparison as a table's cell: ``difference [low, high] who is ahead``, and each seed's difference where they
    disagree about the sign."""
    seeds = c["by seed"]
    told = f"{c['difference']:+.2f} [{c['low']:+.2f}, {c['high']:+.2f}] {c['ahead'] or 'undecided'}"
    return told + f", seeds DISAGREE: {' '.join(f'{s:+.2f}' for s in seeds)}" if min(seeds) < 0 < max(seeds) else told


def side_by_side(
    table, profiles: tuple[str, ...] = ("quick", "course", "paper"), teacher: str = "DINOv2-large"
) -> pd.DataFrame:
    """The paper's column, headed by its data, ``teacher`` and clip, and one column a profile that has rows: ``mean +-
    std [low, high]``. table : e.g. ``table01``.

    A column's name says the profile, the data and its kind, the clip and the number of test clips; a cell with fewer
    seeds than others of its column says how many. A profile whose data or runs are not there has no column, and no
    paper's column stands where it has no value.
    """
    columns: dict[str, dict] = {}
    stated: dict = {}
    heading = "paper"
    for name in profiles:
        try:
            frame = table(shown_profile(name))
        except Cross4DError:
            continue
        most = frame["seeds"].str.split().str.len().max() if len(frame) else 0
        for _, line in frame.iterrows():
            index, seeds = (line["method"], line["probe"]), len(line["seeds"].split())
            source = (
                f"{name}: {line['kind'].upper()} {line['data']}, {line['clip']}, {line['clips_evaluated']} test clips"
            )
            if not np.isnan(line["paper"]):
                own = paper.as_in_paper(line["data"])
                heading = f"paper: {own}, {teacher}, {paper.TABLE_8[own]['frames']} x {paper.TABLE_8[own]['points']}"
                stated[index] = f"{line['paper']:.2f}"
            spread = "" if np.isnan(line["std"]) else f" ± {line['std']:.3f}"
            columns.setdefault(source, {})[index] = (
                f"{line['accuracy']:.3f}{spread} [{line['low']:.2f}, {line['high']:.2f}]"
                + (f", {seeds} of {most} seeds" if seeds < most else "")
            )
            columns[source].setdefault(("chance", ""), f"{line['chance']:.3f}")
    order = list(dict.fromkeys(index for column in columns.values() for index in column))
    order.sort(key=lambda index: index[0] != "chance")
    frame = pd.DataFrame(
        {
            **({heading: {i: stated.get(i, "") for i in order}} if stated else {}),
            **{h: {i: c.get(i, "") for i in order} for h, c in columns.items()},
        }
    )
    frame.index = pd.MultiIndex.from_tuples(order, names=["method", "probe"]) if order else frame.index
    return frame
