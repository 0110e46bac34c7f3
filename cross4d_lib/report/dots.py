"""Accuracies as dots with their intervals: methods down, probes as marker shapes, a panel a source of data."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .paper import as_in_paper
from .style import BLACK, BLUE, GREEN, MUTED, ORANGE, SMALL, WIDTH, look
from .tables import PROBES

PROBE_MARKS = {"linear": (BLUE, "o"), "standardized": (ORANGE, "s"), "converged": (GREEN, "D")}
SPREAD = 0.22  # rows between the probes of one method


@look
def accuracy_dots(frames: list[pd.DataFrame]) -> Figure:
    """One panel a frame, as the table functions return them (``tables.table01`` and so on).

    A filled mark is our mean over seeds, its line the 95 % interval over test clips; a hollow star is the paper's value
    (other data, another teacher); the dotted line is chance.
    """
    rows = max(frame["method"].nunique() for frame in frames)
    figure = Figure(figsize=(WIDTH, 0.55 * rows + 1.9), layout="constrained")
    panels = figure.subplots(1, len(frames), squeeze=False, sharex=True)[0]
    said = []
    for ax, frame in zip(panels, frames):
        methods = list(dict.fromkeys(frame["method"]))
        for _, line in frame.iterrows():
            colour, marker = PROBE_MARKS[line["probe"]]
            y = methods.index(line["method"]) + SPREAD * (list(PROBE_MARKS).index(line["probe"]) - 1)
            ax.hlines(y, line["low"], line["high"], color=colour, linewidth=1.6)
            ax.plot(line["accuracy"], y, marker, color=colour)
            if not np.isnan(line["paper"]):
                ax.plot(line["paper"], y, "*", markerfacecolor="white", markeredgecolor=BLACK, markersize=11)
        ax.axvline(frame["chance"].iloc[0], color=MUTED, linestyle=":", linewidth=1.4)
        ax.set(
            yticks=range(len(methods)),
            yticklabels=[m.replace(" (", "\n(") for m in methods],
            ylim=(rows - 0.45, -0.55),
            xlim=(0, 1),
            xlabel="accuracy",
        )
        ax.grid(axis="x")
        first = frame.iloc[0]
        name = first["data"] + (" (STAND-IN)" if first["kind"].startswith("synthetic") else "")
        ax.set_title(
            f"{first['profile']}: {name}\n{first['clip']}, {first['clips_evaluated']} test clips", fontsize=SMALL + 1
        )
        best = frame[frame["probe"] == "linear"].sort_values("accuracy", ascending=False)
        said.append(
            f"{first['profile']} on {name}: under the paper's probe "
            + ", ".join(f"{m} {a:.2f}" for m, a in zip(best["method"], best["accuracy"]))
        )
    own = ", ".join(
        dict.fromkeys(as_in_paper(frame["data"].iloc[0]) for frame in frames if frame["paper"].notna().any())
    )
    keys = [Line2D([], [], color=c, marker=m, label=PROBES[p]) for p, (c, m) in PROBE_MARKS.items()]
    if own:
        keys.append(
            Line2D(
                [],
                [],
                color=BLACK,
                marker="*",
                markerfacecolor="white",
                markersize=11,
                linestyle="",
                label=f"paper ({own})",
            )
        )
    keys.append(Line2D([], [], color=MUTED, linestyle=":", label="chance"))
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys))
    figure.set_label(
        "Dot plot of accuracies with intervals, methods down, three probes a method. " + ". ".join(said) + "."
    )
    return figure
