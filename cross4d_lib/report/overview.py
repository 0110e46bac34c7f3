"""Figure 1, the method in one picture: what is frozen, what is trained, and where the two meet.

Every picture in it is computed from one clip; only boxes and arrows are drawn. Positions are in units of 1/16 of the
width.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

from ..clips import Clip
from ..encoders import Encoder
from ..teachers import Teacher
from . import drawing
from .figure_data import OverviewFrame, nearness, overview_frame
from .style import FROZEN, HIDDEN, INK, MUTED, SMALL, TEXT, TRAINED, WIDTH, look

ACROSS, DOWN = 16.0, 7.0  # the canvas, in its units
TOP, BOTTOM, MIDDLE = 5.08, 1.92, 3.6  # heights of the frozen row, the trained row, and what belongs to both
TINT = {FROZEN: "#E8F1F8", TRAINED: "#FCEFE6"}
LINE = 0.31  # between two lines of text
TOKENS_SHOWN = 12  # rows of the two tables of features


def figure01(clip: Clip, teacher: Teacher, encoder: Encoder, frame: int | None = None, note: str = "") -> Figure:
    """The method: a clip goes through render and frozen teacher to cached targets, and through the encoder to
    predictions.

    frame : the one that is shown, None for the one that has moved farthest. Colours of patches, points and tokens are
    PCA colours (patches and points share one, tokens have their own); the tables show a few entries of each feature.
    Tokens whose point is occluded are hollow: they carry no target and do not enter Eq. 5.
    """
    return draw_overview(overview_frame(clip, teacher, encoder, frame), note)


@look
def draw_overview(seen: OverviewFrame, note: str = "") -> Figure:
    """Figure 1 from what was computed."""
    figure = Figure(figsize=(WIDTH, WIDTH * DOWN / ACROSS))
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set(xlim=(0, ACROSS), ylim=(0, DOWN))
    canvas.set_axis_off()
    band(canvas, 2.85, 3.68, 9.75, 3.2, FROZEN, "frozen: a 2D teacher $g_\\phi$, run once and cached")
    band(canvas, 2.85, 0.3, 11.1, 3.2, TRAINED, "trained: Point4D $f_\\theta$ and a linear head $\\psi$")
    draw_clip(canvas, seen)
    draw_frozen(canvas, seen)
    draw_trained(canvas, seen)
    draw_loss(canvas)
    drawing.small_note(figure, note)
    figure.set_label(
        "Method overview. Top, frozen: a clip of points is rendered (Eq. 1), a frozen 2D teacher turns the render into "
        "patch features (Eq. 2), the index map carries them back to the visible points (Eq. 3), and the tokens' points "
        "keep them as cached targets. Bottom, trained: Point4D turns the same clip into tokens, a linear head predicts "
        "the targets. A cosine loss (Eq. 5) compares the two; no gradient enters the frozen side."
    )
    return figure


def band(canvas: Axes, x: float, y: float, width: float, height: float, colour: str, title: str) -> None:
    """The ground of one side: dashed edge when frozen, solid when trained."""
    style = {"edgecolor": colour, "linewidth": 1.3, "linestyle": "--" if colour == FROZEN else "-"}
    rounded = "round,pad=0,rounding_size=0.18"
    canvas.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=rounded, facecolor=TINT[colour], **style))
    canvas.text(x + 0.2, y + height - 0.14, title, color=colour, fontweight="bold", fontsize=TEXT, va="top")


def inset(canvas: Axes, x: float, y: float, width: float, height: float) -> Axes:
    """A panel on the canvas; x, y is its middle."""
    ax = canvas.figure.add_axes(((x - width / 2) / ACROSS, (y - height / 2) / DOWN, width / ACROSS, height / DOWN))
    return drawing.bare(ax)


def box(canvas: Axes, x: float, y: float, width: float, height: float, colour: str, lines: list[str]) -> None:
    """A model: a trapezoid that narrows to the right. lines : its name, then small lines."""
    half, narrow = height / 2, 0.76 * height / 2
    left, right = x - width / 2, x + width / 2
    corners = [(left, y - half), (left, y + half), (right, y + narrow), (right, y - narrow)]
    style = {"edgecolor": colour, "linewidth": 1.8, "linestyle": "--" if colour == FROZEN else "-"}
    canvas.add_patch(Polygon(corners, closed=True, facecolor="white", **style))
    for k, line in enumerate(lines):
        style = (SMALL - 0.5, MUTED) if k else (TEXT - 0.5, INK)
        write(canvas, x, y + LINE * ((len(lines) - 1) / 2 - k), line, *style)


def arrow(canvas: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = INK, **options) -> None:
    """An arrow on the canvas."""
    style = {"arrowstyle": "-|>", "mutation_scale": 11, "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0, "color": colour}
    canvas.add_patch(FancyArrowPatch(start, end, **style | options))


def write(canvas: Axes, x: float, y: float, text: str, size: float = SMALL - 0.5, color: str = MUTED, **style) -> None:
    """Text around (x, y)."""
    canvas.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": size, "color": color, **style})


def name(canvas: Axes, x: float, y: float, text: str, below: str = "") -> None:
    """What the panel in the middle of (x, y) shows, and a small line below it."""
    write(canvas, x, y + 1.16, text, TEXT - 0.5, INK)
    write(canvas, x, y - 1.16, below)


def draw_clip(canvas: Axes, seen: OverviewFrame) -> None:
    """Three frames of the clip, the shown one in the middle, and the two ways it goes."""
    clip, f = seen.pipeline.clip, seen.pipeline.frame
    last = len(clip.points) - 1
    frames = [0, f, last] if 0 < f < last else np.linspace(0, last, 3).astype(int)
    camera = seen.pipeline.view.camera
    rectangle = drawing.window(*(camera.project(torch.as_tensor(clip.points[k]))[0].numpy() for k in frames), margin=2)
    for k, x in zip(frames, (0.5, 1.25, 2.0)):
        ax = inset(canvas, x, MIDDLE, 1.25, 1.9)
        drawing.look_at(ax, rectangle)
        drawing.draw_cloud(ax, clip.points[k], camera, nearness(clip, k), scale=0.8)
    write(canvas, 1.25, MIDDLE + 1.55, "clip $P$", TEXT, INK, fontweight="bold")
    write(canvas, 1.25, MIDDLE + 1.22, f"{len(clip.points)} frames × {clip.points.shape[1]:,} points", SMALL - 1)
    arrow(canvas, (0.3, MIDDLE - 1.1), (2.2, MIDDLE - 1.1), MUTED, linewidth=1.0, mutation_scale=8)
    write(canvas, 1.25, MIDDLE - 1.32, "time")
    for row in (TOP, BOTTOM):
        canvas.plot([2.45, 2.65, 2.65], [MIDDLE, MIDDLE, row], color=INK, linewidth=1.5, solid_joinstyle="round")
        arrow(canvas, (2.65, row), (3.12, row))


def draw_frozen(canvas: Axes, seen: OverviewFrame) -> None:
    """Render, teacher, patches, points, targets."""
    pipeline, f = seen.pipeline, seen.pipeline.frame
    front = drawing.window(
        np.argwhere(pipeline.foreground)[:, ::-1] * pipeline.patch, grain=pipeline.patch, margin=0.2, aspect=1.6 / 1.9
    )
    image, patches, points = (inset(canvas, x, TOP, 1.6, 1.9) for x in (3.95, 7.7, 9.6))
    for ax in (image, patches, points):
        drawing.look_at(ax, front)
    drawing.draw_image(image, pipeline.view.image[f, 0].numpy(), cmap="gray", vmin=0, vmax=1)
    drawing.draw_image(patches, np.dstack([pipeline.patch_rgb, pipeline.foreground]), pipeline.patch)
    drawing.draw_cloud(points, pipeline.clip.points[f], pipeline.view.camera, pipeline.point_rgb, pipeline.index < 0)
    box(canvas, 5.8, TOP, 1.36, 1.5, FROZEN, ["teacher $g_\\phi$", "sees only", "the render"])
    table(canvas, 11.6, TOP, seen.targets, seen.visible)
    for x, text, below in (
        (3.95, "render $I_f$", "Eq. 1"),
        (7.7, "patches $\\Phi_f$", "Eq. 2"),
        (9.6, "on the points", "Eq. 3"),
        (11.6, "targets $y$", "none if occluded"),
    ):
        name(canvas, x, TOP, text, below)
    for start, end in ((4.78, 5.1), (6.5, 6.86), (8.42, 8.8), (10.4, 10.78)):
        arrow(canvas, (start, TOP), (end, TOP))


def draw_trained(canvas: Axes, seen: OverviewFrame) -> None:
    """Point4D, tokens, features, psi."""
    pipeline, f = seen.pipeline, seen.pipeline.frame
    box(canvas, 4.3, BOTTOM, 2.3, 1.5, TRAINED, ["set abstraction", "twice, inside", "each frame"])
    box(canvas, 7.1, BOTTOM, 2.3, 1.1, TRAINED, ["transformer", "across all frames"])
    ax = inset(canvas, 9.6, BOTTOM, 1.6, 1.9)
    camera = pipeline.view.camera
    cloud = pipeline.clip.points[f]
    seen_at = camera.project(torch.as_tensor(cloud))[0].numpy()  # (N, 2)
    drawing.look_at(ax, drawing.window(seen_at, margin=4, aspect=1.6 / 1.9))
    drawing.draw_cloud(ax, cloud, camera, np.full((len(cloud), 3), 0.87), scale=0.6)
    position = camera.project(torch.as_tensor(seen.centres))[0].numpy()  # (m, 2)
    ax.scatter(*position[seen.visible].T, s=34, c=seen.rgb[seen.visible], edgecolors=INK, linewidths=0.7, zorder=3)
    ax.scatter(*position[~seen.visible].T, s=26, facecolors="white", edgecolors=MUTED, linewidths=1.0, zorder=3)
    table(canvas, 11.6, BOTTOM, seen.features, np.ones(len(seen.features), bool))
    box(canvas, 13.15, BOTTOM, 0.95, 0.95, TRAINED, ["$\\psi$", "linear"])
    name(canvas, 9.6, BOTTOM, "tokens $t_j$ at $c_j$", "hollow: occluded")
    name(canvas, 11.6, BOTTOM, "features $t$")
    for start, end in ((5.5, 5.9), (8.3, 8.8), (10.4, 10.78), (12.42, 12.64)):
        arrow(canvas, (start, BOTTOM), (end, BOTTOM))


def table(canvas: Axes, x: float, y: float, rows: np.ndarray, shown: np.ndarray) -> None:
    """Features as a table of shades, one row a token; a row that is not ``shown`` is an empty frame."""
    ax = inset(canvas, x, y, 1.55, 1.9)
    rows, shown = rows[:TOKENS_SHOWN], shown[:TOKENS_SHOWN]
    values = np.where(shown[:, None], rows, 0.0)
    shades = drawing.in_cividis(values, np.broadcast_to(shown[:, None], rows.shape), -2, 2)
    ax.imshow(shades, aspect="auto", interpolation="nearest")
    for r in range(len(rows)):
        edge = ("white", 1.2) if shown[r] else (HIDDEN, 0.8)
        style = {"fill": False, **dict(zip(("edgecolor", "linewidth"), edge))}
        ax.add_patch(Rectangle((-0.5, r - 0.42), rows.shape[1], 0.84, **style))
    ax.set(xlim=(-0.7, rows.shape[1] - 0.3), ylim=(len(rows) - 0.4, -0.6))


def draw_loss(canvas: Axes) -> None:
    """Where the two sides meet: the cosine loss, the stop-gradient, and where the gradient goes."""
    x, y = 14.95, MIDDLE
    style = {"facecolor": "white", "edgecolor": INK, "linewidth": 1.6, "boxstyle": "round,pad=0,rounding_size=0.18"}
    canvas.add_patch(FancyBboxPatch((x - 0.85, y - 0.55), 1.7, 1.1, **style))
    write(canvas, x, y + 0.2, "cosine loss", TEXT, INK, fontweight="bold")
    write(canvas, x, y - 0.2, "$1-\\cos(\\psi(t_j),\\,y)$", SMALL, INK)
    write(canvas, x, y - 0.75, "Eq. 5")
    arrow(canvas, (12.45, TOP), (x, y + 0.6), connectionstyle="angle,angleA=0,angleB=90,rad=6")
    for shift in (-0.07, 0.07):
        canvas.plot([13.35 + shift - 0.08, 13.35 + shift + 0.08], [TOP - 0.25, TOP + 0.15], color=FROZEN, linewidth=2.2)
    write(canvas, 13.4, TOP + 0.38, "stop-gradient", SMALL, FROZEN, fontweight="bold")
    arrow(canvas, (13.66, BOTTOM), (x, y - 0.95), connectionstyle="angle,angleA=0,angleB=90,rad=6")
    canvas.plot([13.15, 13.15, 4.3], [BOTTOM - 0.5, 0.48, 0.48], color=TRAINED, linewidth=1.3, linestyle="--")
    for x, height in ((4.3, 0.66), (7.1, 0.5)):
        arrow(canvas, (x, 0.48), (x, BOTTOM - height), TRAINED, linewidth=1.3, mutation_scale=9)
    write(canvas, 12.0, 0.56, "gradient", SMALL, TRAINED, va="bottom", fontweight="bold")
    both = {"linestyle": ":", "linewidth": 1.4, "arrowstyle": "<|-|>", "mutation_scale": 8}
    arrow(canvas, (9.6, TOP - 1.3), (9.6, BOTTOM + 1.34), MUTED, **both)
    write(canvas, 9.72, BOTTOM + 1.4, "nearest point, Eq. 4", ha="left")
