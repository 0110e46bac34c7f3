"""The cached targets on disk (Sec. 3.1): a map-style dataset of clips, read with bounded memory and never trusted
unread.

A store is a folder of zarr arrays (version 3, one chunk a clip, each with a checksum). Its name is the hash of
everything that decides its content, its key. A clip counts as finished by a checksum over names, types, shapes and
bytes of all its arrays, written last. Opening reads the description alone; a clip is checked whenever it is read.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from ..decisions import TARGET_MEMORY
from ..errors import TargetError
from ..files import write_text
from ..recent import Recent
from .batch import Batch, merge_views

CODECS = BytesCodec, ZstdCodec, Crc32cCodec  # of every array, in this order; a store with another is not read
REBUILD = "delete the folder and build the targets again"
GO_ON = "run build_targets again: it computes this clip anew and keeps the others"


def key_of(spec: dict) -> str:
    """The content key: SHA-256 of the canonical JSON, 16 hex digits."""
    return hashlib.sha256(_canonical(spec)).hexdigest()[:16]


def checksum(arrays: dict[str, np.ndarray]) -> int:
    """CRC-32 over names, types, shapes and bytes of arrays, never 0: what shows that a clip is finished and whole."""
    crc = 0
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        crc = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), crc)
        crc = zlib.crc32(np.ascontiguousarray(array), crc)
    return crc | 1 << 32


def _canonical(value) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class TargetStore(torch.utils.data.Dataset):
    """A finished (or growing) store: ``store[i]`` is clip i as stored, ``collate`` puts clips into a Batch.

    path : its folder, named by its key. memory : bytes of clips kept after reading (shared by the workers of a
    DataLoader). Attributes: key, spec, ids. A store pickles as its path. Raises TargetError on a folder that is not a
    target store, or not the one its name says.

    The arrays of a clip (T frames of N points, M tokens, V cameras): points (T, N, 3) float32; grouping/* integers;
    and under a teacher targets (V, M, d_p), class and mean (V, T, d_p) float16, visible (V, M) bool, cameras (V, 3, 4)
    float64, and coverage (), the share of points that some camera sees.
    """

    def __init__(self, path: str | Path, memory: int = TARGET_MEMORY):
        self.path, self.key = Path(path), Path(path).name.partition(".")[0]
        try:
            root = zarr.open_group(str(path), mode="r", zarr_format=3)
            self.spec, self.ids = root.attrs["spec"], list(root.attrs["ids"])
            self._arrays = {name: root[name] for name in root.attrs["arrays"]}
            self._finished, self._root = root["finished"], root
            for array in (self._finished, *self._arrays.values()):
                form = array.shape[0], array.chunks, *map(type, array.metadata.codecs)
                if form != (len(self.ids), (1, *array.shape[1:]), *CODECS):
                    raise TypeError("an array of another form")
            described, stated = (
                description(self.spec, self.ids, self._arrays, root.attrs["projection"]),
                dict(root.attrs),
            )
        except Exception as error:
            raise TargetError(f"not a target store ({type(error).__name__})", path, REBUILD) from error
        if key_of(self.spec) != self.key:
            raise TargetError(f"the store says key {key_of(self.spec)}, its folder {self.key}", path, REBUILD)
        if described != stated:
            raise TargetError("the description of the store is damaged", path, REBUILD)
        self.memory, self._recent = memory, Recent(memory)

    def __reduce__(self):
        return type(self), (self.path, self.memory)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"TargetStore({self.key}, {len(self)} clips, {self.views} views, d_p = {self.dim}, {self.path})"

    @property
    def dim(self) -> int:
        """d_p; 0 without a teacher."""
        return self.spec.get("dim", 0)

    @property
    def views(self) -> int:
        """V, the number of cameras; 0 without a teacher."""
        return self.spec.get("render", {"cameras": 0})["cameras"]

    def read(self, i: int) -> dict[str, np.ndarray]:
        """All arrays of clip i from disk. Raises TargetError when it is unfinished, torn, corrupted or lost."""
        where = f"clip {self.ids[i]}"
        try:
            if not (stated := int(self._finished[i])):
                raise TargetError(f"{where} is not built yet", self.path, "run build_targets again: it goes on")
            arrays = {name: np.asarray(array[i]) for name, array in self._arrays.items()}
        except TargetError:
            raise
        except Exception as error:  # zarr and its codecs raise many kinds on a damaged chunk
            raise TargetError(f"{where} is damaged ({type(error).__name__}: {error})", self.path, GO_ON) from error
        if checksum(arrays) != stated:  # zarr reads a lost chunk as zeros
            raise TargetError(f"{where} has lost or foreign chunks", self.path, GO_ON)
        return arrays

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        """Clip i as tensors, in the stored precision. Raises IndexError, and TargetError as ``read``."""
        if not -len(self) <= i < len(self):
            raise IndexError(f"clip {i} of {len(self)}")
        i %= len(self)
        if (clip := self._recent.get(i)) is None:
            arrays = self.read(i)
            clip = {name: torch.from_numpy(array) for name, array in arrays.items()}
            if worker := torch.utils.data.get_worker_info():
                self._recent.limit = self.memory // worker.num_workers
            self._recent.put(i, clip, sum(array.nbytes for array in arrays.values()))
        return clip

    def has(self, i: int) -> bool:
        """Is clip i finished and whole? Reads it."""
        try:
            return self[i] is not None
        except TargetError:
            return False

    def unfinished(self, verify: bool = True) -> list[int]:
        """The clips that must be built: never finished, torn, corrupted or lost. Reads every clip once, in bounded
        memory. verify False: reads which clips were finished once, and nothing else."""
        if not verify:
            try:
                return np.flatnonzero(self._finished[:] == 0).tolist()
            except Exception:  # one chunk that cannot be read hides all of them
                pass
        return [i for i in range(len(self)) if not self.has(i)]

    def clip(self, i: int) -> dict[str, torch.Tensor]:
        """Clip i, its cameras merged: targets (M, d_p), visible (M,), class and mean (T, d_p); the rest as stored."""
        clip = self[i]
        if not self.views:
            return clip
        targets, visible = merge_views(clip["targets"], clip["visible"])
        frames = {name: clip[name].float().mean(0).half() for name in ("class", "mean")}
        return clip | {"targets": targets.half(), "visible": visible} | frames

    def collate(self, items: list[dict[str, torch.Tensor]]) -> Batch:
        """Clips, as ``store[i]`` gives them, to a Batch on the CPU."""
        stack = lambda name: torch.stack([item[name] for item in items])
        names = [name for name in items[0] if name.startswith("grouping/")]
        grouping = {name.removeprefix("grouping/"): stack(name).long() for name in names}
        if "targets" not in items[0]:
            return Batch(stack("points"), grouping)
        summaries = {name: stack(name).float().mean(2) for name in ("class", "mean")}  # (B, V, T, d_p) -> (B, V, d_p)
        return Batch(stack("points"), grouping, stack("targets"), stack("visible"), summaries, stack("cameras"))

    def batch(self, indices, device: str | torch.device = "cpu") -> Batch:
        """The Batch of some clips. indices : sequence of B ints."""
        return self.collate([self[int(i)] for i in indices]).to(device)

    @property
    def projection(self) -> torch.Tensor | None:
        """W of Eq. 2, (D, d_p) float32, as it was when the store was laid out: a PCA is not fitted twice alike
        everywhere. None without a teacher. Raises TargetError when it is damaged."""
        if not self.views:
            return None
        try:
            matrix = np.asarray(self._root["projection"][:])
            if checksum({"projection": matrix}) != self._root.attrs["projection"]:
                raise ValueError("another checksum")
        except Exception as error:
            raise TargetError(f"the projection is damaged ({error})", self.path, REBUILD) from error
        return torch.from_numpy(matrix)

    @property
    def mean(self) -> dict[str, torch.Tensor]:
        """What centring subtracts, (d_p,) float32 each: "dense" and "first", the mean over all visible tokens of
        merged("mean") and merged("first"); "class" and "mean", the mean of a summary over all clips. Empty without a
        teacher."""
        return {name: torch.tensor(value) for name, value in self._means.items() if name != "coverage"}

    @property
    def coverage(self) -> float:
        """Share of all points that have a target (Table 15: .49 on MSR-Action3D); 0 without a teacher."""
        return self._means.get("coverage", 0.0)

    @cached_property
    def _means(self) -> dict:
        """The means, from the file beside the arrays, or computed in one pass over all clips and kept there."""
        if not self.views:
            return {}
        file = self.path / "means.json"
        try:
            kept = json.loads(file.read_text())
            if kept.pop("checksum") == zlib.crc32(_canonical([self.key, kept])):
                return kept
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        means = self._computed_means()
        try:
            write_text(file, json.dumps(means | {"checksum": zlib.crc32(_canonical([self.key, means]))}))
        except OSError:  # a store that can only be read
            pass
        return means

    def _computed_means(self) -> dict:
        totals, tokens, coverage = {name: 0.0 for name in ("dense", "first", "class", "mean")}, 0, 0.0
        for i in range(len(self)):
            clip = self[i]
            for name, how in (("dense", "mean"), ("first", "first")):
                targets, visible = merge_views(clip["targets"], clip["visible"], how)
                totals[name] = totals[name] + targets.double().sum(0)  # 0 where not visible
            for name in ("class", "mean"):
                totals[name] = totals[name] + clip[name].double().mean((0, 1))
            tokens += int(visible.sum())
            coverage += float(clip["coverage"])
        counts = {"dense": max(1, tokens), "first": max(1, tokens), "class": len(self), "mean": len(self)}
        means = {name: (total / counts[name]).float().tolist() for name, total in totals.items()}
        return means | {"coverage": coverage / len(self)}

    def measured_bytes(self) -> int:
        """Bytes of the store on disk, measured; drafts do not count."""
        files = (f for f in self.path.rglob("*") if not f.name.endswith(".partial") and ".draft-" not in f.name)
        return sum(f.stat().st_size for f in files if f.is_file())


def description(spec: dict, ids: list[str], arrays: dict, projection: int) -> dict:
    """The attributes of a store: what decides it, its clips, type and shape of each array of a clip, the checksum of
    the projection, and a checksum over all of these. arrays : name -> the array of all clips."""
    layout = {name: [str(array.dtype), list(array.shape[1:])] for name, array in arrays.items()}
    attributes = {"spec": spec, "ids": ids, "arrays": layout, "projection": projection}
    return attributes | {"checksum": zlib.crc32(_canonical(attributes))}
