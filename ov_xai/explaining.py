"""Explain a folder with a patched model, or with a plain one that is patched in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import openvino as ov

from ov_xai.analysis.detectors.detector import Detector
from ov_xai.analysis.dissection import anatomy_of
from ov_xai.analysis.scores import Activation
from ov_xai.cards import cards_with
from ov_xai.errors import ModelMismatchError
from ov_xai.graph.fit import require_fit
from ov_xai.graph.io import read_model, source_digest
from ov_xai.graph.manifest import Manifest, read_manifest
from ov_xai.graph.model_info import info_value, is_true, replaced_labels
from ov_xai.graph.outputs import ADDED_OUTPUTS
from ov_xai.insertion import insert
from ov_xai.recall import stated_request
from ov_xai.request import InsertionRequest, Method, Normalise
from ov_xai.runtime.choice import ALL, PREDICTIONS, ClassChoice
from ov_xai.runtime.instance_masks import find_masks

_CLASSIFICATION = "classification"


def ready_model(path: Path, request: InsertionRequest, choice: ClassChoice, *, safe: bool = False) -> ov.Model:
    """Return a patched model: the one in the file when it fits the request, else one patched in memory.

    Args:
        path: a patched or a plain model.
        request: the wanted method; of a patched model everything but an explicit wish is kept.
        choice: the classes that will be explained; maps that cannot be among them are not computed.
        safe: try the model in a process of its own first; see `insert`.

    Raises:
        ModelReadError: the file cannot be read.
        UnsupportedModelError: the model cannot be patched.
        ModelMismatchError: a patched model does not fit its manifest, or its card is needed and not known.
    """
    model = read_model(path, safe=safe)
    manifest = read_manifest(model)
    if manifest is None:
        return _insert_for(path, model, request, choice)
    require_fit(model, manifest)
    wanted = stated_request(manifest)
    if request.normalise is Normalise.NONE:
        wanted = replace(wanted, normalise=Normalise.NONE)
    if request.card is not None:
        wanted = replace(wanted, card=request.card)
    if request.method is not None and not _shows(model, manifest, request.method):
        wanted = _with_method(wanted, manifest, request.method)
    if wanted == stated_request(manifest):
        return model
    _require_card(manifest, request)
    return insert(path, replace(wanted, labels=replaced_labels(model)), replace_old=True)


def _require_card(manifest: Manifest, request: InsertionRequest) -> None:
    """Refuse to patch anew without the card that a model was patched with: its maps could be those of other classes."""
    known = {card.name for card in cards_with(request.card)}
    if manifest.card is not None and manifest.card not in known:
        raise ModelMismatchError(
            f"The model was patched with the card '{manifest.card}', which does not come with ov-xai, and has to be "
            "patched anew for the maps that are asked for. Give the card with --card, or take the maps it has."
        )


def shows_instance_masks(model: ov.Model, method: Method | None) -> bool:
    """Return whether the maps of a patched model are to be made of its instance masks.

    So they are where classes have no map in the graph and none but class-wise maps, or no method at all, was asked
    for. A model that was patched with another method than the default keeps it.
    """
    manifest = read_manifest(model)
    if manifest is None or manifest.score is not None or not _has_masks(model, manifest):
        return False
    if method is None:
        return manifest.method == Method.ACTIVATION_MAP.value
    return method in (Method.CLASS_WISE, Method.CLASS_PROBABILITY_MAP)


def _shows(model: ov.Model, manifest: Manifest, method: Method) -> bool:
    """Return whether a patched model serves a method as it is."""
    if method is Method.CLASS_WISE and manifest.score is not None:
        return True
    return method.value == manifest.method or shows_instance_masks(model, method)


def _has_masks(model: ov.Model, manifest: Manifest) -> bool:
    own = [output for output in model.outputs if not output.get_names() & ADDED_OUTPUTS]
    return find_masks(own, manifest.readout) is not None


def _with_method(wanted: InsertionRequest, manifest: Manifest, method: Method) -> InsertionRequest:
    """Return a request for another method on the same target; a detector's methods read different layers."""
    target = wanted.target_layer if manifest.task == _CLASSIFICATION else None
    return replace(wanted, method=method, target_layer=target, top_k=None)


def _insert_for(path: Path, model: ov.Model, request: InsertionRequest, choice: ClassChoice) -> ov.Model:
    """Patch a plain model with maps of as many classes as a classifier can have above the threshold.

    Of probabilities that sum to one, at most 1 / t are t or more.
    """
    if request.method is not None and not request.method.class_wise:
        return insert(path, request)
    anatomy = anatomy_of(model, request)
    if isinstance(anatomy, Detector):
        return _insert_into_detector(path, anatomy, request)
    threshold = choice.for_model(model).least
    if (
        choice.classes != PREDICTIONS
        or threshold <= 0
        or is_true(info_value(model, "multilabel"))
        or anatomy.scores.activation is Activation.SIGMOID
    ):
        return insert(path, request)
    count = min(anatomy.scores.classes, int(1 / threshold))
    return insert(path, replace(request, top_k=max(1, count)))


def _insert_into_detector(path: Path, anatomy: Detector, request: InsertionRequest) -> ov.Model:
    """Patch a detector; one that scores regions may have masks, of which class-wise maps are made."""
    if anatomy.head is None and request.method is not None:
        patched = insert(path, replace(request, method=Method.ACTIVATION_MAP))
        if shows_instance_masks(patched, request.method):
            return patched
    return insert(path, request)


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
