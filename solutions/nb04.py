"""Our answers to the exercises of notebook 04."""

import torch

from cross4d_lib.points import farthest_point_sample

crossing = 6 * 192  # 4 M² C = 24 M C²


def worst_distance(points, samples):
    centres = points[farthest_point_sample(points, samples)]
    return torch.cdist(points, centres).min(dim=1).values.max()


def block_parameters(dim):
    norms = 2 * 2 * dim
    attention = dim * 3 * dim + 3 * dim + dim * dim + dim  # qkv, out
    mlp = dim * 4 * dim + 4 * dim + 4 * dim * dim + dim
    return norms + attention + mlp


def receptive_field(encoder, points, f):
    groups = encoder.group(torch.as_tensor(points)[None])
    centres = groups["near_second"][0, f].unique()  # of the first level, that any token reads
    return len(groups["near_first"][0, f, centres].unique())


ANSWERS = {
    "04.crossing": crossing,
    "04.worst_distance": worst_distance,
    "04.block_parameters": block_parameters,
    "04.receptive_field": receptive_field,
}
