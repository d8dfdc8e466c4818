"""Where the predictions of a detector or a segmentation model stand in its outputs.

Plain data that a patched model carries.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from ov_xai.graph.box_formats import BoxFormat, BoxUnit

Array = npt.NDArray[Any]
Index = Annotated[int, msgspec.Meta(ge=0)]
FromLast = Annotated[int, msgspec.Meta(le=0)]


@dataclass(frozen=True)
class Columns:
    """Some columns of an output.

    Attributes:
        output: index of the output.
        axis: the axis of the columns, counted from the last (-1); 0 when the output is one column.
        start: first column.
        stop: behind the last column.
    """

    output: Index
    axis: FromLast = 0
    start: Index = 0
    stop: Index = 1


@dataclass(frozen=True)
class Readout:
    """How predictions are read.

    Attributes:
        selected: whether the rows are detections already; otherwise overlapping boxes are still to be suppressed.
        scores: one column with the confidence, or one per class.
        boxes: four columns; null when the graph does not hold them decoded.
        labels: one column with the label id, for selected rows.
        objectness: one column that the scores are multiplied with.
        activation: makes probabilities of the scores: "none", "sigmoid" or "softmax".
        first_label: label id of the first score column.
        background: score column that means "nothing"; null for none.
        format: order of the numbers of a box.
        unit: what they count.
    """

    selected: bool
    scores: list[Columns] = field(default_factory=list)
    boxes: Columns | None = None
    labels: Columns | None = None
    objectness: Columns | None = None
    activation: str = "none"
    first_label: Index = 0
    background: Index | None = None
    format: BoxFormat = "xyxy"
    unit: BoxUnit = "pixels"


@dataclass(frozen=True)
class SegmentReadout:
    """Which output says what class each place of a segmentation model belongs to.

    Attributes:
        output: index of the output.
        axis: the axis with a score per class; null for a single class without an axis, and for class ids.
        batch: the axis of the batch; null for none.
        ids: whether it holds class ids instead of scores.
    """

    output: Index
    axis: Index | None
    batch: Index | None
    ids: bool = False


def columns_of(output: Array, columns: Columns) -> Array:
    """Return some columns of an output as [..., columns]."""
    if columns.axis == 0:
        return output[..., None]
    moved = np.moveaxis(output, columns.axis, -1)
    return np.asarray(moved[..., columns.start : columns.stop])
