"""A clip to turn and play: a plotly figure where scripts may run, a strip of pictures beside it where they may not.

Coordinates travel as int16 millimetres around the clip's centroid (24 frames of 1,024 points: 0.2 MB), colours as one
byte a point. plotly.js is never embedded: a notebook's front end brings its own.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from ..clips import Clip
from ..errors import ConfigError
from ..render import fit_camera
from . import drawing
from .figure_data import nearness
from .style import EMBEDDED, HIDDEN, INK, MUTED, SCALAR, SMALL, WIDTH, class_colours, look, png

BUDGET = 300_000  # bytes of base64 for coordinates and colours; the strip and the layout stay under the rest of 0.5 MB
PLOTLY = "application/vnd.plotly.v1+json"
STRIP = 7  # pictures
LEVELS = 6  # a channel of a colour given as red, green, blue
MILLIMETRES = 1000.0  # int16 steps a metre
SHORTEST = 0.05  # metres: a clip smaller than this is not in metres


@dataclass(frozen=True)
class ClipViewer:
    """A notebook shows the richest form it can. figure : plotly JSON (dict). strip : PNG bytes. text : alt text."""

    figure: dict
    strip: bytes
    text: str

    def _repr_mimebundle_(self, include=None, exclude=None):
        data = {PLOTLY: self.figure, "image/png": base64.b64encode(self.strip).decode(), "text/plain": self.text}
        return data, {"image/png": {"alt": self.text}}


@dataclass(frozen=True)
class Paint:
    """Colours of points as one byte each. codes (T, n) uint8; palette : (k, 3), colour of code c; ticks : code ->
    name."""

    codes: np.ndarray
    palette: np.ndarray
    ticks: dict[int, str]

    def rgb(self, frame: int) -> np.ndarray:
        """(n, 3) in [0, 1]."""
        return self.palette[self.codes[frame]]


def clip_viewer(
    clip: Clip, colours=None, labels=None, title: str = "", points: int = 1024, names: tuple[str, ...] = ()
) -> ClipViewer:
    """A clip as an animated 3D picture, with play button and slider; it does not start by itself.

    colours : (T, N) numbers for cividis, or (T, N, 3) red, green, blue in [0, 1]; None shades by depth. labels : (T, N)
    int classes for the categorical palette instead, negative = none; names : of the classes. points : most points a
    frame; the first ones are taken (a clip's points are in random order), fewer when the clip is so long that the
    figure would exceed its budget. A clip that is not in metres is scaled to fit, and the picture says so.

    Raises ConfigError when colours or labels do not fit the clip, or both are given.
    """
    frames, count, _ = clip.points.shape
    if colours is not None and labels is not None:
        raise ConfigError("colours and labels at once", "clip_viewer", "give one of them")
    for values in (colours, labels):
        if values is not None and np.shape(values)[:2] != (frames, count):
            what = f"colours of shape {np.shape(values)} for {frames} frames of {count} points"
            raise ConfigError(what, "clip_viewer", "one a point and frame")
    shown = max(1, min(points, count, int(BUDGET / (frames * 7 * 4 / 3))))
    if labels is not None:
        paint = paint_labels(np.asarray(labels)[:, :shown], names)
    else:
        paint = paint_values(clip, colours, shown)
    steps, scale, unit = to_int16(clip.points)
    says = f"{frames} frames, {shown:,} of {count:,} points, {unit}"
    figure = plotly_figure(steps[:, :shown], paint, scale, unit, title or clip.id, says)
    text = f"{title or clip.id}: {says}; {min(STRIP, frames)} moments of the clip from left to right."
    return ClipViewer(figure, png(strip(clip, paint, shown, title or clip.id), 110, text, EMBEDDED), text)


def to_int16(points: np.ndarray) -> tuple[np.ndarray, float, str]:
    """Coordinates (T, N, 3) as int16 steps around the centroid, steps a unit, and the unit's name ("metres" or what was
    done)."""
    centred = points - points.reshape(-1, 3).mean(0, dtype=np.float64)
    extent = float(np.abs(centred).max())
    metric = SHORTEST <= extent <= 32.0
    scale = MILLIMETRES if metric else 30_000 / max(extent, 1e-12)
    return np.round(centred * scale).astype(np.int16), scale, "metres" if metric else "unit unknown, scaled to fit"


def paint_values(clip: Clip, colours, shown: int) -> Paint:
    """Numbers or red, green, blue -> Paint; None shades by depth. NaN is grey."""
    from matplotlib import colormaps

    ends = ("", "")
    if colours is None:
        colours, ends = np.stack([nearness(clip, f) for f in range(len(clip.points))]), ("far", "near")
    values = np.asarray(colours, np.float64)[:, :shown]
    if values.ndim == 3:
        levels = np.round(np.nan_to_num(values).clip(0, 1) * (LEVELS - 1)).astype(np.uint8)  # (T, n, 3)
        ramp = np.linspace(0, 1, LEVELS)
        palette = np.stack(np.meshgrid(ramp, ramp, ramp, indexing="ij"), -1).reshape(-1, 3)
        return Paint(levels @ np.array([LEVELS**2, LEVELS, 1], np.uint8), palette, {})
    known = np.isfinite(values)
    low, high = (values[known].min(), values[known].max()) if known.any() else (0.0, 1.0)
    share = (np.nan_to_num(values) - low) / max(high - low, 1e-12)
    codes = np.where(known, 1 + np.round(254 * share), 0).clip(0, 255).astype(np.uint8)
    palette = np.vstack([to_rgb(HIDDEN), colormaps[SCALAR](np.linspace(0, 1, 255))[:, :3]])
    return Paint(codes, palette, {1: ends[0] or f"{low:.2g}", 255: ends[1] or f"{high:.2g}"})


def paint_labels(labels: np.ndarray, names: tuple[str, ...]) -> Paint:
    """Classes (T, n) -> Paint: code 0 is grey, none; class c is code c + 1."""
    classes = max(int(labels.max()) + 1, len(names), 1)
    palette = np.array([to_rgb(colour) for colour in (HIDDEN, *class_colours(classes))])
    return Paint((labels.clip(-1) + 1).astype(np.uint8), palette, {c + 1: name for c, name in enumerate(names)})


@look
def strip(clip: Clip, paint: Paint, shown: int, title: str) -> Figure:
    """Up to STRIP moments of the clip, from the front, side by side; the title below, since it says what the data
    are."""
    moments = np.unique(np.linspace(0, len(clip.points) - 1, STRIP).round().astype(int))
    figure = Figure(figsize=(WIDTH, 2.5))
    camera = fit_camera(torch.as_tensor(clip.points))
    positions = [camera.project(torch.as_tensor(clip.points[f]))[0].numpy() for f in moments]
    aspect = (WIDTH / len(moments)) / 2.0
    for k, f in enumerate(moments):
        ax = drawing.bare(figure.add_axes((k / len(moments), 0.08, 1 / len(moments), 0.82)))
        drawing.look_at(ax, drawing.window(*positions, margin=2, aspect=aspect))
        drawing.draw_cloud(ax, clip.points[f, :shown], camera, paint.rgb(f))
        figure.text((k + 0.5) / len(moments), 0.94, f"frame {f}", ha="center", va="center", fontsize=SMALL, color=MUTED)
    drawing.small_note(figure, title)
    return figure


def typed(array: np.ndarray) -> dict:
    """A one-dimensional integer array as plotly's typed-array JSON."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    data = base64.b64encode(little.tobytes()).decode()
    return {"dtype": f"{little.dtype.kind}{little.dtype.itemsize}", "bdata": data}


