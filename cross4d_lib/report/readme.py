"""The results section of README.md, written between its two markers from the tables, so that no number there is
typed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import ConfigError
from ..experiments import PROFILES, RESULTS
from . import paper

README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- results: written by `make report` -->", "<!-- end of results -->"


def _tables(name: str) -> list[Path]:
    """A table's files, one a profile that has it, the smallest profile first."""
    return [path for profile in PROFILES if (path := RESULTS / profile / "tables" / f"{name}.csv").is_file()]


def results_section() -> str:
    """Markdown: Table 1 under the paper's probe and the converged one, a column for each profile that has rows."""
    frames = {}
    for path in _tables("table01"):
        frames[path.parents[1].name] = pd.read_csv(path)
    lines = ["| method | paper: real MSR-Action3D, DINOv2-large, 24 x 2048 |", "|---|---|"]
    methods = list(dict.fromkeys(m for frame in frames.values() for m in frame["method"]))
    rows = {method: [method, _stated(method)] for method in ["chance", *methods]}
    for frame in frames.values():
        first = frame.iloc[0]
        for probe in ("linear", "converged"):
            lines[0] += f" {first['profile']}: **{first['kind']}** {first['data']}, {first['clip']}, {probe} probe |"
            lines[1] += "---|"
            rows["chance"].append(f"{first['chance']:.2f}")
            for method in methods:
                cell = frame[(frame["method"] == method) & (frame["probe"] == probe)]
                rows[method].append(_measured(cell.iloc[0]) if len(cell) else "")
    lines += ["| " + " | ".join(row) + " |" for row in rows.values()]
    return "\n".join(lines)


def paper_size_section() -> str:
    """Markdown: one seed at the paper's clip and encoder size, few epochs, where it has been run."""
    lines = []
    for path in _tables("control_paper_size"):
        frame = pd.read_csv(path)
        first, epochs = frame.iloc[0], frame["epochs"].max()
        lines += [
            f"| the paper's encoder and clip, {first['profile']}: **{first['kind']}** {first['data']}, {first['clip']}, {epochs} epochs, seed {first['seeds']} | paper, 100 epochs | linear | z-scored | converged |",
            "|" + "---|" * 5,
        ]
        for method in dict.fromkeys(frame["method"]):
            mine = frame[frame["method"] == method].set_index("probe")
            lines.append(
                "| "
                + " | ".join(
                    [
                        method,
                        _stated(method),
                        *(_measured(mine.loc[probe]) for probe in ("linear", "standardized", "converged")),
                    ]
                )
                + " |"
            )
    return "\n".join(lines)


def teachers_section() -> str:
    """Markdown: Table 2's lines of our trained teachers, under all three probes, where more than one of them has
    rows."""
    lines = ["| trained teacher | measured on | seeds | linear | z-scored | converged |", "|" + "---|" * 6]
    for path in _tables("table02"):
        frame = pd.read_csv(path, dtype={"seeds": str})
        frame = frame[~frame["method"].str.contains("UNTRAINED")]
        if frame["method"].str.startswith("dense").sum() <= frame["probe"].nunique():
            continue
        for method in dict.fromkeys(frame["method"]):
            mine = frame[frame["method"] == method].set_index("probe")
            first = mine.iloc[0]
            cells = [_measured(mine.loc[probe]) for probe in ("linear", "standardized", "converged")]
            lines.append(
                "| "
                + " | ".join(
                    [
                        method,
                        f"{first['profile']}: **{first['kind']}** {first['data']}, {first['clip']}",
                        first["seeds"],
                        *cells,
                    ]
                )
                + " |"
            )
    return "\n".join(lines) if len(lines) > 2 else ""


def dense_section() -> str:
    """Markdown: what single points say (Tables 6 and 16), one line a task and dataset, for each profile that has
    rows."""
    methods = ("random", "global", "dense, zero-shot", "dense")
    lines = ["| task | measured on | guessing | " + " | ".join(methods) + " |", "|" + "---|" * (3 + len(methods))]
    tasks = (
        ("table06", "class of every point, short linear head on frozen features, mIoU", "mIoU", "setting", "linear"),
        ("table06", "class of every point, converged linear head, mIoU", "mIoU", "setting", "converged"),
        ("table16", "the same point 8 frames later, acc@.02", "accuracy", "compared by", "cosine"),
    )
    for table, task, metric, column, setting in tasks:
        for path in _tables(table):
            frame = pd.read_csv(path)
            if table == "table16":
                frame = frame[frame["gap"] == frame["gap"].min()]
            for data in dict.fromkeys(frame["data"]):
                mine = frame[frame["data"] == data]
                shown = mine[mine[column] == setting].set_index("method")
                first = mine.iloc[0]
                guess = first["chance"] if "chance" in mine else mine[mine["setting"] == "no features"][metric].iloc[0]
                cells = [_measured(shown.loc[method], metric) if method in shown.index else "" for method in methods]
                lines.append(
                    "| "
                    + " | ".join(
                        [
                            task,
                            f"{first['profile']}: **{first['kind']}** {data}, {first['clip']}",
                            f"{guess:.2f}",
                            *cells,
                        ]
                    )
                    + " |"
                )
    return "\n".join(lines) if len(lines) > 2 else ""


def _stated(method: str) -> str:
    mean, deviation = paper.TABLE_1["msr-action3d"].get(method, (None, None))
    return "" if mean is None else f"{mean:.2f}" + (f" ± {deviation:.2f}" if deviation else "")


def _measured(line: pd.Series, metric: str = "accuracy") -> str:
    spread = "" if np.isnan(line["std"]) else f" ± {line['std']:.2f}"
    return f"{line[metric]:.2f}{spread} [{line['low']:.2f}, {line['high']:.2f}]"


def with_results(text: str) -> str:
    """README text with its results section made anew. Raises ConfigError when the markers are gone."""
    if BEGIN not in text or END not in text:
        raise ConfigError(
            "the markers of the results section are missing",
            README.name,
            f"put {BEGIN} and {END} on lines of their own",
        )
    before, rest = text.split(BEGIN)
    sections = "\n\n".join(filter(None, (results_section(), paper_size_section(), teachers_section(), dense_section())))
    return f"{before}{BEGIN}\n\n{sections}\n\n{END}{rest.split(END)[1]}"
