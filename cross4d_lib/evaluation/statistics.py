"""How sure we are: intervals over test clips, and a paired comparison of two encoders on the same clips."""

from __future__ import annotations

import numpy as np
from scipy.stats import ttest_1samp

RESAMPLES = 2000


def bootstrap_interval(
    correct: np.ndarray, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of an accuracy over test clips. correct (n,) bool -> (low, high).

    It says how far the number would move with other test clips from the same subjects; not with other seeds or
    subjects.
    """
    correct = np.asarray(correct, float)
    draws = np.random.default_rng(seed).integers(0, len(correct), (resamples, len(correct)))
    low, high = np.quantile(correct[draws].mean(1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def grouped_bootstrap(
    correct: np.ndarray, groups, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """The interval of an accuracy when whole groups are drawn instead of clips: with subjects as groups, how far the
    number would move with other people. correct (n,), groups (n,) -> (low, high). With few groups it is itself
    rough."""
    correct, member = np.asarray(correct, float), np.unique(groups, return_inverse=True)[1]
    right, clips = np.bincount(member, correct), np.bincount(member)  # (g,)
    draws = np.random.default_rng(seed).integers(0, len(clips), (resamples, len(clips)))
    low, high = np.quantile(right[draws].sum(1) / clips[draws].sum(1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_bootstrap(
    first: np.ndarray, second: np.ndarray, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, float]:
    """Difference of accuracy of two encoders on the same clips, resampling clips together.

    first, second : (n,) or (seeds, n) correct or not; seeds are averaged first. Returns difference, low, high of the
    interval, and ``p``, the two-sided share of resamples that contradict the sign of the difference.
    """
    gap = np.atleast_2d(np.asarray(first, float)).mean(0) - np.atleast_2d(np.asarray(second, float)).mean(0)
    draws = np.random.default_rng(seed).integers(0, len(gap), (resamples, len(gap)))
    means = gap[draws].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    against = min((means <= 0).mean(), (means >= 0).mean())
    return {"difference": float(gap.mean()), "low": float(low), "high": float(high), "p": float(min(1.0, 2 * against))}


def paired_seeds(differences) -> dict[str, float]:
    """Paired t-test over seeds: differences of two methods with the same seed, (n,) -> mean, ``std``, and ``p``
    (two-sided).

    It says whether other seeds of the student would tell the same; with three of them it is a blunt tool. ``std`` and p
    are NaN for one seed, p also where all seeds differ by exactly the same.
    """
    differences = np.asarray(differences, float)
    std = float(differences.std(ddof=1)) if len(differences) > 1 else float("nan")
    return {
        "mean": float(differences.mean()),
        "std": std,
        "p": float(ttest_1samp(differences, 0).pvalue) if std > 0 else float("nan"),
    }
