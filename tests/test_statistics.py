"""The one comparison of methods says what it knows, as often as it says.

Claims proved:
1. On simulated data with known variances of subjects, clips and seeds, 5 subjects and 3 seeds, the 95 % interval covers
   the truth in 95 % of experiments, within the simulation's error; the plain percentiles do not.
2. Its width is that of the t-interval by hand; the draws are those of a plain loop; mIoU is resampled as accuracy is.
3. A comparison has the sign of the difference, is antisymmetric, pairs clips, treats seeds as independent, and finds a
   difference where there is none as rarely as it says.
4. A verdict is one of five words, each by its definition; no seed alone decides anything.
5. It is deterministic and fast, and refuses what does not fit.
"""

import time

import numpy as np
import pytest
from scipy.stats import t

from cross4d_lib.errors import ConfigError
from cross4d_lib.evaluation import statistics as room
from cross4d_lib.evaluation.segmentation import miou
from cross4d_lib.evaluation.statistics import VERDICTS, Comparison, compare, interval, mean_of_clips

SUBJECTS, CLIPS, SEEDS, TRUTH = 5, 20, 3, 0.5
GROUPS = np.repeat(np.arange(SUBJECTS), CLIPS)


def world(rng, subject, clip, seed, rest, seeds=SEEDS, shared=None):
    """(seeds, clips) with the given deviations about TRUTH. shared : the part of subjects and clips, drawn if None."""
    if shared is None:
        shared = common(rng, subject, clip)
    return shared + seed * rng.standard_normal((seeds, 1)) + rest * rng.standard_normal((seeds, len(GROUPS)))


def common(rng, subject, clip):
    return TRUTH + subject * rng.standard_normal(SUBJECTS)[GROUPS] + clip * rng.standard_normal(len(GROUPS))


# ------------------------------------------------------------------------------------------------ 1. coverage


@pytest.mark.parametrize(
    "subject, clip, seed, rest, plain",
    [
        (0.10, 0.4, 0.05, 0.2, None),  # all of it
        (0.15, 0.1, 0.00, 0.1, 0.92),  # subjects differ
        (0.02, 0.1, 0.10, 0.1, 0.85),  # seeds differ
        (0.00, 0.4, 0.00, 0.0, None),  # clips alone
    ],
)
def test_the_interval_covers_the_truth_as_often_as_it_says(monkeypatch, subject, clip, seed, rest, plain):
    """500 experiments: 95 % within 3 standard errors of .0097, at most 98.5 %. plain : what the plain percentiles stay
    below."""
    monkeypatch.setattr(room, "RESAMPLES", 150)
    rng, hits, plain_hits = np.random.default_rng(0), 0, 0
    for k in range(500):
        values = world(rng, subject, clip, seed, rest)
        found = interval(values, GROUPS, seed=k)
        hits += found.low <= TRUTH <= found.high
        drawn = room._draws([values], [1], GROUPS, mean_of_clips, k)
        plain_hits += np.quantile(drawn, 0.025) <= TRUTH <= np.quantile(drawn, 0.975)
    assert 0.95 - 0.029 <= hits / 500 <= 0.985
    assert plain is None or plain_hits / 500 < plain


def test_answers_that_are_right_or_wrong_are_covered_too(monkeypatch):
    """Right or wrong with a probability that subject, clip and seed shift."""
    monkeypatch.setattr(room, "RESAMPLES", 150)
    rng, hits = np.random.default_rng(1), 0
    for k in range(400):
        likely = world(rng, 0.08, 0.15, 0.05, 0.0)
        found = interval(rng.random(likely.shape) < likely, GROUPS, seed=k)
        hits += found.low <= TRUTH <= found.high
    assert 0.95 - 0.033 <= hits / 400


@pytest.mark.parametrize("seed", [0.0, 0.05])
def test_equal_methods_seldom_differ(monkeypatch, seed):
    """Two methods without a difference, on the same clips, other seeds: at most 5 % of verdicts decide, within 3
    standard errors; with a difference of .3 most do."""
    monkeypatch.setattr(room, "RESAMPLES", 150)
    rng, decided, found = np.random.default_rng(2), 0, 0
    for k in range(300):
        shared = common(rng, 0.1, 0.3)
        first, second = (dict(enumerate(world(rng, 0, 0, seed, 0.3, shared=shared))) for _ in range(2))
        decided += compare(first, second, GROUPS, seed=k).verdict != "undecided"
        if k < 100:
            better = {s: values + 0.3 for s, values in first.items()}
            found += compare(better, second, GROUPS, seed=k).verdict == "supported"
    assert decided / 300 <= 0.05 + 0.038 and found > 80


