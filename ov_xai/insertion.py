"""Patch a model: report and request -> plan -> saliency branch -> self-check -> patched model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import openvino as ov

from ov_xai.analysis.classifier import Classifier
from ov_xai.analysis.detectors.detector import Detector
from ov_xai.analysis.dissection import Dissected, dissect
from ov_xai.branches.branch import Branch
from ov_xai.branches.classification import classifier_branch
from ov_xai.branches.detection import detector_branch
from ov_xai.cards import cards_with
from ov_xai.errors import ModelMismatchError, SelfCheckError, UnsupportedModelError
from ov_xai.graph.emit import PREFIX, Emitter
from ov_xai.graph.io import read_model, save_model, source_digest
from ov_xai.graph.manifest import Manifest, drop_manifest, read_manifest, write_manifest
from ov_xai.graph.model_info import replace_labels, restore_labels
from ov_xai.graph.outputs import FEATURE_VECTOR, SALIENCY_CLASSES, SALIENCY_MAP, drop_outputs, has_output
from ov_xai.graph.reason import reason_of
from ov_xai.graph.spelling import spelled_out
from ov_xai.label_ids import LabelIds
from ov_xai.methods.maps import normalised
from ov_xai.plan import ClassifierPlan, DetectorPlan, Plan, make_plan, rounds
from ov_xai.planned_manifest import planned_manifest
from ov_xai.readout import find_readout, find_segments
from ov_xai.request import InsertionRequest, Normalise, as_request
from ov_xai.selfcheck import check_maps, check_outputs

Source: TypeAlias = str | os.PathLike[str] | ov.Model


def insert(
    model: Source,
    request: InsertionRequest | None = None,
    *,
    replace_old: bool = False,
    self_check: bool = True,
    safe: bool = False,
    **options: Any,
) -> ov.Model:
    """Return a copy of the model that also computes saliency maps.

    Args:
        model: path of a model in any format OpenVINO reads, or a model in memory (left as it is).
        request: what to insert; None for the defaults.
        replace_old: strip an earlier saliency branch first, instead of refusing a model that has one.
        self_check: prove on random inputs that the original outputs are unchanged and that the branch agrees with
            the literal perturbation.
        safe: try a model given by path in a process of its own first, with limits on time and memory; one that crashes
            OpenVINO then raises `ModelReadError`.
        options: fields of `InsertionRequest`, instead of a request.

    Returns:
        A model with the original outputs first, then `saliency_map` (u8 [N, K, h, w], or [N, h, w] for methods with
        one map per image), with `top_k` also `saliency_classes` (i64 [N, T]), and on request `feature_vector`
        (f32 [N, C]). Its manifest is read by `read_manifest`.

    Raises:
        ModelReadError: the file cannot be read.
        UnsupportedModelError: the model cannot be patched; names the reason, the node and the remedy.
        ModelMismatchError: the request does not fit the model, or the model is patched already.
        SelfCheckError: the branch disagrees with the literal perturbation, or an original output changes.
    """
    request = as_request(request, options)
    original = model.clone() if isinstance(model, ov.Model) else read_model(model, safe=safe)
    require_room(original, request, replace_old=replace_old)
    if _is_patched(original):
        original = remove(original)
    else:
        drop_outputs(original, SALIENCY_MAP)
    digest = source_digest(model)
    done = patch(original, request)
    exact = True
    with _trial_runs():
        if self_check:
            done, exact = _checked(original, request, done)
        manifest = _with_readout(original, request, done)
    manifest = replace(manifest, source_sha256=digest, exact_outputs=exact)
    write_manifest(done.model, manifest)
    return done.model


def require_room(model: ov.Model, request: InsertionRequest, *, replace_old: bool) -> None:
    """Refuse a model that has outputs of the names that are to be added.

    Raises:
        ModelMismatchError: it has.
    """
    patched = _is_patched(model)
    if not replace_old and patched:
        raise ModelMismatchError(
            "The model is patched already. Use --replace to strip its saliency branch first, or `ov-xai remove`."
        )
    if not replace_old and has_output(model, SALIENCY_MAP):
        raise ModelMismatchError(
            f"The model has an output '{SALIENCY_MAP}' already, which ov-xai did not make. Use --replace to leave it "
            "out, or export the model without it."
        )
    if not patched and request.feature_vector and has_output(model, FEATURE_VECTOR):
        raise ModelMismatchError(f"The model has an output '{FEATURE_VECTOR}' of its own. Leave out --feature-vector.")


def _is_patched(model: ov.Model) -> bool:
    return read_manifest(model) is not None or bool(_inserted(model))


def _inserted(model: ov.Model) -> list[ov.Node]:
    return [result for result in model.get_results() if result.get_friendly_name().startswith(PREFIX)]


@contextmanager
def _trial_runs() -> Iterator[None]:
    """Refuse models that OpenVINO fails to run on random inputs.

    Raises:
        UnsupportedModelError: this is one.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise UnsupportedModelError(
            f"The model cannot be run on a random input, so the branch cannot be checked: {reason_of(error)}",
            remedy="A model of dynamic size may fit few sizes only: fix it first with `ov.Model.reshape`.",
        ) from error


