"""A class for every point from a frozen encoder: a linear head (Table 6).

The head gives every token a score for every class; a point's scores are the weighted mean of those of the tokens around
it (``correspondence.token_neighbours``). Because both steps are linear, this equals a linear head on the point's own
interpolated feature, for a small part of the work: a clip has a sixteenth as many tokens as points.

The head is trained for HEAD_EPOCHS, as in the paper, or until it converges (ours): 60 epochs leave a head on small or
correlated features far from its optimum. The converged one has no training length: an L-BFGS run to its end, its
penalty chosen by leaving individuals of the training clips out. The test clips choose nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import minimize
from torch import nn

from ..correspondence import at_points
from ..datasets import ClipDataset
from ..decisions import CONVERGED_PENALTIES, CONVERGED_POINTS, HEAD_EPOCHS, HEAD_POINTS, PROBE_RATE
from ..encoders import Encoder
from ..errors import ConfigError
from ..training import Training, train
from .features import one_thread, zscore
from .probes import FOLDS
from .segmentation import BATCH, IGNORED, LabelledTokens, SegmentationResult, confusion, label_loss, label_tokens

STEPS = 2000  # of L-BFGS at most; never reached in what we measured
STALL = 1e-7  # stop when a step lowers the loss by less than this share


@dataclass
class PointSample:
    """Training data of the per-point head: HEAD_POINTS random points of every frame, others in each epoch."""

    tokens: LabelledTokens
    seed: int
    epoch: int = 0

    def __len__(self) -> int:
        return len(self.tokens.features)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __getitem__(self, i: int) -> tuple[torch.Tensor, ...]:
        features, index, weights, labels = self.tokens.clip(i)
        generator = torch.Generator().manual_seed(
            int(np.random.SeedSequence((self.seed, self.epoch, i)).generate_state(1)[0])
        )
        some = torch.randperm(labels.shape[-1], generator=generator)[:HEAD_POINTS]
        return features, index[:, some], weights[:, some], labels[:, some]

    @staticmethod
    def collate(clips: list[tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, ...]:
        return tuple(map(torch.stack, zip(*clips)))


class PointHead(nn.Module):
    """A linear head on tokens. (features (B, M, C), index, weights (B, T, n, k), labels (B, T, n)) -> its loss."""

    def __init__(self, dim: int, classes: int):
        super().__init__()
        self.head = nn.Linear(dim, classes)

    def forward(self, batch: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
        features, index, weights, labels = batch
        return {"loss": label_loss(at_points(self.head(features), index, weights), labels)}


def segment_frozen(
    train_tokens: LabelledTokens,
    test_tokens: LabelledTokens,
    classes: int,
    standardize: bool = False,
    seed: int = 0,
    epochs: int = HEAD_EPOCHS,
) -> tuple[SegmentationResult, nn.Linear]:
    """A linear per-point head on frozen tokens (Table 6). standardize : z-score every feature over the training tokens
    first.

    Returns the result on the test clips and the head. The last epoch counts.
    """
    if standardize:
        train_tokens, test_tokens = _zscored(train_tokens, test_tokens)
    constant = {"weight_decay": 0.0, "warmup": 0.0, "decay": False, "clip": math.inf}  # plain Adam
    options = Training(epochs, BATCH, PROBE_RATE, **constant, precision="float32", seed=seed)
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        model = PointHead(train_tokens.features.shape[-1], classes)
        train(model, PointSample(train_tokens, seed), options, describe="per-point head")
        head = model.head.requires_grad_(False)
        return score_points(head, test_tokens, classes), head


def _zscored(train_tokens: LabelledTokens, test_tokens: LabelledTokens) -> tuple[LabelledTokens, LabelledTokens]:
    x, z = zscore(train_tokens.features, test_tokens.features)
    return replace(train_tokens, features=x), replace(test_tokens, features=z)


@torch.no_grad()
def score_points(head: nn.Linear, tokens: LabelledTokens, classes: int) -> SegmentationResult:
    """A head's answers at every point of ``tokens``."""
    counts = []
    for i in range(len(tokens.features)):
        x, index, weights, labels = tokens.clip(i)
        predicted = at_points(head(x[None]), index[None], weights[None])[0].argmax(-1)
        counts.append(confusion(predicted, labels, classes))
    return SegmentationResult(np.stack(counts), subjects=tokens.subjects)


def segment_converged(
    train_tokens: LabelledTokens, test_tokens: LabelledTokens, classes: int, seed: int = 0
) -> tuple[SegmentationResult, nn.Linear]:
    """Softmax regression on the z-scored features of points, run to convergence.

    Returns the result on the test clips, with the penalty that was selected and its mIoU on those left out, and the
    head. Raises ConfigError when there is one training clip only.
    """
    train_tokens, test_tokens = _zscored(train_tokens, test_tokens)
    x, y, clip = sampled_points(train_tokens, seed)
    head, selected = converged_head(x, y, clip, classes, train_tokens.subjects)
    with one_thread():
        result = score_points(head, test_tokens, classes)
    return replace(result, selected=selected), head


