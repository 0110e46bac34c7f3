"""Datasets by name. One file a dataset; ``synthetic/`` generates the embedded ones."""

from __future__ import annotations

from ..clips import Stride
from ..errors import ConfigError
from .base import ClipDataset, Entry, Source
from .data_files import dataset_root

__all__ = [
    "ClipDataset",
    "Entry",
    "Source",
    "dataset_names",
    "dataset_root",
    "load_dataset",
    "load_source",
    "register_dataset",
]

_MODULES = {  # name -> module, or module:attribute where a module holds more than one Source
    "msr-action3d": "msr_action3d",
    "utd-mhad": "utd_mhad",
    "ntu-rgbd60": "ntu_rgbd60",
    "deforming-things4d": "deforming_things4d",
    "deforming-things4d-actions": "deforming_things4d:ACTIONS",
    "animals": "animals",
    "animals-actions": "animals:ACTIONS",
    "hoi4d": "hoi4d",
    "synthetic-actions": "synthetic.actions",
    "synthetic-animals": "synthetic.animals",
    "synthetic-animals-actions": "synthetic.animals:ACTIONS",
    "synthetic-scenes": "synthetic.scenes",
    "synthetic-interactions": "synthetic.interactions",
}
_REGISTERED: dict[str, Source] = {}


def register_dataset(source: Source) -> Source:
    """Let ``load_dataset``, and all that takes a dataset by name, find a Source outside of this folder.

    Raises ConfigError on a name that a dataset of this folder has.
    """
    if source.name in _MODULES:
        raise ConfigError(f"two datasets are called {source.name!r}", "register_dataset", "choose another name")
    _REGISTERED[source.name] = source
    return source


def dataset_names() -> tuple[str, ...]:
    """Names that ``load_dataset`` takes."""
    return (*_MODULES, *_REGISTERED)


def load_source(name: str) -> Source:
    """The Source of a dataset, without touching its files. Raises ConfigError on an unknown name."""
    from importlib import import_module

    if name in _REGISTERED:
        return _REGISTERED[name]
    if name not in _MODULES:
        raise ConfigError(f"no dataset is called {name!r}", "load_dataset", f"one of {', '.join(dataset_names())}")
    module, _, attribute = _MODULES[name].partition(":")
    return getattr(import_module(f".{module}", __name__), attribute or "SOURCE")


def load_dataset(
    name: str,
    split: str = "train",
    root=None,
    frames: int = 24,
    points: int = 2048,
    stride: Stride = 1,
    seed: int = 0,
    limit: int | None = None,
    skip_empty: bool = False,
    memory: int | None = None,
) -> ClipDataset:
    """A split of a dataset as clips of ``frames`` x ``points`` (Table 8: MSR-Action3D 24 x 2048, stride 1).

    name : see ``dataset_names()``. split : "train" or "test"; a dataset's file states by what rule, and which other
    splits it has. root : the dataset's folder; None looks in $CROSS4D_DATA/<name> (embedded datasets need neither).
    stride : frames between two frames of a clip, or "uniform" to spread them over the whole video. seed : of the point
    sampling. limit : keep that many clips, spread over the classes. skip_empty : leave out videos without a point in
    any frame, listed in ``left_out`` and counted; opens every video. memory : MiB of clips kept after reading, the
    least recently used leave first; None is $CROSS4D_CLIP_MEMORY, or ``decisions.CLIP_MEMORY``.

    Raises ConfigError on an unknown name or split and on numbers that are none, DataError on missing or unusable files.
    """
    return ClipDataset(load_source(name), split, root, frames, points, stride, seed, limit, skip_empty, memory)
