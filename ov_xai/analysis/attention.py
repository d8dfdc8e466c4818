"""Attention that reads the grid: which op it is, and which tokens enter it."""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.axes import has_places
from ov_xai.analysis.candidates import Candidate, candidate, walk_back
from ov_xai.analysis.demand import Demand
from ov_xai.analysis.links import SELECTIONS, taken_positions
from ov_xai.graph.kinds import LEARNED_OPS, VIEW_OPS
from ov_xai.graph.spelling import spelled_out
from ov_xai.graph.view import GraphView, Port, is_weight, node_key, port, rank

#: What may stand between a projection and the split of its result into queries, keys and values.
_AFTER_PROJECTION = VIEW_OPS | {"Add", "Subtract", "Multiply", "Divide", "FakeQuantize"}


def is_attention(node: ov.Node, demand: Demand) -> bool:
    """Return whether an op sums values over the grid, weighted by something that depends on the grid too."""
    kind = node.get_type_name()
    if kind not in ("ScaledDotProductAttention", "MatMul"):
        return False
    sources = {port(source) for source in demand.grid_sources(node)}
    if kind == "ScaledDotProductAttention":
        return port(node.input_value(2)) in sources
    if not sources >= {port(source) for source in node.input_values()}:
        return False
    layout = demand.layout(node.input_value(0))
    depth = rank(node.input_value(0)) or 0
    contracted = depth - (2 if node.get_attributes()["transpose_a"] else 1)
    return layout is not None and has_places(layout[contracted])


def has_attention(model: ov.Model) -> bool:
    """Return whether any op sums values weighted by a softmax over products of the data, on a grid or not."""
    with spelled_out(model):
        return any(
            node.get_type_name() == "ScaledDotProductAttention" or (_mixes_data(node) and _weighs(node))
            for node in model.get_ops()
        )


def _mixes_data(node: ov.Node) -> bool:
    return node.get_type_name() == "MatMul" and not any(is_weight(source) for source in node.input_values())


def _weighs(node: ov.Node) -> bool:
    """Return whether one factor of a product is the softmax of another product of the data."""
    for source in node.input_values():
        weights = _before(source, "Softmax")
        scores = None if weights is None else _before(weights.input_value(0), "MatMul")
        if scores is not None and _mixes_data(scores):
            return True
    return False


def _before(source: ov.Output, kind: str) -> ov.Node | None:
    """Return the nearest op of a kind upstream, behind nothing but scaling, offsets and views; None without one."""
    node = source.get_node()
    while node.get_type_name() in _AFTER_PROJECTION:
        data = next((value for value in node.input_values() if not is_weight(value)), None)
        if data is None:
            return None
        node = data.get_node()
    return node if node.get_type_name() == kind else None


def attention_ops(view: GraphView, demand: Demand, logits: ov.Output) -> list[ov.Node]:
    """Return the attention ops between the image and the logits, in topological order."""
    return [node for node in view.ordered(view.ancestors([logits.get_node()])) if is_attention(node, demand)]


def attended(view: GraphView, demand: Demand, node: ov.Node) -> Candidate | None:
    """Return the tokens that enter an attention: the last tensor before its projections that all of it comes from."""
    sources = demand.grid_sources(node)
    upstream = [
        output
        for other in view.ordered(view.ancestors([source.get_node() for source in sources]))
        for output in other.outputs()
        if demand.reads_grid(output)
    ]
    for output in reversed(upstream):
        if candidate(output, demand.layouts) is not None and _is_bottleneck(output, sources, demand):
            return _before_projection(view, demand, output, node)
    return None


def _is_bottleneck(tensor: ov.Output, sources: list[ov.Output], demand: Demand) -> bool:
    """Return whether every way along which the grid gets to the sources leads through a tensor."""
    pending, seen = list(sources), set[Port]()
    while pending:
        current = pending.pop()
        if port(current) == port(tensor) or port(current) in seen:
            continue
        seen.add(port(current))
        before = demand.grid_sources(current.get_node())
        if not before:
            return False
        pending.extend(before)
    return True


def _before_projection(view: GraphView, demand: Demand, tokens: ov.Output, attention: ov.Node) -> Candidate | None:
    """Return the input of the projection when the tensor is queries, keys and values in one, else the tensor."""
    between = view.descendants([tokens.get_node()]) & view.ancestors([attention])
    inner = [view.node(key) for key in between if key not in (node_key(tokens.get_node()), node_key(attention))]
    projected = any(_is_projection(node) for node in inner)
    divided = any(_splits_channels(node, demand) for node in inner)
    current = tokens
    while divided and not projected:
        node = current.get_node()
        if _is_projection(node):
            return walk_back(_data_input(node), demand.layouts)
        sources = demand.grid_sources(node)
        if node.get_type_name() not in _AFTER_PROJECTION or len(sources) != 1:
            break
        (current,) = sources
    return walk_back(tokens, demand.layouts)


def _is_projection(node: ov.Node) -> bool:
    return node.get_type_name() in LEARNED_OPS and any(is_weight(source) for source in node.input_values())


def _data_input(node: ov.Node) -> ov.Output:
    return next(source for source in node.input_values() if not is_weight(source))


def _splits_channels(node: ov.Node, demand: Demand) -> bool:
    layout = demand.layout(node.input_value(0)) if node.get_type_name() in SELECTIONS else None
    taken = taken_positions(node) if layout is not None else None
    return layout is not None and any(not has_places(layout[axis]) for axis in taken or {})
