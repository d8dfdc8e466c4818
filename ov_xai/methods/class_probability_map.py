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

from functools import reduce

import openvino as ov

from ov_xai.graph.emit import Emitter
from ov_xai.methods.resizing import resized, resized_sum
from ov_xai.request import Combine


def class_probability_map(
    emit: Emitter,
    maps: list[ov.Output],
    combine: Combine,
    level: int,
    *,
    scale_free: bool = False,
) -> ov.Output:
    """Return raw maps [N, K, h, w].

    Args:
        emit: where nodes are added.
        maps: per level [N, K, h_l, w_l], of all classes or some.
        combine: mean or maximum over the levels.
        level: index of the level whose grid the maps have.
        scale_free: the maps will be scaled to their own range, so positive factors are left out.
    """
    total = _combined(emit, maps, combine, level)
    if combine is Combine.MEAN and len(maps) > 1 and not scale_free:
        total = emit.divide(total, emit.like(len(maps), total))
    return total


def otx_class_map(emit: Emitter, maps: list[ov.Output], level: int) -> ov.Output:
    """Return the maps of OTX, [N, K, h, w]; `maps` hold the scores of all classes before any activation."""
    total = _combined(emit, maps, Combine.MEAN, level)
    return emit.softmax(emit.divide(total, emit.like(len(maps), total)), 1)


def _combined(emit: Emitter, maps: list[ov.Output], combine: Combine, level: int) -> ov.Output:
    """Return the sum or the maximum over the levels, [N, K, h, w]."""
    if combine is Combine.MEAN:
        return resized_sum(emit, maps, level)
    return reduce(emit.maximum, [resized(emit, one, maps[level]) for one in maps])
