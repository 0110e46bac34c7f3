"""A point's class is read from the tokens around it, and what is counted is what was right.

Claims proved:
1. mIoU, mAcc and OA are those of ten points counted by hand; ignored points are in none of the counts, a class that
   no test point has is in none of the means; a row survives JSON.
2. The interval of mIoU is that of whole individuals and their clips.
3. A linear head reads what tokens linearly hold, and nothing from noise; it sees the training clips alone; one seed
   gives one result. Its scores at the points are those of a head on interpolated features.
4. Augmentation scales, turns about the vertical and jitters by what the decision says, about each clip's own centroid.
5. The converged head is at the minimum that scikit-learn finds, wherever it starts; its penalty is chosen on training
   clips alone, by individuals it has not seen; it reads what a short training has not reached yet.
6. End-to-end training fits labelled clips, changes the encoder, and goes on after an interruption bit for bit.
"""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import FRAMES, POINTS, TINY, tiny_encoder
from torch import nn

from cross4d_lib.augment import augment
from cross4d_lib.correspondence import at_points
from cross4d_lib.datasets import load_dataset
from cross4d_lib.decisions import AUGMENTATION, CONVERGED_PENALTIES, POINT_TOKENS, PROBE_RATE
from cross4d_lib.errors import ConfigError, DataError
from cross4d_lib.evaluation import finetune as room
from cross4d_lib.evaluation import interval, miou, segment_all, segment_converged, segment_finetuned, segment_frozen
from cross4d_lib.evaluation.point_heads import PointSample, fit_softmax, leave_out
from cross4d_lib.evaluation.readability import place_code, readability
from cross4d_lib.evaluation.segmentation import (
    IGNORED,
    LabelledTokens,
    SegmentationResult,
    confusion,
    label_loss,
    label_tokens,
    point_labels,
)

CLASSES = 3


def labelled(clips=12, tokens=8, dim=6, seed=0, spread=0.3, hold=True):
    """Tokens of one frame with a class each, its axis in their features (``hold``) beside noise; every token has five
    points of its class, each with that token alone."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, CLASSES, (clips, tokens))
    features = spread * rng.standard_normal((clips, tokens, dim))
    if hold:
        features += 4 * np.eye(dim)[classes]
    owner = np.tile(np.repeat(np.arange(tokens), 5), (clips, 1, 1))  # (clips, 1, 5 tokens)
    labels = np.take_along_axis(classes[:, None], owner, 2)
    return LabelledTokens(
        torch.tensor(features).float(),
        torch.tensor(owner)[..., None].int(),
        torch.ones(*owner.shape, 1),
        torch.tensor(labels),
        [f"animal{i % 4}" for i in range(clips)],
    )


TRAIN, TEST = labelled(), labelled(6, seed=1)


# ------------------------------------------------------------------------------------------------ 1. counts


TRUE = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, IGNORED, IGNORED])
SAID = torch.tensor([0, 0, 0, 1, 1, 1, 2, 0, 0, 2])


def test_ten_points_by_hand():
    """Two are ignored. Class 0: 3 right of 4, 4 said; 1: 2 of 3, 3 said; 2: 0 of 1, 1 said; 3: no point. IoU 3/5, 2/4,
    0/2."""
    table = confusion(SAID, TRUE, 4)
    assert table.tolist() == [[3, 1, 0, 0], [0, 2, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    result = SegmentationResult(table[None])
    assert result.counts.tolist() == [[[3, 2, 0, 0], [4, 3, 1, 0], [4, 3, 1, 0]]]
    assert result.per_class[:3].tolist() == pytest.approx([3 / 5, 2 / 4, 0]) and np.isnan(result.per_class[3])
    assert (result.miou, result.macc, result.oa) == pytest.approx(((3 / 5 + 2 / 4) / 3, (3 / 4 + 2 / 3) / 3, 5 / 8))


def test_counts_add_up_over_clips():
    """IoU of the whole, not the mean of the clips': the same ten points dealt to two clips of unequal size."""
    parts = [confusion(SAID[a:b], TRUE[a:b], 4) for a, b in ((0, 3), (3, 10))]
    assert SegmentationResult(np.stack(parts)).miou == SegmentationResult(confusion(SAID, TRUE, 4)[None]).miou


