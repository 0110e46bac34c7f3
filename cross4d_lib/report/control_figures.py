"""A person in the colours of its targets, under each control (notebook 15)."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure

from ..clips import Clip
from ..points import nearest_point
from ..pretexts import CONTROLS, controlled
from ..render import fit_camera
from ..targets import TargetStore
from . import drawing
from .colours import fit_pca_rgb, similarity
from .evidence import busiest_point
from .style import MUTED, SMALL, WIDTH, look


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
    shown = {"dense": store, **{name: controlled(store, name, seed) for name in CONTROLS}, **(others or {})}
    shared = fit_pca_rgb(every_target(store))
    anchor = busiest_point(clip, frame)
    camera, across = fit_camera(torch.as_tensor(clip.points)), len(shown)
    position = camera.project(torch.as_tensor(clip.points[frame]))[0].numpy()
    panel = 0.99 * WIDTH / across
    tall = panel * float(np.clip((np.ptp(position[:, 1]) + 8) / (np.ptp(position[:, 0]) + 8), 1.2, 2.6))
    height = 2 * tall + 1.25
    figure = Figure(figsize=(WIDTH, height))
    for c, (name, targets) in enumerate(shown.items()):
        taught = on_points(targets, i, frame)
        pca = fit_pca_rgb(every_target(targets)) if name in (others or {}) else shared
        centred = taught - targets.mean["dense"].numpy()
        for row, colours in enumerate((pca(taught), (similarity(centred, centred[anchor]) + 1) / 2)):
            bottom = height - 0.45 - (row + 1) * tall - 0.04 * row
            ax = drawing.bare(
                figure.add_axes((0.005 + c * 0.99 / across, bottom / height, 0.98 / across, tall / height))
            )
            drawing.look_at(ax, drawing.window(position, margin=3, aspect=panel / tall))
            drawing.draw_cloud(
                ax, clip.points[frame], camera, np.nan_to_num(colours), scale=drawing.WHOLE if clip.tracked else 1.0
            )
            drawing.mark(ax, position[anchor], 60)
            if row == 0:
                drawing.over(ax, name.replace(" ", "\n"))
    drawing.cosine_bar(figure, (0.03, 0.3 / height, 0.25, 0.12 / height), "below: cosine to the ringed point's target")
    figure.text(
        0.33,
        0.36 / height,
        f"above: three components, one PCA of dense's targets for the first {1 + len(CONTROLS)} columns"
        + (", one of its own for each other" if others else ""),
        fontsize=SMALL,
        color=MUTED,
        va="center",
    )
    drawing.small_note(figure, note)
    figure.set_label(
        f"Frame {frame} of clip {clip.id}, its points in the colour of the target of the nearest token, once for each of {', '.join(shown)}; above as three principal "
        "components, below as cosine in cividis to the target of one ringed point. Under broadcast the whole person has one colour."
    )
    return figure
