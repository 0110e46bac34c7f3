"""What the figures show, computed once and handed to them: which frame, which point, which features. Nothing is drawn
here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..clips import Clip
from ..correspondence import at_points, patch_index, point_features, token_neighbours
from ..encoders import Encoder, Tokens
from ..errors import ConfigError
from ..points import nearest_neighbours, nearest_point
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
    """Figure 1's evidence: the frozen side of one frame (``pipeline``) and the tokens of that frame beside it.

    centres : (m, 3). rgb : (m, 3), token features under a PCA of the clip's tokens. visible : (m,) bool, n*(j) is
    visible.
    features, targets : (m, k), a few entries of t_j and of y_j in units of their deviations; NaN where there is no
    target.
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
