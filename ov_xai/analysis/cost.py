"""How many multiply-adds a graph takes."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import openvino as ov

from ov_xai.graph.view import is_weight, sizes


def multiply_adds(nodes: Iterable[ov.Node]) -> int | None:
    """Return the multiply-adds of convolutions and matrix products; None with dynamic shapes.

    The body of a TensorIterator counts as often as it runs. A dynamic leading axis (the batch) counts as one; in a
    body it may be more than the batch, and is not known.
    """
    total = 0
    for node in nodes:
        cost = _cost(node)
        if cost is None:
            return None
        total += cost
    return total


def _cost(node: ov.Node) -> int | None:
    kind = node.get_type_name()
    if kind == "TensorIterator":
        return _of_loop(node)
    if kind in ("Convolution", "GroupConvolution"):
        weights, out = _extents(node.input_value(1)), _extents(node.output(0))
        if weights is None or out is None:
            return None
        skipped = 1 if kind == "Convolution" else 2
        return prod(weights[skipped:]) * prod(out)
    if kind == "MatMul":
        if is_weight(node.output(0)):
            return 0
        a, out = _extents(node.input_value(0)), _extents(node.output(0))
        if a is None or out is None:
            return None
        inner = a[-2] if node.get_attributes()["transpose_a"] and len(a) > 1 else a[-1]
        return inner * prod(out)
    if kind == "ScaledDotProductAttention":
        query, value = _extents(node.input_value(0)), _extents(node.input_value(2))
        if query is None or value is None:
            return None
        return prod(query) * value[-2] + prod(query[:-1]) * value[-2] * value[-1]
    return 0


def _of_loop(node: ov.Node) -> int | None:
    steps, body = int(node.get_num_iterations()), node.get_body().get_ordered_ops()
    if steps < 0 or any(output.get_partial_shape().is_dynamic for inner in body for output in inner.outputs()):
        return None
    once = multiply_adds(body)
    return None if once is None else steps * once


def _extents(output: ov.Output) -> list[int] | None:
    extents = sizes(output)
    if extents is None or None in extents[1:]:
        return None
    return [extent if extent is not None else 1 for extent in extents]
