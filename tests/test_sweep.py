"""How tokens become one feature, and one setting at a time: pools, leaving subjects out, the sweep's runs.

Claims proved:
1. ``frame_pool`` is the mean over each frame's tokens, in the frames' order, whatever the order of the tokens; its mean
   over frames is ``mean_pool``; a clip played backwards has the same mean and another frame pool.
2. Leaving subjects out scores every clip once, by a probe that has not seen its subject; fewer than three subjects are
   refused.
3. More features than clips: the converged probe in the span of the training clips answers as the one on all features
   does.
4. Every point of the sweep differs from the base in the one thing its axis names; its random encoder is of its own size
   and clips.
5. The task ``pooling`` takes the mean as the task ``probe`` does, and scores the second split only where it is another
   one.
"""

import sys

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from cross4d_lib.encoders import Tokens
from cross4d_lib.errors import ConfigError
from cross4d_lib.evaluation import (
    POOLS,
    both_pools,
    converged_probe,
    frame_pool,
    leave_subjects_out,
    mean_pool,
    pooled_features,
    probe_features,
    zscore,
)
from cross4d_lib.evaluation.probes import converged_probe_features, in_row_space
from cross4d_lib.experiments import PROFILES, build_spec, load_profile, pretrained_encoder, run, run_lists, task_clips
from cross4d_lib.experiments.sweep import sweep_axes, sweep_points

PROBES = ("linear", "standardized", "converged")


def tokens_of(features, frame):
    count = features.shape[:2]
    return Tokens(
        features, torch.zeros(*count, 3), frame, torch.zeros(count, dtype=torch.int64), torch.zeros(*count, 4)
    )


# ------------------------------------------------------------------------------------------------ 1. pools


def test_frame_pool_by_hand():
    features = torch.tensor([[[1.0, 0.0], [10.0, 2.0], [3.0, 4.0], [20.0, 4.0]]])
    frame = torch.tensor([[0, 1, 0, 1]])
    assert torch.equal(frame_pool(tokens_of(features, frame)), torch.tensor([[2.0, 2.0, 15.0, 3.0]]))
    assert torch.equal(both_pools(tokens_of(features, frame)), torch.tensor([[8.5, 2.5, 2.0, 2.0, 15.0, 3.0]]))
    assert list(POOLS) == ["mean", "frames", "both"]


def test_the_mean_forgets_the_order_of_frames():
    features = torch.randn(2, 12, 5, generator=torch.Generator().manual_seed(0))
    frame = torch.arange(4).repeat_interleave(3).expand(2, -1)
    forwards, backwards = tokens_of(features, frame), tokens_of(features, 3 - frame)
    assert torch.allclose(mean_pool(forwards), mean_pool(backwards))
    assert torch.allclose(frame_pool(forwards).unflatten(1, (4, 5)).flip(1).flatten(1), frame_pool(backwards))
    assert torch.allclose(frame_pool(forwards).unflatten(1, (4, 5)).mean(1), mean_pool(forwards), atol=1e-6)


# ------------------------------------------------------------------------------------------------ 2. 3. probes


def people(clips_each=12, subjects=4, dim=6, seed=0):
    """Features that tell three classes, with an offset for each subject."""
    dice = np.random.default_rng(seed)
    labels = np.tile(np.arange(3), subjects * clips_each // 3)
    names = [f"s{k:02}" for k in np.repeat(np.arange(subjects), clips_each)]
    features = dice.normal(size=(len(labels), dim)) + 2.0 * np.eye(3, dim)[labels]
    return torch.tensor(features, dtype=torch.float32), labels, names


def test_each_subject_is_scored_by_the_others():
    features, labels, names = people()
    found = leave_subjects_out(features, labels, names, seed=3)
    assert set(found) == set(PROBES)
    own = np.array(names) == "s02"
    alone = probe_features(features[~own], labels[~own], features[own], labels[own], False, 3)
    assert (found["linear"].predictions[own] == alone.predictions).all() and found["linear"].clips_evaluated == len(
        labels
    )
    converged = converged_probe_features(
        features[~own], labels[~own], [n for n, o in zip(names, own) if not o], features[own], labels[own]
    )
    assert (found["converged"].predictions[own] == converged.predictions).all()
    with pytest.raises(ConfigError, match="2 subjects"):
        leave_subjects_out(features[:24], labels[:24], names[:24])


def test_the_span_of_the_training_clips_is_enough():
    features, labels, names = people(dim=200)
    train, test = zscore(features[:36], features[36:])
    less = in_row_space(train, test)
    assert (
        less[0].shape == (36, 36)
        and less[1].shape == (12, 36)
        and in_row_space(train[:, :30], test[:, :30])[0].shape == (36, 30)
    )
    assert torch.allclose(less[0] @ less[1].T, (train @ test.T).double(), atol=1e-3)
    for penalty in (1e-3, 1e-1, 10.0):
        fit = lambda x: LogisticRegression(C=penalty, max_iter=20000, tol=1e-9, solver="newton-cg").fit(
            x.double().numpy(), labels[:36]
        )
        assert np.allclose(
            fit(train).predict_proba(test.double().numpy()), fit(less[0]).predict_proba(less[1].numpy()), atol=1e-4
        )
    said = converged_probe_features(features[:36], labels[:36], names[:36], features[36:], labels[36:])
    again = LogisticRegression(C=said.selected["C"], max_iter=20000, tol=1e-9, solver="newton-cg").fit(
        train.double().numpy(), labels[:36]
    )
    assert (again.predict(test.double().numpy()) == said.predictions).mean() >= 11 / 12  # a clip may lie on the border


# ------------------------------------------------------------------------------------------------ 4. 5. runs


@pytest.fixture
def embedded(monkeypatch):
    """Every profile on the embedded actions."""
    for module in (run_lists, sys.modules["cross4d_lib.experiments.sweep"]):
        monkeypatch.setattr(module, "main_dataset", lambda profile: "synthetic-actions")


def differing(first, second) -> set[str]:
    """Paths of the fields in which two specs differ."""
    first, second = (dict(leaves(spec.model_dump())) for spec in (first, second))
    return {path for path in first.keys() | second.keys() if first.get(path) != second.get(path)}


def leaves(form: dict, prefix: str = ""):
    for name, value in form.items():
        yield from leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]


