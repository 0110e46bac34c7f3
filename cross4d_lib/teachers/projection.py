"""Eq. 2, second half: Phi_f W, from D to d_p dimensions, so that the cache stays small.

``random``: a fixed Gaussian matrix; by the Johnson-Lindenstrauss lemma it nearly keeps the angles the loss looks at.
``pca``: the leading directions of a sample of the training set's patch features (Table 10 finds the two equal).
"""

from __future__ import annotations

import torch

from ..decisions import PROJECTION_SEED
from ..errors import ConfigError


def random_projection(dim_in: int, dim_out: int, seed: int = PROJECTION_SEED) -> torch.Tensor:
    """W of Eq. 2: (D, d_p) float32, entries N(0, 1/d_p) from a fixed seed, so that lengths are kept in expectation."""
    if dim_in < 1 or dim_out < 1:
        raise ConfigError(f"a projection from {dim_in} to {dim_out} dimensions", "random_projection", "both at least 1")
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(dim_in, dim_out, generator=generator) / dim_out**0.5


def pca_projection(features: torch.Tensor, dim_out: int) -> torch.Tensor:
    """The ``dim_out`` leading principal directions of features (n, D) -> (D, d_p) float32, orthonormal columns.

    Signs are fixed (largest entry of a direction positive) so that the result does not depend on the solver. Raises
    ConfigError when more directions are asked for than the features can have.
    """
    count, dim_in = features.shape
    if not 1 <= dim_out <= min(count - 1, dim_in):
        raise ConfigError(
            f"{dim_out} principal directions from {count} features of {dim_in} dimensions",
            "pca_projection",
            f"from 1 to {min(count - 1, dim_in)}",
        )
    centred = features.double() - features.double().mean(0)
    _, vectors = torch.linalg.eigh(centred.T @ centred)  # ascending
    directions = vectors.flip(1)[:, :dim_out]
    signs = directions.gather(0, directions.abs().argmax(0, keepdim=True)).sign()
    return (directions * signs).float()
