"""How many multiply-adds a graph takes."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import openvino as ov

from ov_xai.graph.view import is_weight, sizes


def multiply_adds(nodes: Iterable[ov.Node]) -> int | None:
    """Return the multiply-adds of convolutions and matrix products, loops included; None with dynamic shapes.

    A dynamic leading axis (the batch) counts as one.
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


def _extents(output: ov.Output) -> list[int] | None:
    extents = sizes(output)
    if extents is None or None in extents[1:]:
        return None
    return [extent if extent is not None else 1 for extent in extents]
