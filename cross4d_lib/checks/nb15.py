"""Checks of notebook 15, what is the lever."""

import math

import numpy as np
import torch

from . import close, exercise


@exercise("15.kept")
def kept(answer):
    """Expected fixed points of a random permutation of 16, and of 64 (a pair of numbers)."""
    assert len(answer) == 2, "Give two numbers, for 16 tokens and for 64."
    for tokens, given in zip((16, 64), answer):
        close(f"For {tokens} tokens", given, 1, "Each of n tokens keeps its own with chance 1/n. Add the n chances up.")


@exercise("15.nearest_in_time")
def nearest_in_time(answer):
    """A function of place (M, 3), frame (M,), visible (M,), j: the nearest visible token among the nearest other frames
    that have one."""
    place = torch.zeros(8, 3)
    place[:, 0] = torch.tensor([0.0, 3.0, 0.1, 2.9, 0.2, 5.0, 0.0, 9.0])
    frame = torch.arange(4).repeat_interleave(2)
    seen = torch.ones(8, dtype=torch.bool)
    hidden, late = (frame != 1), (frame == 3)  # frame 1 has no visible token; only frame 3 has
    for visible, j, wanted, why in (
        (seen, 0, 2, "the nearest token of frame 1"),
        (seen, 3, 1, "frames 0 and 2 are equally near in time: the earlier one, and of it the nearest in space"),
        (seen, 7, 5, "frame 2 is the only neighbour of the last"),
        (hidden, 0, 4, "frame 1 has no visible token, so frame 2 is asked"),
        (hidden, 5, 7, "frame 1 is hidden; frame 3 is as near"),
        (late, 6, -1, "no other frame has a visible token"),
    ):
        given = int(answer(place, frame, visible, j))
        case = f"Token {j} of frame {int(frame[j])}, visible {visible.int().tolist()}:"
        assert given == wanted, f"{case} it is {wanted} ({why}), yours is {given}."


@exercise("15.share")
def share(answer):
    """A function of three arrays (seeds, clips): (control - start) / (dense - start), NaN where dense is not above the
    start."""
    rows = lambda *counts: np.array([np.arange(10) < count for count in counts])
    dense = rows(8, 6)
    close("Means over seeds and clips are .7, .3 and .5:", answer(dense, rows(2, 4), rows(5, 5)), 0.5)
    close("A control below the start has gone the wrong way:", answer(dense, rows(2, 4), rows(1, 1)), -0.5)
    for start in (rows(7, 7), rows(9, 9)):
        assert math.isnan(float(answer(dense, start, rows(5, 5)))), (
            "Where dense is not above the start there is no way to share: NaN."
        )


@exercise("15.fair_split")
def fair_split(answer):
    """A function of four accuracies: (worth of place, worth of meaning), averaged over both orders."""
    for neither, place, meaning, both in ((0.2, 0.4, 0.3, 0.8), (0.3, 0.3, 0.3, 0.5), (0.4, 0.5, 0.6, 0.7)):
        first, second = answer(neither, place, meaning, both)
        close("The two must add up to the whole gap, both - neither:", first + second, both - neither)
        case = f"Place adds {place - neither:+.2f} when it comes first and {both - meaning:+.2f} when last: on average"
        close(case, first, ((place - neither) + (both - meaning)) / 2)
