"""The target as a matrix of places by channels, and back to a grid."""

from __future__ import annotations

from math import prod

import numpy as np
import openvino as ov

from ov_xai.analysis.axes import batch_axis, place_axes
from ov_xai.analysis.candidates import Candidate
from ov_xai.analysis.demand import kept_positions, on_grid
from ov_xai.graph.emit import Emitter
from ov_xai.graph.view import sizes
from ov_xai.methods.smoothing import unsmoothed


def places_by_channels(emit: Emitter, target: Candidate) -> ov.Output:
    """Return the places of the target as [N, P, C]; tokens beside the grid are left out."""
    places, batch = place_axes(target.layout), batch_axis(target.layout) or 0
    others = [axis for axis in range(len(target.layout)) if axis not in places and axis != batch]
    order = [batch, *places, *others]
    grid = _grid_alone(emit, target, unsmoothed(emit, target.output, target.output))
    values = grid if order == sorted(order) else emit.transpose(grid, *order)
    count = prod((sizes(target.output) or [])[axis] or 1 for axis in others)
    return emit.reshape(values, 0, -1, count)


def _grid_alone(emit: Emitter, target: Candidate, values: ov.Output) -> ov.Output:
    for axis in place_axes(target.layout):
        if kept_positions(target.layout[axis]):
            places = on_grid(target.layout[axis])
            assert places is not None
            first, last = int(np.argmax(places)), len(places) - int(np.argmax(places[::-1]))
            return emit.slice(values, first, last, axis)
    return values


def mean_by_product(emit: Emitter, matrix: ov.Output, axis: int, count: ov.Output) -> ov.Output:
    """Return the mean of [N, P, C] over places (axis 1) or channels (axis 2), kept as an axis of extent one.

    `count` is the extent of that axis, an i64 vector of one element.

    A product with a vector of 1/n instead of a reduction: at BF16 and FP16 the CPU plugin keeps everything between the
    last product and an output in FP32, so an output that is reached from the target without one would change the
    precision of the target itself, and with it the predictions. The matrix is the left factor: the right one counts as
    weights, and where those of INT8 models are rounded activations, the layer before would be fused differently.
    """
    number = emit.convert(count, matrix.get_element_type())
    share = emit.divide(emit.like(1, matrix), number)
    if axis == 1:
        column = emit.broadcast(share, emit.concat([count, emit.ints(1)], 0))
        return emit.transpose(emit.matmul(matrix, column, transpose_a=True), 0, 2, 1)
    return emit.matmul(matrix, emit.broadcast(share, emit.concat([count, emit.ints(1)], 0)))


def as_grid(emit: Emitter, maps: ov.Output, height: ov.Output, width: ov.Output) -> ov.Output:
    """Return maps [N, P] as [N, h, w]."""
    return emit.reshape(maps, 0, height, width)
