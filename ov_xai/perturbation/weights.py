"""Rows of a weight matrix, taken before it is converted or scaled.

Gathering below Convert and Multiply leaves FP16 and INT8 weights as they are stored: only the chosen rows are expanded.
"""

from __future__ import annotations

import openvino as ov

from ov_xai.graph.emit import Emitter
from ov_xai.graph.view import sizes


def gather_rows(emit: Emitter, weights: ov.Output, indices: ov.Output, axis: int) -> ov.Output:
    """Return the chosen rows of a weight matrix.

    Args:
        emit: where nodes are added.
        weights: [K, C] with axis 0, [C, K] with axis 1.
        indices: i64 [N, T].
        axis: the axis of K.

    Returns:
        [N, T, C].
    """
    gathered = _gather(emit, weights, indices, axis)
    return gathered if axis == 0 else emit.transpose(gathered, 1, 2, 0)


def _gather(emit: Emitter, weights: ov.Output, indices: ov.Output, axis: int) -> ov.Output:
    node = weights.get_node()
    kind = node.get_type_name()
    if kind == "Convert":
        return emit.convert(_gather(emit, node.input_value(0), indices, axis), weights.get_element_type())
    if kind in ("Multiply", "Subtract"):
        extents = sizes(weights)
        a, b = (_gather_operand(emit, source, indices, axis, extents) for source in node.input_values())
        return emit.multiply(a, b) if kind == "Multiply" else emit.subtract(a, b)
    return emit.gather(weights, indices, axis)


def _gather_operand(
    emit: Emitter, source: ov.Output, indices: ov.Output, axis: int, extents: list[int | None] | None
) -> ov.Output:
    """Return the chosen rows of one factor of the weights, which may have extent one on either axis."""
    own = sizes(source) or []
    if extents is None or len(own) != len(extents) or own[axis] != extents[axis]:
        return source if not own or own[axis] == 1 else emit.gather(source, indices, axis)
    return _gather(emit, source, indices, axis)
