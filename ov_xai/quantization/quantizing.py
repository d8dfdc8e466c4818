"""Quantise a model: strip its saliency branch, calibrate, and insert the branch again.

The branch is never quantised: it is built behind the quantised layers, so that the predictions are those of the plain
quantised model, bit for bit.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import openvino as ov

from ov_xai.analysis.attention import has_attention
from ov_xai.analysis.classifier import Classifier
from ov_xai.analysis.dissection import anatomy_of
from ov_xai.arguments import options_of, parse_word
from ov_xai.errors import ModelMismatchError, RequestError, SelfCheckError, UnsupportedModelError
from ov_xai.graph.io import read_model
from ov_xai.graph.kinds import LEARNED_OPS, ROUNDING_OPS
from ov_xai.graph.manifest import read_manifest
from ov_xai.graph.model_info import read_labels
from ov_xai.graph.view import GraphView, is_weight
from ov_xai.insertion import Source, insert, remove
from ov_xai.methods.smoothing import is_smoothing
from ov_xai.quantization.calibration import Feeder, Photos, counted, find_photos
from ov_xai.quantization.engine import Control, Preset, quantized, require_nncf
from ov_xai.quantization.validation import TopOne, Validation, compiled_accuracy, read_validation
from ov_xai.recall import recall_request
from ov_xai.request import InsertionRequest
from ov_xai.runtime.overrides import Overrides

#: NNCF's own default; more photos hardly change the ranges.
SUBSET_SIZE = 300
#: Calibration on fewer photos deserves a word.
FEW_PHOTOS = 100


@dataclass(frozen=True)
class QuantizationOptions:
    """How a model is quantised.

    Attributes:
        preset: `performance` (symmetric activations) or `mixed`; None for `mixed` in transformers, else `performance`.
        subset_size: at most this many photos are used for calibration, spread evenly over those given.
        max_drop: with a validation folder, how much top-1 accuracy may be lost, 0..1.
        exact_layers: friendly or tensor names of layers that stay in floating point.
        accurate_bias: correct biases layer by layer: takes longer to quantise, and no longer to run.
        overrides: what differs from the preprocessing in the model's own `model_info`.
        safe: try a model given by path in a process of its own first; see `insert`.
    """

    preset: Preset | None = None
    subset_size: int = SUBSET_SIZE
    max_drop: float = 0.01
    exact_layers: Sequence[str] = ()
    accurate_bias: bool = False
    overrides: Overrides | None = None
    safe: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "preset", None if self.preset is None else parse_word(Preset, self.preset))
        if self.subset_size < 1:
            raise RequestError(f"subset-size is {self.subset_size}; expected a whole number from 1.")
        if not 0 <= self.max_drop <= 1:
            raise RequestError(f"max-drop is {self.max_drop:g}; expected a part of the accuracy, from 0 to 1.")


@dataclass(frozen=True)
class Quantization:
    """A quantised model, and how it came about.

    Attributes:
        model: the quantised model, with a saliency branch if one was there or asked for.
        photos: number of photos for calibration.
        skipped: per photo that cannot be read a sentence that says why.
        preprocessing: one line that says what was done with the photos.
        transformer: whether attention was found.
        quantisers: number of places where activations are rounded.
        accuracy: top-1 accuracy before and after, 0..1; None without validation.
        max_drop: how much of it was to be lost at most.
    """

    model: ov.Model
    photos: int
    skipped: list[str]
    preprocessing: str
    transformer: bool
    quantisers: int
    accuracy: tuple[float, float] | None
    max_drop: float

    @property
    def notes(self) -> list[str]:
        """Return what is worth knowing about the result, as sentences; mostly nothing."""
        notes = []
        if self.photos < FEW_PHOTOS:
            notes.append(
                f"Calibrated on {self.photos} images; a few hundred like those of the deployment give more reliable "
                "ranges, and maps closer to those before."
            )
        if self.accuracy is not None and self.accuracy[0] - self.accuracy[1] > self.max_drop:
            notes.append(
                f"The accuracy drops by more than {self.max_drop:g}: NNCF found no layers whose precision keeps it. "
                "Give more images, use --accurate-bias, or leave this model as it is."
            )
        return notes


def quantize(
    model: Source,
    data: Photos,
    *,
    validation: str | os.PathLike[str] | None = None,
    request: InsertionRequest | None = None,
    **options: Any,
) -> ov.Model:
    """Return an INT8 copy of a model, quantised after training with NNCF.

    The saliency branch of a patched model is stripped and inserted again behind the quantised layers: the predictions
    are those of the plain quantised model, bit for bit. A plain model stays plain unless a request is given.

    Args:
        model: path of a model in any format OpenVINO reads, or a model in memory (left as it is); plain or patched.
        data: for calibration a folder of images, an image, or a sequence of paths and arrays u8 [H, W, 3], RGB; they
            are preprocessed as for `explain`.
        validation: a folder with one sub-folder of images per class, named by label or class index. Layers are left
            in floating point until the top-1 accuracy drops by no more than `max_drop`. For classifiers.
        request: what to insert; None keeps what the model has.
        options: fields of `QuantizationOptions`.

    Raises:
        RequestError: an option is not known or out of range.
        MissingExtraError: NNCF is not installed.
        ModelReadError: the file cannot be read.
        InputError: no image can be read.
        ModelMismatchError: the model is quantised already, or a folder is named by no class.
        UnsupportedModelError: NNCF cannot quantise the model, or it cannot be patched.
        SelfCheckError: the branch of the quantised model disagrees with the literal perturbation.
    """
    settings = options_of(QuantizationOptions, None, options)
    return run_quantization(model, data, settings, validation=validation, request=request).model


def run_quantization(
    model: Source,
    data: Photos,
    options: QuantizationOptions,
    *,
    validation: str | os.PathLike[str] | None = None,
    request: InsertionRequest | None = None,
    notify: Callable[[], object] = lambda: None,
) -> Quantization:
    """Return an INT8 copy of a model with what is worth telling; see `quantize`.

    Args:
        model: path or model, plain or patched.
        data: photos for calibration.
        options: how to quantise.
        validation: folder of labelled photos.
        request: what to insert; None keeps what the model has.
        notify: called for every photo the model is run on.
    """
    require_nncf()
    source = model.clone() if isinstance(model, ov.Model) else read_model(model, safe=options.safe)
    if read_manifest(source) is not None:
        request = request or recall_request(source)
        source = remove(source)
    _refuse_quantised(source)
    feed = Feeder(source, options.overrides)
    found = find_photos(data, options.subset_size)
    labelled, measure = _validation(source, validation, request, feed)
    control = None
    if labelled is not None and measure is not None:
        control = Control(labelled.items, lambda item: feed(item.photo), measure, options.max_drop)
    transformer = has_attention(source)
    result = quantized(
        source,
        found.photos,
        counted(feed, notify),
        preset=options.preset,
        transformer=transformer,
        exact_layers=_named_layers(source, options.exact_layers),
        accurate_bias=options.accurate_bias,
        control=control,
    )
    accuracy = None
    if labelled is not None and measure is not None:
        before, after = (compiled_accuracy(item, measure, labelled.items) for item in (source, result))
        accuracy = (before, after)
    return Quantization(
        result if request is None else _patched(result, request),
        len(found.photos),
        [*found.skipped, *(labelled.skipped if labelled is not None else [])],
        feed.preprocessing.describe(),
        transformer,
        len(_roundings(result)),
        accuracy,
        options.max_drop,
    )


def _named_layers(model: ov.Model, names: Sequence[str]) -> list[str]:
    """Return the friendly names of layers.

    Raises:
        ModelMismatchError: a layer does not exist.
    """
    view = GraphView(model)
    found = []
    for name in names:
        node = view.find(name)
        if node is None:
            layers = [item.get_friendly_name() for item in view.ops if item.get_type_name() in LEARNED_OPS]
            close = difflib.get_close_matches(name, layers, n=3, cutoff=0.3) or layers[:3]
            raise ModelMismatchError(
                f"Layer '{name}' does not exist; expected a friendly name or tensor name, such as {', '.join(close)}."
            )
        found.append(str(node.get_friendly_name()))
    return found


def _roundings(model: ov.Model) -> list[ov.Node]:
    """Return the nodes that round activations."""
    found = (node for node in model.get_ordered_ops() if node.get_type_name() in ROUNDING_OPS)
    return [node for node in found if not is_weight(node.input_value(0))]


def _refuse_quantised(model: ov.Model) -> None:
    found = _roundings(model)
    if found:
        raise ModelMismatchError(
            f"The model is quantised already: activations are rounded in {len(found)} places, the first at "
            f"'{found[0].get_friendly_name()}'. Quantise the floating-point model; `ov-xai insert` patches this one as "
            "it is."
        )


def _validation(
    model: ov.Model, folder: str | os.PathLike[str] | None, request: InsertionRequest | None, feed: Feeder
) -> tuple[Validation | None, TopOne | None]:
    if folder is None:
        return None, None
    request = request or InsertionRequest()
    anatomy = anatomy_of(model, request)
    if not isinstance(anatomy, Classifier):
        raise UnsupportedModelError(
            "Validation compares the top-1 accuracy of classifiers; this model is a detector or segments images",
            remedy="Leave out --validation: then every layer is quantised.",
        )
    labelled = read_validation(folder, read_labels(model), anatomy.scores.classes)
    return labelled, TopOne(feed, anatomy.scores.output)


def _patched(model: ov.Model, request: InsertionRequest) -> ov.Model:
    """Insert a branch into a quantised model.

    A layer that was named is read behind the rounding that quantisation put after it, if nothing else reads the layer:
    read before it, the plugin could no longer fuse the two, and the predictions would change.
    """
    name = request.target_layer
    rounded = None if name is None else _rounded_name(GraphView(model), name)
    if rounded is not None:
        with suppress(ModelMismatchError, SelfCheckError, UnsupportedModelError):
            return insert(model, replace(request, target_layer=rounded))
    return insert(model, request)


def _rounded_name(view: GraphView, name: str) -> str | None:
    """Return the name of the only op that reads a layer, when it rounds it; SmoothQuant may stand between them."""
    node = view.find(name)
    while node is not None:
        users = view.ordered(view.users(node))
        node = users[0] if len(users) == 1 else None
        if node is not None and node.get_type_name() in ROUNDING_OPS:
            return str(node.get_friendly_name())
        node = node if node is not None and is_smoothing(node) else None
    return None
