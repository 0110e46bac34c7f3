"""The cached targets (Sec. 3.1): what the frozen teacher says about each token, computed once and read for every epoch.

A store is a folder of zarr arrays, one chunk a clip, every chunk with a checksum. Its name is the hash of everything
that decides its content (clips, camera and render, teacher, projection, the encoder's token rule), so a store is never
mistaken for another. Clips are written in any order, by any number of processes; a clip counts only after its last
array, so killing a build loses at most the clips under way. What marks a clip as finished is a checksum over all its
arrays: on opening, every clip is read back, and one that is torn, corrupted or lost is made again. No label is stored.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
import zlib
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import zarr
from tqdm.auto import tqdm
from zarr.codecs import Crc32cCodec, ZstdCodec

from .correspondence import patch_index, point_features, render_cameras
from .datasets import ClipDataset
from .decisions import BACK_OFF_MARGIN, FIELD_OF_VIEW, PROJECTION_SEED, SHADE_FAR, SHADE_QUANTILES, SPLAT
from .errors import ConfigError, TargetError
from .files import cache_folder
from .teachers import Teacher, pca_projection, random_projection

FORMAT = 2  # raised whenever the same key would hold other arrays
PCA_CLIPS = 64  # clips whose patch features the PCA is fitted on


@dataclass(frozen=True)
class Batch:
    """What a training step reads: B clips with their targets.

    points : (B, T, N, 3) float32. grouping : the encoder's index tensors, leading dimension B. targets : (B, M, d_p)
    float32, 0 where the token's point is occluded. visible : (B, M) bool. summaries : name -> (B, d_p) float32, the
    global targets of the clip: ``class`` (mean class token) and ``mean`` (mean over visible points).
    """

    points: torch.Tensor
    grouping: dict[str, torch.Tensor]
    targets: torch.Tensor
    visible: torch.Tensor
    summaries: dict[str, torch.Tensor]

    def merged(self, how: str = "mean") -> tuple[torch.Tensor, torch.Tensor]:
        return self.targets, self.visible

    def to(self, device) -> Batch:
        move = lambda d: {k: v.to(device) for k, v in d.items()}
        return Batch(
            self.points.to(device),
            move(self.grouping),
            self.targets.to(device),
            self.visible.to(device),
            move(self.summaries),
        )


def store_spec(
    dataset: ClipDataset,
    teacher: Teacher,
    encoder,
    dim: int,
    size: int,
    projection: str,
    cameras: int,
    merge: str = "mean",
) -> dict:
    """Everything that decides a store's content, JSON-ready; its hash is the store's key."""
    merged = {} if merge == "mean" else {"merge": merge}  # what came later is left out where it is as it always was
    return {
        "format": FORMAT,
        "clips": dataset.settings(),
        "teacher": teacher.revision,
        "dim": dim,
        "projection": [projection, PROJECTION_SEED if projection == "random" else PCA_CLIPS],
        "render": {
            "size": size,
            "cameras": cameras,
            "field_of_view": FIELD_OF_VIEW,
            "margin": BACK_OFF_MARGIN,
            "splat": SPLAT,
            "shade": [SHADE_FAR, *SHADE_QUANTILES],
            **merged,
        },
        "tokens": encoder.token_rule(),
    }


def key_of(spec: dict) -> str:
    """The content key: SHA-256 of the canonical JSON, 16 hex digits."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def clip_targets(
    points: np.ndarray,
    teacher: Teacher,
    projection: torch.Tensor,
    encoder,
    size: int = 126,
    cameras: int = 1,
    merge: str = "mean",
) -> dict[str, np.ndarray]:
    """All arrays of one clip: Eq. 1 to 4 from points (T, N, 3) to targets per token (M, d_p).

    With several cameras a token's target is the mean over the cameras that see its point, a summary the mean over all.
    merge "first" : a token believes the first camera that sees it, so more cameras add targets and change none.
    """
    cloud = torch.as_tensor(points)
    grouping = {name: index[0] for name, index in encoder.group(cloud[None]).items()}
    frame, point = grouping["frame"], grouping["point"]  # (M,)
    views = render_cameras(cloud, size, cameras)
    total, seen, summaries, means = 0, 0, [], []
    for view in views:
        features = teacher(view.image)
        carried = point_features(
            features.patches @ projection, patch_index(view, teacher.patch)
        )  # (T, N, d_p), NaN where occluded
        visible = view.visible[frame, point]  # (M,)
        believed = visible if merge == "mean" else visible & (torch.as_tensor(seen) == 0)
        total = total + torch.where(believed[:, None], carried[frame, point], 0.0)
        seen = seen + believed.float()
        summaries.append(features.summary @ projection)  # (T, d_p)
        means.append(carried.nanmean(1).nan_to_num())  # (T, d_p)
    arrays = {
        "points": cloud.numpy(),
        "targets": (total / seen.clamp_min(1)[:, None]).half().numpy(),
        "visible": (seen > 0).numpy(),
        "class": torch.stack(summaries).mean(0).half().numpy(),
        "mean": torch.stack(means).mean(0).half().numpy(),
        "coverage": torch.stack([v.visible for v in views]).any(0).float().mean().numpy(),
    }
    if not all(np.isfinite(arrays[name]).all() for name in ("targets", "class", "mean")):
        raise TargetError(
            "targets beyond the range of half precision (65,504)",
            teacher.name,
            "this teacher's features are too large to be cached in fp16; use another layer's, or another teacher",
        )
    integer = torch.int16 if max(cloud.shape[:2]) <= 2**15 else torch.int32  # an index is below T or N
    return arrays | {f"grouping/{name}": index.to(integer).numpy() for name, index in grouping.items()}


