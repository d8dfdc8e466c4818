"""Image files: finding them, and reading them as RGB."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ov_xai.errors import InputError
from ov_xai.runtime.image_size import MAX_PIXELS, image_size

#: Extensions of image files, lower case.
EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})

#: File name of the records of a run, which marks a folder as results.
RECORDS = "explanations.jsonl"
#: Longest stem of a result in bytes, so that label and ending fit into a file name of 255.
MAX_STEM = 140

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImageFile:
    """An image file and where its results go.

    Attributes:
        path: the file.
        folder: its folder relative to the input folder.
        stem: name for results, unique in its folder.
    """

    path: Path
    folder: Path
    stem: str


def natural_key(text: str) -> list[tuple[int, int | str]]:
    """Return a sort key under which "img2" comes before "img10"."""
    parts = re.split(r"([0-9]+)", text.casefold())
    return [(0, int(part)) if index % 2 else (1, part) for index, part in enumerate(parts)]


def find_images(source: Path, skip: Path | None = None) -> Iterator[ImageFile]:
    """Yield the image at `source`, or all images below it in natural order, folder by folder.

    Links to folders are followed, but not to a folder that holds them. A link to nothing counts as an image when it has
    the name of one, or no extension: reading it says what is wrong.

    Args:
        source: a file (of any extension) or a folder.
        skip: a folder that is left out, such as the output folder inside the input folder.

    Raises:
        InputError: `source` does not exist or a folder cannot be listed.
    """
    if source.is_file():
        yield ImageFile(source, Path(), shortened(source.stem))
        return
    if not source.exists():
        raise InputError(f"Input '{source}' does not exist. Give an image or a folder of images.")
    if not source.is_dir():
        raise InputError(f"Input '{source}' is neither a regular file nor a folder. Give an image or a folder.")
    yield from _walk(source, source, frozenset() if skip is None else frozenset({skip.resolve()}))


def _walk(folder: Path, root: Path, closed: frozenset[Path]) -> Iterator[ImageFile]:
    """Yield the images of a folder and those below it, but for what lies in closed folders."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: natural_key(entry.name))
    except OSError as error:
        raise InputError(f"Folder '{folder}' cannot be read: {error.strerror}. Check its permissions.") from error
    if any(entry.name == RECORDS for entry in entries):
        return  # results of an earlier run
    files = [entry.name for entry in entries if _is_image(Path(entry.path))]
    stems = unique_stems(files)
    for name in files:
        yield ImageFile(folder / name, folder.relative_to(root), stems[name])
    closed |= {folder.resolve()}
    for entry in entries:
        path = Path(entry.path)
        if path.is_dir() and path.resolve() not in closed:
            yield from _walk(path, root, closed)


def _is_image(path: Path) -> bool:
    """Return whether a file is an image by its name; one that a link does not lead to may be an image or a folder."""
    extension = path.suffix.lower()
    if path.is_symlink() and not path.exists():
        return not extension or extension in EXTENSIONS
    return extension in EXTENSIONS and path.is_file()


def unique_stems(names: list[str]) -> dict[str, str]:
    """Return a stem for each file name of a folder, no two equal even where case does not count.

    Files that share a stem ("a.jpg", "a.png") keep their extension.
    """
    shared: dict[str, int] = {}
    for name in names:
        stem = Path(name).stem.casefold()
        shared[stem] = shared.get(stem, 0) + 1
    taken: set[str] = set()
    result: dict[str, str] = {}
    for name in names:
        stem = Path(name).stem if shared[Path(name).stem.casefold()] == 1 else name
        stem = shortened(stem)
        unique, count = stem, 2
        while unique.casefold() in taken:
            unique, count = f"{stem}~{count}", count + 1
        taken.add(unique.casefold())
        result[name] = unique
    return result


def shortened(stem: str) -> str:
    """Return a stem of at most `MAX_STEM` bytes; a longer one is cut and marked by a hash of the whole."""
    encoded = os.fsencode(stem)
    if len(encoded) <= MAX_STEM:
        return stem
    mark = hashlib.sha256(encoded).hexdigest()[:8]
    return f"{os.fsencode(stem)[: MAX_STEM - 9].decode(errors='ignore')}~{mark}"


def read_image(path: Path) -> Image:
    """Return an image as u8 [H, W, 3], RGB, upright.

    EXIF orientation is applied, grey and palette images become RGB, transparency is laid over white, 16-bit
    samples are scaled to 8 bits, the first frame of an animation is taken. Files that claim more than `MAX_PIXELS` are
    refused before they are decoded.

    Raises:
        InputError: the file cannot be read or is not an image.
    """
    data = _contents(path)
    try:
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
        if decoded is not None and _may_have_alpha(data):
            decoded = _over_white(data, decoded)
    except (cv2.error, MemoryError) as error:
        raise InputError(f"Image '{path}' cannot be decoded: {_first_line(error)}.") from error
    if decoded is None:
        raise InputError(f"'{path}' is not an image, or its format is not supported.")
    return np.asarray(decoded, np.uint8)


def _contents(path: Path) -> npt.NDArray[np.uint8]:
    """Return the bytes of a file that claims to be an image of a size that can be read.

    Raises:
        InputError: it cannot be read, claims nothing of the kind, or has too many pixels.
    """
    if not path.is_file() and path.exists():
        raise InputError(f"Image '{path}' is not a regular file. Give an image.")
    try:
        data = np.fromfile(path, np.uint8)
    except (OSError, ValueError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"Image '{path}' cannot be read: {reason}.") from error
    if data.size == 0:
        raise InputError(f"Image '{path}' is empty.")
    size = image_size(data.data)
    if size is None:
        raise InputError(f"'{path}' is not an image, or its format is not supported.")
    if size[0] * size[1] > MAX_PIXELS:
        raise InputError(
            f"Image '{path}' claims {size[0]}x{size[1]} pixels; at most {MAX_PIXELS} are read. Make it smaller."
        )
    return data


def _first_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()[:120]


def _may_have_alpha(data: npt.NDArray[np.uint8]) -> bool:
    """JPEG and BMP, the bulk of photos, need no second decoding."""
    return bytes(data[:2]) not in (b"\xff\xd8", b"BM")


def _over_white(data: npt.NDArray[np.uint8], colour: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Lay an image with an alpha channel over white; return `colour` when it has none."""
    full = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)  # (H, W, BGRA) where there is alpha, as stored
    if full is None or full.ndim != 3 or full.shape[2] != 4:
        return colour
    alpha = full[:, :, 3:].astype(np.float32) / (65535 if full.dtype == np.uint16 else 255)
    if alpha.min() == 1:
        return colour
    stored = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    alpha = _turned_like(alpha, np.asarray(stored), colour)
    # OpenCV hands out 8-bit TIFF with colours already multiplied by alpha.
    premultiplied = bytes(data[:2]) in (b"II", b"MM") and full.dtype == np.uint8
    weighted = colour.astype(np.float32) if premultiplied else colour * alpha
    return np.asarray(np.clip(np.rint(weighted + 255 * (1 - alpha)), 0, 255).astype(np.uint8))


def _turned_like(values: npt.NDArray[Any], stored: npt.NDArray[Any], upright: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return values turned the way that brings the stored picture to the upright one.

    OpenCV applies EXIF orientation to colours only, so alpha has to follow.
    """
    for mirrored in (False, True):
        for quarter in range(4):
            turned = np.rot90(stored[:, ::-1] if mirrored else stored, quarter)
            if turned.shape == upright.shape and np.array_equal(turned, upright):
                return np.rot90(values[:, ::-1] if mirrored else values, quarter)
    return values
