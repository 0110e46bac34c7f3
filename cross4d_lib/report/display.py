"""Tables as a reader sees them: a column a source of numbers, whose heading says what it is."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..experiments import ARTIFACTS
from . import paper
from .tables import tables_of

KEYS = ("source", "target", "method", "pool", "compared by", "gap", "setting", "probe")  # what identifies a cell
ABOUT = (
    "kind",
    "data",
    "clip",
    "clips_trained",
    "clips_evaluated",
    "epochs",
    "teacher",
    "seeds",
    "device",
    "precision",
)
SOURCES = [*ABOUT, "commit", "dirty", "code", "date", "runs"]
HEADING = "{profile}: {kind} {data}, {clip}, {clips_evaluated} clips{untrained}{older}"
PAPER = "paper: {data}, {teacher}, {frames} x {points}"


def value_of(frame: pd.DataFrame) -> str:
    """The column that holds a table's values."""
    return next(name for name in ("accuracy", "mIoU", "coverage") if name in frame)


def cell(line: dict, value: str = "accuracy", digits: int = 2) -> str:
    """``mean ± deviation [low, high]``."""
    spread = "" if np.isnan(line.get("std", np.nan)) else f" ± {line['std']:.{digits}f}"
    sure = "" if np.isnan(line.get("low", np.nan)) else f" [{line['low']:.2f}, {line['high']:.2f}]"
    return f"{line[value]:.{digits}f}{spread}{sure}"


def heading(line: dict, lines: list[dict]) -> str:
    """What a column's numbers are: profile, kind of data, clip, number of clips, and whether by older code."""
    older = ", older code" if any(each["code"] == "older" for each in lines) else ""
    return HEADING.format(**line | {"kind": line["kind"].upper(), "untrained": "", "older": older})


def side_by_side(name: str, teacher: str = "DINOv2-large") -> pd.DataFrame:
    """A table of the registry: the paper's column, headed by its data, ``teacher`` and clip, and a column each dataset
    and profile that has rows, ``mean ± std [low, high]``. A cell with fewer seeds than others of its column says how
    many. The paper has no column where it has no value."""
    columns, stated, head = {}, {}, ""
    for frame in tables_of(name).values():
        keys = [key for key in KEYS if key in frame]
        for _, part in frame.groupby(["data", "clip"], sort=False):
            lines = part.to_dict("records")
            most = max(len(line["seeds"].split()) for line in lines)
            title = heading(max(lines, key=lambda line: line["epochs"]), lines)
            column = columns.setdefault(title, {("chance", *[""] * (len(keys) - 1)): f"{lines[0]['chance']:.3f}"})
            for line in lines:
                at, seeds = (
                    tuple(line[key] for key in sorted(keys, key=lambda key: key != "method")),
                    len(line["seeds"].split()),
                )
                fewer = f", {seeds} of {most} seeds" if 0 < seeds < most else ""
                column[at] = cell(line, value_of(frame), 3) + fewer
                if not np.isnan(line["paper"]):
                    own = paper.as_in_paper(line["data"])
                    head = PAPER.format(data=own, teacher=teacher, **paper.TABLE_8[own])
                    stated[at] = f"{line['paper']:.3g}"
    order = list(dict.fromkeys(at for column in columns.values() for at in column))
    order.sort(key=lambda at: at[0] != "chance")
    every = ({head: stated} if stated else {}) | columns
    shown = pd.DataFrame({title: {at: column.get(at, "") for at in order} for title, column in every.items()})
    if order:
        shown.index = pd.MultiIndex.from_tuples(order, names=sorted(keys, key=lambda key: key != "method"))
    return shown


def sources(frame: pd.DataFrame) -> pd.DataFrame:
    """Where a table's numbers come from, one column a method: ``runs`` are the names of the rows in
    results/<profile>/runs."""
    lines = frame.drop_duplicates("method").set_index("method")[SOURCES]
    return lines.assign(date=lines["date"].str.slice(0, 16)).T  # to the minute


def markdown(frame: pd.DataFrame) -> str:
    """A frame with its index as a Markdown table."""
    flat = frame.reset_index()
    rows = [flat.columns, ["---"] * len(flat.columns), *flat.astype(str).to_numpy()]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def title_of(name: str) -> str:
    return ARTIFACTS[name].title
