"""What `inspect` tells about a model: plain data, no nodes."""

from __future__ import annotations

from dataclasses import dataclass, field

from ov_xai.analysis.candidates import Candidate
from ov_xai.analysis.classifier import Classifier, candidates
from ov_xai.analysis.detectors.detector import Detector
from ov_xai.analysis.dissection import Dissected
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
    """The findings about a model.

    Attributes:
        task: "classification", "detection" or "segmentation".
        image: name and shape of the image input, and its layout.
        score_output: name of the output with the class scores; null for detectors.
        logits: friendly names of the nodes that hold the class scores; before any activation for classifiers.
        activation: what the scores have been through: "softmax", "sigmoid" or "none".
        classes: number of classes.
        collapse: friendly name and type of the op at which the places disappear; null with a named target, and for
            detectors.
        target: the feature map that is masked, or shown by methods with one map per image.
        candidates: layers for `--target-layer`: the last one of each grid, or all of them on request.
        levels: grid of each pyramid level, finest first; empty for classifiers.
        card: name of the card that was used.
    """

    task: str
    image: str
    score_output: str | None
    logits: str
    activation: str
    classes: int
    collapse: str | None
    target: LayerReport
    candidates: list[LayerReport]
    levels: list[str] = field(default_factory=list)
    card: str | None = None


def report(anatomy: Dissected, classes: int, all_candidates: bool = False) -> ModelReport:
    """Return the findings as plain data.

    Args:
        anatomy: the model, taken apart.
        classes: number of maps.
        all_candidates: list every layer that can be a target.
    """
    if isinstance(anatomy, Classifier):
        return _of_classifier(anatomy, classes, all_candidates)
    return _of_detector(anatomy, classes, all_candidates)


def _of_classifier(anatomy: Classifier, classes: int, all_candidates: bool) -> ModelReport:
    view, scores, end = anatomy.view, anatomy.scores, anatomy.collapse
    found = candidates(view, anatomy.demand, scores.logits, anatomy.surface.image)
    layers = [_layer(item) for item in found]
    return ModelReport(
        task="classification",
        image=_image(anatomy),
        score_output=output_names(view.model)[scores.output],
        logits=scores.logits.get_node().get_friendly_name(),
        activation=scores.activation.value,
        classes=classes,
        collapse=None if end is None else f"{end.node.get_friendly_name()} ({end.node.get_type_name()})",
        target=_layer(anatomy.target),
        candidates=layers if all_candidates else _stages(view, anatomy, layers),
    )


def _of_detector(anatomy: Detector, classes: int, all_candidates: bool) -> ModelReport:
    head = anatomy.head
    layers = [_layer(item) for item in anatomy.maps()]
    last = {tuple(layer.grid): layer for layer in layers}
    nodes = [] if head is None else [level.table.output.get_node().get_friendly_name() for level in head.levels]
    return ModelReport(
        task=anatomy.task.value,
        image=_image(anatomy),
        score_output=None,
        logits=", ".join(sorted(set(nodes))),
        activation="none" if head is None else head.made_by.value,
        classes=classes,
        collapse=None,
        target=_layer(anatomy.target),
        candidates=layers if all_candidates else list(last.values()),
        levels=[] if head is None else [str(level.grid) for level in head.levels],
        card=None if anatomy.card is None else anatomy.card.name,
    )


def _image(anatomy: Dissected) -> str:
    image = anatomy.surface.image
    names = sorted(image.get_names()) or [image.get_node().get_friendly_name()]
    return f"{names[0]} {shape_text(image)} {anatomy.surface.image_letters}"


def _layer(item: Candidate) -> LayerReport:
    return LayerReport(
        item.name, item.output.get_node().get_type_name(), shape_text(item.output), [item.grid.height, item.grid.width]
    )


def _stages(view: GraphView, anatomy: Classifier, layers: list[LayerReport]) -> list[LayerReport]:
    """Return, the target and, for each other grid, the last layer that every path to the scores goes through."""
    target_grid = [anatomy.target.grid.height, anatomy.target.grid.width]
    by_name = {node.get_friendly_name(): node for node in view.ops}
    before = view.ancestors([anatomy.scores.logits.get_node()])
    last: dict[tuple[int | None, ...], LayerReport] = {}
    for layer in layers:
        node = by_name[layer.name]
        # A layer is a cut when all that is computed beside it, and is neither before nor after it, is nothing.
        around = view.ancestors([node]) | view.descendants([node])
        beside = (before & view.descendants([anatomy.surface.image.get_node()])) - around
        chosen = node_key(node) == node_key(anatomy.target.output.get_node())
        if chosen or (not beside and layer.grid != target_grid):
            last[tuple(layer.grid)] = layer
    return list(last.values())
