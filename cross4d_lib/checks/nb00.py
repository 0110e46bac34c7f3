"""Checks of notebook 00, start here."""

import numpy as np
import torch

from ..experiments import ARTIFACTS
from ..pretexts import cosine_loss
from . import avoid, close, exercise


@exercise("00.where")
def where(answer):
    """The name of the notebook that shows Table 15 (a str)."""
    assert isinstance(answer, str), 'Give the notebook\'s name in quotes, such as "01_clips".'
    assert answer.removesuffix(".ipynb") == ARTIFACTS["table15"].notebook, (
        "Table 15 counts the points that several cameras see. Look for table15 in the map above."
    )


@exercise("00.cache_megabytes")
def cache_megabytes(answer):
    """A function of clips, tokens a clip and d_p that returns the megabytes of fp16 targets."""
    generator = np.random.default_rng(0)
    for _ in range(5):
        clips, tokens, dim = (int(generator.integers(1, most)) for most in (1000, 3000, 1024))
        wanted, given = clips * tokens * dim * 2 / 1e6, answer(clips, tokens, dim)
        avoid(given, wanted / 2, wanted, "You are off by a factor of two: an fp16 number takes 2 bytes.", 1e-6 * wanted)
        case = f"For {clips} clips of {tokens} tokens at d_p = {dim}"
        close(case, given, wanted, "One MB is a million bytes.", 1e-6 * wanted)


@exercise("00.dense_loss")
def dense_loss(answer):
    """A function of predictions (M, d), targets (M, d) and visible (M,) bool that returns Eq. 5 as a number."""
    generator = torch.Generator().manual_seed(0)
    for tokens, dim in ((6, 3), (40, 16)):
        predicted, target = torch.randn(2, tokens, dim, generator=generator)
        visible = torch.rand(tokens, generator=generator) < 0.5
        visible[0], target[~visible] = True, 0.0
        wanted, every = cosine_loss(predicted[visible], target[visible]).item(), cosine_loss(predicted, target).item()
        given = answer(predicted, target, visible)
        avoid(given, every, wanted, "You average over all tokens. Occluded ones have no target and do not count.", 1e-5)
        hint = "It is the mean of 1 - cos over the visible tokens, and cos divides by both lengths."
        close("On a test case", given, wanted, hint, 1e-5)
