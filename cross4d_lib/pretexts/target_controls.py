"""Controls on the targets (ours): the same store, but tokens carry other targets than their own.

    shuffled points        the targets of a frame's visible tokens change hands among them: right features, wrong points
    shuffled frames        the target of the nearest token of another frame of the clip: place kept, time wrong
    shuffled clips         the target of the nearest token of the same frame of another clip: place and time kept, clip
    wrong broadcast              the clip's class summary for every token: global information, dense loss
    broadcast frames       the frame's own class token for every token of the frame: one answer a frame, dense loss
    broadcast frame means  the mean of the frame's dense targets for every token of the frame: the best guess under
    shuffled points

Who takes whose target is a function of the clip's number and the seed: the same in every epoch and every batch. Only
tokens that have a target take one, and only such are taken from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from ..encoders.point4d import normalise
from ..errors import ConfigError
from ..targets import Batch


def cycle(count: int, dice: np.random.Generator) -> np.ndarray:
    """A random successor of each of ``count`` things, one ring through all of them: (count,) int64, nobody follows
    itself unless alone."""
    ring = dice.permutation(count)
    successor = np.empty(count, np.int64)
    successor[ring] = np.roll(ring, -1)
    return successor


def swapped_in_frames(frame: torch.Tensor, visible: torch.Tensor, dice: np.random.Generator) -> torch.Tensor:
    """Which token's target a token takes when those of each frame's visible tokens go round in a ring. frame, visible
    (M,) -> (M,) int64, -1 for tokens that are not visible. A frame's only visible token keeps its own."""
    taken = torch.full_like(frame, -1)
    for f in frame.unique():
        among = torch.nonzero((frame == f) & visible)[:, 0]
        taken[among] = among[cycle(len(among), dice)]
    return taken


def nearest_visible(
    place: torch.Tensor, wanted: torch.Tensor, other: torch.Tensor, frame: torch.Tensor, visible: torch.Tensor
) -> torch.Tensor:
    """For each token the nearest visible token of frame ``wanted``: (M,) int64, ties to the lowest index, -1 where that
    frame has none.

    place (M, 3), wanted (M,) : of the tokens that ask. other (M', 3), frame (M',), visible (M',) : of those they choose
    from.
    """
    far = (place[:, None] - other).square().sum(-1)  # (M, M')
    far = far.masked_fill(~visible | (wanted[:, None] != frame), torch.inf)
    return torch.where(far.isinf().all(1), -1, far.argmin(1))


