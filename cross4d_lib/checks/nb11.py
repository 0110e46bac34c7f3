"""Checks of notebook 11, segmentation."""

import numpy as np
import torch

from ..evaluation.segmentation import IGNORED
from . import avoid, close, exercise, shaped


@exercise("11.iou")
def iou(answer):
    """A function of predictions (n,), labels (n,) and a class k: intersection over union of k, points labelled IGNORED
    left out."""
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, IGNORED, IGNORED])
    predictions = torch.tensor([0, 0, 1, 1, 2, 2, 2, 0, 0, 2])
    for k, wanted in ((0, 2 / 4), (1, 1 / 3), (2, 2 / 4)):
        given = answer(predictions, labels, k)
        both, either = (predictions == k) & (labels == k), (predictions == k) | (labels == k)
        recall, careless = float(both.sum() / (labels == k).sum()), float(both.sum() / either.sum())
        hint = f"Class {k}: that is the share of its points that were found. The union holds more: wrongly called {k}."
        avoid(given, recall, wanted, hint)
        hint = f"Class {k}: ignored points count as mistakes. Take only those whose label is not IGNORED."
        avoid(given, careless, wanted, hint)
        close(f"Class {k}, intersection over union:", given, wanted)


@exercise("11.present")
def present(answer):
    """A function of a confusion matrix (K, K), rows the true class: mIoU over the classes that some point truly has."""
    counts = np.array([[6, 0, 1, 1], [2, 2, 0, 0], [0, 0, 0, 0], [0, 1, 1, 2]])
    given, wanted = float(answer(counts)), np.mean([6 / 10, 2 / 5, 2 / 5])
    assert np.isfinite(given), "Your answer is not a number: a class without points has an empty union, 0 / 0."
    avoid(given, wanted * 3 / 4, wanted, "You have divided by 4 classes. No point is of class 2: it does not count.")
    hint = "A point wrongly called 2 is missing from its own class's intersection; that is enough."
    close("Classes 0, 1, 3 have IoU 6/10, 2/5 and 2/5: the mean,", given, wanted, hint)
    hint = "Leave a class with IoU 0/0 out before you divide."
    nothing = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    close("With a class neither true nor predicted", answer(nothing), np.mean([3 / 4, 4 / 5]), hint)


@exercise("11.shares")
def shares(answer):
    """A function of distances (..., k) of points to their tokens: weights 1 / d^2 that sum to 1, all of it for a token
    at distance 0."""
    distances = torch.tensor([[1.0, 2.0, 2.0], [1.0, 1.0, 1.0], [0.5, 1.0, 4.0]])
    plain, inverse = (weights / weights.sum(-1, keepdim=True) for weights in (1 / distances, 1 / distances.square()))
    given = torch.as_tensor(answer(distances))
    shaped(given, distances.shape)
    assert not torch.allclose(given, plain, atol=1e-6), "You weigh by 1 / d. The rule is 1 / d^2."
    assert torch.allclose(given, inverse, atol=1e-6), (
        f"For distances 1, 2, 2 the weights are 2/3, 1/6, 1/6; yours {given[0].tolist()}."
    )
    on_token = torch.as_tensor(answer(torch.tensor([[0.0, 1.0, 2.0]])))
    assert torch.allclose(on_token, torch.tensor([[1.0, 0.0, 0.0]]), atol=1e-6), (
        f"A point on a token takes that token alone; yours takes {on_token[0].tolist()}. Keep d^2 a little above 0."
    )


@exercise("11.ceiling")
def ceiling(answer):
    """A function of each point's nearest token (n,) and its label (n,): the largest share of points right when a token
    has one class."""
    nearest = torch.tensor([0, 0, 0, 1, 1, 1, 1, 3, 3, 3])
    labels = torch.tensor([0, 0, 1, 2, 2, 1, IGNORED, 1, 1, IGNORED])
    given = answer(nearest, labels)
    avoid(given, 0.6, 6 / 8, "You have divided by all ten points. Two of them are IGNORED and count nowhere.")
    hint = "Give every token the commonest class of its points."
    close("Token 0 gets 2 of 3 points right, token 1 again 2 of 3, token 3 both:", given, 6 / 8, hint)
    generator = torch.Generator().manual_seed(0)
    nearest, labels = torch.randint(0, 9, (200,), generator=generator), torch.randint(0, 4, (200,), generator=generator)
    labels[:20] = IGNORED
    table = np.zeros((9, 4))
    np.add.at(table, (nearest[20:].numpy(), labels[20:].numpy()), 1)
    close("On 200 random points", answer(nearest, labels), table.max(1).sum() / 180)
