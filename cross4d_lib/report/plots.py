"""Plots of accuracies: methods with intervals, the calibration of the probe, transfer. Frames of ``tables.table`` in,
figures out.

Each returns a Figure whose label is its alt text. A filled marker is our mean over seeds, its line the 95 % interval
over subjects, clips and seeds; a hollow star is the paper's value, the dotted line chance.
"""

from __future__ import annotations

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from ..errors import DataError
from .paper import as_in_paper
from .style import ANCHOR, BLACK, BLUE, GREEN, MUTED, ORANGE, SCALAR, SMALL, WIDTH, look
from .tables import CALIBRATED, PROBES

PROBE_STYLE = {"linear": (BLUE, "o"), "standardized": (ORANGE, "s"), "converged": (GREEN, "D")}
SPREAD = 0.22  # rows between the probes of one method
STAR = {"linestyle": "", "marker": "*", "markersize": 12, "markerfacecolor": "white", "zorder": 5}


def refuse_empty(frame: pd.DataFrame, what: str) -> None:
    """Raises DataError on a table without lines: none of its runs has been run."""
    if not len(frame):
        raise DataError(f"no rows for {what}", what, "run its artifact first; `cross4d reproduce` names them")


def data_label(frame: pd.DataFrame) -> str:
    """The data of a table's first line, with its stand-in sign, and a word on rows of older code."""
    first = frame.iloc[0]
    kind = " (STAND-IN)" if first["kind"].startswith("synthetic") else ""
    return f"{first['data']}{kind}{', older code' if (frame['code'] == 'older').any() else ''}"


def probe_keys(**options) -> list[Line2D]:
    return [Line2D([], [], color=c, marker=m, label=PROBES[p], **options) for p, (c, m) in PROBE_STYLE.items()]


def chance_line(ax: Axes, frame: pd.DataFrame) -> Line2D:
    """Draw chance; returns its key."""
    ax.axvline(frame["chance"].iloc[0], color=MUTED, linestyle=":", linewidth=1.4)
    return Line2D([], [], color=MUTED, linestyle=":", label="chance")


def star(ax: Axes, x, y, colour: str = BLACK) -> None:
    ax.plot(x, y, **STAR, markeredgecolor=colour, markeredgewidth=1.2)


def paper_key(label: str) -> Line2D:
    return Line2D([], [], color=BLACK, **STAR, label=label)


def wrapped(method: str) -> str:
    return method.replace(" (", "\n(")


def draw_methods(ax: Axes, frame: pd.DataFrame, methods: list[str]) -> None:
    """Methods down, a marker a probe, with intervals; a method with fewer seeds than others says how many."""
    seeds = frame.groupby("method")["seeds"].first().str.split().str.len()
    fewer = {name: f"\n{n} of {seeds.max()} seeds" for name, n in seeds.items() if n < seeds.max()}
    for line in frame.to_dict("records"):
        colour, marker = PROBE_STYLE[line["probe"]]
        y = methods.index(line["method"]) + SPREAD * (list(PROBE_STYLE).index(line["probe"]) - 1)
        ax.hlines(y, line["low"], line["high"], color=colour, linewidth=1.6)
        ax.plot(line["accuracy"], y, marker, color=colour, markersize=6)
        if not np.isnan(line["paper"]):
            star(ax, line["paper"], y)
    ax.set(
        yticks=range(len(methods)),
        yticklabels=[wrapped(method) + fewer.get(method, "") for method in methods],
        xlabel="accuracy",
    )
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


@look
def accuracy_plot(frames: list[pd.DataFrame]) -> Figure:
    """One panel a frame: methods down, one marker shape a probe."""
    rows = max(frame["method"].nunique() for frame in frames)
    figure = Figure(figsize=(WIDTH, 0.55 * rows + 1.9), layout="constrained")
    panels, described = figure.subplots(1, len(frames), squeeze=False, sharex=True)[0], []
    for ax, frame in zip(panels, frames):
        draw_methods(ax, frame, list(dict.fromkeys(frame["method"])))
        chance, first = chance_line(ax, frame), frame.iloc[0]
        ax.set(ylim=(rows - 0.45, -0.55), xlim=(0, 1))
        about = fill(f"{first['profile']}: {data_label(frame)}", 110 // len(frames))
        ax.set_title(f"{about}\n{first['clip']}, {first['clips_evaluated']} test clips", fontsize=SMALL + 1)
        best = frame[frame["probe"] == "linear"].sort_values("accuracy", ascending=False)
        values = ", ".join(f"{method} {value:.2f}" for method, value in zip(best["method"], best["accuracy"]))
        described.append(f"{first['profile']} on {data_label(frame)}: under the paper's probe {values}.")
    stated = dict.fromkeys(as_in_paper(frame["data"].iloc[0]) for frame in frames if frame["paper"].notna().any())
    keys = [*probe_keys(), *([paper_key(f"paper ({', '.join(stated)})")] if stated else []), chance]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys))
    head = "Accuracies with intervals, methods down, three probes a method."
    figure.set_label(" ".join([head, *described]))
    return figure


def cell_text(ax: Axes, column: float, row: float, value: float, text: str, **options) -> None:
    """Text on a cell of a cividis table, white on dark."""
    ax.text(column, row, text, ha="center", va="center", color="white" if value < 0.5 else BLACK, **options)


