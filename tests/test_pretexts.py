"""The losses are Eq. 5 and 6, and nothing but visible tokens and the encoder learns from them.

Claims proved:
1. cosine_loss and variance_loss give the numbers that the formulas give by hand.
2. An occluded token has no gradient, not even a small one; neither has a target. A batch that sees nothing costs 0.
3. The loss is a mean over a set: the order of clips and tokens does not matter, and clips do not weigh by their place.
4. Global is dense on one pooled token; lambda = 0 leaves the cosine alone; Eq. 5 centres targets and never the
   prediction.
5. The head has Table 9's 98,688 parameters at the paper's size, whatever the encoder and the teacher.
"""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cross4d_lib.decisions import VARIANCE_EPS
from cross4d_lib.encoders import Tokens, count_parameters
from cross4d_lib.errors import ConfigError
from cross4d_lib.pretexts import (
    CONTROLS,
    Dense,
    Global,
    Pretext,
    build_pretext,
    cosine_loss,
    pretext_config,
    pretext_names,
    register_pretext,
    variance_loss,
)
from cross4d_lib.report.paper import TABLE_9
from cross4d_lib.targets import Batch

C, DIM = 8, 5  # of a token, of a target


def batch_with(targets, visible, summaries=None):
    """A Batch of one view: targets (B, M, d_p), visible (B, M), summaries {name: (B, d_p)}."""
    views = {name: value[:, None] for name, value in (summaries or {}).items()}
    return Batch(None, {}, targets[:, None], visible[:, None], views, None)


def tokens_with(features):
    return Tokens(features, None, None, None, None)


def fixed(tokens):
    """An encoder that gives these tokens whatever the points."""
    encoder = lambda points, grouping: tokens
    encoder.dim = C
    return encoder


def losses_of(pretext, tokens, batch):
    return pretext.loss(fixed(tokens), batch)


def store_of(mean=None, dim=DIM, views=1):
    """What a pretext reads of a store: d_p, the number of views, and the training means."""
    means = {name: torch.zeros(dim) if mean is None else mean for name in ("dense", "class", "mean")}
    return SimpleNamespace(dim=dim, views=views, mean=means, key="store")


def batch_of(clips=3, tokens=7, seen=0.6, seed=0, dim=DIM):
    """A Batch of random targets, 0 where occluded, and Tokens of random features that want a gradient."""
    generator = torch.Generator().manual_seed(seed)
    visible = torch.rand(clips, tokens, generator=generator) < seen
    targets = torch.randn(clips, tokens, dim, generator=generator) * visible[..., None]
    summaries = {name: torch.randn(clips, dim, generator=generator) for name in ("class", "mean")}
    features = torch.randn(clips, tokens, C, generator=generator).requires_grad_()
    return tokens_with(features), batch_with(targets, visible, summaries)


def pretext_of(kind=Dense, mean=None, seed=0, **options):
    torch.manual_seed(seed)
    return kind(kind.Config(**options), fixed(None), store_of(mean))


# ------------------------------------------------------------------------------------------------ 1. by hand


def test_cosine_loss_by_hand():
    """Rows (3, 4) on (3, 0): cos = 9 / (5 x 3) = 0.6; (0, 2) on (0, -7): cos = -1; (1, 1) on (2, 2): cos = 1.
    Mean of 1 - cos: (0.4 + 2 + 0) / 3 = 0.8."""
    predicted = torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, 1.0]])
    target = torch.tensor([[3.0, 0.0], [0.0, -7.0], [2.0, 2.0]])
    assert cosine_loss(predicted, target).item() == pytest.approx(0.8, abs=1e-6)
    assert cosine_loss(7 * predicted, 0.1 * target).item() == pytest.approx(0.8, abs=1e-6)  # lengths do not count