def _with_readout(original: ov.Model, request: InsertionRequest, done: Patched) -> Manifest:
    """Return the manifest with where the predictions of a detector or a segmentation model stand."""
    manifest = _require_manifest(done.model)
    if not isinstance(done.anatomy, Detector) or not isinstance(done.plan, DetectorPlan):
        return manifest
    segments = find_segments(done.anatomy, len(original.outputs))
    readout = find_readout(original, done.anatomy, done.plan.ids, request)
    return replace(manifest, readout=readout, segments=segments)


@dataclass(frozen=True)
class Patched:
    """A patched copy of a model, and what led to it.

    Attributes:
        model: the copy.
        anatomy: of the copy, before the branch was added.
        plan: what was inserted.
    """

    model: ov.Model
    anatomy: Dissected
    plan: Plan


def _checked(original: ov.Model, request: InsertionRequest, done: Patched) -> tuple[Patched, bool]:
    """Run the self-check; return what passes it, and whether the original outputs keep every bit.

    Where outputs change because the branch reads a tensor inside the model, it is read behind a product.
    """
    done = _with_checked_maps(original, request, done)
    exact: bool | None = None
    with suppress(SelfCheckError) if not done.plan.apart else nullcontext():
        exact = check_outputs(original, done.model)
    if exact or done.plan.apart:
        return done, bool(exact)
    again = patch(original, request, ids=_ids(done.plan), apart=True, rounded=_rounded(done.plan))
    with suppress(SelfCheckError) if exact is False else nullcontext():
        return again, check_outputs(original, again.model)
    return done, False


def _with_checked_maps(original: ov.Model, request: InsertionRequest, done: Patched) -> Patched:
    """Check the maps and return the model.

    In another order of summation activations of a quantised model may be rounded to the next level; where the maps
    are so flat that it shows, the masked runs leave rounding out.
    """
    try:
        check_maps(_probe(original, request, done.plan), done.anatomy, done.plan)
        return done
    except SelfCheckError:
        if not isinstance(done.anatomy, Classifier) or not rounds(done.anatomy) or not _rounded(done.plan):
            raise
    again = patch(original, request, rounded=False)
    check_maps(_probe(original, request, again.plan), again.anatomy, again.plan)
    return again


def _ids(plan: Plan) -> LabelIds | None:
    return plan.ids if isinstance(plan, DetectorPlan) else None


def _rounded(plan: Plan) -> bool:
    return not isinstance(plan, ClassifierPlan) or plan.rounded


