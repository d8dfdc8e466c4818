"""How the four numbers of a box are written, and how they become its corners."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
#: "cxcywh" begins with the centre, "xywh" with the top-left corner; both end in width and height.
BoxFormat = Literal["xyxy", "yxyx", "cxcywh", "xywh"]
#: "pixels" of the model's input, or "relative" to its sides.
BoxUnit = Literal["pixels", "relative"]


def as_xyxy(boxes: Array, form: BoxFormat, unit: BoxUnit, input_wh: tuple[int, int]) -> Array:
    """Return boxes as f64 [n, 4], x0 y0 x1 y1 in pixels of the model's input.

    Args:
        boxes: [n, 4].
        form: order of the four numbers.
        unit: what they count.
        input_wh: width and height of the model's input.
    """
    values = boxes.astype(np.float64)
    if form == "yxyx":
        values = values[:, [1, 0, 3, 2]]
    elif form == "cxcywh":
        half = values[:, 2:] / 2
        values = np.hstack([values[:, :2] - half, values[:, :2] + half])
    elif form == "xywh":
        values = np.hstack([values[:, :2], values[:, :2] + values[:, 2:]])
    return values * np.tile(input_wh, 2) if unit == "relative" else values
