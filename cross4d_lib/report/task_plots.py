"""Plots of the dense tasks' tables: correspondence over tau, coverage, confusion, IoU by class. Frames of
``tables.table`` in, figures out; each figure's label is its alt text. Stars are the paper's values."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..evaluation import TAUS
from .plots import cell_text, data_label, paper_key, refuse_empty, star
from .style import ANCHOR, BLACK, INK, MUTED, PALE, PALETTE, SCALAR, SERIES, SKY, SMALL, WIDTH, look
from .tables import TAU

PLACES = {"raw XYZ": (BLACK, "D"), "XYZ of the nearest token": (SKY, "d")}
DATA_MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # datasets, in order, beside the palette


def line_style(line) -> dict:
    """Colour, marker and dash of a line of a table; a zero-shot one is its pretext's, dashed and hollow."""
    colour, marker = (PLACES | SERIES)[line.pretext]
    return series_style(colour, marker, line.zero_shot)


def series_style(colour: str, marker: str, hollow: bool) -> dict:
    face = "white" if hollow else colour
    return {"color": colour, "marker": marker, "linestyle": "--" if hollow else "-", "markerfacecolor": face}


def numbers(text: str) -> list[float]:
    return [float(value) for value in text.split()]


@look
def correspondence_curve(frame: pd.DataFrame, compared: str = "cosine", note: str = "") -> Figure:
    """Share of right matches against tau, one panel a gap of frames, one line a method (``table16``).

    compared : which comparison of features; coordinates stand beside it. The vertical line is Table 16's tau, the
    dotted one chance; stars are the paper's values where the frame has them. Raises DataError on an empty frame.
    """
    frame = frame[frame["compared by"].isin([compared, "distance"])] if len(frame) else frame
    refuse_empty(frame, "table16")
    gaps, described = sorted(frame["gap"].unique()), []
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    panels = figure.subplots(1, len(gaps), squeeze=False, sharey=True)[0]
    for ax, gap in zip(panels, gaps):
        here = frame[frame["gap"] == gap]
        for line in here.to_dict("records"):
            style = line_style(line["line"])
            ax.plot(TAUS, numbers(line["curve"]), markevery=(1, 4), label=line["method"], **style)
            if not np.isnan(line["paper"]):
                star(ax, TAU, line["paper"], style["color"])
        ax.plot(TAUS, numbers(here["chance curve"].iloc[0]), color=MUTED, linestyle=":", linewidth=1.6)
        ax.axvline(TAU, color=ANCHOR, linewidth=1.2, zorder=0)
        ax.set(title=f"{gap} frames later", xlabel="tau, of the bounding box's diagonal")
        ax.set(xlim=(0, TAUS[-1]), ylim=(0, 1))
        ax.grid()
        best = here.sort_values("accuracy", ascending=False)
        values = ", ".join(f"{method} {value:.2f}" for method, value in zip(best["method"], best["accuracy"]))
        described.append(f"{gap} frames later, at {TAU:g}: {values}, chance {here['chance'].iloc[0]:.2f}.")
    panels[0].set_ylabel("share of matches within tau")
    keys = [Line2D([], [], label=str(line), **line_style(line)) for line in dict.fromkeys(frame["line"])]
    keys.append(Line2D([], [], color=MUTED, linestyle=":", label="chance"))
    keys.append(Line2D([], [], color=ANCHOR, linewidth=1.2, label=f"Table 16's tau, {TAU:g}"))
    if frame["paper"].notna().any():
        keys.append(paper_key("paper (DT4D)"))
    figure.legend(handles=keys, loc="outside lower center", ncols=4)
    first, where = frame.iloc[0], data_label(frame)
    about = f"{where}, {first['clip']}, {first['clips_evaluated']} clips; features compared: {compared}"
    figure.suptitle(about + (f"; {note}" if note else ""), fontsize=SMALL + 0.5)
    head = f"Line plots of correspondence accuracy against tau on {where}, one line a method."
    figure.set_label(" ".join([head, *described]))
    return figure


def along(frame: pd.DataFrame, varied: str) -> tuple[list[float], list[float]]:
    """What a table of coverage varies -> its values, rising, and the coverages."""
    chosen = frame[frame["varied"] == varied].sort_values("at")
    return chosen["at"].tolist(), chosen["coverage"].tolist()


