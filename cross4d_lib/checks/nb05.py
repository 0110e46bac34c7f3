"""Checks of notebook 05, pretraining."""

import torch
from torch.nn import functional as F

from ..pretexts import cosine_loss, variance_loss
from . import exercise


@exercise("05.constant_pays")
def constant_pays(answer):
    """L_var of a predictor that says the same for every token (a float)."""
    wanted = variance_loss(torch.ones(5, 3)).item()
    assert isinstance(answer, (int, float)), "Give a number."
    assert answer != 1, "Nearly. Do not forget eps under the root: sigma is not quite 0."
    assert abs(answer - wanted) < 5e-4, (
        "Every value of a dimension is the same, so Var is 0 and sigma is sqrt(eps), with eps = 1e-4."
    )


@exercise("05.best_constant")
def best_constant(answer):
    """A function of targets (n, d) that returns (lowest cosine loss of a constant, a direction (d,) that reaches
    it)."""
    targets = torch.randn(40, 6, generator=torch.Generator().manual_seed(1)) + torch.tensor([2.0, 0, 0, 0, 0, 0])
    targets = targets * torch.linspace(0.1, 10, 40)[:, None]
    loss, direction = answer(targets)
    mean = F.normalize(targets, dim=-1).mean(0)
    wanted = 1 - mean.norm().item()
    assert abs(float(loss) - wanted) < 1e-4, (
        f"For a test case the lowest loss is {wanted:.4f}, yours is {float(loss):.4f}. Scale every target to length 1 "
        "first: a long target counts no more than a short one."
    )
    reached = cosine_loss(torch.as_tensor(direction).expand_as(targets), targets).item()
    assert abs(reached - wanted) < 1e-4, f"The loss is right, but your direction reaches only {reached:.4f}."


@exercise("05.masked_loss")
def masked_loss(answer):
    """Eq. 5 as a function of predicted (B, M, d), target (B, M, d) and visible (B, M) bool -> scalar tensor."""
    generator = torch.Generator().manual_seed(2)
    predicted, target = torch.randn(2, 3, 5, 4, generator=generator)
    visible = torch.rand(3, 5, generator=generator) < 0.6
    predicted.requires_grad_()
    loss = answer(predicted, target, visible)
    wanted = cosine_loss(predicted[visible], target[visible])
    assert isinstance(loss, torch.Tensor) and loss.ndim == 0, "Return a tensor without dimensions: the mean."
    assert torch.isclose(loss, wanted, atol=1e-5), (
        f"On a test batch the loss is {wanted.item():.4f}, yours is {loss.item():.4f}. The mean is over the visible "
        "tokens alone."
    )
    (gradient,) = torch.autograd.grad(loss, predicted)
    assert (gradient[~visible] == 0).all(), "A hidden token gets a gradient."
    nothing = answer(predicted, target, torch.zeros_like(visible))
    assert torch.as_tensor(nothing).item() == 0, (
        f"With nothing visible the loss must be 0, yours is {torch.as_tensor(nothing).item()}."
    )


@exercise("05.lengths")
def lengths(answer):
    """A function of predicted (n, d), target (n, d), rate: lengths (n,) after a step of gradient descent on the cosine
    loss."""
    generator = torch.Generator().manual_seed(3)
    predicted, target = torch.randn(2, 8, 4, generator=generator)
    for rate in (0.5, 5.0):
        p = predicted.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(cosine_loss(p, target), p)
        wanted = (predicted - rate * gradient).norm(dim=-1)
        given = torch.as_tensor(answer(predicted.clone(), target.clone(), rate)).detach()
        assert given.shape == wanted.shape, (
            f"Return one length a row, shape {tuple(wanted.shape)}; yours has {tuple(given.shape)}."
        )
        assert torch.allclose(given, wanted, atol=1e-4), (
            "Step: predicted - rate * gradient of cosine_loss. The loss is a mean over rows, so each row's gradient is "
            "divided by n."
        )
