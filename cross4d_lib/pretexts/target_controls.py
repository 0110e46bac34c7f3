"""Controls on the targets (ours): dense pretraining in which tokens carry other targets than their own.

- frame mean: the mean of a frame's targets for every token of the frame; as many rows in the loss as dense, one answer
  a frame.
- shuffled points: the targets of a frame's visible tokens are permuted among them; right features, wrong points.

A permutation is a function of the clip's number and the seed: the same in every epoch and every batch. Only tokens
that have a target receive one, and targets are only taken from such.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..decisions import TARGET_MEMORY
from ..errors import ConfigError
from ..recent import Recent
from ..targets import Batch
from .base import register_pretext
from .dense_global import Dense, DenseConfig


def cycle(count: int, rng: np.random.Generator) -> np.ndarray:
    """A random successor of each of ``count`` things, one cycle through all of them: (count,) int64, nothing follows
    itself unless alone."""
    order = rng.permutation(count)
    successor = np.empty(count, np.int64)
    successor[order] = np.roll(order, -1)
    return successor


def shuffled_points(
    targets: torch.Tensor, frame: torch.Tensor, visible: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    """Each frame's visible tokens pass their targets on in a cycle; a frame's only visible token keeps its own. targets
    (M, d_p), frame (M,) int64, visible (M,) bool -> (M, d_p)."""
    taken = targets.clone()
    for f in frame.unique():
        among = torch.nonzero((frame == f) & visible)[:, 0]
        taken[among] = targets[among[cycle(len(among), rng)]]
    return taken


def frame_mean(
    targets: torch.Tensor, frame: torch.Tensor, visible: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    """The mean over a frame's visible tokens for every token of the frame. targets (M, d_p), frame (M,) int64, visible
    (M,) bool -> (M, d_p)."""
    frames = int(frame.max()) + 1
    sums = torch.zeros(frames, targets.shape[1]).index_add_(0, frame[visible], targets[visible])
    return (sums / torch.bincount(frame[visible], minlength=frames).clamp_min(1)[:, None])[frame]


CONTROLS: dict[str, Callable[..., torch.Tensor]] = {"frame mean": frame_mean, "shuffled points": shuffled_points}


class ControlledTargets:
    """A target store seen through a control: a map-style dataset with the store's ``mean``, ``len``, ``dim``, ``key``.

    store : a finished one. control : one of CONTROLS. seed : of the permutations. Raises ConfigError on an unknown
    control.
    """

    views = 1

    def __init__(self, store, control: str, seed: int = 0, merge: str = "mean"):
        if control not in CONTROLS:
            raise ConfigError(f"control {control!r}", "pretrain", f"one of {', '.join(CONTROLS)}")
        self.store, self.control, self.seed, self.merge = store, control, seed, merge
        self.key, self.dim = f"{store.key}, {control}, seed {seed}", store.dim
        self._recent = Recent(TARGET_MEMORY)

    def __reduce__(self):
        return type(self), (self.store, self.control, self.seed, self.merge)

    def __len__(self) -> int:
        return len(self.store)

    def targets(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(M, d_p) targets of clip i under the control, 0 where there is none, and (M,) bool where there is one: in
        half precision, as the store keeps its own, and kept in bounded memory."""
        if (kept := self._recent.get(i)) is None:
            batch = self.store.batch([i])
            (targets,), (visible,) = batch.merged(self.merge)
            generator = np.random.default_rng((self.seed, i))
            taken = CONTROLS[self.control](targets, batch.grouping["frame"][0], visible, generator)
            kept = torch.where(visible[:, None], taken, 0).half(), visible
            self._recent.put(i, kept, sum(part.nbytes for part in kept))
        return kept

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        """The store's item with the targets exchanged, as one view."""
        targets, visible = self.targets(i)
        return {**self.store[i], "targets": targets[None], "visible": visible[None]}

    def collate(self, items: list[dict[str, torch.Tensor]]) -> Batch:
        return self.store.collate(items)

    def batch(self, indices, device: str | torch.device = "cpu") -> Batch:
        """The Batch of some clips; points, grouping and summaries are the store's own."""
        return self.collate([self[int(i)] for i in indices]).to(device)

    @property
    def mean(self) -> dict[str, torch.Tensor]:
        """As of a TargetStore: "dense" and "first" are the mean over the targets that the tokens carry."""
        if not hasattr(self, "_mean"):
            total, count = torch.zeros(self.dim, dtype=torch.float64), 0
            for i in range(len(self)):
                targets, visible = self.targets(i)
                total, count = total + targets.double().sum(0), count + int(visible.sum())
            self._mean = self.store.mean | dict.fromkeys(("dense", "first"), (total / max(1, count)).float())
        return self._mean


@dataclass(frozen=True)
class ControlConfig(DenseConfig):
    """As DenseConfig. control : one of CONTROLS."""

    control: str = "frame mean"

    def __post_init__(self):
        super().__post_init__()
        if self.control not in CONTROLS:
            raise ConfigError(f"control {self.control!r}", "pretext", f"one of {', '.join(CONTROLS)}")


@register_pretext("control")
class Control(Dense):
    """The dense loss (Eq. 5, 6) on exchanged targets."""

    Config = ControlConfig

    @classmethod
    def prepare(cls, config: ControlConfig, data, seed: int) -> ControlledTargets:
        return ControlledTargets(data, config.control, seed, config.merge)