@look
def transfer_matrix(frame: pd.DataFrame, probe: str = "standardized", note: str = "") -> Figure:
    """Accuracy by source (rows, ``random`` last) and target (columns) under one probe (``table12``).

    Shades run from 0 to 1 in every figure. The same source and target are framed; the paper's value stands small below
    ours where the frame has one. Raises DataError on an empty frame or an unknown probe.
    """
    frame = frame[frame["probe"] == probe] if len(frame) else frame
    refuse_empty(frame, f"table12 under {probe}")
    targets = list(dict.fromkeys(frame["target"]))
    sources = sorted(dict.fromkeys(frame["source"]), key=lambda source: source == "random")
    figure = Figure(figsize=(WIDTH, 0.85 * len(sources) + 1.5), layout="constrained")
    ax, chance = figure.subplots(), frame.groupby("target")["chance"].first()
    shades = frame.pivot(index="source", columns="target", values="accuracy").reindex(index=sources, columns=targets)
    for line in frame.to_dict("records"):
        r, c, value = sources.index(line["source"]), targets.index(line["target"]), line["accuracy"]
        spread = "" if np.isnan(line["std"]) else f" ± {line['std']:.2f}"
        up = 0 if np.isnan(line["paper"]) else 0.1
        cell_text(ax, c, r - up, value, f"{value:.2f}{spread}", fontsize=13, fontweight="bold")
        if up:
            cell_text(ax, c, r + 0.27, value, f"paper {line['paper']:.2f}", fontsize=SMALL)
        if line["source"] == line["target"]:
            ax.add_patch(Rectangle((c - 0.48, r - 0.46), 0.96, 0.92, fill=False, edgecolor=ANCHOR, linewidth=3))
    image = ax.imshow(shades, cmap=SCALAR, vmin=0, vmax=1, aspect="auto")
    ax.set(ylabel="pretrained on", xlabel="probed on")
    ax.set_xticks(range(len(targets)), [f"{target}\n(chance {chance[target]:.2f})" for target in targets])
    ax.set_yticks(range(len(sources)), ["random\n(no pretraining)" if s == "random" else s for s in sources])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    figure.colorbar(image, ax=ax, label="accuracy", pad=0.01).outline.set_visible(False)
    older = "; older code" if (frame["code"] == "older").any() else ""
    about = f"{probe} probe, mean ± deviation over seeds; framed = its own dataset{older}"
    ax.set_title(about + (f"; {note}" if note else ""), fontsize=SMALL + 0.5)
    rows = (f"{s}: " + ", ".join(f"{t} {v:.2f}" for t, v in row.dropna().items()) for s, row in shades.iterrows())
    head = (
        f"Heat table of accuracy under the {probe} probe, rows what the encoder was pretrained on, columns the target."
    )
    figure.set_label(f"{head} {'; '.join(rows)}.")
    return figure


@look
def calibration_matrix(frame: pd.DataFrame, note: str = "") -> Figure:
    """Accuracies of one encoder without training (``control_calibration``): clips and windows of a video down, probes
    across, mean ± deviation over seeds; below a column the paper's value. Raises DataError on an empty frame."""
    refuse_empty(frame, "control_calibration")
    kinds = list(dict.fromkeys(zip(frame["clip"], frame["windows"])))
    probes = [probe for probe in CALIBRATED if probe in set(frame["probe"])]
    figure = Figure(figsize=(WIDTH, 0.62 * len(kinds) + 1.9), layout="constrained")
    ax = figure.subplots()
    shades = np.full((len(kinds), len(probes)), np.nan)
    for line in frame.to_dict("records"):
        r, c = kinds.index((line["clip"], line["windows"])), probes.index(line["probe"])
        shades[r, c] = line["accuracy"]
        spread = "" if np.isnan(line["std"]) else f" ± {line['std']:.2f}"
        cell_text(ax, c, r, line["accuracy"], f"{line['accuracy']:.2f}{spread}", fontsize=12, fontweight="bold")
    image = ax.imshow(shades, cmap=SCALAR, vmin=0, vmax=1, aspect="auto")
    stated = frame.groupby("probe")["paper"].first()
    heads = [fill(CALIBRATED[p], 16) + ("" if np.isnan(stated[p]) else f"\npaper {stated[p]:.2f}") for p in probes]
    ax.set_xticks(range(len(probes)), heads)
    seeds = frame.groupby(["clip", "windows"])["seeds"].first()
    names = [f"{clip}\n{count} window{'s' * (count > 1)}, seeds {seeds[clip, count]}" for clip, count in kinds]
    ax.set_yticks(range(len(kinds)), names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    figure.colorbar(image, ax=ax, label="accuracy", pad=0.01).outline.set_visible(False)
    first = frame.iloc[0]
    about = f"{first['profile']}: {data_label(frame)}, {first['clips_evaluated']} test videos"
    ax.set_title(about + (f"; {note}" if note else ""), fontsize=SMALL + 0.5)
    rows = "; ".join(
        f"{clip}, {count} windows: " + ", ".join(f"{p} {v:.2f}" for p, v in zip(probes, values) if not np.isnan(v))
        for (clip, count), values in zip(kinds, shades)
    )
    figure.set_label(f"Heat table of the accuracy of an untrained encoder, clips down, probes across. {rows}.")
    return figure