def test_a_class_that_is_only_said_counts_against_the_others_alone():
    """One of two points of class 0 called 1, which no point is: IoU_0 = 1/2, and class 1 is in no mean."""
    result = SegmentationResult(confusion(torch.tensor([0, 1]), torch.tensor([0, 0]), 2)[None])
    assert (result.miou, result.macc, result.oa) == (0.5, 0.5, 0.5) and np.isnan(result.per_class[1])


def test_metrics_survive_json_and_hold_the_counts():
    result = SegmentationResult(np.stack([confusion(SAID, TRUE, 4), confusion(TRUE, TRUE, 4)]))
    metrics = result.metrics()
    assert metrics == json.loads(json.dumps(metrics, allow_nan=False))
    assert next(iter(metrics)) == "mIoU" and metrics["per_class"][3] is None
    assert SegmentationResult(np.array(metrics["confusion"])[None]).miou == metrics["mIoU"] == result.miou
    assert np.array_equal(metrics["counts"], result.counts) and (metrics["low"], metrics["high"]) == result.interval


# ------------------------------------------------------------------------------------------------ 2. how sure


def test_the_interval_of_miou_is_over_individuals_and_their_clips():
    rng = np.random.default_rng(0)
    labels = torch.tensor(rng.integers(0, CLASSES, (24, 40)))
    known = torch.tensor(rng.random((24, 40)) < np.repeat([0.3, 0.5, 0.7, 0.9], 6)[:, None])
    counts = np.stack([confusion(p, y, CLASSES) for p, y in zip(torch.where(known, labels, 0), labels)])
    who = [f"animal{i // 6}" for i in range(24)]
    result, alone = SegmentationResult(counts, subjects=who), SegmentationResult(counts)
    found = interval(result.counts[None], who, miou)
    assert result.interval == (found.low, found.high) and found.mean == result.miou
    assert result.interval[0] < alone.interval[0] < result.miou < alone.interval[1] < result.interval[1]


# ------------------------------------------------------------------------------------------------ 3. the frozen encoder


def test_what_tokens_linearly_hold_is_read_and_noise_is_not():
    """Chance of three classes is 1/3; 60 tokens of the test clips are noise: within 4 standard errors of 0.06."""
    result, head = segment_frozen(TRAIN, TEST, CLASSES, epochs=150)
    assert result.miou == result.macc == result.oa == 1.0 and head.weight.shape == (CLASSES, 6)
    noise = segment_frozen(labelled(hold=False), labelled(8, seed=1, hold=False), CLASSES, epochs=30)[0]
    assert abs(noise.oa - 1 / 3) < 0.24


def test_the_head_is_trained_by_plain_adam():
    """Eight clips are one batch, and all of their points are seen: the weights of a loop of the optimiser alone."""
    tokens = labelled(8)
    _, head = segment_frozen(tokens, TEST, CLASSES, seed=3, epochs=12)
    torch.manual_seed(3)
    plain = nn.Linear(6, CLASSES)
    optimiser = torch.optim.Adam(plain.parameters(), PROBE_RATE)
    own = at_points(tokens.features, tokens.index.long(), tokens.weights)
    for _ in range(12):
        optimiser.zero_grad()
        nn.functional.cross_entropy(plain(own).flatten(0, 2), tokens.labels.flatten()).backward()
        optimiser.step()
    torch.testing.assert_close(head.weight, plain.weight, rtol=0, atol=1e-4, check_stride=False)


def test_standardising_helps_where_scales_differ():
    """The class in channels a hundred times too small for the rate: z-scores bring them back, with the training clips'
    mean."""
    small = lambda tokens: replace(tokens, features=tokens.features * 0.01 + torch.tensor([5.0, 0, 0, 0, 0, 0]))
    plain, standard = (
        segment_frozen(small(TRAIN), small(TEST), CLASSES, standardize, epochs=150)[0].oa
        for standardize in (False, True)
    )
    assert standard == 1.0 and plain < 0.8
    part = replace(TEST, **{name: values[::2] for name, values in vars(TEST).items()})
    whole, half = (segment_frozen(TRAIN, test, CLASSES, True, epochs=3)[0].confusion for test in (TEST, part))
    assert np.array_equal(half, whole[::2])  # other test clips do not matter


