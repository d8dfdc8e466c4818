"""Classes in the output of a segmentation model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import openvino as ov

from ov_xai.graph.readout import SegmentReadout
from ov_xai.graph.view import is_float, sizes
from ov_xai.runtime.labels import label_of
from ov_xai.runtime.placement import Placement
from ov_xai.runtime.predictions import Array, Prediction, Reading, sigmoid

#: Scores are read on every n-th row and column so that about this many are left: confidences are means over many.
_SIDE = 160
#: Probabilities may leave 0..1 by rounding.
_ROUNDING = 1e-3


def find_segment_output(outputs: Sequence[ov.Output], classes: int) -> SegmentReadout | None:
    """Return where the classes stand by the shapes of the outputs, for manifests that do not say it.

    That is the first output with a score per class and place, else the first with class ids. None where there is
    neither, or where two axes could be those of the classes.

    Args:
        outputs: the model's outputs, without those of the saliency branch.
        classes: number of classes K.
    """
    shapes = [sizes(output) or [] for output in outputs]
    for index, shape in enumerate(shapes):
        if len(shape) == 4 and is_float(outputs[index]) and classes in (shape[1], shape[3]):
            return None if shape[1] == shape[3] else SegmentReadout(index, 1 if shape[1] == classes else 3, 0)
    for index, shape in enumerate(shapes):
        one_map = (len(shape) == 3 and shape[0] in (1, None)) or (len(shape) == 4 and 1 in (shape[1], shape[3]))
        if one_map:
            return SegmentReadout(index, None, 0, ids=True)
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

    where: SegmentReadout | None
    classes: int
    labels: Sequence[str]
    threshold: float

    def __call__(self, outputs: Sequence[Array], _: Placement) -> Reading:
        """Return the classes that are present, best first."""
        if self.where is None:
            return Reading([], {})
        values = outputs[self.where.output]
        if self.where.ids:
            confidences, threshold = areas(values, self.classes), 0.0
        else:
            confidences, threshold = mean_probabilities(_scores(values, self.where)), self.threshold
        best = sorted(confidences, key=lambda index: -confidences[index])
        predictions = [
            Prediction(index, label_of(self.labels, index), confidences[index])
            for index in best
            if confidences[index] >= threshold
        ]
        return Reading(predictions, confidences)


def _scores(output: Array, where: SegmentReadout) -> Array:
    """Return the scores of the first image as [K, h, w]."""
    classes = where.axis
    if where.batch is not None:
        output = output.take(0, where.batch)
        classes = classes - 1 if classes is not None and classes > where.batch else classes
    scores = output[None] if classes is None else np.moveaxis(output, classes, 0)
    places = [extent for extent in scores.shape[1:] if extent != 1]
    return scores.reshape(len(scores), *(places if len(places) == 2 else (1, -1)))


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
