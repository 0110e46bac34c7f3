"""Checks of notebook 06, the linear probe."""

import math

import numpy as np
import torch

from ..encoders import Tokens
from . import close, exercise, shaped, whole


@exercise("06.clips_needed")
def clips_needed(answer):
    """Test clips for a 95 % interval of +-.03 around an accuracy of one half (an int)."""
    whole(answer, "clips")
    wanted = 0.25 * (1.96 / 0.03) ** 2
    assert math.floor(wanted) <= answer <= math.ceil(wanted) + 1, (
        "Solve 1.96 sqrt(p (1 - p) / n) = 0.03 for n, with p = 1/2."
    )


@exercise("06.in_parts")
def in_parts(answer):
    """A function of Tokens and a number of parts: means over the tokens of equal stretches of time, (B, parts * C)."""
    generator = torch.Generator().manual_seed(0)
    frames, each = 8, 3
    features = torch.randn(2, frames * each, 4, generator=generator)
    order = torch.randperm(frames * each, generator=generator)  # tokens need not come frame by frame
    frame = torch.arange(frames).repeat_interleave(each)[order].expand(2, -1)
    centres, place = torch.zeros(2, frames * each, 3), torch.zeros(2, frames * each, 4)
    tokens = Tokens(features[:, order], centres, frame, torch.zeros_like(frame), place)
    for parts in (1, 2, 4):
        wanted = features.unflatten(1, (parts, -1)).mean(2).flatten(1)
        given = answer(tokens, parts)
        shaped(given, wanted.shape)
        assert torch.allclose(given, wanted, atol=1e-5), (
            f"Wrong for {parts} parts. Use tokens.frame: token j belongs to part frame[j] * parts // T; the order of "
            "the tokens means nothing."
        )


@exercise("06.balanced")
def balanced(answer):
    """A function of predictions (n,) and labels (n,): the mean over classes of the accuracy within the class."""
    labels = np.array([0, 0, 0, 0, 0, 0, 2, 2, 5])
    predictions = np.array([0, 0, 0, 0, 0, 0, 2, 1, 0])
    given = float(answer(predictions, labels))
    assert abs(given - 7 / 9) > 1e-9, "That is the plain accuracy: every clip counts the same. Here every class should."
    hint = "A class without a test clip does not count."
    close("Classes 0, 2, 5 are right in 6 of 6, 1 of 2, 0 of 1:", given, 0.5, hint)


@exercise("06.sign_test")
def sign_test(answer):
    """A function of first (n,), second (n,) correct or not: exact two-sided p-value of the sign test."""
    for wins, losses, ties in ((8, 2, 5), (3, 3, 4), (0, 6, 0), (0, 0, 7)):
        first = np.array([1] * wins + [0] * losses + [1] * ties)
        second = np.array([0] * wins + [1] * losses + [1] * ties)
        n, k = wins + losses, max(wins, losses)
        wanted = min(1.0, 2 * sum(math.comb(n, i) for i in range(k, n + 1)) / 2**n) if n else 1.0
        case = f"{wins} clips for the first alone, {losses} for the second alone, {ties} for both: p,"
        hint = "Clips that both or neither get right carry no information; the others fall like coins."
        close(case, answer(first, second), wanted, hint)
