"""The model under evaluation: its network, its maps and what it says of a photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov

from ov_xai.errors import ModelMismatchError, UnsupportedModelError
from ov_xai.evaluation.network import Array, Images, Predictor, Read
from ov_xai.graph.io import read_model
from ov_xai.graph.manifest import Manifest, read_manifest
from ov_xai.graph.model_info import info_value, is_true
from ov_xai.graph.readout import Readout
from ov_xai.graph.trial import EXACT
from ov_xai.insertion import Source, insert, remove
from ov_xai.runtime.detections import best_confidences
from ov_xai.runtime.images import Image
from ov_xai.runtime.overrides import Overrides
from ov_xai.runtime.placement import Placement
from ov_xai.runtime.predictions import to_probabilities
from ov_xai.runtime.preprocessing import Preprocessing
from ov_xai.runtime.session import Session

_CLASSIFICATION = "classification"


@dataclass(frozen=True)
class Subject:
    """The model under evaluation.

    Attributes:
        name: of its file.
        plain: without a saliency branch.
        shown: with the branch it has, or with the default one.
        patched: whether it had one.
        manifest: that of `shown`.
        session: runs `shown` as the product does.
        predict: images -> probabilities; None where the outputs hold no score per class.
        device: OpenVINO device name.
    """

    name: str
    plain: ov.Model
    shown: ov.Model
    patched: bool
    manifest: Manifest
    session: Session
    predict: Predictor | None
    device: str

    @property
    def classifier(self) -> bool:
        """Return whether the model is a classifier."""
        return self.manifest.task == _CLASSIFICATION

    @property
    def preprocessing(self) -> Preprocessing:
        """Return what lies between a photo and the network."""
        return self.session.preprocessing

    @property
    def labels(self) -> Sequence[str]:
        """Return the labels by class index."""
        return self.session.labels

    def prepare(self, photo: Image) -> tuple[Images, Placement]:
        """Return a photo, u8 [H, W, 3], RGB, as the network takes it, f32 [h, w, C], and where that lies in it."""
        tensor, placement = self.preprocessing(photo)
        return self.preprocessing.normalised(tensor[0]), placement


def open_subject(
    model: Source, *, overrides: Overrides | None, labels: Sequence[str] | None, device: str, batch: int, safe: bool
) -> Subject:
    """Return a model, plain or patched, ready for evaluation.

    Raises:
        ModelReadError: the file cannot be read.
        UnsupportedModelError: the model cannot be patched.
        ModelMismatchError: the labels do not match the class count, or the manifest tells of other outputs.
        DeviceError: the device is unknown or cannot run the model.
    """
    source = model.clone() if isinstance(model, ov.Model) else read_model(model, safe=safe)
    name = source.get_friendly_name() if isinstance(model, ov.Model) else Path(model).name
    patched = read_manifest(source) is not None
    shown = source if patched else insert(model)
    plain = remove(source) if patched else source
    manifest = read_manifest(shown)
    if manifest is None:
        raise UnsupportedModelError("The model carries no manifest", remedy="Patch the original model again.")
    _require_outputs(plain, manifest)
    session = Session(shown, device, labels=labels, overrides=overrides, requests=1, config=EXACT)
    read = _reader(plain, manifest)
    images = batch if manifest.task == _CLASSIFICATION else 1
    predict = None if read is None else Predictor(plain, session.preprocessing, read, device, images)
    return Subject(name, plain, shown, patched, manifest, session, predict, device)


def _require_outputs(plain: ov.Model, manifest: Manifest) -> None:
    """Refuse a model without the outputs that its manifest tells of.

    Raises:
        ModelMismatchError: it has not.
    """
    readout, named = manifest.readout, []
    if manifest.task == _CLASSIFICATION:
        named = [manifest.score_output]
    elif isinstance(readout, Readout):
        columns = (*readout.scores, readout.boxes, readout.labels, readout.objectness)
        named = [item.output for item in columns if item is not None]
    count = len(plain.outputs)
    if max(named, default=-1) >= count:
        raise ModelMismatchError(
            f"The manifest tells of output {max(named)}, counted from 0, but the model without its saliency branch has "
            f"{count} outputs. Outputs of its own must not be named under ov_xai/: patch the original model again."
        )


def _reader(plain: ov.Model, manifest: Manifest) -> Read | None:
    """Return what finds the probabilities of classes in the outputs; None where there are none.

    Of a classifier they are its scores; of a detector the best confidence of each class over all places, where the
    outputs hold those of all places and not of a selection.
    """
    if manifest.task == _CLASSIFICATION:
        multilabel = is_true(info_value(plain, "multilabel"))

        def read(outputs: Sequence[Array]) -> Array:
            scores = outputs[manifest.score_output].reshape(-1, manifest.classes).astype(np.float64)
            return to_probabilities(scores, manifest.activation, multilabel)

        return read
    readout = manifest.readout
    if isinstance(readout, Readout) and not readout.selected and readout.scores:
        return lambda outputs: best_confidences(outputs, readout)[None]
    return None
