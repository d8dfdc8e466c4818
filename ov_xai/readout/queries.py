"""The readout of scores and boxes per query."""

from __future__ import annotations

from ov_xai.analysis.detectors.box_columns import BOX_COLUMNS
from ov_xai.analysis.detectors.levels import feeds
from ov_xai.analysis.scores import Activation
from ov_xai.graph.kinds import CONTROL_FLOW, DECISION_OPS
from ov_xai.graph.model_info import read_labels
from ov_xai.graph.readout import Columns, Readout, columns_of
from ov_xai.readout.subject import Subject


def scored_queries(subject: Subject) -> Readout | None:
    """Return the readout of scores and boxes per query: [N, Q, K] and [N, Q, 4], or [N, Q, 4 + K].

    With one column more than there are labels the last one means "nothing" and a softmax makes the probabilities
    (DETR); otherwise a sigmoid does (its successors), unless the numbers are probabilities already.
    """
    if not _may_be_queries(subject):
        return None
    shapes = [[] if subject.holds_places(index) else shape for index, shape in enumerate(subject.shapes)]
    boxes = next((i for i, shape in enumerate(shapes) if len(shape) == 3 and shape[-1] == BOX_COLUMNS), None)
    if boxes is None:
        return _one_output(subject, shapes)
    for index, shape in enumerate(shapes):
        columns = shape[-1] if len(shape) == 3 and index != boxes and shape[1] == shapes[boxes][1] else None
        if columns is not None:
            return _scored(subject, Columns(index, -1, 0, columns), Columns(boxes, -1, 0, BOX_COLUMNS))
    return None


def _may_be_queries(subject: Subject) -> bool:
    """Return whether the outputs may score queries: places are not scored, or their scores choose among them."""
    head = subject.anatomy.head
    return head is None or feeds(subject.anatomy.view, head.levels, DECISION_OPS | CONTROL_FLOW)


def _one_output(subject: Subject, shapes: list[list[int | None]]) -> Readout | None:
    head = subject.anatomy.head
    if head is None or len(shapes) != 1 or not shapes[0] or shapes[0][-1] != BOX_COLUMNS + len(head.columns):
        return None
    scores = Columns(0, -1, BOX_COLUMNS, BOX_COLUMNS + len(head.columns))
    return _scored(subject, scores, Columns(0, -1, 0, BOX_COLUMNS))


def _scored(subject: Subject, scores: Columns, boxes: Columns) -> Readout:
    labels, columns = read_labels(subject.model), scores.stop - scores.start
    nothing = labels is not None and len(labels) == columns - 1
    values = columns_of(subject.trial[scores.output], scores)
    ready = bool(((values >= 0) & (values <= 1)).all())
    activation = Activation.NONE if ready else Activation.SOFTMAX if nothing else Activation.SIGMOID
    return Readout(
        selected=False,
        scores=[scores],
        boxes=boxes,
        activation=activation.value,
        background=columns - 1 if nothing else None,
    )
