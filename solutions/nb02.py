"""Our answers to the exercises of notebook 02."""

import math

import torch

import cross4d_lib as c4d
from cross4d_lib.render import disc, fit_camera


def visible_share(points):
    points = torch.as_tensor(points)
    front = c4d.render(points).visible
    back = c4d.render(points, camera=fit_camera(points, 126, yaw=math.pi)).visible
    return (front & ~back).float().mean()


def patches(view, patch):
    index = c4d.patch_index(view, patch)
    return sum(len(row[row >= 0].unique()) for row in index) / len(index)


ANSWERS = {"02.disc": len(disc(3.0)), "02.visible_share": visible_share, "02.patches": patches}
