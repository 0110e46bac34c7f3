"""What a table's rows show: comparisons of its lines by ``evaluation.statistics``, and findings of one sentence each.

A table's claims and its primary reading are declared in the registry. Verdicts are those of ``statistics.VERDICTS``.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from ..evaluation.statistics import VERDICTS, Comparison, compare
from ..experiments import ARTIFACTS, Claim, Line, Profile
from .tables import COORDINATES, FEATURES, PLACES, Rows, counted, readings_of, rows_of, shown_profiles, statistic_of

STUCK = 0.8  # a loss that ends above this share of its first epoch's has hardly fallen
FINDING = (
    "{claim} on {data}{older}: {verdict} ({first} − {second} {difference:+.2f} [{low:+.2f}, {high:+.2f}], {reading}, "
    "seeds {seeds})."
)
INTERVAL = "{difference:+.2f} [{low:+.2f}, {high:+.2f}]"
CELL = INTERVAL + " {verdict}"


def side(line: Line, rows: Rows, key: str) -> dict[int, np.ndarray]:
    """What a line's rows count under a reading, by seed. A line that is named like a metric (targets, place) or like
    coordinates has no rows of its own: it stands in those of every other."""
    if line.pretext in COORDINATES:
        at = {"compared by": "distance", "gap": FEATURES[key]["gap"]}
        key = next(name for name, place in PLACES.items() if place == at and name.startswith(line.pretext))
    return {
        seed: counted(row, line.pretext if line.pretext in row.metrics else key)
        for seed, row in rows.items()
        if key in row.metrics or line.pretext in row.metrics
    }


def comparison(name: str, profile: Profile, first: Line, second: Line, on: str = "") -> dict[str, Comparison]:
    """Two lines of a table on a dataset (the first that has both), under every reading, the primary one first: its
    verdict takes the others as secondary. {} where either has no rows."""
    rows = rows_of(name, profile)
    for data in [on] if on else dict.fromkeys(data for data, _ in rows):
        every = [own for (of, _), own in rows.items() if of == data]
        pair = [rows.get((data, line), {}) for line in (first, second)]
        shared = [own for own in (*pair, *every) if own][:1]
        pair = [own or (shared[0] if without_rows(line, shared) else {}) for own, line in zip(pair, (first, second))]
        if all(pair):
            return compared(name, first, second, *pair)
    return {}


def without_rows(line: Line, shared: list[Rows]) -> bool:
    """Is the line one that stands in the rows of every other?"""
    return bool(shared) and (line.pretext in COORDINATES or line.pretext in next(iter(shared[0].values())).metrics)


def compared(name: str, first: Line, second: Line, a: Rows, b: Rows) -> dict[str, Comparison]:
    row, primary, found = next(iter(a.values())), ARTIFACTS[name].primary, {}
    keys = sorted(readings_of(name, row), key=lambda key: key == primary)  # the primary one last
    for key in [primary] if first.pretext in row.metrics else keys:
        secondary = list(found.values()) if key == primary else ()
        groups, statistic = row.subjects, statistic_of(row, key)
        found[key] = compare(side(first, a, key), side(second, b, key), groups, statistic, secondary)
    return dict(reversed(found.items()))


def claims_of(name: str, profile: Profile) -> tuple[Claim, ...]:
    claims = ARTIFACTS[name].claims
    return claims(profile) if callable(claims) else claims


def comparisons(name: str, profile: Profile, claims: tuple[Claim, ...] | None = None) -> pd.DataFrame:
    """The claims of a table (or others) on every dataset it has, under every reading: one line a comparison; the first
    claim's primary reading is ``primary``, all else ``secondary``."""
    rows, found = rows_of(name, profile), []
    for claim in claims_of(name, profile) if claims is None else claims:
        for data in dict.fromkeys(data for data, _ in rows):
            several = comparison(name, profile, claim.first, claim.second, data) if claim.on in ("", data) else {}
            own = [*rows.get((data, claim.first), {}).values(), *rows.get((data, claim.second), {}).values()]
            own = own or [row for (of, _), every in rows.items() if of == data for row in every.values()]
            for key, c in several.items():
                about = {"data": data, "claim": claim.says, "first": str(claim.first), "second": str(claim.second)}
                about |= {"reading": key, "role": "secondary" if found else "primary"}
                numbers = {field: getattr(c, field) for field in ("difference", "low", "high", "verdict", "clips")}
                seeds = {"seeds": " ".join(map(str, c.seeds)), "by seed": " ".join(f"{d:+.3f}" for d in c.by_seed)}
                code = "current" if all(row.is_current for row in own) else "older"
                found.append(about | numbers | seeds | {"profile": profile.name, "code": code})
    return pd.DataFrame(found)


