"""What the figures of the dense tasks show, computed once: one motion under one encoder, and what a segmenter makes of
a clip."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from torch import nn

from ..clips import Clip
from ..encoders import Encoder
from ..errors import ConfigError
from ..evaluation.segmentation import LabelledTokens, Segmenter
from ..points import nearest_neighbours, nearest_point
from ..precision import autocast
from .colours import fit_pca_rgb, similarity
from .evidence import NEIGHBOURS, TokenFrames, token_features


def moving_point(clip: Clip, frame: int) -> int:
    """The point of a frame whose neighbourhood moves most over the clip: a paw, a hand.

    Where points are tracked their own path counts; a depth video's points have none, and the distance to the nearest
    point of the other frames stands for it. Ours.
    """
    cloud = torch.as_tensor(clip.points)
    here = cloud[frame].expand_as(cloud)  # (T, N, 3)
    there = (
        cloud
        if clip.tracked
        else torch.gather(cloud, 1, nearest_point(here.contiguous(), cloud)[..., None].expand(-1, -1, 3))
    )
    far = (there - here).norm(dim=-1).amax(0)  # (N,)
    near = nearest_neighbours(cloud[frame], cloud[frame], min(NEIGHBOURS, cloud.shape[1]))  # (N, k)
    return int(far[near].mean(1).argmax())


def motion_frames(clip: Clip, encoder: Encoder, frames: list[int], anchor: int) -> TokenFrames:
    """Some frames of one clip under one encoder (Figure 5). The PCA is fitted on every frame of the clip, and its mean
    is what the similarity is taken from: to point ``anchor`` of the first frame shown, in all of them."""
    features = token_features(clip, encoder)  # (T, N, C)
    pca = fit_pca_rgb(features.reshape(-1, features.shape[-1]))
    like = pca.centred(features[frames[0], anchor])
    return TokenFrames([pca(features[f]) for f in frames], [similarity(pca.centred(features[f]), like) for f in frames])


def frozen_segmenter(encoder: Encoder, head: nn.Linear, standardized_on: LabelledTokens | None = None) -> Segmenter:
    """Encoder and per-point head of ``segment_frozen`` as one model, so that frozen and fine-tuned ones are asked
    alike.

    standardized_on : the training tokens, where the head was trained on z-scored features: the z-scoring is folded into
    the head.
    """
    with torch.random.fork_rng(devices=[]):  # the fresh head is thrown away
        segmenter = Segmenter(encoder, head.out_features)
    segmenter.head = deepcopy(head)
    if standardized_on is not None:
        flat = standardized_on.features.flatten(0, 1)
        with torch.no_grad():
            segmenter.head.weight /= flat.std(0).clamp_min(1e-8)
            segmenter.head.bias -= segmenter.head.weight @ flat.mean(0)
    return segmenter.to(next(encoder.parameters()).device)


def point_probabilities(clip: Clip, segmenter: Segmenter) -> np.ndarray:
    """Softmax over the classes at every point, (T, N, K) float32; its argmax is the prediction."""
    device = next(segmenter.parameters()).device
    was_training = segmenter.training
    segmenter.eval()
    with torch.inference_mode(), autocast(device):
        scores = segmenter(torch.as_tensor(clip.points)[None].to(device))[0]
    segmenter.train(was_training)
    return scores.float().softmax(-1).cpu().numpy()


def truth_probability(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The probability given to the class a point truly has. probabilities (T, N, K), truth (T, N) -> (T, N), NaN where
    truth is negative.

    Raises ConfigError when a class is not among the K.
    """
    if truth.max(initial=-1) >= probabilities.shape[-1]:
        raise ConfigError(
            f"class {truth.max()} of {probabilities.shape[-1]}",
            "truth_probability",
            "probabilities of the classes the labels come from",
        )
    given = np.take_along_axis(probabilities, truth.clip(0)[..., None], -1)[..., 0]
    return np.where(truth < 0, np.nan, given)