def test_one_seed_gives_one_result_and_the_callers_random_state_does_not_matter():
    first = segment_frozen(TRAIN, TEST, CLASSES, seed=1, epochs=2)[1]
    torch.manual_seed(123)
    state = torch.get_rng_state()
    again, other = (segment_frozen(TRAIN, TEST, CLASSES, seed=seed, epochs=2)[1] for seed in (1, 2))
    assert torch.equal(again.weight, first.weight) and not torch.equal(other.weight, first.weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_test_labels_never_influence_the_head():
    honest = segment_frozen(TRAIN, TEST, CLASSES, True, epochs=2)[1]
    assert torch.equal(
        segment_frozen(TRAIN, replace(TEST, labels=torch.zeros_like(TEST.labels)), CLASSES, True, epochs=2)[1].weight,
        honest.weight,
    )


def test_ignored_points_are_not_trained_on_and_not_counted():
    """All points of class 2 ignored: the head never says 2, though its tokens are there; nothing of them is in the
    counts."""
    without = lambda tokens: replace(tokens, labels=torch.where(tokens.labels == 2, IGNORED, tokens.labels))
    result, _ = segment_frozen(without(TRAIN), without(TEST), CLASSES, epochs=150)
    assert result.confusion[:, 2].sum() == result.confusion[:, :, 2].sum() == 0 and result.oa == 1.0
    assert result.confusion.sum() == (TEST.labels < 2).sum()


def test_the_loss_is_the_mean_over_labelled_points():
    scores, labels = torch.randn(2, 3, 4, CLASSES), torch.randint(CLASSES, (2, 3, 4))
    labels[0, 0, :2] = IGNORED
    expected = nn.functional.cross_entropy(scores[labels != IGNORED], labels[labels != IGNORED])
    torch.testing.assert_close(label_loss(scores, labels), expected)
    assert label_loss(scores, torch.full_like(labels, IGNORED)) == 0


def test_every_epoch_sees_other_points_and_one_seed_the_same(monkeypatch):
    monkeypatch.setattr("cross4d_lib.evaluation.point_heads.HEAD_POINTS", 7)
    data, again = PointSample(TRAIN, 1), PointSample(TRAIN, 1)
    features, index, weights, labels = data[3]
    assert index.shape == (1, 7, 1) and labels.shape == (1, 7) and torch.equal(features, TRAIN.features[3])
    assert torch.equal(labels, again[3][3]) and torch.equal(index, again[3][1])
    data.set_epoch(1)
    assert not torch.equal(index, data[3][1]) and not torch.equal(index, PointSample(TRAIN, 2)[3][1])


def test_clips_without_any_labelled_point_do_no_harm():
    """Nine clips of which eight may make a whole step with nothing to learn from: the head stays finite."""
    labels = TRAIN.labels[:9].clone()
    labels[1:] = IGNORED
    mostly = LabelledTokens(TRAIN.features[:9], TRAIN.index[:9], TRAIN.weights[:9], labels, TRAIN.subjects[:9])
    _, head = segment_frozen(mostly, TEST, CLASSES, epochs=20)
    assert head.weight.isfinite().all()


def test_scores_at_points_are_those_of_a_head_on_interpolated_features(clips):
    """On real tokens: predicted with the head at the tokens, and again with the head at the points."""
    tokens = label_tokens(tiny_encoder(), clips)
    classes = len(clips.source.point_classes)
    result, head = segment_frozen(tokens, tokens, classes, epochs=3)
    with torch.no_grad():
        said = head(at_points(tokens.features, tokens.index.long(), tokens.weights)).argmax(-1)
    again = np.stack([confusion(p, y, classes) for p, y in zip(said, tokens.labels)])
    assert abs(result.confusion - again).sum() <= 2 * 2  # a point or two may lie within rounding of two classes


def test_labelled_tokens_are_the_frozen_encoders(clips):
    encoder = tiny_encoder().train()
    tokens = label_tokens(encoder, clips)
    count = FRAMES * TINY["tokens"]
    assert tokens.features.shape == (6, count, TINY["dim"]) and tokens.index.shape == tokens.weights.shape == (
        6,
        FRAMES,
        POINTS,
        POINT_TOKENS,
    )
    assert encoder.training and not tokens.features.requires_grad and not tokens.features.is_inference()
    assert (
        tokens.nearest().index.shape[-1] == 1
        and torch.equal(tokens.nearest().index[..., 0], tokens.index[..., 0])
        and (tokens.nearest().weights == 1).all()
    )
    for i in (0, 5):
        assert np.array_equal(tokens.labels[i], clips[i].point_labels)
    frame = tokens.index // TINY["tokens"]
    assert (frame == torch.arange(FRAMES)[:, None, None]).all()  # a point's tokens are of its own frame


def test_every_setting_is_measured(clips):
    results = segment_all(tiny_encoder(), clips, clips)
    assert list(results) == [
        "linear",
        "linear, nearest token",
        "standardized",
        "standardized, nearest token",
        "converged",
    ]
    assert (
        results["converged"].metrics()["penalty"] in CONVERGED_PENALTIES
        and "penalty" not in results["linear"].metrics()
    )
    assert all(result.confusion.sum() == 6 * FRAMES * POINTS for result in results.values())
    assert not np.array_equal(results["linear"].confusion, results["standardized"].confusion)


class Toy:
    """Clips by hand with the face of a ClipDataset: the lower half of every frame is class 0, the upper one class 1."""

    def __init__(self, clips=2, point_classes=("lower", "upper"), ignored=(), labels=True):
        generator = torch.Generator().manual_seed(0)
        self.source = replace(
            load_dataset("synthetic-actions", "train", limit=1).source,
            name="toy",
            point_classes=point_classes,
            ignored=ignored,
        )
        self.ids = [f"clip{i}" for i in range(clips)]
        self.subjects = ["a", "b", "c"] * (clips // 3) + ["d"] * (clips % 3)
        template = load_dataset("synthetic-actions", "train", frames=FRAMES, points=POINTS, stride="uniform", limit=1)[
            0
        ]
        clouds = torch.randn(clips, FRAMES, POINTS, 3, generator=generator).numpy()
        self.clips = [
            replace(
                template, points=cloud, id=name, point_labels=(cloud[..., 1] < 0).astype(np.int64) if labels else None
            )
            for cloud, name in zip(clouds, self.ids)
        ]

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, i):
        return self.clips[i]

    def fingerprint(self):
        return "toy"


def test_ignored_classes_are_labelled_ignored():
    toy = Toy(ignored=(1,))
    assert (
        torch.equal(point_labels(toy, 0) == IGNORED, torch.tensor(toy[0].point_labels == 1))
        and (point_labels(toy, 0) <= 0).all()
    )
    toy.clips[0].point_labels[0, 0] = -1  # no label at all
    assert point_labels(toy, 0)[0, 0] == IGNORED


def test_a_clip_without_labels_is_named():
    with pytest.raises(DataError, match="without point labels.*toy clip1.*cross4d list"):
        point_labels(Toy(labels=False), 1)
    with pytest.raises(DataError, match="without point labels"):
        segment_all(tiny_encoder(), Toy(labels=False), Toy(labels=False))


def test_a_label_beyond_the_classes_is_named():
    toy = Toy()
    toy.clips[1].point_labels[0, 3] = 2
    with pytest.raises(DataError, match="point label 2 of 2 classes.*toy clip1"):
        point_labels(toy, 1)


# ------------------------------------------------------------------------------------------------ 4. augmentation


SHARE, DEGREES, JITTER = AUGMENTATION


def clouds(batch=40, points=400):
    return torch.randn(batch, 2, points, 3, generator=torch.Generator().manual_seed(4)) + torch.tensor([5.0, -3.0, 8.0])


def test_without_jitter_augmentation_is_a_scaled_turn_about_the_vertical(monkeypatch):
    """Undone point by point: heights about the centroid give the scale, the first point the angle, and all points
    follow both."""
    monkeypatch.setattr("cross4d_lib.augment.AUGMENTATION", (SHARE, DEGREES, 0.0))
    points = clouds().double()
    moved = augment(points, torch.Generator().manual_seed(0))
    centroid = points.mean((1, 2), keepdim=True)
    torch.testing.assert_close(moved.mean((1, 2), keepdim=True), centroid)
    a, b = points - centroid, moved - centroid
    scale = b[:, 0, 0, 1] / a[:, 0, 0, 1]  # (B,)
    torch.testing.assert_close(b[..., 1], scale[:, None, None] * a[..., 1])
    complex_ = lambda v: torch.complex(v[..., 0], v[..., 2])
    turn = complex_(b) / complex_(a) / scale[:, None, None]  # e^(i angle)
    torch.testing.assert_close(turn, turn[:, :1, :1].expand_as(turn), rtol=1e-5, atol=1e-5)
    angle = turn[:, 0, 0].angle().rad2deg()
    assert torch.allclose(turn.abs(), torch.ones(()).double(), atol=1e-5)
    for values, reach in (
        (scale - 1, SHARE),
        (angle, DEGREES),
    ):  # within their range, on both sides, and nearly filling it
        assert values.abs().max() <= reach * (1 + 1e-5) and values.min() < -0.7 * reach and values.max() > 0.7 * reach
    assert abs(np.corrcoef(scale, angle)[0, 1]) < 0.6  # drawn apart


def test_jitter_is_in_clip_radii(monkeypatch):
    monkeypatch.setattr("cross4d_lib.augment.AUGMENTATION", (0.0, 0.0, JITTER))
    for unit in (1e-3, 1e3):
        points = unit * clouds(2, 4000)
        moved = augment(points, torch.Generator().manual_seed(0)) - points
        radius = (points - points.mean((1, 2), keepdim=True)).norm(dim=-1).amax((1, 2))
        assert (moved.std((1, 2)) / radius[:, None]).flatten().tolist() == pytest.approx([JITTER] * 6, rel=0.05)


def test_augmentation_is_a_function_of_its_generator():
    points = clouds(3, 20)
    first, again, other = (augment(points, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other) and first.shape == points.shape


# ------------------------------------------------------------------------------------------------ 5. the converged head


def test_the_minimum_is_scikit_learns():
    """Mean cross-entropy + penalty / 2 |W|^2 is scikit-learn's objective at C = 1 / (penalty n)."""
    from sklearn.linear_model import LogisticRegression

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 5, generator=generator)
    y = (x @ torch.randn(5, 3, generator=generator) + torch.randn(300, 3, generator=generator)).argmax(1)
    for penalty in (1.0, 0.01):
        theirs = LogisticRegression(C=1 / (penalty * len(y)), tol=1e-8, max_iter=5000).fit(x.numpy(), y.numpy())
        for start in (None, nn.Linear(5, 3)):  # zeros, or anywhere
            ours = fit_softmax(x, y, 3, penalty, start)
            assert np.allclose(ours.weight, theirs.coef_, atol=5e-3)
            assert np.allclose(ours(x).softmax(1), theirs.predict_proba(x.numpy()), atol=5e-3)


def test_the_converged_head_reads_what_a_short_training_has_not_reached():
    """A class that lies along a direction in which features hardly vary: 3 epochs do not find it, the minimum does.
    Noise stays noise."""
    bare, held = labelled(spread=1.0), labelled(6, seed=1, spread=1.0)
    mixed = lambda tokens: replace(
        tokens,
        features=tokens.features
        @ torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(3)))[0]
        @ torch.diag(torch.tensor([9.0, 9, 9, 1, 0.1, 0.1])),
    )
    short = segment_frozen(mixed(bare), mixed(held), CLASSES, False, epochs=3)[0].oa
    result, head = segment_converged(mixed(bare), mixed(held), CLASSES)
    assert result.oa > short + 0.1 and result.oa > 0.9 and head.out_features == CLASSES
    noise = segment_converged(labelled(hold=False), labelled(8, seed=1, hold=False), CLASSES)[0]
    assert noise.oa < 0.55


