"""Classes in the output of a segmentation model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import openvino as ov

from ov_xai.graph.view import is_float, sizes
from ov_xai.runtime.labels import label_of
from ov_xai.runtime.placement import Placement
from ov_xai.runtime.predictions import Array, Prediction, Reading, sigmoid

#: Scores are read on every n-th row and column so that about this many are left: confidences are means over many.
_SIDE = 160
#: Probabilities may leave 0..1 by rounding.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class SegmentOutput:
    """The output that says which class each place belongs to.

    Attributes:
        output: its index.
        axis: the axis of the classes; None when it holds class ids.
    """

    output: int
    axis: int | None


def find_segment_output(outputs: Sequence[ov.Output], classes: int) -> SegmentOutput | None:
    """Return the first output with a score per class and place, else the first with class ids; None for neither.

    Args:
        outputs: the model's outputs, without those of the saliency branch.
        classes: number of classes K.
    """
    shapes = [sizes(output) or [] for output in outputs]
    for index, shape in enumerate(shapes):
        if len(shape) == 4 and is_float(outputs[index]) and classes in (shape[1], shape[3]):
            return SegmentOutput(index, 1 if shape[1] == classes else 3)
    for index, shape in enumerate(shapes):
        if len(shape) == 3 or (len(shape) == 4 and 1 in (shape[1], shape[3])):
            return SegmentOutput(index, None)
    return None


@dataclass(frozen=True)
class SegmentReader:
    """Reads a segmentation model.

    A class is present where it is the most probable one (a single class: where it has probability 1/2 or more). Its
    confidence is its mean probability at those places. Of an output that holds class ids, all classes present are
    predictions whatever the threshold, and the confidence is the part of the image they cover.

    Attributes:
        where: the output that is read; None where there is none, which gives no predictions.
        classes: number of classes K.
        labels: by label id.
        threshold: confidence, 0..1.
    """

    where: SegmentOutput | None
    classes: int
    labels: Sequence[str]
    threshold: float

    def __call__(self, outputs: Sequence[Array], _: Placement) -> Reading:
        """Return the classes that are present, best first."""
        if self.where is None:
            return Reading([], {})
        output = outputs[self.where.output]
        if self.where.axis is None:
            confidences, threshold = areas(output, self.classes), 0.0
        else:
            confidences, threshold = mean_probabilities(np.moveaxis(output[0], self.where.axis - 1, 0)), self.threshold
        best = sorted(confidences, key=lambda index: -confidences[index])
        predictions = [
            Prediction(index, label_of(self.labels, index), confidences[index])
            for index in best
            if confidences[index] >= threshold
        ]
        return Reading(predictions, confidences)


def mean_probabilities(scores: Array) -> dict[int, float]:
    """Return class -> its mean probability where it is the most probable one, for the classes present.

    Args:
        scores: [K, h, w], probabilities, or logits where values leave 0..1.
    """
    steps = [max(1, side // _SIDE) for side in scores.shape[1:]]
    table = scores[:, :: steps[0], :: steps[1]].reshape(len(scores), -1).astype(np.float64)
    logits = table.min() < -_ROUNDING or table.max() > 1 + _ROUNDING
    if len(table) == 1:
        single = sigmoid(table[0]) if logits else table[0]
        return {0: float(single[single >= 0.5].mean())} if (single >= 0.5).any() else {}
    winner, best = table.argmax(0), table.max(0)
    if logits:
        best = 1 / np.exp(table - best).sum(0)
    area = np.bincount(winner)
    total = np.bincount(winner, weights=best)
    return {int(index): min(1.0, float(total[index] / area[index])) for index in np.flatnonzero(area)}


def areas(ids: Array, classes: int) -> dict[int, float]:
    """Return class -> part of the places that have it, for the classes present.

    Args:
        ids: class ids of any shape; with a single class, 0 is the background.
        classes: number of classes K.
    """
    flat = np.rint(ids).astype(np.int64).reshape(-1)
    if classes == 1:
        flat = np.where(flat == 0, -1, 0)
    counts = np.bincount(flat[(flat >= 0) & (flat < classes)], minlength=classes)
    return {int(index): float(counts[index] / flat.size) for index in np.flatnonzero(counts)}
