"""Plots of the dense tasks' tables: correspondence over tau, coverage, transfer, confusion, IoU by class. Frames in,
figures out.

Frames are those of ``task_tables.py``; each function returns a Figure whose label is its alt text. Stars are the
paper's values.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from ..errors import DataError
from ..evaluation import TAUS
from .style import ANCHOR, BLACK, INK, MUTED, PALE, PALETTE, SCALAR, SERIES, SKY, SMALL, WIDTH, look
from .task_tables import TAU

__all__ = ["confusion_figure", "correspondence_curve", "coverage_curves", "iou_dots", "transfer_matrix"]

COORDINATES = {"raw XYZ": (BLACK, "D"), "XYZ of the nearest token": (SKY, "d")}
DATA_MARKS = ("o", "s", "^", "D", "v", "P", "X")  # datasets, in order, beside the palette
STAR = 13.0  # points


def method_style(method: str) -> dict:
    """Colour, marker and line of a method; a zero-shot one is its pretext's, dashed and hollow."""
    colour, marker = COORDINATES.get(method) or SERIES[method.split(",")[0]]
    away = "," in method
    return {
        "color": colour,
        "marker": marker,
        "linestyle": "--" if away else "-",
        "markerfacecolor": "white" if away else colour,
    }


def refuse_empty(frame: pd.DataFrame, what: str) -> None:
    """Raises DataError on a table without lines: none of its runs has been run."""
    if not len(frame):
        raise DataError(f"no rows for {what}", what, "run its artifact first; `cross4d reproduce` names them")


def stand_in(frame: pd.DataFrame) -> str:
    """The data of a table's first line, with its stand-in sign."""
    first = frame.iloc[0]
    return first["data"] + (" (STAND-IN)" if first["kind"].startswith("synthetic") else "")


@look
def correspondence_curve(frame: pd.DataFrame, compared: str = "cosine", note: str = "") -> Figure:
    """Share of right matches against tau, one panel a gap of frames, one line a method (``task_tables.correspondences``
    or ``table16``).

    compared : which comparison of features; coordinates stand beside it. The vertical line is Table 16's tau, the
    dotted one chance; stars are the paper's values where the frame has them. Raises DataError on an empty frame.
    """
    frame = frame[frame["compared by"].isin([compared, "distance"])] if len(frame) else frame
    refuse_empty(frame, "table16")
    gaps = sorted(frame["gap"].unique())
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    said = []
    for ax, gap in zip(figure.subplots(1, len(gaps), squeeze=False, sharey=True)[0], gaps):
        here = frame[frame["gap"] == gap]
        for _, line in here.iterrows():
            ax.plot(
                TAUS, numbers(line["curve"]), markevery=(1, 4), label=line["method"], **method_style(line["method"])
            )
            if not np.isnan(line.get("paper", np.nan)):
                ax.plot(
                    TAU,
                    line["paper"],
                    "*",
                    markersize=STAR,
                    markerfacecolor="white",
                    markeredgecolor=method_style(line["method"])["color"],
                    markeredgewidth=1.4,
                    zorder=5,
                )
        ax.plot(TAUS, numbers(here["chance curve"].iloc[0]), color=MUTED, linestyle=":", linewidth=1.6)
        ax.axvline(TAU, color=ANCHOR, linewidth=1.2, zorder=0)
        ax.set(
            title=f"{gap} frames later", xlabel="tau, of the bounding box's diagonal", xlim=(0, TAUS[-1]), ylim=(0, 1)
        )
        ax.grid()
        best = here.sort_values("accuracy", ascending=False)
        said.append(
            f"{gap} frames later, at {TAU:g}: "
            + ", ".join(f"{m} {a:.2f}" for m, a in zip(best["method"], best["accuracy"]))
            + f", chance {here['chance'].iloc[0]:.2f}"
        )
        if gap == gaps[0]:
            ax.set_ylabel("share of matches within tau")
    keys = [Line2D([], [], label=method, **method_style(method)) for method in dict.fromkeys(frame["method"])]
    keys += [
        Line2D([], [], color=MUTED, linestyle=":", label="chance"),
        Line2D([], [], color=ANCHOR, linewidth=1.2, label=f"Table 16's tau, {TAU:g}"),
    ]
    if frame.get("paper", pd.Series([np.nan])).notna().any():
        keys.append(paper_key("paper (DT4D)"))
    figure.legend(handles=keys, loc="outside lower center", ncols=4)
    figure.suptitle(
        f"{stand_in(frame)}, {frame.iloc[0]['clip']}, {frame.iloc[0]['clips_evaluated']} clips; features compared: {compared}"
        + (f"; {note}" if note else ""),
        fontsize=SMALL + 0.5,
    )
    figure.set_label(
        f"Line plots of correspondence accuracy against tau on {stand_in(frame)}, one line a method. "
        + ". ".join(said)
        + "."
    )
    return figure


