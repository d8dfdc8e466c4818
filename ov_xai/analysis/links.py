"""Which positions of its inputs each position of an op's output is computed from, axis by axis.

A link says that an axis of an input and an axis of an output run in parallel: output position `target[i]` reads input
position `source[i]` and, along this axis, nothing else. An input axis without a link is read as a whole. So a class
token that is taken out of a sequence, passed through layers that act token by token and joined again is known to
depend on no other token, and attention is known to read all keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.graph.kinds import ARITHMETIC_OPS, COMPARING_OPS, REDUCTIONS, RESHAPING_OPS, UNARY_OPS
from ov_xai.graph.view import constant_ints, constant_value, sizes

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Link:
    """Positions of an input axis that positions of an output axis are computed from.

    Attributes:
        axis: the axis of the input.
        onto: the axis of the output; None when that axis is dropped (the one position that is taken).
        source: positions of the input axis; None for all, one by one.
        target: positions of the output axis they go to, same length as `source`; None for all.
    """

    axis: int
    onto: int | None
    source: Positions | None = None
    target: Positions | None = None


Links = list[Link]


def links(node: ov.Node, index: int, result: int) -> Links:
    """Return the links between input `index` and output `result` of a node."""
    kind = node.get_type_name()
    if kind in SELECTIONS:
        return _of_selection(node, index, result)
    finder = _FINDERS.get(kind)
    return finder(node, index) if finder is not None else []


# -- ops that take positions ---------------------------------------------------------------------------------------


def taken_positions(node: ov.Node, result: int = 0) -> dict[int, Positions] | None:
    """Return, for each axis that a selecting op shortens or reorders, the input positions of its output.

    None when the parameters are not constant or the op is none of `SELECTIONS`.
    """
    extents = sizes(node.input_value(0))
    chooser = SELECTIONS.get(node.get_type_name())
    return None if extents is None or chooser is None else chooser(node, extents, result)


def dropped_axes(node: ov.Node) -> list[int]:
    """Return the input axes that a selecting op removes, each by taking a single position."""
    kind = node.get_type_name()
    if kind == "Gather":
        index, axis = constant_value(node.input_value(1)), constant_ints(node, 2)
        depth = len(sizes(node.input_value(0)) or [])
        return [axis[0] % depth] if index is not None and index.ndim == 0 and axis else []
    if kind == "StridedSlice":
        shrink = list(node.get_attributes().get("shrink_axis_mask") or [])
        return [axis for axis, flag in enumerate(shrink) if flag]
    return []


def _of_selection(node: ov.Node, index: int, result: int) -> Links:
    taken = taken_positions(node, result)
    if index != 0 or taken is None:
        return []
    dropped = dropped_axes(node)
    found, onto = [], 0
    for axis in range(len(sizes(node.input_value(0)) or [])):
        gone = axis in dropped
        positions = taken.get(axis)
        target = None if positions is None or gone else np.arange(len(positions))
        found.append(Link(axis, None if gone else onto, positions, target))
        onto += not gone
    return found


def _by_gather(node: ov.Node, extents: list[int | None], _: int) -> dict[int, Positions] | None:
    axis, index = constant_ints(node, 2), constant_value(node.input_value(1))
    if not axis or index is None or index.ndim > 1 or int(node.get_attributes().get("batch_dims", 0)):
        return None
    along = axis[0] % len(extents)
    size = extents[along]
    if size is None:
        return None
    return {along: np.ravel(index).astype(np.int64) % size}


def _by_split(node: ov.Node, extents: list[int | None], result: int) -> dict[int, Positions] | None:
    axis = constant_ints(node, 1)
    if not axis:
        return None
    along = axis[0] % len(extents)
    parts = [(sizes(output) or [])[along] for output in node.outputs()]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    start = sum(known[:result])
    return {along: np.arange(start, start + known[result])}


def _by_slice(node: ov.Node, extents: list[int | None], _: int) -> dict[int, Positions] | None:
    starts, stops, steps = constant_ints(node, 1), constant_ints(node, 2), constant_ints(node, 3)
    if starts is None or stops is None or steps is None:
        return None
    axes = constant_ints(node, 4) if node.get_input_size() > 4 else list(range(len(starts)))
    if axes is None:
        return None
    taken = {}
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        size = extents[axis % len(extents)]
        if size is None and (start, step) == (0, 1):
            continue
        if size is None:
            return None
        taken[axis % len(extents)] = _sliced(size, start, stop, step)
    return taken


def _sliced(size: int, start: int | None, stop: int | None, step: int) -> Positions:
    if step < 0 and stop is not None and stop < -size:
        stop = None
    return np.arange(size)[slice(start, stop, step)]


def _by_strided_slice(node: ov.Node, extents: list[int | None], _: int) -> dict[int, Positions] | None:
    attributes = node.get_attributes()
    if any(attributes.get("ellipsis_mask") or []) or any(attributes.get("new_axis_mask") or []):
        return None
    starts, stops = constant_ints(node, 1), constant_ints(node, 2)
    if starts is None or stops is None:
        return None
    steps = constant_ints(node, 3) if node.get_input_size() > 3 else [1] * len(starts)
    if steps is None:
        return None
    taken = {}
    shrink, open_start, open_stop = (
        list(attributes.get(name) or []) for name in ("shrink_axis_mask", "begin_mask", "end_mask")
    )
    for axis, (start, stop, step) in enumerate(zip(starts, stops, steps, strict=True)):
        size = extents[axis]
        first = None if _flag(open_start, axis) else start
        last = None if _flag(open_stop, axis) else stop
        if size is None:
            if (first or 0, last, step) != (0, None, 1):
                return None
            continue
        taken[axis] = np.arange(size)[[start]] if _flag(shrink, axis) else _sliced(size, first, last, step)
    return taken


def _flag(mask: list[int], axis: int) -> bool:
    return axis < len(mask) and bool(mask[axis])


SELECTIONS: dict[str, Callable[[ov.Node, list[int | None], int], dict[int, Positions] | None]] = {
    "Gather": _by_gather,
    "Split": _by_split,
    "VariadicSplit": _by_split,
    "Slice": _by_slice,
    "StridedSlice": _by_strided_slice,
}

# -- ops that keep positions ---------------------------------------------------------------------------------------


def _elementwise(node: ov.Node, index: int) -> Links:
    own, out = sizes(node.input_value(index)) or [], sizes(node.output(0)) or []
    shift = len(out) - len(own)
    return [Link(axis, axis + shift) for axis, extent in enumerate(own) if extent == out[axis + shift]]


def _transpose(node: ov.Node, index: int) -> Links:
    order = constant_ints(node, 1)
    depth = len(sizes(node.input_value(0)) or [])
    if index != 0 or order is None:
        return []
    order = order or list(reversed(range(depth)))
    return [Link(axis, onto) for onto, axis in enumerate(order)]


def _reshape(node: ov.Node, index: int) -> Links:
    if index != 0:
        return []
    before, after = sizes(node.input_value(0)) or [], sizes(node.output(0)) or []
    found = []
    for axis, extent in enumerate(before):
        onto = carried_axis(before, axis, after)
        if onto is not None and extent != 1:
            found.append(Link(axis, onto))
    return found


def carried_axis(before: list[int | None], axis: int, after: list[int | None]) -> int | None:
    """Return the axis that a Reshape carries over whole: the same extent behind as many elements."""
    for onto, extent in enumerate(after):
        same = extent == before[axis] and _count(after[:onto]) == _count(before[:axis])
        if same and _count(after[onto + 1 :]) == _count(before[axis + 1 :]):
            return onto
    return None


def _count(extents: list[int | None]) -> tuple[int, int]:
    """Return the product of the static extents and the number of dynamic ones."""
    static = [extent for extent in extents if extent is not None]
    return int(np.prod(static, dtype=np.int64)), len(extents) - len(static)


def _matmul(node: ov.Node, index: int) -> Links:
    flags = node.get_attributes()
    own, out = sizes(node.input_value(index)) or [], sizes(node.output(0)) or []
    if len(own) < 2 or len(out) < 2:
        return []
    flipped = bool(flags["transpose_a" if index == 0 else "transpose_b"])
    kept = len(own) - (1 if flipped == (index == 0) else 2)
    onto = len(out) - (2 if index == 0 else 1)
    leading = [
        Link(axis, axis + len(out) - len(own))
        for axis in range(len(own) - 2)
        if own[axis] == out[axis + len(out) - len(own)]
    ]
    return [*leading, Link(kept, onto)]


def _attention(node: ov.Node, index: int) -> Links:
    own, out = sizes(node.input_value(index)) or [], sizes(node.output(0)) or []
    shift = len(out) - len(own)
    axes = range(len(own) - 1 if index in (0, 3) else len(own) - 2)
    return [Link(axis, axis + shift) for axis in axes if own[axis] == out[axis + shift]]


def _concat(node: ov.Node, index: int) -> Links:
    depth = len(sizes(node.output(0)) or [])
    along = int(node.get_attributes()["axis"]) % depth
    extents = [(sizes(source) or [])[along] for source in node.input_values()]
    found = [Link(axis, axis) for axis in range(depth) if axis != along]
    before = [extent for extent in extents[:index] if extent is not None]
    size = extents[index]
    if len(before) == index and size is not None:
        found.append(Link(along, along, np.arange(size), np.arange(size) + sum(before)))
    return found


def _beside(axes: list[int] | None, depth: int) -> Links:
    if axes is None:
        return []
    skipped = {axis % depth for axis in axes}
    return [Link(axis, axis) for axis in range(depth) if axis not in skipped]


def _normalisation(node: ov.Node, index: int) -> Links:
    depth = len(sizes(node.input_value(0)) or [])
    attributes: dict[str, Any] = node.get_attributes()
    if index != 0:
        return []
    return _beside([int(attributes["axis"])] if "axis" in attributes else constant_ints(node, 1), depth)


def _reduction(node: ov.Node, index: int) -> Links:
    depth = len(sizes(node.input_value(0)) or [])
    axes = constant_ints(node, 1)
    if index != 0 or axes is None:
        return []
    reduced = {axis % depth for axis in axes}
    keep = bool(node.get_attributes().get("keep_dims"))
    left = [axis for axis in range(depth) if axis not in reduced]
    return [Link(axis, axis if keep else onto) for onto, axis in enumerate(left)]


_FINDERS: dict[str, Callable[[ov.Node, int], Links]] = {
    **dict.fromkeys(UNARY_OPS | ARITHMETIC_OPS | COMPARING_OPS, _elementwise),
    **dict.fromkeys(REDUCTIONS, _reduction),
    **dict.fromkeys(("Softmax", "LogSoftmax", "MVN", "NormalizeL2"), _normalisation),
    **dict.fromkeys(RESHAPING_OPS, _reshape),
    "Transpose": _transpose,
    "MatMul": _matmul,
    "ScaledDotProductAttention": _attention,
    "Concat": _concat,
}
