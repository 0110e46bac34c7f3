"""A per-point head trained until it converges: the softmax regression that a short training only approaches (Table 6).

60 epochs leave a head on small or correlated features far from its optimum, and an encoder whose features are slow to
read then looks as if it knew less. This head has no training length: an L-BFGS run to its end, its penalty chosen by
leaving individuals of the training clips out. The test clips choose nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.optimize import minimize
from torch import nn

from ..correspondence import at_points
from ..datasets import ClipDataset
from ..decisions import CONVERGED_PENALTIES, CONVERGED_POINTS
from ..encoders import Encoder
from ..errors import ConfigError
from .probe import FOLDS, one_thread
from .segmentation import (
    IGNORED,
    LabelledTokens,
    SegmentationResult,
    confusion,
    label_tokens,
    score_points,
    segment_frozen,
)

STEPS = 2000  # of L-BFGS at most; never reached in what we measured
STALL = 1e-7  # stop when a step lowers the loss by less than this share


def segment_converged(
    train_tokens: LabelledTokens, test_tokens: LabelledTokens, classes: int, groups: list[str], seed: int = 0
) -> tuple[SegmentationResult, nn.Linear]:
    """Softmax regression on the z-scored features of points, run to convergence. groups : whom each training clip
    shows.

    Returns the result on the test clips, with the penalty that was selected and its mIoU on those left out, and the
    head. Raises ConfigError when there is one training clip only.
    """
    flat = train_tokens.features.flatten(0, 1)
    mean, deviation = flat.mean(0), flat.std(0).clamp_min(1e-8)
    x, y, clip = sampled_points(train_tokens, seed)
    head, selected = converged_head((x - mean) / deviation, y, clip, classes, groups)
    with one_thread():
        result = score_points(head, (test_tokens.features - mean) / deviation, test_tokens, classes)
    return replace(result, selected=selected), head


@one_thread()
def converged_head(
    x: torch.Tensor, y: torch.Tensor, clip: torch.Tensor, classes: int, groups: list[str]
) -> tuple[nn.Linear, dict]:
    """The softmax regression of classes y (n,) on features x (n, C) with the best penalty on individuals left out.

    clip : (n,) which clip a row is of. groups : whom each clip shows. Returns the head and {"penalty", "left-out
    mIoU"}. Ties go to the stronger penalty.
    """
    part = leave_out(groups)
    fold = torch.as_tensor(part)[clip]
    left_out = {penalty: np.zeros((classes, classes), np.int64) for penalty in CONVERGED_PENALTIES}
    for k in range(part.max() + 1):
        head = None
        for penalty in CONVERGED_PENALTIES:  # strongest first: each starts where the one before ended
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
    for i, (features, index, weights, labels) in enumerate(
        zip(tokens.features, tokens.index, tokens.weights, tokens.labels)
    ):
        some = torch.randperm(labels.shape[-1], generator=generator)[:CONVERGED_POINTS]
        kept = labels[:, some] != IGNORED
        at = at_points(features[None], index[None, :, some].long(), weights[None, :, some])[0]  # (T, some, C)
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
        results[name] = segment_frozen(seen, held, classes, standardize, seed)[0]
        results[f"{name}, nearest token"] = segment_frozen(seen.nearest(), held.nearest(), classes, standardize, seed)[
            0
        ]
    results["converged"] = segment_converged(seen, held, classes, train_set.subjects, seed)[0]
    return results
