"""What all teachers over ``transformers`` share: device, precision, pixels, and as many images at once as memory holds.
A family adds what its tokens mean."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path

import torch

from ..errors import ConfigError, TeacherError
from ..precision import precision_of
from .base import Features, Teacher

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF_MEAN = HALF_STD = (0.5, 0.5, 0.5)
SHARE = 0.6  # of the free memory, so that the render and the targets have room too
# times tokens x D that one block holds at most: queries, keys, values, the MLP's 4 D before and after its activation,
# sums
LIVE = 16


class FrozenTeacher(Teacher):
    """A model of ``transformers``, frozen. The only preprocessing is mean and standard deviation: no resize, no crop,
    or pixels and patches would part ways. An image's features do not depend on the others in its batch.

    A family sets architecture (the model class), label (for the description), mean and std (where a checkpoint states
    none), and ``_forward_batch``; unused names the weights a checkpoint may lack, because no feature depends on them.

    batch : images a forward pass at most; fewer are taken where memory is short. dtype : of the weights, or its name;
    None: ``precision_of(device)``. Raises ConfigError on a device that is not here, a dtype that is none, batch < 1.
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
        dtype: torch.dtype | str | None = None,
        batch: int = 64,
    ):
        vision = self.vision_config(model.config)
        self.name, self.description, self.trained = name, description, trained
        self.patch, self.dim = vision.patch_size, vision.hidden_size
        self.device, self.dtype, self.batch = checked_options(device, dtype, batch)
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
        """All of a configuration that decides features and that no weight's name or shape shows: it enters the
        revision."""
        return [config.model_type, config.num_attention_heads, config.hidden_act, config.layer_norm_eps]

    @property
    def depth(self) -> int:
        return self.vision_config(self.model.config).num_hidden_layers

    def tokens(self, size: int) -> int:
        """Tokens of one item of a forward pass: of an image with a few tokens beside its patches."""
        return (size // self.patch) ** 2 + 8

    def forward(self, image: torch.Tensor) -> Features:
        batch = self.fitting_batch(self.tokens(image.shape[-1]))
        patches, summary = zip(
            *(self._forward_batch(part.to(self.device, torch.float32)) for part in image.split(batch))
        )
        return Features(torch.cat(patches).to(image.device), torch.cat(summary).to(image.device))

    def fitting_batch(self, tokens: int) -> int:
        """Items of ``tokens`` tokens (images, or windows of a clip) that a forward pass may take: at most ``batch``,
        fewer where memory is short. Raises TeacherError when not one fits. Attention is never laid out whole."""
        free, each = free_bytes(self.device), LIVE * tokens * self.dim * self.dtype.itemsize
        if free is None:
            return self.batch
        if (fit := int(SHARE * free) // each) < 1:
            raise TeacherError(
                f"one forward pass takes about {each / 1e9:.1f} GB, {free / 1e9:.1f} GB are free on {self.device}",
                self.name,
                "close other programs, use another device, or a smaller teacher",
            )
        return min(self.batch, fit)

    def normalised(self, image: torch.Tensor) -> torch.Tensor:
        """Images in [0, 1] as the model wants them."""
        return ((image - self.mean) / self.std).to(self.dtype)

    def _forward_batch(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, 3, H, W) on the device -> patches (b, h, w, D) and summary (b, D), float32."""
        raise NotImplementedError

    def on_grid(self, tokens: torch.Tensor, size: int) -> torch.Tensor:
        """Patch tokens (b, h*w, D), row by row, on their grid (b, h, w, D)."""
        return tokens.unflatten(1, 2 * (size // self.patch,))


def checked_options(
    device, dtype: torch.dtype | str | None = None, batch: int = 1
) -> tuple[torch.device, torch.dtype, int]:
    """The options of a teacher, checked. Raises ConfigError on one that has no such value."""
    try:
        device = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(f"device={device!r}", "load_teacher", "cpu, cuda or cuda:0") from error
    if device.type == "cuda" and not (device.index or 0) < torch.cuda.device_count():
        raise ConfigError(f"device={str(device)!r} is not on this machine", "load_teacher", 'device="cpu"')
    named = precision_of(device) if dtype is None else dtype
    kind = getattr(torch, named.removeprefix("torch."), None) if isinstance(named, str) else named
    if not (isinstance(kind, torch.dtype) and kind.is_floating_point and kind.itemsize > 1):
        raise ConfigError(f"dtype={dtype!r}", "load_teacher", "float32, bfloat16, float16 or None")
    if not isinstance(batch, Integral) or batch < 1:
        raise ConfigError(f"batch={batch!r}", "load_teacher", "a whole number, at least 1")
    return device, kind, int(batch)


def free_bytes(device: torch.device) -> int | None:
    """Free memory of a device in bytes; None where the system does not say."""
    if device.type == "cuda":  # torch keeps what it no longer uses
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return None


def check_room(parameters: int, name: str) -> None:
    """Refuse a model whose float32 weights alone do not fit into memory, before they are loaded."""
    free, needed = free_bytes(torch.device("cpu")), 4 * parameters
    if free is not None and needed > free:
        size = f"about {parameters / 1e6:,.0f} M weights take {needed / 1e9:.1f} GB"
        raise TeacherError(
            f"{size}, {free / 1e9:.1f} GB are free", name, "use another machine, or a smaller teacher of the family"
        )
