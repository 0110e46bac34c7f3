"""Checks of notebook 02, render and correspondence."""

import numpy as np
import torch

from ..correspondence import patch_index
from ..render import disc, fit_camera, render
from . import close, exercise, whole


@exercise("02.disc")
def disc_area(answer):
    """How many pixels does a disc of radius 3 px cover? (an int)"""
    whole(answer, "pixels")
    assert answer != 1, "Radius 0 covers one pixel; radius 3 covers more."
    assert answer == len(disc(3.0)), (
        "Count the integer offsets (dx, dy) with dx² + dy² ≤ 9; there are fewer than 7 × 7."
    )


@exercise("02.visible_share")
def visible_share(answer):
    """A function of points (T, N, 3): the share of points seen from the front but not from the back, 0..1."""
    cloud = np.random.default_rng(0).normal(size=(2, 200, 3)).astype(np.float32)
    front = render(cloud).visible
    back = render(cloud, camera=fit_camera(torch.tensor(cloud), 126, yaw=np.pi)).visible
    hint = "Use fit_camera(..., yaw=pi) for the back, and a logical and-not."
    close("On a test cloud", answer(cloud), (front & ~back).float().mean().item(), hint)


@exercise("02.patches")
def patches_on_subject(answer):
    """A function of a Rendering and a patch side: the mean number of patches a frame with a visible point."""
    view = render(np.random.default_rng(1).normal(size=(3, 100, 3)).astype(np.float32))
    for patch in (7, 14):
        wanted = np.mean([len(set(row[row >= 0].tolist())) for row in patch_index(view, patch)])
        hint = "Count different patch numbers in each frame and leave out -1."
        close(f"For patches of {patch} px", answer(view, patch), wanted, hint)
