"""Fresh copies of existing nodes, attributes and subgraphs included.

OpenVINO's Python API cannot clone a single node, and rebuilding one from its attributes loses what the attribute
visitor does not show. `Model.clone` copies everything and shares the weights, so a copy is a node taken out of a
clone whose inputs are wired to new sources.
"""

from __future__ import annotations

from collections.abc import Sequence

import openvino as ov

from ov_xai.graph.view import node_key


class NodeCopier:
    """Hands out copies of the nodes of one model.

    Every clone of the model yields one copy of each node; another clone is made when a node is asked for again.
    """

    def __init__(self, model: ov.Model) -> None:
        self._model = model
        self._originals = [node_key(node) for node in model.get_ordered_ops()]
        self._pool: list[dict[int, ov.Node]] = []

    def copy(self, node: ov.Node, inputs: Sequence[ov.Output], name: str) -> ov.Node:
        """Return a copy of `node` that reads `inputs` and is named `name`."""
        fresh = self._take(node_key(node))
        if fresh.get_input_size():
            _detach(fresh)
        for index, source in enumerate(inputs):
            fresh.input(index).replace_source_output(source)
        fresh.validate_and_infer_types()
        fresh.set_friendly_name(name)
        for output in fresh.outputs():
            output.set_names(set())
        return fresh

    def _take(self, key: int) -> ov.Node:
        for clone in self._pool:
            if key in clone:
                return clone.pop(key)
        twins = self._model.clone().get_ordered_ops()
        self._pool.append(dict(zip(self._originals, twins, strict=True)))
        return self._pool[-1].pop(key)


def _detach(node: ov.Node) -> None:
    """Let the rest of its clone read what a node reads: a copy has the readers only that it is given."""
    source = node.input_value(0)
    for output in node.outputs():
        for reader in output.get_target_inputs():
            reader.replace_source_output(source)