def checksum(arrays: dict[str, np.ndarray]) -> int:
    """CRC-32 over names and bytes of a clip's arrays, made never 0: the mark of a finished clip."""
    crc = 0
    for name in sorted(arrays):
        crc = zlib.crc32(np.ascontiguousarray(arrays[name]), zlib.crc32(name.encode(), crc))
    return crc | 1 << 32


class TargetStore:
    """A finished (or growing) store. ``batch(indices)`` gives a Batch; ``len`` is the number of clips.

    path, key, spec : where and what it is. ids : clip ids in order. mean : {"dense", "class", "mean"} -> (d_p,)
    float32, the means over this store's clips that centring subtracts. coverage : share of points with a target.
    """

    def __init__(self, path: Path, key: str, clips: int):
        self.path, self.key, self.clips = Path(path), key, clips
        try:
            self._root = zarr.open_group(str(path), mode="r+")
            self.spec, self.ids = self._root.attrs["spec"], list(self._root.attrs["ids"])
            self._arrays = {name: self._root[name] for name in self._root.attrs["arrays"]}
            self._finished = self._root["finished"]
            if not all(isinstance(array, zarr.Array) for array in (self._finished, *self._arrays.values())):
                raise TypeError("a group where an array should be")
        except Exception as error:
            raise TargetError(
                f"not a target store ({type(error).__name__})", path, "delete the folder and build the targets again"
            ) from error
        if key_of(self.spec) != key or len(self.ids) != clips:
            raise TargetError(
                f"the store says key {key_of(self.spec)} with {len(self.ids)} clips, asked for {key} with {clips}",
                path,
                "delete the folder and build the targets again",
            )
        self._memory: list[dict[str, torch.Tensor] | None] = [None] * clips

    def __len__(self) -> int:
        return self.clips

    def read(self, i: int) -> dict[str, np.ndarray]:
        """All arrays of clip i from disk, checksums verified. Raises TargetError when it is unfinished, torn or
        corrupted."""
        try:
            mark = int(self._finished[i])
            if not mark:
                raise TargetError(
                    f"clip {self.ids[i]} is not built yet",
                    self.path,
                    "run build_targets again: it goes on where it stopped",
                )
            arrays = {name: np.asarray(array[i]) for name, array in self._arrays.items()}
        except TargetError:
            raise
        except (
            Exception
        ) as error:  # zarr and its codecs raise ValueError, RuntimeError, KeyError or OSError on a damaged chunk
            raise TargetError(
                f"clip {self.ids[i]} is damaged ({type(error).__name__}: {error})",
                self.path,
                "run build_targets again: it makes the damaged clip anew",
            ) from error
        if checksum(arrays) != mark:  # zarr reads a chunk that was lost as zeros
            raise TargetError(
                f"clip {self.ids[i]} has lost or foreign chunks",
                self.path,
                "run build_targets again: it makes the clip anew",
            )
        return arrays

    def clip(self, i: int) -> dict[str, torch.Tensor]:
        """Clip i as tensors, kept in memory in the stored precision after the first reading."""
        if self._memory[i] is None:
            self._memory[i] = {name: torch.from_numpy(a) for name, a in self.read(i).items()}
        return self._memory[i]

    def has(self, i: int) -> bool:
        """Is clip i finished and whole?"""
        try:
            return self.clip(i) is not None
        except TargetError:
            return False

    def unfinished(self) -> list[int]:
        """Clips that must be built: never finished, torn, corrupted or lost. Reads everything, as training will."""
        return [i for i in range(self.clips) if not self.has(i)]

    def batch(self, indices, device: str | torch.device = "cpu") -> Batch:
        """The Batch of some clips. indices : sequence of B ints. They travel to ``device`` as they are stored, half the
        size."""
        return self.collate([self.clip(int(i)) for i in indices]).to(device)

    views = 1

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        return self.clip(i)

    def collate(self, clips) -> Batch:
        stack = lambda name: torch.stack([c[name] for c in clips])
        grouping = {
            name.removeprefix("grouping/"): stack(name).long() for name in clips[0] if name.startswith("grouping/")
        }
        summaries = {name: stack(name).float().mean(1) for name in ("class", "mean")}
        return Batch(stack("points"), grouping, stack("targets").float(), stack("visible"), summaries)

    @property
    def dim(self) -> int:
        return self.spec["dim"]

    @property
    def projection(self) -> torch.Tensor:
        """W of Eq. 2, (D, d_p) float32, as it was when the store was laid out: a PCA is not fitted twice alike
        everywhere."""
        try:
            return torch.from_numpy(np.asarray(self._root["projection"][:]))
        except Exception as error:
            raise TargetError(
                f"the projection is damaged ({type(error).__name__}: {error})",
                self.path,
                "delete the folder and build the targets again",
            ) from error

    @property
    def mean(self) -> dict[str, torch.Tensor]:
        """Mean target over all visible tokens (``dense``), and of each summary over all clips: (d_p,) float32 each."""
        if not hasattr(self, "_mean"):
            clips = [self.clip(i) for i in range(self.clips)]
            total = sum(c["targets"].double().sum(0) for c in clips)  # occluded tokens are 0
            self._mean = {"dense": (total / max(1, sum(int(c["visible"].sum()) for c in clips))).float()}
            for name in ("class", "mean"):
                self._mean[name] = torch.stack([c[name].float().mean(0) for c in clips]).mean(0)
        return self._mean

    @property
    def coverage(self) -> float:
        """Share of all points that have a target (Table 15: .49 on MSR-Action3D)."""
        return float(np.mean([self.clip(i)["coverage"] for i in range(self.clips)]))

    def measured_bytes(self) -> int:
        """Bytes the store takes on disk, as they are, not as they ought to be."""
        return sum(f.stat().st_size for f in self.path.rglob("*") if f.is_file())

    def __repr__(self) -> str:
        return f"TargetStore({self.key}, {self.clips} clips, d_p = {self.dim}, {self.path})"


