"""Video teachers: V-JEPA 2 (``VJEPA2Model``) and VideoMAE (``VideoMAEModel``), which read a clip as one.

One token covers ``tubelet`` frames in a row, so frame f reads temporal token f // tubelet. There is no class token; the
mean over a frame's patch tokens stands for it (``decisions.VIDEO_SUMMARY``). A clip whose frames do not fill the last
tubelet, or a fixed window, stands still at its end: its last frame is repeated, and what is returned is cut to the clip
again.
"""

from __future__ import annotations

import torch
from transformers import VideoMAEModel, VJEPA2Model

from .base import Features
from .frozen import FrozenTeacher
from .memory import fitting_batch


def padded(image: torch.Tensor, multiple: int, least: int = 0) -> torch.Tensor:
    """Frames (T, ...) with the last one repeated, up to a multiple of ``multiple`` and at least ``least``."""
    wanted = max(least, -(-len(image) // multiple) * multiple)
    return torch.cat([image, image[-1:].expand(wanted - len(image), *image.shape[1:])])


def window_starts(frames: int, window: int) -> list[int]:
    """First frames of windows that cover ``frames`` frames, one after another; the last one ends with the clip, so it
    may overlap."""
    return sorted({min(start, frames - window) for start in range(0, frames, window)})


class VideoTeacher(FrozenTeacher):
    """Common to both families: frames to tubelets and back. ``window`` : frames the model takes at once, None for any
    number."""

    window: int | None = None

    @property
    def tubelet(self) -> int:
        return self.model.config.tubelet_size

    @classmethod
    def settings(cls, config) -> list:
        return [*super().settings(config), config.tubelet_size]

    def forward(self, image: torch.Tensor) -> Features:
        clip = padded(image, self.tubelet, self.window or 0)
        window = self.window or len(clip)
        starts = window_starts(len(clip), window)
        tokens = window // self.tubelet * (image.shape[-1] // self.patch) ** 2
        batch = fitting_batch(tokens, self.dim, self.dtype, self.device, self.batch, self.name)
        patches = [None] * (len(clip) // self.tubelet)  # by temporal token
        for some in (starts[i : i + batch] for i in range(0, len(starts), batch)):
            videos = torch.stack([clip[start : start + window] for start in some]).to(
                self.device, torch.float32
            )  # (b, window, 3, H, W)
            features = self._encode(self.normalised(videos)).float()  # (b, window/tubelet * h*w, D)
            features = features.unflatten(
                1, (-1, *2 * (image.shape[-1] // self.patch,))
            )  # (b, window/tubelet, h, w, D)
            for start, of_window in zip(some, features):
                for j, one in enumerate(of_window, start // self.tubelet):
                    patches[j] = (
                        one if patches[j] is None else patches[j]
                    )  # where windows overlap, the earlier one counts
        frames = torch.stack(patches).repeat_interleave(self.tubelet, 0)[: len(image)].to(image.device)  # (T, h, w, D)
        return Features(frames, frames.mean((1, 2)))

    def _encode(self, videos: torch.Tensor) -> torch.Tensor:
        """(b, window, 3, H, W), normalised -> tokens (b, window/tubelet * h*w, D), time slowest, then rows."""
        raise NotImplementedError


class Vjepa2Teacher(VideoTeacher):
    """The encoder's tokens after its LayerNorm; the predictor is dropped. Any number of frames, any multiple of the
    patch.

    transformers reads a token's row and column off the grid of the configuration's ``crop_size``; on another grid its
    rotary positions would be those of other patches. The grid of the render at hand is set instead, as the authors'
    code does.
    """

    architecture, label, unused = VJEPA2Model, "V-JEPA 2", ("predictor.",)

    @staticmethod
    def kept(model):
        model.predictor = None
        return model

    def _encode(self, videos: torch.Tensor) -> torch.Tensor:
        for layer in self.model.encoder.layer:
            layer.attention.grid_size = videos.shape[-1] // self.patch
        return self.model.encoder(videos).last_hidden_state


class VideomaeTeacher(VideoTeacher):
    """Windows of exactly ``num_frames`` frames of ``image_size`` px, tokens before any pooling. Models fine-tuned with
    mean pooling have no final LayerNorm of their own, so theirs are the last block's tokens as they are."""

    architecture, label = VideoMAEModel, "VideoMAE"

    def __init__(self, model, *arguments, **options):
        self.fixed_size, self.window = model.config.image_size, model.config.num_frames
        super().__init__(model, *arguments, **options)

    @classmethod
    def settings(cls, config) -> list:
        return [*super().settings(config), config.num_frames, config.use_mean_pooling]

    def _encode(self, videos: torch.Tensor) -> torch.Tensor:
        return self.model(videos).last_hidden_state
