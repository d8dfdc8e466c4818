"""Which output holds the class scores, and where its logits are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import prod

import numpy as np
import openvino as ov

from ov_xai.analysis.axes import has_places, is_spatial, place_axes, vector_axis
from ov_xai.analysis.propagation import Layouts
from ov_xai.errors import ModelMismatchError
from ov_xai.graph.kinds import DECISION_OPS, ROUNDING_OPS, VIEW_OPS
from ov_xai.graph.outputs import ADDED_OUTPUTS
from ov_xai.graph.view import GraphView, constant_value, is_float, node_key, port, sizes


class Activation(str, Enum):
    """What turns logits into probabilities at the end of the model."""

    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log_softmax"
    SIGMOID = "sigmoid"
    NONE = "none"


_ACTIVATIONS = {
    "Softmax": Activation.SOFTMAX,
    "LogSoftmax": Activation.LOG_SOFTMAX,
    "Sigmoid": Activation.SIGMOID,
}


@dataclass(frozen=True)
class Scores:
    """The class scores of a classifier, as ports of the analysed graph.

    Attributes:
        output: index of the model output that carries them.
        logits: output of the last op before any final activation.
        activated: output of that activation; None when the model ends with logits.
        activation: what the activation is.
        classes: number of classes K.
    """

    output: int
    logits: ov.Output
    activated: ov.Output | None
    activation: Activation
    classes: int


def find_scores(
    view: GraphView, layouts: Layouts, wanted: str | None = None, label_count: int | None = None
) -> Scores | None:
    """Return the scores of a classifier; None when no output holds any.

    With several candidates, an output that another one is computed from is dropped unless the other only activates
    it, then one whose class count is the label count is preferred, then the first.

    Raises:
        ModelMismatchError: `wanted` names no output.
    """
    outputs = view.model.outputs
    if wanted is not None:
        return _as_scores(view, layouts, named_output(view.model, wanted))
    candidates = [scores for index in range(len(outputs)) if (scores := _as_scores(view, layouts, index)) is not None]
    candidates = [scores for scores in candidates if not _ends_a_pyramid(view, layouts, scores)]
    if not candidates or has_boxes(view.model):
        return None
    candidates = _deepest(view, candidates)
    fitting = [scores for scores in candidates if scores.classes == label_count]
    return (fitting or candidates)[0]


def has_boxes(model: ov.Model) -> bool:
    """Return whether an output lists boxes: [N, boxes, 4], or with a score, a class or an image index beside them."""
    shapes = [sizes(output) or [] for output in model.outputs]
    return any(len(shape) == 3 and shape[2] in range(4, 8) for shape in shapes)


def classifier_input(view: GraphView, layouts: Layouts, logits: ov.Output) -> ov.Output | None:
    """Return the vector per image that the layer computing the class scores reads; None when it reads a grid."""
    for node in reversed(view.ordered(view.ancestors([logits.get_node()]))):
        if node.get_type_name() not in ("MatMul", "Convolution"):
            continue
        source, layout = node.input_value(0), layouts.get(port(node.input_value(0)))
        if layout is None:
            continue
        return source if vector_axis(layout, sizes(source) or []) is not None else None
    return None


def output_names(model: ov.Model) -> list[str]:
    """Return one name per output: its tensor name, or the name of its producer, or its index."""
    return [
        min(output.get_names(), default="") or output.get_node().input_value(0).get_node().get_friendly_name()
        for output in model.outputs
    ]


def named_output(model: ov.Model, wanted: str) -> int:
    """Return the index of the output with that name or index.

    Raises:
        ModelMismatchError: there is none.
    """
    names = output_names(model)
    for index, output in enumerate(model.outputs):
        if wanted in output.get_names() or wanted == names[index] or wanted == str(index):
            return index
    raise ModelMismatchError(f"Output '{wanted}' does not exist; the outputs are: {', '.join(names)} (or their index).")


def _as_scores(view: GraphView, layouts: Layouts, index: int) -> Scores | None:
    result = view.model.outputs[index]
    if result.get_names() & ADDED_OUTPUTS:
        return None
    source = result.get_node().input_value(0)
    layout = layouts.get(port(source))
    if layout is None or not is_float(source) or vector_axis(layout, sizes(source) or []) is None:
        return None
    if any(view.node(key).get_type_name() in DECISION_OPS for key in view.ancestors([source.get_node()])):
        return None
    logits, activated, activation = _strip_activation(source)
    extents = sizes(logits) or []
    axis = vector_axis(layouts[port(logits)], extents)
    classes = None if axis is None else extents[axis]
    at_places = axis is not None and has_places(layouts[port(logits)][axis])
    if classes is None or at_places or _lists_several(view, source, classes):
        return None
    return Scores(index, logits, activated, activation, classes)


def _ends_a_pyramid(view: GraphView, layouts: Layouts, scores: Scores) -> bool:
    """Return whether scores [N, K, 1, 1] are the single place of a level: two others of K columns are outputs too."""
    sources = [output.get_node().input_value(0) for output in view.model.outputs]
    return (
        len(sizes(sources[scores.output]) or []) == 4
        and sum(
            is_spatial(layout) and len(place_axes(layout)) == 2 and scores.classes in (extents[1], extents[-1])
            for source in sources
            if len(extents := sizes(source) or []) == 4 and (layout := layouts.get(port(source))) is not None
        )
        >= 2
    )


def _lists_several(view: GraphView, source: ov.Output, classes: int) -> bool:
    """Return whether an output of a model of one image holds more than one vector of scores: one per query."""
    extents = sizes(source) or []
    images = [(sizes(image) or [None])[0] for image in view.model.inputs if len(sizes(image) or []) == 4]
    return images == [1] and None not in extents and prod(extent or 1 for extent in extents) != classes


def _strip_activation(source: ov.Output) -> tuple[ov.Output, ov.Output | None, Activation]:
    """Walk back through one activation, and what does not change it; return (logits, activated, activation)."""
    current = source
    while (before := _unchanged(current.get_node())) is not None:
        current = before
    kind = current.get_node().get_type_name()
    activation = _ACTIVATIONS.get(kind)
    if activation is None:
        return source, None, Activation.NONE
    return current.get_node().input_value(0), source, activation


def _unchanged(node: ov.Node) -> ov.Output | None:
    """Return what a node gives on as it is, rounded at most: x * 1 and x + 0 are ends of Paddle models."""
    kind = node.get_type_name()
    if kind in VIEW_OPS | ROUNDING_OPS | {"Convert"}:
        return node.input_value(0)
    neutral = {"Multiply": 1, "Add": 0}.get(kind)
    if neutral is None:
        return None
    for index in (0, 1):
        constant = constant_value(node.input_value(1 - index))
        if constant is not None and np.all(constant == neutral):
            return node.input_value(index)
    return None


def _deepest(view: GraphView, candidates: list[Scores]) -> list[Scores]:
    kept = []
    for scores in candidates:
        key = node_key(scores.logits.get_node())
        others = [other for other in candidates if port(other.logits) != port(scores.logits)]
        if not any(key in view.ancestors([other.logits.get_node()]) for other in others):
            kept.append(scores)
    return kept or candidates