def verdict_table(frame: pd.DataFrame) -> pd.DataFrame:
    """``comparisons`` as it is read: one line a claim and dataset, one column a reading, the primary one first."""
    cells: dict[tuple, dict] = {}
    for line in frame.to_dict("records"):
        at = (line["profile"], line["data"], f"{line['first']} − {line['second']}")
        about = {"seeds": len(line["seeds"].split()), "code": line["code"]}
        cells.setdefault(at, about)[line["reading"]] = CELL.format(**line)
    shown = pd.DataFrame.from_dict(cells, orient="index")
    return shown[[*shown.columns[2:], *shown.columns[:2]]] if cells else shown


def primary_table(*names: str) -> pd.DataFrame:
    """The claims of tables by their primary readings, for every profile that has rows: one line a claim and dataset,
    "not run" (and the table's name) where it has no rows. Empty where no profile has any."""
    found: dict[tuple, dict] = {}
    for profile, name in product(shown_profiles(), names):
        primary = ARTIFACTS[name].primary
        lines = [line for line in comparisons(name, profile).to_dict("records") if line["reading"] == primary]
        for claim in claims_of(name, profile):
            pair = (str(claim.first), str(claim.second))
            own = [c for c in lines if (c["first"], c["second"]) == pair and claim.on in ("", c["data"])]
            for c in own or [{"data": claim.on or name, "verdict": "not run", "seeds": "", "code": ""}]:
                cells = {"difference": INTERVAL.format(**c) if c["seeds"] else "", "verdict": c["verdict"]}
                about = {"reading": primary, "seeds": len(c["seeds"].split()), "code": c["code"]}
                found[profile.name, c["data"], " − ".join(pair)] = {"claim": claim.says} | cells | about
    return pd.DataFrame.from_dict(found, orient="index")


def finding(line: dict) -> str:
    """One sentence on a line of ``comparisons``."""
    older = ", older code" if line["code"] == "older" else ""
    return FINDING.format(**line | {"claim": line["claim"][0].upper() + line["claim"][1:], "older": older})


def findings(name: str, profile: Profile) -> list[str]:
    """A sentence a claim and dataset of a table, by its primary reading, the primary claim first."""
    frame = comparisons(name, profile)
    chosen = frame[frame["reading"] == ARTIFACTS[name].primary] if len(frame) else frame
    return [finding(line) for line in chosen.to_dict("records")]


def legend_of_verdicts() -> pd.DataFrame:
    """What each verdict means, for a reader."""
    return pd.DataFrame({"means": VERDICTS}).rename_axis("verdict")


def losses(name: str, profile: Profile) -> pd.DataFrame:
    """How far each student of a table learned: the cosine loss of the first and the last epoch, mean over seeds, and
    how many seeds are ``stuck`` (the last is still above STUCK of the first). A constant prediction costs 1 where
    targets are centred; a shuffled target has a floor of its own, for it cannot be predicted."""
    found = {}
    for (_, line), rows in rows_of(name, profile).items():
        curves = [row.measures["curve"]["cosine"] for row in rows.values() if "curve" in row.measures]
        if curves:
            ends = {"first epoch": np.mean([c[0] for c in curves]), "last epoch": np.mean([c[-1] for c in curves])}
            found[str(line)] = ends | {"stuck": sum(c[-1] > STUCK * c[0] for c in curves), "seeds": len(curves)}
    return pd.DataFrame.from_dict(found, orient="index")
