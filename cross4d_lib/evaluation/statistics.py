"""How sure we are: the interval of a measured quantity, and what a comparison of two methods shows.

Three things vary: the subjects (or individuals) a clip shows, the clips of a subject, and the seed of the student. The
bootstrap draws all three: subjects with replacement, clips within each drawn subject, seeds. With few subjects and
seeds its percentiles are wrong in two ways: too narrow, since n drawn values vary by (n - 1) / n of what they should
and have no t-distribution's tails; too wide, since drawing clips within drawn subjects counts their variance twice. So
the percentiles are stretched about the estimate, to the width of the t-interval of the two-way layout of subjects and
seeds (``_t_width``), never less than that of clips drawn one by one. ``tests/test_statistics.py`` simulates both: with
5 subjects and 3 seeds the plain percentiles cover the truth in 76 to 99 % of experiments, as it is seeds, subjects or
clips that differ; the stretched ones in 94 to 98 %, and in more where each clip and seed is noise of its own.

Two methods are always measured on the same clips, so clips and subjects are drawn together (paired). Their seeds are
drawn independently: a shared seed gives two methods the same batch order and, for one architecture, the same first
weights, but their accuracies do not rise and fall together. In the committed rows the correlation over seeds is -.09
between dense and global, -.02 between dense and random, .01 between two variants of dense (516, 135 and 513 pairs of
three seeds or more).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.stats import t

from ..errors import ConfigError

RESAMPLES = 2000
LEVEL = 0.95
CLAIM_SEEDS = 3  # fewer decide nothing
CELLS = 4_000_000  # resamples x clips held at a time

VERDICTS = {
    "supported": f"the {LEVEL:.0%} interval of the primary comparison lies above 0, with at least {CLAIM_SEEDS} seeds, "
    "and no secondary one lies below 0",
    "reversed": f"the interval of the primary comparison lies below 0, with at least {CLAIM_SEEDS} seeds, and no "
    "secondary one lies above 0",
    "mixed": "the interval of the primary comparison lies on one side of 0, that of a secondary one on the other, each "
    f"with at least {CLAIM_SEEDS} seeds",
    "undecided": f"the interval of the primary comparison contains 0, or there are fewer than {CLAIM_SEEDS} seeds",
    "not run": "the two methods have no seed in common",
}


@dataclass(frozen=True)
class Interval:
    """A statistic, mean over seeds, and its interval over subjects, clips and seeds together; of the clips and subjects
    alone where there is one seed."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """First minus second, over the seeds that both have: the difference, its interval, and one of VERDICTS.

    means : of the two methods. by_seed : the difference of each seed. clips, groups : how many were compared on.
    """

    difference: float
    low: float
    high: float
    verdict: str
    means: tuple[float, float]
    seeds: tuple[int, ...]
    by_seed: tuple[float, ...]
    clips: int
    groups: int

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies on that side of 0 with enough seeds for a claim, else 0."""
        return int(len(self.seeds) >= CLAIM_SEEDS) * (int(self.low > 0) - int(self.high < 0))


Statistic = Callable[[np.ndarray], np.ndarray]  # mean over clips of what is counted in each (..., *item) -> (...)


def mean_of_clips(mean: np.ndarray) -> np.ndarray:
    """The statistic of accuracies: the mean over clips itself."""
    return mean


def interval(
    values: np.ndarray, groups: Sequence | None = None, statistic: Statistic = mean_of_clips, seed: int = 0
) -> Interval:
    """The interval of a share (an accuracy, an mIoU) over subjects, clips and seeds.

    values (S, n, *item) : what each of S seeds counts in each of n clips: right or not; for ``segmentation.miou`` the
    points of each class (3, K). groups (n,) : whose clip each is; None, or one group alone: clips are drawn one by one.
    """
    values = np.asarray(values, float)
    mean, low, high = _estimate([values], [1], groups, statistic, seed)
    return Interval(mean, max(low, 0.0), min(high, 1.0))


def compare(
    first: Mapping[int, np.ndarray],
    second: Mapping[int, np.ndarray],
    groups: Sequence | None = None,
    statistic: Statistic = mean_of_clips,
    secondary: Sequence[Comparison] = (),
    seed: int = 0,
) -> Comparison:
    """First minus second on the same clips, over the seeds that both have; what it shows is in ``verdict``.

    first, second : {seed: (n, *item)}; groups, statistic : as in ``interval``. secondary : comparisons of the same two
    methods under other settings, stated beforehand; they can make a verdict ``mixed`` and nothing else. Raises
    ConfigError when the two were not measured on the same clips.
    """
    seeds = tuple(sorted(first.keys() & second.keys()))
    if not seeds:
        nan = float("nan")
        return Comparison(nan, nan, nan, "not run", (nan, nan), (), (), 0, 0)
    parts = [np.array([np.asarray(side[s], float) for s in seeds]) for side in (first, second)]
    if parts[0].shape != parts[1].shape:
        raise ConfigError(f"{parts[0].shape[1]} and {parts[1].shape[1]} clips", "compare", "measure on the same clips")
    difference, low, high = _estimate(parts, [1, -1], groups, statistic, seed)
    each = [statistic(part.mean(1)) for part in parts]  # (S,)
    found = Comparison(
        difference=difference,
        low=low,
        high=high,
        verdict="",
        means=(float(each[0].mean()), float(each[1].mean())),
        seeds=seeds,
        by_seed=tuple(float(d) for d in each[0] - each[1]),
        clips=parts[0].shape[1],
        groups=len(np.unique(_members(groups, parts[0].shape[1]))),
    )
    against = any(other.sign == -found.sign != 0 for other in secondary)
    verdict = "mixed" if against else {1: "supported", -1: "reversed", 0: "undecided"}[found.sign]
    return replace(found, verdict=verdict)


