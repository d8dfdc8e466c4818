"""The readout of outputs that list selected detections."""

from __future__ import annotations

from ov_xai.analysis.detectors.box_columns import BOX_COLUMNS
from ov_xai.graph.readout import Columns, Readout, columns_of
from ov_xai.label_ids import row_columns
from ov_xai.readout.subject import Array, Subject

#: Probabilities may leave 0..1 by rounding.
_ROUNDING = 1e-3


def looked_up_rows(subject: Subject) -> Readout | None:
    """Return the readout of outputs in which the classes were looked up; None when they did not come out."""
    ids = subject.ids
    if ids is None or ids.score_at is None or ids.label_at is None:
        return None
    scores, labels = _located(subject, ids.score_at), _located(subject, ids.label_at)
    return Readout(selected=True, scores=[scores], labels=labels, boxes=_boxes_beside(subject, scores, labels))


def _located(subject: Subject, where: tuple[int, int]) -> Columns:
    index, column = where
    return Columns(index, -1, column, column + 1) if row_columns(subject.shapes[index]) else Columns(index)


def _boxes_beside(subject: Subject, scores: Columns, labels: Columns) -> Columns | None:
    """Return the boxes beside the scores of selected rows, or in an output of their own."""
    if scores.axis == -1:
        # A box stands in front of its score and label, or behind them.
        first = min(scores.start, labels.start if labels.output == scores.output else scores.start)
        start = first - BOX_COLUMNS if first >= BOX_COLUMNS else max(scores.start, labels.start) + 1
        return Columns(scores.output, -1, start, start + BOX_COLUMNS)
    index = _boxes_of_their_own(subject)
    return None if index is None else Columns(index, -1, 0, BOX_COLUMNS)


def _boxes_of_their_own(subject: Subject) -> int | None:
    """Return the output of selected boxes [boxes, 4] or [N, boxes, 4], maybe with a score behind each."""
    for index, shape in enumerate(subject.shapes):
        if len(shape) in (2, 3) and shape[-1] in (BOX_COLUMNS, BOX_COLUMNS + 1) and subject.is_selected(index):
            return index
    return None


def rows_by_shape(subject: Subject) -> Readout | None:
    """Return the readout of rows of selected detections that have a usual shape; None when there are none.

    One output [N, boxes, 6] or [boxes, 6]: a box, a score and a label, in either order. One output
    [1, 1, boxes, 7]: image index, label, score and box. Or boxes, labels of a whole type, and scores.
    """
    for index in range(len(subject.shapes)):
        fitting = [item for item in _forms(subject, index) if _are_detections(subject.trial[index], item)]
        if fitting:
            return fitting[0]
    return _vectors(subject)


def _forms(subject: Subject, index: int) -> list[Readout]:
    shape = subject.shapes[index]
    if not subject.is_selected(index):
        return []
    if len(shape) in (2, 3) and shape[-1] == BOX_COLUMNS + 2:
        box, fifth, sixth = Columns(index, -1, 0, 4), Columns(index, -1, 4, 5), Columns(index, -1, 5, 6)
        return [Readout(True, [fifth], box, sixth), Readout(True, [sixth], box, fifth)]
    if len(shape) == 4 and shape[1] in (1, None) and shape[-1] == BOX_COLUMNS + 3:
        return [Readout(True, [Columns(index, -1, 2, 3)], Columns(index, -1, 3, 7), Columns(index, -1, 1, 2))]
    return []


def _are_detections(rows: Array, readout: Readout) -> bool:
    """Return whether labels are whole numbers and scores probabilities; rows of zeros and no rows tell nothing."""
    assert readout.labels is not None
    labels, scores = columns_of(rows, readout.labels), columns_of(rows, readout.scores[0])
    whole = (labels == labels.round()) & (labels >= -1)
    return bool((whole & (scores >= -_ROUNDING) & (scores <= 1 + _ROUNDING)).all())


def _vectors(subject: Subject) -> Readout | None:
    """Return the readout of boxes, labels and scores in outputs of their own; scores may stand beside the boxes."""
    boxes = _boxes_of_their_own(subject)
    if boxes is None:
        return None
    shapes, outputs = subject.shapes, subject.model.outputs
    vectors = [i for i, shape in enumerate(shapes) if i != boxes and len(shape) == len(shapes[boxes]) - 1]
    labels = next((i for i in vectors if outputs[i].get_element_type().is_integral()), None)
    if labels is None:
        return None
    box = Columns(boxes, -1, 0, BOX_COLUMNS)
    if shapes[boxes][-1] == BOX_COLUMNS + 1:
        return Readout(True, [Columns(boxes, -1, 4, 5)], box, Columns(labels))
    scores = next((i for i in vectors if outputs[i].get_element_type().is_real()), None)
    return None if scores is None else Readout(True, [Columns(scores)], box, Columns(labels))
