"""Take a model apart: decide what it is, and find its parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import openvino as ov

from ov_xai.analysis.anatomy import find_surface
from ov_xai.analysis.classifier import Classifier, dissect_classifier
from ov_xai.analysis.detectors.detector import Detector, dissect_detector
from ov_xai.analysis.detectors.feature_map import works_on_regions
from ov_xai.analysis.scores import find_scores
from ov_xai.cards import Card, cards_with
from ov_xai.errors import UnsupportedModelError
from ov_xai.graph.spelling import spelled_out
from ov_xai.graph.view import shape_text, sizes
from ov_xai.request import InsertionRequest

#: No machine that runs vision models holds a tensor of more elements; to follow its axes would take as many steps.
_MOST_ELEMENTS = 1 << 30

Dissected: TypeAlias = Classifier | Detector


def dissect(model: ov.Model, request: InsertionRequest, cards: Sequence[Card] = ()) -> Dissected:
    """Return the anatomy of a model: a classifier when an output holds [N, classes], else a detector.

    Args:
        model: the model; the anatomy refers to its nodes.
        request: what the caller names or prefers.
        cards: knowledge about families, in order of precedence.

    Raises:
        UnsupportedModelError: no image input, no class scores, no spatial grid.
        ModelMismatchError: a layer or output named in the request does not exist or does not fit.
    """
    _require_sane_sizes(model)
    surface = find_surface(model, request.grid)
    labels = len(request.labels) if request.labels else None
    by_image = not works_on_regions(surface.view)
    scores = find_scores(surface.view, surface.layouts, request.score_output, labels) if by_image else None
    if scores is not None:
        return dissect_classifier(surface, scores, request)
    return dissect_detector(surface, request, cards)


def anatomy_of(model: ov.Model, request: InsertionRequest) -> Dissected:
    """Return the anatomy of a model that nothing is inserted into; see `dissect`."""
    with spelled_out(model):
        return dissect(model, request, cards_with(request.card))


def _require_sane_sizes(model: ov.Model) -> None:
    """Refuse a model with a tensor that cannot be held; dynamic extents count as one."""
    for node in model.get_ops():
        for output in node.outputs():
            if math.prod(extent for extent in sizes(output) or [] if extent is not None) > _MOST_ELEMENTS:
                raise UnsupportedModelError(
                    f"A tensor has the shape {shape_text(output)}, more than {_MOST_ELEMENTS} elements",
                    node=node.get_friendly_name(),
                    remedy="Export the model for a smaller input.",
                )
