"""The class head of a detector: which numbers are the class scores of which places of which pyramid level."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np
import openvino as ov

from ov_xai.analysis.axes import Factor, Grid, Layout, Role, Segment, place_axes, segment_size
from ov_xai.analysis.propagation import Layouts
from ov_xai.analysis.scores import Activation
from ov_xai.analysis.tables import (
    Table,
    activated_tables,
    columns_made,
    from_source,
    linear_tables,
    reaches_an_end,
    replaces,
)
from ov_xai.graph.kinds import LEARNED_OPS
from ov_xai.graph.view import GraphView, node_key, port, upstream

#: Columns of a box: two corners, or a centre and a size.
BOX_COLUMNS = 4
#: Columns of boxes whose four sides are distributions over 8, 11, 16, 17 or 33 bins (generalised focal loss).
DISTRIBUTION_COLUMNS = frozenset({32, 44, 64, 68, 132})
#: Columns of a size or an offset, where boxes are made of several tables.
OFFSET_COLUMNS = frozenset({2})
#: Anchors per place that detectors have; others would be mistaken for distributions.
ANCHOR_COUNTS = (2, 3, 4, 5, 6, 7, 9, 12)


@dataclass(frozen=True)
class Level:
    """The part of a table that belongs to one level of the feature pyramid.

    Attributes:
        table: where its scores are.
        grid: its rows and columns.
        axis: the axis of the table that joins several levels; None when the table holds this level alone.
        start: first position of the level on that axis.
        segment: what the positions of the level on that axis count, outermost first: rows, columns, anchors.
    """

    table: Table
    grid: Grid
    axis: int | None = None
    start: int = 0
    segment: Segment = ()

    @property
    def layout(self) -> Layout:
        """What the axes of the level are, once it is cut out of the table."""
        layout = self.table.layout
        return layout if self.axis is None else (*layout[: self.axis], (self.segment,), *layout[self.axis + 1 :])

    @property
    def positions(self) -> tuple[int, int]:
        """First position of the level on the axis that joins several, and the one behind its last."""
        size = segment_size(self.segment)
        assert size is not None
        return self.start, self.start + size


@dataclass(frozen=True)
class ClassHead:
    """Class scores on a feature pyramid.

    Attributes:
        levels: finest first.
        columns: columns of the tables that hold the class scores, in order.
        objectness: column of the same tables that the class scores are to be multiplied with; None for none.
        objectness_levels: the same in tables of their own, one per level; empty for none.
        made_by: the activation that the scores in the tables have been through.
        activation: the activation that makes probabilities of them; NONE when they are probabilities.
        complete: whether the columns are all that the activation made, so that a background is still among them.
        background: index among `columns` of the class that means "nothing"; None for none.
        alone: whether the model's outputs hold nothing else, so that boxes must be among the columns.
        enlarged: whether the model goes on with the tables, resizing them.
        shared_weights: whether all levels are scored by the same weights; False with a single layer.
    """

    levels: tuple[Level, ...]
    columns: range
    objectness: int | None = None
    objectness_levels: tuple[Level, ...] = ()
    made_by: Activation = Activation.NONE
    activation: Activation = Activation.NONE
    complete: bool = True
    background: int | None = None
    alone: bool = False
    enlarged: bool = False
    shared_weights: bool = False

    @property
    def anchors(self) -> int:
        """Largest number of anchors per place."""
        return max(_anchor_count(level) for level in self.levels)


def class_heads(view: GraphView, layouts: Layouts) -> list[ClassHead]:
    """Return what could be the class head, the one with most classes first.

    Probabilities come before logits. Columns of boxes are told from classes by their number and left out.
    """
    logits = _at_the_end(view, linear_tables(view, layouts))
    found = _grouped(view, _divided_by_anchors(_at_the_end(view, activated_tables(view, layouts)), logits))
    only_boxes = all(level.table.columns == BOX_COLUMNS for head in found for level in head.levels)
    if found and not (only_boxes and any(table.columns != BOX_COLUMNS for table in logits)):
        return found
    return _grouped(view, _divided_by_anchors(_without_boxes(logits), logits)) or found


def _at_the_end(view: GraphView, tables: list[Table]) -> list[Table]:
    """Return the tables whose scores leave the model or go into a selection, and that no later one replaces."""
    return _latest(view, tables, lambda table: bool(_levels(table)) and reaches_an_end(view, table))


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
            node_key(table.output.get_node()) in before and table.columns == len(head.columns) and bool(_levels(table))
        ),
    )
    grids = [level.grid for level in head.levels]
    return next((found for found in _grouped(view, tables) if [level.grid for level in found.levels] == grids), None)


def _grouped(view: GraphView, tables: list[Table]) -> list[ClassHead]:
    """Join the tables of single levels that have the same columns; those of one column are objectness.

    A second table of the same grid begins another head: an auxiliary one.
    """
    parts: list[_Part] = []
    for table in tables:
        columns, objectness = _class_columns(view, table)
        levels = _levels(table)
        part = next((part for part in parts if part.takes(columns, levels)), None)
        if part is None:
            parts.append(_Part(table, columns, objectness, levels))
        else:
            part.levels.extend(levels)
    made = [
        ClassHead(
            levels=_finest_first(part.levels),
            columns=part.columns,
            objectness=part.objectness,
            made_by=part.first.activation,
            complete=len(part.columns) == columns_made(view, part.first),
            alone=_is_alone(view, part.levels),
            enlarged=feeds(view, part.levels, {"Interpolate"}),
            shared_weights=_share_weights(view, [level.table for level in part.levels]),
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
        columns: columns of the classes.
        objectness: column of an objectness.
        levels: so far.
    """

    first: Table
    columns: range
    objectness: int | None
    levels: list[Level]

    def takes(self, columns: range, levels: list[Level]) -> bool:
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
    return [(level.grid, _anchor_count(level)) for level in head.levels]


