"""Maps of classes from the masks of instances: where a two-stage model sees each class, by its own masks.

    S_k(p) = max over instances i of class k of confidence_i * mask_i(p)

Such a model scores classes per region, so there is no map of a class on a grid inside it; its masks say more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import openvino as ov

from ov_xai.graph.readout import Readout
from ov_xai.graph.view import is_float, rank, sizes
from ov_xai.runtime.detections import Detections, read_rows
from ov_xai.runtime.predictions import Array

INSTANCE_MASKS = "instance-masks"

#: Masks of boxes have 14 or 28 places a side; tables with fewer are something else, such as key points [n, 17, 3].
_LEAST_SIDE = 7


def find_masks(outputs: Sequence[ov.Output], readout: Readout | None) -> int | None:
    """Return the index of the output with a mask per detection: [n, h, w] or [n, 1, h, w]; None for none.

    Args:
        outputs: the model's outputs, without those of the saliency branch.
        readout: where its detections stand; masks belong to boxes [n, 4] that the model has selected itself. Both may
            have a batch axis in front.
    """
    if readout is None or not readout.selected or readout.boxes is None:
        return None
    boxes = outputs[readout.boxes.output]
    depth = rank(boxes)
    taken = {readout.boxes.output, *(columns.output for columns in readout.scores)}
    if depth not in (2, 3):
        return None
    for index, output in enumerate(outputs):
        extra = (rank(output) or 0) - depth
        if index in taken or not is_float(output) or extra not in (1, 2):
            continue
        shape = output.get_partial_shape()
        extents = sizes(output) or []
        one_per_row = shape[depth - 2].compatible(boxes.get_partial_shape()[depth - 2])
        large = all(extent is None or extent >= _LEAST_SIDE for extent in extents[-2:])
        if one_per_row and large and (extra == 1 or extents[depth - 1] == 1):
            return index
    return None


@dataclass(frozen=True)
class InstanceMasks:
    """The masks of one inference with the detections they belong to.

    Attributes:
        rows: all detections of the model, in its order.
        masks: [n, h, w], probabilities, of the whole input or of the box.
        input_wh: width and height of the model's input.
    """

    rows: Detections
    masks: Array
    input_wh: tuple[int, int]

    @property
    def classes(self) -> list[int]:
        """Return the label ids that have an instance, in ascending order."""
        return [int(label) for label in np.unique(self.rows.labels[self.rows.confidences > 0]) if label >= 0]

    def of_class(self, label: int) -> Array:
        """Return the map of a class in the size of the model's input: f32 [H, W], 0..1."""
        width, height = self.input_wh
        result = np.zeros((height, width), np.float32)
        assert self.rows.boxes is not None
        for index in np.flatnonzero((self.rows.labels == label) & (self.rows.confidences > 0)):
            confidence = np.float32(self.rows.confidences[index])
            mask = self.masks[index].astype(np.float32)
            if mask.shape == result.shape:
                np.maximum(result, confidence * mask, out=result)
            else:
                _paste(result, confidence * mask, self.rows.boxes[index])
        return result


def read_instance_masks(
    outputs: Sequence[Array], masks: int, readout: Readout, input_wh: tuple[int, int]
) -> InstanceMasks:
    """Return the masks of one image.

    Masks of the size of the input show the whole image; smaller ones show their box.

    Args:
        outputs: all outputs of one image.
        masks: index of the output with the masks; see `find_masks`.
        readout: where the detections stand.
        input_wh: width and height of the model's input.
    """
    rows = read_rows(outputs, readout, input_wh)
    values = outputs[masks]
    pictures = values.reshape(-1, *values.shape[-2:])
    # Without a detection some exporters still give one empty mask.
    count = min(len(rows.labels), len(pictures))
    return InstanceMasks(rows.take(np.arange(count)), pictures[:count], input_wh)


def _paste(canvas: Array, mask: Array, box: Array) -> None:
    """Raise the canvas to a mask that shows a box.

    Pixel (i + 1/2) of the canvas lies at (i + 1/2 - x0) w / (x1 - x0) of the mask, whose values stand at the centres of
    its cells. Nothing is computed outside the canvas, however far the box goes.
    """
    height, width = canvas.shape
    if not np.isfinite(box).all() or not (box[2:] > box[:2]).all():
        return
    x0, y0, x1, y1 = np.clip(box, 0, [width, height, width, height])
    left, top, right, bottom = math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1)
    if left >= right or top >= bottom:
        return
    step_x, step_y = mask.shape[1] / (box[2] - box[0]), mask.shape[0] / (box[3] - box[1])
    matrix = np.array(
        [
            [step_x, 0, (left + 0.5 - box[0]) * step_x - 0.5],
            [0, step_y, (top + 0.5 - box[1]) * step_y - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(mask, matrix, (right - left, bottom - top), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    region = canvas[top:bottom, left:right]
    np.maximum(region, part, out=region)
