"""Which boxes a model selects for which places.

A selection inside the graph loses the places of its boxes. So the scores of a few places are made sure, each by a
number of its own, and the rest of the model is run: the number stands beside the box of the place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ov_xai.analysis.detectors.class_head import ClassHead
from ov_xai.analysis.detectors.tables import Table
from ov_xai.analysis.scores import Activation
from ov_xai.graph.readout import Readout, columns_of
from ov_xai.graph.remainder import Remainder
from ov_xai.graph.trial import as_results, of_sample_size, twin, with_stand_in
from ov_xai.graph.view import port
from ov_xai.readout.places import row_centres
from ov_xai.readout.subject import Array, Subject

#: Places that are made sure, and how many of them must come out.
_PLACES, _FEWEST = 24, 6
#: Scores of the sure places, and of all others: as probabilities, and as logits.
_SURE, _NEVER = {True: (0.8, 0.99), False: (1.5, 5.0)}, {True: 1e-3, False: -15.0}
#: Less than half of the least difference between two of these scores, also behind a sigmoid.
_TOLERANCE = 2e-4


@dataclass(frozen=True)
class PlacedBoxes:
    """Boxes and the places they belong to.

    Attributes:
        boxes: [n, 4], as the model gives them.
        centres: f64 [n, 2], x and y of the places relative to the image.
    """

    boxes: Array
    centres: Array


def selected_boxes(subject: Subject, readout: Readout) -> PlacedBoxes | None:
    """Return the boxes that a model selects for some places; None when too few of them come out.

    Args:
        subject: the detector.
        readout: where its selected rows stand.
    """
    head = subject.anatomy.head
    if head is None or readout.boxes is None or head.levels[0].table.anchors > 1:
        return None
    tables = list({port(level.table.output): level.table for level in head.levels}.values())
    centres = row_centres([level for level in head.levels if level.table is tables[0]])
    if centres is None:
        return None
    places = np.random.default_rng(7).permutation(len(centres))[:_PLACES]
    sure = np.linspace(*_SURE[_is_probability(head)], len(places))
    model = of_sample_size(subject.model)
    scores_of = Remainder(as_results([twin(model, table.output) for table in tables]), [])
    values = [_unsure(head, table, array) for table, array in zip(tables, scores_of.run([]), strict=True)]
    _make_sure(head, _columns_last(values[0], tables[0]), places, sure)
    stand_ins = [with_stand_in(model, table.output) for table in tables]
    outputs = Remainder(model.get_results(), stand_ins).run(values)
    scores = columns_of(outputs[readout.scores[0].output], readout.scores[0]).reshape(-1)
    boxes = columns_of(outputs[readout.boxes.output], readout.boxes).reshape(-1, 4)
    if len(scores) != len(boxes):
        return None
    found = [(row, place) for place, score in zip(places, sure, strict=True) for row in _rows_with(scores, score)[:1]]
    if len(found) < _FEWEST:
        return None
    rows, chosen = np.array(found).T
    return PlacedBoxes(boxes[rows], centres[chosen])


def _is_probability(head: ClassHead) -> bool:
    return head.made_by is not Activation.NONE


def _unsure(head: ClassHead, table: Table, values: Array) -> Array:
    """Return the numbers of a table, [..., C] in the table's own order of axes, with scores of hardly anything."""
    changed = np.array(values)
    _columns_last(changed, table)[..., head.columns.start : head.columns.stop] = _NEVER[_is_probability(head)]
    return changed


def _columns_last(values: Array, table: Table) -> Array:
    """Return a view of a table with its columns along the last axis."""
    return np.moveaxis(values, table.column_axis, -1)


def _make_sure(head: ClassHead, values: Array, places: Array, sure: Array) -> None:
    """Give some places of the first image their scores, in place.

    Args:
        head: the class scores.
        values: [N, ..., C].
        places: i64 [n], rows of one image.
        sure: f64 [n].
    """
    column = head.columns[0 if head.background == len(head.columns) - 1 else -1]
    for place, score in zip(places, sure, strict=True):
        row = values[np.unravel_index(place, values.shape[:-1])]
        row[column] = score
        if head.objectness is not None:
            row[head.objectness] = 1


def _rows_with(scores: Array, score: float) -> Array:
    """Return the rows with a score, i64; of a logit also those with its probability."""
    fitting = (np.abs(scores - score) < _TOLERANCE) | (np.abs(scores - 1 / (1 + np.exp(-score))) < _TOLERANCE)
    return np.flatnonzero(fitting)
