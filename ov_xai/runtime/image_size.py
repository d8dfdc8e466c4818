"""The size an image file claims, read from its first bytes: what is too large is refused before it is decoded.

Sources: PNG (W3C, third edition), JPEG (ITU-T T.81, B.1 and B.2), TIFF 6.0 and BigTIFF, GIF89a, WebP (RFC 9649), and
the BITMAPINFOHEADER of Windows.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

#: Pixels of the largest image that is read; the largest sensors have 200 million.
MAX_PIXELS = 1 << 28

Size = tuple[int, int]

_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
_JPEG_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length: TEM, RST0 to RST7, SOI
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15 without DHT, JPG, DAC
_JPEG_ENDS = {0xD9, 0xDA}  # EOI, and SOS, behind which no header follows
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_TIFF_MOST_TAGS = 4096
_TIFF_FORMATS = {3: "H", 4: "I", 16: "Q"}  # SHORT, LONG, LONG8


def image_size(data: memoryview) -> Size | None:
    """Return width and height that the header of an image claims; None for anything but the supported formats.

    Args:
        data: the file.
    """
    for magic, read in _READERS.items():
        if bytes(data[: len(magic)]) == magic:
            try:
                return read(data)
            except (struct.error, IndexError):  # cut off
                return None
    return None


def _png(data: memoryview) -> Size:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif(data: memoryview) -> Size:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _bmp(data: memoryview) -> Size:
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    return abs(width), abs(height)  # a negative height means that the first row is the topmost


def _jpeg(data: memoryview) -> Size | None:
    position = 2
    while found := _JPEG_MARKER.search(data, position):  # what lies between segments is skipped, as decoders do
        marker, position = found[1][0], found.end()
        if marker in _JPEG_ENDS:
            return None
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 3)
            return width, height
        if marker not in _JPEG_ALONE:
            position += struct.unpack_from(">H", data, position)[0]
    return None


def _webp(data: memoryview) -> Size | None:
    kind = bytes(data[8:16])
    if kind == b"WEBPVP8X":
        low_w, high_w, low_h, high_h = struct.unpack_from("<HBHB", data, 24)
        return (high_w << 16 | low_w) + 1, (high_h << 16 | low_h) + 1
    if kind == b"WEBPVP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"WEBPVP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _tiff(data: memoryview) -> Size | None:
    order = "<" if data[0] == ord("I") else ">"
    large = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    # Where the directory begins, how its length is written, and where in an entry of which length the value stands.
    start = struct.unpack_from(f"{order}{'Q' if large else 'I'}", data, 8 if large else 4)[0]
    count = struct.unpack_from(f"{order}{'Q' if large else 'H'}", data, start)[0]
    first, length, value = (start + 8, 20, 12) if large else (start + 2, 12, 8)
    found: dict[int, int] = {}
    for entry in range(first, first + min(count, _TIFF_MOST_TAGS) * length, length):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if tag in (_TIFF_WIDTH, _TIFF_HEIGHT) and kind in _TIFF_FORMATS:
            (extent,) = struct.unpack_from(f"{order}{_TIFF_FORMATS[kind]}", data, entry + value)
            found[tag] = max(extent, found.get(tag, 0))  # whichever of several a decoder takes
    return (found[_TIFF_WIDTH], found[_TIFF_HEIGHT]) if len(found) == 2 else None


_READERS: dict[bytes, Callable[[memoryview], Size | None]] = {
    b"\x89PNG\r\n\x1a\n": _png,
    b"\xff\xd8": _jpeg,
    b"GIF87a": _gif,
    b"GIF89a": _gif,
    b"BM": _bmp,
    b"RIFF": _webp,
    b"II*\0": _tiff,
    b"MM\0*": _tiff,
    b"II+\0": _tiff,
    b"MM\0+": _tiff,
}
