"""Figures 3, 4 and 5: features on other datasets, segmentation beside ground truth, one motion in one PCA.

Each returns a Figure whose label is its alt text; captions belong to the notebook. ``note`` is the small line that says
what was drawn. What is computed stands in ``figure_data.py``; plots of tables in ``task_plots.py``.
"""

from __future__ import annotations

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from ..clips import Clip
from ..encoders import Encoder
from ..errors import ConfigError
from ..render import Camera, fit_camera
from . import drawing
from .figure_data import TokenFrames, chosen_frame, motion_frames, moving_point, nearness
from .figures import figure02
from .style import MUTED, PALE, SCALAR, SMALL, WIDTH, class_colours, look

__all__ = ["figure03", "figure04", "figure05", "spread_frames"]

TALLEST, LOWEST = 1.75, 0.85  # inches, a row of Figures 4 and 5; between them the clip's own shape decides
SHOWN = 6  # frames of Figure 5
LEFT, ACROSS = 0.04, 0.955  # of the width: where the panels begin, and how much they share


def figure03(
    clips: list[Clip], encoders: dict[str, Encoder], names: list[str], note: str = "", frame: int | None = None
) -> Figure:
    """Figure 2 for clips of other datasets than the one the encoders were pretrained on; one row a clip, one column an
    encoder.

    names : of the rows, best with the dataset. Ours, as in Figure 2: one PCA for each encoder over every point of every
    frame of all clips shown, so that a colour means the same feature in every row; a PCA for each dataset would make
    rows look alike that are not.
    """
    figure = figure02(clips, encoders, frame, note, names)
    figure.set_label(
        f"{len(clips)} clips of datasets that the encoders were not pretrained on ({', '.join(names)}), one frame "
        f"each. Columns: the input, then every point in the colour of its nearest token under {', '.join(encoders)}, "
        "three components as red, green and blue, one PCA for each encoder over all rows; then the same encoders as "
        "cosine similarity to one marked point that moves."
    )
    return figure


def scored(truth: np.ndarray, ignored: tuple[int, ...]) -> np.ndarray:
    """Where a point's class is known and not ignored. truth (...) int -> (...) bool."""
    return (truth >= 0) & ~np.isin(truth, ignored)


