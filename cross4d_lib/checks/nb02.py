"""Checks of notebook 02, render and correspondence."""

import numpy as np
import torch

from ..render import disc, render
from . import exercise


@exercise("02.disc")
def disc_area(answer):
    """How many pixels does a disc of radius 3 px cover? (an int)"""
    assert isinstance(answer, int), "Give a whole number of pixels."
    assert answer != 1, "Radius 0 covers one pixel; radius 3 covers more."
    assert answer == len(disc(3.0)), (
        "Count the integer offsets (dx, dy) with dx² + dy² ≤ 9; there are fewer than 7 × 7."
    )


@exercise("02.visible_share")
def visible_share(answer):
    """A function of points (T, N, 3) that returns the share of points seen from the front but not from the back,
    0..1."""
    cloud = np.random.default_rng(0).normal(size=(2, 200, 3)).astype(np.float32)
    front = render(cloud).visible
    from ..render import fit_camera

    back = render(cloud, camera=fit_camera(torch.tensor(cloud), 126, yaw=np.pi)).visible
    wanted = (front & ~back).float().mean().item()
    given = float(answer(cloud))
    assert 0 <= given <= 1, f"A share lies between 0 and 1; yours is {given:.3f}."
    assert abs(given - wanted) < 1e-6, (
        f"On a test cloud the share is {wanted:.3f}, yours is {given:.3f}. Use fit_camera(..., yaw=pi) for the back, "
        "and a logical and-not."
    )


@exercise("02.patches")
def patches_on_subject(answer):
    """A function of a Rendering and a patch side that returns the mean number of patches a frame with a visible
    point."""
    from ..correspondence import patch_index

    view = render(np.random.default_rng(1).normal(size=(3, 100, 3)).astype(np.float32))
    for patch in (7, 14):
        wanted = np.mean([len(set(row[row >= 0].tolist())) for row in patch_index(view, patch)])
        given = float(answer(view, patch))
        assert abs(given - wanted) < 1e-6, (
            f"For patches of {patch} px the mean is {wanted:.2f}, yours is {given:.2f}. Count different patch numbers "
            "in each frame and leave out -1."
        )
