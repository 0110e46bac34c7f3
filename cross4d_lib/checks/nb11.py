"""Checks of notebook 11, segmentation."""

import numpy as np
import torch

from ..evaluation.segmentation import IGNORED
from . import exercise


@exercise("11.iou")
def iou(answer):
    """A function of predictions (n,), labels (n,) and a class k: intersection over union of k, points labelled IGNORED
    left out."""
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, IGNORED, IGNORED])
    predictions = torch.tensor([0, 0, 1, 1, 2, 2, 2, 0, 0, 2])
    for k, wanted in ((0, 2 / 4), (1, 1 / 3), (2, 2 / 4)):
        given = float(answer(predictions, labels, k))
        kept = labels != IGNORED
        recall = float(((predictions == k) & (labels == k)).sum() / (labels == k).sum())
        careless = float(((predictions == k) & (labels == k)).sum() / ((predictions == k) | (labels == k)).sum())
        assert abs(given - recall) > 1e-6 or abs(given - wanted) < 1e-6, (
            f"Class {k}: {given:.3f} is the share of its points that were found. The union also holds the points that "
            f"were wrongly called {k}."
        )
        assert abs(given - careless) > 1e-6 or abs(given - wanted) < 1e-6, (
            f"Class {k}: {given:.3f} counts ignored points as mistakes. Take only the {int(kept.sum())} points whose "
            "label is not IGNORED."
        )
        assert abs(given - wanted) < 1e-6, (
            f"Class {k}: the intersection over the union is {wanted:.3f}, yours is {given:.3f}."
        )


@exercise("11.present")
def present(answer):
    """A function of a confusion matrix (K, K), rows the true class: mIoU over the classes that some point truly has."""
    counts = np.array([[6, 0, 1, 1], [2, 2, 0, 0], [0, 0, 0, 0], [0, 1, 1, 2]])
    given = float(answer(counts))
    wanted = np.mean([6 / 10, 2 / 5, 2 / 5])
    assert np.isfinite(given), (
        "Your answer is not a number. Did you divide 0 by 0? A class that no point has and nothing is called has an "
        "empty union."
    )
    assert abs(given - wanted * 3 / 4) > 1e-9, (
        "You have divided by 4 classes. No point is of class 2: it cannot be found, so it should not count."
    )
    assert abs(given - wanted) < 1e-9, (
        f"Classes 0, 1, 3 have IoU 6/10, 2/5 and 2/5: the mean is {wanted:.4f}, yours is {given:.4f}. A point wrongly "
        "called 2 is missing from its own class's intersection; that is punishment enough."
    )
    nothing = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert abs(float(answer(nothing)) - np.mean([3 / 4, 4 / 5])) < 1e-9, (
        "A class without true and without predicted points has IoU 0/0. Leave it out before you divide."
    )


@exercise("11.shares")
def shares(answer):
    """A function of distances (..., k) of points to their tokens: weights 1 / d^2 that sum to 1, all of it for a token
    at distance 0."""
    distances = torch.tensor([[1.0, 2.0, 2.0], [1.0, 1.0, 1.0], [0.5, 1.0, 4.0]])
    inverse = 1 / distances.square()
    given = torch.as_tensor(answer(distances))
    assert given.shape == distances.shape, (
        f"Distances are {tuple(distances.shape)}, the weights should be, too; yours are {tuple(given.shape)}."
    )
    plain = (1 / distances) / (1 / distances).sum(-1, keepdim=True)
    assert not torch.allclose(given, plain, atol=1e-6), "You weigh by 1 / d. The rule is 1 / d^2."
    assert torch.allclose(given.sum(-1), torch.ones(3), atol=1e-6), (
        f"The weights of a point should sum to 1, yours to {given.sum(-1).tolist()}."
    )
    assert torch.allclose(given, inverse / inverse.sum(-1, keepdim=True), atol=1e-6), (
        f"For distances 1, 2, 2 the weights are 2/3, 1/6, 1/6; yours {given[0].tolist()}."
    )
    on_token = torch.as_tensor(answer(torch.tensor([[0.0, 1.0, 2.0]])))
    assert torch.allclose(on_token, torch.tensor([[1.0, 0.0, 0.0]]), atol=1e-6), (
        f"A point that lies on a token takes that token alone; yours takes {on_token[0].tolist()}. Keep d^2 a little "
        "above 0."
    )


@exercise("11.ceiling")
def ceiling(answer):
    """A function of each point's nearest token (n,) and its label (n,): the largest share of points right when a token
    has one class."""
    nearest = torch.tensor([0, 0, 0, 1, 1, 1, 1, 3, 3, 3])
    labels = torch.tensor([0, 0, 1, 2, 2, 1, IGNORED, 1, 1, IGNORED])
    given = float(answer(nearest, labels))
    assert abs(given - 0.6) > 1e-6, "You have divided by all ten points. Two of them are IGNORED and count nowhere."
    assert abs(given - 6 / 8) < 1e-6, (
        f"Token 0 can get 2 of 3 points right, token 1 again 2 of 3, token 3 both: 6 of 8, yours is {given:.3f}. Give "
        "every token the commonest class of its points."
    )
    generator = torch.Generator().manual_seed(0)
    nearest, labels = torch.randint(0, 9, (200,), generator=generator), torch.randint(0, 4, (200,), generator=generator)
    labels[:20] = IGNORED
    table = np.zeros((9, 4))
    np.add.at(table, (nearest[20:].numpy(), labels[20:].numpy()), 1)
    wanted = table.max(1).sum() / 180
    given = float(answer(nearest, labels))
    assert abs(given - wanted) < 1e-6, f"On 200 random points the answer is {wanted:.4f}, yours is {given:.4f}."
