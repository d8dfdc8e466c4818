"""Read-only questions to a model's graph.

Nodes are identified by `node_key`: wrappers of the same node are different Python objects each time they are
asked for, instance ids are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import openvino as ov

#: Results of shape arithmetic are short; larger subgraphs are weights and are not worth evaluating.
MAX_FOLDED_ELEMENTS = 65536

Port = tuple[int, int]


def node_key(node: ov.Node) -> int:
    """Return an integer that is equal for two wrappers of the same node."""
    return int(node.get_instance_id())


def port(output: ov.Output) -> Port:
    """Return (node key, output index): a hashable name of one tensor of the graph."""
    return node_key(output.get_node()), int(output.get_index())


def sizes(output: ov.Output) -> list[int | None] | None:
    """Return the extent of each axis, None for a dynamic one; None for a tensor of dynamic rank."""
    shape = output.get_partial_shape()
    if shape.rank.is_dynamic:
        return None
    # By index: to iterate over a shape takes five times as long (OpenVINO 2026.4).
    extents = (shape[axis] for axis in range(len(shape)))
    return [None if extent.is_dynamic else int(extent.get_length()) for extent in extents]


def pattern_of(extents: Iterable[int | None]) -> list[int]:
    """Return extents as a Reshape takes them: -1 for a dynamic one."""
    return [-1 if extent is None else extent for extent in extents]


def rank(output: ov.Output) -> int | None:
    """Return the number of axes, or None when it is dynamic."""
    shape = sizes(output)
    return None if shape is None else len(shape)


def shape_text(output: ov.Output) -> str:
    """Return a shape for messages, e.g. "[?,512,7,7]"."""
    return str(output.get_partial_shape())


def is_float(output: ov.Output) -> bool:
    """Return whether the tensor holds real numbers."""
    return bool(output.get_element_type().is_real())


def constant_value(output: ov.Output) -> npt.NDArray[np.generic] | None:
    """Return the value of a tensor that depends on constants and static shapes only; None for any other.

    Small subgraphs (shape arithmetic, scalar parameters, their conversions) are evaluated; anything of more than
    `MAX_FOLDED_ELEMENTS` elements counts as not constant.
    """
    shape = sizes(output)
    if shape is None or None in shape or np.prod([s or 0 for s in shape]) > MAX_FOLDED_ELEMENTS:
        return None
    node = output.get_node()
    kind = node.get_type_name()
    if kind == "Constant":
        return np.asarray(node.get_data())
    if kind in ("ShapeOf",):
        inner = sizes(node.input_value(0))
        if inner is None or None in inner:
            return None
        return np.asarray(inner, dtype=output.get_element_type().to_dtype())
    if kind in ("Parameter", "ReadValue") or node.get_input_size() == 0:
        return None
    return _evaluate(node, output)


def constant_ints(node: ov.Node, index: int) -> list[int] | None:
    """Return the whole numbers that input `index` of a node holds; None when it has none, or it is not constant."""
    if index >= node.get_input_size():
        return None
    value = constant_value(node.input_value(index))
    return None if value is None else [int(item) for item in np.ravel(value)]


def _evaluate(node: ov.Node, output: ov.Output) -> npt.NDArray[np.generic] | None:
    inputs = []
    for source in node.input_values():
        value = constant_value(source)
        if value is None:
            return None
        inputs.append(ov.Tensor(np.array(value, source.get_element_type().to_dtype(), order="C")))
    results = []
    for other in node.outputs():
        shape = sizes(other)
        if shape is None or None in shape:
            return None
        results.append(ov.Tensor(other.get_element_type(), ov.Shape([s or 0 for s in shape])))
    try:
        done = node.evaluate(results, inputs)
    except RuntimeError:  # an op whose evaluation does not support these types
        return None
    if not done:
        return None
    return np.asarray(results[output.get_index()].data)


def upstream(nodes: Iterable[ov.Node], passes: Callable[[ov.Node], bool] | None = None) -> Iterator[ov.Node]:
    """Yield the nodes that these depend on, themselves included, each once.

    Args:
        nodes: where to begin.
        passes: whether the walk goes on behind a node; None lets it pass all.
    """
    pending, seen = list(nodes), set()
    while pending:
        node = pending.pop()
        key = node_key(node)
        if key in seen:
            continue
        seen.add(key)
        yield node
        if passes is None or passes(node):
            pending.extend(source.get_node() for source in node.input_values())


def is_weight(output: ov.Output) -> bool:
    """Return whether a tensor depends on constants only (weights, possibly converted, scaled or reshaped)."""
    return all(
        node.get_type_name() == "Constant" or node.get_input_size() > 0 for node in upstream([output.get_node()])
    )


class GraphView:
    """A snapshot of a model's nodes in topological order, with reachability as it was then.

    Attributes:
        model: the model, as it is now.
        ops: its nodes.
        results: what each of its outputs gave.
    """

    def __init__(self, model: ov.Model) -> None:
        self.model = model
        self.ops: list[ov.Node] = list(model.get_ordered_ops())
        self.results: list[ov.Output] = [output.get_node().input_value(0) for output in model.outputs]
        self._position = {node_key(node): index for index, node in enumerate(self.ops)}
        self._sources = {
            node_key(node): {node_key(source.get_node()) for source in node.input_values()} for node in self.ops
        }
        self._users: dict[int, set[int]] = {}
        for key, sources in self._sources.items():
            for source in sources:
                self._users.setdefault(source, set()).add(key)

    def node(self, key: int) -> ov.Node:
        """Return the node with that key."""
        return self.ops[self._position[key]]

    def ordered(self, keys: Iterable[int]) -> list[ov.Node]:
        """Return the nodes with these keys in topological order."""
        return [self.ops[index] for index in sorted(self._position[key] for key in keys if key in self._position)]

    def ancestors(self, nodes: Iterable[ov.Node]) -> set[int]:
        """Return the keys of all nodes that these depend on, themselves included."""
        return _reached(nodes, self._sources)

    def users(self, node: ov.Node) -> set[int]:
        """Return the keys of the nodes that read any output of a node."""
        return self._users.get(node_key(node), set())

    def descendants(self, nodes: Iterable[ov.Node]) -> set[int]:
        """Return the keys of all nodes that depend on these, themselves included."""
        return _reached(nodes, self._users)

    def find(self, name: str) -> ov.Node | None:
        """Return the node with that friendly name, or the producer of the tensor with that name."""
        for node in self.ops:
            if node.get_friendly_name() == name:
                return node
        for node in self.ops:
            for output in node.outputs():
                if name in output.get_names():
                    return node
        return None


def _reached(nodes: Iterable[ov.Node], neighbours: dict[int, set[int]]) -> set[int]:
    pending, seen = [node_key(node) for node in nodes], set[int]()
    while pending:
        key = pending.pop()
        if key not in seen:
            seen.add(key)
            pending.extend(neighbours.get(key, ()))
    return seen


def constant_axes(node: ov.Node, index: int, depth: int) -> list[int] | None:
    """Return the axes given by input `index` of a node, counted from the front; None when not constant."""
    axes = constant_ints(node, index)
    return None if axes is None else [axis % depth for axis in axes]
