"""What a plan makes of a model, as its manifest tells it."""

from __future__ import annotations

from dataclasses import replace

from ov_xai.analysis.classifier import Classifier
from ov_xai.analysis.demand import kept_count
from ov_xai.analysis.detectors.detector import Detector
from ov_xai.analysis.dissection import Dissected
from ov_xai.analysis.scores import Activation
from ov_xai.graph.manifest import SCHEMA, Manifest
from ov_xai.methods.maps import RawMaps
from ov_xai.plan import ClassifierPlan, DetectorPlan, Plan
from ov_xai.request import Score
from ov_xai.version import __version__


def planned_manifest(anatomy: Dissected, plan: Plan, raw: RawMaps) -> Manifest:
    """Return the manifest of what was inserted; the hash of the source and what only a run tells are left open.

    Args:
        anatomy: the model, taken apart.
        plan: what was inserted.
        raw: the maps before normalisation.
    """
    common = Manifest(
        schema=SCHEMA,
        ov_xai=__version__,
        task="classification",
        method=plan.method.value,
        target=[anatomy.target.name],
        kept_tokens=kept_count(anatomy.target.layout),
        grid=[anatomy.target.grid.height, anatomy.target.grid.width],
        mask=None,
        score=None,
        normalise=plan.normalise.value,
        classes=plan.classes,
        top_k=plan.top_k,
        strategy=raw.strategy.value,
        strategy_reason=raw.reason,
        score_output=0,
        activation=Activation.NONE.value,
        exact_outputs=True,
        source_sha256="",
    )
    if isinstance(anatomy, Classifier) and isinstance(plan, ClassifierPlan):
        return _of_classifier(common, anatomy, plan)
    assert isinstance(anatomy, Detector)
    assert isinstance(plan, DetectorPlan)
    return _of_detector(common, anatomy, plan)


def _of_classifier(manifest: Manifest, anatomy: Classifier, plan: ClassifierPlan) -> Manifest:
    class_wise = plan.method.class_wise
    return replace(
        manifest,
        mask=plan.mask.value if class_wise else None,
        score=plan.score.value if class_wise else None,
        score_output=anatomy.scores.output,
        activation=anatomy.scores.activation.value,
        rounded=plan.rounded or not class_wise,
        shared=[] if anatomy.collapse is None else list(anatomy.collapse.shared),
    )


def _of_detector(manifest: Manifest, anatomy: Detector, plan: DetectorPlan) -> Manifest:
    card = None if anatomy.card is None else anatomy.card.name
    by_label = () if plan.ids is None else plan.ids.by_label
    unused = [label for label, column in enumerate(by_label) if column is None]
    named = plan.score_output or 0
    manifest = replace(manifest, task=anatomy.task.value, card=card, unused_classes=unused, score_output=named)
    if plan.head is None:
        return manifest
    levels = [[level.grid.height, level.grid.width] for level in plan.head.levels]
    return replace(
        manifest,
        target=sorted({level.table.output.get_node().get_friendly_name() for level in plan.head.levels}),
        grid=levels[plan.level],
        score=Score.LOGIT.value if plan.compat else Score.PROBABILITY.value,
        levels=levels,
        map_level=plan.level,
        combine=plan.combine.value,
        compat=None if plan.compat is None else plan.compat.value,
    )
