"""Features as colours: a PCA to red, green and blue, and beside it a map of likeness to one point.

The three colours show which parts differ, not by how much, and a colour-blind reader sees less still. So a PCA map
never stands alone: its twin is the cosine similarity to one marked anchor, in cividis, where light means alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.colors import to_rgb

from ..errors import ConfigError
from ..teachers import pca_projection
from .style import HIDDEN

PERCENTILES = (2.0, 98.0)  # of a component: the ends of its colour
BRIGHTEST = 0.9  # so that no point vanishes on white paper


@dataclass(frozen=True)
class PcaRgb:
    """Three directions and a scale, fitted once and applied to anything that lives in the same feature space.

    mean : (C,). directions : (C, 3). low, high : (3,), the component's values that become dark and bright.
    """

    mean: np.ndarray
    directions: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def __call__(self, features, missing: str = HIDDEN) -> np.ndarray:
        """features (..., C), NaN where there is none -> (..., 3) float32 in [0, 1]; ``missing`` is the colour of
        NaN."""
        features = _array(features)
        if features.shape[-1] != len(self.mean):
            raise ConfigError(
                f"features of {features.shape[-1]} dimensions for a PCA of {len(self.mean)}",
                "PcaRgb",
                "apply it to features of the model it was fitted on",
            )
        share = ((features - self.mean) @ self.directions - self.low) / np.maximum(self.high - self.low, 1e-12)
        colour = BRIGHTEST * np.clip(share, 0, 1)
        return np.where(np.isnan(share), to_rgb(missing), colour).astype(np.float32)

    def centred(self, features) -> np.ndarray:
        """features (..., C) less the fitted mean: what the similarity twin compares."""
        return _array(features) - self.mean


def fit_pca_rgb(features) -> PcaRgb:
    """Fit the colours on features (n, C); rows with NaN (occluded points) are left out.

    Each of the three leading directions has its largest entry positive, so colours do not flip between machines. Each
    component is scaled by itself between two percentiles: an outlier cannot wash the picture out. Raises ConfigError
    when fewer than 4 rows, or 3 dimensions, are there.
    """
    rows = _array(features).reshape(-1, np.shape(features)[-1])
    rows = rows[np.isfinite(rows).all(1)]
    if len(rows) < 4 or rows.shape[1] < 3:
        raise ConfigError(
            f"{len(rows)} features of {rows.shape[1]} dimensions", "fit_pca_rgb", "at least 4 features of 3 dimensions"
        )
    directions = pca_projection(torch.from_numpy(rows), 3).numpy().astype(np.float64)
    mean = rows.mean(0)
    low, high = np.percentile((rows - mean) @ directions, PERCENTILES, axis=0)
    return PcaRgb(mean, directions, low, high)


def similarity(features, anchor) -> np.ndarray:
    """Cosine of every feature (..., C) with one ``anchor`` (C,): (...) float32 in [-1, 1], NaN where a feature is NaN
    or 0."""
    features, anchor = _array(features), _array(anchor)
    lengths = np.linalg.norm(features, axis=-1) * np.linalg.norm(anchor)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(lengths > 0, features @ anchor / lengths, np.nan).clip(-1, 1).astype(np.float32)


def _array(values) -> np.ndarray:
    """Tensor or array -> float64 array."""
    return torch.as_tensor(values).detach().cpu().double().numpy()
