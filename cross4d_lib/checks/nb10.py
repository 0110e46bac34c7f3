"""Checks of notebook 10, transfer."""

import math
import struct

import numpy as np

from . import close, exercise, shaped


def numbers(given, what: str) -> list[float]:
    """Three numbers, or an error that says which."""
    given = [float(number) for number in given]
    assert len(given) == 3, f"Three numbers: {what}; yours are {len(given)}."
    return given


@exercise("10.area_weights")
def area_weights(answer):
    """A function of vertices (V, 3), triangles (K, 3): each triangle's share of the surface (K,)."""
    generator = np.random.default_rng(0)
    vertices, triangles = generator.normal(size=(30, 3)), np.stack([generator.permutation(30)[:3] for _ in range(12)])
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    given = np.asarray(answer(vertices, triangles), float)
    shaped(given, (12,))
    close("The sum over the whole surface:", given.sum(), 1)
    assert np.allclose(given, area / area.sum(), atol=1e-6), (
        "Wrong areas. The cross product of two sides is as long as the parallelogram they span is large."
    )


@exercise("10.peek")
def peek(answer):
    """A function of bytes: (frames, vertices, triangles) of an .anime, or a ValueError."""
    for sizes in ((1, 3, 1), (5, 7, 4)):
        good = struct.pack("<3i", *sizes) + bytes(12 * (sizes[0] * sizes[1] + sizes[2]))
        given = tuple(int(number) for number in answer(good))
        assert given == sizes, f"The header holds {sizes}, yours is {given}. Three little-endian int32."
        refuses(answer, good[:-4], "a file whose end is cut off")
        refuses(answer, good + bytes(4), "a file that is too long")
        refuses(answer, good[:8], "a header of 8 bytes")
    refuses(answer, struct.pack("<3i", 10**9, 7, 4) + bytes(12 * 39), "a header that promises a billion frames")
    refuses(answer, struct.pack("<3i", 0, 7, 4) + bytes(12 * 4), "an animation of no frame, though its length agrees")
    refuses(answer, struct.pack("<3i", -1, 3, 4) + bytes(12), "minus one frame, though its length agrees")


def refuses(answer, data: bytes, what: str) -> None:
    """A function must raise ValueError on damaged bytes."""
    try:
        given = answer(data)
    except ValueError:
        return
    except struct.error as error:
        hint = "look at the length before you unpack, and raise ValueError."
        raise AssertionError(f"For {what} you stop with struct.error: {hint}") from error
    raise AssertionError(
        f"You accept {what}, and return {given}. The length must be 12 + 12 (frames x vertices + triangles), of at "
        "least one frame, three vertices, one triangle."
    )


@exercise("10.owed_to_mixing")
def owed_to_mixing(answer):
    """A function of two dictionaries of accuracies: the other's mixed lead, its fair one, and what mixing adds."""
    generator = np.random.default_rng(1)
    for _ in range(8):
        own, other = (dict(zip(("linear", "standardized"), generator.random(2).tolist())) for _ in range(2))
        mixed, fair = other["standardized"] - own["linear"], other["standardized"] - own["standardized"]
        given = numbers(answer(own, other), "mixed lead, fair lead, difference")
        case = f"{other} against {own}:"
        close(f"{case} the mixed lead,", given[0], mixed, "The other z-scored, its own not.", 1e-9)
        close(f"{case} the fair lead,", given[1], fair, "Both are z-scored.", 1e-9)
        close(f"{case} what mixing adds,", given[2], mixed - fair, "Mixed minus fair.", 1e-9)


@exercise("10.carried")
def carried(answer):
    """A function of foreign (n,), own (n,), random (n,), draws (R, n): share of the gain that carries over, low,
    high."""
    generator = np.random.default_rng(2)
    draws = generator.integers(0, 60, (400, 60))
    for rates in ((0.6, 0.8, 0.3), (0.2, 0.7, 0.4), (0.5, 0.45, 0.4)):
        foreign, own, random = (np.arange(60) % 10 < 10 * rate for rate in rates)
        foreign, own = generator.permutation(foreign), generator.permutation(own)
        over, gain = (side[draws].mean(1) - random[draws].mean(1) for side in (foreign, own))
        share = (foreign.mean() - random.mean()) / (own.mean() - random.mean())
        given = numbers(answer(foreign, own, random, draws), "share, low, high")
        accuracies = f"{foreign.mean():.2f} pretrained elsewhere, {own.mean():.2f} here, {random.mean():.2f} random"
        close(f"Accuracies {accuracies}: the share,", given[0], share, tolerance=1e-9)
        hint = "Draw the same clips for all three, compute the share in every draw, leave out draws without a gain."
        for k, quantile in ((1, 0.025), (2, 0.975)):
            wanted = np.quantile(over[gain > 0] / gain[gain > 0], quantile)
            close(f"The end of the interval at {quantile},", given[k], wanted, hint, 1e-9)
    given = numbers(answer(own, np.zeros(60, bool), random, draws), "share, low, high")
    assert all(map(math.isnan, given)), "Here nothing is gained over random, so nothing is shared: return three NaN."
