"""The request that led to a patched model, read back from what the model carries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import openvino as ov

from ov_xai.errors import ModelMismatchError, ModelReadError, UnsupportedModelError
from ov_xai.graph.manifest import Manifest, read_manifest
from ov_xai.graph.model_info import replaced_labels
from ov_xai.graph.outputs import FEATURE_VECTOR
from ov_xai.insertion import patch, remove
from ov_xai.request import MIDDLE, Combine, Compat, InsertionRequest, Mask, Method, Normalise, Score

#: Entries of a manifest that two insertions of the same maps share.
_SAME = (
    "task method target kept_tokens grid mask score normalise classes top_k score_output card levels map_level combine "
    "compat"
).split()


def stated_request(manifest: Manifest) -> InsertionRequest:
    """Return a request that spells out what a manifest records, defaults included.

    Raises:
        ModelReadError: the manifest holds a word that no request has.
    """
    try:
        return _stated(manifest)
    except ValueError as error:
        raise ModelReadError(
            f"The manifest of the patched model cannot be understood: {error}. Patch the original model again."
        ) from error


def _stated(manifest: Manifest) -> InsertionRequest:
    classifier = manifest.task == "classification"
    # The target of a class-probability map is what holds the scores: it is found, not chosen.
    chosen_target = Method(manifest.method) is not Method.CLASS_PROBABILITY_MAP
    request = InsertionRequest(
        method=Method(manifest.method),
        target_layer=manifest.target[0] if chosen_target else None,
        mask=Mask(manifest.mask) if manifest.mask else None,
        score=Score(manifest.score) if manifest.score and classifier else None,
        normalise=Normalise(manifest.normalise),
        top_k=manifest.top_k,
        score_output=str(manifest.score_output) if classifier or manifest.score_output else None,
        grid=_grid(manifest) if classifier else None,
    )
    if manifest.compat is not None:
        return replace(request, compat=Compat(manifest.compat))
    return replace(
        request,
        combine=Combine(manifest.combine) if manifest.combine else None,
        map_level=MIDDLE if manifest.map_level is None else manifest.map_level,
    )


def _grid(manifest: Manifest) -> tuple[int, int] | None:
    height, width = manifest.grid
    return None if height is None or width is None else (height, width)


def recall_request(patched: ov.Model) -> InsertionRequest:
    """Return a request that makes of the original model what a patched model is.

    A manifest does not tell what was found from what was asked for, and a target that is found again fits a changed
    model where a name does not. So requests that say less are tried first, until one leads to the same manifest.

    Args:
        patched: a model with a saliency branch.

    Raises:
        ModelMismatchError: the model has no saliency branch, or none that this version would insert.
    """
    manifest = read_manifest(patched)
    if manifest is None:
        raise ModelMismatchError("The model carries no manifest of ov-xai, so what was inserted is not known.")
    vector = any(FEATURE_VECTOR in output.get_names() for output in patched.outputs)
    original = remove(patched)
    stated = replace(stated_request(manifest), feature_vector=vector, labels=replaced_labels(patched))
    for request in wordings(stated):
        if _leads_to(original, request, manifest):
            return request
    raise ModelMismatchError(
        f"The saliency branch ({manifest.method}, made by ov-xai {manifest.ov_xai}) cannot be inserted again from its "
        "manifest. Give the options it was made with, such as --card, or strip it first: `ov-xai remove`."
    )


def wordings(stated: InsertionRequest) -> Iterator[InsertionRequest]:
    """Yield what a request that a manifest states may have said: what was found is stated like what was named.

    It is left out and named in turn, what says least first: the target, the grid, the first of several outputs.
    """
    for output in (None, "0") if stated.score_output is None else (stated.score_output,):
        for target in dict.fromkeys((None, stated.target_layer)):
            for grid in dict.fromkeys((None, stated.grid)):
                yield replace(stated, target_layer=target, grid=grid, score_output=output)


def _leads_to(original: ov.Model, request: InsertionRequest, manifest: Manifest) -> bool:
    try:
        found = read_manifest(patch(original, request).model)
    except (ModelMismatchError, UnsupportedModelError):
        return False
    return all(getattr(found, entry) == getattr(manifest, entry) for entry in _SAME)