@look
def figure04(
    clips: list[Clip],
    truths: list[np.ndarray],
    predictions: dict[str, list[np.ndarray]],
    names: tuple[str, ...],
    ignored: tuple[int, ...] = (),
    scores: dict[str, list[np.ndarray]] | None = None,
    frame: int | None = None,
    rows: list[str] | None = None,
    note: str = "",
) -> Figure:
    """Ground truth beside predictions, one palette; two rows a clip, one column a method.

    truths : (T, N) int a clip, negative = no class. predictions : method -> (T, N) int a clip. names : of all classes;
    ignored : those that nothing is trained or scored on: pale grey everywhere, whatever is predicted there. Below each
    prediction is its twin in cividis: the probability given to the true class where ``scores`` (method -> (T, N) in [0,
    1] a clip) are given, else right or wrong; below the ground truth is the input. rows : names of the clips. frame :
    None takes the one that has moved farthest.

    Raises ConfigError when labels do not fit their clip.
    """
    every = {"ground truth": truths, **predictions}
    for what, labels in (every | {f"scores of {name}": values for name, values in (scores or {}).items()}).items():
        shapes = [np.shape(of_clip) for of_clip in labels]
        if shapes != [clip.points.shape[:2] for clip in clips]:
            raise ConfigError(f"{what} of shapes {shapes}", "figure04", "one label a point and frame of every clip")
    frames = [chosen_frame(clip, frame) for clip in clips]
    cameras = [fit_camera(torch.as_tensor(clip.points)) for clip in clips]
    positions = [seen_by(camera, clip.points[f]) for camera, clip, f in zip(cameras, clips, frames)]
    kept = [scored(truth[f], ignored) for truth, f in zip(truths, frames)]
    present = sorted(
        {
            int(k)
            for labels in every.values()
            for part, f, k_ in zip(labels, frames, kept)
            for k in np.unique(part[f][k_])
        }
    )
    palette = class_colours(len(names))
    colours = np.array([to_rgb(colour) for colour in palette])
    unscored = f"{' or '.join([*(names[k] for k in ignored), 'no class'])} in truth: not scored"
    keys = drawing.key_lines([*((palette[k], names[k]) for k in present), (PALE, unscored)])
    heights = [row_height(WIDTH * ACROSS / len(every), position) for position in positions]
    below = 0.58 + 0.2 * len(keys)
    figure = Figure(figsize=(WIDTH, sum(2 * h + 0.34 for h in heights) + below + 0.32))
    height = figure.get_size_inches()[1]
    top, shares = height - 0.3, {name: [] for name in predictions}
    for r, (clip, f, tall) in enumerate(zip(clips, frames, heights)):
        for c, (name, labels) in enumerate(every.items()):
            right = labels[r][f] == truths[r][f]
            if name in predictions:
                shares[name].append(right[kept[r]].mean() if kept[r].any() else np.nan)
                values = np.where(kept[r], scores[name][r][f] if scores else right, np.nan)
                words = f"{shares[name][-1]:.0%} of points right"
            else:
                values, words = nearness(clip, f), "input, light = near"
            classes = np.where(kept[r][:, None], colours[labels[r][f].clip(0)], to_rgb(PALE))
            first, twin = (panel(figure, c, len(every), top - shift, tall) for shift in (tall, 2 * tall + 0.04))
            for ax, shades in ((first, classes), (twin, on_pale(values))):
                drawing.look_at(ax, drawing.window(positions[r], margin=2, aspect=0.94 * WIDTH / len(every) / tall))
                scale = drawing.WHOLE if clip.tracked else 1.0
                drawing.draw_cloud(ax, clip.points[f], cameras[r], shades, scale=scale)
            at = LEFT + (c + 0.49) * ACROSS / len(every), (top - 2 * tall - 0.07) / height
            figure.text(*at, words, ha="center", va="top", fontsize=SMALL, color=MUTED)
            if r == 0:
                drawing.over(first, name)
        drawing.row_name(figure, (top - tall) / height, (rows or [clip.id for clip in clips])[r])
        top -= 2 * tall + 0.34
    for k, line in enumerate(keys):
        drawing.point_key(figure, (0.03, (below - 0.16 - 0.2 * k) / height), line)
    if scores:
        box = (0.04, 0.22 / height, 0.3, 0.12 / height)
        drawing.cosine_bar(figure, box, "lower rows: probability given to the true class", (0, 0.5, 1))
    else:
        shade = matplotlib.colormaps[SCALAR]
        entries = [(to_hex(shade(1.0)), "lower rows: right"), (to_hex(shade(0.0)), "lower rows: wrong")]
        drawing.point_key(figure, (0.03, 0.3 / height), entries)
    drawing.small_note(figure, note)
    means = ", ".join(f"{name} {np.nanmean(values):.0%}" for name, values in shares.items())
    lower = "the probability given to the true class" if scores else "what is right and what is wrong"
    figure.set_label(
        f"{len(clips)} clips, one frame each: ground truth and predictions of {', '.join(predictions)}, points "
        f"coloured by class ({', '.join(names[k] for k in present)}), what is not scored pale grey; below each "
        f"prediction {lower}, light is better. Right on average: {means}."
    )
    return figure


def panel(figure: Figure, column: int, columns: int, bottom: float, tall: float) -> Axes:
    """A bare panel of a row of ``columns``; bottom, tall : in inches."""
    height = figure.get_size_inches()[1]
    box = (LEFT + column * ACROSS / columns, bottom / height, 0.94 / columns, tall / height)
    return drawing.bare(figure.add_axes(box))


def spread_frames(frames: int, count: int = SHOWN) -> list[int]:
    """``count`` frames from first to last, evenly; fewer where there are fewer."""
    return [int(f) for f in np.unique(np.linspace(0, frames - 1, count).round())]