def test_the_test_clips_choose_nothing():
    first = segment_converged(TRAIN, TEST, CLASSES)
    other = segment_converged(TRAIN, replace(TEST, labels=torch.zeros_like(TEST.labels)), CLASSES)
    assert torch.equal(first[1].weight, other[1].weight) and first[0].selected == other[0].selected
    assert first[0].selected["penalty"] in CONVERGED_PENALTIES and 0 < first[0].selected["left-out mIoU"] <= 1


class Store:
    """Targets by hand with the face of a TargetStore: the class of a token's point, one-hot, beside noise; every third
    token has none."""

    def __init__(self, dataset, tokens=8, hold=True):
        self.rows, generator = [], torch.Generator().manual_seed(0)
        for i in range(len(dataset)):
            points, labels = torch.as_tensor(dataset[i].points), torch.as_tensor(dataset[i].point_labels)
            frame = torch.arange(len(points)).repeat_interleave(tokens)
            point = torch.arange(tokens).repeat(len(points))
            targets = torch.randn(len(frame), 3, generator=generator) + (
                9 * torch.eye(3)[labels[frame, point]] if hold else 0
            )
            self.rows.append(
                SimpleNamespace(
                    points=points[None],
                    grouping={"frame": frame[None], "point": point[None]},
                    targets=targets[None],
                    visible=(torch.arange(len(frame)) % 3 > 0)[None],
                )
            )

    def __len__(self):
        return len(self.rows)

    def batch(self, indices):
        return self.rows[indices[0]]