# ------------------------------------------------------------------------------------------------ 2. by hand


def test_one_seeds_width_is_the_t_interval_over_subjects():
    values = world(np.random.default_rng(3), 0.05, 0.1, 0, 0, seeds=1)
    found = interval(values, GROUPS)
    means = values[0].reshape(SUBJECTS, CLIPS).mean(1)
    width = 2 * t.ppf(0.975, SUBJECTS - 1) * means.std(ddof=1) / SUBJECTS**0.5
    assert found.mean == pytest.approx(values.mean()) and found.high - found.low == pytest.approx(width)
    assert found.low < found.mean < found.high


def test_subjects_that_happen_to_agree_do_not_make_an_interval_of_no_width():
    """Two subjects with 6 of 10 right each: their means do not differ, their clips do."""
    values, groups = np.tile(np.arange(10) < 6, 2)[None], np.repeat(["ann", "bob"], 10)
    found, alone = interval(values, groups), interval(values)
    assert found.high - found.low == pytest.approx(alone.high - alone.low)
    assert alone.high - alone.low == pytest.approx(2 * t.ppf(0.975, 19) * values.std(ddof=1) / 20**0.5)


def test_the_draws_are_those_of_a_plain_loop():
    """Subjects of unequal size; the same mean and deviation as a loop that draws with random.choice."""
    rng = np.random.default_rng(4)
    groups = np.repeat([0, 1, 2, 3], [3, 5, 8, 12])
    values = rng.random((3, len(groups))) + 0.3 * groups
    ours = room._draws([values], [1], groups, mean_of_clips, 0)
    loop = []
    for _ in range(2000):
        clips = np.concatenate([rng.choice(np.flatnonzero(groups == g), (groups == g).sum()) for g in rng.choice(4, 4)])
        loop.append(values[rng.choice(3, 3)][:, clips].mean())
    assert ours.mean() == pytest.approx(np.mean(loop), abs=4 * np.std(loop) / 2000**0.5 * 2**0.5)
    assert ours.std() == pytest.approx(np.std(loop), rel=0.07)


def test_miou_is_that_of_the_counts_and_is_resampled_with_whole_clips():
    """Counts whose classes are all equally large in every clip: mIoU of (right, true, predicted) = right / (2 true -
    right), and its interval is about that function of the accuracy's."""
    rng = np.random.default_rng(5)
    right = rng.integers(60, 100, (3, len(GROUPS), 1)) * np.ones(2)
    counts = np.stack([right, np.full_like(right, 100), np.full_like(right, 100)], 2)  # (S, n, 3, K)
    iou = lambda accuracy: accuracy / (2 - accuracy)
    found, plain = interval(counts, GROUPS, miou), interval(right[..., 0] / 100, GROUPS)
    assert found.mean == pytest.approx(np.mean([iou(r.mean() / 100) for r in right]))
    assert (found.low, found.high) == pytest.approx((iou(plain.low), iou(plain.high)), abs=2e-3)


def test_a_class_that_a_draw_misses_is_left_out_of_its_mean():
    counts = np.zeros((1, 6, 3, 2))
    counts[0, :, :, 0], counts[0, 0, :, 1] = 10, 4  # the second class is in one clip alone
    assert np.isfinite([*vars(interval(counts, None, miou)).values()]).all()


# ------------------------------------------------------------------------------------------------ 3. comparisons


def test_a_comparison_has_the_sign_of_the_difference_and_its_mirror():
    """The first is right on 20 of 200 clips more, and never wrong where the second is right."""
    second = np.arange(200) % 2 == 0
    first = second | (np.arange(200) < 40)
    one, other = ({s: side for s in range(3)} for side in (first, second))
    gain, loss = compare(one, other), compare(other, one)
    assert gain.difference == pytest.approx(0.1) and 0 < gain.low < 0.1 < gain.high
    assert gain.means == pytest.approx((0.6, 0.5)) and gain.by_seed == pytest.approx((0.1, 0.1, 0.1))
    assert (gain.clips, gain.groups, gain.seeds) == (200, 200, (0, 1, 2))
    assert (loss.difference, loss.low, loss.high) == pytest.approx((-gain.difference, -gain.high, -gain.low))
    assert (gain.verdict, loss.verdict) == ("supported", "reversed")


