"""Controls on the targets (ours): dense pretraining in which tokens carry other targets than their own.

- shuffled points: the targets of a frame's visible tokens are permuted among them; right features, wrong points.
- shuffled frames: the target of the nearest token of another frame of the clip; place kept, time wrong.
- shuffled clips: the target of the nearest token of the same frame of another clip; place and time kept, clip wrong.
- broadcast: the clip's class summary for every token; global information, dense loss.
- broadcast frames: the frame's own class token for every token of the frame.
- broadcast frame means: the mean of the frame's dense targets for every token of the frame; the best constant guess a
  frame.

The permutations are a function of the clip's number and the seed: the same in every epoch and every batch. Only tokens
that have a target receive one, and targets are only taken from such.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..decisions import TARGET_MEMORY
from ..encoders import normalise
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


def permuted_in_frames(frame: torch.Tensor, visible: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Whose target each token takes when each frame's visible tokens pass theirs on in a cycle. frame, visible (M,) ->
    (M,) int64, -1 for tokens that are not visible. A frame's only visible token keeps its own."""
    source = torch.full_like(frame, -1)
    for f in frame.unique():
        among = torch.nonzero((frame == f) & visible)[:, 0]
        source[among] = among[cycle(len(among), rng)]
    return source


def nearest_visible(
    place: torch.Tensor, wanted: torch.Tensor, other: torch.Tensor, frame: torch.Tensor, visible: torch.Tensor
) -> torch.Tensor:
    """For each token the nearest visible token of frame ``wanted``: (M,) int64, ties to the lowest index, -1 where that
    frame has none.

    place (M, 3), wanted (M,) : of the receiving tokens. other (M', 3), frame (M',), visible (M',) : of the candidates.
    """
    distance = (place[:, None] - other).square().sum(-1)  # (M, M')
    distance = distance.masked_fill(~visible | (wanted[:, None] != frame), torch.inf)
    return torch.where(distance.isinf().all(1), -1, distance.argmin(1))


@dataclass(frozen=True)
class ClipTargets:
    """One clip of a store, its views merged. frame, point (M,) int64; targets (M, d_p) float32; visible (M,) bool;
    place (M, 3), centres in the clip's reference; frame_class (T, d_p), the class token of each frame."""

    frame: torch.Tensor
    targets: torch.Tensor
    visible: torch.Tensor
    place: torch.Tensor
    frame_class: torch.Tensor


class ControlledTargets:
    """A target store seen through a control: a map-style dataset with the store's ``mean``, ``len``, ``dim``, ``key``.

    store : a finished one. control : one of CONTROLS. seed : of the permutations. A token that finds no source carries
    no target. Raises ConfigError on an unknown control, and where there is nothing to permute: a single clip or frame.
    """

    views = 1

    def __init__(self, store, control: str, seed: int = 0, merge: str = "mean"):
        if control not in CONTROLS:
            raise ConfigError(f"control {control!r}", "pretrain", f"one of {', '.join(CONTROLS)}")
        if (
            control == "shuffled clips"
            and len(store) < 2
            or control == "shuffled frames"
            and len(store[0]["points"]) < 2
        ):
            raise ConfigError(
                f"{control}, but there is a single {control.split()[1].removesuffix('s')}",
                "pretrain",
                "take more of them, or another control",
            )
        self.store, self.control, self.seed, self.merge = store, control, seed, merge
        self.key, self.dim = f"{store.key}, {control}, seed {seed}", store.dim
        self.next_clip = cycle(len(store), np.random.default_rng(seed))
        self._recent = Recent(TARGET_MEMORY)

    def __reduce__(self):
        return type(self), (self.store, self.control, self.seed, self.merge)

    def __len__(self) -> int:
        return len(self.store)

    def clip(self, i: int) -> ClipTargets:
        """Clip i of the store, before the control."""
        batch = self.store.batch([i])
        targets, visible = batch.merged(self.merge)
        frame, point = batch.grouping["frame"][0], batch.grouping["point"][0]
        place = normalise(batch.points)[0][frame, point]
        frame_class = self.store[i]["class"].float().mean(0)  # (V, T, d_p) -> (T, d_p)
        return ClipTargets(frame, targets[0], visible[0], place, frame_class)

    def targets(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(M, d_p) targets of clip i under the control, 0 where there is none, and (M,) bool where there is one: in
        half precision, as the store keeps its own, and kept in bounded memory."""
        if (kept := self._recent.get(i)) is None:
            targets, visible = CONTROLS[self.control](self, i)
            kept = targets.half(), visible
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

    def rng(self, i: int) -> np.random.Generator:
        """The generator of clip i: the same whenever it is asked for."""
        return np.random.default_rng((self.seed, i))


def taken_from(clip: ClipTargets, other: ClipTargets, source: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets and their mask when token j of ``clip`` takes that of token source[j] of ``other`` (-1: none)."""
    visible = clip.visible & (source >= 0)
    return torch.where(visible[:, None], other.targets[source.clamp_min(0)], 0), visible


def shuffled_points(data: ControlledTargets, i: int):
    clip = data.clip(i)
    return taken_from(clip, clip, permuted_in_frames(clip.frame, clip.visible, data.rng(i)))


def shuffled_frames(data: ControlledTargets, i: int):
    clip = data.clip(i)
    other = torch.from_numpy(cycle(len(clip.frame_class), data.rng(i)))  # (T,)
    return taken_from(clip, clip, nearest_visible(clip.place, other[clip.frame], clip.place, clip.frame, clip.visible))


def shuffled_clips(data: ControlledTargets, i: int):
    clip, other = data.clip(i), data.clip(int(data.next_clip[i]))
    return taken_from(clip, other, nearest_visible(clip.place, clip.frame, other.place, other.frame, other.visible))


def broadcast(data: ControlledTargets, i: int):
    clip = data.clip(i)
    return torch.where(clip.visible[:, None], clip.frame_class.mean(0), 0), clip.visible


def broadcast_frames(data: ControlledTargets, i: int):
    clip = data.clip(i)
    return torch.where(clip.visible[:, None], clip.frame_class[clip.frame], 0), clip.visible


def broadcast_frame_means(data: ControlledTargets, i: int):
    clip = data.clip(i)
    seen, frames = clip.frame[clip.visible], len(clip.frame_class)
    sums = torch.zeros(frames, clip.targets.shape[1]).index_add_(0, seen, clip.targets[clip.visible])
    means = sums / torch.bincount(seen, minlength=frames).clamp_min(1)[:, None]  # (T, d_p)
    return torch.where(clip.visible[:, None], means[clip.frame], 0), clip.visible


CONTROLS: dict[str, Callable[[ControlledTargets, int], tuple[torch.Tensor, torch.Tensor]]] = {
    "shuffled points": shuffled_points,
    "shuffled frames": shuffled_frames,
    "shuffled clips": shuffled_clips,
    "broadcast": broadcast,
    "broadcast frames": broadcast_frames,
    "broadcast frame means": broadcast_frame_means,
}


@dataclass(frozen=True)
class ControlConfig(DenseConfig):
    """As DenseConfig. control : one of CONTROLS."""

    control: str = "shuffled points"

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
