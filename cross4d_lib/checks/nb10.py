"""Checks of notebook 10, transfer."""

import math
import struct

import numpy as np

from . import exercise


@exercise("10.area_weights")
def area_weights(answer):
    """A function of vertices (V, 3), triangles (K, 3): each triangle's share of the surface (K,)."""
    generator = np.random.default_rng(0)
    vertices, triangles = generator.normal(size=(30, 3)), np.stack([generator.permutation(30)[:3] for _ in range(12)])
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    given = np.asarray(answer(vertices, triangles), float)
    assert given.shape == (12,), f"12 triangles have 12 shares; your shape is {given.shape}."
    assert abs(given.sum() - 1) < 1e-6, f"The shares of the whole surface sum to one, yours to {given.sum():.3f}."
    assert np.allclose(given, area / area.sum(), atol=1e-6), (
        "Wrong areas. The cross product of two sides is as long as the parallelogram they span is large."
    )


@exercise("10.peek")
def peek(answer):
    """A function of bytes: (frames, vertices, triangles) of an .anime, or a ValueError."""
    for frames, vertices, triangles in ((1, 3, 1), (5, 7, 4)):
        good = struct.pack("<3i", frames, vertices, triangles) + bytes(12 * (frames * vertices + triangles))
        given = tuple(int(number) for number in answer(good))
        assert given == (frames, vertices, triangles), (
            f"The header says {(frames, vertices, triangles)}, you read {given}. Three little-endian int32."
        )
        _refuses(answer, good[:-4], "a file whose end is cut off")
        _refuses(answer, good + bytes(4), "a file that is too long")
        _refuses(answer, good[:8], "a header of 8 bytes")
    _refuses(answer, struct.pack("<3i", 10**9, 7, 4) + bytes(12 * 39), "a header that promises a billion frames")
    _refuses(answer, struct.pack("<3i", 0, 7, 4) + bytes(12 * 4), "an animation of no frame, though its length agrees")
    _refuses(answer, struct.pack("<3i", -1, 3, 4) + bytes(12), "minus one frame, though its length agrees")


def _refuses(answer, data: bytes, what: str) -> None:
    try:
        given = answer(data)
    except ValueError:
        return
    except struct.error as error:
        raise AssertionError(
            f"For {what} you stop with struct.error: look at the length before you unpack, and raise ValueError."
        ) from error
    raise AssertionError(
        f"You believe {what}, and return {given}. The length must be 12 + 12 (frames x vertices + triangles), of at "
        "least one frame, three vertices, one triangle."
    )


@exercise("10.owed_to_mixing")
def owed_to_mixing(answer):
    """A function of two dictionaries of accuracies: the stranger's mixed lead, its fair one, and what mixing adds."""
    generator = np.random.default_rng(1)
    for _ in range(8):
        home, stranger = (
            {probe: float(value) for probe, value in zip(("linear", "standardized"), generator.random(2))}
            for _ in range(2)
        )
        mixed, fair = stranger["standardized"] - home["linear"], stranger["standardized"] - home["standardized"]
        given = [float(number) for number in answer(home, stranger)]
        assert len(given) == 3, f"Three numbers: mixed lead, fair lead, difference; yours are {len(given)}."
        assert abs(given[0] - mixed) < 1e-9, (
            f"The mixed lead of {stranger} over {home} is {mixed:+.3f}: the stranger standardised, home not. Yours is "
            f"{given[0]:+.3f}."
        )
        assert abs(given[1] - fair) < 1e-9, (
            f"The fair lead is {fair:+.3f}, both standardised; yours is {given[1]:+.3f}."
        )
        assert abs(given[2] - (mixed - fair)) < 1e-9, "The third number is the mixed lead less the fair one."


@exercise("10.carried")
def carried(answer):
    """A function of foreign (n,), home (n,), random (n,), draws (R, n): share of home's gain that carries over, low,
    high."""
    generator = np.random.default_rng(2)
    draws = generator.integers(0, 60, (400, 60))
    for rates in ((0.6, 0.8, 0.3), (0.2, 0.7, 0.4), (0.5, 0.45, 0.4)):
        foreign, home, random = (np.arange(60) % 10 < 10 * rate for rate in rates)
        foreign, home = generator.permutation(foreign), generator.permutation(home)
        over, gain = (side[draws].mean(1) - random[draws].mean(1) for side in (foreign, home))
        share = (foreign.mean() - random.mean()) / (home.mean() - random.mean())
        low, high = np.quantile(over[gain > 0] / gain[gain > 0], [0.025, 0.975])
        given = [float(number) for number in answer(foreign, home, random, draws)]
        assert len(given) == 3, f"Three numbers: share, low, high; yours are {len(given)}."
        assert abs(given[0] - share) < 1e-9, (
            f"Accuracies {foreign.mean():.2f} elsewhere, {home.mean():.2f} at home, {random.mean():.2f} random: the "
            f"share is {share:.3f}, yours {given[0]:.3f}."
        )
        assert np.allclose(given[1:], (low, high), atol=1e-9), (
            f"The interval is [{low:.3f}, {high:.3f}], yours [{given[1]:.3f}, {given[2]:.3f}]. Draw the same clips for "
            "all three, compute the share in every draw, leave out draws in which home does not beat random."
        )
    worse = np.zeros(60, bool)
    given = [float(number) for number in answer(home, worse, random, draws)]
    assert all(math.isnan(number) for number in given), (
        "Home does not beat random here, so there is no gain to share: return three NaN."
    )
