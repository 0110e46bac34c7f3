"""VideoMAE v2's checkpoints, which bring their own code (``OpenGVLab/VideoMAEv2-Base``). Run only when asked for by
name."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from ..errors import TeacherError
from .video import VideoTeacher


class Videomae2Teacher(VideoTeacher):
    """Their model pools its tokens before it answers, so they are caught where they leave the last block."""

    label = "VideoMAE v2"

    def __init__(self, model, *arguments, **options):
        stated = model.config.model_config
        self.fixed_size, self.window = stated["img_size"], stated["num_frames"]
        super().__init__(model, *arguments, **options)
        self._caught: list[torch.Tensor] = []
        self.model.model.blocks[-1].register_forward_hook(lambda block, given, out: self._caught.append(out))

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


def wrap(model, name: str, revision: str, options: dict) -> Videomae2Teacher:
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
