"""Explain a folder with a patched model, or with a plain one that is patched in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import openvino as ov

from ov_xai.analysis.anatomy import dissect
from ov_xai.analysis.scores import Activation
from ov_xai.errors import ModelMismatchError
from ov_xai.graph.io import read_model, source_digest
from ov_xai.graph.manifest import Manifest, read_manifest
from ov_xai.graph.model_info import info_value, is_true
from ov_xai.insertion import insert
from ov_xai.request import InsertionRequest, Mask, Method, Normalise, Score
from ov_xai.runtime.session import ALL, PREDICTIONS, ClassChoice


def ready_model(path: Path, request: InsertionRequest, choice: ClassChoice) -> ov.Model:
    """Return a patched model: the one in the file when it fits the request, else one patched in memory.

    Args:
        path: a patched or a plain model.
        request: the wanted method; of a patched model everything but an explicit wish is kept.
        choice: the classes that will be explained; maps that cannot be among them are not computed.

    Raises:
        ModelReadError: the file cannot be read.
        UnsupportedModelError: the model cannot be patched.
    """
    model = read_model(path)
    manifest = read_manifest(model)
    if manifest is None:
        return _insert_for(path, model, request, choice)
    wanted = _same_request(manifest)
    if request.normalise is Normalise.NONE:
        wanted = replace(wanted, normalise=Normalise.NONE)
    if request.method is not None and request.method is not wanted.method:
        wanted = replace(wanted, method=request.method, top_k=None)
    return model if wanted == _same_request(manifest) else insert(path, wanted, replace_old=True)


def _insert_for(path: Path, model: ov.Model, request: InsertionRequest, choice: ClassChoice) -> ov.Model:
    """Patch a plain model with maps of as many classes as can reach the threshold.

    Of probabilities that sum to one, at most 1 / t are t or more.
    """
    class_wise = request.method is None or request.method.class_wise
    if (
        not class_wise
        or choice.classes != PREDICTIONS
        or choice.threshold <= 0
        or is_true(info_value(model, "multilabel"))
    ):
        return insert(path, request)
    scores = dissect(model, request).scores
    if scores.activation is Activation.SIGMOID:
        return insert(path, request)
    count = min(scores.classes, int(1 / choice.threshold))
    return insert(path, replace(request, top_k=max(1, count)))


def _same_request(manifest: Manifest) -> InsertionRequest:
    """Return the request that led to a manifest."""
    return InsertionRequest(
        method=Method(manifest.method),
        target_layer=manifest.target[0],
        mask=Mask(manifest.mask) if manifest.mask else None,
        score=Score(manifest.score) if manifest.score else Score.LOGIT,
        normalise=Normalise(manifest.normalise),
        top_k=manifest.top_k,
        score_output=str(manifest.score_output),
    )


def require_class_maps(model: ov.Model, choice: ClassChoice) -> None:
    """Refuse a choice of classes that the model's maps cannot serve.

    Raises:
        ModelMismatchError: all or named classes are wanted, but the model has maps of its best classes only.
    """
    manifest = read_manifest(model)
    if manifest is None or manifest.top_k is None:
        return
    if choice.classes == ALL or not isinstance(choice.classes, str):
        raise ModelMismatchError(
            f"The model was patched with --top-k {manifest.top_k} and has maps of its best classes only. Ask for "
            "--classes predictions, or patch the original model without --top-k."
        )


def settings_digest(path: Path, *parts: object) -> str:
    """Return a text that changes whenever the results of a run would."""
    return "|".join([source_digest(path), *(repr(part) for part in parts)])
