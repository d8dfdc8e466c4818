"""Find out where the predictions of a detector stand in its outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.analysis.axes import Role
from ov_xai.analysis.detectors.box_columns import BOX_COLUMNS
from ov_xai.analysis.detectors.class_head import ClassHead
from ov_xai.analysis.detectors.detector import Detector
from ov_xai.analysis.detectors.levels import feeds
from ov_xai.analysis.detectors.task import DetectorTask
from ov_xai.analysis.scores import Activation
from ov_xai.graph.kinds import CONTROL_FLOW, DECISION_OPS
from ov_xai.graph.model_info import read_labels
from ov_xai.graph.readout import Columns, Readout, columns_of
from ov_xai.graph.trial import EXACT, sample_inputs, sample_shape
from ov_xai.graph.view import port, sizes
from ov_xai.label_ids import LabelIds, row_columns

Array = npt.NDArray[Any]

#: Boxes relative to the image reach a little beyond it; in pixels they go far beyond this.
_LARGEST_RELATIVE = 4.0
#: Boxes of places lie within this part of the image's side from them, in the median.
_FARTHEST = 0.1
#: Part of the boxes whose second corner must lie behind the first.
_ORDERED = 0.98


def find_readout(model: ov.Model, anatomy: Detector, ids: LabelIds | None) -> Readout | None:
    """Return how the predictions of a detector are read; None when they cannot be.

    Args:
        model: the model before anything is inserted.
        anatomy: the model, taken apart.
        ids: what is known about its label ids; None without class scores on a grid.
    """
    if anatomy.task is DetectorTask.SEGMENTATION:
        return None
    found = _selected(model, ids) or _dense(anatomy, ids) or _rows(model)
    if found is None and _scores_queries(anatomy):
        found = _queries(model, anatomy.head)
    return None if found is None else _with_format(model, found, anatomy)


def _selected(model: ov.Model, ids: LabelIds | None) -> Readout | None:
    """Return the readout of outputs in which the classes were looked up."""
    if ids is None or ids.score_at is None or ids.label_at is None:
        return None
    scores, labels = _located(model, ids.score_at), _located(model, ids.label_at)
    return Readout(selected=True, scores=[scores], labels=labels, boxes=_selected_boxes(model, scores, labels))


def _located(model: ov.Model, where: tuple[int, int]) -> Columns:
    index, column = where
    rows = row_columns(sizes(model.outputs[index]) or [])
    return Columns(index, -1, column, column + 1) if rows else Columns(index)


def _selected_boxes(model: ov.Model, scores: Columns, labels: Columns) -> Columns | None:
    """Return the boxes beside the scores of selected rows, or in an output of their own."""
    if scores.axis == -1:
        # A box stands in front of its score and label, or behind them.
        first = min(scores.start, labels.start if labels.output == scores.output else scores.start)
        start = first - BOX_COLUMNS if first >= BOX_COLUMNS else max(scores.start, labels.start) + 1
        return Columns(scores.output, -1, start, start + BOX_COLUMNS)
    for index, output in enumerate(model.outputs):
        extents = sizes(output) or []
        if len(extents) >= 2 and extents[-1] in (BOX_COLUMNS, BOX_COLUMNS + 1):
            return Columns(index, -1, 0, BOX_COLUMNS)
    return None


def _rows(model: ov.Model) -> Readout | None:
    """Return the readout of a single output of rows: a box, a score and a label, or an image index in front."""
    for index, output in enumerate(model.outputs):
        shape = sizes(output) or []
        if len(shape) >= 2 and shape[-1] == 6:
            return Readout(
                True, [Columns(index, -1, 4, 5)], Columns(index, -1, 0, BOX_COLUMNS), Columns(index, -1, 5, 6)
            )
        if len(shape) == 4 and shape[-1] == 7:
            return Readout(True, [Columns(index, -1, 2, 3)], Columns(index, -1, 3, 7), Columns(index, -1, 1, 2))
    shapes = [sizes(output) or [] for output in model.outputs]
    boxes = next((i for i, shape in enumerate(shapes) if len(shape) >= 2 and shape[-1] in (4, 5)), None)
    if boxes is None:
        return None
    vectors = [i for i, shape in enumerate(shapes) if i != boxes and len(shape) == len(shapes[boxes]) - 1]
    labels = next((i for i in vectors if model.outputs[i].get_element_type().is_integral()), None)
    if labels is None:
        return None
    box = Columns(boxes, -1, 0, BOX_COLUMNS)
    if shapes[boxes][-1] == BOX_COLUMNS + 1:
        return Readout(True, [Columns(boxes, -1, 4, 5)], box, Columns(labels))
    scores = next((i for i in vectors if model.outputs[i].get_element_type().is_real()), None)
    return None if scores is None else Readout(True, [Columns(scores)], box, Columns(labels))


def _dense(anatomy: Detector, ids: LabelIds | None) -> Readout | None:
    """Return the readout of tables that are outputs themselves: a score for every class at every place."""
    head = anatomy.head
    if head is None or ids is None or any(level.table.anchors > 1 for level in head.levels):
        return None
    model = anatomy.view.model
    tables = list({port(level.table.output): level.table for level in head.levels}.values())
    indices = [_output_index(model, table.output) for table in tables]
    scores = [
        Columns(index, table.column_axis - len(table.layout), head.columns.start, head.columns.stop)
        for index, table in zip(indices, tables, strict=True)
        if index is not None
    ]
    if len(scores) < len(tables):
        return None
    objectness = None
    if head.objectness is not None:
        objectness = replace(scores[0], start=head.objectness, stop=head.objectness + 1)
    if head.objectness_levels:
        beside = head.objectness_levels[0].table
        index = _output_index(model, beside.output)
        if index is None or len(scores) > 1:
            return None
        objectness = Columns(index, beside.column_axis - len(beside.layout))
    return Readout(
        selected=False,
        scores=scores,
        boxes=_dense_boxes(model, head, scores) if len(scores) == 1 else None,
        objectness=objectness,
        activation=head.activation.value,
        first_label=ids.offset,
        background=ids.background,
    )


def _output_index(model: ov.Model, tensor: ov.Output) -> int | None:
    for index, output in enumerate(model.outputs):
        if port(output.get_node().input_value(0)) == port(tensor):
            return index
    return None


def _dense_boxes(model: ov.Model, head: ClassHead, scores: list[Columns]) -> Columns | None:
    """Return four columns in front of the scores, or an output of four columns with as many rows."""
    if head.columns.start >= BOX_COLUMNS:
        return replace(scores[0], start=0, stop=BOX_COLUMNS)
    rows = _row_count(model, scores[0])
    for index, output in enumerate(model.outputs):
        shape = sizes(output) or []
        if index != scores[0].output and len(shape) >= 2 and shape[-1] == BOX_COLUMNS and rows == shape[-2]:
            return Columns(index, -1, 0, BOX_COLUMNS)
    return None


def _row_count(model: ov.Model, scores: Columns) -> int | None:
    shape = sizes(model.outputs[scores.output]) or []
    return None if len(shape) < 2 else shape[-2] if scores.axis == -1 else shape[-1]


def _scores_queries(anatomy: Detector) -> bool:
    """Return whether the outputs may score queries: places are not scored, or their scores choose among them."""
    return anatomy.head is None or feeds(anatomy.view, anatomy.head.levels, DECISION_OPS | CONTROL_FLOW)


def _queries(model: ov.Model, head: ClassHead | None) -> Readout | None:
    """Return the readout of scores and boxes per query: [N, Q, K] and [N, Q, 4], or [N, Q, 4 + K].

    With one column more than there are labels the last one means "nothing" and a softmax makes the probabilities
    (DETR); otherwise a sigmoid does (its successors).
    """
    shapes = [sizes(output) or [] for output in model.outputs]
    boxes = next((i for i, shape in enumerate(shapes) if len(shape) == 3 and shape[-1] == BOX_COLUMNS), None)
    if boxes is None and head is not None and len(shapes) == 1 and shapes[0][-1] == BOX_COLUMNS + len(head.columns):
        scores = Columns(0, -1, BOX_COLUMNS, BOX_COLUMNS + len(head.columns))
        return Readout(False, [scores], Columns(0, -1, 0, BOX_COLUMNS), format="cxcywh")
    if boxes is None:
        return None
    labels = read_labels(model)
    for index, shape in enumerate(shapes):
        columns = shape[-1] if len(shape) == 3 and index != boxes and shape[1] == shapes[boxes][1] else None
        if columns is not None:
            nothing = labels is not None and len(labels) == columns - 1
            return Readout(
                selected=False,
                scores=[Columns(index, -1, 0, columns)],
                boxes=Columns(boxes, -1, 0, BOX_COLUMNS),
                activation=(Activation.SOFTMAX if nothing else Activation.SIGMOID).value,
                background=columns - 1 if nothing else None,
                format="cxcywh",
            )
    return None


# -- boxes -------------------------------------------------------------------------------------------------------------


def _with_format(model: ov.Model, readout: Readout, anatomy: Detector) -> Readout:
    """Return the readout with order and unit of the boxes, from the card, else from those of a random image.

    Boxes of places must lie where the places are; others are not decoded and are left out.
    """
    if readout.boxes is None:
        return readout
    facts = None if anatomy.card is None else anatomy.card.boxes
    if facts is not None and facts.format is not None and facts.unit is not None:
        return replace(readout, format=facts.format, unit=facts.unit)
    results = ov.Core().compile_model(model, "CPU", EXACT)(sample_inputs(model))
    every = columns_of(np.array(results[readout.boxes.output]), readout.boxes)[:1].reshape(-1, BOX_COLUMNS)
    centres = _centres(anatomy.head) if not readout.selected and readout.format == "xyxy" else None
    if centres is not None and len(centres) == len(every):
        return _by_place(readout, every, centres, _input_wh(anatomy))
    boxes = every[np.isfinite(every).all(1) & every.any(1)]
    if not len(boxes):
        return readout
    unit = "relative" if np.abs(boxes).max() <= _LARGEST_RELATIVE else "pixels"
    ordered = readout.format == "xyxy" and np.mean((boxes[:, 2:] >= boxes[:, :2]).all(1)) >= _ORDERED
    return replace(readout, format="xyxy" if ordered else "cxcywh", unit=unit)


def _by_place(readout: Readout, boxes: Array, centres: Array, input_wh: Array) -> Readout:
    """Return the readout with the reading under which boxes lie nearest to their places."""
    best, least = None, _FARTHEST
    for unit, size in (("relative", np.ones(2)), ("pixels", input_wh)):
        for form, middle in (("xyxy", (boxes[:, :2] + boxes[:, 2:]) / 2), ("cxcywh", boxes[:, :2])):
            positive = boxes[:, 2:] >= (boxes[:, :2] if form == "xyxy" else 0)
            distance = float(np.median(np.abs(middle / size - centres).max(1)))
            if np.mean(positive.all(1)) >= _ORDERED and distance < least:
                best, least = replace(readout, format=form, unit=unit), distance
    return best or replace(readout, boxes=None)


def _input_wh(anatomy: Detector) -> Array:
    surface = anatomy.surface
    extents = dict(zip(surface.image_letters, sample_shape(surface.image), strict=True))
    return np.array([extents["W"], extents["H"]])


def _centres(head: ClassHead | None) -> Array | None:
    """Return where the place of each row of a table is, x and y relative to the image, [P, 2]; None when unknown."""
    parts = []
    for level in sorted(head.levels, key=lambda level: level.start) if head is not None else ():
        height, width = level.grid.height, level.grid.width
        if level.axis is None or height is None or width is None:
            return None
        roles = [factor.role for factor in level.segment]
        shape = [factor.size or 1 for factor in level.segment]
        index = np.indices(shape).reshape(len(shape), -1)
        y = index[roles.index(Role.Y)] if Role.Y in roles else 0
        x = index[roles.index(Role.X)] if Role.X in roles else 0
        parts.append(np.stack(np.broadcast_arrays((x + 0.5) / width, (y + 0.5) / height, index[0])[:2], 1))
    return np.concatenate(parts) if parts else None