def test_variance_loss_by_hand():
    """Column 1 is (1, 2, 3): mean 2, Var = (1 + 0 + 1) / 2 = 1, sigma = sqrt(1 + eps) > 1, ReLU gives 0.
    Column 2 is (0, 0, 0.6): mean 0.2, Var = (0.04 + 0.04 + 0.16) / 2 = 0.12, 1 - sqrt(0.12 + eps) = 0.653446.
    Column 3 is constant: 1 - sqrt(eps) = 0.99. Mean of the three."""
    predicted = torch.tensor([[1.0, 0.0, 5.0], [2.0, 0.0, 5.0], [3.0, 0.6, 5.0]])
    assert VARIANCE_EPS == 1e-4
    expected = (0 + (1 - math.sqrt(0.1201)) + 0.99) / 3
    assert expected == pytest.approx((0.653446 + 0.99) / 3, abs=1e-6)
    assert variance_loss(predicted).item() == pytest.approx(expected, abs=1e-6)
    assert variance_loss(predicted + 100).item() == pytest.approx(expected, abs=1e-5)  # a constant does not count
    assert variance_loss(10 * predicted[:, :2]).item() == 0  # spread beyond 1 is not asked for


def test_dense_by_hand():
    """One clip, three tokens, the second occluded; psi the identity; mean (1, 0) subtracted from the targets.
    Token 1: (1, 0) on (2, 1) - (1, 0) = (1, 1): cos = 1 / sqrt 2. Token 3: (0, 3) on (1, 4) - (1, 0) = (0, 4): cos = 1.
    Variance over tokens 1 and 3: columns (1, 0) and (0, 3), Var = 0.5 and 4.5."""
    encoder = fixed(None)
    encoder.dim = 2
    pretext = Dense(Dense.Config(variance_weight=0.5), encoder, store_of(torch.tensor([1.0, 0.0]), dim=2))
    torch.nn.init.eye_(pretext.psi.weight)
    torch.nn.init.zeros_(pretext.psi.bias)
    tokens = tokens_with(torch.tensor([[[1.0, 0.0], [9.0, 9.0], [0.0, 3.0]]]))
    batch = batch_with(torch.tensor([[[2.0, 1.0], [0.0, 0.0], [1.0, 4.0]]]), torch.tensor([[True, False, True]]))
    losses = losses_of(pretext, tokens, batch)
    cosine, variance = (1 - 1 / math.sqrt(2) + 0) / 2, (1 - math.sqrt(0.5 + VARIANCE_EPS) + 0) / 2
    assert losses["cosine"].item() == pytest.approx(cosine, abs=1e-6)
    assert losses["variance"].item() == pytest.approx(variance, abs=1e-6)
    assert losses["loss"].item() == pytest.approx(cosine + 0.5 * variance, abs=1e-6)


# ------------------------------------------------------------------------------------------------ 2. gradients


def test_an_occluded_token_has_no_gradient_at_all():
    """Exactly 0 in every channel; and changing it changes nothing."""
    tokens, batch = batch_of()
    pretext = pretext_of()
    before = losses_of(pretext, tokens, batch)["loss"]
    before.backward()
    assert (tokens.features.grad[~batch.visible] == 0).all()
    assert (tokens.features.grad[batch.visible] != 0).any(-1).all()
    changed = torch.where(batch.visible[..., None], tokens.features.detach(), 1e6)
    assert torch.equal(losses_of(pretext, tokens_with(changed), batch)["loss"], before)


@pytest.mark.parametrize("kind", [Dense, Global])
def test_a_target_has_no_gradient(kind):
    tokens, batch = batch_of()
    leaves = [batch.view_targets, *batch.view_summaries.values()]
    for leaf in leaves:
        leaf.requires_grad_()
    pretext = pretext_of(kind, mean=torch.ones(DIM))
    losses_of(pretext, tokens, batch)["loss"].backward()
    assert all(leaf.grad is None for leaf in leaves)
    assert {name for name, _ in pretext.named_parameters()} == {"psi.weight", "psi.bias"}  # the mean is not learned


