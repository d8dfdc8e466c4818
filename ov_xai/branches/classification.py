"""The saliency branch of a classifier."""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.attention import is_attention
from ov_xai.analysis.classifier import Classifier
from ov_xai.analysis.scores import Activation, classifier_input
from ov_xai.branches.best import best_classes
from ov_xai.branches.branch import Branch, grid_extents, maps_per_image, spatial_mean
from ov_xai.errors import UnsupportedModelError
from ov_xai.graph.emit import Emitter
from ov_xai.graph.kinds import DECISION_OPS
from ov_xai.graph.view import node_key, sizes
from ov_xai.methods.contrast import contrast
from ov_xai.methods.maps import RawMaps
from ov_xai.methods.recipro_cam import recipro_cam
from ov_xai.methods.smoothing import unsmoothed
from ov_xai.perturbation.classes import find_class_tail
from ov_xai.perturbation.context import ClassSubset, Context
from ov_xai.perturbation.masks import MaskMatrix
from ov_xai.perturbation.replay import head_nodes
from ov_xai.plan import ClassifierPlan
from ov_xai.request import Method, Normalise, Score


def classifier_branch(emit: Emitter, anatomy: Classifier, plan: ClassifierPlan) -> Branch:
    """Add the saliency branch of a classifier.

    Raises:
        UnsupportedModelError: the head cannot be evaluated on masked copies of the target.
    """
    _refuse_decisions(anatomy)
    subset: ClassSubset | None = None
    if plan.method is Method.RECIPRO_CAM:
        maps, subset = _class_wise(emit, anatomy, plan)
    else:
        maps = maps_per_image(emit, anatomy, plan.method, plan.normalise)
    vector = _feature_vector(emit, anatomy) if plan.feature_vector else None
    return Branch(maps, None if subset is None else subset.indices, vector)


def _refuse_decisions(anatomy: Classifier) -> None:
    for node in head_nodes(anatomy.view, anatomy.target.output, anatomy.scores.logits):
        if node.get_type_name() in DECISION_OPS:
            raise UnsupportedModelError(
                f"The head decides among its inputs ({node.get_type_name()}), so masked copies cannot be compared",
                node=node.get_friendly_name(),
                remedy="Use --method activation-map, or name another --score-output.",
            )


def _feature_vector(emit: Emitter, anatomy: Classifier) -> ov.Output:
    """Return [N, C]: the token that the classifier reads where attention ends the grid, else the spatial mean."""
    end = anatomy.collapse
    read = classifier_input(anatomy.view, anatomy.layouts, anatomy.scores.logits)
    if read is not None and end is not None and is_attention(end.node, anatomy.demand):
        channels = max(extent or 1 for extent in (sizes(read) or [])[1:])
        return emit.reshape(unsmoothed(emit, emit.times_one(read), read), -1, channels)
    return spatial_mean(emit, anatomy)


def _class_wise(emit: Emitter, anatomy: Classifier, plan: ClassifierPlan) -> tuple[RawMaps, ClassSubset | None]:
    scores, target = anatomy.scores, anatomy.target
    height, width = grid_extents(emit, anatomy)
    masks = MaskMatrix(emit, plan.mask, height, width, target.output.get_element_type())
    ctx = Context(emit, anatomy.layouts, anatomy.demand, target, masks, rounded=plan.rounded, apart=plan.apart)
    head = head_nodes(anatomy.view, target.output, scores.logits)
    if plan.top_k is not None:
        ctx.subset = _choose_classes(emit, anatomy, plan, ctx, head)
    if plan.score is Score.CONTRAST:
        prediction = _prediction(emit, anatomy)
        raw = contrast(head, scores.logits, prediction, scores.classes, ctx, activation=plan.activation)
        return raw, ctx.subset
    raw = recipro_cam(
        head,
        scores.logits,
        scores.classes,
        ctx,
        activation=plan.activation,
        scale_free=plan.normalise is Normalise.MINMAX,
    )
    return raw, ctx.subset


def _prediction(emit: Emitter, anatomy: Classifier) -> ov.Output | None:
    """Return the probabilities that the model gives; None when it ends with logits."""
    scores = anatomy.scores
    if scores.activated is None or scores.activation is not Activation.LOG_SOFTMAX:
        return scores.activated
    return emit.softmax(emit.reshape(scores.activated, -1, scores.classes), 1)


def _choose_classes(
    emit: Emitter, anatomy: Classifier, plan: ClassifierPlan, ctx: Context, head: list[ov.Node]
) -> ClassSubset:
    scores = anatomy.scores
    # Of logits and their activation, the one that is an output: a new reader of the other could change its precision.
    best = scores.activated if scores.activated is not None else scores.logits
    flat = emit.reshape(emit.times_one(best) if plan.apart else best, -1, scores.classes)
    indices = best_classes(emit, flat, plan.top_k or 1)
    affected = {node_key(node) for node in head} | {node_key(anatomy.target.output.get_node())}
    separable = plan.activation is not Activation.SOFTMAX and plan.score is not Score.CONTRAST
    tail = find_class_tail(scores.logits, scores.classes, affected, ctx) if separable else None
    nodes, entries = (tail.nodes, tail.entries) if tail is not None else (frozenset(), frozenset())
    return ClassSubset(indices, plan.top_k or 1, scores.classes, nodes, entries)
