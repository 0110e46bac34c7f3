"""Figures 3, 4 and 5: features on other datasets, segmentation beside ground truth, one motion in one PCA.

Each returns a Figure whose label is its alt text; captions belong to the notebook. ``note`` is the small line that says
what was drawn. What is computed stands in ``evidence.py`` and ``task_evidence.py``; plots of tables in
``task_plots.py``.
"""

from __future__ import annotations

import matplotlib
import numpy as np
import torch
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from ..clips import Clip
from ..encoders import Encoder
from ..errors import ConfigError
from ..render import Camera, fit_camera
from . import drawing
from .evidence import TokenFrames, chosen_frame, nearness
from .figures import figure02
from .style import MUTED, PALE, SCALAR, SMALL, WIDTH, class_colours, look
from .task_evidence import motion_frames, moving_point

__all__ = ["figure03", "figure04", "figure05", "spread_frames"]

TALLEST, LOWEST = 1.75, 0.85  # inches, a row of Figures 4 and 5; between them the clip's own shape decides
SHOWN = 6  # frames of Figure 5


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
        f"{len(clips)} clips of datasets that the encoders were not pretrained on ({', '.join(names)}), one frame each. Columns: the input, then every point in the "
        f"colour of its nearest token under {', '.join(encoders)}, three components as red, green and blue, one PCA for each encoder over all rows; "
        "then the same encoders as cosine similarity to one marked point that moves."
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
    for what, labels in {
        "ground truth": truths,
        **predictions,
        **{f"scores of {name}": values for name, values in (scores or {}).items()},
    }.items():
        if [np.shape(of_clip) for of_clip in labels] != [clip.points.shape[:2] for clip in clips]:
            raise ConfigError(
                f"{what} of shapes {[np.shape(of_clip) for of_clip in labels]}",
                "figure04",
                "one label a point and frame of every clip",
            )
    frames = [chosen_frame(clip, frame) for clip in clips]
    cameras = [fit_camera(torch.as_tensor(clip.points)) for clip in clips]
    positions = [seen_by(camera, clip.points[f]) for camera, clip, f in zip(cameras, clips, frames)]
    present = sorted(
        {int(k) for t, f in zip(truths, frames) for k in np.unique(t[f][scored(t[f], ignored)])}
        | {
            int(k)
            for p in predictions.values()
            for labels, t, f in zip(p, truths, frames)
            for k in np.unique(labels[f][scored(t[f], ignored)])
        }
    )
    colours = np.array([to_rgb(colour) for colour in class_colours(len(names))])
    keys = drawing.key_lines(
        [(class_colours(len(names))[k], names[k]) for k in present]
        + [(PALE, f"{' or '.join([*(names[k] for k in ignored), 'no class'])} in truth: not scored")]
    )

    across = 1 + len(predictions)
    panel = (WIDTH * 0.955) / across
    heights = [row_height(panel, position) for position in positions]
    below = 0.58 + 0.2 * len(keys)
    height = sum(2 * h + 0.34 for h in heights) + below + 0.32
    figure = Figure(figsize=(WIDTH, height))
    top = height - 0.3
    shares = {name: [] for name in predictions}
    for r, (clip, f, camera, position, truth, tall) in enumerate(
        zip(clips, frames, cameras, positions, truths, heights)
    ):
        kept = scored(truth[f], ignored)
        for c, (name, labels) in enumerate(
            [("ground truth", truth), *((name, p[r]) for name, p in predictions.items())]
        ):
            first = drawing.bare(
                figure.add_axes((0.04 + c * 0.955 / across, (top - tall) / height, 0.94 / across, tall / height))
            )
            twin = drawing.bare(
                figure.add_axes(
                    (0.04 + c * 0.955 / across, (top - 2 * tall - 0.04) / height, 0.94 / across, tall / height)
                )
            )
            if c == 0:
                below_it, said = nearness(clip, f), "input, light = near"
            else:
                right = labels[f] == truth[f]
                shares[name].append(right[kept].mean() if kept.any() else np.nan)
                below_it, said = (
                    np.where(kept, scores[name][r][f] if scores else right, np.nan),
                    f"{shares[name][-1]:.0%} of points right",
                )
            for ax, values in (
                (first, np.where(kept[:, None], colours[labels[f].clip(0)], to_rgb(PALE))),
                (twin, on_pale(below_it)),
            ):
                drawing.look_at(ax, drawing.window(position, margin=2, aspect=0.94 * WIDTH / across / tall))
                drawing.draw_cloud(ax, clip.points[f], camera, values, scale=drawing.WHOLE if clip.tracked else 1.0)
            middle = 0.04 + (c + 0.49) * 0.955 / across
            figure.text(
                middle, (top - 2 * tall - 0.07) / height, said, ha="center", va="top", fontsize=SMALL, color=MUTED
            )
            if r == 0:
                drawing.over(first, name)
        figure.text(
            0.014,
            (top - tall) / height,
            (rows or [clip.id for clip in clips])[r],
            rotation=90,
            ha="center",
            va="center",
            fontweight="bold",
            fontsize=SMALL + 0.5,
        )
        top -= 2 * tall + 0.34
    for k, line in enumerate(keys):
        drawing.point_key(figure, (0.03, (below - 0.16 - 0.2 * k) / height), line)
    if scores:
        drawing.cosine_bar(
            figure,
            (0.04, 0.22 / height, 0.3, 0.12 / height),
            "lower rows: probability given to the true class",
            (0, 0.5, 1),
        )
    else:
        drawing.point_key(
            figure,
            (0.03, 0.3 / height),
            [
                (to_hex(matplotlib.colormaps[SCALAR](1.0)), "lower rows: right"),
                (to_hex(matplotlib.colormaps[SCALAR](0.0)), "lower rows: wrong"),
            ],
        )
    drawing.small_note(figure, note)
    figure.set_label(
        f"{len(clips)} clips, one frame each: ground truth and predictions of {', '.join(predictions)}, points coloured by class ({', '.join(names[k] for k in present)}), "
        f"what is not scored pale grey; below each prediction {'the probability given to the true class' if scores else 'what is right and what is wrong'}, light is better. "
        "Right on average: " + ", ".join(f"{name} {np.nanmean(values):.0%}" for name, values in shares.items()) + "."
    )
    return figure


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
    return draw_motion(
        clip,
        frames,
        anchor,
        {name: motion_frames(clip, encoder, frames, anchor) for name, encoder in encoders.items()},
        note,
    )


