"""What the figures show, computed once and handed to them: which frame, which point, which features, what a segmenter
predicts. Nothing is drawn here."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..clips import Clip
from ..correspondence import at_points, patch_index, point_features, token_neighbours
from ..encoders import Encoder, Tokens
from ..errors import ConfigError
from ..evaluation.segmentation import LabelledTokens, Segmenter
from ..points import nearest_neighbours, nearest_point
from ..precision import autocast
from ..render import Rendering, render
from ..teachers import Teacher, random_projection
from .colours import PcaRgb, fit_pca_rgb, similarity

REACH = 0.95  # quantile of the motion of a frame's points that says how far the frame has moved
TARGET_DIM = 384  # d_p of the default teacher
NEIGHBOURS = 8  # points whose motion is averaged, so that one stray point is not the anchor


def motion(points: np.ndarray) -> np.ndarray:
    """How far each point lies from the nearest point of the clip's first frame. (T, N, 3) -> (T, N), in the clip's
    unit.

    Points of a depth video have no identity over time, so this is the nearest thing to a displacement. Ours.
    """
    cloud = torch.as_tensor(points)
    first = cloud[:1].expand_as(cloud)
    return (cloud - first[0][nearest_point(cloud, first)]).norm(dim=-1).numpy()


def busiest_frame(clip: Clip) -> int:
    """The frame that has moved farthest from the first one."""
    return int(np.quantile(motion(clip.points), REACH, axis=1).argmax())


def busiest_point(clip: Clip, frame: int, among: np.ndarray | None = None) -> int:
    """The point of a frame whose neighbourhood has moved most: a raised hand, a kicking foot. among : (N,) bool, or
    None for all."""
    cloud = torch.as_tensor(clip.points[frame])
    near = nearest_neighbours(cloud, cloud, min(NEIGHBOURS, len(cloud))).numpy()  # (N, k)
    moved = motion(clip.points)[frame][near].mean(1)  # (N,)
    if among is not None:
        moved = np.where(among, moved, -1.0)
    return int(moved.argmax())


def chosen_frame(clip: Clip, frame: int | None) -> int:
    """``frame``, or the busiest one when it is None. Raises ConfigError on a frame the clip does not have."""
    if frame is None:
        return busiest_frame(clip)
    if not 0 <= frame < len(clip.points):
        raise ConfigError(f"frame {frame} of a clip of {len(clip.points)}", clip.id, "a frame from 0 to T - 1, or None")
    return frame


def nearness(clip: Clip, frame: int) -> np.ndarray:
    """(N,) in [0, 1]: 1 for the clip's nearest points, 0 for its farthest."""
    near, far = np.quantile(clip.points[..., 2], [0.01, 0.99])
    return np.clip((far - clip.points[frame, :, 2]) / max(far - near, 1e-9), 0, 1)


@dataclass(frozen=True)
class PipelineFrame:
    """Eq. 1 to 3 on one frame f of a clip, and the colours of what they give.

    view : the Rendering of the whole clip. patch : side in pixels. index : (N,) patch of each point, -1 where occluded.
    foreground : (h, w) bool, the patch shows something. anchor : the marked point, visible. pca : fitted on the
    foreground patches of all frames. patch_rgb (h, w, 3), point_rgb (N, 3): both under it. patch_alike (h, w),
    point_alike (N,): cosine with the anchor's patch, features less their mean; NaN where there is no feature. carried :
    (N, D), the teacher's features on the points, NaN where occluded.
    """

    clip: Clip
    frame: int
    view: Rendering
    patch: int
    index: np.ndarray
    foreground: np.ndarray
    anchor: int
    pca: PcaRgb
    patch_rgb: np.ndarray
    point_rgb: np.ndarray
    patch_alike: np.ndarray
    point_alike: np.ndarray
    carried: np.ndarray


