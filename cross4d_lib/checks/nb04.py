"""Checks of notebook 04, Point4D."""

import torch

from ..encoders import Point4D, count_parameters
from ..encoders.layers import Block
from ..points import farthest_point_sample
from . import avoid, close, exercise, whole


def some_points(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, 3, generator=torch.Generator().manual_seed(seed))


@exercise("04.crossing")
def crossing(answer):
    """At how many tokens do attention products and linear layers cost the same at C = 192? (an int)"""
    whole(answer, "tokens")
    assert 4 * answer**2 * 192 == 24 * answer * 192**2 and answer, "Put C = 192 into 4 M² C = 24 M C² and solve for M."


@exercise("04.worst_distance")
def worst_distance(answer):
    """A function of points (N, 3) and a number of samples: the largest distance to the nearest farthest-point
    sample."""
    points = some_points(60)
    for samples in (1, 5, 20):
        wanted = torch.cdist(points, points[farthest_point_sample(points, samples)]).min(1).values.max().item()
        given = answer(points, samples)
        avoid(given, wanted**2, wanted, "That is the squared distance.", 1e-4)
        hint = "For each point the smallest distance to a sample, then the largest of these."
        close(f"With {samples} samples", given, wanted, hint, 1e-4)


@exercise("04.block_parameters")
def block_parameters(answer):
    """A function of the width C that returns the number of parameters of one transformer block."""
    for dim in (8, 64, 256):
        given, wanted = int(answer(dim)), count_parameters(Block(dim, 1, 4))
        assert given != 12 * dim * dim, "The matrices are all there. Now count the biases and the two LayerNorms."
        assert given == wanted, (
            f"A block of width {dim} has {wanted:,} parameters, yours {given:,}. A linear layer a -> b has a·b weights "
            "and b biases, a LayerNorm twice its width."
        )


@exercise("04.receptive_field")
def receptive_field(answer):
    """A function of an encoder, a clip (T, N, 3) and a frame: how many different points of it reach a token of that
    frame."""
    encoder = Point4D(tokens=3, dim=16, depth=1, heads=2, neighbours=4, first_level=2)
    points = some_points(4, 50, seed=1)
    groups = encoder.group(points[None])
    for f in (0, 2):
        near = groups["near_first"][0, f, groups["near_second"][0, f]]
        wanted, given = len(near.unique()), answer(encoder, points, f)
        avoid(given, near.numel(), wanted, "Count every point once: two tokens may share it.")
        hint = "near_second leads from tokens to centres of the first level, near_first from these to points."
        close(f"In frame {f} of a test clip", given, wanted, hint)
