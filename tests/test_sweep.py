"""How tokens become one feature, and one setting at a time: pools, leaving subjects out, the sweep's runs, table and
picture.

Claims proved:
1. ``frame_pool`` is the mean over each frame's tokens, in the frames' order, whatever the order of the tokens; its mean
over frames is
   ``mean_pool``; a clip played backwards has the same mean and another frame pool.
2. Leaving subjects out scores every clip once, by a probe that has not seen its subject; fewer than three subjects are
refused.
3. More features than clips: the converged probe in the span of the training clips answers as the one on all features
does.
4. Every point of the sweep differs from the base in the one thing its axis names; its random encoder is of its own size
and clips.
5. The task ``pooling`` reads the mean as the task ``probe`` does, and scores the second split only where it is another
one.
6. Differences in the table are the paired bootstrap's; points that have not been run are left out; the star and the
words follow the interval.
7. The picture is drawn within its edges from what there is, and says in its alt text what it shows.
"""

import json

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from sklearn.linear_model import LogisticRegression

from cross4d_lib.encoders import Tokens
from cross4d_lib.errors import ConfigError, DataError
from cross4d_lib.evaluation import (
    POOLS,
    both_pools,
    converged_probe,
    frame_pool,
    leave_subjects_out,
    mean_pool,
    paired_bootstrap,
    pooled_features,
    probe_features,
    zscore,
)
from cross4d_lib.evaluation.probes import converged_probe_features, in_row_space
from cross4d_lib.experiments import PROFILES, RunSpec, load_profile, make_spec, run, task_clips
from cross4d_lib.experiments.run import pretrained_encoder
from cross4d_lib.experiments.sweep import sweep_axes, sweep_points
from cross4d_lib.report import sweep_tables
from cross4d_lib.report.sweep_plots import sweep_figure
from cross4d_lib.report.tables import PROBES

CLIPS = 40


def tokens_of(features, frame):
    count = features.shape[:2]
    return Tokens(features, torch.zeros(*count, 3), frame, torch.zeros(count, dtype=torch.int64))


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


@pytest.mark.parametrize("name", PROFILES)
def test_every_point_differs_from_the_base_in_one_thing(name):
    profile = load_profile(name)
    axes = sweep_axes(profile)
    assert all(sum(not changes for changes in values.values()) == 1 for values in axes.values())
    points = sweep_points(profile, "synthetic-actions")
    base = next(point.dense for point in points if point.base)
    assert (
        {point.axis for point in points} == set(axes)
        and base.epochs == profile.sweep_epochs
        and base.teacher == profile.teacher
    )
    own = {
        "teacher": "teacher",
        "render, pixels": "size",
        "cameras": "cameras",
        "tokens a frame": "encoder",
        "points a frame": "points",
        "frames": "frames",
        "stride": "stride",
        "epochs": "epochs",
        "targets": "centre",
        "student's width": "encoder",
    }
    for point in points:
        if point.dense.seed != base.seed:
            continue
        differs = {field for field in vars(base) if getattr(point.dense, field) != getattr(base, field)}
        size = (
            {"size"} if point.value == "cross4d-tiny-video" else set()
        )  # patches of 8 px do not divide the base's render
        assert differs == (set() if point.base else {own[point.axis]} | size), point
        assert point.random.pretext == "random" and (
            point.random.encoder,
            point.random.frames,
            point.random.points,
            point.random.stride,
        ) == (point.dense.encoder, point.dense.frames, point.dense.points, point.dense.stride)
        assert point.dense.task == "pooling" and point.dense.task_splits == ("train", "train")
    keys = [point.dense.key for point in points if not point.base]
    assert len(keys) == len(set(keys))


def test_the_base_of_epochs_shares_the_encoder_of_table_1():
    profile = load_profile("course")
    points = sweep_points(profile, "synthetic-actions")
    longest = next(point.dense for point in points if point.axis == "epochs" and point.dense.epochs == profile.epochs)
    assert longest.pretraining.key == make_spec(profile, "synthetic-actions", "dense", longest.seed).key