def build_targets(
    dataset: ClipDataset,
    teacher: Teacher,
    dim: int = 384,
    size: int = 126,
    projection: str = "random",
    cameras: int = 1,
    *,
    encoder,
    merge: str = "mean",
    cache: str | os.PathLike | None = None,
    workers: int = 1,
    progress: bool = True,
) -> TargetStore:
    """Build the targets of a dataset under a teacher, or open them when they are there (Eq. 1-4, Sec. 3.1).

    dim : d_p, 384 in the paper. size : render side in pixels. projection : "random" or "pca" (fitted on this dataset,
    Table 10). cameras : Table 15. merge : what several cameras say of one token, their "mean" or the "first" that sees
    it. encoder : its grouping decides the tokens. cache : folder of all stores. workers : threads that prepare clips
    side by side.

    Raises ConfigError on an unknown projection or merge, TargetError when the disk is full or the store is another's;
    what was finished before stays, and the next call goes on from there.
    """
    if projection not in ("random", "pca"):
        raise ConfigError(f"projection {projection!r}", "build_targets", '"random" or "pca"')
    if merge not in ("mean", "first"):
        raise ConfigError(f"merge {merge!r}", "build_targets", '"mean" or "first"')
    spec = store_spec(dataset, teacher, encoder, dim, size, projection, cameras, merge)
    key = key_of(spec)
    path = Path(cache or cache_folder()) / "targets" / f"{key}.zarr"
    store, left = None, len(dataset)
    try:
        if not path.exists():
            matrix = (
                random_projection(teacher.dim, dim) if projection == "random" else fit_pca(dataset, teacher, dim, size)
            )
            _create(
                path,
                key,
                spec,
                dataset.ids,
                matrix,
                clip_targets(dataset[0].points, teacher, matrix, encoder, size, cameras, merge),
            )
        store = TargetStore(path, key, len(dataset))
        missing = store.unfinished()
        if not missing:
            return store
        left, matrix = len(missing), store.projection
        # Every process takes its own order, so that several rarely work on the same clip; what another finished is
        # skipped.
        missing = np.random.default_rng(os.getpid()).permutation(missing).tolist()
        make = lambda i: (
            i,
            None if store.has(i) else clip_targets(dataset[i].points, teacher, matrix, encoder, size, cameras, merge),
        )
        with (
            ThreadPoolExecutor(max(1, workers)) as pool,
            tqdm(total=left, desc=f"targets {key}", disable=None if progress else True, mininterval=1) as bar,
        ):
            for some in _chunks(
                missing, 4 * max(1, workers)
            ):  # a few at a time: finished clips are written, not piled up
                for future in as_completed([pool.submit(make, i) for i in some]):
                    _write(store, *future.result())
                    left -= 1
                    bar.update()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TargetError(
                "the disk is full",
                path,
                f"free {_needed(store, left)} or set CROSS4D_CACHE to another disk, then run again: finished clips are kept",
            ) from error
        raise TargetError(
            f"the store cannot be written ({error})", path, "check the folder's permissions, or set CROSS4D_CACHE"
        ) from error
    return store


