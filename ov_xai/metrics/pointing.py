"""Whether a map points at the objects that were annotated."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ov_xai.errors import RequestError
from ov_xai.metrics.checks import Array, check_from, checked_boxes, checked_map


def pointing_game(saliency_map: npt.ArrayLike, boxes: npt.ArrayLike, tolerance: float = 15.0) -> bool:
    """Return whether the peak of a map lies in a box, or no farther than `tolerance` from one.

    hit = min over boxes b of |p - b| <= tolerance, where p is the centre of the pixel with the largest value and
    |p - b| its distance to the nearest point of b, 0 inside. Zhang et al. 2016, "Top-down Neural Attention by
    Excitation Backprop", arXiv 1608.00507.

    Where several pixels share the largest value, all of them must lie in a box or near one: a tie hits when it hits
    however it is broken. (Their mean would lie between two peaks, where the map points at nothing.) A constant map has
    no peak and never hits.

    Args:
        saliency_map: [H, W].
        boxes: [M, 4], xyxy in pixels of the map; pixel (row, column) covers column..column + 1 and row..row + 1.
        tolerance: in pixels of the map.

    Raises:
        RequestError: an argument has the wrong shape, or values that are not finite; there is no box.
    """
    values, corners = checked_map(saliency_map), checked_boxes(boxes)
    check_from(tolerance, 0, "tolerance")
    if values.min() == values.max():
        return False
    rows, columns = np.nonzero(values == values.max())
    centres = np.stack((columns, rows), 1) + 0.5
    return bool(np.any([_near(centres, box, tolerance) for box in corners], axis=0).all())


def energy_pointing_game(saliency_map: npt.ArrayLike, boxes: npt.ArrayLike) -> float:
    """Return the part of a map's mass that lies inside its boxes, 0..1.

    sum of S over the pixels in the union of the boxes / sum of S. Wang et al. 2020, "Score-CAM", arXiv 1910.01279. A
    pixel is inside when its centre is. A map without mass points at nothing: 0.

    Args:
        saliency_map: [H, W], nowhere negative.
        boxes: [M, 4], xyxy in pixels of the map; pixel (row, column) covers column..column + 1 and row..row + 1.

    Raises:
        RequestError: an argument has the wrong shape, or values that are negative or not finite; there is no box.
    """
    values, corners = checked_map(saliency_map), checked_boxes(boxes)
    if values.min() < 0:
        raise RequestError(f"The saliency map holds {values.min():g}; expected no negative values. Scale it to 0..1.")
    if values.max() == 0:
        return 0.0
    # Relative to the largest value no sum overflows.
    values = values / values.max()
    return float(values[_inside(values.shape, corners)].sum() / values.sum())


def _near(points: npt.NDArray[Any], box: Array, tolerance: float) -> npt.NDArray[np.bool_]:
    """Return which of some points [P, 2] lie in a box, or no farther than `tolerance` from it."""
    beyond = np.maximum(np.maximum(box[:2] - points, points - box[2:]), 0)
    return np.asarray(np.hypot(*beyond.T) <= tolerance)


def _inside(shape: tuple[int, ...], corners: Array) -> npt.NDArray[np.bool_]:
    """Return which pixels [H, W] have their centre in a box."""
    y, x = (np.arange(length) + 0.5 for length in shape)
    inside = np.zeros(shape, np.bool_)
    for left, top, right, bottom in corners:
        inside |= np.outer((top <= y) & (y <= bottom), (left <= x) & (x <= right))
    return inside
