"""How each training subject is left out in turn.

Claims proved:
1. Each subject is scored by a probe fitted on the others; two subjects are refused.
2. A penalised classifier in the span of the training clips is the one in all dimensions.
3. Where a run scores the clips it learns from, its task leaves each of their subjects out, and its encoder is that of
   the run scored on the test clips; each line of ``control_factors`` differs from its base in one thing.
"""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from cross4d_lib.errors import ConfigError
from cross4d_lib.evaluation import (
    leave_subjects_out,
    pooled_features,
    probe_features,
    zscore,
)
from cross4d_lib.evaluation.probes import converged_probe_features, in_row_space
from cross4d_lib.experiments import build_spec, load_profile, pretrained_encoder, run, task_clips
from cross4d_lib.experiments.artifacts import ARTIFACTS
from cross4d_lib.experiments.run_lists import factor_runs

PROBES = ("linear", "standardized", "converged")


# ------------------------------------------------------------------------------------------------ 1. 2. probes


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


# ------------------------------------------------------------------------------------------------ 3. runs


def differing(first, second) -> set[str]:
    """Paths of the fields in which two specs differ."""
    first, second = (dict(leaves(spec.model_dump())) for spec in (first, second))
    return {path for path in first.keys() | second.keys() if first.get(path) != second.get(path)}


def leaves(form: dict, prefix: str = ""):
    for name, value in form.items():
        yield from leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]


def test_every_factor_differs_from_the_base_in_one_thing():
    profile, found = load_profile("course"), {}
    specs = [spec for spec in factor_runs(profile) if spec.seed == profile.seeds[0]]
    for pretext in ("random", "dense", "global"):
        base, *others = [spec for spec in specs if spec.pretext_name == pretext]
        assert (base.task.learned_from, base.task.data.split) == ("train", "train")
        table1 = build_spec(profile, base.dataset, pretext, base.seed)
        assert base.encoder_key == table1.encoder_key and base.key != table1.key
        found[pretext] = [differing(base, other) for other in others]
    clip = {"task.data.stride", "task.windows"}
    assert found["random"] == [{"encoder.settings.motion"}, clip]
    assert found["dense"] == [
        {"encoder.settings.motion"},
        clip | {"data.stride"},
        {"targets.visibility"},
        {"pretext.settings.centre"},
        {"pretext.settings.variance_weight"},
        {"targets.teacher", "targets.layer", "targets.size"},
        {"targets.teacher"},
    ]
    summary, weight = "pretext.settings.summary", "pretext.settings.variance_weight"
    assert found["global"] == [{summary}, {weight}, {summary, weight}]
    labels = [str(ARTIFACTS["control_factors"].line(spec)) for spec in specs]
    assert len(set(labels)) == len(specs) and "dense (cross4d-tiny, visible by pixel)" in labels


@pytest.mark.slow
def test_a_run_on_training_clips_leaves_their_subjects_out(results):
    encoder_size = {"encoder": {"depth": 1, "dim": 32, "heads": 1, "tokens": 8}}
    size = {"data": {"frames": 4, "points": 64, "stride": 2, "clips": 60}}
    changes = {"task.data.split": "train", "task.windows": 2}
    spec = build_spec(load_profile("quick"), "synthetic-actions", "random", 0, **encoder_size, **size, **changes)
    row = run(spec, progress=False)
    encoder, _ = pretrained_encoder(spec)
    clips, scored = task_clips(spec)
    assert clips.ids == scored.ids and row.subjects == clips.subjects
    windows = clips.windows(2)
    found = leave_subjects_out(pooled_features(encoder, windows), windows.labels, windows.subjects, 0, windows.videos)
    assert {name: metric.accuracy for name, metric in row.metrics.items()} == {
        name: pytest.approx(result.accuracy, abs=1e-9) for name, result in found.items()
    }
    assert all(metric.clips == len(clips) for metric in row.metrics.values())