def numbers(text: str) -> list[float]:
    return [float(v) for v in text.split()]


def paper_key(label: str) -> Line2D:
    return Line2D([], [], color=BLACK, marker="*", markerfacecolor="white", markersize=STAR, linestyle="", label=label)


@look
def coverage_curves(frame: pd.DataFrame) -> Figure:
    """Share of points with a target against splat radius, image size and cameras, one line a dataset and clip size
    (``control_coverage``).

    Where a dataset has two clip sizes the second is dashed and hollow. Stars are the paper's values. In the middle the
    splat grows with the image; the thin dotted lines keep it at its size in 126 px. Raises DataError on an empty frame.
    """
    refuse_empty(frame, "control_coverage")
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    splat, size, cameras = figure.subplots(1, 3, sharey=True)
    names, keys, said = list(dict.fromkeys(frame["data"])), [], []
    for (data, clip), here in frame.groupby(["data", "clip"], sort=False):
        k, second = names.index(data), clip != frame[frame["data"] == data]["clip"].iloc[0]
        colour = PALETTE[k % len(PALETTE)]
        style = {
            "color": colour,
            "marker": DATA_MARKS[k % len(DATA_MARKS)],
            "linestyle": "--" if second else "-",
            "markerfacecolor": "white" if second else colour,
        }
        for ax, start, end in ((splat, "splat x ", ""), (size, "", " px"), (cameras, "", " camera")):
            ax.plot(*along(here, start, end), **style)
        kept = along(here, "", " px, splat of 126 px")
        size.plot(*kept, color=colour, linestyle=":", linewidth=1.2)
        stated = here[here["paper"].notna()]
        for ax, at in ((splat, 1.0), (size, 126.0)):
            ax.plot(
                [at] * (stated["setting"] == "1 camera").sum(),
                stated[stated["setting"] == "1 camera"]["paper"],
                **star(colour),
            )
        cameras.plot([int(s[0]) for s in stated["setting"]], stated["paper"], **star(colour))
        first = here.iloc[0]
        keys.append(
            Line2D(
                [], [], label=f"{data}{' (STAND-IN)' if first['kind'].startswith('synthetic') else ''}, {clip}", **style
            )
        )
        one = here[here["setting"] == "1 camera"]["coverage"]
        if len(one):
            said.append(f"{data} ({clip}) {one.iloc[0]:.2f}")
    splat.set(
        xlabel="splat radius, x ours", xticks=[0.25, 1, 2, 3], ylabel="share of points with a target", ylim=(0, 1)
    )
    size.set(xlabel="image side in pixels", xticks=[126, 252, 504])
    cameras.set(xlabel="cameras", xticks=[1, 2, 4])
    for ax in (splat, size, cameras):
        ax.grid()
    keys += [
        Line2D([], [], color=MUTED, linestyle=":", linewidth=1.2, label="splat kept at its size in 126 px"),
        paper_key("paper, the dataset it stands for"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=2)
    figure.set_label(
        "Line plots of coverage against splat radius, image size and number of cameras, one line a dataset and clip size. With one camera: "
        + ", ".join(said)
        + "."
    )
    return figure


def star(colour: str) -> dict:
    return {
        "linestyle": "",
        "marker": "*",
        "markersize": STAR,
        "markerfacecolor": "white",
        "markeredgecolor": colour,
        "markeredgewidth": 1.4,
        "zorder": 5,
    }


def along(frame: pd.DataFrame, start: str, end: str) -> tuple[list[float], list[float]]:
    """The settings ``start`` number ``end`` of a table of coverage, by number; a plural s is allowed -> numbers,
    coverages."""
    found = frame["setting"].str.extract(f"^{start}([0-9.]+){end}s?$")[0].astype(float)
    order = found[found.notna()].sort_values()
    return order.tolist(), frame.loc[order.index, "coverage"].tolist()


def cell_text(ax: Axes, column: int, row: int, value: float, text: str, **options) -> None:
    """Text on a cell of a cividis table, white on dark."""
    ax.text(column, row, text, ha="center", color="white" if value < 0.5 else BLACK, **options)


@look
def transfer_matrix(frame: pd.DataFrame, probe: str = "standardized", note: str = "") -> Figure:
    """Accuracy by source (rows, ``random`` last) and target (columns) under one probe (``task_tables.table12``).

    Shades run from 0 to 1 in every figure. The same source and target are framed; the paper's value stands small below
    ours where the frame has one. Raises DataError on an empty frame or an unknown probe.
    """
    frame = frame[frame["probe"] == probe] if len(frame) else frame
    refuse_empty(frame, f"table12 under {probe}")
    targets = list(dict.fromkeys(frame["target"]))
    sources = [s for s in dict.fromkeys(frame["source"]) if s != "random"] + ["random"] * (
        "random" in set(frame["source"])
    )
    figure = Figure(figsize=(WIDTH, 0.85 * len(sources) + 1.5), layout="constrained")
    ax = figure.subplots()
    shades = np.full((len(sources), len(targets)), np.nan)
    chances = {}
    for _, line in frame.iterrows():
        r, c, value = sources.index(line["source"]), targets.index(line["target"]), line["accuracy"]
        shades[r, c], chances[line["target"]] = value, line["chance"]
        stated = line.get("paper", np.nan)
        spread = "" if np.isnan(line["std"]) else f" ± {line['std']:.2f}"
        cell_text(
            ax,
            c,
            r - (0 if np.isnan(stated) else 0.1),
            value,
            f"{value:.2f}{spread}",
            va="center",
            fontsize=13,
            fontweight="bold",
        )
        if not np.isnan(stated):
            cell_text(ax, c, r + 0.27, value, f"paper {stated:.2f}", va="center", fontsize=SMALL)
        if line["source"] == line["target"]:
            ax.add_patch(Rectangle((c - 0.48, r - 0.46), 0.96, 0.92, fill=False, edgecolor=ANCHOR, linewidth=3))
    image = ax.imshow(shades, cmap=SCALAR, vmin=0, vmax=1, aspect="auto")
    ax.set(xticks=range(len(targets)), yticks=range(len(sources)), ylabel="pretrained on", xlabel="probed on")
    ax.set_xticklabels([f"{t}\n(chance {chances[t]:.2f})" for t in targets])
    ax.set_yticklabels(["random\n(no pretraining)" if s == "random" else s for s in sources])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    figure.colorbar(image, ax=ax, label="accuracy", pad=0.01).outline.set_visible(False)
    ax.set_title(
        f"{probe} probe, mean ± deviation over seeds; framed = its own dataset" + (f"; {note}" if note else ""),
        fontsize=SMALL + 0.5,
    )
    figure.set_label(
        f"Heat table of accuracy under the {probe} probe, rows what the encoder was pretrained on, columns what it is probed on. "
        + "; ".join(
            f"{s}: " + ", ".join(f"{t} {shades[r, c]:.2f}" for c, t in enumerate(targets) if not np.isnan(shades[r, c]))
            for r, s in enumerate(sources)
        )
        + "."
    )
    return figure


@look
def confusion_figure(matrix: np.ndarray, names: tuple[str, ...], title: str = "") -> Figure:
    """Which class is taken for which: a confusion matrix (K, K) of counts, rows the true class, each divided by its
    sum.

    Classes that have no true point keep their column, and a pale row. Shares of 1 % and more are written where there is
    room.
    """
    matrix = np.asarray(matrix, float)
    total = matrix.sum(1, keepdims=True)
    share = np.where(total > 0, matrix / np.maximum(total, 1), np.nan)
    count = len(names)
    side = min(9.0, 1.9 + 0.5 * count)
    figure = Figure(figsize=(side + 0.9, side), layout="constrained")
    ax = figure.subplots()
    ax.set_facecolor(PALE)
    image = ax.imshow(np.ma.masked_invalid(share), cmap=SCALAR, vmin=0, vmax=1)
    if count <= 20:
        for r, c in np.argwhere(np.nan_to_num(share) >= 0.01):
            cell_text(ax, c, r, share[r, c], f"{100 * share[r, c]:.0f}", va="center", fontsize=SMALL - 0.5)
    ax.set(xticks=range(count), yticks=range(count), xlabel="predicted", ylabel="true class (points)")
    ax.set_xticklabels(names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticklabels([f"{name} ({int(n):,})" for name, n in zip(names, total[:, 0])])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    figure.colorbar(
        image, ax=ax, label="share of the class's points (numbers: per cent)", shrink=0.8, pad=0.01
    ).outline.set_visible(False)
    if title:
        ax.set_title(title, fontsize=SMALL + 1)
    wrong = np.where(np.eye(count, dtype=bool), -1.0, np.nan_to_num(share))
    r, c = np.unravel_index(wrong.argmax(), wrong.shape)
    found = ", ".join(f"{name} {share[k, k]:.0%}" for k, name in enumerate(names) if total[k] > 0)
    figure.set_label(
        f"Confusion matrix, rows the true class, shares of its points. Found: {found}. The largest confusion: {share[r, c]:.0%} of {names[r]} is taken for {names[c]}. {title}".strip()
    )
    return figure


@look
def iou_dots(frame: pd.DataFrame, title: str = "") -> Figure:
    """IoU of every class as dots, one mark a method (``task_tables.iou_by_class``); classes without test points are
    left out.

    Raises DataError on an empty frame.
    """
    refuse_empty(frame, "table06")
    methods = [column for column in frame.columns if column != "test points"]
    kept = frame[frame["test points"] > 0].sort_values("test points", ascending=False)
    figure = Figure(figsize=(WIDTH, 0.42 * len(kept) + 1.5), layout="constrained")
    ax = figure.subplots()
    offset = np.linspace(-0.27, 0.27, len(methods)) if len(methods) > 1 else [0.0]
    for row in range(1, len(kept), 2):
        ax.axhspan(row - 0.5, row + 0.5, color="#F4F4F4", zorder=0)
    for method, shift in zip(methods, offset):
        style = method_style(method)
        ax.plot(
            kept[method],
            np.arange(len(kept)) + shift,
            **{**style, "linestyle": ""},
            label=f"{method} (mean {kept[method].mean():.2f})",
        )
    ax.set(
        yticks=range(len(kept)),
        ylim=(len(kept) - 0.5, -0.5),
        xlim=(-0.015, 1),
        xticks=[0, 0.2, 0.4, 0.6, 0.8, 1],
        xlabel="IoU",
    )
    ax.set_yticklabels([f"{name}  ({int(n):,})" for name, n in zip(kept.index, kept["test points"])])
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    ax.set_title(
        (title + "; " if title else "") + "classes by how many test points they have (in brackets)",
        fontsize=SMALL + 0.5,
        color=INK,
    )
    figure.set_label(
        f"Dot plot of IoU, {len(kept)} classes down, {len(methods)} methods. Means: "
        + ", ".join(f"{m} {kept[m].mean():.2f}" for m in methods)
        + ". Best class of each: "
        + ", ".join(f"{m} {kept[m].idxmax()} {kept[m].max():.2f}" for m in methods)
        + "."
    )
    return figure