def fit_pca(dataset: ClipDataset, teacher: Teacher, dim: int, size: int) -> torch.Tensor:
    """W by PCA over the foreground patch features of up to PCA_CLIPS clips, spread evenly over the dataset. (D,
    d_p)."""
    rows = []
    for i in np.unique(np.linspace(0, len(dataset) - 1, PCA_CLIPS).astype(int)):
        view = render_cameras(dataset[int(i)].points, size)[0]
        patches, index = teacher(view.image).patches, patch_index(view, teacher.patch)
        rows.append(point_features(patches, index)[index >= 0][::7])  # (n, D): every seventh visible point is plenty
    return pca_projection(torch.cat(rows), dim)


def _create(
    path: Path, key: str, spec: dict, ids: list[str], projection: torch.Tensor, first: dict[str, np.ndarray]
) -> None:
    """Lay out a store with its first clip beside its place and move it there whole: no half-made store is ever
    opened."""
    draft = path.with_name(f"{path.name}.draft-{uuid.uuid4().hex}")
    draft.parent.mkdir(parents=True, exist_ok=True)
    codecs = ZstdCodec(level=1), Crc32cCodec()
    try:
        root = zarr.open_group(str(draft), mode="w")
        for name, array in {**first, "finished": np.zeros((), np.uint64)}.items():
            root.create_array(
                name,
                shape=(len(ids), *array.shape),
                dtype=array.dtype,
                chunks=(1, *array.shape),
                fill_value=0,
                compressors=codecs,
            )
        root.create_array("projection", data=projection.numpy(), chunks=tuple(projection.shape), compressors=codecs)
        root.attrs.update({"spec": spec, "ids": ids, "arrays": list(first)})
        _write(TargetStore(draft, key, len(ids)), 0, first)
        draft.rename(path)
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        if not (isinstance(error, OSError) and path.exists()):  # else another process was faster
            raise


def _write(store: TargetStore, i: int, arrays: dict[str, np.ndarray] | None) -> None:
    """Write one clip (None: it is there), its mark last. A chunk that cannot be written leaves the clip unfinished.

    Clips are the same whoever makes them, so a clip that others already read may be written over.
    """
    if arrays is None:
        return
    for name, array in arrays.items():
        store._arrays[name][i] = array
    store._finished[i] = checksum(arrays)
    store._memory[i] = None


def _chunks(items: list, size: int):
    return (items[k : k + size] for k in range(0, len(items), size))


def _needed(store: TargetStore | None, left: int) -> str:
    """How much ``left`` clips take at most, in words: their arrays uncompressed."""
    if store is None:
        return "some space"
    return f"about {left * sum(a.nbytes // len(store) for a in store._arrays.values()) / 1e6:.0f} MB"
