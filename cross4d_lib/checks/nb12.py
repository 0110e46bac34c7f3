"""Checks of notebook 12, correspondence and cameras."""

import numpy as np
import torch

from . import exercise


@exercise("12.acc_at")
def acc_at(answer):
    """A function of later (N, 3), match (N,) int and tau: the share of points n whose match lies within tau diagonals of where n really is."""
    later = torch.tensor([[0.0, 0, 0], [4, 0, 0], [4, 0.2, 0], [0, 3, 0]])  # the diagonal is 5
    match = torch.tensor([0, 2, 2, 0])
    for tau, wanted in ((0.02, 0.5), (0.05, 0.75), (0.65, 1.0)):
        given = float(answer(later, match, tau))
        wrong = f"For tau = {tau} it is {wanted}, yours is {given:.3f}."
        assert abs(given - wanted) < 1e-6, f"{wrong} Divide the distances by the diagonal of the bounding box of ``later``, then count those up to tau."
    shifted = float(answer(later + 7, match, 0.05))
    assert abs(shifted - 0.75) < 1e-6, "Moving the whole cloud must not change it. The diagonal goes from the smallest to the largest coordinates."


@exercise("12.last_right_gap")
def last_right_gap(answer):
    """The largest gap up to which raw XYZ finds each of two opposite points that turn once in 12 frames (an int)."""
    assert isinstance(answer, int), "Give a whole number of frames."
    assert answer != 3, "After 3 frames they have turned by a quarter: each place is as far from one as from the other. A draw is not right."
    assert answer != 6, "After 6 frames each stands where the other one was: raw XYZ is wrong for both."
    turned = 2 * np.pi * answer / 12
    assert 0 < turned < np.pi / 2, "Draw it: XYZ takes the nearer one. The own point is the nearer one as long as it has turned by less than a quarter."
    assert answer == 2, "Right, but not the largest such gap."


@exercise("12.cube_share")
def cube_share(answer):
    """A function of camera positions (k, 3): the share of the surface of the cube [-1, 1]^3 that at least one of them sees."""
    right, left, corner, behind = [5.0, 0, 0], [-5.0, 0, 0], [3.0, 3, 3], [-3.0, -3, -3]
    cases = [("one in front of a face", [right], 1 / 6), ("one before a corner", [corner], 1 / 2), ("one before an edge", [[3.0, 0.5, -3]], 1 / 3)]
    cases += [("two in front of opposite faces", [right, left], 1 / 3), ("two before opposite corners", [corner, behind], 1.0), ("two before the same corner", [corner, [4.0, 2, 2]], 1 / 2)]
    for where, cameras, wanted in cases:
        given = float(answer(torch.tensor(cameras)))
        assert abs(given - wanted) < 1e-6, f"Cameras: {where}. The share is {wanted:.3f}, yours is {given:.3f}. A face is seen from beyond its own plane, e.g. the face x = 1 from x > 1; count a face once."


@exercise("12.spacing")
def spacing(answer):
    """A function of points (T, N, 3) and centres (T, m, 3): the median over all points of the distance to the nearest centre of the
    frame, in diagonals of the frame's bounding box."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(3, 50, 3, generator=generator) * torch.tensor([1.0, 2.0, 3.0])[:, None, None]  # every frame of another size
    centres = points[:, :7]
    diagonal = (points.amax(1) - points.amin(1)).norm(dim=-1)  # (T,)
    shares = torch.cdist(points, centres).amin(-1) / diagonal[:, None]  # (T, N)
    wanted, given = shares.median().item(), float(answer(points, centres))
    assert abs(given - float(torch.cdist(points, centres).amin(-1).median())) > 1e-6, "That is in metres. Divide by the diagonal, frame by frame."
    assert abs(given - shares.mean().item()) > 1e-6, "That is the mean; the median is asked for."
    assert abs(given - wanted) < 1e-3, f"It is {wanted:.4f} here, yours is {given:.4f}. For each point the nearest centre of its own frame, over that frame's own diagonal; then one median over all points and frames."
