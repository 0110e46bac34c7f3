"""A probe reads what is linearly there, and the test clips choose nothing.

Claims proved:
1. Features are the mean over tokens of the frozen encoder, in its evaluation mode, which is left as it was.
2. Separable classes are read perfectly, shuffled labels at chance; the same seed gives the same predictions.
3. Predictions depend on the training clips and on the test clip's own features alone: never on test labels, never on
   other test clips, standardised or not; the converged probe's C is chosen by training subjects.
"""

import numpy as np
import pytest
import torch
from conftest import FRAMES, TINY, tiny_encoder

from cross4d_lib.errors import ConfigError
from cross4d_lib.evaluation import (
    converged_probe,
    linear_probe,
    pooled_features,
    probe_all,
    probe_features,
    zscore,
)
from cross4d_lib.evaluation import probes as room
from cross4d_lib.evaluation.probes import PENALTIES, ProbeResult, converged_probe_features, folds

CLASSES, SUBJECTS = 3, 4


def separable(clips=48, dim=6, seed=0, spread=0.3, apart=4.0):
    """Features (n, C), labels (n,), subjects: classes on different axes, ``apart`` from 0, with noise ``spread``."""
    rng = np.random.default_rng(seed)
    labels = np.arange(clips) % CLASSES
    features = spread * rng.standard_normal((clips, dim))
    features[np.arange(clips), labels] += apart
    subjects = [f"s{(i // CLASSES) % SUBJECTS}" for i in range(clips)]
    return torch.as_tensor(features, dtype=torch.float32), labels, subjects


TRAIN, TEST = separable(), separable(30, seed=1)
HARD, HARD_TEST = (
    separable(spread=1.0, apart=0.9),
    separable(90, seed=1, spread=1.0, apart=0.9),
)  # about 60 % can be had


def converged(train=TRAIN, test=TEST, labels=None, subjects=None):
    return converged_probe_features(
        train[0], train[1] if labels is None else labels, train[2] if subjects is None else subjects, test[0], test[1]
    )


PROBES = {
    "linear": lambda train, test, labels: probe_features(train[0], train[1], test[0], labels),
    "standardized": lambda train, test, labels: probe_features(train[0], train[1], test[0], labels, True),
    "converged": lambda train, test, labels: converged_probe_features(*train, test[0], labels),
}
every_probe = pytest.mark.parametrize("probe", PROBES)


# ------------------------------------------------------------------------------------------------ 1. features


def test_features_are_the_mean_over_tokens(clips):
    encoder = tiny_encoder()
    with torch.no_grad():
        tokens = [encoder(torch.from_numpy(clips[i].points)[None]).features for i in range(len(clips))]
    assert tokens[0].shape == (1, FRAMES * TINY["tokens"], TINY["dim"])
    features = pooled_features(encoder, clips, batch=4)
    assert features.shape == (6, TINY["dim"]) and features.dtype == torch.float32 and not features.requires_grad
    torch.testing.assert_close(
        features, torch.cat([t.mean(1) for t in tokens]), rtol=0, atol=0.03
    )  # bfloat16 where the device has it
    torch.testing.assert_close(features, pooled_features(encoder, clips, batch=1), rtol=0, atol=0.03)
    assert pooled_features(encoder, clips, pool=lambda tokens: tokens.features.amax((1, 2))).shape == (
        6,
    )  # another pooling


@pytest.mark.parametrize("training", [True, False])
def test_probing_leaves_the_encoder_as_it_was(clips, training):
    encoder = tiny_encoder().train(training)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    pooled_features(encoder, clips)
    assert encoder.training is training and all(p.grad is None for p in encoder.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())


def test_the_three_probes_read_the_same_features(clips):
    """probe_all on one pass equals the probes one by one."""
    encoder = tiny_encoder()

    class TwoSubjects:
        labels, subjects, videos = np.arange(6) % 2, ["s1", "s1", "s2", "s2", "s1", "s2"], np.arange(6)
        __len__, __getitem__ = lambda self: 6, lambda self, i: clips[i]

    both = TwoSubjects()
    together = probe_all(encoder, both, both, seed=2)
    alone = {
        "linear": linear_probe(encoder, both, both, seed=2),
        "standardized": linear_probe(encoder, both, both, True, 2),
        "converged": converged_probe(encoder, both, both),
    }
    assert together.keys() == alone.keys()
    for name, result in alone.items():
        assert (
            np.array_equal(together[name].predictions, result.predictions)
            and together[name].interval == result.interval
        )


# ------------------------------------------------------------------------------------------------ 2. what it can read


