"""The maps of each method: an image in the units of the network and a class -> f32 [H, W] in 0..1."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.errors import ModelMismatchError
from ov_xai.evaluation.method_names import CENTRE, MODEL, RANDOM, RISE, MethodSpec
from ov_xai.evaluation.network import Array, Images, Network
from ov_xai.evaluation.options import EvaluationOptions
from ov_xai.evaluation.subject import Subject
from ov_xai.graph.manifest import Manifest, read_manifest
from ov_xai.graph.outputs import SALIENCY_CLASSES, SALIENCY_MAP
from ov_xai.insertion import insert
from ov_xai.metrics import centre_gaussian, random_map, rise_maps
from ov_xai.metrics.checks import min_max_scaled
from ov_xai.runtime.preprocessing import Preprocessing
from ov_xai.runtime.rendering import to_u8

Map = npt.NDArray[np.float32]
#: Image f32 [H, W, C] and class -> map f32 [H, W] in 0..1; None where the method has none of the class.
Source = Callable[[Images, int], Map | None]


@dataclass(frozen=True)
class Explainer:
    """The maps of one method.

    Attributes:
        source: makes them.
        any_class: whether every class has a map in every image.
        detail: what the method is exactly, for a reader; empty where the name says it.
    """

    source: Source
    any_class: bool = True
    detail: str = ""


class PatchedMaps:
    """The maps of a patched model, as it gives them, enlarged to the size of its input.

    Each cell's value stands at the centre of the cell, values between them are interpolated linearly.
    """

    def __init__(self, model: ov.Model, preprocessing: Preprocessing, device: str) -> None:
        self._network = Network(model, preprocessing, device)
        self._last: tuple[Images, list[Array]] | None = None

    def __call__(self, image: Images, index: int) -> Map | None:
        """Return the map of a class; None where the model has maps of its best classes only, and not of this one."""
        outputs = self._outputs(image)
        maps = outputs[self._network.outputs[SALIENCY_MAP]][0]
        if maps.ndim == 2:
            return _enlarged(maps, image)
        if SALIENCY_CLASSES in self._network.outputs:
            best = outputs[self._network.outputs[SALIENCY_CLASSES]][0].tolist()
            return _enlarged(maps[best.index(index)], image) if index in best else None
        return _enlarged(maps[index], image) if index < len(maps) else None

    def _outputs(self, image: Images) -> list[Array]:
        """Return all outputs; those of the last image are kept, since one inference holds the maps of all classes."""
        if self._last is None or self._last[0] is not image:
            self._last = image, self._network(image[None])
        return self._last[1]


def make_explainer(spec: MethodSpec, subject: Subject, options: EvaluationOptions) -> Explainer:
    """Return the maps of a method for a model.

    Raises:
        UnsupportedModelError: the model cannot be patched so.
        ModelMismatchError: the method does not fit the model.
        SelfCheckError: the branch disagrees with the literal perturbation.
        DeviceError: the device cannot run the patched model.
    """
    if spec.name == RANDOM:
        return Explainer(lambda image, _: random_map(image.shape[0], image.shape[1], _seed(image, options.seed)))
    if spec.name == CENTRE:
        return Explainer(lambda image, _: centre_gaussian(image.shape[0], image.shape[1]))
    if spec.name == RISE:
        return Explainer(_rise(subject, options), detail=f"{options.rise_masks} masks")
    patched = subject.shown if spec.name == MODEL else insert(subject.plain, spec.request)
    manifest = read_manifest(patched)
    assert manifest is not None
    source = PatchedMaps(patched, subject.preprocessing, subject.device)
    return Explainer(source, manifest.top_k is None, _detail(manifest))


def _rise(subject: Subject, options: EvaluationOptions) -> Source:
    predict = subject.predict
    if predict is None:
        raise ModelMismatchError("RISE needs a score per class, and the outputs of this model hold none. Leave it out.")

    def explain(image: Images, index: int) -> Map:
        maps = rise_maps(predict, image, [index], masks=options.rise_masks, batch=predict.batch, seed=options.seed)
        return _scaled(maps[0])

    return explain


def _enlarged(grid: npt.NDArray[np.generic], image: Images) -> Map:
    height, width = image.shape[:2]
    values = to_u8(np.ascontiguousarray(grid)).astype(np.float32)
    return _scaled(np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)))


def _scaled(values: npt.NDArray[np.float32]) -> Map:
    """Return a map scaled to its own full range 0..1: between the centres of cells none of its ends need be reached."""
    return min_max_scaled(values.astype(np.float64)).astype(np.float32)


def _seed(image: Images, seed: int) -> int:
    """Return a seed of its own for every image, whatever their order."""
    return zlib.crc32(np.ascontiguousarray(image).tobytes(), seed)


def _detail(manifest: Manifest) -> str:
    grid = "x".join(str(extent or "?") for extent in manifest.grid)
    how = [f"mask {manifest.mask}", f"score {manifest.score}"] if manifest.mask else []
    how += [f"{manifest.combine} over the levels"] if manifest.combine else []
    how += [f"top-k {manifest.top_k}"] if manifest.top_k else []
    return ", ".join([manifest.method, *how, f"grid {grid}"])