def plotly_figure(steps: np.ndarray, paint: Paint, scale: float, unit: str, title: str, says: str) -> dict:
    """The animated figure. steps (T, n, 3) int16, y down; ranges, camera and colours are the same for every frame."""
    frames, shown = steps.shape[:2]
    last = len(paint.palette) - 1
    stops = [[c / max(last, 1), to_hex(colour)] for c, colour in enumerate(paint.palette)]
    marker = {"size": 3.2 if shown > 512 else 4.5, "cmin": 0, "cmax": last, "colorscale": stops, "opacity": 1}
    marker["line"] = {"width": 0}
    if paint.ticks:
        ticks = {"tickvals": list(paint.ticks), "ticktext": list(paint.ticks.values())}
        marker |= {"showscale": True, "colorbar": {"thickness": 12, "len": 0.8, "outlinewidth": 0, **ticks}}

    def cloud(f: int) -> dict:
        axes = {axis: typed(steps[f, :, a]) for a, axis in enumerate("xyz")}
        return {"type": "scatter3d", **axes, "marker": {"color": typed(paint.codes[f])}}

    def jump(duration: int) -> dict:
        frame = {"duration": duration, "redraw": True}
        return {"mode": "immediate", "fromcurrent": True, "frame": frame, "transition": {"duration": 0}}

    first = {**cloud(0), "mode": "markers", "hoverinfo": "skip", "marker": {**marker, **cloud(0)["marker"]}}
    slider = {"active": 0, "x": 0.16, "len": 0.82, "y": 0, "pad": {"t": 8, "b": 6}, "ticklen": 3}
    slider["currentvalue"] = {"prefix": "frame ", "font": {"size": 13}}
    slider["steps"] = [{"label": str(f), "method": "animate", "args": [[str(f)], jump(0)]} for f in range(frames)]
    buttons = [
        {"label": "play", "method": "animate", "args": [None, jump(120)]},
        {"label": "stop", "method": "animate", "args": [[None], jump(0)]},
    ]
    menu = {"type": "buttons", "showactive": False, "direction": "right", "x": 0.01, "y": 0, "xanchor": "left"}
    menu |= {"yanchor": "top", "pad": {"t": 26}, "buttons": buttons}
    layout = {
        "template": {},
        "title": {"text": f"{title}<br><sup>{says}</sup>", "x": 0.02, "font": {"size": 15, "color": INK}},
        "height": 520,
        "margin": {"l": 0, "r": 0, "t": 52, "b": 0},
        "paper_bgcolor": "white",
        "font": {"color": INK},
        "scene": scene(steps, scale, unit),
        "sliders": [slider],
        "updatemenus": [menu],
    }
    later = [{"name": str(f), "data": [cloud(f)], "traces": [0]} for f in range(frames)]
    return {"data": [first], "frames": later, "layout": layout}