@pytest.mark.parametrize("count", [0, 1])
def test_a_batch_that_sees_nothing_or_one_token_is_finite(count):
    """No row: loss 0 and gradient 0. One row: no variance to speak of, the cosine alone."""
    tokens, batch = batch_of()
    batch.view_visible[:] = False
    batch.view_visible.view(-1)[:count] = True
    losses = losses_of(pretext_of(), tokens, batch)
    losses["loss"].backward()
    assert (
        losses["variance"].item() == 0 and torch.isfinite(losses["loss"]) and torch.isfinite(tokens.features.grad).all()
    )
    if count == 0:
        assert losses["loss"].item() == 0 and (tokens.features.grad == 0).all()


def test_a_target_that_equals_the_mean_is_finite():
    """Its direction is none: cos counts as 0."""
    tokens, batch = batch_of(seen=1.0)
    batch.view_targets[:] = 2.0
    losses = losses_of(pretext_of(mean=torch.full((DIM,), 2.0)), tokens, batch)
    losses["loss"].backward()
    assert losses["cosine"].item() == 1 and torch.isfinite(tokens.features.grad).all()


# ------------------------------------------------------------------------------------------------ 3. a mean over a set


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31 - 1), st.sampled_from([Dense, Global]), st.randoms(use_true_random=False))
def test_the_order_of_clips_and_tokens_does_not_matter(seed, kind, shuffler):
    tokens, batch = batch_of(seed=seed)
    clips, order = list(range(3)), list(range(7))
    shuffler.shuffle(clips)
    shuffler.shuffle(order)
    shuffled = batch_with(
        batch.targets[clips][:, order],
        batch.visible[clips][:, order],
        {k: v[clips] for k, v in batch.summaries.items()},
    )
    pretext = pretext_of(kind)
    one = losses_of(pretext, tokens, batch)
    other = losses_of(pretext, tokens_with(tokens.features[clips][:, order]), shuffled)
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-5, atol=1e-6)


def test_every_visible_token_counts_once():
    """Two copies of a batch side by side have its cosine loss; a clip that shows more tokens counts for more."""
    tokens, batch = batch_of()
    pretext = pretext_of(variance_weight=0.0)
    twice = batch_with(batch.targets.repeat(2, 1, 1), batch.visible.repeat(2, 1))
    torch.testing.assert_close(
        losses_of(pretext, tokens_with(tokens.features.repeat(2, 1, 1)), twice)["loss"],
        losses_of(pretext, tokens, batch)["loss"],
    )
    counts, losses = batch.visible.sum(1), []
    for i in range(3):
        alone = batch_with(batch.targets[i : i + 1], batch.visible[i : i + 1])
        losses.append(losses_of(pretext, tokens_with(tokens.features[i : i + 1]), alone)["loss"])
    assert len(set(counts.tolist())) > 1
    torch.testing.assert_close(
        (torch.stack(losses) * counts / counts.sum()).sum(), losses_of(pretext, tokens, batch)["loss"]
    )


# ------------------------------------------------------------------------------------------------ 4. relations


@pytest.mark.parametrize("summary", ["class", "mean"])
def test_global_equals_dense_on_one_pooled_token(summary):
    tokens, batch = batch_of()
    mean = torch.randn(DIM, generator=torch.Generator().manual_seed(9))
    pooled = tokens_with(tokens.features.mean(1, keepdim=True))
    as_dense = batch_with(batch.summaries[summary][:, None], torch.ones(3, 1, dtype=torch.bool))
    one, other = (
        losses_of(pretext_of(Global, mean, summary=summary), tokens, batch),
        losses_of(pretext_of(Dense, mean), pooled, as_dense),
    )
    assert all(torch.equal(one[name], other[name]) for name in other)


