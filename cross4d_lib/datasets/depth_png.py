"""One frame of a depth video stored as a 16-bit grey PNG."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numba import njit

from ..errors import DataError
from .data_files import FETCH
from .depth_video import ElementReader

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def parse_png(data: bytes, rows: int, columns: int, path: Path) -> np.ndarray:
    """A depth map stored as a 16-bit grey PNG of a known size: (R, C) uint16.

    Our own, because common decoders pass a picture whose data end early, its rest filled with 0, which is background
    here. Raises DataError on another size, depth or kind of picture, on damage (every chunk's checksum is looked at),
    and on data of another length than the header's; no more than that is unpacked.
    """
    if not data.startswith(PNG_SIGNATURE):
        raise DataError("not a PNG", path, FETCH)
    chunks = png_chunks(data, path)
    kind, header = next(chunks)
    if kind != b"IHDR" or len(header) != 13:
        raise DataError("damaged: a PNG without a header", path, FETCH)
    wide, high, bits, colours, *_, interlaced = struct.unpack(">IIBBBBB", header)
    if (wide, high) != (columns, rows):
        raise DataError(
            f"{wide} columns x {high} rows, where {columns} x {rows} are expected",
            path,
            "use the maps in the sensor's size",
        )
    if (bits, colours, interlaced) != (16, 0, 0):
        kind = {0: "grey", 2: "colour", 3: "palette", 4: "grey with alpha", 6: "colour with alpha"}.get(
            colours, f"type {colours}"
        )
        raise DataError(
            f"a PNG of {bits} bits, {kind}{', interlaced' * bool(interlaced)}, where 16 bits, grey, are expected",
            path,
            "use the depth maps as they were published, not a picture of them",
        )
    promised = rows * (1 + 2 * columns)
    packed = ElementReader(b"".join(body for kind, body in chunks if kind == b"IDAT"), True, path)
    lines = np.frombuffer(packed.take(promised), np.uint8).reshape(rows, 1 + 2 * columns)
    packed.finish()
    if lines[:, 0].max() > 4:
        raise DataError(f"damaged: row {lines[:, 0].argmax()} has filter {lines[:, 0].max()}", path, FETCH)
    return unfilter(lines).view(">u2").astype(np.uint16)


def png_chunks(data: bytes, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of a PNG's chunks, up to its end. Raises DataError on a cut or a wrong checksum, StopIteration
    never before IEND."""
    start, kind = len(PNG_SIGNATURE), b""
    while kind != b"IEND":
        if len(data) < start + 12:
            raise DataError("truncated between the chunks of a PNG", path, FETCH)
        count, kind = struct.unpack_from(">I4s", data, start)
        if start + 12 + count > len(data):
            raise DataError(
                f"truncated: a chunk of {count:,} bytes, {len(data) - start - 12:,} of them there", path, FETCH
            )
        body = data[start + 8 : start + 8 + count]
        if zlib.crc32(body, zlib.crc32(kind)) != struct.unpack_from(">I", data, start + 8 + count)[0]:
            raise DataError(f"damaged: the checksum of chunk {kind!r} is wrong", path, FETCH)
        yield kind, body
        start += 12 + count


@njit(cache=True, nogil=True)
def unfilter(lines):
    """Undo PNG's prediction. lines (R, 1 + B) uint8, each a filter's number 0..4 and B bytes of two a pixel -> (R, B)
    uint8."""
    rows, size = lines.shape[0], lines.shape[1] - 1
    plain = np.zeros((rows, size), np.uint8)
    for r in range(rows):
        method = lines[r, 0]
        for i in range(size):
            left = np.int64(plain[r, i - 2]) if i > 1 else 0
            above = np.int64(plain[r - 1, i]) if r > 0 else 0
            corner = np.int64(plain[r - 1, i - 2]) if r > 0 and i > 1 else 0
            guess = 0
            if method == 1:
                guess = left
            elif method == 2:
                guess = above
            elif method == 3:
                guess = (left + above) // 2
            elif method == 4:  # Paeth: whichever of the three is nearest to left + above - corner
                a, b, c = abs(above - corner), abs(left - corner), abs(left + above - 2 * corner)
                guess = left if a <= b and a <= c else above if b <= c else corner
            plain[r, i] = (np.int64(lines[r, i + 1]) + guess) & 255
    return plain
