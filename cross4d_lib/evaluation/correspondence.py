"""Does a point stay itself over time? Nearest feature across a gap of frames, against the surface's own answer (Table
16).

Take a point of frame f, find in frame f + g the point whose feature is most like its own, and see how far that lies
from where the point really went. The match is right when the distance is at most tau times the diagonal of the later
frame's bounding box. Only moving meshes know where a point went (``Clip.tracked``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..clips import Clip
from ..correspondence import at_points, token_neighbours
from ..datasets import ClipDataset
from ..decisions import CORRESPONDENCE_LIKENESS, CORRESPONDENCE_QUERIES
from ..encoders import Encoder
from ..errors import ConfigError, DataError
from .features import inference

TAUS = tuple(round(0.005 * k, 3) for k in range(1, 21))  # of the curve; Table 16's is .02
GAPS = (8, 15)


@dataclass(frozen=True)
class CorrespondenceResult:
    """acc : {gap: (clips, len(TAUS))}, the share of a clip's matches within each tau. chance : the same for a match
    drawn at random."""

    acc: dict[int, np.ndarray]
    chance: dict[int, np.ndarray]

    def at(self, gap: int, tau: float = 0.02) -> np.ndarray:
        """Accuracy of every clip at one tau, (clips,)."""
        return self.acc[gap][:, TAUS.index(tau)]


Features = Callable[[Clip], torch.Tensor]  # clip -> (T, N, C), what points are compared by


def encoder_features(encoder: Encoder, k: int = 3) -> Features:
    """Features of a frozen encoder at the points: those of the k nearest tokens, weighted (k = 1: of the nearest)."""

    def features(clip: Clip) -> torch.Tensor:
        with inference(encoder) as device:
            points = torch.as_tensor(clip.points)[None].to(device)
            tokens = encoder(points)
        index, weights = token_neighbours(tokens.centres, tokens.frame, points, k)
        return at_points(tokens.features.float(), index, weights)[0].cpu()

    return features


def coordinates(clip: Clip) -> torch.Tensor:
    """Raw XYZ, the paper's baseline: the point that lies nearest to where the query was."""
    return torch.as_tensor(clip.points)


def token_coordinates(encoder: Encoder) -> Features:
    """XYZ at the resolution of the encoder's tokens: the place of each point's nearest token. What XYZ is worth once it
    is as coarse as the features are."""

    def features(clip: Clip) -> torch.Tensor:
        points = torch.as_tensor(clip.points)[None].to(next(encoder.parameters()).device)
        groups = encoder.group(points)
        frame, point = groups["frame"], groups["point"]
        centres = points[torch.arange(len(points))[:, None], frame, point]  # (1, M, 3)
        index, weights = token_neighbours(centres, frame, points, 1)
        return at_points(centres, index, weights)[0].cpu()

    return features


def clip_correspondence(
    points: torch.Tensor,
    features: torch.Tensor,
    gap: int,
    likeness: str = CORRESPONDENCE_LIKENESS,
    queries: int = CORRESPONDENCE_QUERIES,
) -> tuple[np.ndarray, np.ndarray]:
    """(accuracy, chance) of one tracked clip at every tau, (len(TAUS),) each.

    points (T, N, 3); features (T, N, C). likeness : "cosine", "centred" (the same after the clip's mean is taken
    off), or "distance" (Euclidean, for coordinates). The first ``queries`` points of every frame f <= T - 1 - gap are
    asked for among all N points of frame f + gap; points of a clip come in random order. Raises ConfigError when the
    clip is no longer than the gap.
    """
    frames = len(points)
    if not 0 < gap < frames:
        raise ConfigError(
            f"a gap of {gap} frames in a clip of {frames}", "correspondence", "a gap from 1 to T - 1: take longer clips"
        )
    if likeness == "centred":
        features = features - features.mean((0, 1))
    taus = torch.tensor(TAUS)
    right, chance, pairs = torch.zeros(len(TAUS)), torch.zeros(len(TAUS)), frames - gap
    for f in range(pairs):
        asked, among = features[f, :queries], features[f + gap]
        if likeness == "distance":
            match = _distances(asked, among).argmin(1)
        else:
            match = (
                torch.nn.functional.normalize(asked, dim=-1) @ torch.nn.functional.normalize(among, dim=-1).T
            ).argmax(1)
        later = points[f + gap]  # (N, 3)
        reach = taus * (later.amax(0) - later.amin(0)).norm()
        truth = later[: len(asked)]  # tracked: point n is point n
        right += ((later[match] - truth).norm(dim=-1)[:, None] <= reach).float().mean(0)
        chance += (_distances(truth, later)[..., None] <= reach).float().mean((0, 1))
    return (right / pairs).numpy(), (chance / pairs).numpy()


def _distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(n, C), (m, C) -> (n, m), from differences: by products, torch's choice for many points, they are rounded by the
    cloud's distance from the origin."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def correspondence(
    features: Features, dataset: ClipDataset, gaps: tuple[int, ...] = GAPS, likeness: str = CORRESPONDENCE_LIKENESS
) -> CorrespondenceResult:
    """Table 16 over a dataset of tracked clips. Raises DataError on a clip whose points have no identity over time."""
    acc, chance = ({gap: [] for gap in gaps} for _ in range(2))
    for i in range(len(dataset)):
        clip = dataset[i]
        if not clip.tracked:
            raise DataError(
                "points without identity over time",
                f"{dataset.source.name} {clip.id}",
                "correspondence needs moving meshes, such as deforming-things4d or synthetic-animals",
            )
        computed = features(clip)
        for gap in gaps:
            for kept, value in zip(
                (acc, chance), clip_correspondence(torch.as_tensor(clip.points), computed, gap, likeness)
            ):
                kept[gap].append(value)
    return CorrespondenceResult({g: np.array(v) for g, v in acc.items()}, {g: np.array(v) for g, v in chance.items()})
