"""Request + anatomy -> the settled choices of one insertion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from ov_xai.analysis.attention import is_attention
from ov_xai.analysis.classifier import Classifier
from ov_xai.analysis.demand import kept_count
from ov_xai.analysis.detectors.class_head import ClassHead
from ov_xai.analysis.detectors.detector import Detector
from ov_xai.analysis.dissection import Dissected
from ov_xai.analysis.scores import Activation, named_output
from ov_xai.errors import ModelMismatchError, UnsupportedModelError
from ov_xai.graph.kinds import ROUNDING_OPS
from ov_xai.graph.layers import has_integer_weights
from ov_xai.graph.model_info import info_value, is_true
from ov_xai.label_ids import LabelIds, find_label_ids
from ov_xai.perturbation.replay import head_nodes
from ov_xai.request import FINEST, MIDDLE, Combine, Compat, InsertionRequest, Mask, Method, Normalise, Score


@dataclass(frozen=True)
class BasePlan:
    """What every plan settles.

    Attributes:
        method: the map to compute.
        classes: number of classes K: one map each.
        normalise: u8 or f32 maps.
        top_k: number of classes with a map; None for all.
        feature_vector: also emit the spatial mean of the target.
        apart: read the target of masks, and the scores that choose classes or make maps, behind a product, so that
            the precision and the fusions of the model stay as they are.
    """

    method: Method
    classes: int
    normalise: Normalise
    top_k: int | None
    feature_vector: bool
    apart: bool


@dataclass(frozen=True)
class ClassifierPlan(BasePlan):
    """What will be inserted into a classifier.

    Attributes:
        mask: neighbourhood kept around a place.
        score: what a class-wise map explains.
        activation: what makes probabilities of logits; NONE for `logit`, which has no use for them.
        rounded: round activations where a quantised model does. Where attention reads the target, a place among
            hundreds moves them by less than one level, and the map would show the rounding.
    """

    mask: Mask
    score: Score
    activation: Activation
    rounded: bool


@dataclass(frozen=True)
class DetectorPlan(BasePlan):
    """What will be inserted into a detector.

    Attributes:
        head: the class scores; None for maps per image.
        ids: how the columns of the head are counted in the outputs; None without class scores on a grid.
        combine: how pyramid levels make one map.
        level: index of the level whose grid the maps have.
        compat: whose maps are reproduced.
        score_output: index of the output that was named as the one with the scores; None when none was.
    """

    head: ClassHead | None
    ids: LabelIds | None
    combine: Combine
    level: int
    compat: Compat | None
    score_output: int | None


Plan: TypeAlias = ClassifierPlan | DetectorPlan


def make_plan(
    anatomy: Dissected,
    request: InsertionRequest,
    ids: LabelIds | None = None,
    apart: bool = False,
    rounded: bool = True,
) -> Plan:
    """Choose what the request leaves open.

    Args:
        anatomy: the model, taken apart.
        request: what the caller wants.
        ids: how a detector counts its classes; None asks the model.
        apart: read the target, or the scores of a detector, behind a product.
        rounded: whether masked runs of a classifier may round activations.

    Raises:
        ModelMismatchError: the method, `top_k`, the labels or a pyramid level do not fit the model.
        UnsupportedModelError: class-wise maps are wanted of a detector that scores no places.
    """
    plan: Plan
    if isinstance(anatomy, Classifier):
        plan = _classifier_plan(anatomy, request, apart, rounded)
    else:
        plan = _detector_plan(anatomy, request, ids, apart)
    _check_classes(plan, request)
    return plan


def _check_classes(plan: Plan, request: InsertionRequest) -> None:
    if request.top_k is not None:
        if not plan.method.class_wise:
            raise ModelMismatchError(
                f"--top-k chooses classes, but {plan.method.value} gives one map per image. Drop one."
            )
        if request.top_k > plan.classes:
            raise ModelMismatchError(
                f"top-k is {request.top_k}, but the model has {plan.classes} classes; expected 1 to {plan.classes}."
            )
    if request.labels is not None and len(request.labels) != plan.classes:
        raise ModelMismatchError(
            f"{len(request.labels)} labels are given, but the model has {plan.classes} classes; expected one label a "
            "line, in the order of the model's output."
        )


def _classifier_plan(anatomy: Classifier, request: InsertionRequest, apart: bool, rounded: bool) -> ClassifierPlan:
    method = request.method or Method.CLASS_WISE
    if method is Method.CLASS_PROBABILITY_MAP:
        raise ModelMismatchError(
            "class-probability-map is for detectors and segmentation models; this is a classifier. Use recipro-cam."
        )
    score = request.score or Score.LOGIT
    return ClassifierPlan(
        method=Method.RECIPRO_CAM if method is Method.CLASS_WISE else method,
        classes=anatomy.scores.classes,
        normalise=request.normalise,
        top_k=request.top_k,
        feature_vector=request.feature_vector,
        apart=apart,
        mask=request.mask or _mask(anatomy),
        score=score,
        activation=_activation(anatomy, score),
        rounded=not rounds(anatomy) or (rounded and not _attended(anatomy)),
    )


def _mask(anatomy: Classifier) -> Mask:
    """Return `gaussian` where attention reads the target: a single token among hundreds hardly moves it."""
    return Mask.GAUSSIAN if _attended(anatomy) else Mask.PIXEL


def _attended(anatomy: Classifier) -> bool:
    end = anatomy.collapse
    return (end is not None and is_attention(end.node, anatomy.demand)) or bool(kept_count(anatomy.target.layout))


def rounds(anatomy: Classifier) -> bool:
    """Return whether activations are rounded between the target and the scores.

    So they are where the model says so, and by the plugin where they meet weights of 8 bits.
    """
    head = head_nodes(anatomy.view, anatomy.target.output, anatomy.scores.logits)
    return any(node.get_type_name() in ROUNDING_OPS or has_integer_weights(node) for node in head)


def _activation(anatomy: Classifier, score: Score) -> Activation:
    """Return what makes probabilities of logits: the model's own activation, else softmax, or sigmoid when its
    `model_info` says that classes do not exclude each other; softmax where the model gives their logarithms."""
    if score is Score.LOGIT:
        return Activation.NONE
    own = anatomy.scores.activation
    if own is not Activation.NONE:
        return Activation.SOFTMAX if own is Activation.LOG_SOFTMAX else own
    multilabel = is_true(info_value(anatomy.view.model, "multilabel"))
    return Activation.SIGMOID if multilabel or anatomy.scores.classes == 1 else Activation.SOFTMAX


def _detector_plan(anatomy: Detector, request: InsertionRequest, ids: LabelIds | None, apart: bool) -> DetectorPlan:
    method = request.method or (Method.CLASS_WISE if anatomy.head is not None else Method.ACTIVATION_MAP)
    if method is Method.RECIPRO_CAM:
        raise ModelMismatchError(
            "recipro-cam is for classifiers; this model has scores on a grid. Use class-probability-map."
        )
    if method.class_wise and anatomy.head is None:
        raise UnsupportedModelError(
            "The classes are scored per region or per query, not per place, so there is no map of a class to read",
            remedy="Use --method activation-map or eigen-cam.",
        )
    head = anatomy.head
    if head is not None and ids is None:
        ids = find_label_ids(anatomy.view, head)
    if request.compat is not None and head is not None:
        head = _before_activation(anatomy, head)
    return DetectorPlan(
        method=Method.CLASS_PROBABILITY_MAP if method.class_wise else method,
        classes=0 if ids is None else len(ids.by_label),
        normalise=request.normalise,
        top_k=request.top_k,
        feature_vector=request.feature_vector,
        head=head if method.class_wise else None,
        ids=ids,
        combine=request.combine or Combine.MEAN,
        level=0 if head is None else _level(head, _map_level(request)),
        compat=request.compat,
        score_output=None if request.score_output is None else named_output(anatomy.view.model, request.score_output),
        apart=apart or (head is not None and head.enlarged),
    )


def _map_level(request: InsertionRequest) -> str | int:
    if request.map_level is not None:
        return request.map_level
    return MIDDLE if request.compat is not None else FINEST


def _level(head: ClassHead, wanted: str | int) -> int:
    count = len(head.levels)
    if wanted == MIDDLE:
        return count // 2
    if wanted == FINEST:
        return 0
    assert isinstance(wanted, int)
    if wanted >= count:
        grids = ", ".join(f"{index} ({level.grid})" for index, level in enumerate(head.levels))
        raise ModelMismatchError(f"map-level is {wanted}, but the model has the levels {grids}.")
    return wanted


def _before_activation(anatomy: Detector, head: ClassHead) -> ClassHead:
    """Return the class head with its scores as they were before the activation."""
    if head.made_by is Activation.NONE:
        return replace(head, activation=Activation.NONE, objectness=None, objectness_levels=())
    raw = anatomy.logits_of(head)
    if raw is None:
        raise UnsupportedModelError(
            "The class scores before their activation are not found, which --compat otx shows",
            remedy="Leave out --compat.",
        )
    return raw