def test_the_task_pooling(results):
    spec = RunSpec(
        "quick",
        "synthetic-actions",
        "random",
        0,
        4,
        64,
        "uniform",
        60,
        encoder=(("depth", 1), ("dim", 32), ("heads", 1), ("tokens", 8)),
        task="pooling",
    )
    row = run(spec, progress=False)
    encoder, _ = pretrained_encoder(spec)
    train, test = task_clips(spec)
    assert set(row["metrics"]) == {
        f"{pool}/{probe}{scored}" for pool in POOLS for probe in PROBES for scored in ("", "/scored")
    }
    assert row["metrics"]["mean/converged/scored"]["accuracy"] == pytest.approx(
        converged_probe(encoder, train, test).accuracy, abs=1e-9
    )
    x, z = (pooled_features(encoder, clips, pool=frame_pool) for clips in (train, test))
    assert (
        row["metrics"]["frames/linear/scored"]["accuracy"]
        == probe_features(x, train.labels, z, test.labels, False, 0).accuracy
    )
    left_out = run(RunSpec(**{**vars(spec), "task_splits": ("train", "train")}), progress=False)
    assert set(left_out["metrics"]) == {f"{pool}/{probe}" for pool in POOLS for probe in PROBES}
    assert all(left_out["metrics"][name] == row["metrics"][name] for name in left_out["metrics"])
    assert len(left_out["metrics"]["mean/linear"]["correct"]) == len(train)


# ---------------------------------------------------------------------------------------------- 6. 7. table and picture


def right(count):
    return np.arange(CLIPS) < count


def write(results, spec, count):
    correct = right(count)
    metric = {
        "accuracy": float(correct.mean()),
        "low": 0.0,
        "high": 1.0,
        "correct": "".join("01"[int(c)] for c in correct),
    }
    row = {
        "key": spec.key,
        "spec": spec.canonical(),
        "profile": spec.profile,
        "dataset": spec.dataset,
        "teacher": spec.teacher,
        "seed": spec.seed,
        "metrics": {
            f"{pool}/{probe}{scored}": metric for pool in POOLS for probe in PROBES for scored in ("", "/scored")
        },
        "measures": {},
        "chance": 0.05,
        "clips_trained": CLIPS,
        "clips_evaluated": CLIPS,
        "commit": "0123456789ab",
        "dirty": False,
        "date": "2026-01-01T00:00:00+00:00",
        "device": "cpu",
    }
    path = results / spec.profile / "runs" / f"{spec.key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row))


@pytest.fixture
def quick(results):
    """Rows of the whole sweep but for the widest student: base 20 of 40, twice the tokens 32, random 10 everywhere."""
    profile = load_profile("quick")
    for point in sweep_points(profile, "synthetic-actions"):
        if (point.axis, point.value) == ("student's width", "128"):
            continue
        write(results, point.random, 10)
        write(results, point.dense, 32 if (point.axis, point.value) == ("tokens a frame", "32") else 20)
    return profile


def test_the_table_of_the_sweep(quick):
    frame = sweep_tables.control_sweep(quick)
    assert "128" not in set(frame[frame["axis"] == "student's width"]["value"])
    line = frame.set_index(["axis", "value", "method", "pool", "probe"]).loc[
        ("tokens a frame", "32", "dense", "frames", "linear")
    ]
    expected = paired_bootstrap(right(32), right(20))
    assert (line["over base"], line["over base low"], line["over base high"]) == tuple(
        expected[k] for k in ("difference", "low", "high")
    )
    assert line["over random"] == pytest.approx(22 / 40) and line["accuracy"] == 0.8
    base = frame[frame["base"]]
    assert base["over base"].isna().all() and (base["value"][base["axis"] == "frames"] == "8").all()
    shown = sweep_tables.sweep_table(frame)
    assert (
        shown.loc[("tokens a frame", "32"), "dense over base"].endswith("*")
        and shown.loc[("tokens a frame", "(16)"), "dense over base"] == ""
    )
    assert shown.loc[("frames", "4"), "dense over base"] == "+0.00 [+0.00, +0.00]"
    told = sweep_tables.movers(frame)
    assert (
        "32 +0.30, random +0.00 (MOVES DENSE)" in told["tokens a frame"]
        and "undecided" in told["frames"]
        and "MOVES" not in told["epochs"]
    )
    assert "random" not in told["epochs"]  # one random encoder serves all