def _class_columns(view: GraphView, table: Table) -> tuple[range, int | None]:
    """Return the columns of the classes and that of an objectness before them."""
    first = table.scores[0]
    length = next((n for n, column in enumerate(table.scores) if column != first + n), len(table.scores))
    columns = range(first, first + length)
    if length > 1 and table.activation is not Activation.NONE and _starts_with_objectness(view, table, columns):
        return columns[1:], first
    return columns, None


def _starts_with_objectness(view: GraphView, table: Table, columns: range) -> bool:
    """Return whether the first score column is an objectness.

    It is where an activation of its own makes it, and where one layer gives boxes and scores together, boxes first.
    """
    alone = [source for source in table.sources if from_source(view, table, source) == (columns[0],)]
    if alone:
        return True
    layers = nearest_layers([table.output.get_node()])
    scoring = nearest_layers([view.node(source) for source in table.sources])
    return columns[0] == BOX_COLUMNS and layers == scoring


def nearest_layers(nodes: Iterable[ov.Node]) -> set[int]:
    """Return the keys of the last layers with weights that nodes depend on."""
    last = upstream(nodes, lambda node: node.get_type_name() not in LEARNED_OPS | {"ShapeOf"})
    return {node_key(node) for node in last if node.get_type_name() in LEARNED_OPS}


def _is_alone(view: GraphView, levels: list[Level]) -> bool:
    tables = {port(level.table.output) for level in levels}
    return all(port(output.get_node().input_value(0)) in tables for output in view.model.outputs)


def feeds(view: GraphView, levels: Iterable[Level], kinds: Collection[str]) -> bool:
    """Return whether an op of certain kinds depends on the tables of some levels."""
    after = view.descendants([level.table.output.get_node() for level in levels])
    return any(view.node(key).get_type_name() in kinds for key in after)


def _share_weights(view: GraphView, tables: list[Table]) -> bool:
    layers = nearest_layers([table.output.get_node() for table in tables])
    weights = [constant_root(view.node(layer).input_value(1)) for layer in layers]
    return len(layers) == 1 or len({None if node is None else node_key(node) for node in weights}) < len(layers)


