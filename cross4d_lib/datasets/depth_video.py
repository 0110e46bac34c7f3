"""Depth videos: from bytes on disk to depth maps, and from depth maps to camera points.

Two containers hold whole depth videos: the headered ``.bin`` of MSR-Action3D and MATLAB's version 5 ``.mat``. (One
``.png`` a frame: ``depth_png.py``.) Whatever a file contains, reading it ends in a depth video or in a DataError that
names the file: sizes promised by a header are checked before anything is allocated for them. The ``.mat`` reader is
our own because scipy's crashes the process (a segmentation fault) on some damaged files.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import DataError
from .data_files import FETCH, read_bytes

# Kinect v1, fitted to MSR-Action3D's published skeletons on 320 x 240 maps (median residual 0.25 pixel).
FOCAL_PIXELS, FOCAL_COLUMNS = 285.63, 320

MAX_PIXELS = 400 * 240 * 320  # of one video: 400 frames of 320 x 240; the longest of MSR-Action3D has 76
MAX_COLUMNS, MAX_ROWS = 640, 480  # the most a Kinect v1 sends
MAX_DEPTH = 65_535  # 16 bits

Lens = tuple[float, float, float, float]  # fx, fy, cx, cy in pixels

FIT = (
    f"depth maps are 4:3, {MAX_COLUMNS} x {MAX_ROWS} or less, {MAX_PIXELS:,} pixels a video or less: "
    f"cut or scale it, or {FETCH}"
)


def read_depth(path: Path) -> bytes:
    """The content of a file of depth maps. Raises DataError as ``read_bytes`` does."""
    return read_bytes(path, 12 + 4 * MAX_PIXELS, "depth video", FIT)  # a .bin of MAX_PIXELS


def check_size(frames: int, rows: int, columns: int, path: Path) -> None:
    """Raise DataError unless frames x rows x columns is the size of a depth video."""
    sane = frames > 0 and 0 < columns <= MAX_COLUMNS and 0 < rows <= MAX_ROWS and 3 * columns == 4 * rows
    if not sane or frames * rows * columns > MAX_PIXELS:
        raise DataError(f"{frames} frames of {columns} columns x {rows} rows are no depth video", path, FIT)


# ---------------------------------------------------------------------------------------------- .bin


def parse_bin(data: bytes, path: Path) -> np.ndarray:
    """A headered depth video: int32 frames, columns, rows; then int32 depth, row by row, frame after frame;
    little-endian.

    Returns (F, R, C) uint16. Raises DataError when header and length disagree, or on a depth that is negative or over
    16 bits.
    """
    if len(data) < 12:
        raise DataError(f"{len(data)} bytes are too short for a header", path, FETCH)
    frames, columns, rows = struct.unpack_from("<3i", data)
    check_size(frames, rows, columns, path)
    promised = 12 + 4 * frames * rows * columns
    if len(data) != promised:
        fault = "truncated" if len(data) < promised else "too long"
        raise DataError(f"{fault}: the header promises {promised:,} bytes, the file has {len(data):,}", path, FETCH)
    depth = np.frombuffer(data, "<i4", offset=12).reshape(frames, rows, columns)
    bad = (depth < 0) | (depth > MAX_DEPTH)
    if bad.any():
        f, v, u = np.argwhere(bad)[0]
        raise DataError(
            f"frame {f}, row {v}, column {u} has depth {depth[f, v, u]}, outside 0..{MAX_DEPTH}", path, FETCH
        )
    return depth.astype(np.uint16)


# ---------------------------------------------------------------------------------------------- .mat

MAT_HEADER_BYTES = 128
MI_INT8, MI_UINT8, MI_UINT16, MI_INT32, MI_UINT32, MI_MATRIX, MI_COMPRESSED = 1, 2, 4, 5, 6, 14, 15
NUMERIC_CLASSES, COMPLEX_FLAG = range(6, 16), 0x0800
STORED_AS = {MI_UINT8: np.dtype("u1"), MI_UINT16: np.dtype("<u2")}


def is_hdf5(data: bytes) -> bool:
    """Whether the bytes are HDF5, as MATLAB's version 7.3 files are (behind a 512-byte header)."""
    return b"\x89HDF\r\n\x1a\n" in (data[:8], data[512:520]) or data.startswith(b"MATLAB 7.3 MAT-file")


