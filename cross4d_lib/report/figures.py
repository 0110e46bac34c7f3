"""Figures 2 and 7, and Figure 1 by way of ``overview.py``: drawn from what ``figure_data`` computes.

Each returns a Figure whose label is its alt text; captions belong to the notebook. ``note`` is the small line that says
what was drawn, such as "synthetic-actions (stand-in), teacher cross4d-tiny".
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..clips import Clip
from ..encoders import Encoder
from ..render import fit_camera
from ..teachers import Teacher
from . import drawing
from .figure_data import PipelineFrame, TokenFrames, busiest_point, chosen_frame, nearness, pipeline_frame, token_frames
from .overview import figure01
from .style import ANCHOR, INK, MUTED, SMALL, WIDTH, look

__all__ = ["figure01", "figure02", "figure07"]

ROW = 1.7  # inches, a row of Figure 2
PANEL = 0.8  # width / height of a panel of Figure 7
OBLIQUE = -0.6  # radians the camera of the point panels is carried round, so that occluded points come into sight


def figure07(clip: Clip, teacher: Teacher, frame: int | None = None, note: str = "", size: int = 126) -> Figure:
    """The pipeline on one frame: points, render, the point in every pixel, teacher features, the same on the points.

    frame : None takes the one that has moved farthest. Ours: the PCA is fitted on the clip's foreground patches and
    shared by the maps above; below them is their twin, the cosine to the ringed anchor's patch after the common mean is
    taken off. Clouds are seen from an oblique camera so that occluded points (hollow) come into sight.
    """
    return draw_pipeline(pipeline_frame(clip, teacher, frame, size), note)


@look
def draw_pipeline(seen: PipelineFrame, note: str = "") -> Figure:
    """Figure 7 from what was computed."""
    clip, f, view = seen.clip, seen.frame, seen.view
    figure = Figure(figsize=(WIDTH, 7.6))
    place = figure.add_gridspec(2, 4, left=0.005, right=0.995, top=0.935, bottom=0.1, wspace=0.04, hspace=0.16)
    panels = [[drawing.bare(figure.add_subplot(place[r, c])) for c in range(4)] for r in range(2)]
    (points, image, patch_map, point_map), (pixels, zoom, patch_twin, point_twin) = panels

    camera = fit_camera(torch.as_tensor(clip.points), view.camera.size, OBLIQUE)
    positions = camera.project(torch.as_tensor(clip.points[f]))[0].numpy()  # (N, 2)
    side = drawing.window(positions, aspect=PANEL, margin=3)
    front = drawing.window(
        np.argwhere(seen.foreground)[:, ::-1] * seen.patch, grain=seen.patch, margin=0.2, aspect=PANEL
    )
    for ax in (points, point_map, point_twin):
        drawing.look_at(ax, side)
    for ax in (image, patch_map, pixels, patch_twin):
        drawing.look_at(ax, front)

    hidden = seen.index < 0  # (N,)
    drawing.draw_cloud(points, clip.points[f], camera, nearness(clip, f))
    drawing.draw_image(image, view.image[f, 0].numpy(), cmap="gray", vmin=0, vmax=1)
    drawing.draw_image(patch_map, np.dstack([seen.patch_rgb, seen.foreground]), seen.patch)
    drawing.draw_cloud(point_map, clip.points[f], camera, seen.point_rgb, hidden)
    draw_owners(pixels, seen)
    draw_zoom(zoom, seen)
    drawing.draw_image(patch_twin, drawing.in_cividis(seen.patch_alike, seen.foreground, -1, 1), seen.patch)
    drawing.draw_cloud(point_twin, clip.points[f], camera, (seen.point_alike + 1) / 2, hidden)
    for ax in (patch_map, patch_twin, pixels):
        drawing.outline_patch(ax, seen.index[seen.anchor], seen.patch, seen.foreground.shape[1])
    for ax in (points, point_map, point_twin):
        drawing.ring(ax, positions[seen.anchor])

    heads = (
        ("points $P_f$", "light = near"),
        ("render $I_f$  (Eq. 1)", "light = near"),
        ("teacher patches $\\Phi_f$  (Eq. 2)", "PCA as colours"),
        ("back on the points  (Eq. 3)", "the same PCA"),
        ("the point in each pixel", "shades are shuffled"),
        ("one patch, enlarged", "and the points that fall into it"),
        ("likeness to the ringed point", "cosine, light = alike"),
        ("the same on the points", "cosine, light = alike"),
    )
    for ax, (head, kind) in zip([*panels[0], *panels[1]], heads):
        drawing.over(ax, head, kind)
    drawing.point_key(
        figure, (0.03, 0.05), [(ANCHOR, "in the marked patch"), (INK, "visible"), ("white", "occluded: no target")]
    )
    drawing.cosine_bar(figure, (0.62, 0.055, 0.25, 0.02), "cosine similarity, features less their mean")
    drawing.small_note(figure, note)
    share = 1 - hidden.mean()
    figure.set_label(
        f"Eight panels on frame {f} of clip {clip.id}: the points; their depth-shaded render; the point each pixel "
        "shows; one patch enlarged; the teacher's patch features as colours; the same colours carried to the "
        f"{share:.0%} of points that are visible, the others hollow; and cosine similarity to one marked patch, on "
        "patches and points."
    )
    return figure


def draw_owners(ax: Axes, seen: PipelineFrame) -> None:
    """The index map: every pixel in the shade of the point it shows (shades are shuffled), under the grid of
    patches."""
    index, size = seen.view.index[seen.frame].numpy(), seen.view.camera.size
    drawing.draw_image(ax, owner_shades(index, seen.clip.points.shape[1]))
    drawing.grid(ax, size, seen.patch)


def owner_shades(index: np.ndarray, points: int) -> np.ndarray:
    """Index map (H, W) -> (H, W, 4): one shuffled shade a point, so that neighbours differ; transparent where nothing
    is seen."""
    shade = np.random.default_rng(0).permutation(points) / points  # (N,)
    return drawing.in_cividis(shade[index], index >= 0, -0.25, 1)


def draw_zoom(ax: Axes, seen: PipelineFrame) -> None:
    """The anchor's patch and what surrounds it: pixels in the shade of their point, and the points that project
    there."""
    cell, columns = seen.index[seen.anchor], seen.foreground.shape[1]
    corner = np.array([cell % columns, cell // columns]) * seen.patch
    drawing.look_at(
        ax, drawing.window(corner[None], corner[None] + seen.patch - 1, grain=seen.patch, margin=0.6, aspect=PANEL)
    )
    drawing.draw_image(ax, owner_shades(seen.view.index[seen.frame].numpy(), seen.clip.points.shape[1]), alpha=0.45)
    drawing.grid(ax, seen.view.camera.size, seen.patch, width=1.2)
    positions = seen.view.camera.project(torch.as_tensor(seen.clip.points[seen.frame]))[0].numpy()
    left, right = ax.get_xlim()
    bottom, top = ax.get_ylim()
    inside = (positions > [left, top]).all(1) & (positions < [right, bottom]).all(1)
    own, hidden = seen.index == cell, seen.index < 0
    ax.scatter(*positions[inside & own].T, s=26, c=ANCHOR, edgecolors="white", linewidths=0.8, zorder=4)
    ax.scatter(*positions[inside & ~own & ~hidden].T, s=16, c=INK, edgecolors="white", linewidths=0.6, zorder=3)
    ax.scatter(*positions[inside & hidden].T, s=22, facecolors="white", edgecolors=MUTED, linewidths=1.0, zorder=3)
    drawing.outline_patch(ax, cell, seen.patch, columns, 2.5)


def figure02(
    clips: list[Clip],
    encoders: dict[str, Encoder],
    frame: int | None = None,
    note: str = "",
    names: list[str] | None = None,
) -> Figure:
    """Each point in the colour of the nearest token of its own frame; one row a clip, one column an encoder.

    names : of the rows (classes). encoders : heading -> Encoder, such as dense, global, random. frame : None takes the
    one that has moved farthest, clip by clip. Ours: one PCA for each encoder, fitted on every point of every frame of
    the clips shown; beside it the twin, cosine to the ringed point's token after that PCA's mean is taken off, on one
    scale for all; the ring is the point whose surroundings have moved most.
    """
    frames = [chosen_frame(clip, frame) for clip in clips]
    anchors = [busiest_point(clip, f) for clip, f in zip(clips, frames)]
    seen = {name: token_frames(clips, encoder, frames, anchors) for name, encoder in encoders.items()}
    return draw_token_frames(clips, frames, anchors, seen, names or [clip.id for clip in clips], note)


@look
def draw_token_frames(
    clips: list[Clip],
    frames: list[int],
    anchors: list[int],
    seen: dict[str, TokenFrames],
    names: list[str],
    note: str = "",
) -> Figure:
    """Figure 2 from what was computed."""
    k, rows = len(seen), len(clips)
    height = ROW * rows + 1.3
    figure = Figure(figsize=(WIDTH, height))
    inch = lambda inches: inches / height
    widths = [1.0] * (k + 1) + [0.12] + [1.0] * k
    margins = {
        "left": 0.032,
        "right": 0.998,
        "top": 1 - inch(0.62),
        "bottom": inch(0.66),
        "wspace": 0.02,
        "hspace": 0.03,
    }
    place = figure.add_gridspec(rows, len(widths), **margins, width_ratios=widths)
    columns = [c for c in range(len(widths)) if c != k + 1]
    panels = np.array([[drawing.bare(figure.add_subplot(place[r, c])) for c in columns] for r in range(rows)])
    for r, (clip, f, anchor) in enumerate(zip(clips, frames, anchors)):
        camera = fit_camera(torch.as_tensor(clip.points))
        positions = camera.project(torch.as_tensor(clip.points[f]))[0].numpy()  # (N, 2)
        box = panels[r, 0].get_position(original=True)
        aspect = box.width * WIDTH / (box.height * height)
        colours = [
            nearness(clip, f),
            *(s.rgb[r] for s in seen.values()),
            *((s.alike[r] + 1) / 2 for s in seen.values()),
        ]
        for c, (ax, colour) in enumerate(zip(panels[r], colours)):
            drawing.look_at(ax, drawing.window(positions, margin=3, aspect=aspect))
            drawing.draw_cloud(ax, clip.points[f], camera, colour, scale=drawing.WHOLE if clip.tracked else 1.0)
            if c == 0 or c > k:
                drawing.ring(ax, positions[anchor], 70)
        drawing.row_name(figure, (box.y0 + box.y1) / 2, names[r])
    for c, name in enumerate(["input", *seen, *seen]):
        drawing.over(panels[0, c], name)
    drawing.span(figure, panels[0, 1], panels[0, k], "PCA as colours, one PCA for each encoder")
    drawing.span(figure, panels[0, k + 1], panels[0, 2 * k], "cosine to the marked point")
    left, right = panels[-1, k + 1].get_position(original=True).x0, panels[-1, 2 * k].get_position(original=True).x1
    drawing.cosine_bar(figure, (left + 0.15 * (right - left), inch(0.45), 0.7 * (right - left), inch(0.13)))
    ring = "input: light = near; ring = the marked point"
    figure.text(0.032, inch(0.5), ring, fontsize=SMALL, color=MUTED, va="center")
    drawing.small_note(figure, note)
    figure.set_label(
        f"{rows} actions ({', '.join(names)}), one frame each. Columns: the input, then every point in the colour of "
        f"its nearest token under {', '.join(seen)}, three components as red, green and blue; then the same encoders "
        "as cosine similarity to one marked point that moves."
    )
    return figure
