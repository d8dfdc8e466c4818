"""Patch a model: report and request -> plan -> saliency branch -> self-check -> patched model."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import openvino as ov

from ov_xai.analysis.anatomy import Anatomy, dissect
from ov_xai.analysis.attention import is_attention
from ov_xai.analysis.axes import place_axes
from ov_xai.analysis.demand import kept_count
from ov_xai.analysis.scores import DECISION_OPS, classifier_input
from ov_xai.errors import ModelMismatchError, UnsupportedModelError
from ov_xai.graph.emit import PREFIX, Emitter
from ov_xai.graph.io import read_model, save_model, source_digest
from ov_xai.graph.manifest import SCHEMA, Manifest, drop_manifest, read_manifest, write_manifest
from ov_xai.graph.model_info import write_labels
from ov_xai.graph.view import node_key, sizes
from ov_xai.methods.activation_map import activation_map
from ov_xai.methods.eigen_cam import eigen_cam
from ov_xai.methods.maps import RawMaps, normalised
from ov_xai.methods.places import mean_by_product, places_by_channels
from ov_xai.methods.recipro_cam import recipro_cam
from ov_xai.perturbation.classes import find_class_tail
from ov_xai.perturbation.context import ClassSubset, Context
from ov_xai.perturbation.masks import MaskMatrix
from ov_xai.perturbation.replay import head_nodes
from ov_xai.plan import Plan, make_plan
from ov_xai.request import InsertionRequest, Method, Normalise, as_request
from ov_xai.selfcheck import check_branch, check_outputs
from ov_xai.version import __version__

SALIENCY_MAP = "saliency_map"
SALIENCY_CLASSES = "saliency_classes"
FEATURE_VECTOR = "feature_vector"

Source: TypeAlias = str | os.PathLike[str] | ov.Model


def insert(
    model: Source,
    request: InsertionRequest | None = None,
    *,
    replace_old: bool = False,
    self_check: bool = True,
    **options: Any,
) -> ov.Model:
    """Return a copy of the model that also computes saliency maps.

    Args:
        model: path of a model in any format OpenVINO reads, or a model in memory (left as it is).
        request: what to insert; None for the defaults.
        replace_old: strip an earlier saliency branch first, instead of refusing a model that has one.
        self_check: prove on random inputs that the original outputs are unchanged and that the branch agrees with
            the literal perturbation.
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
    original = model.clone() if isinstance(model, ov.Model) else read_model(model)
    if read_manifest(original) is not None or _has_map(original):
        if not replace_old:
            raise ModelMismatchError(
                "The model has a saliency_map output already. Use --replace to strip it first, or `ov-xai remove`."
            )
        original = remove(original)
    digest = source_digest(model)
    patched, anatomy, plan = patch(original, request)
    manifest = replace(_require_manifest(patched), source_sha256=digest)
    if self_check:
        manifest = replace(manifest, exact_outputs=_checked(original, patched, request, anatomy, plan))
    write_manifest(patched, manifest)
    return patched


def _checked(original: ov.Model, patched: ov.Model, request: InsertionRequest, anatomy: Anatomy, plan: Plan) -> bool:
    """Run the self-check; return whether the original outputs keep every bit."""
    try:
        check_branch(patched_probe(original, request), anatomy, plan)
        return check_outputs(original, patched)
    except RuntimeError as error:
        raise UnsupportedModelError(
            f"The model cannot be run on a random input, so the branch cannot be checked: {_end_of(error)}",
            remedy="A model of dynamic size may fit few sizes only: fix it first with `ov.Model.reshape`.",
        ) from error


def remove(model: Source) -> ov.Model:
    """Return a copy of a patched model without its saliency branch: the original model.

    Raises:
        ModelReadError: the file cannot be read.
        ModelMismatchError: the model carries no saliency branch of ov-xai.
    """
    stripped = model.clone() if isinstance(model, ov.Model) else read_model(model)
    inserted = [result for result in stripped.get_results() if result.get_friendly_name().startswith(PREFIX)]
    if not inserted:
        raise ModelMismatchError("The model has no saliency branch of ov-xai; there is nothing to remove.")
    for result in inserted:
        stripped.remove_result(result)
    drop_manifest(stripped)
    stripped.validate_nodes_and_infer_types()
    return stripped


