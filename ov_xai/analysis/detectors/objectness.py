"""Which score column of a table is an objectness: the one that all classes are multiplied with."""

from __future__ import annotations

from dataclasses import dataclass

from ov_xai.analysis.detectors.box_columns import BOX_COLUMNS
from ov_xai.analysis.detectors.levels import levels_of
from ov_xai.analysis.detectors.tables import Table, from_source
from ov_xai.analysis.scores import Activation
from ov_xai.graph.layers import nearest_layers
from ov_xai.graph.view import GraphView


@dataclass(frozen=True)
class ScoreColumns:
    """The score columns of a table.

    Attributes:
        classes: columns of the classes.
        objectness: column of an objectness, beside them; None for none.
        unsure: whether structure does not tell if one of the classes, the first or the last, is an objectness.
    """

    classes: range
    objectness: int | None = None
    unsure: bool = False


def score_columns(view: GraphView, table: Table, labels: int | None) -> ScoreColumns:
    """Return which score columns of a table are classes, and which one is an objectness.

    With as many labels as score columns all are classes. An objectness stands beside boxes, before or behind the
    classes: it has an activation of its own, or one layer gives the boxes and scores of several anchors (YOLO).

    Args:
        view: the graph.
        table: the table.
        labels: number of classes, where labels tell; None where not.
    """
    columns = _first_run(table.scores)
    only_scores = len(columns) == table.columns and labels != len(columns) - 1
    if len(columns) == 1 or table.activation is Activation.NONE or only_scores or labels == len(columns):
        return ScoreColumns(columns)
    made = {part for source in table.sources if (part := from_source(view, table, source))}
    ends = [column for column in (columns[0], columns[-1]) if (column,) in made]
    if ends:
        told = len(made) == 2 or (len(ends) == 1 and labels == len(columns) - 1)
        return _without(columns, ends[0]) if told else ScoreColumns(columns, unsure=True)
    if not _with_boxes_of_one_layer(view, table, columns):
        return ScoreColumns(columns)
    several = any(level.anchors > 1 for level in levels_of(table))
    return _without(columns, columns[0]) if several else ScoreColumns(columns, unsure=True)


def _first_run(scores: tuple[int, ...]) -> range:
    """Return the first columns that stand together."""
    first = scores[0]
    length = next((n for n, column in enumerate(scores) if column != first + n), len(scores))
    return range(first, first + length)


def _without(columns: range, objectness: int) -> ScoreColumns:
    return ScoreColumns(columns[1:] if objectness == columns[0] else columns[:-1], objectness)


def _with_boxes_of_one_layer(view: GraphView, table: Table, columns: range) -> bool:
    """Return whether the layers that give the scores give the boxes in front of them too."""
    layers = nearest_layers([table.output.get_node()])
    of_boxes = nearest_layers([view.node(source) for source in table.sources])
    return columns[0] == BOX_COLUMNS and layers.keys() == of_boxes.keys()
