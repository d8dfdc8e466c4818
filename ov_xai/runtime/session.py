"""Run a patched model on images."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.errors import DeviceError, RequestError, UnsupportedModelError, XaiError
from ov_xai.graph.image_input import find_image_input
from ov_xai.graph.io import read_model
from ov_xai.graph.manifest import Manifest, read_manifest
from ov_xai.graph.model_info import info_value, is_true, read_labels
from ov_xai.runtime.explanation import Explanation, Prediction
from ov_xai.runtime.images import Image, read_image
from ov_xai.runtime.labels import find_classes, numbered_labels, require_count, safe_labels
from ov_xai.runtime.preprocessing import Overrides, Placement, preprocessing_of

Array = npt.NDArray[Any]
ImageSource = str | os.PathLike[str] | Image

DEFAULT_THRESHOLD = 0.3
PREDICTIONS, ALL = "predictions", "all"


@dataclass(frozen=True)
class ClassChoice:
    """Which classes of an image are explained.

    Attributes:
        classes: "predictions" for those at or above the threshold and the best one, "all", or labels.
        threshold: confidence, 0..1.
        limit: at most this many, best first; None for no limit.
    """

    classes: str | tuple[str, ...] = PREDICTIONS
    threshold: float = DEFAULT_THRESHOLD
    limit: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise RequestError(f"The confidence threshold is {self.threshold:g}; expected a number from 0 to 1.")
        if self.limit is not None and self.limit < 1:
            raise RequestError(f"top-k is {self.limit}; expected a whole number from 1.")


@dataclass(frozen=True)
class Prepared:
    """A photo on its way to the model.

    Attributes:
        photo: u8 [H, W, 3], RGB.
        tensor: u8 [1, h, w, C].
        placement: where the input lies in the photo.
    """

    photo: Image
    tensor: Image
    placement: Placement


@dataclass(frozen=True)
class _Job:
    explainer: _Explainer
    prepared: Prepared
    future: Future[Explanation]


@dataclass(frozen=True)
class _Outputs:
    scores: Array  # (K,)
    maps: Array  # (K or T, h, w), or (h, w)
    classes: Array | None  # (T,)


@dataclass(frozen=True)
class _Explainer:
    """Turns the outputs of a finished request into an explanation.

    It knows nothing of the queue: a callback that held the session could be the last to let go of it, and would then
    destroy the queue it runs in.
    """

    manifest: Manifest
    choice: ClassChoice
    labels: tuple[str, ...]
    safe_names: Mapping[str, str]
    wanted: Sequence[int] | None
    multilabel: bool
    index: Mapping[str, int]

    def explain(self, request: ov.InferRequest, prepared: Prepared) -> Explanation:
        """Return the explanation of a finished request; results are copied out of its tensors."""
        photo, placement = prepared.photo, prepared.placement
        outputs = self._read(request)
        confidences = self._confidences(outputs.scores)
        order = np.argsort(-confidences, kind="stable")
        count = max(1, int(np.count_nonzero(confidences >= self.choice.threshold)))
        predictions = [Prediction(int(index), self.labels[index], float(confidences[index])) for index in order[:count]]
        if not self._class_wise:
            maps = {self.manifest.method: outputs.maps}
            return Explanation(photo, predictions, maps, {}, placement, {}, self.manifest.method, request.latency)
        chosen = self._chosen(order, [prediction.index for prediction in predictions], outputs)
        maps = {self.labels[index]: outputs.maps[row].copy() for index, row in chosen}
        shown = {self.labels[index]: float(confidences[index]) for index, _ in chosen}
        safe = {label: self.safe_names[label] for label in maps}
        return Explanation(photo, predictions, maps, shown, placement, safe, self.manifest.method, request.latency)

    @property
    def _class_wise(self) -> bool:
        return self.manifest.score is not None

    def _read(self, request: ov.InferRequest) -> _Outputs:
        def tensor(index: int) -> Array:
            return np.asarray(request.get_output_tensor(index).data)

        classes = tensor(self.index["saliency_classes"])[0].copy() if "saliency_classes" in self.index else None
        maps = tensor(self.index["saliency_map"])[0]
        scores = tensor(self.manifest.score_output).reshape(-1).astype(np.float64)
        return _Outputs(scores, maps if self._class_wise else maps.copy(), classes)

    def _confidences(self, scores: Array) -> Array:
        activation = self.manifest.activation
        if activation == "none":
            sigmoid = self.multilabel or scores.size == 1
            return _sigmoid(scores) if sigmoid else _softmax(scores)
        return scores

    def _chosen(self, order: Array, predicted: list[int], outputs: _Outputs) -> list[tuple[int, int]]:
        """Return (class, row of the map tensor) of the classes to explain, best first."""
        rows = {int(index): row for row, index in enumerate(outputs.classes)} if outputs.classes is not None else None
        if self.wanted is not None:
            classes = list(self.wanted)
        elif self.choice.classes == ALL:
            classes = [int(index) for index in order]
        else:
            classes = predicted
        if rows is not None:
            classes = [index for index in classes if index in rows]
        classes = classes[: self.choice.limit]
        return [(index, index if rows is None else rows[index]) for index in classes]


class Session:
    """A compiled patched model with its preprocessing and labels.

    Args:
        model: a patched model, or the path of one.
        device: OpenVINO device name, e.g. "CPU", "GPU", "AUTO".
        labels: one per class; None takes those in the model.
        choice: which classes are explained.
        overrides: what differs from the model's own `model_info`.
        requests: inferences in flight in `map`; None lets OpenVINO choose.
        config: further properties for `compile_model`.

    Raises:
        UnsupportedModelError: the model carries no saliency branch.
        ModelMismatchError: the labels do not match the class count, or a class is not known.
        DeviceError: the device is unknown or cannot run the model.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | ov.Model,
        device: str = "CPU",
        *,
        labels: Sequence[str] | None = None,
        choice: ClassChoice | None = None,
        overrides: Overrides | None = None,
        requests: int | None = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        source = model.clone() if isinstance(model, ov.Model) else read_model(model)
        manifest = read_manifest(source)
        if manifest is None:
            raise UnsupportedModelError(
                "The model has no saliency branch",
                remedy="Patch it first: `ov-xai insert`, or pass `ov_xai.insert(model)` to the session.",
            )
        self.manifest: Manifest = manifest
        self.choice = choice or ClassChoice()
        self.preprocessing = preprocessing_of(source, overrides)
        self.labels = self._labels(source, labels)
        wanted = self._wanted_classes()
        multilabel = is_true(info_value(source, "multilabel"))
        self._fix_batch(source)
        self._compiled = self._compile(self.preprocessing.embedded(source), device, requests, config)
        self._explainer = _Explainer(
            manifest,
            self.choice,
            self.labels,
            dict(zip(self.labels, safe_labels(self.labels), strict=True)),
            wanted,
            multilabel,
            {name: index for index, output in enumerate(self._compiled.outputs) for name in output.get_names()},
        )
        self._queue: ov.AsyncInferQueue | None = None
        self._requests = requests or 0

    # -- construction ----------------------------------------------------------------------------------------------

    def _labels(self, model: ov.Model, given: Sequence[str] | None) -> tuple[str, ...]:
        labels = tuple(given) if given is not None else read_labels(model)
        if labels is None:
            return _distinct(numbered_labels(self.manifest.classes))
        return _distinct(require_count(labels, self.manifest.classes))

    def _wanted_classes(self) -> list[int] | None:
        classes = self.choice.classes
        if isinstance(classes, str):
            if classes not in (PREDICTIONS, ALL):
                return find_classes(self.labels, [classes])
            return None
        return find_classes(self.labels, classes)

    def _fix_batch(self, model: ov.Model) -> None:
        """Compile for one image at a time where the model allows it: static shapes run faster."""
        source = find_image_input(model)[0]
        if self.preprocessing.letters[0] != "N":
            return
        shape = source.get_partial_shape()
        if shape[0].is_static and shape[0].get_length() == 1:
            return
        shape[0] = 1
        try:
            model.reshape({source.get_node().output(0): shape} if len(model.inputs) > 1 else shape)
        except RuntimeError as error:
            raise UnsupportedModelError(
                f"The model has a fixed batch of {source.get_partial_shape()[0]} and cannot be run on one image",
                remedy="Export it with a batch of one or a dynamic batch.",
            ) from error

    def _compile(
        self, model: ov.Model, device: str, requests: int | None, config: dict[str, Any] | None
    ) -> ov.CompiledModel:
        core = ov.Core()
        device = device.upper()
        base = device.split(":", maxsplit=1)[0].split(".", maxsplit=1)[0].upper()
        known = {name.split(".")[0].upper() for name in core.available_devices} | {"AUTO", "MULTI", "HETERO", "BATCH"}
        if base not in known:
            raise DeviceError(
                f"Device '{device}' is not available; found: {', '.join(core.available_devices)}. Check the drivers."
            )
        settings = dict(config or {})
        if requests != 1:
            settings.setdefault("PERFORMANCE_HINT", "THROUGHPUT")
        try:
            return core.compile_model(model, device, settings)
        except RuntimeError as error:
            detail = str(error).strip().splitlines()[-1][:200]
            raise DeviceError(f"Device '{device}' cannot run the model: {detail}. Try --device CPU.") from error

    # -- running ---------------------------------------------------------------------------------------------------

    def __call__(self, image: ImageSource) -> Explanation:
        """Explain one image.

        Args:
            image: path of an image, or u8 [H, W, 3], RGB.

        Returns:
            Its predictions and maps.

        Raises:
            InputError: the image cannot be read.
        """
        return next(self.map([image]))

    def map(self, images: Iterable[ImageSource]) -> Iterator[Explanation]:
        """Explain images in order, several inferences in flight; memory does not grow with their number.

        Args:
            images: paths of images, or u8 [H, W, 3], RGB.

        Raises:
            InputError: an image cannot be read.
        """
        pending: deque[Future[Explanation]] = deque()
        try:
            for image in images:
                pending.append(self.submit(load(image)))
                while len(pending) > 2 * len(self.queue):
                    yield pending.popleft().result()
        except XaiError:
            # What was submitted before an image that cannot be read is still delivered.
            yield from (future.result() for future in pending)
            raise
        else:
            yield from (future.result() for future in pending)
        finally:
            self.wait()

    @property
    def queue(self) -> ov.AsyncInferQueue:
        """OpenVINO's queue of inference requests, made when first used."""
        if self._queue is None:
            self._queue = ov.AsyncInferQueue(self._compiled, self._requests)
            self._queue.set_callback(_deliver)
        return self._queue

    def submit(self, photo: Image) -> Future[Explanation]:
        """Start explaining a photo, u8 [H, W, 3], RGB; waits while all requests are busy."""
        return self.start(self.prepare(photo))

    def prepare(self, photo: Image) -> Prepared:
        """Return a photo, u8 [H, W, 3], RGB, with its input tensor."""
        return Prepared(photo, *self.preprocessing(photo))

    def start(self, prepared: Prepared) -> Future[Explanation]:
        """Start an inference; waits while all requests are busy."""
        future: Future[Explanation] = Future()
        job = _Job(self._explainer, prepared, future)
        self.queue.start_async({self.preprocessing.position: prepared.tensor}, job)
        return future

    def wait(self) -> None:
        """Wait until nothing is under way."""
        if self._queue is not None:
            self._queue.wait_all()

    def __del__(self) -> None:
        """Requests must not outlive their queue."""
        if getattr(self, "_queue", None) is not None:
            self.wait()


