"""The targets of each token (Eq. 1 to 4, Sec. 3.1): computed once under a frozen teacher, read in every epoch.

Clips are computed in any order, by any number of processes, into one store (``store.py``); killing a build loses
at most the clips under way, and the next build computes what is missing or damaged. No label is stored.
"""

from __future__ import annotations

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import torch
import zarr
from tqdm.auto import tqdm

from ..correspondence import patch_index, point_features, render_cameras
from ..datasets import ClipDataset
from ..decisions import (
    BACK_OFF_MARGIN,
    DEPTH_DISC,
    DEPTH_SLOPE,
    FIELD_OF_VIEW,
    PROJECTION_SEED,
    SHADE_FAR,
    SHADE_QUANTILES,
    SPLAT,
    VISIBILITY,
)
from ..errors import ConfigError, TargetError
from ..files import cache_folder, expanded, write_whole
from ..render import Camera
from ..teachers import Teacher, pca_projection, random_projection
from .store import CODECS, TargetStore, checksum, description, key_of

FORMAT = 3  # raised whenever the same key would hold other arrays
PCA_CLIPS = 64  # clips whose patch features the PCA is fitted on
STALE = 3600  # seconds after which a chunk that was not written to its end belongs to a process that has ended


def store_spec(
    dataset: ClipDataset,
    teacher: Teacher | None,
    encoder,
    dim: int,
    size: int,
    projection: str,
    cameras: int,
    visibility: str = VISIBILITY,
) -> dict:
    """Everything that decides a store's content, JSON-ready; its hash is the store's key. Without a teacher neither
    the render nor the projection does."""
    spec = {"format": FORMAT, "clips": dataset.settings(), "tokens": encoder.token_rule()}
    if teacher is None:
        return spec
    return spec | {
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
            **({"visible": [visibility, DEPTH_DISC, DEPTH_SLOPE]} if visibility == "depth" else {}),
        },
    }


def clip_targets(
    points: np.ndarray,
    teacher: Teacher | None,
    projection: torch.Tensor | None,
    encoder,
    size: int = 126,
    cameras: int = 1,
    visibility: str = VISIBILITY,
) -> dict[str, np.ndarray]:
    """All arrays of one clip, as ``TargetStore`` lists them: Eq. 1 to 4 from points (T, N, 3) to targets (V, M, d_p).

    Without a teacher: points and grouping alone. Raises TargetError on targets beyond half precision.
    """
    cloud = torch.as_tensor(points)
    grouping = {name: index[0] for name, index in encoder.group(cloud[None]).items()}
    integer = torch.int16 if max(cloud.shape[:2]) <= 2**15 else torch.int32  # an index is below T or N
    tensors = {"points": cloud} | {f"grouping/{name}": index.to(integer) for name, index in grouping.items()}
    if teacher is not None:
        views = render_cameras(cloud, size, cameras, visibility)
        by_view = [_view_targets(view, teacher, projection, grouping) for view in views]
        tensors |= {name: torch.stack([arrays[name] for arrays in by_view]) for name in by_view[0]}
        tensors["coverage"] = torch.stack([view.visible for view in views]).any(0).float().mean()
        if not all(tensors[name].isfinite().all() for name in ("targets", "class", "mean")):
            raise TargetError(
                "targets beyond the range of half precision (65,504)",
                teacher.name,
                "this teacher's features are too large to be cached in fp16; use another layer's, or another teacher",
            )
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _view_targets(view, teacher: Teacher, projection: torch.Tensor, grouping: dict) -> dict[str, torch.Tensor]:
    """What one camera gives: targets (M, d_p), visible (M,), class and mean (T, d_p), and the camera itself."""
    frame, point = grouping["frame"], grouping["point"]  # (M,)
    features = teacher(view.image)
    carried = point_features(features.patches @ projection, patch_index(view, teacher.patch))  # (T, N, d_p), NaN hidden
    visible = view.visible[frame, point]  # (M,)
    return {
        "targets": torch.where(visible[:, None], carried[frame, point], 0.0).half(),
        "visible": visible,
        "class": (features.summary @ projection).half(),
        "mean": carried.nanmean(1).nan_to_num().half(),
        "cameras": camera_matrix(view.camera),
    }


def camera_matrix(camera: Camera) -> torch.Tensor:
    """K [R | -R c]: (3, 4) float64, world coordinates (x, y, z, 1) to pixels times depth."""
    rotation, position = camera.rotation.double().cpu(), camera.position.double().cpu()
    middle = camera.size / 2
    intrinsic = torch.tensor([[camera.focal, 0, middle], [0, camera.focal, middle], [0, 0, 1]], dtype=torch.float64)
    return intrinsic @ torch.cat([rotation, -(rotation @ position)[:, None]], 1)


