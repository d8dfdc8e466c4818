"""Which metrics a model and its methods have, and what is said about the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ov_xai.errors import ModelMismatchError, RequestError
from ov_xai.evaluation.explainers import Explainer
from ov_xai.evaluation.metric_names import METRICS, Need
from ov_xai.evaluation.subject import Subject

#: What is missing, said to a reader: why it is, and what to do.
_REASONS = {
    Need.SCORE: ("the outputs of this model hold none", "Leave these metrics out."),
    Need.BOXES: ("none are given", "Give them with --annotations."),
    Need.SECOND_MAP: ("the model was patched with --top-k", "Patch the original model without --top-k."),
}


@dataclass(frozen=True)
class Applicable:
    """Metrics that can be measured.

    Attributes:
        metrics: their names, in the order of the table.
        notes: what is said about the others, as sentences.
    """

    metrics: tuple[str, ...]
    notes: tuple[str, ...]


def for_model(subject: Subject, annotated: bool, wanted: Sequence[str] | None) -> Applicable:
    """Return which metrics a model has.

    Args:
        subject: the model.
        annotated: whether there are annotations.
        wanted: the metrics that the caller names; None for all.

    Raises:
        RequestError: a metric that the caller names needs annotations.
        ModelMismatchError: the model has not what such a metric needs.
    """
    readout = subject.manifest.readout
    missing = set() if subject.predict is not None else {Need.SCORE}
    if not annotated and (readout is None or readout.boxes is None):
        missing.add(Need.BOXES)
    names = tuple(METRICS) if wanted is None else tuple(wanted)
    notes = []
    for need in sorted(missing):
        lacking = [name for name in names if need in METRICS[name].needs]
        if not lacking:
            continue
        reason, remedy = _REASONS[need]
        text = f"{', '.join(lacking)}: not measured; they need {need.value}, and {reason}."
        if wanted is not None:
            raise (RequestError if need is Need.BOXES else ModelMismatchError)(f"{text} {remedy}")
        notes.append(f"{text} {remedy}" if need is Need.BOXES else text)
    return Applicable(tuple(name for name in names if not METRICS[name].needs & missing), tuple(notes))


def for_method(name: str, explainer: Explainer, metrics: tuple[str, ...]) -> Applicable:
    """Return which of the metrics of a model one of its methods has."""
    if explainer.any_class:
        return Applicable(metrics, ())
    need = Need.SECOND_MAP
    lacking = [metric for metric in metrics if need in METRICS[metric].needs]
    reason, remedy = _REASONS[need]
    text = f"{', '.join(lacking)} of {name}: not measured; they need {need.value}, and {reason}. {remedy}"
    return Applicable(tuple(metric for metric in metrics if metric not in lacking), (text,) if lacking else ())
