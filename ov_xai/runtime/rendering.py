"""Maps as pictures."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ov_xai.errors import RequestError
from ov_xai.runtime.images import Image
from ov_xai.runtime.placement import Placement

#: Colour maps by name; all but "jet" are perceptually uniform, and in all of them the last colour means most attention.
COLORMAPS = {
    "jet": cv2.COLORMAP_JET,
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "inferno": cv2.COLORMAP_INFERNO,
    "magma": cv2.COLORMAP_MAGMA,
    "plasma": cv2.COLORMAP_PLASMA,
}


def parse_colormap(text: str) -> str:
    """Return the name of a colour map, given in any case.

    Raises:
        RequestError: there is no such colour map.
    """
    name = str(text).lower()
    if name not in COLORMAPS:
        raise RequestError(f"colormap '{text}' is not known; expected one of: {', '.join(COLORMAPS)}.")
    return name


@cache
def palette(name: str) -> Image:
    """Return the 256 colours of a colour map as u8 [256, 3], RGB; always the same array, which cannot be written.

    Raises:
        RequestError: there is no such colour map.
    """
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    colours = np.ascontiguousarray(cv2.applyColorMap(ramp, COLORMAPS[parse_colormap(name)])[:, 0, ::-1])
    colours.setflags(write=False)
    return np.asarray(colours)


def to_u8(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return a map scaled to its own full range 0..255; u8 maps are returned as they are, a constant one as zeros."""
    if values.dtype == np.uint8:
        return values
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return np.zeros(values.shape, np.uint8)
    return np.rint(255 * (values.astype(np.float64) - low) / (high - low)).astype(np.uint8)


def place_map(grid: npt.NDArray[np.uint8], placement: Placement, crop_padding: bool = True) -> npt.NDArray[np.uint8]:
    """Return a map [h, w] as u8 [H, W] in the size of the photo.

    The grid covers the model's input evenly, each cell's value at the centre of the cell, and is interpolated
    linearly. Parts of the photo that the model did not see get 0.

    Args:
        grid: u8 [h, w].
        placement: where the input lies in the photo.
        crop_padding: leave out what lies in the padding of the input; otherwise the whole map, padding included, is
            stretched over the photo.
    """
    width, height = placement.photo_wh
    x0, y0, x1, y1 = placement.source_xyxy
    if not placement.padded or not crop_padding:
        part = cv2.resize(grid, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    else:
        part = _sample(grid, placement)
    if (x0, y0, x1, y1) == (0, 0, width, height):
        return np.asarray(part)
    canvas = np.zeros((height, width), np.uint8)
    canvas[y0:y1, x0:x1] = part
    return canvas


def _sample(grid: npt.NDArray[np.uint8], placement: Placement) -> npt.NDArray[np.uint8]:
    """Return the part of a map that lies on the content of a padded input, one value per pixel of the photo.

    Linear interpolation is separable: a product with one small matrix from either side. OpenCV's warping rounds
    coordinates to 1/32 of a cell, which shows where a cell covers many pixels.
    """
    rows, columns = grid.shape
    x0, y0, x1, y1 = placement.source_xyxy
    left, top, right, bottom = placement.content_xyxy
    input_w, input_h = placement.input_wh
    vertical = _weights(rows, y1 - y0, top / input_h, bottom / input_h)
    horizontal = _weights(columns, x1 - x0, left / input_w, right / input_w)
    values = vertical @ grid.astype(np.float32) @ horizontal.T  # (H, h) (h, w) (w, W)
    return np.asarray(np.rint(values, out=values).astype(np.uint8))


def _weights(cells: int, pixels: int, start: float, end: float) -> npt.NDArray[np.float32]:
    """Return how much of each cell of an axis is in each pixel, f32 [pixels, cells]; rows sum to 1.

    Args:
        cells: number of cells, which cover the axis from 0 to 1.
        pixels: number of pixels, which cover it from start to end.
        start: 0..1.
        end: 0..1.
    """
    centres = start + (np.arange(pixels) + 0.5) * (end - start) / pixels
    positions = np.clip(centres * cells - 0.5, 0, cells - 1)  # cell n has its value at n
    distances = np.abs(positions[:, None] - np.arange(cells))
    return np.asarray(np.maximum(0, 1 - distances), np.float32)


def blend(photo: Image, saliency: npt.NDArray[np.uint8], weight: float, colours: Image, seen: Placement) -> Image:
    """Return the photo with a map laid over it, u8 [H, W, 3], RGB.

    Args:
        photo: u8 [H, W, 3], RGB.
        saliency: u8 [H, W].
        weight: part of the map, 0..1.
        colours: u8 [256, 3], RGB; see `palette`.
        seen: where the model looked; the rest of the photo is left as it is.
    """
    x0, y0, x1, y1 = seen.source_xyxy
    part = cv2.applyColorMap(np.ascontiguousarray(saliency[y0:y1, x0:x1]), colours[:, None, :])
    mixed = cv2.addWeighted(part, weight, np.ascontiguousarray(photo[y0:y1, x0:x1]), 1 - weight, 0, dst=part)
    if (x0, y0, x1, y1) == (0, 0, *seen.photo_wh):
        return np.asarray(mixed)
    result: Image = photo.copy()
    result[y0:y1, x0:x1] = mixed
    return result