def test_clips_are_paired():
    """A gain of 5 clips in 100 without a single loss is seen, though the two intervals overlap widely."""
    first, second = np.arange(100) < 65, np.arange(100) < 60
    assert compare({s: first for s in range(3)}, {s: second for s in range(3)}).low > 0
    assert interval([first]).low < interval([second]).high


def test_seeds_are_independent():
    """Which seed of the second has which accuracy changes by_seed alone."""
    values = world(np.random.default_rng(6), 0.1, 0.2, 0.1, 0.1)
    first = {s: values[s] + 0.02 for s in range(3)}
    same, turned = ({s: values[(s + k) % 3] for s in range(3)} for k in (0, 1))
    a, b = compare(first, same, GROUPS), compare(first, turned, GROUPS)
    assert a.difference == pytest.approx(b.difference) and a.by_seed != b.by_seed
    assert a.high - a.low == pytest.approx(b.high - b.low)


def test_only_seeds_that_both_have_count():
    values = world(np.random.default_rng(7), 0.1, 0.2, 0.1, 0.1, seeds=4)
    found = compare(dict(enumerate(values)), {s: values[s] for s in (1, 2)}, GROUPS)
    assert found.seeds == (1, 2) and found.difference == 0


# ------------------------------------------------------------------------------------------------ 4. verdicts


def verdict(lead, seeds=3, secondary=()):
    second = np.arange(100) % 2 == 0
    first = second | (np.arange(100) < lead) if lead > 0 else second & (np.arange(100) >= -lead)
    one, other = ({s: side for s in range(seeds)} for side in (first, second))
    return compare(one, other, secondary=secondary)


def test_every_word_by_its_definition():
    ahead, behind, level = verdict(40), verdict(-40), verdict(0)
    assert [c.verdict for c in (ahead, behind, level)] == ["supported", "reversed", "undecided"]
    assert verdict(40, secondary=[level, ahead]).verdict == "supported"
    assert verdict(40, secondary=[level, behind]).verdict == verdict(-40, secondary=[ahead]).verdict == "mixed"
    assert verdict(0, secondary=[ahead, behind]).verdict == "undecided"
    assert compare({0: np.ones(4)}, {1: np.ones(4)}).verdict == "not run"
    assert set(VERDICTS) == {"supported", "undecided", "mixed", "reversed", "not run"}


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_decide_nothing(seeds):
    few = verdict(40, seeds)
    assert few.low > 0 and few.verdict == "undecided" and few.sign == 0
    assert verdict(-40, secondary=[few]).verdict == "reversed"


def test_one_clip_decides_nothing():
    found = compare({s: [1.0] for s in range(3)}, {s: [0.0] for s in range(3)})
    assert found.verdict == "undecided" and found.difference == 1
    assert vars(interval([[1.0]])) == {"mean": 1.0, "low": 0.0, "high": 1.0}


# ------------------------------------------------------------------------------------------------ 5. use


def test_it_is_deterministic_and_fast():
    values = np.random.default_rng(8).random((5, 300)) < 0.6
    groups = np.arange(300) % 10
    started = time.process_time()
    found = interval(values, groups)
    assert time.process_time() - started < 1
    assert found == interval(values.tolist(), [f"s{g}" for g in groups]) != interval(values, groups, seed=1)
    assert isinstance(compare({0: values[0]}, {0: values[1]}, groups), Comparison)


def test_a_group_of_its_own_for_all_clips_is_none():
    values = np.random.default_rng(9).random((2, 30))
    assert interval(values, ["ann"] * 30) == interval(values) == interval(values, np.arange(30))


def test_certainty_has_no_width():
    assert vars(interval(np.ones((3, 9)))) == {"mean": 1.0, "low": 1.0, "high": 1.0}


def test_draws_in_parts_are_draws(monkeypatch):
    """Many clips: the resamples are drawn in parts, and the interval hardly moves."""
    values = np.random.default_rng(10).random((2, 200))
    whole = interval(values)
    monkeypatch.setattr(room, "CELLS", 200 * 300)
    assert vars(interval(values)) == pytest.approx(vars(whole), abs=5e-3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="3 groups for 4 clips"):
        interval(np.ones((1, 4)), [0, 0, 1])
    with pytest.raises(ConfigError, match="4 and 5 clips"):
        compare({0: np.ones(4)}, {0: np.ones(5)})
    with pytest.raises(ConfigError, match="not finite"):
        interval([[0.0, np.nan, 1.0]])