@every_probe
def test_separable_classes_are_read_perfectly(probe):
    result = PROBES[probe](TRAIN, TEST, TEST[1])
    assert (
        result.accuracy == 1.0
        and result.interval == (1.0, 1.0)
        and result.per_clip.all()
        and result.clips_evaluated == 30
    )
    assert np.array_equal(result.predictions, TEST[1]) and np.array_equal(result.labels, TEST[1])


@every_probe
def test_shuffled_labels_are_read_at_chance(probe):
    """Chance is 1/3; 90 test clips, 4 shuffles: the mean stays within 4 standard errors of 0.025."""
    rng = np.random.default_rng(0)
    test = separable(90, seed=1)
    scores = [
        PROBES[probe]((TRAIN[0], rng.permutation(TRAIN[1]), TRAIN[2]), test, rng.permutation(test[1])).accuracy
        for _ in range(4)
    ]
    assert abs(np.mean(scores) - 1 / 3) < 0.1


def test_standardising_helps_where_scales_differ():
    """The class is in one small channel beside a loud one: 300 epochs at one rate do not reach it, z-scores do (Table
    11)."""
    scale = torch.tensor([0.02, 0.02, 0.02, 30.0, 1.0, 1.0])
    train, test = (
        (features * scale, labels, subjects) for features, labels, subjects in (separable(), separable(90, seed=1))
    )
    plain, standard = (
        probe_features(train[0], train[1], test[0], test[1], standardize).accuracy for standardize in (False, True)
    )
    assert standard == 1.0 and plain < 0.8


def test_one_seed_gives_one_result_and_the_callers_random_state_does_not_matter():
    first = probe_features(HARD[0], HARD[1], HARD_TEST[0], HARD_TEST[1], seed=1, epochs=3)
    torch.manual_seed(123)
    state = torch.get_rng_state()
    assert np.array_equal(
        probe_features(HARD[0], HARD[1], HARD_TEST[0], HARD_TEST[1], seed=1, epochs=3).predictions, first.predictions
    )
    assert torch.equal(torch.get_rng_state(), state)
    others = [
        probe_features(HARD[0], HARD[1], HARD_TEST[0], HARD_TEST[1], seed=seed, epochs=3).predictions for seed in (2, 3)
    ]
    assert any(not np.array_equal(other, first.predictions) for other in others)
    assert np.array_equal(converged(HARD, HARD_TEST).predictions, converged(HARD, HARD_TEST).predictions)


def test_the_number_of_threads_is_left_as_it_was():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ConfigError):
            converged(subjects=["s0"] * 48)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# ------------------------------------------------------------------------------------------------ 3. what it may read


@every_probe
def test_test_labels_never_influence_predictions(probe):
    """Permuted, constant, or of a class that training never saw."""
    honest = PROBES[probe](HARD, HARD_TEST, HARD_TEST[1])
    for labels in (np.random.default_rng(0).permutation(HARD_TEST[1]), np.zeros_like(HARD_TEST[1]), HARD_TEST[1] + 7):
        result = PROBES[probe](HARD, HARD_TEST, labels)
        assert np.array_equal(result.predictions, honest.predictions) and result.selected == honest.selected
        assert result.accuracy == (honest.predictions == labels).mean()


@every_probe
def test_a_prediction_does_not_depend_on_the_other_test_clips(probe):
    """Standardisation uses the training clips' mean and deviation, so half of the test clips get the same
    predictions."""
    whole = PROBES[probe](HARD, HARD_TEST, HARD_TEST[1])
    half = PROBES[probe](HARD, (HARD_TEST[0][::2], None, None), HARD_TEST[1][::2])
    assert np.array_equal(half.predictions, whole.predictions[::2])


def test_z_scores_use_the_training_clips_alone():
    train, test = torch.tensor([[1.0, 5.0], [3.0, 5.0]]), torch.tensor([[4.0, 6.0]])
    z, other = zscore(train, test)
    deviation = 2**0.5  # of (1, 3) about its mean 2, n - 1
    torch.testing.assert_close(z[:, 0], torch.tensor([-1.0, 1.0]) / deviation)
    assert other[0, 0].item() == pytest.approx(2 / deviation)
    assert (z[:, 1] == 0).all() and torch.isfinite(other).all()  # a constant channel stays finite


