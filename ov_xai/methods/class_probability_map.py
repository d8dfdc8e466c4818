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
from ov_xai.analysis.detectors.class_head import ClassHead, Level
from ov_xai.graph.emit import Emitter
from ov_xai.request import Combine


def class_probability_map(
    emit: Emitter,
    head: ClassHead,
    maps: list[ov.Output],
    combine: Combine,
    level: int,
    *,
    scale_free: bool = False,
) -> ov.Output:
    """Return raw maps [N, K, h, w].

    Args:
        emit: where nodes are added.
        head: the class scores.
        maps: per level, for all columns of the head or some.
        combine: mean or maximum over the levels.
        level: index of the level whose grid the maps have.
        scale_free: the maps will be scaled to their own range, so positive factors are left out.
    """
    total = _combined(emit, head, maps, combine, level)
    if combine is Combine.MEAN and len(maps) > 1 and not scale_free:
        total = emit.divide(total, emit.like(len(maps), total))
    return total


def otx_class_map(emit: Emitter, head: ClassHead, maps: list[ov.Output], level: int) -> ov.Output:
    """Return the maps of OTX, [N, K, h, w]; `head` and `maps` hold the scores of all classes before any activation."""
    total = _combined(emit, head, maps, Combine.MEAN, level)
    return emit.softmax(emit.divide(total, emit.like(len(maps), total)), 1)


def _combined(emit: Emitter, head: ClassHead, maps: list[ov.Output], combine: Combine, level: int) -> ov.Output:
    """Return the sum or the maximum over the levels, [N, K, h, w]."""
    extents = _extents(emit, head.levels[level])
    resized = [one if index == level else emit.resize(one, extents) for index, one in enumerate(maps)]
    total = resized[0]
    for other in resized[1:]:
        total = emit.maximum(total, other) if combine is Combine.MAX else emit.add(total, other)
    return total


def _extents(emit: Emitter, level: Level) -> ov.Output:
    """Return the rows and columns of a level as an i64 vector."""
    grid = level.grid
    if grid.height is not None and grid.width is not None:
        return emit.ints(grid.height, grid.width)
    return emit.extents(level.table.output, *place_axes(level.layout))
