"""Checks of notebook 12, correspondence and cameras."""

import numpy as np
import torch

from ..points import farthest_point_sample
from . import close, exercise, whole


@exercise("12.acc_at")
def acc_at(answer):
    """A function of later (N, 3), match (N,) int and tau: the share of points n whose match lies within tau diagonals
    of where n really is."""
    later = torch.tensor([[0.0, 0, 0], [4, 0, 0], [4, 0.2, 0], [0, 3, 0]])  # the diagonal is 5
    match = torch.tensor([0, 2, 2, 0])
    hint = "Divide the distances by the diagonal of the bounding box of `later`, then count those up to tau."
    for tau, wanted in ((0.02, 0.5), (0.05, 0.75), (0.65, 1.0)):
        close(f"For tau = {tau}", answer(later, match, tau), wanted, hint)
    hint = "The diagonal goes from the smallest to the largest coordinates."
    close("With the whole cloud moved", answer(later + 7, match, 0.05), 0.75, hint)


@exercise("12.last_right_gap")
def last_right_gap(answer):
    """The largest gap up to which raw XYZ finds each of two opposite points that turn once in 12 frames (an int)."""
    whole(answer, "frames")
    assert answer != 3, "After a quarter turn each place is as far from one as from the other. A draw is not right."
    assert answer != 6, "After 6 frames each stands where the other one was: raw XYZ is wrong for both."
    assert 0 < 2 * np.pi * answer / 12 < np.pi / 2, (
        "XYZ takes the nearer one: the point itself as long as it has turned by less than a quarter."
    )
    assert answer == 2, "Right, but not the largest such gap."


@exercise("12.cube_share")
def cube_share(answer):
    """A function of camera positions (k, 3): the share of the surface of the cube [-1, 1]^3 that at least one of them
    sees."""
    right, left, corner, behind = [5.0, 0, 0], [-5.0, 0, 0], [3.0, 3, 3], [-3.0, -3, -3]
    hint = "A face is seen from beyond its own plane, e.g. the face x = 1 from x > 1; count a face once."
    for where, cameras, wanted in (
        ("one in front of a face", [right], 1 / 6),
        ("one before a corner", [corner], 1 / 2),
        ("one before an edge", [[3.0, 0.5, -3]], 1 / 3),
        ("two in front of opposite faces", [right, left], 1 / 3),
        ("two before opposite corners", [corner, behind], 1.0),
        ("two before the same corner", [corner, [4.0, 2, 2]], 1 / 2),
    ):
        close(f"Cameras, {where}: the share,", answer(torch.tensor(cameras)), wanted, hint)


@exercise("12.tokens_needed")
def tokens_needed(answer):
    """A function of points (N, 3) and tau: the fewest tokens, taken by farthest point sampling, with which at least
    half of the points lie within tau diagonals of a token."""
    points = torch.rand(120, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 2.0, 1.0])
    diagonal = (points.amax(0) - points.amin(0)).norm()
    order = farthest_point_sample(points, len(points))  # a prefix of it is the sample of that size
    near = torch.cdist(points, points[order]).cummin(1).values / diagonal  # (N, m): to the nearest of the first m + 1
    hint = (
        "The first m of farthest_point_sample(points, len(points)) are the sample of m; the smallest m that is enough."
    )
    for tau in (0.1, 0.05, 0.02):
        wanted = int(((near <= tau).float().mean(0) >= 0.5).int().argmax()) + 1
        close(f"For tau = {tau} and {len(points)} points", answer(points, tau), wanted, hint)
