"""Request + anatomy -> the settled choices of one insertion."""

from __future__ import annotations

from dataclasses import dataclass

from ov_xai.analysis.anatomy import Anatomy
from ov_xai.analysis.attention import is_attention
from ov_xai.analysis.demand import kept_count
from ov_xai.analysis.scores import Activation
from ov_xai.errors import ModelMismatchError
from ov_xai.graph.model_info import info_value, is_true
from ov_xai.request import InsertionRequest, Mask, Method, Normalise, Score


@dataclass(frozen=True)
class Plan:
    """What will be inserted, with every default chosen.

    Attributes:
        method: the map to compute.
        mask: neighbourhood kept around a place.
        score: what a class-wise map explains.
        activation: applied to the logits of every mask; NONE for `logit`.
        normalise: u8 or f32 maps.
        top_k: number of classes with a map; None for all.
        feature_vector: also emit the spatial mean of the target.
    """

    method: Method
    mask: Mask
    score: Score
    activation: Activation
    normalise: Normalise
    top_k: int | None
    feature_vector: bool


def make_plan(anatomy: Anatomy, request: InsertionRequest) -> Plan:
    """Choose what the request leaves open.

    Raises:
        ModelMismatchError: `top_k` or the labels do not fit the number of classes.
    """
    classes = anatomy.scores.classes
    method = request.method or Method.RECIPRO_CAM
    if request.top_k is not None:
        if not method.class_wise:
            raise ModelMismatchError(f"--top-k chooses classes, but {method.value} gives one map per image. Drop one.")
        if request.top_k > classes:
            raise ModelMismatchError(
                f"top-k is {request.top_k}, but the model has {classes} classes; expected 1 to {classes}."
            )
    if request.labels is not None and len(request.labels) != classes:
        raise ModelMismatchError(
            f"{len(request.labels)} labels are given, but the model has {classes} classes; expected one label a line, "
            "in the order of the model's output."
        )
    return Plan(
        method=method,
        mask=request.mask or _mask(anatomy),
        score=request.score,
        activation=_activation(anatomy, request.score),
        normalise=request.normalise,
        top_k=request.top_k,
        feature_vector=request.feature_vector,
    )


def _mask(anatomy: Anatomy) -> Mask:
    """Return `gaussian` where attention reads the target: a single token among hundreds hardly moves it."""
    end = anatomy.collapse
    attended = end is not None and is_attention(end.node, anatomy.demand)
    return Mask.GAUSSIAN if attended or kept_count(anatomy.target.layout) else Mask.PIXEL


def _activation(anatomy: Anatomy, score: Score) -> Activation:
    """Return what makes probabilities of logits: the model's own activation, else softmax, or sigmoid when its
    `model_info` says that classes do not exclude each other."""
    if score is Score.LOGIT:
        return Activation.NONE
    own = anatomy.scores.activation
    if own is not Activation.NONE:
        return own
    multilabel = is_true(info_value(anatomy.view.model, "multilabel"))
    return Activation.SIGMOID if multilabel or anatomy.scores.classes == 1 else Activation.SOFTMAX