def pipeline_frame(clip: Clip, teacher: Teacher, frame: int | None = None, size: int = 126) -> PipelineFrame:
    """One forward pass of the teacher over the clip; see PipelineFrame. size : render side in pixels."""
    frame = chosen_frame(clip, frame)
    view = render(clip.points, size)
    index = patch_index(view, teacher.patch)  # (T, N)
    patches = teacher(view.image).patches  # (T, h, w, D)
    foreground = torch.nn.functional.max_pool2d((view.index >= 0).float(), teacher.patch) > 0  # (T, h, w)
    pca = fit_pca_rgb(patches[foreground])
    carried = point_features(patches, index)[frame]  # (N, D), Eq. 3
    shown = torch.where(foreground[frame][..., None], patches[frame], torch.nan)  # (h, w, D)
    anchor = busiest_point(clip, frame, view.visible[frame].numpy())
    like = pca.centred(carried[anchor])
    return PipelineFrame(
        clip,
        frame,
        view,
        teacher.patch,
        index[frame].numpy(),
        foreground[frame].numpy(),
        anchor,
        pca,
        pca(shown),
        pca(carried),
        similarity(pca.centred(shown), like),
        similarity(pca.centred(carried), like),
        carried.numpy(),
    )


def run_encoder(clip: Clip, encoder: Encoder) -> Tokens:
    """The encoder's tokens for one clip, in evaluation mode and without a gradient."""
    was_training = encoder.training
    cloud = torch.as_tensor(clip.points)[None].to(next(encoder.parameters()).device)  # (1, T, N, 3)
    with torch.inference_mode():
        tokens = encoder.eval()(cloud)
    encoder.train(was_training)
    return tokens


def token_features(clip: Clip, encoder: Encoder) -> np.ndarray:
    """Every point takes the feature of the nearest token of its own frame (Figure 2). Returns (T, N, C) float32."""
    tokens = run_encoder(clip, encoder)
    index, weights = token_neighbours(tokens.centres.cpu(), tokens.frame.cpu(), torch.as_tensor(clip.points)[None], k=1)
    return at_points(tokens.features.float().cpu(), index, weights)[0].numpy()


@dataclass(frozen=True)
class OverviewFrame:
    """What Figure 1 shows: the frozen side of one frame (``pipeline``) and the tokens of that frame beside it.

    centres : (m, 3). rgb : (m, 3), token features under a PCA of the clip's tokens. visible : (m,) bool, n*(j) is
    visible. features, targets : (m, k), a few entries of t_j and of y_j in units of their deviations; NaN where there
    is no target.
    """

    pipeline: PipelineFrame
    centres: np.ndarray
    rgb: np.ndarray
    visible: np.ndarray
    features: np.ndarray
    targets: np.ndarray


def overview_frame(
    clip: Clip, teacher: Teacher, encoder: Encoder, frame: int | None = None, entries: int = 16
) -> OverviewFrame:
    """One pass of the teacher and one of the encoder over the clip; ``entries`` of each feature are kept for show."""
    pipeline = pipeline_frame(clip, teacher, frame)
    tokens = run_encoder(clip, encoder)
    own = (tokens.frame[0] == pipeline.frame).cpu()
    point = tokens.point[0].cpu()[own].numpy()
    features = tokens.features[0].float().cpu().numpy()  # (M, C)
    targets = pipeline.carried @ random_projection(teacher.dim, max(TARGET_DIM, entries)).numpy()  # (N, d_p)
    scaled = lambda rows: (rows - np.nanmean(rows, 0)) / np.maximum(np.nanstd(rows, 0), 1e-9)
    return OverviewFrame(
        pipeline,
        tokens.centres[0].cpu()[own].numpy(),
        fit_pca_rgb(features)(features[own.numpy()]),
        pipeline.index[point] >= 0,
        scaled(features)[own.numpy(), :entries],
        scaled(targets)[point, :entries],
    )


@dataclass(frozen=True)
class TokenFrames:
    """One frame of each of several clips under one encoder. rgb : (N, 3) a clip, all under one PCA. alike : (N,) a
    clip, cosine with the clip's anchor point."""

    rgb: list[np.ndarray]
    alike: list[np.ndarray]


def token_frames(clips: list[Clip], encoder: Encoder, frames: list[int], anchors: list[int]) -> TokenFrames:
    """Colours of the encoder's features on one frame of each clip. The PCA is fitted on all frames of all the clips,
    and its mean is what the similarity to each clip's anchor point is taken from."""
    features = [token_features(clip, encoder) for clip in clips]  # (T, N, C) each
    pca = fit_pca_rgb(np.concatenate([f.reshape(-1, f.shape[-1]) for f in features]))
    shown = [f[frame] for f, frame in zip(features, frames)]
    alike = [similarity(pca.centred(f), pca.centred(f[anchor])) for f, anchor in zip(shown, anchors)]
    return TokenFrames([pca(f) for f in shown], alike)


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
    """Encoder and per-point head of ``segment_frozen`` as one model, called as a fine-tuned one is.

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