def scene(steps: np.ndarray, scale: float, unit: str) -> dict:
    """Fixed ranges with one scale for all axes, ticks in the clip's unit, and a camera that looks along +z with y
    down."""
    low, high = steps.reshape(-1, 3).min(0) - 20.0, steps.reshape(-1, 3).max(0) + 20.0
    reach = high - low
    tick = 0.5 * scale if unit == "metres" else reach.max() / 4
    axes = {}
    for a, name in enumerate(("x", "y (down)", "z (away)")):
        values = [k * tick for k in range(int(np.ceil(low[a] / tick)), int(np.floor(high[a] / tick)) + 1)]
        axes[f"{'xyz'[a]}axis"] = {
            "range": [float(low[a]), float(high[a])],
            "title": {"text": name},
            "tickvals": values,
            "ticktext": [f"{v / scale:.3g}" for v in values],
            "gridcolor": "#DDDDDD",
            **dict.fromkeys(("autorange", "showbackground", "zeroline", "showspikes"), False),
        }
    ratio = reach / reach.max()
    camera = {"up": {"x": 0, "y": -1, "z": 0}, "eye": {"x": 0.4, "y": -0.25, "z": -1.35}}
    camera["projection"] = {"type": "perspective"}
    aspect = {axis: float(r) for axis, r in zip("xyz", ratio)}
    return {**axes, "aspectmode": "manual", "aspectratio": aspect, "camera": camera}
