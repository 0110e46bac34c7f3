"""DINOv2 (transformers' ``Dinov2Model``) as a teacher: from a folder, from the hub, or with random weights."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import Dinov2Config, Dinov2Model
from transformers.utils import logging as transformers_logging

from ..errors import TeacherError
from .base import Features, Teacher

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Dinov2Teacher(Teacher):
    """Last-layer patch tokens after the final LayerNorm, and the class token. Positions are interpolated to any grid.

    The only preprocessing is mean and standard deviation: no resize, no crop, or pixels and patches would part ways. Models
    whose configuration sets ``foreground_tokens_only`` (ours does) are run on the patches that show something; the empty
    ones are left out of attention, which is how they were trained and four times as fast. Their features are returned as 0.
    An image's features do not depend on the others in its batch.

    batch : images a forward pass. dtype : of the weights; None takes bfloat16 where the device multiplies it in hardware.
    """

    def __init__(self, model: Dinov2Model, name: str, description: str, trained: bool, revision: str, mean=IMAGENET_MEAN, std=IMAGENET_STD, device="cpu", dtype: torch.dtype | None = None, batch: int = 64):
        config = model.config
        self.name, self.description, self.trained = name, description, trained
        self.patch, self.dim = config.patch_size, config.hidden_size
        self.foreground_only = bool(getattr(config, "foreground_tokens_only", False))
        self.device, self.batch = torch.device(device), batch
        self.dtype = dtype or fast_dtype(self.device)
        self.revision = f"{revision}-{str(self.dtype).removeprefix('torch.')}"
        self.model = model.to(self.device, self.dtype).eval().requires_grad_(False)
        self.mean = torch.tensor(mean, device=self.device).view(1, 3, 1, 1)
        self.std = torch.tensor(std, device=self.device).view(1, 3, 1, 1)

    def forward(self, image: torch.Tensor) -> Features:
        patches, summary = zip(*(self._forward_batch(part) for part in image.split(self.batch)))
        return Features(torch.cat(patches).to(image.device), torch.cat(summary).to(image.device))

    def _forward_batch(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        image = image.to(self.device, torch.float32)
        grid = image.shape[-1] // self.patch
        tokens = self.model.embeddings(((image - self.mean) / self.std).to(self.dtype))  # (b, 1 + h*w, D)
        if self.foreground_only:
            keep = foreground_patches(image, self.patch)  # (b, k), k the largest count in the batch ...
            shown = foreground_share(image, self.patch).gather(1, keep) > 0  # (b, k) ... so some of the others' are empty
            out = encode(self.model, select_tokens(tokens, keep), shown).float()
            patches = out.new_zeros(len(image), grid * grid, self.dim)
            patches.scatter_(1, keep[..., None].expand(-1, -1, self.dim), out[:, 1:].masked_fill(~shown[..., None], 0))
        else:
            out = encode(self.model, tokens).float()
            patches = out[:, 1:]
        return patches.reshape(-1, grid, grid, self.dim), out[:, 0]


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it in hardware (CUDA from Ampere on, CPUs with AMX), float32 elsewhere."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type == "cpu" and torch.cpu._is_amx_tile_supported():
        return torch.bfloat16
    return torch.float32


def foreground_share(image: torch.Tensor, patch: int) -> torch.Tensor:
    """Share of each patch's pixels that show something. image (b, 3, H, W) with background exactly 0 -> (b, h*w), in [0, 1]."""
    return torch.nn.functional.avg_pool2d((image[:, :1] > 0).float(), patch).flatten(1)


def foreground_patches(image: torch.Tensor, patch: int, most: int | None = None) -> torch.Tensor:
    """Indices of the patches with the most foreground pixels, as many for every image of the batch: (b, k) int64, ascending.

    image (b, 3, H, W) with background exactly 0. k is the largest count of non-empty patches in the batch, or ``most``.
    """
    share = foreground_share(image, patch)  # (b, h*w)
    k = most or max(1, int((share > 0).sum(1).max()))
    return share.sort(dim=1, descending=True, stable=True).indices[:, :k].sort(dim=1).values