def build_targets(
    dataset: ClipDataset,
    teacher: Teacher | None,
    dim: int = 384,
    size: int = 126,
    projection: str = "random",
    cameras: int = 1,
    *,
    encoder,
    visibility: str = VISIBILITY,
    cache: str | os.PathLike | None = None,
    workers: int = 1,
    verify: bool = True,
    progress: bool = True,
) -> TargetStore:
    """Build the targets of a dataset under a teacher, or open them when they are there (Eq. 1-4, Sec. 3.1).

    teacher : None for points and grouping alone. dim : d_p, 384 in the paper. size : render side in pixels. projection
    : "random" or "pca" (fitted on this dataset, Table 10). cameras : V (Table 15); each has its own targets. encoder :
    its grouping decides the tokens. visibility : the render's rule of who carries a target. cache : folder of all
    stores. workers : threads that prepare clips side by side. verify : clips that are there are read once, in bounded
    memory, and damaged ones computed anew; False leaves that to whoever reads them.

    Raises ConfigError on an unknown projection, TargetError when the disk is full or the store is another's; what was
    finished before stays, and the next call goes on from there.
    """
    if projection not in ("random", "pca"):
        raise ConfigError(f"projection {projection!r}", "build_targets", '"random" or "pca"')
    spec = store_spec(dataset, teacher, encoder, dim, size, projection, cameras, visibility)
    path = expanded(cache or cache_folder()) / "targets" / f"{key_of(spec)}.zarr"
    compute = lambda i, matrix: clip_targets(dataset[i].points, teacher, matrix, encoder, size, cameras, visibility)
    store, left = None, len(dataset)
    try:
        if not path.exists():
            matrix = None
            if teacher is not None:
                matrix = (
                    fit_pca(dataset, teacher, dim, size) if projection == "pca" else random_projection(teacher.dim, dim)
                )
            _create(path, spec, dataset.ids, matrix, compute(0, matrix))
        store = TargetStore(path)
        if store.ids != list(dataset.ids):
            raise TargetError(
                f"the store holds {len(store)} other clips", path, "delete the folder and build the targets again"
            )
        missing = store.unfinished(verify)
        if not missing:
            return store
        _remove_torn_chunks(path)
        left, matrix = len(missing), store.projection
        # every process takes its own order, so that several rarely work on the same clip; what another has finished is
        # skipped
        missing = np.random.default_rng(os.getpid()).permutation(missing).tolist()
        build = lambda i: (i, None if store.has(i) else compute(i, matrix))
        root, few = zarr.open_group(str(path), mode="r+"), 4 * max(1, workers)  # at a time: clips are not piled up
        with (
            ThreadPoolExecutor(max(1, workers)) as pool,
            tqdm(total=left, desc=f"targets {store.key}", disable=None if progress else True, mininterval=1) as bar,
        ):
            for some in (missing[k : k + few] for k in range(0, len(missing), few)):
                for future in as_completed([pool.submit(build, i) for i in some]):
                    i, arrays = future.result()
                    if arrays is not None:
                        _write(root, i, arrays)
                    left -= 1
                    bar.update()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TargetError(
                "the disk is full",
                path,
                f"free {_needed(store, left)} or set CROSS4D_CACHE to another disk, then run again: finished clips are "
                "kept",
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


def _create(path: Path, spec: dict, ids: list[str], projection: torch.Tensor | None, first: dict) -> None:
    """Lay out a store with its first clip beside its place and move it there whole, so that every store that is found
    can be opened."""
    chunks = {
        "compressors": [codec() for codec in CODECS[1:]],
        "chunk_key_encoding": {"name": "default", "separator": "."},  # one file a chunk and no folders
    }

    def write(draft: Path) -> None:
        root = zarr.open_group(str(draft), mode="w", zarr_format=3)
        for name, array in {**first, "finished": np.zeros((), np.uint64)}.items():
            shape = len(ids), *array.shape
            root.create_array(name, shape=shape, dtype=array.dtype, chunks=(1, *array.shape), fill_value=0, **chunks)
        check = 0
        if projection is not None:
            matrix = projection.numpy()
            root.create_array("projection", data=matrix, chunks=matrix.shape, **chunks)
            check = checksum({"projection": matrix})
        root.attrs.update(description(spec, ids, {name: root[name] for name in first}, check))
        _write(root, 0, first)

    try:
        write_whole(path, write)
    except OSError:
        if not path.exists():  # else another process was faster
            raise


def _write(root: zarr.Group, i: int, arrays: dict[str, np.ndarray]) -> None:
    """Write one clip, its checksum last. A chunk that cannot be written leaves the clip unfinished.

    Clips are the same whoever computes them, so a clip that others already read may be written over.
    """
    for name, array in arrays.items():
        root[name][i] = array
    root["finished"][i] = checksum(arrays)


def _remove_torn_chunks(path: Path) -> None:
    """Remove what killed processes left half written beside the chunks of a store."""
    for chunk in path.rglob("*.partial"):
        if chunk.stat().st_mtime < time.time() - STALE:
            chunk.unlink(missing_ok=True)


def _needed(store: TargetStore | None, left: int) -> str:
    """How much ``left`` clips take at most, in words: their arrays uncompressed."""
    if store is None:
        return "some space"
    return f"about {left * sum(a.nbytes // len(store) for a in store._arrays.values()) / 1e6:.0f} MB"
