"""Notebook 15's picture: the controls in order, and the ways up from global to dense. Frames in, figure out."""

from __future__ import annotations

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .control_tables import PATHS
from .dots import PROBE_MARKS, SPREAD
from .style import INK, MUTED, SMALL, WIDTH, look
from .tables import PROBES
from .task_plots import refuse_empty, stand_in

ENDS = ("dense", "global", "random")  # the three lines of Table 1, in bold


@look
def lever_figure(frame: pd.DataFrame, note: str = "") -> Figure:
    """Left: every line of ``control_tables.control_targets``, the best on top (mean over the probes), with intervals
    over clips. Right: the paths of PATHS from global up to dense, on the seeds that all their stations have; what a
    step adds stands below it, with the mean rise over the probes.

    A shade marks the way from global to dense under the paper's probe. A path one of whose stations has not been run
    breaks off there. Raises DataError on an empty frame.
    """
    refuse_empty(frame, "control_targets")
    wide = frame.pivot(index="method", columns="probe", values="accuracy")
    order = wide.mean(axis=1).sort_values(ascending=False).index
    figure = Figure(figsize=(WIDTH, max(0.45 * len(order), 2.8 * len(PATHS)) + 2.2), layout="constrained")
    grid = figure.add_gridspec(len(PATHS), 2, width_ratios=(1.1, 1))
    ax = figure.add_subplot(grid[:, 0])
    if {"dense", "global"} <= set(order):
        ax.axvspan(*sorted(wide.loc[["global", "dense"], "linear"]), color="#EEEEEE", zorder=0)
    for _, line in frame.iterrows():
        colour, marker = PROBE_MARKS[line["probe"]]
        y = order.get_loc(line["method"]) + SPREAD * (list(PROBE_MARKS).index(line["probe"]) - 1)
        ax.hlines(y, line["low"], line["high"], color=colour, linewidth=1.6)
        ax.plot(line["accuracy"], y, marker, color=colour, markersize=6)
    ax.axvline(frame["chance"].iloc[0], color=MUTED, linestyle=":", linewidth=1.4)
    ax.set(
        yticks=range(len(order)),
        yticklabels=[m.replace(" (", "\n(") for m in order],
        ylim=(len(order) - 0.5, -0.6),
        xlim=(0, min(1, frame["high"].max() + 0.04)),
        xlabel="accuracy",
    )
    for label, method in zip(ax.get_yticklabels(), order):
        label.set_fontweight("bold" if method in ENDS else "normal")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    first = frame.sort_values("epochs").iloc[-1]  # a trained one
    seeds = max(frame["seeds"], key=len)
    fewer = " (some lines fewer)" if (frame["seeds"] != seeds).any() else ""
    ax.set_title(
        f"{first['profile']}: {stand_in(frame)}, {first['clip']}, {first['epochs']} epochs\n{first['clips_evaluated']} test clips, seeds {seeds}{fewer}"
        + (f"; {note}" if note else ""),
        fontsize=SMALL + 0.5,
    )
    panels = [figure.add_subplot(grid[row, 1]) for row in range(len(PATHS))]
    drawn = pd.concat([draw_path(panel, frame, path) for panel, path in zip(panels, PATHS)])
    low, high = drawn.min(axis=None), drawn.max(axis=None)
    reach = max(high - low, 0.1)
    for panel in panels:  # below the lines stands what a step adds
        panel.set(
            ylim=(low - 0.55 * reach, high + 0.1 * reach),
            yticks=[tick / 10 for tick in range(11) if low - 0.05 < tick / 10 < high + 0.1 * reach],
            ylabel="accuracy",
        )
    keys = [Line2D([], [], color=c, marker=m, label=PROBES[p]) for p, (c, m) in PROBE_MARKS.items()]
    keys.append(Line2D([], [], color=MUTED, linestyle=":", label="chance"))
    keys.append(Line2D([], [], color="#EEEEEE", linewidth=8, label="from global to dense, the paper's probe"))
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys))
    said = ", ".join(f"{method} {wide.loc[method, 'linear']:.2f}" for method in order)
    figure.set_label(
        f"Dot plot of accuracies with intervals, targets down, three probes each, on {stand_in(frame)}; under the paper's probe: {said}. Beside it line plots that lead from global to dense over controls that add one thing at a time."
    )
    return figure


def draw_path(ax: Axes, frame: pd.DataFrame, path: str) -> pd.DataFrame:
    """One line a probe through the stations global, ... of a path, as far as they have been run, on the seeds that
    these share; below, what each step adds, and its rise, the mean over the probes. Returns what is drawn, (stations,
    probes)."""
    steps = PATHS[path]
    stations = ["global", *(method for _, method in steps)]
    part = frame[frame["method"].isin(stations)]
    by_seed = {
        (line["method"], line["probe"]): dict(zip(line["seeds"].split(), map(float, line["each"].split())))
        for _, line in part.iterrows()
    }
    common = sorted(set.intersection(*map(set, by_seed.values()))) if by_seed else []
    mean = {at: np.mean([found[seed] for seed in common]) for at, found in by_seed.items()} if common else {}
    values = pd.DataFrame(
        {probe: [mean.get((station, probe), np.nan) for station in stations] for probe in PROBE_MARKS}
    )
    for probe, (colour, marker) in PROBE_MARKS.items():
        ax.plot(values[probe].to_numpy(), marker=marker, color=colour, markersize=6)
    short = [
        method.removeprefix("dense (").removesuffix(")") if method.startswith("dense (") else method
        for method in stations
    ]
    ax.set_xticks(
        range(len(stations)),
        [
            name.replace(" (", "\n(")
            .replace("broadcast ", "broadcast\n")
            .replace("shuffled ", "shuffled\n")
            .replace("position ", "position\n")
            for name in short
        ],
        fontsize=SMALL - 0.5,
    )
    for k, (added, _) in enumerate(steps):
        rise = np.mean(values.iloc[k + 1] - values.iloc[k])
        told = "" if np.isnan(rise) else f"\n{round(rise, 2) + 0.0:+.2f}"
        ax.text(
            k + 0.5,
            0.02,
            fill(f"+ {added}", 48 // len(steps)) + told,
            transform=ax.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=SMALL - 1,
            color=MUTED,
        )
    ax.set_xlim(-0.35, len(stations) - 0.65)
    ax.yaxis.grid(False)  # it would run through the words
    seeds = f"seed{'s' * (len(common) > 1)} {' '.join(common)}" if common else "not run"
    ax.set_title(f"{fill(path, 50)}\n({seeds})", fontsize=SMALL + 0.5, color=INK)
    return values
