"""Has a representation collapsed? Two numbers for a set of features, both blind to their common length.

A model that has collapsed says the same of everything: its features point one way. A cosine loss on its own output
cannot see that, so it has to be measured beside the loss (Sec. 3.3 argues that fixed targets make it impossible).
"""

from __future__ import annotations

import torch


def effective_rank(features: torch.Tensor) -> float:
    """exp of the entropy of the singular values' shares: 1 when all rows point one way, d when all d directions are
    used alike (Roy and Vetterli 2007; RankMe of Garrido et al. 2023). features (n, d), not centred. 0 for all-zero
    features."""
    values = torch.linalg.svdvals(features.double())
    if values.sum() == 0:
        return 0.0
    shares = values / values.sum()
    return float(torch.exp(-(shares * shares.clamp_min(1e-300).log()).sum()))


def direction_spread(features: torch.Tensor) -> float:
    """How far the rows' directions differ: 1 - |mean of the unit rows|^2. 0 when all point one way, 1 when they cancel.

    It is also the mean squared deviation of the unit rows, summed over dimensions. features (n, d); rows of zeros count
    as pointing nowhere.
    """
    unit = torch.nn.functional.normalize(features.double(), dim=-1)
    return max(0.0, float(1 - unit.mean(0).square().sum()))
