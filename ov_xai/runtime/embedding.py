"""Models that take images as photos are: rows of pixels, channels last, in batches of a size."""

from __future__ import annotations

import openvino as ov
from openvino.preprocess import PrePostProcessor

from ov_xai.errors import UnsupportedModelError
from ov_xai.graph.reason import reason_of
from ov_xai.runtime.preprocessing import Preprocessing


def embedded(model: ov.Model, preprocessing: Preprocessing) -> ov.Model:
    """Return the model with everything behind the resize inside: its image input becomes u8 [N, h, w, C].

    Type, layout, mean and scale are applied by the device, which is several times faster than NumPy.

    Raises:
        UnsupportedModelError: OpenVINO cannot do so, as with an input whose size is bounded.
    """
    return channels_last(model, preprocessing, ov.Type.u8, normalise=preprocessing.normalises)


def channels_last(model: ov.Model, preprocessing: Preprocessing, kind: ov.Type, *, normalise: bool = False) -> ov.Model:
    """Return the model with an image input [N, h, w, C], or [h, w, C] where it has no batch axis.

    Args:
        model: changed.
        preprocessing: that of the model.
        kind: type of the new input.
        normalise: subtract the mean and divide by the scale inside the model.

    Raises:
        UnsupportedModelError: OpenVINO cannot do so.
    """
    steps = PrePostProcessor(model)
    image = steps.input(preprocessing.position)
    image.tensor().set_element_type(kind)
    image.tensor().set_layout(ov.Layout("NHWC" if "N" in preprocessing.letters else "HWC"))
    image.model().set_layout(ov.Layout(preprocessing.letters))
    if normalise:
        scaled = image.preprocess().convert_element_type(ov.Type.f32)
        scaled.mean(list(preprocessing.mean)).scale(list(preprocessing.scale))
    try:
        return steps.build()
    except RuntimeError as error:
        raise UnsupportedModelError(
            f"OpenVINO cannot give the model an image: {reason_of(error)}",
            remedy="Fix the size of its input with `ov.Model.reshape`.",
        ) from error


def set_batch(model: ov.Model, preprocessing: Preprocessing, images: int) -> None:
    """Give a model a batch of so many images; one without a batch axis is left as it is.

    Static shapes run faster than dynamic ones.

    Raises:
        UnsupportedModelError: the model does not allow it.
    """
    axis = preprocessing.letters.find("N")
    if axis < 0:
        return
    source = model.inputs[preprocessing.position]
    shape = source.get_partial_shape()
    old = shape[axis]
    if old.is_static and old.get_length() == images:
        return
    shape[axis] = images
    try:
        model.reshape({source.get_node().output(0): shape} if len(model.inputs) > 1 else shape)
    except RuntimeError as error:
        count = "one image" if images == 1 else f"{images} images"
        raise UnsupportedModelError(
            f"The model has a fixed batch of {old} and cannot be run on {count}",
            remedy="Export it with a batch of one or a dynamic batch.",
        ) from error