def test_a_class_is_read_where_it_is():
    """The classes of Toy are a matter of height: they are in the place, and in the targets only where these were made
    so; a student that knows nothing tells nothing. Every line is asked of the tokens that have a target, and of no
    others."""
    train, test = Toy(6), Toy(3)
    for hold in (True, False):
        results = readability({}, train, test, Store(train, hold=hold), Store(test, hold=hold))
        assert list(results) == ["targets", "place"]
        assert all(
            result.confusion.sum() == sum(int(row.visible.sum()) for row in Store(test).rows)
            for result in results.values()
        )
        assert results["place"].miou > 0.8 and (
            results["targets"].miou > 0.95 if hold else results["targets"].miou < 0.65
        )


def test_the_code_of_a_place_by_hand():
    """Three coordinates, six products of two, ten of three."""
    code = place_code(torch.tensor([2.0, 3.0, 5.0]))
    assert sorted(code.tolist()) == sorted([2, 3, 5, 4, 6, 10, 9, 15, 25, 8, 12, 20, 18, 30, 50, 27, 45, 75, 125])


def test_individuals_are_left_out_whole():
    part = leave_out(["b", "a", "b", "c", "a", "a"])
    assert part.tolist() == [1, 0, 1, 2, 0, 0]
    assert max(leave_out([str(i) for i in range(40)])) == 4  # dealt out to five parts
    assert leave_out(["a"] * 7).tolist() == [0, 1, 2, 3, 4, 0, 1]  # one individual: clips are dealt out
    with pytest.raises(ConfigError, match="one training clip"):
        leave_out(["a"])