def figure05(
    clip: Clip, encoders: dict[str, Encoder], frames: list[int] | None = None, note: str = "", anchor: int | None = None
) -> Figure:
    """One motion over time: rows the input and every encoder, columns frames; below, each encoder's likeness to one
    point.

    frames : None takes SHOWN of them from first to last. anchor : the marked point of the first frame shown; None takes
    the one whose surroundings move most. Ours: one PCA for each encoder over all frames of the clip, shared by the
    columns; the twin is the cosine to the anchor's feature IN THE FIRST FRAME SHOWN, less the PCA's mean, in every
    frame. Where points are tracked the ring follows the surface; a depth video's points have no identity, so only the
    first frame has one.
    """
    frames = [chosen_frame(clip, f) for f in (spread_frames(len(clip.points)) if frames is None else frames)]
    anchor = moving_point(clip, frames[0]) if anchor is None else anchor
    seen = {name: motion_frames(clip, encoder, frames, anchor) for name, encoder in encoders.items()}
    return draw_motion(clip, frames, anchor, seen, note)


@look
def draw_motion(clip: Clip, frames: list[int], anchor: int, seen: dict[str, TokenFrames], note: str = "") -> Figure:
    """Figure 5 from what was computed."""
    camera, count, many = fit_camera(torch.as_tensor(clip.points)), len(frames), len(seen)
    positions = [seen_by(camera, clip.points[f]) for f in frames]
    tall = row_height(WIDTH * ACROSS / count, np.concatenate(positions))
    rows = [("input", [nearness(clip, f) for f in frames]), *((name, s.rgb) for name, s in seen.items())]
    rows += [(name, [(a + 1) / 2 for a in s.alike]) for name, s in seen.items()]
    gaps = [0.0] + 2 * ([0.3] + [0.04] * (many - 1))  # inches above each row
    height = 0.3 + sum(gaps) + tall * len(rows) + 0.72
    figure = Figure(figsize=(WIDTH, height))
    top, panels = height - 0.3, []
    for (name, colours), gap in zip(rows, gaps):
        top -= gap + tall
        line = [panel(figure, c, count, top, tall) for c in range(count)]
        for c, (ax, f, colour) in enumerate(zip(line, frames, colours)):
            drawing.look_at(ax, drawing.window(*positions, margin=2, aspect=0.94 * WIDTH / count / tall))
            drawing.draw_cloud(ax, clip.points[f], camera, colour, scale=drawing.WHOLE if clip.tracked else 1.0)
            if (clip.tracked or c == 0) and not 1 <= len(panels) <= many:
                drawing.ring(ax, positions[c][anchor], 60)
        drawing.row_name(figure, (top + tall / 2) / height, name)
        panels.append(line)
    for ax, f in zip(panels[0], frames):
        drawing.over(ax, f"frame {f}")
    pca, cosine = panels[1], panels[1 + many]
    drawing.span(figure, pca[0], pca[-1], "PCA as colours: one PCA for each encoder, the same in all frames", 0.03)
    drawing.span(figure, cosine[0], cosine[-1], f"cosine to the point marked in frame {frames[0]}", 0.03)
    drawing.cosine_bar(figure, (0.62, 0.42 / height, 0.28, 0.12 / height))
    alone = f"the marked point, in frame {frames[0]} alone (its path is unknown)"
    ring = "the same point of the surface in every frame" if clip.tracked else alone
    figure.text(0.03, 0.48 / height, f"input: light = near; ring = {ring}", fontsize=SMALL, color=MUTED, va="center")
    drawing.small_note(figure, note)
    figure.set_label(
        f"Frames {', '.join(map(str, frames))} of clip {clip.id}, from left to right. Rows: the input; every point in "
        f"the colour of its nearest token under {', '.join(seen)}, one PCA for each encoder over the whole clip; and "
        f"the same encoders as cosine similarity to one point of frame {frames[0]}, ringed."
    )
    return figure


def seen_by(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Pixel positions (N, 2) of points (N, 3)."""
    return camera.project(torch.as_tensor(points))[0].numpy()


def row_height(panel: float, positions: np.ndarray) -> float:
    """Inches that a panel so wide needs to show pixel positions (n, 2) without empty margins."""
    wide, high = np.ptp(positions, axis=0) + 6
    return float(np.clip(panel * high / wide, LOWEST, TALLEST))


def on_pale(values: np.ndarray) -> np.ndarray:
    """Numbers (N,) in [0, 1] in cividis, (N, 3); NaN in pale grey, which cividis does not have."""
    rgb = matplotlib.colormaps[SCALAR](np.nan_to_num(values.astype(float)))[:, :3]
    return np.where(np.isnan(values.astype(float))[:, None], to_rgb(PALE), rgb)
