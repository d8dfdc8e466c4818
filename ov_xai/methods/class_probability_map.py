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

import openvino as ov

from ov_xai.analysis.axes import place_axes
from ov_xai.analysis.class_head import ClassHead, Level
from ov_xai.analysis.scores import Activation
from ov_xai.graph.emit import Emitter
from ov_xai.methods.level_scores import Scores, TableReader
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
    reader = TableReader(emit, apart)
    maps = []
    for index in range(len(head.levels)):
        with emit.scope(f"level_{index}"):
            scores = _level_scores(emit, reader, head, index)
            maps.append(scores if index == level else emit.resize(scores, extents))
    total = maps[0]
    for other in maps[1:]:
        total = emit.maximum(total, other) if combine is Combine.MAX else emit.add(total, other)
    return total


def _level_scores(emit: Emitter, reader: TableReader, head: ClassHead, index: int) -> ov.Output:
    """Return the scores of one level, the largest of all anchors: [N, K, h, w]."""
    scores = reader.scores(head.levels[index], head.columns).activated(emit, head.activation)
    sure = _objectness(reader, head, index)
    if sure is not None:
        scores = scores.times(emit, sure.activated(emit, _single(head.activation)))
    return scores.best_anchor(emit)


def _objectness(reader: TableReader, head: ClassHead, index: int) -> Scores | None:
    if head.objectness is not None:
        return reader.scores(head.levels[index], range(head.objectness, head.objectness + 1))
    if head.objectness_levels:
        level = head.objectness_levels[index]
        return reader.scores(level, range(level.table.columns))
    return None


def _single(activation: Activation) -> Activation:
    return Activation.SIGMOID if activation is Activation.SOFTMAX else activation


def _extents(emit: Emitter, level: Level) -> ov.Output:
    """Return the rows and columns of a level as an i64 vector."""
    grid = level.grid
    if grid.height is not None and grid.width is not None:
        return emit.ints(grid.height, grid.width)
    return emit.extents_apart(level.table.output, *place_axes(level.layout))
