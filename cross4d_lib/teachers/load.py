"""From a name to a frozen teacher: folder, hub id or published size, one way for every family, with one kind of
refusal."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub.errors import GatedRepoError
from transformers import AutoModel, PreTrainedConfig
from transformers.utils import cached_file
from transformers.utils import logging as transformers_logging

from ..errors import ConfigError, Cross4DError, TeacherError
from . import image, language, video
from .frozen import FrozenTeacher, check_room, checked_options
from .provenance import in_domain_note
from .published import PUBLISHED, side

ADAPTERS: dict[str, type[FrozenTeacher]] = {  # by transformers' model_type
    "dinov2": image.Dinov2Teacher,
    "dinov2_with_registers": image.Dinov2RegistersTeacher,
    "dinov3_vit": image.Dinov3Teacher,
    "vjepa2": video.Vjepa2Teacher,
    "videomae": video.VideomaeTeacher,
    "clip": language.ClipTeacher,
    "clip_vision_model": language.ClipVisionTeacher,
    "siglip": language.SiglipTeacher,
    "siglip_vision_model": language.SiglipVisionTeacher,
}
LIMITS = {"layers": 1000, "size": 100_000}  # of a configuration's numbers, by what their names contain
PREPROCESSORS = ("preprocessor_config.json", "video_preprocessor_config.json")


def load_transformers(
    folder_or_id: str,
    name: str,
    untrained_seed: int | None = None,
    trust_remote_code: bool = False,
    layer: int | None = None,
    **options,
) -> FrozenTeacher:
    """Load a teacher from a folder in transformers' layout or from a hub id such as ``facebook/dinov2-large``.

    The family is the one its configuration names. untrained_seed : the same architecture with random weights drawn from
    that seed instead (a control, and labelled as one); sizes of PUBLISHED need no network then. trust_remote_code : run
    the code that comes with the checkpoint, where it brings its own (VideoMAE v2); never otherwise. layer : features
    after that block, counted from 1, through the model's final LayerNorm; None is the last. options : device, dtype,
    batch.

    Raises TeacherError when the folder has no configuration, no or damaged weights, a configuration of no family, when
    the id cannot be reached or is gated, or when the weights do not fit into memory.
    """
    checked_options(**{"device": "cpu"} | options)  # before anything is loaded
    local, untrained = Path(folder_or_id).is_dir(), untrained_seed is not None
    _check_place(folder_or_id, untrained)
    try:
        config = _read_config(folder_or_id, local, untrained)
        if config.get("model_type") not in ADAPTERS:
            if layer is not None:
                raise ConfigError(f"layer={layer!r} of a model that brings its own code", folder_or_id, "leave it out")
            return _load_foreign(folder_or_id, name, config, untrained, trust_remote_code, options)
        adapter = ADAPTERS[config["model_type"]]
        settings = _settings(adapter, folder_or_id, untrained)
        depth = adapter.vision_config(settings).num_hidden_layers
        check_layer(layer, depth, name)  # before any weight is loaded
        check_room(about_parameters(adapter, settings), name)
        if untrained:
            with torch.random.fork_rng(devices=[]):  # nobody else's random numbers move
                torch.manual_seed(untrained_seed)
                model = adapter.architecture(settings)
        else:
            model = _trained(adapter, folder_or_id, settings, local)
        mean, std = preprocessing(folder_or_id, adapter, local, untrained)
    except Cross4DError:
        raise
    except Exception as error:  # transformers, safetensors and the hub raise a dozen unrelated types here
        raise _refusal(folder_or_id, local, error) from error
    vision = adapter.vision_config(model.config)
    cut_after(model, layer or depth, depth)
    description = f"{adapter.label}, {depth} layers, D = {vision.hidden_size}, patch {vision.patch_size}"
    description += "" if layer in (None, depth) else f", layer {layer} of {depth}"
    description += "" if untrained else in_domain_note(config)
    if untrained:
        description += ", UNTRAINED (random weights)"
        if folder_or_id in PUBLISHED and PUBLISHED[folder_or_id].note:
            description += f"; {PUBLISHED[folder_or_id].note}"
    teacher = adapter(
        model,
        name,
        description,
        not untrained,
        model_digest(adapter.kept(model), adapter.settings(model.config), mean, std),
        mean,
        std,
        **options,
    )
    if isinstance(teacher, language.LanguageTeacher):
        teacher.source = folder_or_id
    return teacher


def _check_place(folder_or_id: str, untrained: bool) -> None:
    """What can be refused before transformers is asked."""
    folder, published = Path(folder_or_id), PUBLISHED.get(folder_or_id)
    if published and not published.weights and not untrained:
        raise TeacherError(
            "a size of ours that exists only with random weights", folder_or_id, f"ask for {folder_or_id}/untrained"
        )
    if published:
        return
    local = folder.is_dir()
    if not local and (folder.is_absolute() or str(folder_or_id).startswith(".") or str(folder_or_id).count("/") > 1):
        raise TeacherError("no such folder", folder, "check the path; a hub id has the form owner/name")
    if local and not (folder / "config.json").is_file():
        raise TeacherError("no config.json", folder, "point to a folder written by save_pretrained")
    if local and not untrained and not list(folder.glob("*.safetensors")):
        raise TeacherError(
            "a teacher folder without weights (no .safetensors file)",
            folder,
            "copy model.safetensors beside config.json, or ask for the untrained copy by adding /untrained to the name",
        )


def _read_config(folder_or_id: str, local: bool, untrained: bool) -> dict:
    if untrained and folder_or_id in PUBLISHED and not local:
        return {"model_type": PUBLISHED[folder_or_id].model_type}
    if not local:
        return PreTrainedConfig.get_config_dict(folder_or_id)[0]
    config = json.loads((Path(folder_or_id) / "config.json").read_text())
    for part in (config, *(part for part in config.values() if isinstance(part, dict))):
        for key, value in part.items():
            limit = next((limit for word, limit in LIMITS.items() if word in key), None)
            if limit and isinstance(value, int) and not 0 <= value <= limit and key != "vocab_size":
                raise TeacherError(f"config.json: {key} is {value:,}", folder_or_id, f"at most {limit:,}")
    return config


def _settings(adapter: type[FrozenTeacher], folder_or_id: str, untrained: bool):
    """The configuration object of a model. Sides stated as pairs become the numbers they are."""
    kind = adapter.architecture.config_class
    if untrained and folder_or_id in PUBLISHED:
        return kind(**PUBLISHED[folder_or_id].config, attn_implementation="sdpa")
    settings = kind.from_pretrained(folder_or_id, attn_implementation="sdpa")
    vision = adapter.vision_config(settings)
    for key in ("patch_size", "image_size", "crop_size"):
        if hasattr(vision, key):
            setattr(vision, key, side(getattr(vision, key), folder_or_id))
    return settings


def _trained(adapter: type[FrozenTeacher], folder_or_id: str, settings, local: bool):
    """The checkpoint's model. Weights that are missing and matter are an error: transformers would draw them at
    random."""
    with bars(shown=not local):
        model, report = adapter.architecture.from_pretrained(
            folder_or_id, config=settings, use_safetensors=True, output_loading_info=True
        )
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(adapter.unused or ("\0",)))
    if missing:
        raise TeacherError(
            f"weights missing for {len(missing)} tensors, the first {missing[0]}",
            folder_or_id,
            f"the file is not a whole {adapter.architecture.__name__}; copy it again",
        )
    return model


def check_layer(layer: int | None, depth: int, name: str) -> None:
    """Raise ConfigError unless layer is None or a whole number from 1 to depth."""
    if layer is not None and (isinstance(layer, bool) or not isinstance(layer, int) or not 1 <= layer <= depth):
        raise ConfigError(f"layer={layer!r}", name, f"a whole number from 1 to {depth}, or None for the last")


def cut_after(model: torch.nn.Module, layer: int, depth: int) -> None:
    """Leave out the blocks behind ``layer`` of the ``depth`` of what sees, in place."""
    seeing = getattr(model, "vision_model", model)
    blocks = next(part for part in seeing.modules() if isinstance(part, torch.nn.ModuleList) and len(part) == depth)
    del blocks[layer:]


def about_parameters(adapter: type[FrozenTeacher], config) -> int:
    """About the weights of what sees, from its configuration: 4 D^2 of attention and 8 D^2 of MLP in every
    block."""
    vision = adapter.vision_config(config)
    return 12 * vision.num_hidden_layers * vision.hidden_size**2


def _load_foreign(
    folder_or_id: str, name: str, config: dict, untrained: bool, trust_remote_code: bool, options: dict
) -> FrozenTeacher:
    """A configuration of no family here: refused, or, when asked for by name, run with the code it brings."""
    kind = config.get("model_type", "nothing")
    if "auto_map" not in config:
        raise TeacherError(
            f"the configuration says model_type {kind}, which is no family known here",
            folder_or_id,
            f"one of {', '.join(ADAPTERS)}",
        )
    if not trust_remote_code:
        raise TeacherError(
            f"model_type {kind} brings its own code, which is not run unless asked for by name",
            folder_or_id,
            f"read its code first; load_teacher({name!r}, trust_remote_code=True) then runs it. To go on without: "
            "MCG-NJU/videomae-base or -large, which need none",
        )
    if untrained:
        raise TeacherError(
            f"no untrained copy of model_type {kind}, whose architecture is its own code",
            folder_or_id,
            "OpenGVLab/VideoMAEv2-Base/untrained has the architecture of v1 at the same size",
        )
    with bars(shown=not Path(folder_or_id).is_dir()):
        model = AutoModel.from_pretrained(folder_or_id, trust_remote_code=True, use_safetensors=True)
    mean, std = preprocessing(folder_or_id, video.Videomae2Teacher, Path(folder_or_id).is_dir(), False)
    return video.videomae2(model, name, model_digest(model, ["remote code", kind], mean, std), options)


def _refusal(folder_or_id: str, local: bool, error: Exception) -> TeacherError:
    """An error of transformers, safetensors or the hub as one of ours."""
    published, cause = PUBLISHED.get(folder_or_id), f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
    licence = f" Licence: {published.licence}." if published else ""
    if local:
        return TeacherError(
            f"the teacher cannot be loaded ({cause})",
            folder_or_id,
            "the weights are damaged or of another architecture: copy them again",
        )
    shipped = "cross4d-tiny, which ships with the library"
    without = f"To go on without: {folder_or_id}/untrained (random weights, a control) or {shipped}"
    if _is_gated(error):
        return TeacherError(
            f"the weights are gated: their owner must let you in first ({cause}).{licence}",
            folder_or_id,
            f"accept the terms on https://huggingface.co/{folder_or_id} and log in with `hf auth login`, or give a "
            f"folder that holds them. {without}",
        )
    fix = f"a hub id needs the network once; offline, give a folder, or use {shipped}"
    return TeacherError(
        f"the teacher cannot be loaded ({cause}){licence}", folder_or_id, f"{fix}. {without}" if published else fix
    )


def _is_gated(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, GatedRepoError) or "gated repo" in str(error).lower():
            return True
        error = error.__cause__
    return False


@contextmanager
def bars(shown: bool):
    """transformers' progress bars: shown for a download, off where a file is read in a blink."""
    before = transformers_logging.is_progress_bar_enabled()
    if not shown:
        transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if before:
            transformers_logging.enable_progress_bar()


def preprocessing(
    folder_or_id: str, adapter: type[FrozenTeacher], local: bool, untrained: bool
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of the three channels as the checkpoint states them, else those of its family."""
    stated = {}
    for file in PREPROCESSORS:
        if local:
            path = Path(folder_or_id) / file
        elif untrained:
            continue  # random weights were trained on no preprocessing
        else:
            path = cached_file(folder_or_id, file, _raise_exceptions_for_missing_entries=False)
        if path and Path(path).is_file():
            stated = json.loads(Path(path).read_text())
            break
    return list(stated.get("image_mean") or adapter.default_mean), list(stated.get("image_std") or adapter.default_std)


def model_digest(model: torch.nn.Module, settings: list, mean: list[float], std: list[float]) -> str:
    """A hash of all that decides the features, 16 hex digits: the weights, the settings no weight shows, the
    preprocessing."""
    return hashlib.sha256(json.dumps([weights_digest(model), settings, mean, std]).encode()).hexdigest()[:16]


def weights_digest(model: torch.nn.Module) -> str:
    """SHA-256 over names and bytes of all weights in float32, 16 hex digits: the same model has the same revision
    anywhere."""
    digest = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
