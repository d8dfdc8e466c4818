"""The readout of tables that are outputs themselves: a score for every class at every place."""

from __future__ import annotations

from dataclasses import replace

import openvino as ov

from ov_xai.analysis.detectors.box_columns import BOX_COLUMNS
from ov_xai.analysis.detectors.class_head import ClassHead
from ov_xai.graph.readout import Columns, Readout
from ov_xai.graph.view import port
from ov_xai.readout.subject import Subject


def dense_tables(subject: Subject) -> Readout | None:
    """Return the readout of score tables that are outputs; None when one of them is none."""
    head, ids = subject.anatomy.head, subject.ids
    if head is None or ids is None or any(level.table.anchors > 1 for level in head.levels):
        return None
    tables = list({port(level.table.output): level.table for level in head.levels}.values())
    indices = [_output_index(subject, table.output) for table in tables]
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
        index = _output_index(subject, beside.output)
        if index is None or len(scores) > 1:
            return None
        objectness = Columns(index, beside.column_axis - len(beside.layout))
    return Readout(
        selected=False,
        scores=scores,
        boxes=_boxes(subject, head, scores) if len(scores) == 1 else None,
        objectness=objectness,
        activation=head.activation.value,
        first_label=ids.offset,
        background=ids.background,
    )


def _output_index(subject: Subject, tensor: ov.Output) -> int | None:
    found = (index for index, output in enumerate(subject.anatomy.view.results) if port(output) == port(tensor))
    return next(found, None)


def _boxes(subject: Subject, head: ClassHead, scores: list[Columns]) -> Columns | None:
    """Return four columns in front of the scores, or an output of four columns with as many rows."""
    if head.columns.start >= BOX_COLUMNS:
        return replace(scores[0], start=0, stop=BOX_COLUMNS)
    rows = _row_count(subject, scores[0])
    for index, shape in enumerate(subject.shapes):
        if index != scores[0].output and len(shape) >= 2 and shape[-1] == BOX_COLUMNS and rows == shape[-2]:
            return Columns(index, -1, 0, BOX_COLUMNS)
    return None


def _row_count(subject: Subject, scores: Columns) -> int | None:
    shape = subject.shapes[scores.output]
    return None if len(shape) < 2 else shape[-2] if scores.axis == -1 else shape[-1]
