"""Video teachers, which take a clip as one: V-JEPA 2 (``VJEPA2Model``), VideoMAE (``VideoMAEModel``), and VideoMAE v2
(``OpenGVLab/VideoMAEv2-Base``), whose checkpoints bring their own code, run only when asked for by name.

One token covers ``tubelet`` frames in a row, so frame f has temporal token f // tubelet. There is no class token; the
mean over a frame's patch tokens stands for it (``decisions.VIDEO_SUMMARY``). A clip whose frames do not fill the last
tubelet, or a fixed window, stands still at its end: its last frame is repeated, and what is returned is cut to the clip
again.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from transformers import VideoMAEModel, VJEPA2Model

from ..errors import TeacherError
from .base import Features
from .frozen import FrozenTeacher


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
        batch = self.fitting_batch(tokens)
        patches = [None] * (len(clip) // self.tubelet)  # by temporal token
        for some in (starts[i : i + batch] for i in range(0, len(starts), batch)):
            videos = torch.stack([clip[start : start + window] for start in some])  # (b, window, 3, H, W)
            features = self._encode(self.normalised(videos.to(self.device, torch.float32))).float()
            # (b, window/tubelet * h*w, D) -> (b, window/tubelet, h, w, D)
            features = features.unflatten(1, (-1, *2 * (image.shape[-1] // self.patch,)))
            for start, of_window in zip(some, features):
                for j, token in enumerate(of_window, start // self.tubelet):
                    if patches[j] is None:  # where windows overlap, the earlier one counts
                        patches[j] = token
        frames = torch.stack(patches).repeat_interleave(self.tubelet, 0)[: len(image)].to(image.device)  # (T, h, w, D)
        return Features(frames, frames.mean((1, 2)))

    def _encode(self, videos: torch.Tensor) -> torch.Tensor:
        """(b, window, 3, H, W), normalised -> tokens (b, window/tubelet * h*w, D), time slowest, then rows."""
        raise NotImplementedError


class Vjepa2Teacher(VideoTeacher):
    """The encoder's tokens after its LayerNorm; the predictor is dropped. Any number of frames, any multiple of the
    patch.

    transformers takes a token's row and column from the grid of the configuration's ``crop_size``; on another grid its
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


class Videomae2Teacher(VideoTeacher):
    """Their model pools its tokens before it answers, so they are caught where they leave the last block."""

    label = "VideoMAE v2"

    def __init__(self, model, *arguments, **options):
        stated = model.config.model_config
        self.fixed_size, self.window = stated["img_size"], stated["num_frames"]
        super().__init__(model, *arguments, **options)
        self._caught: list[torch.Tensor] = []
        self.model.model.blocks[-1].register_forward_hook(lambda block, inputs, out: self._caught.append(out))

    @staticmethod
    def vision_config(config):
        stated = config.model_config
        return SimpleNamespace(
            patch_size=stated["patch_size"], hidden_size=stated["embed_dim"], num_hidden_layers=stated["depth"]
        )

    @property
    def tubelet(self) -> int:
        return self.model.config.model_config["tubelet_size"]

    def _encode(self, videos: torch.Tensor) -> torch.Tensor:
        self._caught.clear()
        self.model(videos.transpose(1, 2))  # their order is (b, 3, window, H, W)
        return self._caught.pop()


def videomae2(model, name: str, revision: str, options: dict) -> Videomae2Teacher:
    """A model that came with its own code as a teacher. Raises TeacherError when it is not built as VideoMAE v2's
    are."""
    try:
        teacher = Videomae2Teacher(model, name, "", True, revision, **options)
    except (AttributeError, KeyError, TypeError) as error:
        raise TeacherError(
            f"its own code is not built as VideoMAE v2's ({type(error).__name__}: {error})",
            name,
            "only checkpoints such as OpenGVLab/VideoMAEv2-Base are read with their own code",
        ) from error
    teacher.description = (
        f"{teacher.label} (remote code), {teacher.depth} layers, D = {teacher.dim}, patch {teacher.patch}"
    )
    return teacher
