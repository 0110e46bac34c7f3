"""Notebook 15's second half: how far dense is from the paper's accuracy, and which setting moves it. All of it from
rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..evaluation import POOLS, paired_bootstrap
from ..experiments import ARTIFACTS, Profile, load_row, main_dataset
from ..experiments.sweep import Point, sweep_points
from . import paper
from .tables import PROBES, comparison, correct_matrix, in_words, measured, method_of, paired, with_paper

LEFT_OUT, SCORED = "{pool}/{{}}", "{pool}/{{}}/scored"  # how a row of the task "pooling" calls its probes


def control_pooling(profile: Profile) -> pd.DataFrame:
    """Table 1's encoders on the test clips, the tokens of a clip made one feature in each of POOLS: one line a method,
    pool and probe.

    The paper's value stands where the paper's own pool and probe do.
    """
    stated = paper.TABLE_1[paper.as_in_paper(main_dataset(profile))]
    frames = []
    for pool in POOLS:
        frame = measured(
            profile,
            ARTIFACTS["control_pooling"].runs(profile),
            lambda spec: f"{method_of(spec)}, {pool}",
            SCORED.format(pool=pool),
        )
        frame.insert(0, "pool", pool)
        frames.append(frame)
    frame = pd.concat(frames, ignore_index=True)
    told = lambda line: (
        stated.get(line["method"].partition(",")[0], (np.nan, None))[0]
        if (line["pool"], line["probe"]) == ("mean", "linear")
        else np.nan
    )
    return with_paper(frame, told)


def pool_gaps(profile: Profile, first: str = "dense", second: str = "random") -> list[dict]:
    """``tables.comparison`` of two methods on the test clips under every pool and probe; ``probe`` then reads ``frames,
    linear``."""
    found = []
    for pool in POOLS:
        for probe in PROBES:
            if c := comparison(profile, first, second, SCORED.format(pool=pool).format(probe), "control_pooling"):
                found.append({**c, "probe": f"{pool}, {probe}"})
    return found


def gap_table(gaps: list[dict]) -> pd.DataFrame:
    """``pool_gaps`` as it is read: one line a probe, one column a pool, cells as in ``tables.in_words``."""
    cells: dict[str, dict[str, str]] = {}
    for c in gaps:
        pool, probe = c["probe"].split(", ")
        cells.setdefault(pool, {})[probe] = in_words(c)
    return pd.DataFrame(cells)


def control_sweep(profile: Profile) -> pd.DataFrame:
    """One line a point of the sweep, method, pool and probe, each on training subjects left out in turn.

    ``base``: the profile's own setting. ``over base`` with its 95 % interval over clips: this point less the base, the
    same method, pool and probe; ``over random``: dense less the random encoder of the same size; ``beyond random``: how
    much more dense gains over its base than random over its own. Points whose dense run is missing are left out.
    """
    groups: dict[tuple[str, str], list[Point]] = {}
    for point in sweep_points(profile, main_dataset(profile)):
        groups.setdefault((point.axis, point.value), []).append(point)
    rows = {
        at: {method: _by_seed([getattr(point, method) for point in points]) for method in ("dense", "random")}
        for at, points in groups.items()
    }
    base = next((rows[at] for at, points in groups.items() if points[0].base), {"dense": {}, "random": {}})
    frames = []
    for (axis, value), points in groups.items():
        own = rows[axis, value]
        if not own["dense"]:
            continue
        for method in ("dense", "random"):
            for pool in POOLS:
                frame = measured(
                    profile, [getattr(point, method) for point in points], setting=LEFT_OUT.format(pool=pool)
                )
                if not len(frame):
                    continue
                key = LEFT_OUT.format(pool=pool)
                over = [
                    _told(paired(own[method], base[method], key.format(probe)), "base") if not points[0].base else {}
                    for probe in frame["probe"]
                ]
                beside = [
                    _told(paired(own["dense"], own["random"], key.format(probe)), "random") if method == "dense" else {}
                    for probe in frame["probe"]
                ]
                more = [
                    _told(_gain(own, base, key.format(probe)), "random", "beyond")
                    if method == "dense" and not points[0].base
                    else {}
                    for probe in frame["probe"]
                ]
                frame["method"] = method
                frame = pd.concat(
                    [
                        frame,
                        pd.DataFrame(
                            [
                                {
                                    **_told({}, "base"),
                                    **_told({}, "random"),
                                    **_told({}, "random", "beyond"),
                                    **a,
                                    **b,
                                    **c,
                                }
                                for a, b, c in zip(over, beside, more)
                            ]
                        ),
                    ],
                    axis=1,
                )
                for at, (name, entry) in enumerate(
                    {"axis": axis, "value": value, "base": points[0].base, "pool": pool}.items()
                ):
                    frame.insert(at, name, entry)
                frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _by_seed(specs: list) -> dict[int, dict]:
    return {spec.seed: row for spec in specs if (row := load_row(spec))}


def _gain(own: dict, base: dict, probe: str) -> dict:
    """(dense here - dense of the base) - (random here - random of the base), on the same clips and seeds, by the
    bootstrap; {} where a row lacks."""
    seeds = sorted(set.intersection(*(set(rows[method]) for rows in (own, base) for method in ("dense", "random"))))
    if not seeds:
        return {}
    right = {
        (at, method): correct_matrix([rows[method][seed] for seed in seeds], probe).astype(float)
        for at, rows in (("own", own), ("base", base))
        for method in ("dense", "random")
    }
    return paired_bootstrap(
        right["own", "dense"] + right["base", "random"], right["base", "dense"] + right["own", "random"]
    )


def _told(found: dict, beside: str, over: str = "over") -> dict:
    """A comparison as columns: ``over base``, ``over base low``, ``over base high``; NaN without one."""
    return {
        f"{over} {beside}": found.get("difference", np.nan),
        f"{over} {beside} low": found.get("low", np.nan),
        f"{over} {beside} high": found.get("high", np.nan),
    }


def sweep_table(frame: pd.DataFrame, pool: str = "mean", probe: str = "converged") -> pd.DataFrame:
    """``control_sweep`` under one pool and probe as it is read: one line a point, dense, random, and the two
    differences with intervals.

    A star marks a difference whose interval does not hold zero; the base is written in brackets.
    """
    chosen = frame[(frame["pool"] == pool) & (frame["probe"] == probe)]
    lines = {}
    for (axis, value), part in chosen.groupby(["axis", "value"], sort=False):
        part = part.set_index("method")
        line = {
            method: f"{part.loc[method, 'accuracy']:.3f}" if method in part.index else ""
            for method in ("dense", "random")
        }
        for name, beside in (("dense over base", "base"), ("dense over random", "random")):
            line[name] = _difference(part.loc["dense"], beside) if "dense" in part.index else ""
        lines[axis, f"({value})" if part["base"].iloc[0] else value] = line
    return pd.DataFrame.from_dict(lines, orient="index")


def _difference(line: pd.Series, beside: str) -> str:
    if np.isnan(line[f"over {beside}"]):
        return ""
    low, high = line[f"over {beside} low"], line[f"over {beside} high"]
    return f"{line[f'over {beside}']:+.2f} [{low:+.2f}, {high:+.2f}]{'' if undecided(line, beside) else ' *'}"


def undecided(line: pd.Series, beside: str, over: str = "over") -> bool:
    """Does the interval of a difference hold zero, to three digits? An interval that is not there decides nothing."""
    low, high = line[f"{over} {beside} low"], line[f"{over} {beside} high"]
    return not (round(low, 3) > 0 or round(high, 3) < 0)


MOVERS = {
    "MOVES DENSE": "dense reads otherwise than at the base, by more than the interval over clips, and gains or loses more than the random encoder of the same size, by more than its interval",
    "NO MORE THAN RANDOM": "dense reads otherwise than at the base; that this is more than what the random encoder gains or loses is not shown",
    "undecided": "the interval of dense less its base holds zero",
}
MOVES, ALL, UNCERTAIN = MOVERS


def legend_of_movers() -> pd.DataFrame:
    """What each word of MOVERS means, for a reader."""
    return pd.DataFrame({"means": MOVERS}).rename_axis("word")


def movers(frame: pd.DataFrame, probe: str = "converged", pool: str = "mean") -> dict[str, str]:
    """For each axis that has been run, in words, what each value adds to dense: one of MOVERS a value."""
    chosen = frame[(frame["pool"] == pool) & (frame["probe"] == probe) & ~frame["base"]]
    base = frame[frame["base"] & (frame["method"] == "random")]["runs"]
    own_random, told = base.iloc[0] if len(base) else "", {}
    for axis, part in chosen.groupby("axis", sort=False):
        said = []
        for _, line in part[part["method"] == "dense"].iterrows():
            same = part[(part["method"] == "random") & (part["value"] == line["value"])]
            beside = same["over base"].iloc[0] if len(same) and same["runs"].iloc[0] != own_random else np.nan
            alike = undecided(line, "random", "beyond") or np.sign(line["beyond random"]) != np.sign(line["over base"])
            word = UNCERTAIN if undecided(line, "base") else ALL if alike else MOVES
            said.append(
                f"{line['value']} {line['over base']:+.2f}"
                + (f", random {beside:+.2f}" if np.isfinite(beside) else "")
                + f" ({word})"
            )
        told[axis] = "; ".join(said)
    return told
