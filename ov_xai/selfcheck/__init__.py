"""The proof that comes before saving: same predictions, and a branch that equals an independent computation."""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.classifier import Classifier
from ov_xai.analysis.detectors.detector import Detector
from ov_xai.analysis.dissection import Dissected
from ov_xai.plan import ClassifierPlan, DetectorPlan, Plan
from ov_xai.selfcheck.outputs import check_outputs
from ov_xai.selfcheck.perturbation import check_perturbation
from ov_xai.selfcheck.probabilities import check_probabilities

__all__ = ["check_maps", "check_outputs"]


def check_maps(probe: ov.Model, anatomy: Dissected, plan: Plan) -> None:
    """Compare the raw maps with an independent computation, where there is one.

    Args:
        probe: the patched model with raw maps.
        anatomy: anatomy of the patched model.
        plan: what was inserted.

    Raises:
        SelfCheckError: they differ by more than is allowed.
        UnsupportedModelError: the scores do not depend on the target's places.
    """
    if isinstance(anatomy, Classifier) and isinstance(plan, ClassifierPlan):
        check_perturbation(probe, anatomy, plan)
    elif isinstance(anatomy, Detector) and isinstance(plan, DetectorPlan):
        check_probabilities(probe, plan)
