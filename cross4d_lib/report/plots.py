"""Plots of accuracies: methods with intervals, paths from global to dense, transfer, one setting at a time. Frames of
``tables.table`` in, figures out.

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
from ..experiments.artifacts import DENSE, GLOBAL, RANDOM
from .findings import PATHS
from .paper import as_in_paper
from .style import ANCHOR, BLACK, BLUE, GREEN, INK, MUTED, ORANGE, SCALAR, SMALL, WIDTH, look
from .tables import PROBES

PROBE_STYLE = {"linear": (BLUE, "o"), "standardized": (ORANGE, "s"), "converged": (GREEN, "D")}
SPREAD = 0.22  # rows between the probes of one method
STAR = {"linestyle": "", "marker": "*", "markersize": 12, "markerfacecolor": "white", "zorder": 5}
SHADE = "#EEEEEE"
PANELS = 4  # a row of the sweep
SWEPT = ("linear", "converged")  # probes of the sweep


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
    """Methods down, a marker a probe, with intervals."""
    for line in frame.to_dict("records"):
        colour, marker = PROBE_STYLE[line["probe"]]
        y = methods.index(line["method"]) + SPREAD * (list(PROBE_STYLE).index(line["probe"]) - 1)
        ax.hlines(y, line["low"], line["high"], color=colour, linewidth=1.6)
        ax.plot(line["accuracy"], y, marker, color=colour, markersize=6)
        if not np.isnan(line["paper"]):
            star(ax, line["paper"], y)
    ax.set(yticks=range(len(methods)), yticklabels=[wrapped(method) for method in methods], xlabel="accuracy")
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


@look
def paths_figure(frame: pd.DataFrame, note: str = "") -> Figure:
    """Left: every line of the table ``control_targets``, the highest on top (mean over the probes). Right: the paths of
    PATHS from global up to dense, on the seeds that all their stations have; what a step adds stands below it, with the
    mean rise over the probes.

    A shade marks the way from global to dense under the paper's probe. A path one of whose stations has not been run
    breaks off there. Raises DataError on an empty frame.
    """
    refuse_empty(frame, "control_targets")
    wide = frame.pivot(index="line", columns="probe", values="accuracy")
    order = wide.mean(axis=1).sort_values(ascending=False).index
    figure = Figure(figsize=(WIDTH, max(0.45 * len(order), 2.8 * len(PATHS)) + 2.2), layout="constrained")
    grid = figure.add_gridspec(len(PATHS), 2, width_ratios=(1.1, 1))
    ax = figure.add_subplot(grid[:, 0])
    if {DENSE, GLOBAL} <= set(order):
        ax.axvspan(*sorted(wide.loc[[GLOBAL, DENSE], "linear"]), color=SHADE, zorder=0)
    draw_methods(ax, frame, [str(line) for line in order])
    chance = chance_line(ax, frame)
    ax.set(ylim=(len(order) - 0.5, -0.6), xlim=(0, min(1, frame["high"].max() + 0.04)))
    for label, line in zip(ax.get_yticklabels(), order):
        label.set_fontweight("bold" if line in (DENSE, GLOBAL, RANDOM) else "normal")
    first, seeds = frame.loc[frame["epochs"].idxmax()], max(frame["seeds"], key=len)
    fewer = " (some lines fewer)" if (frame["seeds"] != seeds).any() else ""
    about = f"{first['profile']}: {data_label(frame)}, {first['clip']}, {first['epochs']} epochs"
    counts = f"{first['clips_evaluated']} test clips, seeds {seeds}{fewer}{f'; {note}' if note else ''}"
    ax.set_title(f"{about}\n{counts}", fontsize=SMALL + 0.5)
    panels = [figure.add_subplot(grid[row, 1]) for row in range(len(PATHS))]
    drawn = pd.concat([draw_path(panel, frame, path) for panel, path in zip(panels, PATHS)])
    low, high = drawn.min(axis=None), drawn.max(axis=None)
    reach = max(high - low, 0.1)
    for panel in panels:  # below the lines stands what a step adds
        panel.set(ylim=(low - 0.55 * reach, high + 0.1 * reach), ylabel="accuracy")
        panel.set_yticks([tick / 10 for tick in range(11) if low - 0.05 < tick / 10 < high + 0.1 * reach])
    way = Line2D([], [], color=SHADE, linewidth=8, label="from global to dense, the paper's probe")
    keys = [*probe_keys(), chance, way]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys))
    values = ", ".join(f"{line} {wide.loc[line, 'linear']:.2f}" for line in order)
    figure.set_label(
        f"Accuracies with intervals, targets down, three probes each, on {data_label(frame)}; under the paper's probe: "
        f"{values}. Beside it line plots that lead from global to dense over controls that add one thing at a time."
    )
    return figure


def draw_path(ax: Axes, frame: pd.DataFrame, path: str) -> pd.DataFrame:
    """One line a probe through the stations global, ... of a path, on the seeds that all of them share; below, what
    each step adds, and its rise, the mean over the probes. Returns what is drawn, (stations, probes)."""
    steps = PATHS[path]
    stations = [GLOBAL, *(line for _, line in steps)]
    each = {
        (line["line"], line["probe"]): dict(zip(line["seeds"].split(), map(float, line["each"].split())))
        for line in frame[frame["line"].isin(stations)].to_dict("records")
    }
    common = sorted(set.intersection(*map(set, each.values()))) if each else []
    mean = {at: np.mean([found[seed] for seed in common]) for at, found in each.items()} if common else {}
    values = pd.DataFrame({p: [mean.get((station, p), np.nan) for station in stations] for p in PROBE_STYLE})
    for probe, (colour, marker) in PROBE_STYLE.items():
        ax.plot(values[probe].to_numpy(), marker=marker, color=colour, markersize=6)
    ax.set_xticks(range(len(stations)), [fill(str(line), 12) for line in stations], fontsize=SMALL - 1)
    for k, (added, _) in enumerate(steps):
        rise = np.mean(values.iloc[k + 1] - values.iloc[k])
        text = fill(f"+ {added}", 48 // len(steps)) + ("" if np.isnan(rise) else f"\n{round(rise, 2) + 0.0:+.2f}")
        at = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        ax.text(k + 0.5, 0.02, text, **at, fontsize=SMALL - 1, color=MUTED)
    ax.set_xlim(-0.35, len(stations) - 0.65)
    ax.yaxis.grid(False)  # it would run through the words
    seeds = f"seed{'s' * (len(common) > 1)} {' '.join(common)}" if common else "not run"
    ax.set_title(f"{fill(path, 50)}\n({seeds})", fontsize=SMALL + 0.5, color=INK)
    return values


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
def sweep_figure(frame: pd.DataFrame) -> Figure:
    """The table ``control_sweep`` as small panels of one height: how the tokens are pooled, then one panel an axis with
    its values rising.

    Filled and solid: dense. Hollow and dashed: the random encoder of the same size. A shade marks the profile's own
    setting, a grey bar the 95 % interval of dense there under the converged probe. Raises DataError on an empty frame.
    """
    refuse_empty(frame, "control_sweep")
    axes = {axis: part[part["pool"] == "mean"] for axis, part in frame.groupby("axis", sort=False)}
    base = frame[frame["base"] & (frame["axis"] == frame["axis"].iloc[0])]
    panels = {"pooling in the probe": base.assign(value=base["pool"], base=base["pool"] == "mean")}
    panels |= {axis: part for axis, part in axes.items() if part["value"].nunique() > 1}
    rows = -(-len(panels) // PANELS)
    figure = Figure(figsize=(WIDTH, 2.3 * rows + 1.1), layout="constrained")
    grid = figure.subplots(rows, PANELS, squeeze=False, sharey=True).flatten()
    for ax, (axis, part) in zip(grid, panels.items()):
        draw_axis(ax, part)
        ax.set_title(axis, fontsize=SMALL + 0.5, color=INK)
    for ax in grid[len(panels) :]:
        ax.set_axis_off()
    figure.axes[0].set_ylim(0, min(1, frame[frame["probe"].isin(SWEPT)]["accuracy"].max() + 0.08))
    for ax in figure.axes[::PANELS]:
        ax.set_ylabel("accuracy")
    first = frame[frame["base"] & (frame["method"] == "dense")].iloc[0]
    where = f"{first['profile']}: {data_label(frame)}, {first['clips_evaluated']} TRAINING clips, each subject left out"
    what = f"in turn; base {first['clip']}, {first['epochs']} epochs, {first['teacher']}, seeds {first['seeds']}"
    figure.suptitle(f"{where}\n{what}", fontsize=SMALL + 0.5)
    keys = []
    for probe in SWEPT:
        colour, marker = PROBE_STYLE[probe]
        keys.append(Line2D([], [], color=colour, marker=marker, label=f"dense, {PROBES[probe]}"))
        hollow = {"markerfacecolor": "white", "linestyle": "--", "linewidth": 1.2}
        keys.append(Line2D([], [], color=colour, marker=marker, **hollow, label=f"random, {PROBES[probe]}"))
    keys.append(Line2D([], [], color=MUTED, linestyle=":", label="chance"))
    figure.legend(handles=keys, loc="outside lower center", ncols=3)
    head = f"Small line plots of accuracy on left-out training subjects on {data_label(frame)}, one panel a setting."
    values = "; ".join(f"{axis}: {described(part)}" for axis, part in panels.items())
    figure.set_label(f"{head} Dense under the converged probe: {values}.")
    return figure


def described(part: pd.DataFrame) -> str:
    """Values and accuracies of dense under the converged probe."""
    chosen = part[(part["method"] == "dense") & (part["probe"] == "converged")]
    return ", ".join(f"{value} {accuracy:.2f}" for value, accuracy in zip(chosen["value"], chosen["accuracy"]))


def draw_axis(ax: Axes, part: pd.DataFrame) -> None:
    """One setting: its values across, dense and random under the two probes."""
    values = list(dict.fromkeys(part["value"]))
    own = values.index(part[part["base"]]["value"].iloc[0])
    ax.axvspan(own - 0.3, own + 0.3, color=SHADE, zorder=0)
    for probe in SWEPT:
        colour, marker = PROBE_STYLE[probe]
        for method, shape in (("random", ("--", 1.1, "white")), ("dense", ("-", 1.8, colour))):
            lines = part[(part["method"] == method) & (part["probe"] == probe)].set_index("value").reindex(values)
            style = dict(zip(("linestyle", "linewidth", "markerfacecolor"), shape))
            ax.plot(np.arange(len(values)), lines["accuracy"], marker=marker, color=colour, markersize=5.5, **style)
            if (method, probe) == ("dense", "converged"):
                ax.vlines(own, lines["low"].iloc[own], lines["high"].iloc[own], color=MUTED, linewidth=1.4, zorder=1)
    ax.axhline(part["chance"].iloc[0], color=MUTED, linestyle=":", linewidth=1.2)
    short = [value.rpartition("/")[2].removeprefix("cross4d-").removeprefix("tiny-") for value in values]
    raised = ["\n" * (len(values) > 4) * (k % 2) + name for k, name in enumerate(short)]  # many names: on two levels
    ax.set_xticks(range(len(values)), raised, fontsize=SMALL - 0.5)
    ax.set_xlim(-0.5, len(values) - 0.5)
    ax.grid(axis="y")
