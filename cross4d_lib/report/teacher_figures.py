"""What different teachers see in one frame: patches as colours, the same on the points, and likeness to one point."""

from __future__ import annotations

from textwrap import fill

import numpy as np
from matplotlib.figure import Figure

from .drawing import bare, cosine_bar, draw_cloud, draw_image, grid, in_cividis, look_at, mark, small_note, window
from .evidence import PipelineFrame
from .style import SMALL, WIDTH, look

ROWS = ("render and patches", "patch features, PCA", "on the visible points", "cosine to the\nringed point")


@look
def teacher_maps(frames: dict[str, PipelineFrame], note: str = "") -> Figure:
    """One column a teacher, all of the same frame of the same clip. frames : title -> ``evidence.pipeline_frame``.

    Colours are one PCA a teacher, fitted on its own foreground patches of the whole clip: they compare within a column,
    not across. The cosine is of features less their mean.
    """
    figure = Figure(figsize=(WIDTH, 2.25 * WIDTH / max(4, len(frames)) + 4.4))
    axes = figure.subplots(len(ROWS), len(frames), squeeze=False)
    figure.subplots_adjust(left=0.09, right=0.995, top=0.86, bottom=0.075, wspace=0.06, hspace=0.06)
    for column, (title, seen) in enumerate(frames.items()):
        size, pixels = seen.view.image.shape[-1], seen.view.pixel[seen.frame].numpy()
        rectangle = window(pixels[seen.view.visible[seen.frame].numpy()], grain=size / 16, margin=0.5)
        for row in range(len(ROWS)):
            look_at(bare(axes[row, column]), rectangle)
        draw_image(axes[0, column], seen.view.image[seen.frame, 0].numpy(), cmap="gray", vmin=0, vmax=1)
        grid(axes[0, column], size, seen.patch, colour="white")
        draw_image(axes[1, column], np.nan_to_num(seen.patch_rgb, nan=1.0), seen.patch)
        shown = seen.index >= 0
        draw_cloud(axes[2, column], seen.clip.points[seen.frame][shown], seen.view.camera, seen.point_rgb[shown])
        draw_image(axes[3, column], in_cividis(seen.patch_alike, seen.foreground, -1, 1), seen.patch)
        for row in (0, 1, 3):
            mark(axes[row, column], pixels[seen.anchor] + 0.5, 70)
        axes[0, column].set_title(
            f"{fill(title, max(11, 90 // len(frames)))}\n{size // seen.patch} x {size // seen.patch}\nof {seen.patch} px",
            fontsize=SMALL - 0.5,
        )
    for row, label in enumerate(ROWS):
        axes[row, 0].set_ylabel(label, fontsize=SMALL)
    cosine_bar(figure, (0.4, 0.035, 0.2, 0.012), "cosine")
    small_note(figure, note)
    figure.set_label(
        "One frame under several teachers, a column each: the render with its patch grid, the patch features as colours, the same colours on the points, and the cosine to one marked point. Columns: "
        + "; ".join(frames)
        + "."
    )
    return figure
