"""Features and targets as colours: one frame under several teachers, and a person in its targets under each control."""

from __future__ import annotations

from textwrap import fill

import numpy as np
import torch
from matplotlib.figure import Figure

from ..clips import Clip
from ..points import nearest_point
from ..pretexts import CONTROLS
from ..pretexts.target_controls import ControlledTargets
from ..render import fit_camera
from ..targets import TargetStore
from . import drawing
from .colours import fit_pca_rgb, similarity
from .figure_data import PipelineFrame, busiest_point
from .style import MUTED, SMALL, WIDTH, look

ROWS = ("render and patches", "patch features, PCA", "on the visible points", "cosine to the\nringed point")


def on_points(targets, i: int, frame: int) -> np.ndarray:
    """What the points of a frame of clip i are taught: each takes the target of the nearest token of the frame that
    carries one.

    targets : a TargetStore or ControlledTargets. Returns (N, d_p) float32, NaN where no token carries any.
    """
    batch = targets.batch([i])
    own = (batch.grouping["frame"][0] == frame) & batch.visible[0]
    cloud = batch.points[0, frame]  # (N, 3)
    if not own.any():
        return np.full((len(cloud), targets.dim), np.nan, np.float32)
    near = nearest_point(cloud, cloud[batch.grouping["point"][0, own]])
    return batch.targets[0, own][near].numpy()


def every_target(targets) -> np.ndarray:
    """(n, d_p): all that the tokens of all clips carry."""
    batch = targets.batch(range(len(targets)))
    return batch.targets[batch.visible].numpy()


@look
def carried_figure(
    store: TargetStore,
    clip: Clip,
    i: int,
    frame: int,
    others: dict[str, TargetStore] | None = None,
    seed: int = 0,
    note: str = "",
) -> Figure:
    """One frame of clip i of a store, its points in the colour of their target: dense, then every control of the same
    store, then ``others``.

    clip : the same clip. others : stores of the same clips under another teacher. Above, three components as red, green
    and blue: ONE PCA, fitted on dense's targets, for dense and its controls, one of its own for each of the others,
    whose space is another. Below, the cosine to the target of one ringed point, less the mean that the loss subtracts.
    seed : of the shuffles.
    """
    shown = {"dense": store, **{name: ControlledTargets(store, name, seed) for name in CONTROLS}, **(others or {})}
    shared = fit_pca_rgb(every_target(store))
    anchor = busiest_point(clip, frame)
    camera, across = fit_camera(torch.as_tensor(clip.points)), len(shown)
    position = camera.project(torch.as_tensor(clip.points[frame]))[0].numpy()
    panel = 0.99 * WIDTH / across
    tall = panel * float(np.clip((np.ptp(position[:, 1]) + 8) / (np.ptp(position[:, 0]) + 8), 1.2, 2.6))
    heads = {name: name.replace(" ", "\n") for name in shown}
    head = 0.13 + 0.16 * max(1 + text.count("\n") for text in heads.values())  # inches
    height = 2 * tall + head + 0.8
    figure = Figure(figsize=(WIDTH, height))
    for c, (name, targets) in enumerate(shown.items()):
        taught = on_points(targets, i, frame)
        pca = fit_pca_rgb(every_target(targets)) if name in (others or {}) else shared
        centred = taught - targets.mean["dense"].numpy()
        for row, colours in enumerate((pca(taught), (similarity(centred, centred[anchor]) + 1) / 2)):
            bottom = height - head - (row + 1) * tall - 0.04 * row
            box = (0.005 + c * 0.99 / across, bottom / height, 0.98 / across, tall / height)
            ax, scale = drawing.bare(figure.add_axes(box)), drawing.WHOLE if clip.tracked else 1.0
            drawing.look_at(ax, drawing.window(position, margin=3, aspect=panel / tall))
            drawing.draw_cloud(ax, clip.points[frame], camera, np.nan_to_num(colours), scale=scale)
            drawing.ring(ax, position[anchor], 60)
            if row == 0:
                drawing.over(ax, heads[name])
    drawing.cosine_bar(figure, (0.03, 0.3 / height, 0.25, 0.12 / height), "below: cosine to the ringed point's target")
    own = ", one of its own for each other" if others else ""
    words = f"above: three components, one PCA of dense's targets for the first {1 + len(CONTROLS)} columns{own}"
    figure.text(0.33, 0.36 / height, words, fontsize=SMALL, color=MUTED, va="center")
    drawing.small_note(figure, note)
    figure.set_label(
        f"Frame {frame} of clip {clip.id}, its points in the colour of the target of the nearest token, once for each "
        f"of {', '.join(shown)}; above as three principal components, below as cosine in cividis to the target of one "
        "ringed point. Under frame mean the whole person has one colour."
    )
    return figure


@look
def teacher_maps(frames: dict[str, PipelineFrame], note: str = "") -> Figure:
    """One column a teacher, all of the same frame of the same clip. frames : title -> ``figure_data.pipeline_frame``.

    Colours are one PCA a teacher, fitted on its own foreground patches of the whole clip: they compare within a column,
    not across. The cosine is of features less their mean.
    """
    figure = Figure(figsize=(WIDTH, 2.25 * WIDTH / max(4, len(frames)) + 4.4))
    axes = figure.subplots(len(ROWS), len(frames), squeeze=False)
    figure.subplots_adjust(left=0.09, right=0.995, top=0.86, bottom=0.075, wspace=0.06, hspace=0.06)
    for column, (title, seen) in enumerate(frames.items()):
        size, pixels = seen.view.image.shape[-1], seen.view.pixel[seen.frame].numpy()
        rectangle = drawing.window(pixels[seen.view.visible[seen.frame].numpy()], grain=size / 16, margin=0.5)
        for row in range(len(ROWS)):
            drawing.look_at(drawing.bare(axes[row, column]), rectangle)
        drawing.draw_image(axes[0, column], seen.view.image[seen.frame, 0].numpy(), cmap="gray", vmin=0, vmax=1)
        drawing.grid(axes[0, column], size, seen.patch, colour="white")
        drawing.draw_image(axes[1, column], np.nan_to_num(seen.patch_rgb, nan=1.0), seen.patch)
        shown = seen.index >= 0
        drawing.draw_cloud(
            axes[2, column], seen.clip.points[seen.frame][shown], seen.view.camera, seen.point_rgb[shown]
        )
        drawing.draw_image(axes[3, column], drawing.in_cividis(seen.patch_alike, seen.foreground, -1, 1), seen.patch)
        for row in (0, 1, 3):
            drawing.ring(axes[row, column], pixels[seen.anchor] + 0.5, 70)
        cells = size // seen.patch
        about = f"{fill(title, max(11, 90 // len(frames)))}\n{cells} x {cells}\nof {seen.patch} px"
        axes[0, column].set_title(about, fontsize=SMALL - 0.5)
    for row, label in enumerate(ROWS):
        axes[row, 0].set_ylabel(label, fontsize=SMALL)
    drawing.cosine_bar(figure, (0.4, 0.035, 0.2, 0.012), "cosine")
    drawing.small_note(figure, note)
    figure.set_label(
        "One frame under several teachers, a column each: the render with its patch grid, the patch features as "
        "colours, the same colours on the points, and the cosine to one marked point. "
        f"Columns: {'; '.join(frames)}."
    )
    return figure
