"""What every metric asks of its arguments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ov_xai.errors import RequestError
from ov_xai.metrics.types import Floats

Array = npt.NDArray[np.float64]


def checked_map(saliency_map: npt.ArrayLike) -> Array:
    """Return a map as f64 [H, W].

    Raises:
        RequestError: it has other axes, no pixels, or values that are not finite numbers.
    """
    return _checked(saliency_map, "The saliency map", ("H", "W"))


def checked_image(image: npt.ArrayLike, saliency_map: npt.ArrayLike | None = None) -> Floats:
    """Return an image as f32 [H, W, C].

    Args:
        image: the image.
        saliency_map: [H, W], which must have its height and width; None where there is no map.

    Raises:
        RequestError: the image has other axes, no pixels, values that are not finite, or another size than its map.
    """
    checked = _checked(image, "The image", ("H", "W", "C"))
    if saliency_map is not None and checked.shape[:2] != np.shape(saliency_map):
        raise RequestError(
            f"The saliency map is {list(np.shape(saliency_map))} and the image {list(checked.shape)}; expected the "
            "same height and width. Enlarge the map to the size of the image."
        )
    return checked.astype(np.float32)


def checked_boxes(boxes: npt.ArrayLike) -> Array:
    """Return boxes as f64 [M, 4], xyxy.

    Raises:
        RequestError: there is none, or one of them is not two corners in order.
    """
    checked = _checked(boxes, "The table of boxes", ("M", "4"))
    if checked.shape[1] != 4:
        raise RequestError(f"The table of boxes is {list(checked.shape)}; expected [M, 4], xyxy in pixels.")
    if (checked[:, :2] > checked[:, 2:]).any():
        raise RequestError("A box ends before it begins; expected xyxy in pixels: left, top, right, bottom.")
    return checked


def check_same_shape(one: Array, other: Array) -> None:
    """Raise RequestError unless two maps have the same size."""
    if one.shape != other.shape:
        raise RequestError(
            f"The maps are {list(one.shape)} and {list(other.shape)}; expected the same height and width."
        )


def check_between(value: float, low: float, high: float, name: str) -> None:
    """Raise RequestError unless `low <= value <= high`; a NaN is not."""
    if not low <= value <= high:
        raise RequestError(f"The {name} is {value:g}; expected a number from {low:g} to {high:g}.")


def check_inside(value: float, low: float, high: float, name: str) -> None:
    """Raise RequestError unless `low < value < high`; a NaN is not."""
    if not low < value < high:
        raise RequestError(f"The {name} is {value:g}; expected a number between {low:g} and {high:g}.")


def check_from(value: float, low: float, name: str) -> None:
    """Raise RequestError unless a number is finite and at least `low`."""
    if not (math.isfinite(value) and value >= low):
        raise RequestError(f"The {name} is {value:g}; expected a finite number from {low:g}.")


def check_above(value: float, low: float, name: str) -> None:
    """Raise RequestError unless a number is finite and greater than `low`."""
    if not (math.isfinite(value) and value > low):
        raise RequestError(f"The {name} is {value:g}; expected a finite number above {low:g}.")


def check_count(value: int, name: str, most: int | None = None) -> None:
    """Raise RequestError unless a count is at least 1, and at most `most` where that is given."""
    if value < 1 or (most is not None and value > most):
        limit = "" if most is None else f" to {most}"
        raise RequestError(f"The number of {name} is {value}; expected a whole number from 1{limit}.")


def min_max_scaled(values: Array) -> Array:
    """Return values scaled to 0..1; zeros when they are constant."""
    low, high = values.min(), values.max()
    return np.zeros_like(values) if low == high else (values - low) / (high - low)


def _checked(values: npt.ArrayLike, name: str, axes: tuple[str, ...]) -> Array:
    found: npt.NDArray[Any] = np.asarray(values)
    if found.ndim != len(axes) or found.size == 0 or found.dtype.kind not in "buif":
        raise RequestError(
            f"{name} is {found.dtype} {list(found.shape)}; expected numbers [{', '.join(axes)}] and no empty axis."
        )
    if not np.isfinite(found).all():
        raise RequestError(f"{name} holds values that are not finite; expected numbers without NaN and infinity.")
    return found.astype(np.float64)
