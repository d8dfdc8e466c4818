"""The target as a matrix of places by channels, and back to a grid."""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.axes import batch_axis, place_axes
from ov_xai.analysis.collapse import Candidate
from ov_xai.errors import UnsupportedModelError
from ov_xai.graph.emit import Emitter
from ov_xai.graph.view import sizes


def channel_axes(target: Candidate) -> list[int]:
    """Return the axes of the target that are neither batch nor places."""
    skipped = {*place_axes(target.layout), batch_axis(target.layout)}
    return [axis for axis in range(len(target.layout)) if axis not in skipped]


def places_by_channels(emit: Emitter, target: Candidate) -> ov.Output:
    """Return the target as [N, P, C].

    Raises:
        UnsupportedModelError: the batch is not the leading axis.
    """
    batch = batch_axis(target.layout)
    if batch not in (0, None):
        raise UnsupportedModelError(
            "The batch is not the leading axis of the target",
            node=target.name,
            remedy="Choose another layer with --target-layer.",
        )
    others = channel_axes(target)
    if batch is None:
        others = [axis for axis in others if axis != 0]
    wanted = [0, *place_axes(target.layout), *[axis for axis in others if axis != 0]]
    values = target.output
    if wanted != list(range(len(target.layout))):
        values = emit.transpose(values, *wanted)
    count = 1
    for axis in others:
        count *= (sizes(target.output) or [])[axis] or 1
    return emit.reshape(values, 0, -1, count)


def mean_by_product(emit: Emitter, matrix: ov.Output, axis: int) -> ov.Output:
    """Return the mean of [N, P, C] over places (axis 1) or channels (axis 2), kept as an axis of extent one.

    A product with a vector of 1/n instead of a reduction: at BF16 and FP16 the CPU plugin keeps everything between the
    last product and an output in FP32, so an output that is reached from the target without one would change the
    precision of the target itself, and with it the predictions.
    """
    count = emit.extents(matrix, axis)
    number = emit.convert(count, matrix.get_element_type())
    share = emit.divide(emit.like(1, matrix), number)
    if axis == 1:
        return emit.matmul(emit.broadcast(share, emit.concat([emit.ints(1), count], 0)), matrix)
    return emit.matmul(matrix, emit.broadcast(share, emit.concat([count, emit.ints(1)], 0)))


def as_grid(emit: Emitter, maps: ov.Output, height: ov.Output, width: ov.Output) -> ov.Output:
    """Return maps [N, P] as [N, h, w]."""
    return emit.reshape(maps, 0, height, width)
