"""Our answers to the exercises of notebook 03."""

import torch.nn.functional as F

tokens = (168 // 14) ** 2 + 1  # 12 x 12 patches and the class token


def patchify(image, patch):
    channels, height, width = image.shape
    h, w = height // patch, width // patch
    return image.reshape(channels, h, patch, w, patch).permute(1, 3, 0, 2, 4).reshape(h * w, -1)


# Points, teacher and tokens decide what is stored. Seed, depth and centring only matter when the store is read.
new_store = "ace"


def best_constant(targets):
    return F.normalize(targets, dim=1).mean(0)  # the mean of the directions, not of the vectors


ANSWERS = {"03.tokens": tokens, "03.patchify": patchify, "03.new_store": new_store, "03.best_constant": best_constant}
