"""Notebook 15's second picture: accuracy against each setting, one panel a setting. Frames in, figure out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .dots import PROBE_MARKS
from .style import INK, MUTED, SMALL, WIDTH, look
from .tables import PROBES
from .task_plots import refuse_empty, stand_in

ACROSS = 4  # panels a row
SHOWN = ("linear", "converged")  # probes


@look
def sweep_figure(frame: pd.DataFrame) -> Figure:
    """``sweep_tables.control_sweep`` as small panels of one height: how the tokens are pooled, then one panel an axis
    with its values rising.

    Filled and solid: dense. Hollow and dashed: the random encoder of the same size. A shade marks the profile's own
    setting, a grey bar the 95 % interval of dense there under the converged probe. Raises DataError on an empty frame.
    """
    refuse_empty(frame, "control_sweep")
    axes_of = {axis: part[part["pool"] == "mean"] for axis, part in frame.groupby("axis", sort=False)}
    axes_of = {axis: part for axis, part in axes_of.items() if part["value"].nunique() > 1}
    base = frame[frame["base"] & (frame["axis"] == frame["axis"].iloc[0])]
    panels = {"pooling in the probe": base.assign(value=base["pool"], base=base["pool"] == "mean"), **axes_of}
    rows = -(-len(panels) // ACROSS)
    figure = Figure(figsize=(WIDTH, 2.3 * rows + 1.1), layout="constrained")
    grid = figure.subplots(rows, ACROSS, squeeze=False, sharey=True).flatten()
    for ax, (axis, part) in zip(grid, panels.items()):
        draw_axis(ax, part)
        ax.set_title(axis, fontsize=SMALL + 0.5, color=INK)
    for ax in grid[len(panels) :]:
        ax.set_axis_off()
    shown = frame[frame["probe"].isin(SHOWN)]
    figure.axes[0].set_ylim(0, min(1, shown["accuracy"].max() + 0.08))
    for ax in figure.axes[::ACROSS]:
        ax.set_ylabel("accuracy")
    first = frame[frame["base"] & (frame["method"] == "dense")].iloc[0]
    figure.suptitle(
        f"{first['profile']}: {stand_in(frame)}, {first['clips_evaluated']} TRAINING clips, each subject left out in turn; base {first['clip']}, {first['epochs']} epochs, {first['teacher']}, seeds {first['seeds']}",
        fontsize=SMALL + 0.5,
    )
    keys = [
        Line2D([], [], color=PROBE_MARKS[p][0], marker=PROBE_MARKS[p][1], label=f"dense, {PROBES[p]}") for p in SHOWN
    ]
    keys += [
        Line2D(
            [],
            [],
            color=PROBE_MARKS[p][0],
            marker=PROBE_MARKS[p][1],
            markerfacecolor="white",
            linestyle="--",
            linewidth=1.2,
            label=f"random, {PROBES[p]}",
        )
        for p in SHOWN
    ]
    keys.append(Line2D([], [], color=MUTED, linestyle=":", label="chance"))
    figure.legend(handles=keys, loc="outside lower center", ncols=3)
    said = "; ".join(
        f"{axis}: " + ", ".join(f"{value} {accuracy:.2f}" for value, accuracy in told(part))
        for axis, part in panels.items()
    )
    figure.set_label(
        f"Small line plots of accuracy on left-out training subjects on {stand_in(frame)}, one panel a setting. Dense under the converged probe: {said}."
    )
    return figure


def told(part: pd.DataFrame) -> list[tuple[str, float]]:
    """(value, accuracy) of dense under the converged probe."""
    chosen = part[(part["method"] == "dense") & (part["probe"] == "converged")]
    return list(zip(chosen["value"], chosen["accuracy"]))


def draw_axis(ax: Axes, part: pd.DataFrame) -> None:
    """One setting: its values across, dense and random under the two probes."""
    values = list(dict.fromkeys(part["value"]))
    own = values.index(part[part["base"]]["value"].iloc[0])
    ax.axvspan(own - 0.3, own + 0.3, color="#EEEEEE", zorder=0)
    for probe in SHOWN:
        colour, marker = PROBE_MARKS[probe]
        for method in ("random", "dense"):
            lines = part[(part["method"] == method) & (part["probe"] == probe)].set_index("value").reindex(values)
            ax.plot(
                np.arange(len(values)),
                lines["accuracy"],
                "-" if method == "dense" else "--",
                marker=marker,
                color=colour,
                markersize=5.5,
                linewidth=1.8 if method == "dense" else 1.1,
                markerfacecolor=colour if method == "dense" else "white",
            )
            if method == "dense" and probe == "converged":
                ax.vlines(own, lines["low"].iloc[own], lines["high"].iloc[own], color=MUTED, linewidth=1.4, zorder=1)
    ax.axhline(part["chance"].iloc[0], color=MUTED, linestyle=":", linewidth=1.2)
    short = [value.rpartition("/")[2].removeprefix("cross4d-").removeprefix("tiny-") for value in values]
    ax.set_xticks(
        range(len(values)),
        ["\n" * (len(values) > 4) * (k % 2) + name for k, name in enumerate(short)],
        fontsize=SMALL - 0.5,
    )  # many names: on two levels
    ax.set_xlim(-0.5, len(values) - 0.5)
    ax.grid(axis="y")
