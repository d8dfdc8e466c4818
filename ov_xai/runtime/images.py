"""Image files: finding them, and reading them as RGB."""

from __future__ import annotations

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

#: Extensions of image files, lower case.
EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})

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
    parts = re.split(r"(\d+)", text.casefold())
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]


def find_images(source: Path, skip: Path | None = None) -> Iterator[ImageFile]:
    """Yield the image at `source`, or all images below it in natural order, folder by folder.

    Args:
        source: a file (of any extension) or a folder.
        skip: a folder that is left out, such as the output folder inside the input folder.

    Raises:
        InputError: `source` does not exist or a folder cannot be listed.
    """
    if source.is_file():
        yield ImageFile(source, Path(), source.stem)
        return
    if not source.exists():
        raise InputError(f"Input '{source}' does not exist. Give an image or a folder of images.")
    yield from _walk(source, source, None if skip is None else skip.resolve())


def _walk(folder: Path, root: Path, skip: Path | None) -> Iterator[ImageFile]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: natural_key(entry.name))
    except OSError as error:
        raise InputError(f"Folder '{folder}' cannot be read: {error.strerror}. Check its permissions.") from error
    files = [entry.name for entry in entries if entry.is_file() and Path(entry.name).suffix.lower() in EXTENSIONS]
    stems = unique_stems(files)
    for name in files:
        yield ImageFile(folder / name, folder.relative_to(root), stems[name])
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and (skip is None or Path(entry.path).resolve() != skip):
            yield from _walk(Path(entry.path), root, skip)


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
        unique, count = stem, 2
        while unique.casefold() in taken:
            unique, count = f"{stem}~{count}", count + 1
        taken.add(unique.casefold())
        result[name] = unique
    return result


def read_image(path: Path) -> Image:
    """Return an image as u8 [H, W, 3], RGB, upright.

    EXIF orientation is applied, grey and palette images become RGB, transparency is laid over white, 16-bit
    samples are scaled to 8 bits, the first frame of an animation is taken.

    Raises:
        InputError: the file cannot be read or is not an image.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"Image '{path}' cannot be read: {error.strerror}.") from error
    if data.size == 0:
        raise InputError(f"Image '{path}' is empty.")
    try:
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
        if decoded is not None and _may_have_alpha(data):
            decoded = _over_white(data, decoded)
    except cv2.error as error:
        raise InputError(f"Image '{path}' cannot be decoded: {_first_line(error)}.") from error
    if decoded is None:
        raise InputError(f"'{path}' is not an image, or its format is not supported.")
    return np.asarray(decoded, np.uint8)


def _first_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()[:120]


def _may_have_alpha(data: npt.NDArray[np.uint8]) -> bool:
    """JPEG and BMP, the bulk of photos, need no second decoding."""
    return bytes(data[:2]) not in (b"\xff\xd8", b"BM")


def _over_white(data: npt.NDArray[np.uint8], colour: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Lay an image with an alpha channel over white; return `colour` when it has none."""
    full = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)  # (H, W, BGRA) where there is alpha
    if full is None or full.ndim != 3 or full.shape[2] != 4 or full.shape[:2] != colour.shape[:2]:
        return colour
    full_scale = 65535 if full.dtype == np.uint16 else 255
    alpha = full[:, :, 3:].astype(np.float32) / full_scale
    if alpha.min() == 1:
        return colour
    return np.asarray(np.rint(colour * alpha + 255 * (1 - alpha)).astype(np.uint8))