def _deliver(request: ov.InferRequest, job: _Job) -> None:
    """Hand over the result; an exception must reach the caller, not unwind into OpenVINO's thread."""
    with suppress(InvalidStateError):  # cancelled: nobody waits for it
        try:
            job.future.set_result(job.explainer.explain(request, job.prepared))
        except Exception as error:
            job.future.set_exception(error)


def load(image: ImageSource) -> Image:
    """Return an image given by path or as an array, u8 [H, W, 3], RGB.

    Raises:
        InputError: the file cannot be read.
        RequestError: the array has another shape or type.
    """
    if not isinstance(image, np.ndarray):
        return read_image(Path(image))
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise RequestError(f"An image array is {image.dtype} {list(image.shape)}; expected uint8 [H, W, 3], RGB.")
    return image


def _distinct(labels: Sequence[str]) -> tuple[str, ...]:
    """Return labels of which no two are equal: a name that stands twice gets its index."""
    counts = Counter(labels)
    taken = set(labels)
    result = []
    for index, label in enumerate(labels):
        unique = label
        while counts[label] > 1 and unique in taken:
            unique += f" ({index})"
        taken.add(unique)
        result.append(unique)
    return tuple(result)


def _softmax(values: Array) -> Array:
    shifted = np.exp(values - values.max())
    return np.asarray(shifted / shifted.sum())


def _sigmoid(values: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-values)))