@one_thread()
def converged_head(
    x: torch.Tensor, y: torch.Tensor, clip: torch.Tensor, classes: int, groups: list[str]
) -> tuple[nn.Linear, dict]:
    """The softmax regression of classes y (n,) on features x (n, C) with the best penalty on individuals left out.

    clip : (n,) which clip a row is of. groups : whom each clip shows. Returns the head and {"penalty", "left-out
    mIoU"}. Ties go to the larger penalty.
    """
    part = leave_out(groups)
    fold = torch.as_tensor(part)[clip]
    left_out = {penalty: np.zeros((classes, classes), np.int64) for penalty in CONVERGED_PENALTIES}
    for k in range(part.max() + 1):
        head = None
        for penalty in CONVERGED_PENALTIES:  # the largest first: each starts where the one before ended
            head = fit_softmax(x[fold != k], y[fold != k], classes, penalty, head)
            left_out[penalty] += confusion(head(x[fold == k]).argmax(1), y[fold == k], classes)
    scores = {penalty: SegmentationResult(counts[None]).miou for penalty, counts in left_out.items()}
    best = max(CONVERGED_PENALTIES, key=lambda penalty: (scores[penalty], penalty))
    head = None
    for penalty in CONVERGED_PENALTIES[: CONVERGED_PENALTIES.index(best) + 1]:
        head = fit_softmax(x, y, classes, penalty, head)
    return head, {"penalty": best, "left-out mIoU": scores[best]}


def leave_out(groups: list[str]) -> np.ndarray:
    """Which of at most FOLDS parts each training clip belongs to: individuals dealt out in turn, or clips where there
    is one."""
    names = np.unique(groups, return_inverse=True)[1]
    part = (names if names.max() else np.arange(len(names))) % FOLDS
    if not part.max():
        raise ConfigError(
            "one training clip", "the converged head", "at least two: one is left out to choose the penalty"
        )
    return part


def sampled_points(tokens: LabelledTokens, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """CONVERGED_POINTS random labelled points a frame -> features (n, C), classes (n,), clip numbers (n,)."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for i in range(len(tokens.features)):
        features, index, weights, labels = tokens.clip(i)
        some = torch.randperm(labels.shape[-1], generator=generator)[:CONVERGED_POINTS]
        kept = labels[:, some] != IGNORED
        at = at_points(features[None], index[None, :, some], weights[None, :, some])[0]  # (T, some, C)
        rows.append((at[kept], labels[:, some][kept], torch.full((int(kept.sum()),), i)))
    return tuple(torch.cat(part) for part in zip(*rows))


def fit_softmax(
    x: torch.Tensor, y: torch.Tensor, classes: int, penalty: float, start: nn.Linear | None = None
) -> nn.Linear:
    """The minimum of mean cross-entropy + penalty / 2 |W|^2 over linear heads; it is convex, so the start decides only
    the time.

    x (n, C) float32, y (n,) int64. start : a head to begin at; zeros otherwise.
    """
    rows, width = torch.arange(len(y)), x.shape[1]
    head = nn.Linear(width, classes).requires_grad_(False)
    put = lambda values: nn.utils.vector_to_parameters(torch.as_tensor(values, dtype=torch.float32), head.parameters())

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        put(values)
        likely = torch.log_softmax(head(x), 1)
        value = -likely[rows, y].mean() + penalty / 2 * head.weight.square().sum()
        error = likely.exp_()
        error[rows, y] -= 1
        error /= len(y)
        slope = torch.cat([(error.T @ x + penalty * head.weight).flatten(), error.sum(0)])
        return float(value), slope.double().numpy()

    first = (
        np.zeros((width + 1) * classes)
        if start is None
        else nn.utils.parameters_to_vector(start.parameters()).detach().double().numpy()
    )
    put(
        minimize(
            loss,
            first,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": STEPS, "maxfun": 2 * STEPS, "maxcor": 20, "ftol": STALL, "gtol": 1e-5},
        ).x
    )
    return head


def segment_all(
    encoder: Encoder, train_set: ClipDataset, test_set: ClipDataset, seed: int = 0
) -> dict[str, SegmentationResult]:
    """The frozen encoder under every setting: "linear" and "standardized" with interpolated tokens (our rule), each
    with the nearest token alone, and "converged". Raises DataError when the clips carry no point labels."""
    classes = len(train_set.source.point_classes)
    seen, held = label_tokens(encoder, train_set), label_tokens(encoder, test_set)
    results = {}
    for name, standardize in (("linear", False), ("standardized", True)):
        for which, change in (("", lambda tokens: tokens), (", nearest token", LabelledTokens.nearest)):
            results[name + which] = segment_frozen(change(seen), change(held), classes, standardize, seed)[0]
    results["converged"] = segment_converged(seen, held, classes, seed)[0]
    return results
