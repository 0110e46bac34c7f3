"""Cross4D-JEPA, step by step: a companion library to the paper (arXiv 2607.00514).

The names here are the whole way from depth video to Table 1; each module's docstring names the equation it implements.
They are imported when they are first used: `cross4d --help` need not wait for torch.
"""

import sys
import warnings
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

# tqdm, on import in a notebook without ipywidgets: progress is shown as text, which is what we want
warnings.filterwarnings("ignore", message="IProgress not found")

__version__ = "0.1.0"

_ROOMS = {
    "clips": ("Clip", "Video", "sample_clip"),
    "correspondence": ("coverage", "match_tokens", "patch_index", "point_features"),
    "datasets": ("dataset_names", "load_dataset"),
    "encoders": ("Point4D", "Point4DConfig", "Tokens"),
    "errors": ("ConfigError", "Cross4DError", "DataError", "TargetError", "TeacherError"),
    "evaluation": ("converged_probe", "linear_probe", "pooled_features"),
    "render": ("Camera", "Rendering", "render"),
    "targets": ("TargetStore", "build_targets"),
    "teachers": ("Features", "load_teacher"),
    "training": ("pretrain",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}
__all__ = list(_ROOM_OF)


class _Package(ModuleType):
    """The package itself, whose names come from the rooms above on first use, and so do all rooms (``c4d.points``)."""

    def _rooms(self) -> set[str]:
        return {room.name for room in iter_modules(self.__path__)}

    def __getattr__(self, name: str):
        if name in _ROOM_OF:
            return getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
        if name in self._rooms():
            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __setattr__(self, name: str, value) -> None:
        # importing a room binds its name here; `render` stays the function, not the room it lives in
        if not (name in _ROOM_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self):
        return sorted({*super().__dir__(), *self._rooms(), *_ROOM_OF})


sys.modules[__name__].__class__ = _Package
