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

from collections.abc import Sequence

import openvino as ov

from ov_xai.analysis.axes import Factor, Role, place_axes
from ov_xai.analysis.class_head import ClassHead, Level
from ov_xai.analysis.scores import Activation
from ov_xai.graph.emit import Emitter
from ov_xai.graph.view import sizes
from ov_xai.methods.maps import RawMaps
from ov_xai.request import Combine


def class_probability_map(emit: Emitter, head: ClassHead, combine: Combine, level: int, apart: bool = False) -> RawMaps:
    """Return one raw map per column of the class head: [N, K, h, w], the background left in.

    Args:
        emit: where nodes are added.
        head: the class scores.
        combine: mean or maximum over the levels.
        level: index of the level whose grid the maps have.
        apart: read the scores behind a product.
    """
    return RawMaps(_combined(emit, head, combine, level, apart))


def otx_class_map(emit: Emitter, head: ClassHead, level: int, apart: bool = False) -> RawMaps:
    """Return the maps of OTX: [N, K, h, w]; `head` holds the scores before any activation."""
    return RawMaps(emit.softmax(_combined(emit, head, Combine.MEAN, level, apart), 1))


def _combined(emit: Emitter, head: ClassHead, combine: Combine, level: int, apart: bool) -> ov.Output:
    extents = _extents(emit, head.levels[level])
    maps = []
    for index in range(len(head.levels)):
        with emit.scope(f"level_{index}"):
            scores = _level_scores(emit, head, index, apart)
            maps.append(scores if index == level else emit.resize(scores, extents))
    total = maps[0]
    for other in maps[1:]:
        total = emit.maximum(total, other) if combine is Combine.MAX else emit.add(total, other)
    if combine is Combine.MAX or len(maps) == 1:
        return total
    return emit.divide(total, emit.like(len(maps), total))


def _level_scores(emit: Emitter, head: ClassHead, index: int, apart: bool) -> ov.Output:
    """Return the scores of one level, the largest of all anchors: [N, K, h, w]."""
    level = head.levels[index]
    scores = _activated(emit, _columns(emit, level, head.columns, apart), head.activation)
    sure = _objectness(emit, head, index, apart)
    if sure is not None:
        scores = emit.multiply(scores, sure)
    return _largest_anchor(emit, scores)


def _objectness(emit: Emitter, head: ClassHead, index: int, apart: bool) -> ov.Output | None:
    if head.objectness is not None:
        column = range(head.objectness, head.objectness + 1)
        return _activated(emit, _columns(emit, head.levels[index], column, apart), _single(head.activation))
    if head.objectness_levels:
        level = head.objectness_levels[index]
        return _activated(emit, _columns(emit, level, range(level.table.columns), apart), _single(head.activation))
    return None


def _single(activation: Activation) -> Activation:
    return Activation.SIGMOID if activation is Activation.SOFTMAX else activation


def _activated(emit: Emitter, scores: ov.Output, activation: Activation) -> ov.Output:
    if activation is Activation.SIGMOID:
        return emit.sigmoid(scores)
    return emit.softmax(scores, 1) if activation is Activation.SOFTMAX else scores


def _columns(emit: Emitter, level: Level, columns: range, apart: bool) -> ov.Output:
    """Return some columns of a level as [N, columns, h, w] or, with anchors, [N, columns, h, w, anchors...]."""
    table = level.table
    values = emit.times_one(table.output) if apart else table.output
    if level.axis is not None:
        values = emit.slice_apart(values, level.start, level.start + _size(level.segment), level.axis)
    cut = emit.slice_apart if level.axis is None else emit.slice
    chosen = columns if table.anchors == 1 else range(table.columns)
    if len(chosen) != table.columns:
        values = cut(values, chosen.start, chosen.stop, table.column_axis)
    spread = _spread(emit, values, level, len(chosen))
    return spread if len(chosen) == len(columns) else emit.slice(spread, columns.start, columns.stop, 1)


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


def _size(segment: Sequence[Factor]) -> int:
    size = 1
    for factor in segment:
        assert factor.size is not None
        size *= factor.size
    return size
