"""Segmentation to turn and play: ground truth beside a prediction, one camera and one slider, and a strip of pictures
where no scripts run.

Both clouds live in one plotly scene, the prediction moved sideways, so turning one turns the other. Coordinates and
colours travel as in ``viewers.py``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from ..clips import Clip
from ..errors import ConfigError
from ..render import fit_camera
from . import drawing
from .style import EMBEDDED, INK, MUTED, PALE, SMALL, WIDTH, look, png
from .viewers import BUDGET, STRIP, ClipViewer, Paint, paint_labels, plotly_figure, to_int16

APART = 1.2  # from one cloud to the other, x its extent sideways
# the camera's distance from the near side of the scene, x its width and x its height: both are then in sight
ACROSS, UPRIGHT = 0.62, 1.4
NOT_SCORED = "not scored"


def segmentation_player(
    clip: Clip,
    truth: np.ndarray,
    prediction: np.ndarray,
    names: tuple[str, ...],
    ignored: tuple[int, ...] = (),
    heads: tuple[str, str] = ("ground truth", "prediction"),
    title: str = "",
    points: int = 1024,
) -> ClipViewer:
    """Ground truth and prediction as one animated 3D picture, with play button and slider; it does not start by itself.

    truth, prediction : (T, N) int, negative = no class. names : of all classes; points whose true class is ``ignored``
    or missing are grey in both clouds. points : most points of one cloud; fewer where the picture would exceed its
    budget (``clip_viewer``).

    Raises ConfigError when the labels do not fit the clip.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    frames, count, _ = clip.points.shape
    for labels in (truth, prediction):
        if labels.shape != (frames, count):
            raise ConfigError(
                f"labels of shape {labels.shape} for {frames} frames of {count} points",
                "segmentation_player",
                "one a point and frame",
            )
    shown = max(1, min(points, count, int(BUDGET / (frames * 2 * 7 * 4 / 3))))
    kept = (truth >= 0) & ~np.isin(truth, ignored)
    aside = APART * float(np.ptp(clip.points[..., 0]))
    clouds = [clip.points[:, :shown], clip.points[:, :shown] + np.array([aside, 0, 0], clip.points.dtype)]
    steps, scale, unit = to_int16(np.concatenate(clouds, 1))
    labels = [np.where(kept, values, -1)[:, :shown] for values in (truth, prediction)]
    paint = as_scored(paint_labels(np.concatenate(labels, 1), names), names)
    right = float((truth == prediction)[kept].mean()) if kept.any() else float("nan")
    title = title or clip.id
    says = f"{frames} frames, {shown:,} of {count:,} points, {unit}; {right:.0%} of the scored points right"
    figure = plotly_figure(steps, paint, scale, unit, title, says)
    fit_scene(figure["layout"]["scene"], steps, shown, heads)
    text = (
        f"{title}: {heads[0]} beside {heads[1]}, points coloured by class, grey where not scored; {says}; "
        f"{min(STRIP, frames)} moments of the clip from left to right."
    )
    strip = pair_strip(clip, paint, shown, heads, f"{title}; {right:.0%} of the scored points right")
    return ClipViewer(figure, png(strip, 110, text, EMBEDDED), text)


def as_scored(paint: Paint, names: tuple[str, ...]) -> Paint:
    """The same with what is not scored in Figure 4's pale grey, naming only the classes that occur."""
    meaning = {0: NOT_SCORED, **{c + 1: name for c, name in enumerate(names)}}
    palette = np.vstack([to_rgb(PALE), paint.palette[1:]])
    return replace(paint, palette=palette, ticks={int(code): meaning[int(code)] for code in np.unique(paint.codes)})


def fit_scene(scene: dict, steps: np.ndarray, shown: int, heads: tuple[str, str]) -> None:
    """A heading above each cloud, no ticks sideways (they would count through both clouds), and a camera that looks
    straight at the pair."""
    top = float(steps[..., 1].min())
    sideways = [cloud[..., 0] for cloud in (steps[:, :shown], steps[:, shown:])]
    middle = [float(x.min() / 2 + x.max() / 2) for x in sideways]
    depth = float(steps[..., 2].mean())
    scene["xaxis"] |= {"tickvals": [], "ticktext": [], "title": {"text": ""}}
    style = {"showarrow": False, "yshift": 22, "font": {"size": 14, "color": INK}}
    scene["annotations"] = [
        {"x": x, "y": top, "z": depth, "text": f"<b>{head}</b>", **style} for x, head in zip(middle, heads)
    ]
    ratio = scene["aspectratio"]
    scene["camera"] |= {
        "eye": {"x": 0.0, "y": -0.2, "z": -(ratio["z"] / 2 + max(ACROSS * ratio["x"], UPRIGHT * ratio["y"]))}
    }


@look
def pair_strip(clip: Clip, paint: Paint, shown: int, heads: tuple[str, str], title: str) -> Figure:
    """Up to STRIP moments, ground truth above the prediction, and the key of the classes."""
    moments = np.unique(np.linspace(0, len(clip.points) - 1, STRIP).round().astype(int))
    height = 4.0
    figure = Figure(figsize=(WIDTH, height))
    camera = fit_camera(torch.as_tensor(clip.points))
    positions = [camera.project(torch.as_tensor(clip.points[f, :shown]))[0].numpy() for f in moments]
    wide, tall = 0.965 / len(moments), 0.385
    for k, f in enumerate(moments):
        for row in range(2):
            ax = drawing.bare(figure.add_axes((0.035 + k * wide, 0.545 - 0.395 * row, 0.97 * wide, tall)))
            drawing.look_at(ax, drawing.window(*positions, margin=2, aspect=0.97 * wide * WIDTH / (tall * height)))
            colours, scale = paint.rgb(f)[row * shown : (row + 1) * shown], drawing.WHOLE if clip.tracked else 1.0
            drawing.draw_cloud(ax, clip.points[f, :shown], camera, colours, scale=scale)
        middle = 0.035 + (k + 0.5) * wide
        figure.text(middle, 0.965, f"frame {f}", ha="center", va="center", fontsize=SMALL, color=MUTED)
    for row, head in enumerate(heads):
        drawing.row_name(figure, 0.74 - 0.395 * row, head, fontsize=SMALL)
    entries = [(to_hex(paint.palette[code]), name) for code, name in paint.ticks.items()]
    for k, line in enumerate(drawing.key_lines(entries)):
        drawing.point_key(figure, (0.03, 0.105 - 0.05 * k), line)
    drawing.small_note(figure, title)
    return figure
