"""Our answers to the exercises of notebook 10."""

import struct

import numpy as np


def area_weights(vertices, triangles):
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    doubled = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    return doubled / doubled.sum()


def peek(data):
    if len(data) < 12:
        raise ValueError("no header")
    frames, vertices, triangles = struct.unpack("<3i", data[:12])
    if frames < 1 or vertices < 3 or triangles < 1:
        raise ValueError("no animation")
    if len(data) != 12 + 12 * (frames * vertices + triangles):  # three numbers of four bytes a vertex and a triangle
        raise ValueError("the length is not the header's")
    return frames, vertices, triangles


def owed_to_mixing(own, other):
    """The last is what z-scoring gains on its own data: the other has no part in it."""
    mixed = other["standardized"] - own["linear"]
    fair = other["standardized"] - own["standardized"]
    return mixed, fair, mixed - fair


def carried(foreign, own, random, draws):
    foreign, own, random = (np.asarray(side, float) for side in (foreign, own, random))
    over, gain = foreign - random, own - random
    if gain.mean() <= 0:
        return np.nan, np.nan, np.nan
    over_drawn, gain_drawn = over[draws].mean(1), gain[draws].mean(1)
    kept = gain_drawn > 0
    if not kept.any():
        return np.nan, np.nan, np.nan
    low, high = np.quantile(over_drawn[kept] / gain_drawn[kept], [0.025, 0.975])
    return over.mean() / gain.mean(), low, high


ANSWERS = {"10.area_weights": area_weights, "10.peek": peek, "10.owed_to_mixing": owed_to_mixing, "10.carried": carried}
