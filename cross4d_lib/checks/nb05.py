"""Checks of notebook 05, pretraining."""

import torch
from torch.nn import functional as F

from ..pretexts import cosine_loss, variance_loss
from . import close, exercise, shaped


@exercise("05.constant_pays")
def constant_pays(answer):
    """L_var of a predictor whose prediction is the same for every token (a float)."""
    assert isinstance(answer, (int, float)), "Give a number."
    assert answer != 1, "Nearly. Do not forget eps under the root: sigma is not quite 0."
    assert abs(answer - variance_loss(torch.ones(5, 3)).item()) < 5e-4, (
        "Every value of a dimension is the same, so Var is 0 and sigma is sqrt(eps), with eps = 1e-4."
    )


@exercise("05.best_constant")
def best_constant(answer):
    """A function of targets (n, d): (lowest cosine loss of a constant, a direction (d,) that reaches it)."""
    targets = torch.randn(40, 6, generator=torch.Generator().manual_seed(1)) + torch.tensor([2.0, 0, 0, 0, 0, 0])
    targets = targets * torch.linspace(0.1, 10, 40)[:, None]
    loss, direction = answer(targets)
    wanted = 1 - F.normalize(targets, dim=-1).mean(0).norm().item()
    hint = "Scale every target to length 1 first: a long target counts no more than a short one."
    close("For a test case", loss, wanted, hint, 1e-4)
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
    assert isinstance(loss, torch.Tensor) and loss.ndim == 0, "Return a tensor without dimensions: the mean."
    wanted = cosine_loss(predicted[visible], target[visible]).item()
    close("On a test batch", loss.detach(), wanted, "The mean is over the visible tokens alone.", 1e-5)
    (gradient,) = torch.autograd.grad(loss, predicted)
    assert (gradient[~visible] == 0).all(), "A hidden token gets a gradient."
    close("With nothing visible", answer(predicted.detach(), target, torch.zeros_like(visible)), 0)


@exercise("05.lengths")
def lengths(answer):
    """A function of predicted (n, d), target (n, d), rate: lengths (n,) after a step of gradient descent on the cosine
    loss."""
    predicted, target = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(3))
    for rate in (0.5, 5.0):
        p = predicted.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(cosine_loss(p, target), p)
        given = torch.as_tensor(answer(predicted.clone(), target.clone(), rate)).detach()
        shaped(given, (8,))
        assert torch.allclose(given, (predicted - rate * gradient).norm(dim=-1), atol=1e-4), (
            "Step: predicted - rate * gradient of cosine_loss. The loss is a mean over rows, so each row's gradient is "
            "divided by n."
        )