def remove(model: Source, *, safe: bool = False) -> ov.Model:
    """Return a copy of a patched model without its saliency branch: the original model.

    Args:
        model: path of a patched model, or one in memory.
        safe: see `insert`.

    Raises:
        ModelReadError: the file cannot be read.
        ModelMismatchError: the model carries no saliency branch of ov-xai.
    """
    stripped = model.clone() if isinstance(model, ov.Model) else read_model(model, safe=safe)
    inserted = _inserted(stripped)
    if not inserted:
        raise ModelMismatchError("The model has no saliency branch of ov-xai; there is nothing to remove.")
    for result in inserted:
        stripped.remove_result(result)
    restore_labels(stripped)
    drop_manifest(stripped)
    stripped.validate_nodes_and_infer_types()
    return stripped


def save(model: ov.Model, path: str | os.PathLike[str]) -> None:
    """Write a patched model as IR, atomically; see `ov_xai.graph.io.save_model`."""
    save_model(model, Path(path))


def patch(
    original: ov.Model,
    request: InsertionRequest,
    *,
    ids: LabelIds | None = None,
    apart: bool = False,
    rounded: bool = True,
) -> Patched:
    """Return a patched copy, unchecked.

    Args:
        original: the model.
        request: what to insert.
        ids: how a detector counts its classes; None asks the model.
        apart: read the target, or the scores of a detector, behind a product.
        rounded: whether masked runs of a classifier may round activations.

    Raises:
        UnsupportedModelError: the model cannot be patched.
        ModelMismatchError: the request does not fit the model.
    """
    patched = original.clone()
    with spelled_out(patched):
        anatomy = dissect(patched, request, cards_with(request.card))
        with _trial_runs():
            plan = make_plan(anatomy, request, ids, apart, rounded)
        with _accepted(anatomy.target.name):
            emit = Emitter(patched)
            branch = _branch(emit, anatomy, plan)
            patched.add_results(_results(emit, branch, plan))
    with _accepted(anatomy.target.name):
        patched.validate_nodes_and_infer_types()
    if request.labels is not None:
        replace_labels(patched, request.labels)
    write_manifest(patched, planned_manifest(anatomy, plan, branch.maps))
    return Patched(patched, anatomy, plan)


@contextmanager
def _accepted(target: str) -> Iterator[None]:
    """Refuse models whose saliency branch OpenVINO does not accept.

    Raises:
        UnsupportedModelError: this is one.
    """
    try:
        yield
    except RuntimeError as error:
        raise UnsupportedModelError(
            f"OpenVINO does not accept the saliency branch: {reason_of(error)}",
            node=target,
            remedy="Choose another layer with --target-layer, and please report the model.",
        ) from error


def _probe(original: ov.Model, request: InsertionRequest, plan: Plan) -> ov.Model:
    """Return a patched copy with raw maps, for the self-check."""
    raw = replace(request, normalise=Normalise.NONE, feature_vector=False)
    return patch(original, raw, ids=_ids(plan), rounded=_rounded(plan)).model


def _branch(emit: Emitter, anatomy: Dissected, plan: Plan) -> Branch:
    if isinstance(anatomy, Classifier) and isinstance(plan, ClassifierPlan):
        return classifier_branch(emit, anatomy, plan)
    assert isinstance(anatomy, Detector)
    assert isinstance(plan, DetectorPlan)
    return detector_branch(emit, anatomy, plan)


def _results(emit: Emitter, branch: Branch, plan: Plan) -> list[ov.Node]:
    """Return the new outputs: `saliency_map`, then the classes and the feature vector where there are any."""
    results = [emit.result(normalised(emit, branch.maps.values, plan.normalise), SALIENCY_MAP)]
    if branch.classes is not None:
        results.append(emit.result(branch.classes, SALIENCY_CLASSES))
    if branch.vector is not None:
        results.append(emit.result(emit.convert(branch.vector, ov.Type.f32), FEATURE_VECTOR))
    return results


def _require_manifest(model: ov.Model) -> Manifest:
    manifest = read_manifest(model)
    assert manifest is not None
    return manifest
