"""Tables as a reader sees them: a column a source of numbers, whose heading says what it is."""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import paper
from .tables import tables_of

KEYS = ("method", "windows", "compared by", "gap", "setting", "probe")  # what identifies a cell
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
HEADING = "{profile}: {kind} {data}, {clip}, {clips_evaluated} clips{older}"
PAPER = "PAPER: {data}, {teacher}, {frames} x {points}"


def value_of(frame: pd.DataFrame) -> str:
    """The column that holds a table's values, "" for none."""
    return next((name for name in ("accuracy", "mIoU", "coverage") if name in frame and "paper" in frame), "")


def cell(line: dict, value: str = "accuracy", digits: int = 2) -> str:
    """``mean ± deviation [low, high]``."""
    spread = "" if np.isnan(line.get("std", np.nan)) else f" ± {line['std']:.{digits}f}"
    sure = "" if np.isnan(line.get("low", np.nan)) else f" [{line['low']:.2f}, {line['high']:.2f}]"
    return f"{line[value]:.{digits}f}{spread}{sure}"


def heading(lines: list[dict]) -> str:
    """What a column's numbers are: profile, kind of data, clip, number of clips, and whether by older code."""
    older = ", older code" if any(line["code"] == "older" for line in lines) else ""
    return HEADING.format(**lines[0] | {"kind": lines[0]["kind"].upper(), "older": older})


def side_by_side(name: str, teacher: str = "DINOv2-large") -> pd.DataFrame:
    """A table of the registry: the paper's columns, headed by their data, ``teacher`` and clip, and a column each
    dataset and profile that has rows, ``mean ± std [low, high]``. A cell with fewer seeds than others of its column
    says how many. Tables whose lines are not accuracies, mIoU or coverage (8, 9) are shown as they are."""
    columns, stated, keys, frames = {}, {}, [], tables_of(name)
    if frames and not value_of(next(iter(frames.values()))):
        return pd.concat(frames.values()).drop_duplicates().pipe(lambda frame: frame.set_index(frame.columns[0]))
    for frame in frames.values():
        value = value_of(frame)
        keys = [key for key in KEYS if key in frame]
        for _, part in frame.groupby(["data", "clip"], sort=False):
            lines = part.to_dict("records")
            most = max(len(line.get("seeds", "").split()) for line in lines)
            column = columns.setdefault(heading(lines), {})
            if "chance" in part:
                column["chance", *[""] * (len(keys) - 1)] = f"{lines[0]['chance']:.3f}"
            for line in lines:
                at, seeds = tuple(line[key] for key in keys), len(line.get("seeds", "").split())
                column[at] = cell(line, value, 3) + (f", {seeds} of {most} seeds" if 0 < seeds < most else "")
                if not np.isnan(line["paper"]):
                    own = paper.as_in_paper(line["data"])
                    head = PAPER.format(data=own, teacher=teacher, **paper.TABLE_8[own])
                    stated.setdefault(head, {})[at] = f"{line['paper']:.3g}"
    order = list(dict.fromkeys(at for column in columns.values() for at in column))
    order.sort(key=lambda at: at[0] != "chance")
    every = stated | columns
    shown = pd.DataFrame({title: {at: column.get(at, "") for at in order} for title, column in every.items()})
    if order:
        shown.index = pd.MultiIndex.from_tuples(order, names=keys)
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
