"""Find what could be the class head of a detector: score tables, joined into levels of a pyramid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ov_xai.analysis.axes import Grid, is_spatial, place_axes
from ov_xai.analysis.detectors.box_columns import BOX_COLUMNS, divided_by_anchors, without_boxes
from ov_xai.analysis.detectors.class_head import ClassHead, Level
from ov_xai.analysis.detectors.levels import feeds, finest_first, levels_of
from ov_xai.analysis.detectors.objectness import ScoreColumns, score_columns
from ov_xai.analysis.detectors.tables import (
    Table,
    activated_tables,
    columns_made,
    linear_tables,
    reaches_an_end,
    replaces,
)
from ov_xai.analysis.propagation import Layouts
from ov_xai.graph.layers import constant_root, nearest_layers
from ov_xai.graph.view import GraphView, node_key, port


def class_heads(view: GraphView, layouts: Layouts, labels: int | None) -> list[ClassHead]:
    """Return what could be the class head, the one with most classes first.

    Probabilities come before logits. Columns of boxes are told from classes by their number and left out.

    Args:
        view: the graph.
        layouts: what the axes of every tensor are.
        labels: number of classes, where labels tell; None where not.
    """
    logits = _at_the_end(view, linear_tables(view, layouts))
    found = _grouped(view, divided_by_anchors(_at_the_end(view, activated_tables(view, layouts)), logits), labels)
    only_boxes = all(level.table.columns == BOX_COLUMNS for head in found for level in head.levels)
    if found and not (only_boxes and any(table.columns != BOX_COLUMNS for table in logits)):
        return found
    others = without_boxes(logits)
    heads = _grouped(view, divided_by_anchors(others, logits), labels)
    if len(others) == len(logits):
        heads = [_of_one_class(head, labels) for head in heads]
    return heads or found


def _of_one_class(head: ClassHead, labels: int | None) -> ClassHead:
    """Return the head of a detector without tables of boxes.

    Where many columns stand beside a single one for every place, the boxes must be among the many, with key points, and
    the single one is no objectness but the only class.
    """
    if not head.objectness_levels or len(head.columns) <= BOX_COLUMNS or labels == len(head.columns):
        return head
    return replace(head, levels=head.objectness_levels, objectness_levels=(), columns=range(1))


def _at_the_end(view: GraphView, tables: list[Table]) -> list[Table]:
    """Return the tables whose scores leave the model or go into a selection, and that no later one replaces."""
    ends = _latest(view, tables, lambda table: bool(levels_of(table)) and reaches_an_end(view, table))
    grids = [table for table in ends if is_spatial(table.layout)]
    return [table for table in ends if is_spatial(table.layout) or _continues(grids, table)]


def _continues(grids: list[Table], narrow: Table) -> bool:
    """Return whether a table of one row, one column or a single place is the end of a pyramid of the same columns.

    A single place may be the whole image: other levels must be two at least.
    """
    alike = sum(table.columns == narrow.columns and len(table.layout) == len(narrow.layout) for table in grids)
    return alike >= (1 if place_axes(narrow.layout) else 2)


def _latest(view: GraphView, tables: list[Table], fits: Callable[[Table], bool]) -> list[Table]:
    """Return the fitting tables that no later fitting one replaces."""
    kept: list[Table] = []
    for table in reversed(tables):
        if not any(replaces(view, later, table) for later in kept) and fits(table):
            kept.append(table)
    return kept[::-1]


def logit_head(view: GraphView, layouts: Layouts, head: ClassHead) -> ClassHead | None:
    """Return the scores that the activation of a class head reads; None when they are on no such levels."""
    before = view.ancestors([level.table.output.get_node() for level in head.levels])
    tables = _latest(
        view,
        linear_tables(view, layouts),
        lambda table: (
            node_key(table.output.get_node()) in before
            and table.columns == len(head.columns)
            and bool(levels_of(table))
        ),
    )
    grids = [level.grid for level in head.levels]
    heads = _grouped(view, tables, len(head.columns))
    return next((found for found in heads if [level.grid for level in found.levels] == grids), None)


def _grouped(view: GraphView, tables: list[Table], labels: int | None) -> list[ClassHead]:
    """Join the tables of single levels that have the same columns; those of one column are objectness.

    A second table of the same grid begins another head: an auxiliary one.
    """
    parts: list[_Part] = []
    for table in tables:
        columns = score_columns(view, table, labels)
        levels = levels_of(table)
        part = next((part for part in parts if part.takes(columns, levels)), None)
        if part is None:
            parts.append(_Part(table, columns, levels))
        else:
            part.levels.extend(levels)
    made = [
        ClassHead(
            levels=finest_first(view, part.levels),
            columns=part.columns.classes,
            objectness=part.columns.objectness,
            unsure=part.columns.unsure,
            made_by=part.first.activation,
            complete=len(part.columns.classes) == columns_made(view, part.first),
            alone=_is_alone(view, part.levels),
            enlarged=feeds(view, part.levels, {"Interpolate"}),
            shared_weights=_share_weights([level.table for level in part.levels]),
        )
        for part in parts
    ]
    made.sort(key=lambda head: -len(head.columns))
    return _with_objectness(made)


@dataclass(frozen=True)
class _Part:
    """A class head while its levels are collected.

    Attributes:
        first: its first table.
        columns: columns of the classes and of an objectness.
        levels: so far.
    """

    first: Table
    columns: ScoreColumns
    levels: list[Level]

    def takes(self, columns: ScoreColumns, levels: list[Level]) -> bool:
        """Return whether levels belong to this head: the same columns on other grids, or on grids of dynamic size."""
        known = {level.grid for level in self.levels if level.grid.places is not None}
        return columns == self.columns and not known.intersection(level.grid for level in levels)


def _with_objectness(heads: list[ClassHead]) -> list[ClassHead]:
    """Give a head of several classes the head of one column on the same grids as its objectness."""
    if len(heads) < 2 or not all(_fills_its_table(head) for head in (heads[0], heads[-1])):
        return heads
    first, single = heads[0], heads[-1]
    several = len(first.columns) > 1 or len(heads) == 2
    if len(single.columns) != 1 or not several or first.objectness is not None:
        return heads
    if _places(single) != _places(first) or single.made_by is not first.made_by:
        return heads
    if first.levels[0].table.sources & single.levels[0].table.sources:
        return heads  # columns of one activation are no product of two
    return [replace(first, objectness_levels=single.levels), *heads[1:-1]]


def _fills_its_table(head: ClassHead) -> bool:
    return len(head.columns) == head.levels[0].table.columns


def _places(head: ClassHead) -> list[tuple[Grid, int]]:
    return [(level.grid, level.anchors) for level in head.levels]


def _is_alone(view: GraphView, levels: list[Level]) -> bool:
    tables = {port(level.table.output) for level in levels}
    return all(port(output.get_node().input_value(0)) in tables for output in view.model.outputs)


def _share_weights(tables: list[Table]) -> bool:
    layers = nearest_layers([table.output.get_node() for table in tables])
    weights = [constant_root(layer.input_value(1)) for layer in layers.values()]
    return len(layers) == 1 or len({None if node is None else node_key(node) for node in weights}) < len(layers)
