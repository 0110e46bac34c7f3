"""Our answers to the exercises of notebook 06."""

import math

import numpy as np
import torch


def in_parts(tokens, parts):
    frames = int(tokens.frame.max()) + 1
    part = tokens.frame * parts // frames  # (B, M)
    means = [(tokens.features * (part == k)[..., None]).sum(1) / (part == k).sum(1, keepdim=True) for k in range(parts)]
    return torch.cat(means, 1)  # (B, parts * C)


def balanced(predictions, labels):
    return np.mean([(predictions[labels == k] == k).mean() for k in np.unique(labels)])


def sign_test(first, second):
    """Under equality every clip that only one gets right is a fair coin: twice the binomial tail, at most 1."""
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    wins, losses = int((first & ~second).sum()), int((second & ~first).sum())
    n = wins + losses
    tail = sum(math.comb(n, i) for i in range(max(wins, losses), n + 1)) / 2**n
    return min(1.0, 2 * tail)


ANSWERS = {
    "06.clips_needed": math.ceil(0.25 * (1.96 / 0.03) ** 2),
    "06.in_parts": in_parts,
    "06.balanced": balanced,
    "06.sign_test": sign_test,
}
