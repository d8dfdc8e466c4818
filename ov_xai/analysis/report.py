"""What `inspect` tells about a model: plain data, no nodes."""

from __future__ import annotations

from dataclasses import dataclass

from ov_xai.analysis.anatomy import Anatomy, candidates
from ov_xai.analysis.scores import output_names
from ov_xai.graph.view import GraphView, node_key, shape_text


@dataclass(frozen=True)
class LayerReport:
    """A layer that could be masked.

    Attributes:
        name: friendly name, as `--target-layer` takes it.
        kind: type of the op.
        shape: shape of its tensor, e.g. "[1,512,7,7]".
        grid: [rows, columns], null where dynamic.
    """

    name: str
    kind: str
    shape: str
    grid: list[int | None]


@dataclass(frozen=True)
class ModelReport:
    """The findings about a classifier.

    Attributes:
        task: "classification".
        image: name and shape of the image input, and its layout.
        score_output: name of the output with the class scores.
        logits: friendly name of the node that computes them, before any activation.
        activation: "softmax", "sigmoid" or "none".
        classes: number of classes.
        collapse: friendly name and type of the op at which the places disappear; null with a named target.
        target: the layer that is masked.
        candidates: layers for `--target-layer`: the last one of each grid, or all of them on request.
    """

    task: str
    image: str
    score_output: str
    logits: str
    activation: str
    classes: int
    collapse: str | None
    target: LayerReport
    candidates: list[LayerReport]


def report(anatomy: Anatomy, all_candidates: bool = False) -> ModelReport:
    """Return the findings as plain data."""
    view, scores = anatomy.view, anatomy.scores
    found = candidates(view, anatomy.demand, scores.logits, anatomy.image)
    layers = [
        LayerReport(
            item.name,
            item.output.get_node().get_type_name(),
            shape_text(item.output),
            [item.grid.height, item.grid.width],
        )
        for item in found
    ]
    target = anatomy.target
    end = anatomy.collapse
    image_names = sorted(anatomy.image.get_names()) or [anatomy.image.get_node().get_friendly_name()]
    return ModelReport(
        task="classification",
        image=f"{image_names[0]} {shape_text(anatomy.image)} {anatomy.image_letters}",
        score_output=output_names(view.model)[scores.output],
        logits=scores.logits.get_node().get_friendly_name(),
        activation=scores.activation.value,
        classes=scores.classes,
        collapse=None if end is None else f"{end.node.get_friendly_name()} ({end.node.get_type_name()})",
        target=LayerReport(
            target.name,
            target.output.get_node().get_type_name(),
            shape_text(target.output),
            [target.grid.height, target.grid.width],
        ),
        candidates=layers if all_candidates else _stages(view, anatomy, layers),
    )


def _stages(view: GraphView, anatomy: Anatomy, layers: list[LayerReport]) -> list[LayerReport]:
    """Return, the target and, for each other grid, the last layer that every path to the scores goes through."""
    target_grid = [anatomy.target.grid.height, anatomy.target.grid.width]
    by_name = {node.get_friendly_name(): node for node in view.ops}
    before = view.ancestors([anatomy.scores.logits.get_node()])
    last: dict[tuple[int | None, ...], LayerReport] = {}
    for layer in layers:
        node = by_name[layer.name]
        # A layer is a cut when all that is computed beside it, and is neither before nor after it, is nothing.
        around = view.ancestors([node]) | view.descendants([node])
        beside = (before & view.descendants([anatomy.image.get_node()])) - around
        chosen = node_key(node) == node_key(anatomy.target.output.get_node())
        if chosen or (not beside and layer.grid != target_grid):
            last[tuple(layer.grid)] = layer
    return list(last.values())
