"""Which nodes at the end of the head treat each class by itself.

With `--top-k` only the chosen classes are computed: the last dense layer multiplies by their weight rows alone, and
what follows it (biases, scales, activations per class, the mean of two heads) acts on them alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import openvino as ov

from ov_xai.analysis.axes import place_axes
from ov_xai.graph.kinds import POOLING_OPS, RESHAPING_OPS
from ov_xai.graph.view import is_weight, node_key, sizes
from ov_xai.perturbation.context import Context

_PER_CLASS = frozenset(
    (
        "Add Subtract Multiply Divide Maximum Minimum Power Relu Sigmoid Tanh Clamp Convert Identity Negative Abs Exp "
        "HSwish Swish Gelu Elu SoftPlus"
    ).split()
)
_POOLS = POOLING_OPS | {"ReduceMean", "ReduceSum", "ReduceMax"}


@dataclass(frozen=True)
class ClassTail:
    """The nodes that hold one number per class, and those where these numbers come into being."""

    nodes: frozenset[int]
    entries: frozenset[int]


def find_class_tail(logits: ov.Output, classes: int, affected: set[int], ctx: Context) -> ClassTail | None:
    """Return the tail of the head that can be restricted to some classes; None when there is none.

    Args:
        logits: the scores.
        classes: K.
        affected: keys of the nodes that depend on the target.
        ctx: the context of the replay.
    """
    target = node_key(ctx.target.output.get_node())
    nodes: set[int] = set()
    entries: set[int] = set()
    pending = [logits]
    while pending:
        output = pending.pop()
        node = output.get_node()
        key = node_key(node)
        if key == target:
            if ctx.target.channels != classes:
                return None
            entries.add(key)
            continue
        if key in nodes or key in entries or key not in affected:
            continue
        sources = _follow(node, classes, affected, ctx)
        if sources is None:
            return None
        (entries if not sources else nodes).add(key)
        pending.extend(sources)
    return ClassTail(frozenset(nodes | entries), frozenset(entries))


def _follow(node: ov.Node, classes: int, affected: set[int], ctx: Context) -> list[ov.Output] | None:
    """Return the sources to go on with, [] for a dense layer that starts the class axis, None when impossible."""
    if not node.get_input_size():
        return None
    kind, source = node.get_type_name(), node.input_value(0)
    if kind == "MatMul":
        weights = sizes(node.input_value(1)) or []
        row = 0 if node.get_attributes()["transpose_b"] else 1
        starts = len(weights) == 2 and weights[row] == classes and is_weight(node.input_value(1))
        return [] if starts and _is_vector(source, ctx) else None
    if kind == "Convolution":
        weights = sizes(node.input_value(1)) or []
        starts = weights[0] == classes and all(extent == 1 for extent in weights[2:])
        return [] if starts and _is_vector(source, ctx) else None
    vector = ctx.vector_axis(node.output(0)) is not None
    if kind in RESHAPING_OPS:
        return [source] if vector and ctx.vector_axis(source) is not None else None
    if kind in _POOLS and vector:
        return [source]
    if kind in _PER_CLASS and (vector or node.get_input_size() == 1):
        return [value for value in node.input_values() if node_key(value.get_node()) in affected]
    return None


def _is_vector(output: ov.Output, ctx: Context) -> bool:
    """Return whether the places are gone and one vector per image is left."""
    return ctx.vector_axis(output) is not None and not place_axes(ctx.layout(output))
