"""Everything the insertion needs to know about a model, found once."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import openvino as ov

from ov_xai.analysis.collapse import Candidate, Collapse, candidate, find_collapse
from ov_xai.analysis.propagation import Layouts, image_layout, propagate
from ov_xai.analysis.scores import Scores, find_scores
from ov_xai.errors import ModelMismatchError
from ov_xai.graph.image_input import find_image_input
from ov_xai.graph.view import GraphView, node_key, port, shape_text
from ov_xai.request import InsertionRequest


@dataclass(frozen=True)
class Anatomy:
    """A classifier, taken apart.

    Attributes:
        view: the graph.
        image: the image input.
        image_letters: its layout, e.g. "NCHW".
        layouts: what the axes of every tensor are.
        scores: the class scores.
        collapse: where the places end; None when a target was named and the model's own end is of no use.
        target: the tensor to mask.
    """

    view: GraphView
    image: ov.Output
    image_letters: str
    layouts: Layouts
    scores: Scores
    collapse: Collapse | None
    target: Candidate


def dissect(model: ov.Model, request: InsertionRequest) -> Anatomy:
    """Return the anatomy of a classifier.

    Raises:
        UnsupportedModelError: no image input, no class scores, no spatial grid.
        ModelMismatchError: a layer or output named in the request does not exist or does not fit.
    """
    image, letters = find_image_input(model)
    view = GraphView(model)
    layouts = propagate(view, image, image_layout(image, letters))
    labels = len(request.labels) if request.labels else None
    scores = find_scores(view, layouts, request.score_output, labels)
    if request.target_layer is not None:
        target = _named_target(view, layouts, scores, request.target_layer)
        return Anatomy(view, image, letters, layouts, scores, None, target)
    collapse = find_collapse(view, layouts, scores.logits)
    return Anatomy(view, image, letters, layouts, scores, collapse, collapse.target)


def candidates(view: GraphView, layouts: Layouts, logits: ov.Output, image: ov.Output) -> list[Candidate]:
    """Return every tensor on the way to the scores that could be masked, in topological order."""
    on_path = view.ancestors([logits.get_node()])
    first = node_key(image.get_node())
    found = []
    for node in view.ordered(on_path):
        if node_key(node) == first:
            continue
        for output in node.outputs():
            tensor = candidate(output, layouts) if port(output) in layouts else None
            if tensor is not None:
                found.append(tensor)
    return found


def _named_target(view: GraphView, layouts: Layouts, scores: Scores, name: str) -> Candidate:
    node = view.find(name)
    possible = {item.name: item for item in candidates(view, layouts, scores.logits, _image_of(view))}
    if node is None:
        close = difflib.get_close_matches(name, possible, n=3, cutoff=0.3) or list(possible)[-3:]
        raise ModelMismatchError(
            f"Layer '{name}' does not exist; expected a friendly name or tensor name. Nearest layers with a grid: "
            f"{', '.join(close) or 'none'}. `ov-xai inspect` lists all."
        )
    friendly = node.get_friendly_name()
    if friendly not in possible:
        reason = _why_not(view, scores, node)
        raise ModelMismatchError(
            f"Layer '{friendly}' {shape_text(node.output(0))} cannot be masked: {reason}. `ov-xai inspect` lists the "
            "layers that can."
        )
    return possible[friendly]


def _image_of(view: GraphView) -> ov.Output:
    return find_image_input(view.model)[0]


def _why_not(view: GraphView, scores: Scores, node: ov.Node) -> str:
    if node_key(node) not in view.ancestors([scores.logits.get_node()]):
        return "the scores do not depend on it"
    if node_key(node) == node_key(_image_of(view).get_node()):
        return "it is the image itself"
    return "it has no spatial grid of more than 1x1"
