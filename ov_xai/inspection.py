"""What `insert` would do with a model, and what a patched one carries."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import openvino as ov

from ov_xai.analysis.classifier import Classifier
from ov_xai.analysis.cost import multiply_adds
from ov_xai.analysis.dissection import Dissected
from ov_xai.analysis.report import ModelReport, report
from ov_xai.errors import ModelMismatchError, UnsupportedModelError
from ov_xai.graph.emit import PREFIX
from ov_xai.graph.io import read_model
from ov_xai.graph.manifest import Manifest, read_manifest
from ov_xai.graph.view import GraphView
from ov_xai.insertion import patch, remove, require_room
from ov_xai.perturbation.replay import head_nodes
from ov_xai.recall import recall_request
from ov_xai.request import InsertionRequest, as_request


@dataclass(frozen=True)
class Refusal:
    """Why a model cannot be patched.

    Attributes:
        reason: what stands in the way.
        node: friendly name of the node, null when it is the model as a whole.
        remedy: what would make it work.
    """

    reason: str
    node: str | None
    remedy: str | None


@dataclass(frozen=True)
class Inspection:
    """The answer of `ov-xai inspect`.

    Attributes:
        patched: whether the model carries a saliency branch already.
        manifest: that of the patched model, or the one an insertion with this request would write; null when refused.
        report: task, scores, collapse, target and candidates; null when refused.
        extra_multiply_adds_percent: cost of the branch relative to the model; null with dynamic sizes.
        refusal: why the model cannot be patched; null when it can.
    """

    patched: bool
    manifest: Manifest | None
    report: ModelReport | None
    extra_multiply_adds_percent: float | None
    refusal: Refusal | None

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as JSON-ready data."""
        return asdict(self)


def inspect(
    model: str | os.PathLike[str] | ov.Model,
    request: InsertionRequest | None = None,
    *,
    all_candidates: bool = False,
    safe: bool = False,
    **options: Any,
) -> Inspection:
    """Return what a model is and what would be inserted; nothing is written.

    A model that selects boxes is run a few times to learn its label ids; no other is compiled. Of a patched model, and
    without a request, the report and the cost are those of what it carries.

    Args:
        model: path of a model in any format OpenVINO reads, or a model in memory.
        request: the request to plan for; None for the defaults.
        all_candidates: list every layer with a grid, not only the last whole one of each grid.
        safe: try a model given by path in a process of its own first; see `insert`.
        options: fields of `InsertionRequest`, instead of a request.

    Raises:
        ModelReadError: the file cannot be read.
        ModelMismatchError: the request does not fit the model, or an output has a name that would be added.
    """
    source = model.clone() if isinstance(model, ov.Model) else read_model(model, safe=safe)
    existing = read_manifest(source)
    wanted = as_request(request, options)
    if existing is not None:
        wanted = _inserted(source, wanted)
        source = remove(source)
    try:
        require_room(source, wanted, replace_old=False)
        done = patch(source, wanted)
    except UnsupportedModelError as error:
        refusal = Refusal(error.reason, error.node, error.remedy)
        return Inspection(existing is not None, existing, None, None, refusal)
    planned = read_manifest(done.model)
    findings = report(done.anatomy, done.plan.classes, all_candidates)
    return Inspection(
        existing is not None,
        existing or planned,
        findings,
        _extra_cost(source, done.model, done.anatomy, planned),
        None,
    )


def _inserted(patched: ov.Model, wanted: InsertionRequest) -> InsertionRequest:
    """Return the request that a patched model was made with, where nothing else is wanted and it can be recalled."""
    if wanted == InsertionRequest():
        with suppress(ModelMismatchError):
            return recall_request(patched)
    return wanted


def _extra_cost(source: ov.Model, patched: ov.Model, anatomy: Dissected, manifest: Manifest | None) -> float | None:
    """Return the multiply-adds of the branch in percent of the model's; None when they are not known."""
    total = multiply_adds(GraphView(source).ops)
    extra = _branch_cost(patched)
    if manifest is not None and manifest.strategy == "mosaic" and isinstance(anatomy, Classifier):
        head = multiply_adds(head_nodes(anatomy.view, anatomy.target.output, anatomy.scores.logits))
        places = anatomy.target.grid.places
        extra = None if head is None or places is None else head * places
    return None if not total or extra is None else round(100 * extra / total, 2)


def _branch_cost(patched: ov.Model) -> int | None:
    return multiply_adds(node for node in GraphView(patched).ops if node.get_friendly_name().startswith(PREFIX))