class ControlledTargets:
    """A target store seen through a control: ``batch``, ``mean``, ``len``, ``key`` and ``dim`` as of a TargetStore.

    store : a finished one. control : one of CONTROLS. seed : of the shuffles. Where a token finds nobody to take a
    target from, it carries none. Raises ConfigError on an unknown control, and where there is nothing to shuffle: a
    single clip, a single frame.
    """

    def __init__(self, store, control: str, seed: int = 0):
        if control not in CONTROLS:
            raise ConfigError(f"control {control!r}", "pretrain", f"one of {', '.join(CONTROLS)}, or none")
        if (
            control == "shuffled clips"
            and len(store) < 2
            or control == "shuffled frames"
            and len(store.clip(0)["points"]) < 2
        ):
            raise ConfigError(
                f"{control}, but there is a single {control.split()[1].removesuffix('s')}",
                "pretrain",
                "take more of them, or another control",
            )
        self.store, self.control, self.seed = store, control, seed
        self.key, self.dim = f"{store.key}, {control}, seed {seed}", store.dim
        self._next_clip = cycle(len(store), np.random.default_rng(seed))
        self._targets: list[tuple[torch.Tensor, torch.Tensor] | None] = [None] * len(store)

    def __len__(self) -> int:
        return len(self.store)

    def targets(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(M, d_p) targets of clip i, 0 where there is none, and (M,) bool where there is one; kept once made."""
        if self._targets[i] is None:
            self._targets[i] = CONTROLS[self.control](self, i)
        return self._targets[i]

    def batch(self, indices, device: str | torch.device = "cpu") -> Batch:
        """As of a TargetStore; points, grouping and summaries are the store's own."""
        targets, visible = (torch.stack(part).to(device) for part in zip(*(self.targets(int(i)) for i in indices)))
        return replace(self.store.batch(indices, device), targets=targets.float(), visible=visible)

    @property
    def mean(self) -> dict[str, torch.Tensor]:
        """As of a TargetStore: ``dense`` is the mean over the targets that the tokens carry here."""
        if not hasattr(self, "_mean"):
            every = [self.targets(i) for i in range(len(self))]
            total = sum(targets.double().sum(0) for targets, _ in every)
            self._mean = self.store.mean | {
                "dense": (total / max(1, sum(int(visible.sum()) for _, visible in every))).float()
            }
        return self._mean

    def dice(self, i: int) -> np.random.Generator:
        """The random numbers of clip i: the same whenever they are asked for."""
        return np.random.default_rng((self.seed, i))


def places(clip: dict[str, torch.Tensor]) -> torch.Tensor:
    """Where a clip's tokens are, (M, 3): centroid 0 and radius 1 over the clip, as the encoder sees it."""
    return normalise(clip["points"][None])[0][clip["grouping/frame"].long(), clip["grouping/point"].long()]


def take(
    clip: dict[str, torch.Tensor], giver: dict[str, torch.Tensor], taken: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets and their mask when token j of ``clip`` takes that of token taken[j] of ``giver`` (-1: none)."""
    carries = clip["visible"] & (taken >= 0)
    return torch.where(carries[:, None], giver["targets"][taken.clamp_min(0)], 0), carries


def shuffled_points(targets: ControlledTargets, i: int):
    clip = targets.store.clip(i)
    return take(clip, clip, swapped_in_frames(clip["grouping/frame"].long(), clip["visible"], targets.dice(i)))


def shuffled_frames(targets: ControlledTargets, i: int):
    clip = targets.store.clip(i)
    frame, place = clip["grouping/frame"].long(), places(clip)
    other = torch.from_numpy(cycle(len(clip["points"]), targets.dice(i)))  # (T,)
    return take(clip, clip, nearest_visible(place, other[frame], place, frame, clip["visible"]))


def shuffled_clips(targets: ControlledTargets, i: int):
    clip, giver = targets.store.clip(i), targets.store.clip(int(targets._next_clip[i]))
    frame, its = clip["grouping/frame"].long(), giver["grouping/frame"].long()
    return take(clip, giver, nearest_visible(places(clip), frame, places(giver), its, giver["visible"]))


def broadcast(targets: ControlledTargets, i: int):
    clip = targets.store.clip(i)
    summary = clip["class"].float().mean(0)  # (d_p,), the clip's class summary as a TargetStore's batch has it
    return torch.where(clip["visible"][:, None], summary, 0), clip["visible"]


def broadcast_frames(targets: ControlledTargets, i: int):
    clip = targets.store.clip(i)
    return torch.where(clip["visible"][:, None], clip["class"][clip["grouping/frame"].long()], 0), clip["visible"]


def broadcast_frame_means(targets: ControlledTargets, i: int):
    clip = targets.store.clip(i)
    frame, visible, own = clip["grouping/frame"].long(), clip["visible"], clip["targets"].float()
    shape = (len(clip["points"]), own.shape[1])
    sums = torch.zeros(shape).index_add_(0, frame[visible], own[visible])
    means = sums / torch.bincount(frame[visible], minlength=shape[0]).clamp_min(1)[:, None]  # (T, d_p)
    return torch.where(visible[:, None], means[frame], 0), visible


CONTROLS: dict[str, Callable[[ControlledTargets, int], tuple[torch.Tensor, torch.Tensor]]] = {
    "shuffled points": shuffled_points,
    "shuffled frames": shuffled_frames,
    "shuffled clips": shuffled_clips,
    "broadcast": broadcast,
    "broadcast frames": broadcast_frames,
    "broadcast frame means": broadcast_frame_means,
}


def controlled(targets, control: str = "", seed: int = 0):
    """``targets`` themselves without a control, else through it."""
    return ControlledTargets(targets, control, seed) if control else targets
