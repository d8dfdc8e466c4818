"""How ops change the meaning of axes: one small transfer function per kind of op, found by its type.

An op without one keeps what its shape proves: an axis whose extent is unchanged, or that was a single row or column
axis, keeps its meaning; everything else becomes OTHER.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import openvino as ov

from ov_xai.analysis.axes import (
    UNIT,
    Axis,
    Factor,
    Layout,
    Role,
    Segment,
    axis_of,
    axis_size,
    factors,
    has_places,
    has_role,
    regroup,
    segment_size,
    unknown,
)
from ov_xai.graph.kinds import ARITHMETIC_OPS, COMPARING_OPS, CONVOLUTIONS, REDUCTIONS
from ov_xai.graph.view import constant_axes, constant_ints, constant_value, sizes

Transfer = Callable[[ov.Node, "list[Layout]"], "list[Layout] | None"]


def transferred(node: ov.Node, inputs: list[Layout]) -> list[Layout]:
    """Return the layouts of the outputs of an op whose inputs have these."""
    found = TRANSFERS.get(node.get_type_name(), _by_shape)(node, inputs)
    return found if found is not None else [unknown(_extents(output)) for output in node.outputs()]


def _extents(output: ov.Output) -> list[int | None]:
    return sizes(output) or []


# -- helpers on axes -----------------------------------------------------------------------------------------------


def resized(axis: Axis, size: int | None) -> Axis:
    """Return the axis after an op that changes its extent but not its meaning (convolution, pooling, crop, stride)."""
    if size is not None and axis_size(axis) == size:
        return axis
    parts = factors(axis)
    if len(axis) == 1 and len({part.role for part in parts}) == 1:
        return axis_of(parts[0].role, size)
    return axis_of(Role.OTHER, size)


def reordered(axis: Axis, size: int | None) -> Axis:
    """Return the axis after an op that puts its positions into another order: places are lost, a batch is not."""
    return axis_of(Role.OTHER, size) if has_places(axis) else resized(axis, size)


def _weight_of(axis: Axis) -> int:
    if has_places(axis):
        return 3
    if has_role(axis, Role.BATCH):
        return 2
    return 0 if axis == UNIT else 1


def joined(axes: Sequence[Axis]) -> Axis:
    """Return the meaning of one axis of an elementwise op: that of the operand that says most about it."""
    return max(axes, key=_weight_of)


def broadcast_layout(layouts: Sequence[Layout]) -> Layout:
    """Return the layout of an elementwise op under NumPy broadcasting."""
    depth = max(len(layout) for layout in layouts)
    padded = [(UNIT,) * (depth - len(layout)) + layout for layout in layouts]
    return tuple(joined([layout[index] for layout in padded]) for index in range(depth))


# -- transfer functions --------------------------------------------------------------------------------------------


def _by_shape(node: ov.Node, inputs: list[Layout]) -> list[Layout]:
    source = inputs[0]
    results = []
    for output in node.outputs():
        extents = _extents(output)
        if len(extents) < len(source):
            results.append(unknown(extents))
            continue
        padded = (UNIT,) * (len(extents) - len(source)) + source
        results.append(tuple(resized(axis, size) for axis, size in zip(padded, extents, strict=True)))
    return results


def _elementwise(node: ov.Node, inputs: list[Layout]) -> list[Layout]:
    return [broadcast_layout(inputs)]


def _convolution(node: ov.Node, inputs: list[Layout]) -> list[Layout]:
    extents = _extents(node.output(0))
    source = inputs[0]
    spatial = tuple(resized(axis, size) for axis, size in zip(source[2:], extents[2:], strict=True))
    return [(source[0], axis_of(Role.OTHER, extents[1]), *spatial)]


def _matmul(node: ov.Node, inputs: list[Layout]) -> list[Layout] | None:
    attributes = node.get_attributes()
    a, b = list(inputs[0]), list(inputs[1])
    if len(a) < 2 or len(b) < 2:
        return None
    if attributes["transpose_a"]:
        a[-1], a[-2] = a[-2], a[-1]
    if attributes["transpose_b"]:
        b[-1], b[-2] = b[-2], b[-1]
    leading: Layout = broadcast_layout([tuple(a[:-2]), tuple(b[:-2])]) if len(a) > 2 or len(b) > 2 else ()
    return [(*leading, a[-2], b[-1])]


def _attention(node: ov.Node, inputs: list[Layout]) -> list[Layout]:
    query, value = inputs[0], inputs[2]
    return [(*query[:-1], value[-1])]


def _reshape(node: ov.Node, inputs: list[Layout]) -> list[Layout] | None:
    extents = _extents(node.output(0))
    result = regroup(inputs[0], extents)
    return None if result is None else [result]


def _transpose(node: ov.Node, inputs: list[Layout]) -> list[Layout] | None:
    depth = len(inputs[0])
    order = constant_axes(node, 1, depth)
    if order is None:
        return None
    order = order or list(reversed(range(depth)))
    return [tuple(inputs[0][axis] for axis in order)]


def _reduce(node: ov.Node, inputs: list[Layout]) -> list[Layout] | None:
    axes = constant_axes(node, 1, len(inputs[0]))
    if axes is None:
        return None
    keep = bool(node.get_attributes().get("keep_dims"))
    kept = [UNIT if index in axes else axis for index, axis in enumerate(inputs[0]) if keep or index not in axes]
    return [tuple(kept)]


def _concat(node: ov.Node, inputs: list[Layout]) -> list[Layout]:
    depth = len(inputs[0])
    along = int(node.get_attributes()["axis"]) % depth
    result = list(broadcast_layout(inputs))
    parts = [segment for layout in inputs for segment in layout[along]]
    size = _extents(node.output(0))[along]
    mixed = any(has_places(layout[along]) for layout in inputs)
    result[along] = _joined_segments(parts) if mixed else axis_of(Role.OTHER, size)
    return [tuple(result)]


def _joined_segments(parts: list[Segment]) -> Axis:
    result: list[Segment] = []
    for part in parts:
        plain = all(factor.role is Role.OTHER for factor in part)
        if plain and result and all(factor.role is Role.OTHER for factor in result[-1]):
            left, right = segment_size(result[-1]), segment_size(part)
            total = None if left is None or right is None else left + right
            result[-1] = (Factor(Role.OTHER, total),)
        else:
            result.append(part)
    return tuple(result)


def cut(axis: Axis, start: int, size: int | None) -> Axis:
    """Return the part of an axis that begins at `start` and has `size` places."""
    if size is not None and axis_size(axis) == size:
        return axis
    if len(axis) == 1 or size is None:
        return resized(axis, size)
    stop, position = start + size, 0
    kept: list[Segment] = []
    for segment in axis:
        extent = segment_size(segment)
        if extent is None:
            return axis_of(Role.OTHER, size)
        low, high = max(start, position), min(stop, position + extent)
        if high - low == extent:
            kept.append(segment)
        elif high > low:
            kept.append((Factor(Role.OTHER, high - low),))
        position += extent
    if len(kept) == 1 and segment_size(kept[0]) == 1:
        return UNIT
    return tuple(kept)


def _split(node: ov.Node, inputs: list[Layout]) -> list[Layout] | None:
    axes = constant_axes(node, 1, len(inputs[0]))
    if axes is None:
        return None
    (along,) = axes
    results, start = [], 0
    for output in node.outputs():
        size = _extents(output)[along]
        layout = list(inputs[0])
        layout[along] = cut(layout[along], start, size)
        results.append(tuple(layout))
        start += size or 0
    return results


def _slice(node: ov.Node, inputs: list[Layout]) -> list[Layout] | None:
    starts = constant_ints(node, 1)
    axes = constant_axes(node, 4, len(inputs[0])) if node.get_input_size() > 4 else None
    if starts is None:
        return None
    axes = axes if axes is not None else list(range(len(starts)))
    layout, extents = list(inputs[0]), _extents(node.output(0))
    steps = constant_ints(node, 3) or [1] * len(starts)
    for axis, start, step in zip(axes, starts, steps, strict=True):
        backwards = step < 0
        layout[axis] = (
            reordered(layout[axis], extents[axis])
            if backwards
            else cut(layout[axis], _from_front(start, layout[axis]), extents[axis])
        )
    return [tuple(layout)]


def _from_front(start: int, axis: Axis) -> int:
    size = axis_size(axis)
    return start + size if start < 0 and size is not None else start


def _strided_slice(node: ov.Node, inputs: list[Layout]) -> list[Layout] | None:
    attributes = node.get_attributes()
    starts = constant_ints(node, 1)
    if starts is None or any(attributes.get("ellipsis_mask") or []) or any(attributes.get("new_axis_mask") or []):
        return _by_shape(node, inputs)
    shrink = list(attributes.get("shrink_axis_mask") or [])
    open_start = list(attributes.get("begin_mask") or [])
    steps = (constant_ints(node, 3) if node.get_input_size() > 3 else None) or [1] * len(starts)
    extents = iter(_extents(node.output(0)))
    layout: list[Axis] = []
    for index, axis in enumerate(inputs[0]):
        if index < len(shrink) and shrink[index]:
            continue
        given = index < len(starts) and not (index < len(open_start) and open_start[index])
        start = _from_front(starts[index], axis) if given else 0
        backwards = index < len(steps) and steps[index] < 0
        layout.append(reordered(axis, next(extents)) if backwards else cut(axis, start, next(extents)))
    return [tuple(layout)]


def _gather(node: ov.Node, inputs: list[Layout]) -> list[Layout] | None:
    axes = constant_axes(node, 2, len(inputs[0]))
    if axes is None or int(node.get_attributes().get("batch_dims", 0)) != 0:
        return None
    (along,) = axes
    index = constant_value(node.input_value(1))
    source = inputs[0]
    if index is None or index.ndim > 1:
        return [(*source[:along], *inputs[1], *source[along + 1 :])]
    if index.ndim == 0:
        return [(*source[:along], *source[along + 1 :])]
    consecutive = index.size > 0 and np.array_equal(index, np.arange(index[0], index[0] + index.size))
    size = int(index.size)
    if consecutive:
        axis = cut(source[along], _from_front(int(index[0]), source[along]), size)
    else:
        ascending = bool(np.all(np.diff(index) > 0))
        axis = resized(source[along], size) if ascending else reordered(source[along], size)
    return [(*source[:along], axis, *source[along + 1 :])]


def _reverse(node: ov.Node, inputs: list[Layout]) -> list[Layout] | None:
    axes = constant_axes(node, 1, len(inputs[0]))
    return None if axes is None else [_backwards(inputs[0], axes)]


def _reverse_sequence(node: ov.Node, inputs: list[Layout]) -> list[Layout]:
    along = int(node.get_attributes()["seq_axis"]) % len(inputs[0])
    return [_backwards(inputs[0], [along])]


def _backwards(layout: Layout, axes: Sequence[int]) -> Layout:
    return tuple(reordered(axis, axis_size(axis)) if index in axes else axis for index, axis in enumerate(layout))


def _squeeze(node: ov.Node, inputs: list[Layout]) -> list[Layout] | None:
    depth = len(inputs[0])
    if node.get_input_size() > 1:
        axes = constant_axes(node, 1, depth)
        if axes is None:
            return None
    else:
        axes = [index for index, axis in enumerate(inputs[0]) if axis_size(axis) == 1]
    return [tuple(axis for index, axis in enumerate(inputs[0]) if index not in axes)]


def _unsqueeze(node: ov.Node, inputs: list[Layout]) -> list[Layout] | None:
    depth = len(_extents(node.output(0)))
    axes = constant_axes(node, 1, depth)
    if axes is None:
        return None
    rest = iter(inputs[0])
    return [tuple(UNIT if index in axes else next(rest) for index in range(depth))]


TRANSFERS: dict[str, Transfer] = {
    **dict.fromkeys(ARITHMETIC_OPS | COMPARING_OPS, _elementwise),
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    **dict.fromkeys(REDUCTIONS, _reduce),
    "MatMul": _matmul,
    "ScaledDotProductAttention": _attention,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Concat": _concat,
    "Split": _split,
    "VariadicSplit": _split,
    "Slice": _slice,
    "StridedSlice": _strided_slice,
    "Gather": _gather,
    "Reverse": _reverse,
    "ReverseSequence": _reverse_sequence,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
}
