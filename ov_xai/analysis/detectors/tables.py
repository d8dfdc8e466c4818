"""Score tables: tensors that hold one column of numbers per class for places of the image.

A detector ends in such tables: the columns of every pyramid level, usually joined along the places, often with the
columns of the boxes beside them, sometimes multiplied by an objectness. Which columns are scores is followed from
where they are made: from an activation (sigmoid, softmax over the columns) or, where the model ends in logits, from
the last layers with weights, through ops that only move numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import openvino as ov

from ov_xai.analysis.axes import UNIT, Layout, batch_axis, is_spatial, place_axes
from ov_xai.analysis.demand import Positions, everything, pushed, union
from ov_xai.analysis.links import links
from ov_xai.analysis.propagation import Layouts
from ov_xai.analysis.scores import Activation
from ov_xai.graph.kinds import CONTROL_FLOW, DECISION_OPS, LEARNED_OPS, SELECTING_OPS, VIEW_OPS
from ov_xai.graph.view import GraphView, Port, constant_value, is_float, is_weight, node_key, port, sizes

#: Ops whose output holds numbers of their inputs, moved or bounded.
_MOVING_OPS = VIEW_OPS | SELECTING_OPS | {"Concat", "Clamp", "FakeQuantize"}
#: Ops after which a score is still a score: products with an objectness, and their geometric means.
_COMBINING_OPS = frozenset("Multiply Sqrt Power Minimum".split())
#: Sums over columns: what they read is a distribution (of a box's side), not a score.
_EXPECTATIONS = frozenset({"ReduceSum", "ReduceMean"})
#: Arithmetic after which logits are still logits: biases, scales, sums over branches, enlarged pictures.
_AFFINE_OPS = frozenset("Add Subtract Multiply Divide Interpolate".split())


@dataclass(frozen=True)
class Trace:
    """Where numbers of a tensor come from.

    Attributes:
        positions: the positions along each axis that come unchanged from the sources.
        sources: keys of the nodes that made them.
    """

    positions: Positions
    sources: frozenset[int]


@dataclass(frozen=True)
class Table:
    """A tensor with scores in some of its columns.

    Attributes:
        output: the tensor.
        layouts: what the axes of all tensors are.
        column_axis: the axis of the columns.
        scores: the columns that hold scores, ascending.
        activation: what made them: SIGMOID, SOFTMAX, or NONE for logits.
        sources: keys of the activations, or of the layers with weights.
        anchors: boxes per place that the column axis also counts, outermost.
    """

    output: ov.Output
    layouts: Layouts
    column_axis: int
    scores: tuple[int, ...]
    activation: Activation
    sources: frozenset[int]
    anchors: int = 1

    def divided(self, anchors: int) -> Table:
        """Return the table with a column axis that counts anchors and, for each, the columns."""
        columns = self.columns // anchors
        return replace(self, anchors=anchors, scores=tuple(range(columns)))

    @property
    def layout(self) -> Layout:
        """What its axes are."""
        return self.layouts[port(self.output)]

    @property
    def columns(self) -> int:
        """Number of all columns of one anchor."""
        return ((sizes(self.output) or [])[self.column_axis] or 1) // self.anchors


def activated_tables(view: GraphView, layouts: Layouts) -> list[Table]:
    """Return the tables of probabilities that no layer with weights reads, in topological order."""
    seeds = [node for node in view.ops if _is_class_activation(node, layouts)]
    traces = _follow(view, layouts, seeds, _joins_scores)
    return _tables(view, layouts, traces, _before_layers(view))


def linear_tables(view: GraphView, layouts: Layouts) -> list[Table]:
    """Return the tables of logits, or of box offsets, that the last layers with weights give, in topological order."""
    ahead = _before_layers(view)
    seeds = [node for node in view.ops if node.get_type_name() in LEARNED_OPS and node_key(node) not in ahead]
    traces = _follow(view, layouts, [node for node in seeds if port(node.output(0)) in layouts], _is_affine)
    return _tables(view, layouts, traces, ahead)


def from_source(view: GraphView, table: Table, source: int) -> tuple[int, ...]:
    """Return the score columns of a table that one of its sources makes."""
    joins = _is_affine if table.activation is Activation.NONE else _joins_scores
    traces = _follow(view, table.layouts, [view.node(source)], joins)
    trace = traces.get(port(table.output))
    marked = None if trace is None else trace.positions[table.column_axis]
    return () if marked is None else tuple(int(column) for column in np.flatnonzero(marked))


def columns_made(view: GraphView, table: Table) -> int:
    """Return the number of columns of the activation, or of the layer, that made the scores of a table."""
    made = view.node(min(table.sources)).output(0)
    axis = column_axis(made, table.layouts)
    return table.columns if axis is None else (sizes(made) or [])[axis] or table.columns


def column_axis(output: ov.Output, layouts: Layouts) -> int | None:
    """Return the axis that holds the columns of a table of places; None when the tensor is none."""
    layout = layouts.get(port(output))
    if layout is None or not is_float(output) or not (is_spatial(layout) or _is_narrow(layout)):
        return None
    taken = {batch_axis(layout), *place_axes(layout)}
    others = [axis for axis in range(len(layout)) if axis not in taken]
    several = [axis for axis in others if layout[axis] != UNIT]
    axes = several or others
    return axes[-1] if axes and (sizes(output) or [])[axes[-1]] is not None else None


def _is_narrow(layout: Layout) -> bool:
    """Return whether a tensor may be a grid of one row, one column, or a single place, with columns on one axis."""
    others = [axis for axis in range(len(layout)) if axis not in {batch_axis(layout), *place_axes(layout)}]
    return len(layout) == 4 and sum(layout[axis] != UNIT for axis in others) <= 1 < len(others)


def _is_class_activation(node: ov.Node, layouts: Layouts) -> bool:
    kind = node.get_type_name()
    if kind not in ("Sigmoid", "Softmax"):
        return False
    axis = column_axis(node.output(0), layouts)
    if axis is None:
        return False
    depth = len(layouts[port(node.output(0))])
    return kind == "Sigmoid" or int(node.get_attributes()["axis"]) % depth == axis


def _follow(
    view: GraphView,
    layouts: Layouts,
    seeds: Iterable[ov.Node],
    joins: Callable[[ov.Node, dict[Port, Trace]], bool],
) -> dict[Port, Trace]:
    """Return what of every tensor comes unchanged from the seeds.

    Args:
        view: the graph.
        layouts: what the axes of every tensor are.
        seeds: nodes whose outputs are followed.
        joins: whether the output of an arithmetic op still counts as one of the seeds'.
    """
    found = {port(node.output(0)): Trace(everything(node.output(0)), frozenset([node_key(node)])) for node in seeds}
    if not found:
        return found
    for node in view.ops:
        kind = node.get_type_name()
        moves = kind in _MOVING_OPS
        if node.get_output_size() == 0 or port(node.output(0)) in found or not (moves or joins(node, found)):
            continue
        for result, output in enumerate(node.outputs()):
            trace = _moved(node, result, output, found) if port(output) in layouts else None
            if trace is not None:
                found[port(output)] = trace
    return found


def _moved(node: ov.Node, result: int, output: ov.Output, found: dict[Port, Trace]) -> Trace | None:
    only_data = node.get_type_name() == "Gather"
    read = [
        (index, trace)
        for index, source in enumerate(node.input_values())
        if (trace := found.get(port(source))) is not None and not (only_data and index)
        if _can_be_followed(node, index, result, trace)
    ]
    if not read:
        return None
    positions = union([pushed(node, index, result, output, trace.positions) for index, trace in read])
    if not all(part is None or part.any() for part in positions):
        return None
    return Trace(positions, frozenset().union(*(trace.sources for _, trace in read)))


def _can_be_followed(node: ov.Node, index: int, result: int, trace: Trace) -> bool:
    """Return whether axes that are marked in part go through an op one by one: a Reshape may mix them with others."""
    linked = {link.axis for link in links(node, index, result)}
    return all(part is None or bool(part.all()) or axis in linked for axis, part in enumerate(trace.positions))


def _joins_scores(node: ov.Node, found: dict[Port, Trace]) -> bool:
    """Return whether a node multiplies whole scores with each other, or takes a root of them."""
    if node.get_type_name() not in _COMBINING_OPS:
        return False
    inputs = [source for source in node.input_values() if not is_weight(source)]
    if node.get_type_name() != "Power" and len(inputs) < node.get_input_size():
        return False
    traces = [found.get(port(source)) for source in inputs]
    return bool(traces) and all(trace is not None and _is_whole(trace) for trace in traces)


def _is_affine(node: ov.Node, found: dict[Port, Trace]) -> bool:
    """Return whether a node does arithmetic with logits and weights only, or resizes logits."""
    kind = node.get_type_name()
    if kind not in _AFFINE_OPS:
        return False
    inputs = [source for source in node.input_values()[:2] if not is_weight(source)]
    traces = [found.get(port(source)) for source in (inputs[:1] if kind == "Interpolate" else inputs)]
    return bool(traces) and all(trace is not None and _is_whole(trace) for trace in traces)


def _is_whole(trace: Trace) -> bool:
    return all(part is None or bool(part.all()) for part in trace.positions)


def _before_layers(view: GraphView) -> set[int]:
    """Return the nodes that a layer with weights depends on, other than by a choice of boxes."""
    found: set[int] = set()
    for node in reversed(view.ops):
        if node.get_type_name() in DECISION_OPS | {"ShapeOf"}:
            continue
        if node_key(node) in found or node.get_type_name() in LEARNED_OPS:
            found.update(node_key(source.get_node()) for source in node.input_values())
    return found


def _tables(view: GraphView, layouts: Layouts, traces: dict[Port, Trace], ahead: set[int]) -> list[Table]:
    ends = [node for node in view.ops if node_key(node) not in ahead and node.get_type_name() != "Interpolate"]
    found = [_table(view, output, layouts, traces) for node in ends for output in node.outputs()]
    return [table for table in found if table is not None]


def _table(view: GraphView, output: ov.Output, layouts: Layouts, traces: dict[Port, Trace]) -> Table | None:
    trace, axis = traces.get(port(output)), column_axis(output, layouts)
    if trace is None or axis is None:
        return None
    marked = trace.positions[axis]
    assert marked is not None
    kinds = {view.node(key).get_type_name() for key in trace.sources}
    activation = (
        Activation.SOFTMAX if "Softmax" in kinds else Activation.SIGMOID if "Sigmoid" in kinds else Activation.NONE
    )
    scores = tuple(int(column) for column in np.flatnonzero(marked))
    return Table(output, layouts, axis, scores, activation, trace.sources)


def replaces(view: GraphView, later: Table, earlier: Table) -> bool:
    """Return whether a later table holds the scores of an earlier one.

    Of probabilities a background or boxes may have been dropped, but not all classes but one, save of a softmax of two;
    logits may have been divided into anchors and classes.
    """
    background_and_one = earlier.activation is Activation.SOFTMAX and len(earlier.scores) == 2
    fewest = 1 if background_and_one else min(2, len(earlier.scores))
    single = earlier.activation is not Activation.NONE and len(later.scores) < fewest
    if single or not earlier.sources <= later.sources:
        return False
    return node_key(earlier.output.get_node()) in view.ancestors([later.output.get_node()])


def reaches_an_end(view: GraphView, table: Table) -> bool:
    """Return whether the scores of a table go to an output or a selection without a layer with weights between.

    Probabilities that are scaled or shifted on the way are something else: an angle, a part of a box.
    """
    blocked = LEARNED_OPS | _EXPECTATIONS | {"ShapeOf", "RegionYolo"}
    if table.activation is not Activation.NONE:
        blocked |= {"Add", "Subtract", "Divide"}
    pending, seen = [table.output.get_node()], set()
    while pending:
        node = pending.pop()
        for key in view.users(node):
            user = view.node(key)
            if user.get_type_name() in (DECISION_OPS - {"RegionYolo"}) | CONTROL_FLOW | {"Result"}:
                return True
            scaled = table.activation is not Activation.NONE and _is_scaling(user)
            if key not in seen and user.get_type_name() not in blocked and not scaled:
                seen.add(key)
                pending.append(user)
    return False


def _is_scaling(node: ov.Node) -> bool:
    """Return whether a node multiplies all numbers with constants other than one."""
    if node.get_type_name() != "Multiply":
        return False
    factors = [constant_value(source) for source in node.input_values() if is_weight(source)]
    return any(factor is not None and bool((factor != 1).all()) for factor in factors)
