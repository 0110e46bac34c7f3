"""From a spec to what it names: its clips, its encoder before any training, its targets."""

from __future__ import annotations

import os
from functools import lru_cache

import torch

from ..datasets import ClipDataset, load_dataset
from ..encoders import Encoder, build_encoder
from ..targets import TargetStore, build_targets
from ..teachers import load_teacher
from .spec import DataSpec, PretrainingSpec, RunSpec


def clips_of(data: DataSpec, split: str | None = None) -> ClipDataset:
    """The clips that a spec pretrains on (``spec.data``) or is evaluated on (``spec.task.data``), or those of another
    ``split`` of the same dataset, sampled alike.

    The sampling seed is 0 for every run: seeds vary the encoder, not the data. Runs on the same clips share them within
    a process: generating or reading them takes longer than a small run's training.
    """
    return _shared_clips(data.model_copy(update={"split": split or data.split}), os.environ.get("CROSS4D_DATA"))


def task_clips(spec: RunSpec) -> tuple[ClipDataset, ClipDataset]:
    """(learned from, scored on): the clips of the spec's task."""
    return clips_of(spec.task.data, spec.task.learned_from), clips_of(spec.task.data)


@lru_cache(maxsize=6)
def _shared_clips(data: DataSpec, root: str | None) -> ClipDataset:
    return load_dataset(
        data.dataset, data.split, frames=data.frames, points=data.points, stride=data.stride, limit=data.clips
    )


def fresh_encoder(spec: PretrainingSpec) -> Encoder:
    """The spec's encoder with the weights of its seed, before any training: the ``random`` row itself."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        return build_encoder(spec.encoder.name, **spec.encoder.settings)


def targets_of(
    spec: PretrainingSpec, encoder: Encoder, clips: ClipDataset, device="cpu", progress: bool = True
) -> TargetStore:
    """The spec's targets of some clips, computed or opened; their points and grouping alone where the spec has no
    targets."""
    if spec.targets is None:
        return build_targets(clips, None, encoder=encoder, progress=progress)
    settings = dict(spec.targets)
    teacher = load_teacher(settings.pop("teacher"), layer=settings.pop("layer"), device=device)
    return build_targets(clips, teacher, **settings, encoder=encoder, progress=progress)
