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


def mean_over_channels(emit: Emitter, matrix: ov.Output) -> ov.Output:
    """Return the mean of [N, P, C] over its channels, [N, P]."""
    known = (sizes(matrix) or [])[2]
    channels = emit.extents(matrix, 2) if known is None else emit.ints(known)
    return emit.squeeze(emit.matmul(matrix, _column(emit, emit.inverse(channels, matrix), channels)), 2)


def mean_over_places(emit: Emitter, target: Candidate, height: ov.Output, width: ov.Output) -> ov.Output:
    """Return the mean of the target over its places, [N, C].

    Places are divided by w, and then summed in parts of 1/h; see `Emitter.inverse`.
    """
    matrix = places_by_channels(emit, target)  # (N, P, C)
    divided = emit.multiply(matrix, emit.inverse(width, matrix))
    column = _column(emit, emit.inverse(height, matrix), emit.multiply(height, width))
    return emit.squeeze(emit.matmul(divided, column, transpose_a=True), 2)


def _column(emit: Emitter, value: ov.Output, count: ov.Output) -> ov.Output:
    """Return a value as many times as `count`, an i64 vector of one element, says: [n, 1].

    A product with it stands for a sum: at BF16 and FP16 the CPU plugin keeps everything between the last product and
    an output in FP32, so an output that is reached from the target without one would change the precision of the
    target itself, and with it the predictions. It has to be the right factor: that one counts as weights, and where the
    weights of INT8 models are rounded activations, the layer before would be fused differently.
    """
    return emit.broadcast(value, emit.concat([count, emit.ints(1)], 0))


def as_grid(emit: Emitter, maps: ov.Output, height: ov.Output, width: ov.Output) -> ov.Output:
    """Return maps [N, P] as [N, h, w]."""
    return emit.reshape(maps, 0, height, width)
