"""A classifier, taken apart: its scores, where the places end, and what is masked."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import openvino as ov

from ov_xai.analysis.anatomy import Anatomy, Surface
from ov_xai.analysis.attention import attended, attention_ops
from ov_xai.analysis.candidates import Candidate, candidate
from ov_xai.analysis.collapse import Collapse, find_collapse
from ov_xai.analysis.demand import Demand
from ov_xai.analysis.scores import Scores
from ov_xai.errors import ModelMismatchError
from ov_xai.graph.view import GraphView, node_key, shape_text
from ov_xai.request import InsertionRequest


@dataclass(frozen=True)
class Classifier(Anatomy):
    """A classifier.

    Attributes:
        demand: which positions of every tensor the scores are computed from.
        scores: the class scores.
        collapse: where the places end; None when a target was named and the model's own end is of no use.
    """

    demand: Demand
    scores: Scores
    collapse: Collapse | None


def dissect_classifier(surface: Surface, scores: Scores, request: InsertionRequest) -> Classifier:
    """Return the anatomy of a classifier.

    Raises:
        UnsupportedModelError: no spatial grid.
        ModelMismatchError: a layer named in the request does not exist or does not fit.
    """
    view = surface.view
    demand = Demand(view, surface.layouts, [scores.logits])
    collapse: Collapse | None = None
    if request.target_layer is not None:
        target = _named_target(surface, demand, scores, request.target_layer)
    elif request.block is not None:
        target = _block_target(view, demand, scores, request.block)
    else:
        collapse = find_collapse(view, demand, scores.logits)
        target = collapse.target
    _require_grid(target, request.grid)
    return Classifier(surface, target, demand, scores, collapse)


def candidates(view: GraphView, demand: Demand, logits: ov.Output, image: ov.Output) -> list[Candidate]:
    """Return every tensor of whose places the scores depend, in topological order."""
    on_path = view.ancestors([logits.get_node()])
    first = node_key(image.get_node())
    found = []
    for node in view.ordered(on_path):
        if node_key(node) == first:
            continue
        for output in node.outputs():
            tensor = candidate(output, demand.layouts) if demand.reads_grid(output) else None
            if tensor is not None:
                found.append(tensor)
    return found


def _require_grid(target: Candidate, wanted: tuple[int, int] | None) -> None:
    if wanted is not None and wanted != (target.grid.height, target.grid.width):
        raise ModelMismatchError(
            f"--grid is {wanted[0]}x{wanted[1]}, but the target '{target.name}' has a {target.grid} grid. Choose a "
            "layer of that grid with --target-layer, or leave --grid out."
        )


def _block_target(view: GraphView, demand: Demand, scores: Scores, block: int) -> Candidate:
    """Return the tokens that enter the `block`-th attention, counted from the scores."""
    found = attention_ops(view, demand, scores.logits)
    if block > len(found):
        raise ModelMismatchError(
            f"--block is {block}, but {len(found)} attention blocks read the grid; expected a number from 1 (the last "
            f"one) to {len(found)}."
            if found
            else "--block counts attention blocks, but no attention reads the grid. Use --target-layer instead."
        )
    target = attended(view, demand, found[-block])
    if target is None:
        raise ModelMismatchError(
            f"The tokens that enter attention block {block} ('{found[-block].get_friendly_name()}') have no grid that "
            "can be followed. Use --target-layer instead."
        )
    return target


def _named_target(surface: Surface, demand: Demand, scores: Scores, name: str) -> Candidate:
    view = surface.view
    node = view.find(name)
    possible = {item.name: item for item in candidates(view, demand, scores.logits, surface.image)}
    if node is None:
        close = difflib.get_close_matches(name, possible, n=3, cutoff=0.3) or list(possible)[-3:]
        raise ModelMismatchError(
            f"Layer '{name}' does not exist; expected a friendly name or tensor name. Nearest layers with a grid: "
            f"{', '.join(close) or 'none'}. `ov-xai inspect` lists all."
        )
    friendly = node.get_friendly_name()
    if friendly not in possible:
        reason = _why_not(surface, demand, scores, node)
        raise ModelMismatchError(
            f"Layer '{friendly}' {shape_text(node.output(0))} cannot be masked: {reason}. `ov-xai inspect` lists the "
            "layers that can."
        )
    return possible[friendly]


def _why_not(surface: Surface, demand: Demand, scores: Scores, node: ov.Node) -> str:
    if node_key(node) not in surface.view.ancestors([scores.logits.get_node()]):
        return "the scores do not depend on it"
    if node_key(node) == node_key(surface.image.get_node()):
        return "it is the image itself"
    if any(candidate(output, demand.layouts) is not None for output in node.outputs()):
        return "the scores read none of its places"
    return "it has no spatial grid of more than 1x1"
