"""Layers with weights, and the constants these are made of."""

from __future__ import annotations

from collections.abc import Iterable

import openvino as ov

from ov_xai.graph.kinds import LEARNED_OPS
from ov_xai.graph.view import node_key, upstream


def nearest_layers(nodes: Iterable[ov.Node]) -> dict[int, ov.Node]:
    """Return the last layers with weights that nodes depend on, by key."""
    last = upstream(nodes, lambda node: node.get_type_name() not in LEARNED_OPS | {"ShapeOf"})
    return {node_key(node): node for node in last if node.get_type_name() in LEARNED_OPS}


def constant_root(output: ov.Output) -> ov.Node | None:
    """Return the constant that a tensor of weights is made of; None when it is none."""
    node = output.get_node()
    while node.get_type_name() != "Constant":
        if node.get_input_size() == 0:
            return None
        node = node.input_value(0).get_node()
    return node


def has_integer_weights(node: ov.Node) -> bool:
    """Return whether a node is a layer whose weights are stored as integers."""
    if node.get_type_name() not in LEARNED_OPS:
        return False
    root = constant_root(node.input_value(1))
    return root is not None and root.get_element_type().is_integral()