def constant_root(output: ov.Output) -> ov.Node | None:
    """Return the constant that a tensor of weights is made of; None when it is none."""
    node = output.get_node()
    while node.get_type_name() != "Constant":
        if node.get_input_size() == 0:
            return None
        node = node.input_value(0).get_node()
    return node


# -- levels ------------------------------------------------------------------------------------------------------------


def _levels(table: Table) -> list[Level]:
    """Return the levels that a table joins; [] when they cannot be told apart."""
    axes = place_axes(table.layout)
    if len(axes) == 1 and len(table.layout[axes[0]]) > 1:
        return _joined_levels(table, axes[0])
    grid = _grid_of(factor for axis in axes for segment in table.layout[axis] for factor in segment)
    flat = len(axes) == 1 and segment_size(table.layout[axes[0]][0]) is None
    return [] if grid is None or flat else [Level(table, grid)]


def _joined_levels(table: Table, axis: int) -> list[Level]:
    levels, start = [], 0
    for segment in table.layout[axis]:
        size = segment_size(segment)
        grid = _grid_of(segment)
        if size is None or grid is None:
            return []
        levels.append(Level(table, grid, axis, start, segment))
        start += size
    return levels


def _grid_of(factors: Iterable[Factor]) -> Grid | None:
    """Return the grid that factors count; 1x1 when they count anchors only, None when rows are cut into parts."""
    extents: dict[Role, int | None] = {}
    for factor in factors:
        if factor.role in (Role.Y, Role.X):
            if factor.role in extents:
                return None
            extents[factor.role] = factor.size
    return Grid(extents.get(Role.Y, 1), extents.get(Role.X, 1))


def _finest_first(levels: list[Level]) -> tuple[Level, ...]:
    return tuple(sorted(levels, key=lambda level: -(level.grid.places or 0)))


def _anchor_count(level: Level) -> int:
    count = level.table.anchors
    for index, axis in enumerate(level.layout):
        if index != level.table.column_axis:
            count *= int(np.prod([f.size or 1 for part in axis for f in part if f.role is Role.OTHER], dtype=np.int64))
    return count


# -- boxes -------------------------------------------------------------------------------------------------------------


def _without_boxes(tables: list[Table]) -> list[Table]:
    """Leave out the tables that hold boxes.

    Those have four columns, or four times as many as a distribution of a side has bins, where others do not; with
    anchors they have four for each where the others have a column for each anchor and class.
    """
    boxes = [table for table in tables if table.columns == BOX_COLUMNS]
    grids = [level.grid for table in boxes for level in _levels(table)]
    if len(set(grids)) < len(grids):
        return tables  # two of them: one may hold four classes
    kept = [table for table in tables if table.columns != BOX_COLUMNS] or tables
    for parts in (DISTRIBUTION_COLUMNS, OFFSET_COLUMNS):
        if len({table.columns for table in kept} - {1}) > 1:
            kept = [table for table in kept if table.columns not in parts] or kept
    return [table for table in kept if not any(_anchors_of(other, table) for other in kept)] or kept


def _divided_by_anchors(tables: list[Table], all_tables: list[Table]) -> list[Table]:
    """Divide columns that count anchors and classes where boxes of the same grid tell the number of anchors."""
    counts = [next((count for other in all_tables if (count := _anchors_of(table, other))), 0) for table in tables]
    # Every level has boxes; a map of something else on one grid tells nothing.
    if not all(counts) or len({table.columns // count for table, count in zip(tables, counts, strict=True)}) != 1:
        return tables
    return [table.divided(count) for table, count in zip(tables, counts, strict=True)]


def _anchors_of(scores: Table, boxes: Table) -> int:
    """Return the number of anchors that boxes have in the columns of one grid; 0 when they are none of these scores."""
    anchors = boxes.columns // BOX_COLUMNS
    fits = boxes.columns % BOX_COLUMNS == 0 and anchors in ANCHOR_COUNTS and scores.columns % anchors == 0
    separate = all(len(axis) == 1 for table in (scores, boxes) for axis in table.layout)
    same = separate and [level.grid for level in _levels(scores)] == [level.grid for level in _levels(boxes)]
    return anchors if fits and same and scores.columns > boxes.columns // 2 and scores is not boxes else 0
