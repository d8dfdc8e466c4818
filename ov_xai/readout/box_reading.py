"""Tell in what order and unit boxes are written, from numbers of which it is known where they lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from ov_xai.graph.box_formats import BoxFormat, BoxUnit, as_xyxy
from ov_xai.graph.readout import Readout

Array = npt.NDArray[Any]

#: Boxes relative to the image reach a little beyond it; in pixels they go far beyond this.
_LARGEST_RELATIVE = 4.0
#: Part of the image's side by which boxes may reach beyond it.
_BEYOND = 0.05
#: The same for a reading that may be taken for another.
_FARTHEST_BEYOND = 0.25
#: Boxes of places lie within this part of the image's side from them, in the median.
_FARTHEST = 0.1
#: How many times better than any other the best reading must fit.
_CLEARLY = 1.25
#: By how much of the image's side it must be better at least: boxes without size have no format.
_LEAST_APART = 1e-3
#: Part of the boxes that must fit.
_MOST = 0.98


@dataclass(frozen=True)
class BoxReading:
    """One way to read four numbers.

    Attributes:
        format: their order.
        unit: what they count.
    """

    format: BoxFormat
    unit: BoxUnit

    def of(self, readout: Readout) -> Readout:
        """Return a readout whose boxes are read in this way."""
        return replace(readout, format=self.format, unit=self.unit)

    def corners(self, boxes: Array, input_wh: tuple[int, int]) -> Array:
        """Return boxes [n, 4] as f64 [n, 4], x0 y0 x1 y1 relative to the image."""
        return np.asarray(as_xyxy(boxes, self.format, self.unit, input_wh) / np.tile(input_wh, 2))


def reading_by_place(boxes: Array, centres: Array, input_wh: tuple[int, int]) -> BoxReading | None:
    """Return the reading under which boxes lie nearest to their places; None when none fits, or several do.

    Args:
        boxes: [n, 4], one per place.
        centres: f64 [n, 2], x and y of the places relative to the image.
        input_wh: width and height of the model's input.
    """
    return _clearly_least(_distances(boxes, centres, input_wh), _FARTHEST)


def _distances(boxes: Array, centres: Array, input_wh: tuple[int, int]) -> Iterator[tuple[float, BoxReading]]:
    """Yield the readings that give boxes, and how far in the median their middles are from the places."""
    for form, unit in product(get_args(BoxFormat), get_args(BoxUnit)):
        reading = BoxReading(form, unit)
        corners = reading.corners(boxes, input_wh)
        if _most(_are_boxes(corners)):
            middles = (corners[:, :2] + corners[:, 2:]) / 2
            yield float(np.median(np.abs(middles - centres).max(1))), reading


def _clearly_least(found: Iterable[tuple[float, BoxReading]], most: float) -> BoxReading | None:
    """Return the reading with the least misfit; None when it is more than `most`, or another fits as well."""
    ordered = sorted(found, key=lambda item: item[0])
    if not ordered or ordered[0][0] > most:
        return None
    least, reading = ordered[0]
    clear = len(ordered) == 1 or ordered[1][0] >= max(_CLEARLY * least, least + _LEAST_APART)
    return reading if clear else None


def reading_of_rows(boxes: Array, input_wh: tuple[int, int]) -> BoxReading | None:
    """Return how selected boxes are read whose places are not known; None when it cannot be told.

    Numbers that are corners are taken for corners: others are hardly ever in order. Whether x or y comes first then
    cannot be told. Centres and top-left corners are told apart by how far boxes reach beyond the image.

    Args:
        boxes: [n, 4], at least one.
        input_wh: width and height of the model's input.
    """
    unit = _unit(boxes)
    corners = BoxReading("xyxy", unit)
    if _most(_are_boxes(corners.corners(boxes, input_wh))):
        return corners
    sized = [BoxReading("cxcywh", unit), BoxReading("xywh", unit)]
    beyond = [(float(np.quantile(_beyond(item.corners(boxes, input_wh)), _MOST)), item) for item in sized]
    return _clearly_least(beyond, _FARTHEST_BEYOND)


def reading_of_queries(boxes: Array, input_wh: tuple[int, int]) -> BoxReading:
    """Return how the boxes of queries are read: centres and sizes, unless only as corners they lie in the image.

    Args:
        boxes: [n, 4], at least one.
        input_wh: width and height of the model's input.
    """
    unit = _unit(boxes)
    centred, corners = BoxReading("cxcywh", unit), BoxReading("xyxy", unit)
    only_corners = _lie_inside(corners.corners(boxes, input_wh)) and not _lie_inside(centred.corners(boxes, input_wh))
    return corners if only_corners else centred


def _unit(boxes: Array) -> BoxUnit:
    return "relative" if np.abs(boxes).max() <= _LARGEST_RELATIVE else "pixels"


def _are_boxes(corners: Array) -> Array:
    """Return which boxes have their second corner behind the first, bool [n]."""
    return np.asarray((corners[:, 2:] >= corners[:, :2]).all(1))


def _lie_inside(corners: Array) -> bool:
    return _most((_beyond(corners) <= _BEYOND) & _are_boxes(corners))


def _beyond(corners: Array) -> Array:
    """Return by which part of the image's side each box reaches beyond it, f64 [n]."""
    return np.asarray(np.maximum(np.maximum(-corners, corners - 1), 0).max(1))


def _most(fitting: Array) -> bool:
    return float(np.mean(fitting)) >= _MOST
