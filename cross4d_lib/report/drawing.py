"""The few elements figures are drawn with: a cloud as its camera sees it, a map of patches, a panel without axes."""

from __future__ import annotations

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from ..render import Camera
from .style import ANCHOR, HIDDEN, MUTED, PALE, SCALAR, SMALL, WIDTH

COVER = 1.25  # diameter of a drawn point, x the spacing of the points in the panel
RING = 9.0  # square points: smaller markers are too small for a ring
# area of a marker, x the usual, where half of the points lie on the far side: the near side must close by itself
WHOLE = 2.0


def bare(ax: Axes) -> Axes:
    """A panel without ticks and spines."""
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    ax.patch.set_visible(False)
    return ax


def window(
    *pixels: np.ndarray, grain: float = 1.0, margin: float = 1.0, aspect: float | None = None
) -> tuple[float, float, float, float]:
    """A rectangle around pixel positions (n, 2): left, right, top, bottom, in whole multiples of ``grain`` plus
    ``margin`` of them.

    aspect : width / height to widen or heighten it to.
    """
    every = np.concatenate(pixels)
    low = (np.floor(every.min(0) / grain) - margin) * grain
    high = (np.floor(every.max(0) / grain) + 1 + margin) * grain
    if aspect is not None:
        size, middle = high - low, (high + low) / 2
        size = np.maximum(size, [size[1] * aspect, size[0] / aspect])
        low, high = middle - size / 2, middle + size / 2
    return low[0], high[0], low[1], high[1]


def look_at(ax: Axes, rectangle: tuple[float, float, float, float]) -> None:
    """Show a rectangle of pixel positions, rows downwards."""
    left, right, top, bottom = rectangle
    ax.set(xlim=(left, right), ylim=(bottom, top))


def point_area(ax: Axes, positions: np.ndarray, scale: float = 1.0) -> float:
    """Area in square points of a marker that just closes the surface of n positions, at the panel's present limits."""
    box = ax.get_position().bounds
    inches = ax.figure.get_size_inches()
    per_pixel = 72 * min(box[2] * inches[0] / np.ptp(ax.get_xlim()), box[3] * inches[1] / np.ptp(ax.get_ylim()))
    cell = max(1e-9, np.ptp(positions, axis=0).max() / 24)
    covered = len(np.unique(np.floor(positions / cell), axis=0)) * cell**2  # of the panel, in square pixels
    return scale * (COVER * per_pixel) ** 2 * covered / len(positions)


def draw_cloud(
    ax: Axes, points: np.ndarray, camera: Camera, colours, hidden: np.ndarray | None = None, scale: float = 1.0
) -> None:
    """Points (N, 3) as the camera sees them, near ones last. colours : (N, 3), or (N,) numbers in [0, 1] for cividis.

    hidden : (N,) bool, drawn as hollow grey rings, or as pale points where rings would be too small to see. scale : of
    the markers' area. Set the panel's limits beforehand.
    """
    position, depth = (v.numpy() for v in camera.project(torch.as_tensor(points)))
    rgb = matplotlib.colormaps[SCALAR](colours)[:, :3] if np.ndim(colours) == 1 else np.array(colours)
    area = point_area(ax, position, scale)
    size, face, edge = np.full(len(points), area), rgb.copy(), rgb.copy()
    if hidden is not None:
        face[hidden], edge[hidden] = to_rgb("white" if area > RING else PALE), to_rgb(HIDDEN if area > RING else PALE)
        size[hidden] *= 0.75
    order = np.argsort(-depth, kind="stable")
    ax.scatter(*position[order].T, s=size[order], c=face[order], edgecolors=edge[order], linewidths=0.6)


def ring(ax: Axes, position: np.ndarray, size: float = 130) -> None:
    """Ring the anchor at (2,): white under vermilion, so that it shows on any colour."""
    ax.scatter(*position, s=size, facecolors="none", edgecolors="white", linewidths=4.5, zorder=5, clip_on=False)
    ax.scatter(*position, s=size, facecolors="none", edgecolors=ANCHOR, linewidths=2.2, zorder=6, clip_on=False)


def draw_image(ax: Axes, image: np.ndarray, pixels: float = 1.0, **options) -> None:
    """An image (h, w) or (h, w, 3 or 4) whose cells are ``pixels`` wide, in pixel positions of the render."""
    height, width = image.shape[:2]
    ax.imshow(image, extent=(0, width * pixels, height * pixels, 0), interpolation="nearest", **options)