# ------------------------------------------------------------------------------------------------ 6. end to end


def weights_of(encoder):
    return {name: tensor.clone() for name, tensor in encoder.state_dict().items()}


def test_two_clips_are_fitted_and_the_encoder_changes():
    """Upper or lower is in the coordinates: 100 steps on two clips get most of their points right, one step does
    not."""
    toy, encoder = Toy(), tiny_encoder()
    before = weights_of(encoder)
    start = segment_finetuned(tiny_encoder(), toy, toy, epochs=1).oa
    result = segment_finetuned(encoder, toy, toy, epochs=100)
    assert result.oa > 0.75 > 0.65 > start and result.confusion.sum() == 2 * FRAMES * POINTS
    assert all(not torch.equal(p, before[name]) for name, p in encoder.named_parameters() if p.ndim > 1)


def test_fine_tuning_is_deterministic_and_goes_on_after_an_interruption(tmp_path, monkeypatch):
    """Ctrl-C after the first of three epochs; the second call trains the other two, from the same draws of
    augmentation."""
    toy, whole, stopped, other = Toy(), tiny_encoder(), tiny_encoder(), tiny_encoder()
    undisturbed = segment_finetuned(whole, toy, toy, epochs=3)
    train, checkpoint, epochs = room.train, tmp_path / "tune.pt", []

    def interrupted(*args, **options):
        def after_epoch(epoch, row):
            raise KeyboardInterrupt

        return train(*args, after_epoch=after_epoch, **options)

    monkeypatch.setattr(room, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        segment_finetuned(stopped, toy, toy, epochs=3, checkpoint=checkpoint)
    monkeypatch.setattr(
        room,
        "train",
        lambda *args, **options: train(*args, after_epoch=lambda epoch, row: epochs.append(epoch), **options),
    )
    torch.manual_seed(99)
    state = torch.get_rng_state()
    result = segment_finetuned(other, toy, toy, epochs=3, checkpoint=checkpoint)
    assert epochs == [2, 3] and np.array_equal(result.confusion, undisturbed.confusion)
    assert all(torch.equal(tensor, whole.state_dict()[name]) for name, tensor in other.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ConfigError, match="other options.*epochs"):
        segment_finetuned(tiny_encoder(), toy, toy, epochs=4, checkpoint=checkpoint)


def test_a_batch_without_any_labelled_point_does_no_harm_in_fine_tuning(monkeypatch):
    toy, encoder = Toy(), tiny_encoder()
    toy.clips[1].point_labels[:] = -1
    monkeypatch.setattr(room, "BATCH", 1)
    result = segment_finetuned(encoder, toy, toy, epochs=2)
    assert all(tensor.isfinite().all() for tensor in encoder.state_dict().values()) and result.confusion[1].sum() == 0


def test_a_dataset_without_classes_of_points_is_refused():
    toy = Toy(point_classes=())
    with pytest.raises(ConfigError, match="toy has no classes of points.*cross4d list"):
        segment_finetuned(tiny_encoder(), toy, toy)