@look
def draw_motion(clip: Clip, frames: list[int], anchor: int, seen: dict[str, TokenFrames], note: str = "") -> Figure:
    """Figure 5 from what was computed."""
    camera = fit_camera(torch.as_tensor(clip.points))
    positions = [seen_by(camera, clip.points[f]) for f in frames]
    panel = WIDTH * 0.955 / len(frames)
    tall = row_height(panel, np.concatenate(positions))
    rows = [
        ("input", [nearness(clip, f) for f in frames]),
        *((name, s.rgb) for name, s in seen.items()),
        *((name, [(a + 1) / 2 for a in s.alike]) for name, s in seen.items()),
    ]
    gaps = [0.0] + [0.3] + [0.04] * (len(seen) - 1) + [0.3] + [0.04] * (len(seen) - 1)  # inches above each row
    height = 0.3 + sum(gaps) + tall * len(rows) + 0.72
    figure = Figure(figsize=(WIDTH, height))
    top = height - 0.3
    panels = []
    for (name, colours), gap in zip(rows, gaps):
        top -= gap
        line = [
            drawing.bare(
                figure.add_axes(
                    (0.04 + c * 0.955 / len(frames), (top - tall) / height, 0.94 / len(frames), tall / height)
                )
            )
            for c in range(len(frames))
        ]
        for c, (ax, f, colour) in enumerate(zip(line, frames, colours)):
            drawing.look_at(ax, drawing.window(*positions, margin=2, aspect=0.94 * WIDTH / len(frames) / tall))
            drawing.draw_cloud(ax, clip.points[f], camera, colour, scale=drawing.WHOLE if clip.tracked else 1.0)
            if (clip.tracked or c == 0) and not 1 <= len(panels) <= len(seen):
                drawing.mark(ax, positions[c][anchor], 60)
        figure.text(
            0.014,
            (top - tall / 2) / height,
            name,
            rotation=90,
            ha="center",
            va="center",
            fontweight="bold",
            fontsize=SMALL + 0.5,
        )
        top -= tall
        panels.append(line)
    for ax, f in zip(panels[0], frames):
        drawing.over(ax, f"frame {f}")
    drawing.span(
        figure, panels[1][0], panels[1][-1], "PCA as colours: one PCA for each encoder, the same in all frames", 0.03
    )
    drawing.span(
        figure,
        panels[1 + len(seen)][0],
        panels[1 + len(seen)][-1],
        f"cosine to the point marked in frame {frames[0]}",
        0.03,
    )
    drawing.cosine_bar(figure, (0.62, 0.42 / height, 0.28, 0.12 / height))
    ring = (
        "the same point of the surface in every frame"
        if clip.tracked
        else f"the marked point, in frame {frames[0]} alone (its path is unknown)"
    )
    figure.text(0.03, 0.48 / height, f"input: light = near; ring = {ring}", fontsize=SMALL, color=MUTED, va="center")
    drawing.small_note(figure, note)
    figure.set_label(
        f"Frames {', '.join(map(str, frames))} of clip {clip.id}, from left to right. Rows: the input; every point in the colour of its nearest token under {', '.join(seen)}, "
        f"one PCA for each encoder over the whole clip; and the same encoders as cosine similarity to one point of frame {frames[0]}, ringed."
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