def test_the_penalty_is_chosen_by_training_subjects_alone():
    """Other test clips: the same C. The choice is the best left-out accuracy, counted here by hand; ties go to the
    smaller C."""
    from sklearn.linear_model import LogisticRegression

    result = converged(HARD, HARD_TEST)
    assert result.selected == converged(HARD, separable(12, seed=9)).selected
    x, y, subjects = HARD[0].numpy(), HARD[1], np.array(HARD[2])
    right = {}
    for penalty in PENALTIES:
        right[penalty] = 0
        for subject in sorted(set(subjects)):
            inside = subjects != subject
            mean, deviation = x[inside].mean(0), x[inside].std(0, ddof=1)
            model = LogisticRegression(C=penalty, max_iter=2000, tol=1e-4).fit(
                (x[inside] - mean) / deviation, y[inside]
            )
            right[penalty] += (model.predict((x[~inside] - mean) / deviation) == y[~inside]).sum()
    best = max(right.values())
    assert result.selected == {"C": min(c for c in PENALTIES if right[c] == best), "left-out accuracy": best / len(y)}
    assert len({right[c] for c in PENALTIES}) > 1  # there was something to choose


def test_subjects_matter_only_as_groups():
    names = {"s0": "zoe", "s1": "ann", "s2": "bob", "s3": "x"}
    assert (
        converged(HARD, HARD_TEST, subjects=[names[s] for s in HARD[2]]).selected == converged(HARD, HARD_TEST).selected
    )


# ------------------------------------------------------------------------------------------------ results and refusals


def test_per_class_by_hand():
    """Class "a": 2 of 3 right, its error taken for "c". "b": none of 2 right, once "a", once "c" (the first wins). "c":
    right. "d": no clip."""
    labels, predictions = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 2, 0, 0, 2, 2])
    result = ProbeResult(predictions, labels)
    rows = result.per_class(("a", "b", "c", "d"))
    assert [(row["class"], row["clips"], row["most often taken for"]) for row in rows] == [
        ("a", 3, "c"),
        ("b", 2, "a"),
        ("c", 1, ""),
        ("d", 0, ""),
    ]
    assert [row["accuracy"] for row in rows[:3]] == [pytest.approx(2 / 3), 0.0, 1.0] and np.isnan(rows[3]["accuracy"])


def test_what_does_not_fit_is_refused():
    features, labels, subjects = TRAIN
    for probe in (lambda *a: probe_features(*a), lambda x, y, z, t: converged_probe_features(x, y, subjects, z, t)):
        with pytest.raises(ConfigError, match="one label a feature"):
            probe(features, labels[:-1], TEST[0], TEST[1])
        with pytest.raises(ConfigError, match="one label a feature"):
            probe(features, labels, TEST[0], TEST[1][1:])
    with pytest.raises(ConfigError, match="one subject a clip"):
        converged(subjects=subjects[1:])
    with pytest.raises(ConfigError, match="one training subject.*at least two"):
        converged(subjects=["s0"] * len(subjects))
    with pytest.raises(ConfigError, match="one class is left"):
        converged(labels=np.zeros_like(labels))


def test_the_papers_probe_trains_300_epochs(monkeypatch):
    """Counted in optimiser steps: 48 clips are one batch."""
    assert (room.EPOCHS, room.BATCH) == (300, 64)
    steps, step = [], torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: steps.append(step(self)))
    PROBES["linear"](TRAIN, TEST, TEST[1])
    assert len(steps) == 300


# ------------------------------------------------------------------------------------------------ subjects


def test_the_interval_is_over_the_subjects_of_the_test_clips(clips):
    """The same clips right, dealt to subjects of whom some are always right: a wider interval than clip by clip."""
    labels = np.zeros(40, int)
    predictions = (np.arange(40) >= 30).astype(int)
    alone = ProbeResult(predictions, labels)
    people = ProbeResult(predictions, labels, subjects=[f"s{i // 10}" for i in range(40)])
    assert alone.accuracy == people.accuracy == 0.75 and alone.interval == ProbeResult(predictions, labels).interval
    width = lambda result: result.interval[1] - result.interval[0]
    assert width(people) > 1.5 * width(alone) and people.interval[0] < 0.75 < people.interval[1]


def test_a_class_of_one_subject_is_not_left_out_whole():
    """Three kinds, one individual each, six clips a kind: leaving an individual out would leave its kind unfindable;
    the clips of every kind are dealt out instead, so each part holds some of each kind. With two individuals a kind,
    individuals are left out."""
    labels = np.repeat([0, 1, 2], 6)
    parts = folds(labels, [f"animal {label}" for label in labels])
    assert all(set(parts[labels == label]) == set(range(5)) for label in range(3))
    individuals = [f"animal {label} {i % 2}" for i, label in enumerate(labels)]
    assert len(set(folds(labels, individuals))) == 6
    assert all(len(set(np.array(individuals)[folds(labels, individuals) == part])) == 1 for part in range(6))
