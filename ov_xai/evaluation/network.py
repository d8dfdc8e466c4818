"""A model compiled for images in the units of its own input, one by one and in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.errors import DeviceError, InputError, UnsupportedModelError
from ov_xai.graph.reason import reason_of
from ov_xai.graph.trial import EXACT
from ov_xai.runtime.device import compile_for
from ov_xai.runtime.embedding import channels_last, set_batch
from ov_xai.runtime.preprocessing import Preprocessing

Array = npt.NDArray[Any]
Images = npt.NDArray[np.float32]
#: Outputs of an inference -> probabilities, one row per image.
Read = Callable[[Sequence[Array]], Array]

#: A batch must say of an image what the image alone says, within this much probability.
_SAME_PROBABILITY = 1e-3
#: Part of a batch that must be filled with images: on a CPU an image costs about a fifth less in a batch than alone.
_WORTH_A_BATCH = 0.8


class Network:
    """A model in single precision that takes f32 [batch, h, w, C], normalised, whatever its own type and layout.

    A u8 input has its normalisation inside the model: it takes values 0..255, which are rounded.

    Args:
        model: left as it is.
        preprocessing: that of the model.
        device: OpenVINO device name.
        batch: images per inference.

    Raises:
        UnsupportedModelError: the model cannot be reshaped to the batch.
        DeviceError: the device cannot run the model.
    """

    def __init__(self, model: ov.Model, preprocessing: Preprocessing, device: str, batch: int = 1) -> None:
        prepared = model.clone()
        self._position = preprocessing.position
        self._batched = "N" in preprocessing.letters
        set_batch(prepared, preprocessing, batch)
        self._bytes = prepared.inputs[self._position].get_element_type() == ov.Type.u8
        prepared = channels_last(prepared, preprocessing, ov.Type.u8 if self._bytes else ov.Type.f32)
        self._compiled = compile_for(prepared, device, EXACT)
        self.batch = batch
        self.outputs = {name: index for index, port in enumerate(self._compiled.outputs) for name in port.get_names()}

    def __call__(self, images: Images) -> list[Array]:
        """Return copies of all outputs.

        Args:
            images: f32 [batch, h, w, C].

        Raises:
            InputError: the model cannot run on images of this size.
        """
        tensor = images if self._batched else images[0]
        if self._bytes:
            tensor = np.clip(np.rint(tensor), 0, 255).astype(np.uint8)
        try:
            found = self._compiled({self._position: np.ascontiguousarray(tensor)})
        except RuntimeError as error:
            height, width = images.shape[1:3]
            raise InputError(f"The model cannot run on an image of {width}x{height}: {reason_of(error)}.") from error
        return [np.array(found[index]) for index in range(len(self._compiled.outputs))]


class Predictor:
    """Probabilities of images, in batches where the model can take them.

    A few images are run one by one; the last batch is filled up with copies of its last image where that is cheaper.

    Args:
        model: the plain model.
        preprocessing: that of the model.
        read: finds the probabilities.
        device: OpenVINO device name.
        batch: images per inference; 1 for one by one.
    """

    def __init__(self, model: ov.Model, preprocessing: Preprocessing, read: Read, device: str, batch: int) -> None:
        self._read = read
        self._one = Network(model, preprocessing, device)
        self._many = self._in_batches(model, preprocessing, device, batch) if batch > 1 else None

    @property
    def batch(self) -> int:
        """Return how many images an inference takes at most."""
        return 1 if self._many is None else self._many.batch

    def __call__(self, images: Images) -> npt.NDArray[np.float32]:
        """Return probabilities, f32 [B, K].

        Args:
            images: f32 [B, h, w, C], normalised.
        """
        rows, start = [], 0
        while start < len(images):
            network = self._one
            if self._many is not None and len(images) - start >= _WORTH_A_BATCH * self._many.batch:
                network = self._many
            part = images[start : start + network.batch]
            rows.append(self._read(network(_filled(part, network.batch)))[: len(part)])
            start += len(part)
        return np.concatenate(rows).astype(np.float32)

    def _in_batches(self, model: ov.Model, preprocessing: Preprocessing, device: str, batch: int) -> Network | None:
        """Return the model for a batch; None where it cannot take one, or mixes the images of a batch."""
        width, height = preprocessing.input_wh
        if "N" not in preprocessing.letters or width is None or height is None:
            return None
        noise = np.random.default_rng(0).integers(0, 256, (batch, height, width, preprocessing.channels))
        images = preprocessing.normalised(noise)
        alone = [self._read(self._one(images[index : index + 1])) for index in (0, batch - 1)]
        try:
            many = Network(model, preprocessing, device, batch)
            together = self._read(many(images))
        except (UnsupportedModelError, ValueError, DeviceError, InputError):
            return None
        same = together.shape == (batch, alone[0].shape[1]) and np.allclose(
            together[[0, -1]], np.concatenate(alone), rtol=0, atol=_SAME_PROBABILITY
        )
        return many if same else None


def _filled(images: Images, batch: int) -> Images:
    return np.concatenate([images, np.repeat(images[-1:], batch - len(images), axis=0)])