def is_mat(data: bytes) -> bool:
    """Whether the bytes are a MATLAB version 5 file of either byte order."""
    return data[124:128] in (b"\x00\x01IM", b"\x01\x00MI")


class ElementReader:
    """Reads a MAT element part by part and inflates no more than what is asked for, so no archive can fill the
    memory."""

    def __init__(self, data: bytes, compressed: bool, path: Path):
        self.pending, self.path = data, path
        self.inflater = zlib.decompressobj() if compressed else None

    def take(self, count: int) -> bytes:
        """Exactly the next ``count`` bytes. Raises DataError when the element ends before, or its compression is
        damaged."""
        taken = self._inflate(count) if self.inflater else self.pending[:count]
        if len(taken) < count:
            raise DataError(f"truncated: an array ends {count - len(taken):,} bytes early", self.path, FETCH)
        if not self.inflater:
            self.pending = self.pending[count:]
        return taken

    def _inflate(self, count: int) -> bytes:
        parts, missing = [], count
        while missing:
            try:
                part = self.inflater.decompress(self.pending, missing)
            except zlib.error as error:
                raise DataError(f"damaged compression ({error})", self.path, FETCH) from error
            self.pending = self.inflater.unconsumed_tail
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def finish(self) -> None:
        """Raise DataError unless the compressed stream ends here (at most 7 bytes of padding later), its checksum
        right."""
        if self.inflater:
            self._inflate(8)
            if not self.inflater.eof:
                raise DataError("the compressed array does not end where its size says", self.path, FETCH)

    def tag(self) -> tuple[int, int, bytes | None]:
        """The next tag: (type, bytes of data, data if it is packed into the tag itself)."""
        head = self.take(8)
        kind, count = struct.unpack("<II", head)
        if kind >> 16:  # a small element: the count shares the type's word, the data the other
            kind, count = kind & 0xFFFF, kind >> 16
            return kind, count, head[4 : 4 + count]
        return kind, count, None

    def short(self, kind: int, most: int, what: str) -> bytes:
        """The data of a small sub-element of the given type. Raises DataError when it is another, or over ``most``
        bytes."""
        found, count, packed = self.tag()
        if found != kind or count > most or (packed is not None and count > 4):
            raise DataError(
                f"damaged: {what} expected, an element of type {found} with {count:,} bytes found", self.path, FETCH
            )
        return packed if packed is not None else self.take(count + -count % 8)[:count]


def parse_mat(data: bytes, key: str, path: Path) -> np.ndarray:
    """The array (rows, columns, frames) called ``key`` of a MATLAB version 5 file, compressed or not.

    It must be stored as unsigned 8- or 16-bit numbers, of whatever class: MATLAB packs its doubles so where they are
    small and whole, and MSR-Action3D's are. Returns (F, R, C) uint16. Raises DataError when the file is of another kind
    or damaged, when it holds no such array, or one of other numbers or another shape.
    """
    if is_hdf5(data):
        raise DataError("a MATLAB 7.3 (HDF5) file", path, f"save it again in MATLAB with save(file, '{key}', '-v7')")
    if not is_mat(data):
        raise DataError("not a MATLAB version 5 file", path, FETCH)
    if data[126:128] == b"MI":
        raise DataError("a big-endian MATLAB file", path, "save it again on a little-endian machine")
    names, start = [], MAT_HEADER_BYTES
    while start < len(data):
        if len(data) < start + 8:
            raise DataError("truncated in the tag of an array", path, FETCH)
        kind, count = struct.unpack_from("<II", data, start)
        if kind not in (MI_MATRIX, MI_COMPRESSED):
            raise DataError(f"damaged: an array expected, an element of type {kind} found", path, FETCH)
        if start + 8 + count > len(data):
            raise DataError(
                f"truncated: an array of {count:,} bytes, {len(data) - start - 8:,} of them there", path, FETCH
            )
        element = ElementReader(data[start + 8 : start + 8 + count], kind == MI_COMPRESSED, path)
        if kind == MI_COMPRESSED and element.tag()[0] != MI_MATRIX:
            raise DataError("damaged: the compressed element holds no array", path, FETCH)
        name, array_class, shape = array_header(element)
        if name == key:
            return depth_array(element, array_class, shape)
        names.append(name)
        start += 8 + count
    raise DataError(f"no array {key!r} among {names}", path, f"save the depth maps under the name {key!r}")


