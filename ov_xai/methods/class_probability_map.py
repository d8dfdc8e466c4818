"""Class-probability map: how sure a detector is of each class at each place of its feature pyramid.

    P_l(k, a, p) = activation(scores of level l)  [ * objectness_l(a, p) ]
    S_k          = combine over l of resize(max over a of P_l(k, a, .), grid of one level)

    l  a pyramid level, (h_l, w_l)
    a  an anchor of the level
    k  a class; a background class has no map

Resizing is bilinear between the centres of cells (half-pixel). `otx` is what OTX 2.1 draws: the scores before the
activation, their mean over the levels at the middle level, then a softmax over the classes.
"""

from __future__ import annotations

from collections.abc import Callable

import openvino as ov

from ov_xai.analysis.axes import Role, place_axes, segment_size
from ov_xai.analysis.class_head import ClassHead, Level
from ov_xai.analysis.scores import Activation
from ov_xai.graph.emit import Emitter
from ov_xai.graph.view import Port, port, sizes
from ov_xai.methods.maps import RawMaps
from ov_xai.request import Combine


def class_probability_map(
    emit: Emitter, head: ClassHead, combine: Combine, level: int, *, apart: bool = False, scale_free: bool = False
) -> RawMaps:
    """Return one raw map per column of the class head: [N, K, h, w], the background left in.

    Args:
        emit: where nodes are added.
        head: the class scores.
        combine: mean or maximum over the levels.
        level: index of the level whose grid the maps have.
        apart: read the scores behind a product.
        scale_free: the maps will be scaled to their own range, so positive factors are left out.
    """
    total = _combined(emit, head, combine, level, apart)
    if combine is Combine.MEAN and len(head.levels) > 1 and not scale_free:
        total = emit.divide(total, emit.like(len(head.levels), total))
    return RawMaps(total)


def otx_class_map(emit: Emitter, head: ClassHead, level: int, *, apart: bool = False) -> RawMaps:
    """Return the maps of OTX: [N, K, h, w]; `head` holds the scores before any activation."""
    total = _combined(emit, head, Combine.MEAN, level, apart)
    return RawMaps(emit.softmax(emit.divide(total, emit.like(len(head.levels), total)), 1))


def _combined(emit: Emitter, head: ClassHead, combine: Combine, level: int, apart: bool) -> ov.Output:
    """Return the sum or the maximum over the levels, [N, K, h, w]."""
    extents = _extents(emit, head.levels[level])
    reader = _Reader(emit, apart)
    maps = []
    for index in range(len(head.levels)):
        with emit.scope(f"level_{index}"):
            scores = _level_scores(reader, head, index)
            maps.append(scores if index == level else emit.resize(scores, extents))
    total = maps[0]
    for other in maps[1:]:
        total = emit.maximum(total, other) if combine is Combine.MAX else emit.add(total, other)
    return total


def _level_scores(reader: _Reader, head: ClassHead, index: int) -> ov.Output:
    """Return the scores of one level, the largest of all anchors: [N, K, h, w]."""
    emit = reader.emit
    scores = _activated(emit, reader.columns(head.levels[index], head.columns), head.activation)
    sure = _objectness(reader, head, index)
    if sure is not None:
        scores = emit.multiply(scores, sure)
    return _largest_anchor(emit, scores)


def _objectness(reader: _Reader, head: ClassHead, index: int) -> ov.Output | None:
    if head.objectness is not None:
        column = range(head.objectness, head.objectness + 1)
        return _activated(reader.emit, reader.columns(head.levels[index], column), _single(head.activation))
    if head.objectness_levels:
        level = head.objectness_levels[index]
        return _activated(reader.emit, reader.columns(level, range(level.table.columns)), _single(head.activation))
    return None


def _single(activation: Activation) -> Activation:
    return Activation.SIGMOID if activation is Activation.SOFTMAX else activation


def _activated(emit: Emitter, scores: ov.Output, activation: Activation) -> ov.Output:
    if activation is Activation.SIGMOID:
        return emit.sigmoid(scores)
    return emit.softmax(scores, 1) if activation is Activation.SOFTMAX else scores


