"""Run a patched model on images."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino.properties import optimal_number_of_infer_requests

from ov_xai.arguments import texts
from ov_xai.errors import InputError, ModelMismatchError, RequestError, UnsupportedModelError, XaiError
from ov_xai.graph.fit import require_fit
from ov_xai.graph.io import read_model
from ov_xai.graph.manifest import Manifest, read_manifest
from ov_xai.graph.model_info import info_value, is_true, read_labels
from ov_xai.graph.outputs import SALIENCY_CLASSES, SALIENCY_MAP
from ov_xai.graph.reason import reason_of
from ov_xai.runtime.choice import ALL, PREDICTIONS, ClassChoice
from ov_xai.runtime.detections import DetectionReader
from ov_xai.runtime.device import compile_for
from ov_xai.runtime.embedding import embedded, set_batch
from ov_xai.runtime.explainer import Explainer, Prepared
from ov_xai.runtime.explanation import Explanation
from ov_xai.runtime.images import Image, read_image
from ov_xai.runtime.instance_masks import find_masks
from ov_xai.runtime.labels import aligned_labels, distinct_labels, find_classes, numbered_labels, safe_labels
from ov_xai.runtime.model_preprocessing import preprocessing_of
from ov_xai.runtime.overrides import Overrides
from ov_xai.runtime.predictions import ClassReader, Reader
from ov_xai.runtime.segments import SegmentReader, find_segment_output

ImageSource = str | os.PathLike[str] | Image


@dataclass(frozen=True)
class _Job:
    explainer: Explainer
    prepared: Prepared
    future: Future[Explanation]


class Session:
    """A compiled patched model with its preprocessing and labels.

    Args:
        model: a patched model, or the path of one.
        device: OpenVINO device name, e.g. "CPU", "GPU", "AUTO".
        labels: one per class, in the order of the class indices or label ids; None takes those in the model.
        choice: which classes are explained.
        overrides: what differs from the model's own `model_info`.
        requests: inferences in flight in `map`; None takes twice as many as OpenVINO advises, because a request also
            waits for its results to be read.
        config: further properties for `compile_model`.
        instance_masks: make class-wise maps of the masks among the model's outputs, where it has some; the map that
            was inserted is not shown.
        safe: try a model given by path in a process of its own first, with limits on time and memory.

    Raises:
        ModelReadError: the file cannot be read, or its manifest does not fit it.
        UnsupportedModelError: the model carries no saliency branch.
        ModelMismatchError: the labels do not match the class count, or a class is not known.
        RequestError: the labels are no list of texts.
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
        instance_masks: bool = False,
        safe: bool = False,
    ) -> None:
        source = model.clone() if isinstance(model, ov.Model) else read_model(model, safe=safe)
        manifest = read_manifest(source)
        if manifest is None:
            raise UnsupportedModelError(
                "The model has no saliency branch",
                remedy="Patch it first: `ov-xai insert`, or pass `ov_xai.insert(model)` to the session.",
            )
        require_fit(source, manifest)
        self.manifest: Manifest = manifest
        self.choice = (choice or ClassChoice()).for_model(source)
        self.preprocessing = preprocessing_of(source, overrides)
        self.labels = self._labels(source, labels)
        wanted = self._wanted_classes()
        reader = self._reader(source)
        masks = find_masks(self._own_outputs(source), manifest.readout) if instance_masks else None
        set_batch(source, self.preprocessing, 1)
        self._compiled = self._compile(embedded(source, self.preprocessing), device, requests, config)
        self._explainer = Explainer(
            manifest,
            self.choice,
            self.labels,
            dict(zip(self.labels, safe_labels(self.labels), strict=True)),
            wanted,
            reader,
            len(self._compiled.outputs),
            {name: index for index, output in enumerate(self._compiled.outputs) for name in output.get_names()},
            masks,
        )
        self._queue: ov.AsyncInferQueue | None = None
        self._requests = requests

    # -- construction ----------------------------------------------------------------------------------------------

    def _labels(self, model: ov.Model, given: Sequence[str] | None) -> tuple[str, ...]:
        labels = texts(given, "labels") if given is not None else read_labels(model)
        classes = self.manifest.classes
        if labels is None:
            return distinct_labels(numbered_labels(classes))
        # Without class scores on a grid their number is not known: labels are taken by id.
        return distinct_labels(aligned_labels(labels, classes, self.manifest.unused_classes) if classes else labels)

    def _wanted_classes(self) -> list[int] | None:
        classes = self.choice.classes
        if isinstance(classes, str):
            if classes in (PREDICTIONS, ALL):
                return None
            classes = (classes,)
        wanted = find_classes(self.labels, classes, open_ended=not self.manifest.classes)
        for index in wanted:
            if index in self.manifest.unused_classes:
                raise ModelMismatchError(
                    f"Label id {index} stands for no class of this model, such as the background. Name another class."
                )
        return wanted

    def _own_outputs(self, model: ov.Model) -> list[ov.Output]:
        """Return the outputs the model had before it was patched; they come first."""
        return list(model.outputs[: [_is_map(output) for output in model.outputs].index(True)])

    def _reader(self, model: ov.Model) -> Reader:
        manifest, threshold = self.manifest, self.choice.least
        if manifest.task == "detection":
            return DetectionReader(manifest.readout, self.labels, threshold)
        if manifest.task == "segmentation":
            where = manifest.segments or find_segment_output(self._own_outputs(model), manifest.classes)
            return SegmentReader(where, manifest.classes, self.labels, threshold)
        multilabel = is_true(info_value(model, "multilabel"))
        best = next((i for i, item in enumerate(model.outputs) if SALIENCY_CLASSES in item.get_names()), None)
        return ClassReader(manifest.score_output, manifest.activation, multilabel, self.labels, threshold, best)

    def _compile(
        self, model: ov.Model, device: str, requests: int | None, config: dict[str, Any] | None
    ) -> ov.CompiledModel:
        settings = dict(config or {})
        if requests != 1:
            settings.setdefault("PERFORMANCE_HINT", "THROUGHPUT")
        return compile_for(model, device, settings)

    @property
    def method(self) -> str:
        """Return the name of what the maps show: that of the patched model, or "instance-masks"."""
        return self._explainer.method

    @property
    def notes(self) -> list[str]:
        """Return what cannot be shown of this model, as sentences; mostly nothing."""
        read = self._explainer.read
        if (isinstance(read, DetectionReader) and read.readout is None) or (
            isinstance(read, SegmentReader) and read.where is None
        ):
            return [
                "The predictions of this model cannot be read from its outputs, so none are shown. Maps of classes are "
                "there when asked for: --classes all, or names."
            ]
        if isinstance(read, DetectionReader) and read.readout is not None and read.readout.boxes is None:
            return [
                "The boxes of this model cannot be read from its outputs: of each class only the best confidence is "
                "shown."
            ]
        return []

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
            requests = self._requests or 2 * self._compiled.get_property(optimal_number_of_infer_requests())
            self._queue = ov.AsyncInferQueue(self._compiled, requests)
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
        if not self.preprocessing.fixed_size:
            return self._run_alone(job)
        self.queue.start_async({self.preprocessing.position: prepared.tensor}, job)
        return future

    def _run_alone(self, job: _Job) -> Future[Explanation]:
        """Run an inference of a model of dynamic size and wait for it.

        The queue loses the error of a size that does not fit, and never calls back (OpenVINO 2026.4).
        """
        request = self._compiled.create_infer_request()
        fault = None
        try:
            request.infer({self.preprocessing.position: job.prepared.tensor})
        except RuntimeError as error:
            fault = reason_of(error)
        # With a single thread the CPU plugin loses the error too, and leaves the outputs of a new request empty.
        if fault is None and 0 in request.get_tensor(SALIENCY_MAP).shape:
            fault = "it gave an empty map"
        if fault is None:
            _deliver(request, job)
        else:
            width, height = job.prepared.placement.input_wh
            job.future.set_exception(
                InputError(
                    f"The model cannot run on an image of {width}x{height}: {fault}. Fix its size before "
                    "patching (`ov.Model.reshape`), or give images of a size that fits."
                )
            )
        return job.future

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


def _is_map(output: ov.Output) -> bool:
    return SALIENCY_MAP in output.get_names()