@pytest.mark.parametrize(
    ("count", "word"), [(26, "NO MORE THAN RANDOM"), (16, "NO MORE THAN RANDOM"), (4, "MOVES DENSE")]
)
def test_what_moves_dense_must_move_it_farther_than_random(quick, results, count, word):
    """Random from 10 to ``count`` of 40, dense from 20 to 32: at 16 dense gains by 6 clips more, which the interval
    over clips does not tell from 0."""
    (point,) = [p for p in sweep_points(quick, "synthetic-actions") if (p.axis, p.value) == ("tokens a frame", "32")]
    write(results, point.random, count)
    frame = sweep_tables.control_sweep(quick)
    line = frame.set_index(["axis", "value", "method", "pool", "probe"]).loc[
        ("tokens a frame", "32", "dense", "mean", "converged")
    ]
    expected = paired_bootstrap(1.0 * right(32) + right(10), 1.0 * right(20) + right(count))
    assert (line["beyond random"], line["beyond random low"], line["beyond random high"]) == tuple(
        expected[k] for k in ("difference", "low", "high")
    )
    assert line["beyond random"] == pytest.approx((12 - (count - 10)) / 40)
    assert f"32 +0.30, random {(count - 10) / 40:+.2f} ({word})" in sweep_tables.movers(frame)["tokens a frame"]
    assert set(sweep_tables.MOVERS) == set(sweep_tables.legend_of_movers().index)


def test_the_sweep_without_rows(results):
    profile = load_profile("quick")
    assert len(sweep_tables.control_sweep(profile)) == 0 == len(sweep_tables.control_pooling(profile))
    with pytest.raises(DataError):
        sweep_figure(sweep_tables.control_sweep(profile))


def test_the_table_of_pools(results):
    profile = load_profile("quick")
    for spec in sweep_tables.ARTIFACTS["control_pooling"].runs(profile):
        write(results, spec, {"random": 10, "global": 12, "dense": 20}[spec.pretext] + spec.seed)
    frame = sweep_tables.control_pooling(profile)
    stated = frame[frame["paper"].notna()]
    assert set(zip(stated["pool"], stated["probe"])) == {("mean", "linear")} and dict(
        zip(stated["method"], stated["paper"])
    ) == {"random, mean": 0.42, "global, mean": 0.64, "dense, mean": 0.81}
    gaps = sweep_tables.pool_gaps(profile)
    assert (
        len(gaps) == 9
        and all(c["difference"] == pytest.approx(0.25) and c["ahead"] == "dense" for c in gaps)
        and gaps[3]["probe"] == "frames, linear"
    )


def test_the_picture_of_the_sweep(quick):
    frame = sweep_tables.control_sweep(quick)
    figure = sweep_figure(frame)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    titles = [ax.get_title() for ax in figure.axes if ax.axison]
    assert titles[0] == "pooling in the probe" and set(titles[1:]) == set(frame["axis"])
    width, height = figure.bbox.size
    for ax in figure.axes:
        if ax.axison:
            box = ax.get_tightbbox()
            assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
    assert "tokens a frame: 8 0.50, 16 0.50, 32 0.80" in figure.get_label() and "STAND-IN" in figure.get_label().upper()