OWN = {
    "teacher": {"targets.teacher"},
    "render, pixels": {"targets.size"},
    "cameras": {"targets.cameras"},
    "tokens a frame": {"encoder.settings.tokens"},
    "points a frame": {"data.points", "task.data.points"},
    "frames": {"data.frames", "task.data.frames"},
    "stride": {"data.stride", "task.data.stride"},
    "epochs": {"training.epochs"},
    "centred targets": {"pretext.settings.centre"},
    "student's width": {"encoder.settings.dim", "encoder.settings.heads"},
}


@pytest.mark.parametrize("name", PROFILES)
def test_every_point_differs_from_the_base_in_one_thing(name, embedded):
    profile = load_profile(name)
    axes = sweep_axes(profile)
    assert axes.keys() == OWN.keys()
    assert all(sum(not changes for changes in values.values()) == 1 for values in axes.values())
    points = sweep_points(profile)
    base = next(point.dense for point in points if point.base)
    assert (base.training.epochs, base.teacher) == (profile.sweep_epochs, profile.teacher)
    for point in points:
        if point.dense.seed != base.seed:
            continue
        differs = differing(point.dense, base)
        allowed = set() if point.base else OWN[point.axis]
        if point.value == "cross4d-tiny-video":
            allowed = allowed | {"targets.size"}  # patches of 8 px do not divide the base's render
        assert differs <= allowed and bool(differs) != point.base, point
        assert point.random.pretext is None and point.random.encoder == point.dense.encoder
        assert point.random.task == point.dense.task and point.dense.task.name == "pooling"
        assert (point.dense.task.learned_from, point.dense.task.data.split) == ("train", "train")
    keys = [point.dense.key for point in points if not point.base]
    assert len(keys) == len(set(keys))


def test_the_longest_of_the_sweep_shares_the_encoder_of_table_1(embedded):
    profile = load_profile("course")
    longest = next(
        point.dense
        for point in sweep_points(profile)
        if point.axis == "epochs" and point.dense.training.epochs == profile.epochs
    )
    table1 = build_spec(profile, "synthetic-actions", "dense", longest.seed)
    assert longest.encoder_key == table1.encoder_key != longest.key


@pytest.mark.slow
def test_the_task_pooling(results):
    changes = {"encoder": {"depth": 1, "dim": 32, "heads": 1, "tokens": 8}, "task": {"name": "pooling"}}
    size = {"data": {"frames": 4, "points": 64, "clips": 60}}
    spec = build_spec(load_profile("quick"), "synthetic-actions", "random", 0, **changes, **size)
    row = run(spec, progress=False)
    encoder, _ = pretrained_encoder(spec)
    train, test = task_clips(spec)
    names = {f"{pool}/{probe}" for pool in POOLS for probe in PROBES}
    assert set(row.metrics) == names | {f"{name}/scored" for name in names}
    assert row.metrics["mean/converged/scored"].accuracy == pytest.approx(
        converged_probe(encoder, train, test).accuracy, abs=1e-9
    )
    x, z = (pooled_features(encoder, clips, pool=frame_pool) for clips in (train, test))
    probed = probe_features(x, train.labels, z, test.labels, False, 0)
    assert row.metrics["frames/linear/scored"].accuracy == probed.accuracy
    assert row.subjects("mean/linear") == train.subjects and row.subjects("mean/linear/scored") == test.subjects
    left_out = run(spec.changed(**{"task.data.split": "train"}), progress=False)
    assert set(left_out.metrics) == names
    assert all(left_out.metrics[name] == row.metrics[name] for name in names)
    assert len(left_out.metrics["mean/linear"].correct) == len(train)
    assert left_out.subjects("mean/linear") == train.subjects
