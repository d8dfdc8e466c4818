"""What the manifest of a patched model tells of, found again in the graph."""

from __future__ import annotations

from dataclasses import replace

import openvino as ov

from ov_xai.analysis.dissection import Dissected, dissect
from ov_xai.cards import shipped_cards
from ov_xai.checks.verdict import NotApplicableError
from ov_xai.errors import XaiError
from ov_xai.graph.manifest import Manifest
from ov_xai.plan import DetectorPlan, Plan, make_plan
from ov_xai.recall import stated_request


def anatomy_of(plain: ov.Model, manifest: Manifest) -> tuple[Dissected, Plan]:
    """Return the anatomy of a model and the plan that a manifest tells of.

    Args:
        plain: the patched model without its branch; the anatomy refers to its nodes.
        manifest: that of the patched model.

    Raises:
        NotApplicableError: the manifest does not fit, or names a card that is not shipped.
    """
    cards = [card for card in shipped_cards() if card.name == manifest.card]
    if manifest.card is not None and not cards:
        raise NotApplicableError(f"patched with a card that does not come with ov-xai, '{manifest.card}'")
    try:
        request = stated_request(manifest)
        if manifest.task == "classification" and None not in manifest.grid:
            height, width = (extent or 1 for extent in manifest.grid)
            request = replace(request, grid=(height, width))
        anatomy = dissect(plain, request, cards)
        plan = make_plan(anatomy, request)
    except (XaiError, ValueError) as error:
        raise NotApplicableError(f"what the manifest tells of cannot be found again: {error}") from error
    found = _targets(anatomy, plan)
    if found != sorted(manifest.target):
        told = ", ".join(manifest.target)
        raise NotApplicableError(f"found again is {', '.join(found)}, but the manifest tells of {told}")
    return anatomy, plan


def _targets(anatomy: Dissected, plan: Plan) -> list[str]:
    """Return the friendly names that a manifest has of the target."""
    if isinstance(plan, DetectorPlan) and plan.head is not None:
        return sorted({str(level.table.output.get_node().get_friendly_name()) for level in plan.head.levels})
    return [anatomy.target.name]