def select_tokens(tokens: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """The class token and the kept patch tokens. tokens (b, 1 + P, D), keep (b, k) -> (b, 1 + k, D)."""
    chosen = torch.gather(tokens[:, 1:], 1, keep[..., None].expand(-1, -1, tokens.shape[-1]))
    return torch.cat([tokens[:, :1], chosen], 1)


def encode(model: Dinov2Model, tokens: torch.Tensor, shown: torch.Tensor | None = None) -> torch.Tensor:
    """Blocks and final LayerNorm over embedded tokens (b, 1 + k, D) -> (b, 1 + k, D).

    shown (b, k) bool : the patch tokens that the others may attend to; None is all of them.
    """
    mask = None
    if shown is not None and not shown.all():
        mask = tokens.new_zeros(len(tokens), 1, 1, tokens.shape[1])
        mask[..., 1:].masked_fill_(~shown[:, None, None], -torch.inf)  # added to the scores; the class token is never hidden
    return model.layernorm(model.encoder(tokens, attention_mask=mask).last_hidden_state)


def load_dinov2(folder_or_id: str, name: str, untrained_seed: int | None = None, **options) -> Dinov2Teacher:
    """Load a DINOv2 from a folder in transformers' layout or from a hub id such as ``facebook/dinov2-large``.

    untrained_seed : the same architecture with random weights drawn from that seed instead (a control, and marked as one).
    Raises TeacherError when the folder has no configuration, no or damaged weights, or the id cannot be reached.
    """
    folder = Path(folder_or_id)
    local = folder.is_dir()
    if not local and (folder.is_absolute() or str(folder_or_id).startswith(".") or str(folder_or_id).count("/") > 1):
        raise TeacherError("no such folder", folder, "check the path; a hub id has the form owner/name")
    if local and not (folder / "config.json").is_file():
        raise TeacherError("no config.json", folder, "point to a folder written by save_pretrained")
    weights = [f for f in (folder.glob("*.safetensors") if local else [])]
    if local and untrained_seed is None and not weights:
        raise TeacherError("a teacher folder without weights (no .safetensors file)", folder, "copy model.safetensors beside config.json, or ask for the untrained copy by adding /untrained to the name")
    try:
        if untrained_seed is not None:
            config = Dinov2Config.from_pretrained(folder_or_id, attn_implementation="sdpa")
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(untrained_seed)
                model = Dinov2Model(config)
        else:
            with bars(shown=not local):
                model, report = Dinov2Model.from_pretrained(folder_or_id, attn_implementation="sdpa", use_safetensors=True, output_loading_info=True)
            if report["missing_keys"]:
                raise TeacherError(f"weights missing for {len(report['missing_keys'])} tensors, the first {sorted(report['missing_keys'])[0]}", folder_or_id, "the file is not a whole Dinov2Model; copy it again")
        mean, std = preprocessing(folder)
    except TeacherError:
        raise
    except Exception as error:  # transformers, safetensors and the hub raise a dozen unrelated types here
        mend = "the weights are damaged or of another architecture: copy them again" if local else "a hub id needs the network once; offline, give a folder, or use cross4d-tiny, which ships with the library"
        raise TeacherError(f"the teacher cannot be loaded ({type(error).__name__}: {str(error).partition(chr(10))[0][:200]})", folder_or_id, mend) from error
    description = f"DINOv2, {model.config.num_hidden_layers} layers, D = {model.config.hidden_size}, patch {model.config.patch_size}"
    if untrained_seed is not None:
        description += ", UNTRAINED (random weights)"
    return Dinov2Teacher(model, name, description, untrained_seed is None, model_digest(model, mean, std), mean, std, **options)


@contextmanager
def bars(shown: bool):
    """transformers' progress bars: worth it for a download, noise where a file is read in a blink."""
    before = transformers_logging.is_progress_bar_enabled()
    if not shown:
        transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if before:
            transformers_logging.enable_progress_bar()


def preprocessing(folder: Path) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of the three channels, as the folder's preprocessor_config.json states them, else ImageNet's."""
    file = folder / "preprocessor_config.json"
    stated = json.loads(file.read_text()) if file.is_file() else {}
    return list(stated.get("image_mean") or IMAGENET_MEAN), list(stated.get("image_std") or IMAGENET_STD)


def model_digest(model: Dinov2Model, mean: list[float], std: list[float]) -> str:
    """A hash of all that decides the features, 16 hex digits: the weights, the settings no weight shows, the preprocessing."""
    config = model.config
    settings = [config.num_attention_heads, config.hidden_act, config.layer_norm_eps, bool(getattr(config, "foreground_tokens_only", False))]
    return hashlib.sha256(json.dumps([weights_digest(model), settings, mean, std]).encode()).hexdigest()[:16]


def weights_digest(model: torch.nn.Module) -> str:
    """SHA-256 over names and bytes of all weights in float32, 16 hex digits: the same model has the same revision anywhere."""
    digest = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
