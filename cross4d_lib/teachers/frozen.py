"""What all teachers over ``transformers`` share: device, precision, pixels, batches. A family adds what its tokens
mean."""

from __future__ import annotations

import torch

from ..allocator import keep_freed_memory
from .base import Features, Teacher
from .memory import fitting_batch

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF_MEAN = HALF_STD = (0.5, 0.5, 0.5)


class FrozenTeacher(Teacher):
    """A model of ``transformers``, frozen. The only preprocessing is mean and standard deviation: no resize, no crop,
    or pixels and patches would part ways. An image's features do not depend on the others in its batch.

    A family sets architecture (the model class), label (for the description), mean and std (where a checkpoint states
    none), and ``_forward_batch``; unused names the weights a checkpoint may lack, because no feature depends on them.

    batch : images a forward pass at most; fewer are taken where memory is short. dtype : of the weights; None takes
    bfloat16 where the device multiplies it in hardware.
    """

    architecture: type
    label: str
    default_mean, default_std = IMAGENET_MEAN, IMAGENET_STD
    unused: tuple[str, ...] = ()

    def __init__(
        self,
        model,
        name: str,
        description: str,
        trained: bool,
        revision: str,
        mean=None,
        std=None,
        device="cpu",
        dtype: torch.dtype | None = None,
        batch: int = 64,
    ):
        vision = self.vision_config(model.config)
        self.name, self.description, self.trained = name, description, trained
        self.patch, self.dim = vision.patch_size, vision.hidden_size
        self.device, self.batch = torch.device(device), batch
        self.dtype = dtype or fast_dtype(self.device)
        self.revision = f"{revision}-{str(self.dtype).removeprefix('torch.')}"
        self.model = self.kept(model).to(self.device, self.dtype).eval().requires_grad_(False)
        shape = lambda values, default: torch.tensor(values or default, device=self.device).view(1, 3, 1, 1)
        self.mean, self.std = shape(mean, self.default_mean), shape(std, self.default_std)

    @staticmethod
    def vision_config(config):
        """The part of a configuration that describes what sees."""
        return config

    @staticmethod
    def kept(model):
        """The part of a model that features depend on."""
        return model

    @classmethod
    def settings(cls, config) -> list:
        """All of a configuration that decides features and that no weight's name or shape shows: it goes into the
        revision."""
        return [config.model_type, config.num_attention_heads, config.hidden_act, config.layer_norm_eps]

    @property
    def depth(self) -> int:
        return self.vision_config(self.model.config).num_hidden_layers

    def tokens(self, size: int) -> int:
        """Tokens of one item of a forward pass: of an image with a few tokens beside its patches."""
        return (size // self.patch) ** 2 + 8

    def forward(self, image: torch.Tensor) -> Features:
        keep_freed_memory()
        batch = fitting_batch(self.tokens(image.shape[-1]), self.dim, self.dtype, self.device, self.batch, self.name)
        patches, summary = zip(
            *(self._forward_batch(part.to(self.device, torch.float32)) for part in image.split(batch))
        )
        return Features(torch.cat(patches).to(image.device), torch.cat(summary).to(image.device))

    def normalised(self, image: torch.Tensor) -> torch.Tensor:
        """Images in [0, 1] as the model wants them."""
        return ((image - self.mean) / self.std).to(self.dtype)

    def _forward_batch(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, 3, H, W) on the device -> patches (b, h, w, D) and summary (b, D), float32."""
        raise NotImplementedError

    def on_grid(self, tokens: torch.Tensor, size: int) -> torch.Tensor:
        """Patch tokens (b, h*w, D), row by row, on their grid (b, h, w, D)."""
        return tokens.unflatten(1, 2 * (size // self.patch,))


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it in hardware (CUDA from Ampere on, CPUs with AMX), float32 elsewhere."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type == "cpu" and torch.cpu._is_amx_tile_supported():
        return torch.bfloat16
    return torch.float32