class _Reader:
    """Cuts columns and levels out of the tables of a model.

    Args:
        emit: where nodes are added.
        apart: read the tables behind a product.
    """

    def __init__(self, emit: Emitter, apart: bool) -> None:
        self.emit = emit
        self._apart = apart
        self._tables: dict[Port, ov.Output] = {}
        self._cut: dict[tuple[Port, range], ov.Output] = {}

    def columns(self, level: Level, columns: range) -> ov.Output:
        """Return some columns of a level as [N, columns, h, w] or, with anchors, [N, columns, h, w, anchors...]."""
        table = level.table
        chosen = columns if table.anchors == 1 else range(table.columns)
        if level.axis is None or level.axis > table.column_axis:
            values = self._part(self._all(level, chosen), level, self.emit.slice)
        else:
            values = self._part(self._table(level), level, self.emit.slice_apart)
            if len(chosen) != table.columns:
                values = self.emit.slice(values, chosen.start, chosen.stop, table.column_axis)
        spread = _spread(self.emit, values, level, len(chosen))
        return spread if len(chosen) == len(columns) else self.emit.slice(spread, columns.start, columns.stop, 1)

    def _table(self, level: Level) -> ov.Output:
        table = level.table.output
        if port(table) not in self._tables:
            self._tables[port(table)] = self.emit.times_one(table) if self._apart else table
        return self._tables[port(table)]

    def _all(self, level: Level, columns: range) -> ov.Output:
        """Return some columns of all levels of a table, cut once."""
        table = level.table
        key = (port(table.output), columns)
        if key not in self._cut:
            values = self._table(level)
            # A level that is cut out of a table must be read so that the plugin does not move the cut.
            whole = len(columns) == table.columns and level.axis is None
            cut = values if whole else self.emit.slice_apart(values, columns.start, columns.stop, table.column_axis)
            self._cut[key] = cut
        return self._cut[key]

    @staticmethod
    def _part(values: ov.Output, level: Level, cut: Callable[[ov.Output, int, int, int], ov.Output]) -> ov.Output:
        if level.axis is None:
            return values
        size = segment_size(level.segment)
        assert size is not None
        return cut(values, level.start, level.start + size, level.axis)


def _spread(emit: Emitter, values: ov.Output, level: Level, columns: int) -> ov.Output:
    """Give each factor an axis of its own, in the order batch, columns, rows, columns of the grid, anchors."""
    parts: list[tuple[str, int | None]] = []
    for index, axis in enumerate(level.layout):
        if index == level.table.column_axis:
            anchors = level.table.anchors
            parts.extend([("anchors", anchors)] if anchors > 1 else [])
            parts.append(("column", columns))
        else:
            parts.extend((factor.role.value, factor.size) for segment in axis for factor in segment)
    if [extent for _, extent in parts] != sizes(values):
        # One dynamic extent, the batch, is what is left.
        values = emit.reshape(values, *(-1 if extent is None else extent for _, extent in parts))
    wanted = [Role.BATCH.value, "column", Role.Y.value, Role.X.value]
    kinds = [kind for kind, _ in parts]
    order = [kinds.index(kind) for kind in wanted if kind in kinds]
    order += [index for index in range(len(parts)) if index not in order]
    if order != list(range(len(order))):
        values = emit.transpose(values, *order)
    # Axes that are missing come last: the CPU plugin loses an axis when a Transpose moves axes of extent one about
    # (OpenVINO 2026.4, [6, K, 1, 1, 1] by 2 1 3 4 0).
    missing = [axis for axis, kind in enumerate(wanted) if kind not in kinds]
    return emit.unsqueeze(values, *missing) if missing else values


def _largest_anchor(emit: Emitter, scores: ov.Output) -> ov.Output:
    """Return [N, K, h, w] of [N, K, h, w, anchors...]."""
    axes = range(4, len(scores.get_partial_shape()))
    return emit.reduce_max(scores, *axes) if axes else scores


def _extents(emit: Emitter, level: Level) -> ov.Output:
    """Return the rows and columns of a level as an i64 vector."""
    grid = level.grid
    if grid.height is not None and grid.width is not None:
        return emit.ints(grid.height, grid.width)
    return emit.extents_apart(level.table.output, *place_axes(level.layout))