def save(model: ov.Model, path: str | os.PathLike[str]) -> None:
    """Write a patched model as IR, atomically; see `ov_xai.graph.io.save_model`."""
    save_model(model, Path(path))


def patch(original: ov.Model, request: InsertionRequest) -> tuple[ov.Model, Anatomy, Plan]:
    """Return a patched copy, unchecked, with the anatomy it was planned on and the plan."""
    patched = original.clone()
    anatomy = dissect(patched, request)
    _refuse_control_flow(anatomy)
    plan = make_plan(anatomy, request)
    emit = Emitter(patched)
    try:
        raw, outputs = _branch(emit, anatomy, plan, *_grid_extents(emit, anatomy))
        patched.add_results(outputs)
        patched.validate_nodes_and_infer_types()
    except RuntimeError as error:
        raise UnsupportedModelError(
            f"OpenVINO does not accept the saliency branch: {_end_of(error)}",
            node=anatomy.target.name,
            remedy="Choose another layer with --target-layer, and please report the model.",
        ) from error
    if request.labels is not None:
        write_labels(patched, request.labels)
    write_manifest(patched, _manifest(anatomy, plan, raw))
    return patched, anatomy, plan


def patched_probe(original: ov.Model, request: InsertionRequest) -> ov.Model:
    """Return a patched copy with raw maps, for the self-check."""
    return patch(original, replace(request, normalise=Normalise.NONE, feature_vector=False))[0]


def _branch(
    emit: Emitter, anatomy: Anatomy, plan: Plan, height: ov.Output, width: ov.Output
) -> tuple[RawMaps, list[ov.Node]]:
    subset: ClassSubset | None = None
    if plan.method is Method.RECIPRO_CAM:
        raw, subset = _class_wise(emit, anatomy, plan, height, width)
    else:
        build = activation_map if plan.method is Method.ACTIVATION_MAP else eigen_cam
        raw = build(emit, anatomy.target, height, width)
    maps = normalised(emit, raw.values, plan.normalise)
    outputs = [emit.result(maps, SALIENCY_MAP)]
    if subset is not None:
        outputs.append(emit.result(subset.indices, SALIENCY_CLASSES))
    if plan.feature_vector:
        vector = _feature_vector(emit, anatomy, height, width)
        outputs.append(emit.result(emit.convert(vector, ov.Type.f32), FEATURE_VECTOR))
    return raw, outputs


def _feature_vector(emit: Emitter, anatomy: Anatomy, height: ov.Output, width: ov.Output) -> ov.Output:
    """Return [N, C]: the token that the classifier reads where attention ends the grid, else the spatial mean."""
    end = anatomy.collapse
    read = classifier_input(anatomy.view, anatomy.layouts, anatomy.scores.logits)
    if read is not None and end is not None and is_attention(end.node, anatomy.demand):
        channels = max(extent or 1 for extent in (sizes(read) or [])[1:])
        return emit.reshape(emit.times_one(read), -1, channels)
    vector = mean_by_product(emit, places_by_channels(emit, anatomy.target), 1, emit.multiply(height, width))
    return emit.squeeze(vector, 1)


def _class_wise(
    emit: Emitter, anatomy: Anatomy, plan: Plan, height: ov.Output, width: ov.Output
) -> tuple[RawMaps, ClassSubset | None]:
    scores, target = anatomy.scores, anatomy.target
    masks = MaskMatrix(emit, plan.mask, height, width, target.output.get_element_type())
    ctx = Context(emit, anatomy.layouts, anatomy.demand, target, masks)
    head = head_nodes(anatomy.view, target.output, scores.logits)
    if plan.top_k is not None:
        ctx.subset = _choose_classes(emit, anatomy, plan, ctx, head)
    raw = recipro_cam(
        head,
        scores.logits,
        scores.classes,
        ctx,
        activation=plan.activation,
        scale_free=plan.normalise is Normalise.MINMAX,
    )
    return raw, ctx.subset