@pytest.mark.parametrize("kind", [Dense, Global])
def test_lambda_weighs_the_variance_term_and_0_drops_it(kind):
    tokens, batch = batch_of()
    of = {weight: losses_of(pretext_of(kind, variance_weight=weight), tokens, batch) for weight in (0.0, 1.0, 2.5)}
    assert torch.equal(of[0.0]["loss"], of[0.0]["cosine"]) and of[0.0]["variance"] > 0
    for weight, losses in of.items():
        torch.testing.assert_close(losses["loss"], losses["cosine"] + weight * losses["variance"])


def test_half_precision_features_are_compared_in_float32():
    tokens, batch = batch_of()
    half = tokens.features.detach().bfloat16()
    losses = losses_of(pretext_of(), tokens_with(half), batch)
    assert losses["loss"].dtype == torch.float32
    assert torch.equal(losses["loss"], losses_of(pretext_of(), tokens_with(half.float()), batch)["loss"])


# ------------------------------------------------------------------------------------------------ 5. by name


def test_pretexts_by_name_take_their_means_from_the_store():
    store = store_of()
    store.mean = {name: torch.full((DIM,), float(k)) for k, name in enumerate(("dense", "class", "mean"), start=1)}
    build = lambda name, **settings: build_pretext(name, fixed(None), store, **settings)[0]
    assert type(build("dense")) is Dense and build("dense").mean.unique().item() == 1
    for k, summary in ((2, "class"), (3, "mean")):
        pretext = build("global", summary=summary, variance_weight=0.25)
        assert (type(pretext), pretext.mean.unique().item(), pretext.config.variance_weight) == (Global, k, 0.25)
    assert build("dense", centre=False).mean.unique().item() == 0


def test_names_and_settings_that_do_not_exist_are_refused():
    assert {"dense", "global", "control"} <= set(pretext_names())
    build = lambda name, **settings: build_pretext(name, fixed(None), store_of(), **settings)
    with pytest.raises(ConfigError, match="no pretext is called 'frame'.*dense"):
        build("frame")
    for name, wrong in (
        ("dense", {"summary": "class"}),
        ("global", {"merge": "mean"}),
        ("control", {"temperature": 1.0}),
    ):
        with pytest.raises(ConfigError, match=f"{name!r} has no setting"):
            build(name, **wrong)
    for name, wrong in (
        ("dense", {"merge": "median"}),
        ("global", {"summary": "median"}),
        ("control", {"control": "shuffled teachers"}),
    ):
        with pytest.raises(ConfigError, match="one of"):
            pretext_config(name, **wrong)
    assert pretext_config("control").control in CONTROLS


def test_a_store_must_hold_what_the_pretext_needs():
    with pytest.raises(ConfigError, match="needs the targets of a teacher"):
        build_pretext("dense", fixed(None), store_of(views=0))

    @register_pretext("two views, for a test")
    class TwoViews(Pretext):
        needs = frozenset({"views"})

    with pytest.raises(ConfigError, match="needs several views, this store holds 1"):
        build_pretext("two views, for a test", fixed(None), store_of())
    assert isinstance(build_pretext("two views, for a test", fixed(None), store_of(views=2))[0], TwoViews)


def test_weights_are_drawn_from_the_seed_and_nothing_else():
    """The caller's random state neither decides a pretext's weights nor is moved."""
    weights = []
    for state, seed in ((1, 3), (2, 3), (1, 4)):
        torch.manual_seed(state)
        before = torch.get_rng_state()
        weights.append(build_pretext("dense", fixed(None), store_of(), seed)[0].psi.weight)
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_the_head_has_the_papers_parameters():
    """256 x 384 + 384 = 98,688, Table 9's 0.10 M; it depends on C and d_p alone."""
    encoder = fixed(None)
    encoder.dim = 256
    for kind in (Dense, Global):
        assert count_parameters(kind(kind.Config(), encoder, store_of(dim=384))) == 98_688
    assert round(98_688 / 1e6, 1) == TABLE_9["dense per-token head"][0]