@look
def coverage_curves(frame: pd.DataFrame) -> Figure:
    """Share of visible points against splat radius and image size, by the rule "pixel", and against cameras, by the
    rule of the targets, one line a dataset and clip size (``control_coverage``).

    Where a dataset has two clip sizes the second is dashed and hollow. Stars are the paper's values. In the middle the
    splat grows with the image; the thin dotted lines keep it at its size in 126 px. Raises DataError on an empty frame.
    """
    refuse_empty(frame, "control_coverage")
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    splat, size, cameras = panels = figure.subplots(1, 3, sharey=True)
    names, keys, described = list(dict.fromkeys(frame["data"])), [], []
    for (data, clip), here in frame.groupby(["data", "clip"], sort=False):
        k, second = names.index(data), clip != frame[frame["data"] == data]["clip"].iloc[0]
        style = series_style(PALETTE[k % len(PALETTE)], DATA_MARKERS[k % len(DATA_MARKERS)], second)
        for ax, varied in zip(panels, ("splat", "pixels", "cameras")):
            ax.plot(*along(here, varied), **style)
        size.plot(*along(here, "pixels, same splat"), color=style["color"], linestyle=":", linewidth=1.2)
        stated = here[here["paper"].notna()]
        one = stated[stated["at"] == 1]["paper"]
        for ax, at in ((splat, 1.0), (size, 126.0)):
            star(ax, [at] * len(one), one, style["color"])
        star(cameras, stated["at"], stated["paper"], style["color"])
        keys.append(Line2D([], [], label=f"{data_label(here)}, {clip}", **style))
        described += [f"{data} ({clip}) {value:.2f}" for value in along(here, "cameras")[1][:1]]
    splat.set(xlabel="splat radius, x ours", xticks=[0.25, 1, 2, 3], ylim=(0, 1))
    splat.set_ylabel("share of visible points")
    size.set(xlabel="image side in pixels", xticks=[126, 252, 504])
    cameras.set(xlabel="cameras", xticks=[1, 2, 4])
    for ax, rule in zip(panels, ("owns a pixel", "owns a pixel", "near the surface (our targets)")):
        ax.set_title(rule, fontsize=SMALL + 0.5)
        ax.grid()
    kept = Line2D([], [], color=MUTED, linestyle=":", linewidth=1.2, label="splat kept at its size in 126 px")
    keys += [kept, paper_key("paper, the dataset it stands for")]
    figure.legend(handles=keys, loc="outside lower center", ncols=2)
    head = "Line plots of coverage against splat radius, image size and number of cameras, one line a dataset."
    figure.set_label(f"{head} With one camera: {', '.join(described)}.")
    return figure


@look
def confusion_figure(matrix: np.ndarray, names: tuple[str, ...], title: str = "") -> Figure:
    """Which class is taken for which: a confusion matrix (K, K) of counts, rows the true class, each divided by its
    sum.

    Classes that have no true point keep their column, and a pale row. Shares of 1 % and more are written where there is
    room.
    """
    matrix, count = np.asarray(matrix, float), len(names)
    total = matrix.sum(1, keepdims=True)
    share = np.where(total > 0, matrix / np.maximum(total, 1), np.nan)
    side = min(9.0, 1.9 + 0.5 * count)
    figure = Figure(figsize=(side + 0.9, side), layout="constrained")
    ax = figure.subplots()
    ax.set_facecolor(PALE)
    image = ax.imshow(np.ma.masked_invalid(share), cmap=SCALAR, vmin=0, vmax=1)
    if count <= 20:
        for r, c in np.argwhere(np.nan_to_num(share) >= 0.01):
            cell_text(ax, c, r, share[r, c], f"{100 * share[r, c]:.0f}", fontsize=SMALL - 0.5)
    ax.set(xlabel="predicted", ylabel="true class (points)")
    ax.set_xticks(range(count), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(count), [f"{name} ({int(n):,})" for name, n in zip(names, total[:, 0])])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    label = "share of the class's points (numbers: per cent)"
    figure.colorbar(image, ax=ax, label=label, shrink=0.8, pad=0.01).outline.set_visible(False)
    if title:
        ax.set_title(title, fontsize=SMALL + 1)
    wrong = np.where(np.eye(count, dtype=bool), -1.0, np.nan_to_num(share))
    r, c = np.unravel_index(wrong.argmax(), wrong.shape)
    found = ", ".join(f"{name} {share[k, k]:.0%}" for k, name in enumerate(names) if total[k] > 0)
    head = f"Confusion matrix, rows the true class, shares of its points. Found: {found}."
    largest = f"The largest confusion: {share[r, c]:.0%} of {names[r]} is taken for {names[c]}."
    figure.set_label(f"{head} {largest} {title}".strip())
    return figure


@look
def iou_plot(frame: pd.DataFrame, title: str = "") -> Figure:
    """IoU of every class, one marker a line of Table 6 (``tables.iou_by_class``); classes without test points are left
    out. Raises DataError on an empty frame."""
    refuse_empty(frame, "table06")
    methods = [column for column in frame.columns if column != "test points"]
    kept = frame[frame["test points"] > 0].sort_values("test points", ascending=False)
    figure = Figure(figsize=(WIDTH, 0.42 * len(kept) + 1.5), layout="constrained")
    ax = figure.subplots()
    offsets = np.linspace(-0.27, 0.27, len(methods)) if len(methods) > 1 else [0.0]
    for row in range(1, len(kept), 2):
        ax.axhspan(row - 0.5, row + 0.5, color="#F4F4F4", zorder=0)
    for line, offset in zip(methods, offsets):
        style = line_style(line) | {"linestyle": "", "label": f"{line} (mean {kept[line].mean():.2f})"}
        ax.plot(kept[line], np.arange(len(kept)) + offset, **style)
    ax.set_yticks(range(len(kept)), [f"{name}  ({int(n):,})" for name, n in zip(kept.index, kept["test points"])])
    ax.set(ylim=(len(kept) - 0.5, -0.5), xlim=(-0.015, 1), xticks=[0, 0.2, 0.4, 0.6, 0.8, 1], xlabel="IoU")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    about = "classes by how many test points they have (in brackets)"
    ax.set_title(f"{title}; {about}" if title else about, fontsize=SMALL + 0.5, color=INK)
    means = ", ".join(f"{line} {kept[line].mean():.2f}" for line in methods)
    best = ", ".join(f"{line} {kept[line].idxmax()} {kept[line].max():.2f}" for line in methods)
    head = f"IoU of {len(kept)} classes down, {len(methods)} methods."
    figure.set_label(f"{head} Means: {means}. Best class of each: {best}.")
    return figure