def _choose_classes(emit: Emitter, anatomy: Anatomy, plan: Plan, ctx: Context, head: list[ov.Node]) -> ClassSubset:
    scores = anatomy.scores
    # Of logits and their activation, the one that is an output: a new reader of the other could change its precision.
    best = scores.probabilities if scores.probabilities is not None else scores.logits
    flat = emit.reshape(best, -1, scores.classes)
    _, indices = emit.top_k(flat, plan.top_k or 1, 1)
    affected = {node_key(node) for node in head} | {node_key(anatomy.target.output.get_node())}
    separable = plan.activation.value != "softmax"
    tail = find_class_tail(scores.logits, scores.classes, affected, ctx) if separable else None
    nodes, entries = (tail.nodes, tail.entries) if tail is not None else (frozenset(), frozenset())
    return ClassSubset(indices, plan.top_k or 1, scores.classes, nodes, entries)


def _grid_extents(emit: Emitter, anatomy: Anatomy) -> tuple[ov.Output, ov.Output]:
    """Return rows and columns of the grid, as i64 vectors of one element.

    They are read from the target where it has an axis for each, so that a patched model can still be reshaped.
    """
    target = anatomy.target
    axes = place_axes(target.layout)
    if len(axes) != 2 and target.grid.height is not None and target.grid.width is not None:
        return emit.ints(target.grid.height), emit.ints(target.grid.width)
    if len(axes) != 2:
        raise UnsupportedModelError(
            "The grid has a dynamic size and its rows and columns share one axis",
            node=target.name,
            remedy="Fix the image size before patching (`ov.Model.reshape`), or choose another --target-layer.",
        )
    return emit.extents_apart(target.output, axes[0]), emit.extents_apart(target.output, axes[1])


def _refuse_control_flow(anatomy: Anatomy) -> None:
    for node in head_nodes(anatomy.view, anatomy.target.output, anatomy.scores.logits):
        if node.get_type_name() in DECISION_OPS:
            raise UnsupportedModelError(
                f"The head decides among its inputs ({node.get_type_name()}), so masked copies cannot be compared",
                node=node.get_friendly_name(),
                remedy="Use --method activation-map, or name another --score-output.",
            )


def _end_of(error: RuntimeError) -> str:
    """Return the last words of what OpenVINO says, in one line: its messages begin with a trace."""
    return " ".join(str(error).split())[-160:]


def _has_map(model: ov.Model) -> bool:
    return any(SALIENCY_MAP in output.get_names() for output in model.outputs)


def _require_manifest(model: ov.Model) -> Manifest:
    manifest = read_manifest(model)
    assert manifest is not None
    return manifest


def _manifest(anatomy: Anatomy, plan: Plan, raw: RawMaps) -> Manifest:
    class_wise = plan.method.class_wise
    return Manifest(
        schema=SCHEMA,
        ov_xai=__version__,
        task="classification",
        method=plan.method.value,
        target=[anatomy.target.name],
        kept_tokens=kept_count(anatomy.target.layout),
        grid=[anatomy.target.grid.height, anatomy.target.grid.width],
        mask=plan.mask.value if class_wise else None,
        score=plan.score.value if class_wise else None,
        normalise=plan.normalise.value,
        classes=anatomy.scores.classes,
        top_k=plan.top_k,
        strategy=raw.strategy.value,
        strategy_reason=raw.reason,
        score_output=anatomy.scores.output,
        activation=anatomy.scores.activation.value,
        shared=[] if anatomy.collapse is None else list(anatomy.collapse.shared),
        exact_outputs=True,
        source_sha256="",
    )