def grid(ax: Axes, size: int, patch: int, colour: str = MUTED, width: float = 0.5) -> None:
    """The lines between patches."""
    lines = np.arange(0, size + 1, patch)
    ax.vlines(lines, 0, size, colors=colour, linewidth=width)
    ax.hlines(lines, 0, size, colors=colour, linewidth=width)


def in_cividis(values: np.ndarray, shown: np.ndarray, vmin: float, vmax: float) -> np.ndarray:
    """Numbers (h, w) in cividis, (h, w, 4); transparent where not ``shown``."""
    rgba = matplotlib.colormaps[SCALAR]((np.nan_to_num(values) - vmin) / (vmax - vmin))
    rgba[..., 3] = shown
    return rgba


def cosine_bar(
    figure: Figure, box: tuple[float, float, float, float], label: str = "", ticks: tuple[float, ...] = (-1, 0, 1)
) -> None:
    """A horizontal cividis bar in ``box`` (left, bottom, width, height) of the figure; ``ticks`` are its ends and what
    is between."""
    ax = figure.add_axes(box)
    ax.imshow(np.linspace(0, 1, 256)[None], aspect="auto", cmap=SCALAR, extent=(ticks[0], ticks[-1], 0, 1))
    ax.set(yticks=[], xticks=ticks)
    ax.tick_params(length=2, pad=1.5, labelsize=SMALL)
    ax.spines[:].set_visible(False)
    ax.set_title(label, fontsize=SMALL, pad=3)


def small_note(figure: Figure, note: str) -> None:
    """What the data is, in small text at the lower right."""
    if note:
        figure.text(0.995, 0.008, note, ha="right", va="bottom", fontsize=SMALL, color=MUTED)


def outline_patch(ax: Axes, cell: int, patch: int, columns: int, width: float = 2.0) -> None:
    """A vermilion frame on white around patch ``cell`` (row-major)."""
    corner = ((cell % columns) * patch, (cell // columns) * patch)
    for colour, line in (("white", width + 2), (ANCHOR, width)):
        ax.add_patch(
            Rectangle(corner, patch, patch, fill=False, edgecolor=colour, linewidth=line, joinstyle="miter", zorder=5)
        )


def over(ax: Axes, head: str, kind: str = "") -> None:
    """A bold line above a panel, and a small one between if there is one."""
    box = ax.get_position(original=True)
    x, figure = (box.x0 + box.x1) / 2, ax.figure
    line = 0.19 / figure.get_size_inches()[1]
    if kind:
        figure.text(x, box.y1 + 0.35 * line, kind, ha="center", va="bottom", fontsize=SMALL, color=MUTED)
    figure.text(x, box.y1 + (1.25 if kind else 0.35) * line, head, ha="center", va="bottom", fontweight="bold")


def row_name(figure: Figure, y: float, name: str, **options) -> None:
    """What a row shows, upright at the left edge; y : its middle, of the figure's height."""
    options = {"fontweight": "bold", "fontsize": SMALL + 0.5} | options
    figure.text(0.014, y, name, rotation=90, ha="center", va="center", **options)


def point_key(figure: Figure, at: tuple[float, float], entries: list[tuple[str, str]]) -> None:
    """A key in one line from ``at``: (fill colour, meaning) each; a white fill is drawn as a ring."""
    ax = figure.add_axes((0, 0, 1, 1), zorder=-1)
    ax.set_axis_off()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    (x, y), inch = at, 1 / figure.get_size_inches()[0]
    for fill, meaning in entries:
        ax.scatter([x], [y], s=32, c=fill, edgecolors=MUTED if fill == "white" else fill, linewidths=1.0)
        figure.text(x + 0.12 * inch, y, meaning, va="center", fontsize=SMALL)
        x += (0.38 + 0.075 * len(meaning)) * inch


def key_lines(entries: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Entries of ``point_key`` in as many lines as they need."""
    lines, used = [[]], 0.0
    for colour, meaning in entries:
        wide = 0.38 + 0.075 * len(meaning)  # as point_key counts it
        if used + wide > WIDTH - 0.5 and lines[-1]:
            lines, used = [*lines, []], 0.0
        lines[-1].append((colour, meaning))
        used += wide
    return lines


def span(figure: Figure, first: Axes, last: Axes, text: str, above: float = 0.27) -> None:
    """A heading with a rule under it, over several panels. above : inches over them."""
    left, right, top = first.get_position(True).x0, last.get_position(True).x1, last.get_position(True).y1
    height = figure.get_size_inches()[1]
    y = top + above / height
    figure.add_artist(Line2D([left + 0.01, right - 0.01], [y, y], color=MUTED, linewidth=0.8))
    figure.text((left + right) / 2, y + 0.05 / height, text, ha="center", va="bottom")
