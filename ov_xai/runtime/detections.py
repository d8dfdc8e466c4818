"""Detections in the outputs of a detector, read by the readout its manifest carries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from ov_xai.errors import UnsupportedModelError
from ov_xai.graph.box_formats import as_xyxy
from ov_xai.graph.readout import Columns, Readout, columns_of
from ov_xai.runtime.labels import label_of
from ov_xai.runtime.placement import Placement
from ov_xai.runtime.predictions import Array, Prediction, Reading, sigmoid, softmax

#: Of two boxes of one class that share more than this part of their union, the surer one is kept: the value of the
#: VOC and COCO protocols for "the same object".
SAME_OBJECT_IOU = 0.5
#: Most detections of one image; COCO counts as many.
MOST_DETECTIONS = 100
#: Candidates that enter the suppression, the surest ones: it is quadratic in the worst case.
_MOST_CANDIDATES = 2000


@dataclass(frozen=True)
class Detections:
    """Detections of one image, as parallel arrays.

    Attributes:
        labels: i64 [n], label ids.
        confidences: f64 [n], 0..1.
        boxes: f64 [n, 4], x0 y0 x1 y1 in pixels of the model's input; None where the outputs hold none.
    """

    labels: Array
    confidences: Array
    boxes: Array | None

    def take(self, indices: Array) -> Detections:
        """Return the detections at some indices."""
        boxes = None if self.boxes is None else self.boxes[indices]
        return Detections(self.labels[indices], self.confidences[indices], boxes)


@dataclass(frozen=True)
class DetectionReader:
    """Reads a detector.

    Attributes:
        readout: where the predictions stand; None where they cannot be read, which gives no predictions.
        labels: by label id.
        threshold: confidence, 0..1.
    """

    readout: Readout | None
    labels: Sequence[str]
    threshold: float

    def __call__(self, outputs: Sequence[Array], placement: Placement) -> Reading:
        """Return the detections at or above the threshold, boxes in pixels of the photo."""
        if self.readout is None:
            return Reading([], {})
        found = read_detections(outputs, self.readout, placement.input_wh, self.threshold)
        predictions = self._in_photo(found, placement)
        best: dict[int, float] = {}
        for item in predictions:
            best.setdefault(item.index, item.confidence)
        return Reading(predictions, best)

    def _in_photo(self, found: Detections, placement: Placement) -> list[Prediction]:
        boxes: Array | list[None] = [None] * len(found.labels)
        if found.boxes is not None:
            boxes = placement.to_photo(found.boxes)
            # The others lie on the padding of the input.
            visible = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(1))
            found, boxes = found.take(visible), boxes[visible]
        return [
            Prediction(index, label_of(self.labels, index), confidence, None if box is None else tuple(box.tolist()))
            for index, confidence, box in zip(found.labels.tolist(), found.confidences.tolist(), boxes, strict=True)
        ]


def read_detections(
    outputs: Sequence[Array], readout: Readout, input_wh: tuple[int, int], threshold: float
) -> Detections:
    """Return the detections at or above a threshold, best first, at most `MOST_DETECTIONS`.

    Where the outputs hold no boxes, one detection per class stands for all of them: the surest.

    Args:
        outputs: all outputs of one image, batch axis included.
        readout: where the predictions stand in them.
        input_wh: width and height of the model's input.
        threshold: confidence, 0..1.

    Raises:
        UnsupportedModelError: scores, labels and boxes have different numbers of rows.
    """
    if readout.selected:
        rows = read_rows(outputs, readout, input_wh)
        found = rows.take(np.flatnonzero(_at_least(rows.confidences, threshold) & (rows.labels >= 0)))
    else:
        found = _candidates(outputs, readout, input_wh, threshold)
    if found.boxes is not None:
        found = found.take(np.flatnonzero(np.isfinite(found.boxes).all(1)))
        found = found if readout.selected else _suppressed(found)
    found = found.take(np.argsort(-found.confidences, kind="stable"))
    if found.boxes is None:
        found = found.take(np.sort(np.unique(found.labels, return_index=True)[1]))
    return found.take(np.arange(min(len(found.labels), MOST_DETECTIONS)))


# -- rows that the model has selected --------------------------------------------------------------------------------


def read_rows(outputs: Sequence[Array], readout: Readout, input_wh: tuple[int, int]) -> Detections:
    """Return all rows of a model that selects its detections itself, in its order.

    Rows behind the last detection have confidence 0.

    Args:
        outputs: all outputs of one image, batch axis included.
        readout: where the predictions stand in them; `selected` is true.
        input_wh: width and height of the model's input.

    Raises:
        UnsupportedModelError: scores, labels and boxes have different numbers of rows.
    """
    assert readout.labels is not None
    scores = _column(outputs, readout.scores[0])
    confidences = np.where(np.isfinite(scores), _probabilities(scores[:, None], readout.activation)[:, 0], 0.0)
    confidences[_count(outputs, readout, len(confidences)) :] = 0
    labels = np.rint(np.nan_to_num(_column(outputs, readout.labels), nan=-1.0)).astype(np.int64)
    boxes = None if readout.boxes is None else _corners(_table(outputs, readout.boxes), readout, input_wh)
    lengths = {len(confidences), len(labels), len(confidences) if boxes is None else len(boxes)}
    if len(lengths) > 1:
        raise UnsupportedModelError(
            f"The outputs hold {len(confidences)} scores and {len(labels)} labels"
            f"{'' if boxes is None else f' for {len(boxes)} boxes'}; expected one of each per detection",
            remedy="Patch the original model again with this version.",
        )
    return Detections(labels, confidences, boxes)


def _count(outputs: Sequence[Array], readout: Readout, rows: int) -> int:
    """Return how many rows are detections: with an image index in front, those before the first negative one."""
    columns = readout.scores[0]
    output = outputs[columns.output]
    first_is_read = any(item is not None and item.start == 0 for item in (columns, readout.labels, readout.boxes))
    if columns.axis != -1 or output.shape[-1] != 7 or first_is_read:
        return rows
    ended = np.flatnonzero(output.reshape(-1, 7)[:, 0] < 0)
    return int(ended[0]) if len(ended) else rows


# -- scores of all places --------------------------------------------------------------------------------------------


def _candidates(outputs: Sequence[Array], readout: Readout, input_wh: tuple[int, int], threshold: float) -> Detections:
    """Return the surest pairs of place and class at or above the threshold, boxes not yet suppressed."""
    parts = [_level(outputs, readout, columns, threshold) for columns in readout.scores]
    places, classes, confidences = (np.concatenate(series) for series in zip(*parts, strict=True))
    if len(confidences) > _MOST_CANDIDATES:
        kept = np.argpartition(-confidences, _MOST_CANDIDATES)[:_MOST_CANDIDATES]
        places, classes, confidences = places[kept], classes[kept], confidences[kept]
    labels = classes + readout.first_label
    if readout.boxes is None:
        return Detections(labels, confidences, None)
    boxes = _table(outputs, readout.boxes)
    return Detections(labels, confidences, _corners(boxes[places], readout, input_wh))


def _level(
    outputs: Sequence[Array], readout: Readout, columns: Columns, threshold: float
) -> tuple[Array, Array, Array]:
    """Return place, score column and confidence of the candidates of one output, as i64, i64 and f64 [n].

    Most places hold nothing: only those whose best class can reach the threshold are looked at in full.
    """
    scores = _table(outputs, columns)
    sure = _objectness(outputs, readout, columns)
    best = np.ones((len(scores), 1)) if readout.activation == "softmax" else scores.max(1, keepdims=True)
    bound = _probabilities(best, "none" if readout.activation == "softmax" else readout.activation)[:, 0]
    places = np.flatnonzero((bound if sure is None else bound * sure) >= threshold)
    confidences = _probabilities(scores[places], readout.activation)
    if sure is not None:
        confidences = confidences * sure[places, None]
    if readout.background is not None:
        confidences[:, readout.background] = 0
    rows, classes = np.nonzero(_at_least(confidences, threshold))
    return places[rows], classes, confidences[rows, classes]


def best_confidences(outputs: Sequence[Array], readout: Readout) -> Array:
    """Return the best confidence of each label id over all places, f64 [K].

    Args:
        outputs: all outputs of one image, batch axis included.
        readout: where the predictions stand in them; `selected` is false.
    """
    best = [_confidences(outputs, readout, columns).max(0, initial=0.0) for columns in readout.scores]
    return np.concatenate([np.zeros(readout.first_label), np.max(best, axis=0)])


def _confidences(outputs: Sequence[Array], readout: Readout, columns: Columns) -> Array:
    """Return the confidences of all places and score columns of one output, f64 [P, columns]."""
    confidences = np.nan_to_num(_probabilities(_table(outputs, columns), readout.activation))
    sure = _objectness(outputs, readout, columns)
    if sure is not None:
        confidences = confidences * np.nan_to_num(sure)[:, None]
    if readout.background is not None:
        confidences[:, readout.background] = 0
    return confidences


def _objectness(outputs: Sequence[Array], readout: Readout, scores: Columns) -> Array | None:
    """Return the objectness of each place, f64 [P]; it stands in the same columns of every level."""
    if readout.objectness is None:
        return None
    levels = {columns.output for columns in readout.scores}
    own = readout.objectness.output in levels
    columns = replace(readout.objectness, output=scores.output) if own else readout.objectness
    return _probabilities(_column(outputs, columns), "none" if readout.activation == "none" else "sigmoid")


def _suppressed(found: Detections) -> Detections:
    """Return the detections that no surer one of the same class covers."""
    if not len(found.labels):
        return found
    assert found.boxes is not None
    corners = found.boxes - found.boxes.min()  # OpenCV sets classes apart by shifting them, from 0 on
    sizes = np.maximum(corners[:, 2:] - corners[:, :2], 0)
    xywh: Any = np.hstack([corners[:, :2], sizes])
    confidences: Any = found.confidences.astype(np.float32)
    labels: Any = found.labels.astype(np.int32)
    kept = cv2.dnn.NMSBoxesBatched(xywh, confidences, labels, 0.0, SAME_OBJECT_IOU)
    return found.take(np.asarray(kept, np.int64).reshape(-1))


# -- tables and boxes ------------------------------------------------------------------------------------------------


def _table(outputs: Sequence[Array], columns: Columns) -> Array:
    """Return columns of an output as [rows, columns]."""
    values = columns_of(outputs[columns.output], columns)
    return values.reshape(-1, values.shape[-1])


def _column(outputs: Sequence[Array], columns: Columns) -> Array:
    """Return one column of an output as f64 [rows]."""
    return columns_of(outputs[columns.output], columns).reshape(-1).astype(np.float64)


def _at_least(confidences: Array, threshold: float) -> Array:
    """Return where a confidence reaches the threshold; zero reaches none."""
    return np.asarray((confidences >= threshold) & (confidences > 0))


def _probabilities(scores: Array, activation: str) -> Array:
    """Return f64 probabilities; the classes stand along the last axis."""
    values = scores.astype(np.float64)
    if activation == "sigmoid":
        return sigmoid(values)
    return softmax(values) if activation == "softmax" and len(values) else values


def _corners(boxes: Array, readout: Readout, input_wh: tuple[int, int]) -> Array:
    """Return boxes [n, 4] as f64 [n, 4], x0 y0 x1 y1 in pixels of the model's input."""
    return as_xyxy(boxes, readout.format, readout.unit, input_wh)
