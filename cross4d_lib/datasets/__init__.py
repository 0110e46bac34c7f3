"""Datasets by name. One file a dataset; ``synthetic/`` makes the embedded ones."""

from __future__ import annotations

from ..clips import Stride
from ..errors import ConfigError
from .base import ClipDataset, Entry, Source, dataset_root

__all__ = ["ClipDataset", "Entry", "Source", "dataset_names", "dataset_root", "load_dataset", "load_source"]

_MODULES = {
    "msr-action3d": "msr_action3d",
    "utd-mhad": "utd_mhad",
    "synthetic-actions": "synthetic.actions",
    "synthetic-scenes": "synthetic.scenes",
    "synthetic-interactions": "synthetic.interactions",
}


def dataset_names() -> tuple[str, ...]:
    """Names that ``load_dataset`` takes."""
    return tuple(_MODULES)


def load_source(name: str) -> Source:
    """The Source of a dataset, without touching its files. Raises ConfigError on an unknown name."""
    from importlib import import_module

    if name not in _MODULES:
        raise ConfigError(f"no dataset is called {name!r}", "load_dataset", f"one of {', '.join(_MODULES)}")
    return import_module(f".{_MODULES[name]}", __name__).SOURCE


def load_dataset(name: str, split: str = "train", root=None, frames: int = 24, points: int = 2048, stride: Stride = 1, seed: int = 0, limit: int | None = None) -> ClipDataset:
    """A split of a dataset as clips of ``frames`` x ``points`` (Table 8: MSR-Action3D 24 x 2048, stride 1).

    name : see ``dataset_names()``. split : "train" or "test", cross-subject (synthetic-interactions also "train-views", "test-views"). root : the dataset's folder; None looks in
    $CROSS4D_DATA/<name> (embedded datasets need neither). stride : frames between two frames of a clip, or "uniform" to
    spread them over the whole video. seed : of the point sampling. limit : keep that many clips, spread over the classes.

    Raises ConfigError on an unknown name or split, DataError on missing or unusable files.
    """
    return ClipDataset(load_source(name), split, root, frames, points, stride, seed, limit)
