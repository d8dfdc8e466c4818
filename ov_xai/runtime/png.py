"""PNG files, fast.

Half of the time of explaining a folder of photos goes into compressing pictures when zlib does it; ISA-L takes a
quarter of that for the same size. The format is that of the PNG specification (W3C, third edition): signature, IHDR,
optional PLTE, one IDAT, IEND; every row is filtered by difference to the row above.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUECOLOUR, _INDEXED = 2, 3
_FILTER_UP = 2


def encode_rgb(image: npt.NDArray[np.uint8]) -> bytes:
    """Return u8 [H, W, 3], RGB, as a PNG file."""
    return _encode(image.reshape(image.shape[0], -1), image.shape[1], _TRUECOLOUR, None)


def encode_indexed(image: npt.NDArray[np.uint8], colours: npt.NDArray[np.uint8]) -> bytes:
    """Return u8 [H, W] as a PNG file that shows colour `colours[value]`, u8 [256, 3], RGB."""
    return _encode(image, image.shape[1], _INDEXED, colours.tobytes())


def _encode(rows: npt.NDArray[np.uint8], width: int, colour_type: int, colours: bytes | None) -> bytes:
    height, length = rows.shape
    filtered: npt.NDArray[Any] = np.empty((height, length + 1), np.uint8)
    filtered[:, 0] = _FILTER_UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    parts = [_SIGNATURE, *_chunk(b"IHDR", header)]
    if colours is not None:
        parts += _chunk(b"PLTE", colours)
    parts += _chunk(b"IDAT", isal_zlib.compress(filtered, 1))
    parts += _chunk(b"IEND", b"")
    return b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> tuple[bytes, ...]:
    """Return the parts of a chunk, not yet joined: the data are large."""
    checksum = isal_zlib.crc32(data, isal_zlib.crc32(kind))
    return struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)
