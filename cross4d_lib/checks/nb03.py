"""Checks of notebook 03, teacher and targets."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F

from ..datasets import load_dataset
from ..encoders import Point4D
from ..pretexts import cosine_loss
from ..targets import key_of, store_spec
from . import exercise, shaped, whole


@exercise("03.tokens")
def tokens(answer):
    """Tokens of a ViT with patches of 14 px on an image of 168 px, class token included. (an int)"""
    side = 168 // 14
    whole(answer, "tokens")
    assert answer != side, f"{side} patches lie in one row; the image has as many rows."
    assert answer != side * side, "Those are the patches. One more token goes in front of them."
    assert answer == side * side + 1, f"The image has {side} x {side} patches, and the class token comes on top."


@exercise("03.patchify")
def patchify(answer):
    """A function of an image (3, H, W) and a patch side: rows (h * w, 3 * patch * patch) in unfold's order."""
    generator = torch.Generator().manual_seed(0)
    for height, width, patch in ((6, 6, 2), (6, 9, 3)):
        image = torch.rand(3, height, width, generator=generator)
        wanted = F.unfold(image[None], patch, stride=patch)[0].T
        given = torch.as_tensor(answer(image, patch))
        shaped(given, wanted.shape)
        assert torch.equal(given, wanted), (
            "The shape is right, the order is not. Split (3, h, patch, w, patch), then bring h and w to the front; "
            "within a row the colour channel comes first."
        )


def changed_stores() -> set[str]:
    """The letters of exercise 3 whose change gives another key, by asking the library."""

    def key(points=64, teacher="trained", **fields):
        clips = load_dataset("synthetic-actions", "train", frames=2, points=points, stride="uniform", limit=1)
        encoder = Point4D(**{"tokens": 8, "dim": 16, "depth": 1, "heads": 2, "neighbours": 4, **fields})
        return key_of(store_spec(clips, SimpleNamespace(revision=teacher), encoder, 16, 126, "random", 1))

    # (b) and (f) belong to pretraining: build_targets has no such argument
    changes = {"a": {"points": 128}, "c": {"teacher": "untrained"}, "d": {"depth": 2}, "e": {"tokens": 16}}
    return {letter for letter, change in changes.items() if key(**change) != key()}


@exercise("03.new_store")
def new_store(answer):
    """The changes that give a new target store, as a string of letters out of a to f."""
    assert isinstance(answer, str) and set(answer) <= set("abcdef"), 'Give the letters as one string, such as "bd".'
    wanted = changed_stores()
    extra, missing = sorted(set(answer) - wanted), sorted(wanted - set(answer))
    assert not extra, f"({extra[0]}) leaves the store as it is: nothing that is written into it depends on that."
    hint = "go through clips, camera, teacher, projection and the encoder's choice of points."
    assert not missing, f"{len(missing)} more: {hint}"


@exercise("03.best_constant")
def best_constant(answer):
    """A function of targets (n, d) that returns the vector (d,) of the smallest mean cosine loss."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(200, 8, generator=generator) + torch.randn(8, generator=generator)
    targets = targets * torch.exp(2 * torch.randn(200, 1, generator=generator))  # of very different lengths
    given = torch.as_tensor(answer(targets), dtype=torch.float32)
    shaped(given, (8,))
    loss = cosine_loss(given.expand_as(targets), targets).item()
    best = 1 - F.normalize(targets, dim=1).mean(0).norm().item()
    assert loss <= best + 1e-5, (
        f"Yours reaches a loss of {loss:.3f}, {best:.3f} is possible. A cosine does not depend on how long a target "
        "is, so a long one must not count more than a short one."
    )
