"""What a spec names, made: its clips, its encoder before any training, its targets."""

from __future__ import annotations

import os
from functools import lru_cache

import torch

from ..datasets import ClipDataset, load_dataset
from ..encoders import Encoder, build_encoder
from ..targets import TargetStore, build_targets
from ..teachers import load_teacher
from .old_spec import RunSpec


def clips_of(spec: RunSpec, split: str | None = None) -> ClipDataset:
    """The clips the spec pretrains on, or those of another ``split`` of the same dataset, sampled alike.

    The sampling seed is 0 for every run: seeds vary the encoder, not the data. Runs on the same clips share them within
    a process: making or reading them takes longer than a small run's training.
    """
    return _shared_clips(
        spec.dataset,
        split or spec.split,
        spec.frames,
        spec.points,
        spec.stride,
        spec.clips,
        os.environ.get("CROSS4D_DATA"),
    )


def task_clips(spec: RunSpec) -> tuple[ClipDataset, ClipDataset]:
    """(learned from, scored on): the clips of the spec's task."""
    size = {"frames": spec.frames, "points": spec.points, "stride": spec.stride, **dict(spec.task_clip)}
    return tuple(
        _shared_clips(spec.measured_on, split, *size.values(), spec.clips, os.environ.get("CROSS4D_DATA"))
        for split in spec.task_splits
    )


@lru_cache(maxsize=6)
def _shared_clips(
    dataset: str, split: str, frames: int, points: int, stride: int | str, clips: int | None, root: str | None
) -> ClipDataset:
    return load_dataset(dataset, split, frames=frames, points=points, stride=stride, limit=clips)


def fresh_encoder(spec: RunSpec) -> Encoder:
    """The spec's encoder with the weights of its seed, before any training: the ``random`` row itself."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        return build_encoder("point4d", **dict(spec.encoder))


def targets_of(spec: RunSpec, encoder: Encoder, train: ClipDataset, device="cpu", progress: bool = True) -> TargetStore:
    """The spec's target store, built or opened."""
    teacher = load_teacher(spec.teacher, device=device)
    return build_targets(
        train,
        teacher,
        spec.dim,
        spec.size,
        spec.projection,
        spec.cameras,
        encoder=encoder,
        progress=progress,
    )
