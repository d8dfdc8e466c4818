"""A detector or a segmentation model, taken apart: its class scores and a feature map."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass

from ov_xai.analysis.anatomy import Anatomy, Surface
from ov_xai.analysis.candidates import Candidate
from ov_xai.analysis.detectors.class_head import ClassHead
from ov_xai.analysis.detectors.feature_map import feature_maps, last_common_map, named_map, works_on_regions
from ov_xai.analysis.detectors.head_choice import scored_places
from ov_xai.analysis.detectors.head_search import logit_head
from ov_xai.analysis.detectors.task import DetectorTask
from ov_xai.analysis.scores import has_boxes, output_names
from ov_xai.cards import Card
from ov_xai.errors import UnsupportedModelError
from ov_xai.graph.view import GraphView, node_key, shape_text
from ov_xai.request import InsertionRequest


@dataclass(frozen=True)
class Detector(Anatomy):
    """A model whose scores are on a grid.

    Attributes:
        task: what it does.
        head: its class scores; None where they are made per region or per query, not per place.
        card: the card that was used; None when structure tells everything.
    """

    task: DetectorTask
    head: ClassHead | None
    card: Card | None

    def maps(self) -> list[Candidate]:
        """Return every feature map of the model, in topological order."""
        return list(feature_maps(self.surface, [node_key(node) for node in self.view.ops]))

    def logits_of(self, head: ClassHead) -> ClassHead | None:
        """Return the class scores before their activation, on the same levels; None when they are not found."""
        return logit_head(self.view, self.layouts, head)


def dissect_detector(surface: Surface, request: InsertionRequest, cards: Sequence[Card]) -> Detector:
    """Return the anatomy of a detector or a segmentation model.

    Raises:
        UnsupportedModelError: there are neither class scores on a grid nor boxes.
        ModelMismatchError: an output or a layer named in the request does not exist or does not fit.
    """
    view = surface.view
    per_image = request.method is not None and not request.method.class_wise
    scored = None
    with suppress(UnsupportedModelError) if per_image else nullcontext():
        scored = scored_places(surface, request, cards)
    if scored is None and not per_image and not _selects_boxes(view):
        raise _no_scores(view)
    head, card, task = scored or (None, None, DetectorTask.DETECTION)
    target = named_map(surface, request.target_layer) if request.target_layer else last_common_map(surface, head)
    return Detector(surface, target, task, head, card)


def _selects_boxes(view: GraphView) -> bool:
    """Return whether the model gives boxes, though its class scores are on no grid."""
    return has_boxes(view.model) or works_on_regions(view)


def _no_scores(view: GraphView) -> UnsupportedModelError:
    regions = next((node for node in view.ops if node.get_type_name() == "RegionYolo"), None)
    if regions is not None:
        return UnsupportedModelError(
            "The class scores are made by RegionYolo, which mixes them with the boxes of all anchors; expected an "
            "output with scores of classes",
            node=regions.get_friendly_name(),
            remedy="Use --method activation-map, which needs no classes, or export the model without RegionYolo.",
        )
    described = ", ".join(
        f"{name} {shape_text(output)}"
        for name, output in zip(output_names(view.model), view.model.outputs, strict=True)
    )
    return UnsupportedModelError(
        f"No output holds class scores: found {described}, expected [N, classes], or scores of classes on a grid, "
        "computed from the image",
        remedy="Name the right output with --score-output, export the model with its classification head, or use "
        "--method activation-map, which needs no classes.",
    )