def _members(groups: Sequence | None, clips: int) -> np.ndarray:
    """The number of each clip's group, (n,); every clip is one of its own where there is no second group."""
    if groups is None:
        return np.arange(clips)
    if len(groups) != clips:
        raise ConfigError(f"{len(groups)} groups for {clips} clips", "interval", "one group a clip")
    member = np.unique(np.asarray(groups, str), return_inverse=True)[1]
    return member if member.any() else np.arange(clips)


def _estimate(
    parts: list[np.ndarray], signs: list[int], groups: Sequence | None, statistic: Statistic, seed: int
) -> tuple[float, float, float]:
    """The signed sum of the parts' statistics, each the mean over its seeds: (estimate, low, high).

    parts : (S, n, *item) each, on the same clips.
    """
    member = _members(groups, parts[0].shape[1])
    if not all(np.isfinite(part).all() for part in parts):
        raise ConfigError("a value that is not finite", "interval", "a number for every clip and seed")
    estimate = sum(sign * statistic(part.mean(1)).mean() for sign, part in zip(signs, parts))
    drawn = _draws(parts, signs, member, statistic, seed)
    ends = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) - estimate
    width = max(_t_width(parts, signs, of, statistic) for of in (member, np.arange(len(member))))
    if not np.isfinite(width):  # one clip says nothing of others
        return float(estimate), -np.inf, np.inf
    low, high = estimate + ends * (width / np.ptp(ends) if np.ptp(ends) > 0 else 0.0)
    return float(estimate), float(low), float(high)


def _draws(
    parts: list[np.ndarray], signs: list[int], member: np.ndarray, statistic: Statistic, seed: int
) -> np.ndarray:
    """The estimate in RESAMPLES draws of subjects, clips within them, and the seeds of each part. -> (RESAMPLES,)"""
    step, found = max(1, CELLS // len(member)), []
    generator = np.random.default_rng((seed, 1))
    for start in range(0, RESAMPLES, step):
        count = min(step, RESAMPLES - start)
        weights = _weights(member.astype(np.int64).tobytes(), count, seed, start)  # (r, n)
        total = np.zeros(count)
        for sign, part in zip(signs, parts):
            seeds = generator.multinomial(len(part), np.full(len(part), 1 / len(part)), count) / len(part)  # (r, S)
            total += sign * (seeds * statistic(np.stack([np.tensordot(weights, p, 1) for p in part], 1))).sum(1)
        found.append(total)
    return np.concatenate(found)


@lru_cache(maxsize=8)
def _weights(members: bytes, count: int, seed: int, start: int) -> np.ndarray:
    """How much each clip counts in ``count`` draws of subjects and of clips within them, (r, n); rows sum to 1. Kept:
    the comparisons of a table are on the same clips."""
    member, generator = np.frombuffer(members, np.int64), np.random.default_rng((seed, 0, start))
    sizes = np.bincount(member)
    times = generator.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), count)  # (r, G)
    weights = times[:, member].astype(float)  # (r, n)
    for group in np.flatnonzero(sizes > 1):
        size = sizes[group]
        weights[:, member == group] = generator.multinomial(times[:, group] * size, np.full(size, 1 / size))
    return weights / weights.sum(1, keepdims=True)


def _t_width(parts: list[np.ndarray], signs: list[int], member: np.ndarray, statistic: Statistic) -> float:
    """The width of the t-interval of the estimate, from the two-way layout of seeds (rows) and subjects (columns).

    A cell is the jackknife's pseudo-value of a subject under a seed, for the mean over equally many clips the mean over
    the subject's clips. With mean squares over subjects A, seeds B and the rest E, the mean of S x G cells has the
    variance (A + B - E) / (S G); B and E are summed over the parts, whose seeds are independent, and never more than E
    is taken from B. Degrees of freedom: Satterthwaite's. One seed: A alone.
    """
    sizes = np.bincount(member)
    groups, seeds = len(sizes), len(parts[0])
    if groups < 2:
        return float("inf")
    order, starts = np.argsort(member, kind="stable"), np.cumsum(sizes) - sizes
    cells = []
    for sign, part in zip(signs, parts):
        own = np.add.reduceat(part[:, order], starts, axis=1)  # (S, G, *item), sums over each subject's clips
        left = (len(member) - sizes).reshape(-1, *[1] * (part.ndim - 2))
        without = statistic((part.sum(1, keepdims=True) - own) / left)  # (S, G)
        cells.append(sign * (groups * statistic(part.mean(1))[:, None] - (groups - 1) * without))
    a = sum(c.mean(0) for c in cells).var(ddof=1) / groups  # A / (S G)
    terms = [(a, groups - 1)]
    b = e = 0.0
    if seeds > 1:
        for c in cells:
            own_b = c.mean(1).var(ddof=1) / seeds
            rest = c - c.mean(0) - c.mean(1, keepdims=True) + c.mean()
            own_e = np.square(rest).sum() / ((groups - 1) * (seeds - 1)) / (seeds * groups)
            terms += [(own_b, seeds - 1), (own_e, (groups - 1) * (seeds - 1))]
            b, e = b + own_b, e + own_e
    variance = max(a + b - e, a, b)
    if not variance > 0:
        return 0.0
    freedom = variance**2 / sum(term**2 / df for term, df in terms)
    return float(2 * t.ppf((1 + LEVEL) / 2, max(freedom, 1.0)) * np.sqrt(variance))