def array_header(element: ElementReader) -> tuple[str, int, tuple[int, ...]]:
    """Name, class (with the complex flag left in, which makes it no numeric class) and shape of an array."""
    flags = element.short(MI_UINT32, 8, "array flags")
    dimensions = element.short(MI_INT32, 32, "a shape")
    name = element.short(MI_INT8, 64, "a name")
    if len(flags) != 8 or len(dimensions) % 4:
        raise DataError("damaged: flags or shape of an array", element.path, FETCH)
    flag_bits = struct.unpack_from("<I", flags)[0]
    shape = struct.unpack(f"<{len(dimensions) // 4}i", dimensions)
    return name.decode("latin-1"), flag_bits & (0xFF | COMPLEX_FLAG), shape


def depth_array(element: ElementReader, array_class: int, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers of the array whose header was read last, as (F, R, C) uint16."""
    path = element.path
    if array_class not in NUMERIC_CLASSES:
        raise DataError(
            f"the array is of MATLAB class {array_class}, which is no array of real numbers",
            path,
            "save the depth maps as uint16",
        )
    rows, columns, frames = {2: (*shape, 1), 3: shape}.get(
        len(shape), (0, 0, 0)
    )  # MATLAB drops a last axis of length 1
    if rows == 0:
        raise DataError(
            f"shape {shape}, where (rows, columns, frames) is expected", path, "save one depth video a file"
        )
    check_size(frames, rows, columns, path)
    kind, count, packed = element.tag()
    pixels = frames * rows * columns
    if packed is not None or kind not in STORED_AS:
        raise DataError(
            f"the array is stored as numbers of type {kind}, not as unsigned 8- or 16-bit ones",
            path,
            "save the depth maps as uint16",
        )
    if count != pixels * STORED_AS[kind].itemsize:
        raise DataError(f"damaged: {pixels:,} depths expected, {count:,} bytes found", path, FETCH)
    depth = np.frombuffer(element.take(count), STORED_AS[kind])
    element.finish()
    depth = depth.reshape(frames, columns, rows)  # MATLAB's first axis runs fastest
    return depth.transpose(0, 2, 1).astype(np.uint16, copy=False)  # (F, R, C)


# ---------------------------------------------------------------------------------------------- points


@lru_cache(maxsize=4)
def rays(rows: int, columns: int, lens: Lens | None = None) -> np.ndarray:
    """Where each pixel looks: its point at depth 1, (R*C, 3) float32, rows first.

    Pixel (u, v) looks along ((u - cx) / fx, (v - cy) / fy, 1). lens : (fx, fy, cx, cy) in pixels; None is a Kinect v1:
    its focal length is 285.63 pixels on 320 columns and in proportion on others, its centre the map's, so the field of
    view is the sensor's, whatever the size of the map.
    """
    focal = FOCAL_PIXELS * columns / FOCAL_COLUMNS
    fx, fy, cx, cy = lens or (focal, focal, columns / 2, rows / 2)
    v, u = np.mgrid[:rows, :columns]
    looks = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones_like(u)], axis=-1)  # (R, C, 3)
    looks = looks.reshape(-1, 3).astype(np.float32)  # (R*C, 3)
    looks.flags.writeable = False  # shared by every caller
    return looks


def back_project(depth: np.ndarray, metres_per_unit: float, lens: Lens | None = None) -> np.ndarray:
    """The points a depth map saw: (R, C) -> (n, 3) float32, metres, x right, y down, z away; pixels of depth 0 give
    none.

    A point is its pixel's ray times its depth: x = (u - cx) z / f, y = (v - cy) z / f. Points are ordered row by row.
    lens : see ``rays``.
    """
    flat = depth.ravel()
    seen = np.flatnonzero(flat != 0)  # (n,); three times as fast as on the depths themselves
    z = flat[seen].astype(np.float32) * np.float32(metres_per_unit)  # (n,)
    return rays(*depth.shape, lens).take(seen, axis=0) * z[:, None]  # (n, 3)


def back_project_video(depth: np.ndarray, metres_per_unit: float) -> list[np.ndarray]:
    """(F, R, C) -> F arrays (n_f, 3); a frame in which the sensor saw nothing stays, as (0, 3)."""
    return [back_project(frame, metres_per_unit) for frame in depth]
