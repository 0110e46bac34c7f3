"""What ``cross4d evaluate-teacher`` measured, as one table and one picture: a line and two rows of maps a teacher."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from ..datasets import load_dataset
from ..files import write_text, write_whole
from ..render import render
from ..teacher_training.evaluate import depth_data
from ..teachers import label_of, load_teacher, with_label
from . import drawing
from .colours import fit_pca_rgb, similarity

FRAMES = 4
CLIPS = (
    ("synthetic-actions", "train", 20),
    ("synthetic-animals", "train-identities", 40),
    ("msr-action3d", "train", 20),
)  # dataset, split, place


def evaluation_table(evaluations: list[dict]) -> pd.DataFrame:
    """One line a teacher, one column a score, in the order they were measured."""
    lines = [
        {
            "teacher": with_label(e["teacher"], e["label"]),
            **{f"{part}: {name}": value for part, scores in e["scores"].items() for name, value in scores.items()},
        }
        for e in evaluations
    ]
    return pd.DataFrame(lines).set_index("teacher")


def draw_feature_maps(names: list[str]) -> plt.Figure:
    """PCA colours and likeness to the topmost patch, frames of one clip of each dataset; two rows of maps a teacher
    under the renders."""
    shown_clips = [
        (data, load_dataset(data, split, frames=FRAMES, points=1024, stride="uniform")[place])
        for data, split, place in CLIPS
        if data != "msr-action3d" or depth_data() == data
    ]
    columns = FRAMES * len(shown_clips)
    figure, axes = plt.subplots(
        1 + 2 * len(names),
        columns,
        figsize=(1.1 * columns, 1.15 * (1 + 2 * len(names))),
        layout="constrained",
        squeeze=False,
    )
    for r, name in enumerate(names):
        teacher = load_teacher(name)
        for c, (data, clip) in enumerate(shown_clips):
            view = render(clip.points, teacher.image_size())
            patches = teacher(view.image).patches  # (T, h, w, D)
            shown = F.max_pool2d((view.index >= 0).float(), teacher.patch) > 0  # (T, h, w)
            pca = fit_pca_rgb(patches[shown])
            first = tuple(torch.nonzero(shown)[0].tolist())
            colours, likeness = pca(patches), similarity(pca.centred(patches), pca.centred(patches)[first])
            for f in range(FRAMES):
                column = c * FRAMES + f
                drawing.draw_image(axes[0, column], view.image[f, 0].numpy(), cmap="gray")
                drawing.draw_image(axes[1 + 2 * r, column], np.dstack([colours[f], shown[f]]), teacher.patch)
                drawing.draw_image(
                    axes[2 + 2 * r, column], drawing.in_cividis(likeness[f], shown[f].numpy(), -1, 1), teacher.patch
                )
            axes[0, c * FRAMES].set_title(data, fontsize=8, loc="left")
    labels = ["render"]
    for name in names:
        short = name if len(name) <= 30 else f"...{name[-27:]}"
        labels += [with_label(short, label_of(name)), "likeness"]
    for row, label in zip(axes, labels):
        row[0].set_ylabel(label, fontsize=7, rotation=0, ha="right")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    return figure


def write_evaluation(evaluations: list[dict], out: Path) -> list[Path]:
    """Write evaluation.csv and evaluation.png into ``out``. Returns their paths."""
    table, picture = Path(out) / "evaluation.csv", Path(out) / "evaluation.png"
    write_text(table, evaluation_table(evaluations).round(4).to_csv())
    figure = draw_feature_maps([e["teacher"] for e in evaluations])
    write_whole(picture, lambda draft: figure.savefig(draft, dpi=110, format="png"))
    plt.close(figure)
    return [table, picture]
