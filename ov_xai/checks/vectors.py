"""VEC: the feature vector against an independent computation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.analysis.attention import is_attention
from ov_xai.analysis.classifier import Classifier
from ov_xai.analysis.dissection import Dissected
from ov_xai.analysis.scores import classifier_input
from ov_xai.checks.coded import Check
from ov_xai.checks.places import places_by_channels, unsmoothed
from ov_xai.checks.subject import Subject
from ov_xai.checks.verdict import Finding, NotApplicableError, failed, passed
from ov_xai.graph.kinds import ROUNDING_OPS
from ov_xai.graph.outputs import FEATURE_VECTOR
from ov_xai.graph.trial import as_results, twin
from ov_xai.graph.view import sizes
from ov_xai.selfcheck.outputs import part_of_range

Array = npt.NDArray[Any]

#: Vectors may differ by this part of their range; where activations are rounded, the added output can change how the
#: layers are fused, and with it the level that some are rounded to.
_TOLERANCE, _ROUNDED_TOLERANCE = 1e-4, 2e-2


@dataclass(frozen=True)
class _Meaning:
    """What a feature vector may stand for.

    Attributes:
        name: in words.
        source: the tensor that it is computed from.
        compute: values of the tensor -> [N, C].
    """

    name: str
    source: ov.Output
    compute: Callable[[Array], Array]


def _stands_for_the_target(subject: Subject) -> Finding:
    if subject.new_output(FEATURE_VECTOR) is None:
        raise NotApplicableError("patched without --feature-vector")
    anatomy, _ = subject.dissection
    meanings = _meanings(anatomy)
    model = subject.plain.clone()
    shown = len(model.outputs)
    model.add_results(as_results([twin(model, meaning.source) for meaning in meanings]))
    run = subject.runner(model)
    gaps = []
    for sample in subject.samples:
        found = subject.run_patched.named(sample.inputs)[FEATURE_VECTOR]
        tensors = run(sample.inputs)[shown:]
        expected = [meaning.compute(values) for meaning, values in zip(meanings, tensors, strict=True)]
        if found.ndim != 2:
            raise NotApplicableError("feature_vector is no [N, C] (CON006)")
        gaps.append([_gap(one, found) for one in expected])
    worst = np.max(gaps, axis=0)
    nearest = int(np.argmin(worst))
    text = f"differs from {meanings[nearest].name} by {worst[nearest]:.1e} of its range, on {subject.judged_on}"
    return passed(text) if worst[nearest] <= _allowed(subject) else failed(text)


def _meanings(anatomy: Dissected) -> list[_Meaning]:
    """Return what a feature vector may stand for: the mean over the places or, where attention ends them, the token
    that the classifier reads; the mean remains where a target was named."""
    target = anatomy.target
    mean = _Meaning(
        f"the mean of '{target.name}'", target.output, lambda values: places_by_channels(values, target).mean(axis=1)
    )
    read = _token(anatomy)
    if read is None:
        return [mean]
    channels = max(extent or 1 for extent in (sizes(read) or [])[1:])
    name = f"the token '{read.get_node().get_friendly_name()}'"
    return [_Meaning(name, read, lambda values: unsmoothed(values, read).reshape(-1, channels)), mean]


def _token(anatomy: Dissected) -> ov.Output | None:
    if not isinstance(anatomy, Classifier) or anatomy.collapse is None:
        return None
    if not is_attention(anatomy.collapse.node, anatomy.demand):
        return None
    return classifier_input(anatomy.view, anatomy.layouts, anatomy.scores.logits)


def _gap(expected: Array, found: Array) -> float:
    """Return the largest difference as a part of the range; infinity for vectors of another length."""
    return part_of_range(expected, found) if expected.shape == found.shape else float("inf")


def _allowed(subject: Subject) -> float:
    rounds = any(node.get_type_name() in ROUNDING_OPS for node in subject.plain.get_ops())
    return _ROUNDED_TOLERANCE if rounds else _TOLERANCE


CHECKS = (
    Check(
        "VEC001",
        "feature_vector is the mean of the target, or the class token",
        "Mean over the places of the target, or the token that the classifier reads, as outputs of the plain model; up "
        f"to {_TOLERANCE:.0e} of the range, {_ROUNDED_TOLERANCE:.0e} where activations are rounded.",
        "Active learning and drift detection compare vectors; those of another tensor or scale are incomparable.",
        "Patch the original again.",
        _stands_for_the_target,
    ),
)
