"""The preprocessing a model asks for, read from its image input and its rt_info `model_info`."""

from __future__ import annotations

import math

import openvino as ov

from ov_xai.errors import RequestError, UnsupportedModelError
from ov_xai.graph.image_input import CHANNEL_EXTENTS, find_image_input
from ov_xai.graph.model_info import info_value, is_true
from ov_xai.graph.view import sizes
from ov_xai.runtime.bounds import Bounds
from ov_xai.runtime.image_size import MAX_PIXELS
from ov_xai.runtime.overrides import InputColor, Overrides, Resize
from ov_xai.runtime.preprocessing import Preprocessing, listed


def preprocessing_of(model: ov.Model, overrides: Overrides | None = None) -> Preprocessing:
    """Return the preprocessing a model asks for, from its rt_info `model_info` and the caller's overrides.

    Without either, values stay 0..255, RGB, and the photo is stretched to the input.

    Raises:
        UnsupportedModelError: the model has no image input, or one with other than 1, 3 or 4 channels.
        RequestError: a setting does not fit, e.g. two mean values for three channels.
    """
    given = overrides or Overrides()
    source, letters = find_image_input(model)
    extents = dict(zip(letters, sizes(source) or [], strict=True))
    channels, width, height = extents["C"] or 3, extents["W"], extents["H"]
    if channels not in CHANNEL_EXTENTS:
        raise UnsupportedModelError(
            f"The layout of the image input, {letters}, gives it {channels} channels; expected 1, 3 or 4",
            node=source.get_node().get_friendly_name(),
            remedy="Correct the layout, or export the model for images of 1, 3 or 4 channels.",
        )
    if (width or 1) * (height or 1) > MAX_PIXELS:
        raise UnsupportedModelError(f"The model's input has {width}x{height} pixels; at most {MAX_PIXELS} are made")
    embedded = source.get_element_type() == ov.Type.u8
    mean, mean_origin = _numbers_of(model, "mean_values", given.mean, 0.0, embedded)
    scale, scale_origin = _numbers_of(model, "scale_values", given.scale, 1.0, embedded)
    mean, scale = _per_channel("mean", mean, channels), _per_channel("scale", scale, channels)
    if 0 in scale:
        raise RequestError("scale contains 0; values are divided by it. Give other --scale values.")
    resize, resize_origin = _resize(model, given)
    color, color_origin = _input_color(model, given, mean)
    return Preprocessing(
        position=[item.get_node().get_friendly_name() for item in model.inputs].index(
            source.get_node().get_friendly_name()
        ),
        letters=letters,
        input_wh=(width, height),
        channels=channels,
        mean=mean,
        scale=scale,
        resize=resize,
        input_color=color,
        pad_value=int(_number(model, "pad_value", 0, (0, 255))),
        crop_fraction=_number(model, "crop_fraction", 1, (0.01, 1)),
        bounds_wh=(_bounds(source, letters, "W"), _bounds(source, letters, "H")),
        origin={"mean": mean_origin, "scale": scale_origin, "resize": resize_origin, "input_color": color_origin},
    )


def _bounds(source: ov.Output, letters: str, letter: str) -> Bounds:
    """Return the lengths that an axis of the image input may have."""
    length = source.get_partial_shape()[letters.index(letter)]
    most = length.get_max_length()  # negative where there is no limit
    return Bounds(max(1, length.get_min_length()), most if most > 0 else None)


def _number(model: ov.Model, key: str, default: float, allowed: tuple[float, float]) -> float:
    text = info_value(model, key)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not allowed[0] <= value <= allowed[1]:
        raise UnsupportedModelError(
            f"model_info/{key} is '{text}'; expected a number from {allowed[0]:g} to {allowed[1]:g}",
            remedy="Correct the rt_info of the model.",
        )
    return value


def _numbers_of(
    model: ov.Model, key: str, given: tuple[float, ...] | None, default: float, embedded: bool
) -> tuple[tuple[float, ...], str]:
    """Return numbers and where they come from; a u8 input has its normalisation inside the model."""
    if given is not None:
        return given, "given"
    if embedded:
        return (default,), "u8 input, in the model"
    stored = info_value(model, key)
    if stored is None:
        return (default,), "assumed"
    try:
        return tuple(float(part) for part in stored.replace(",", " ").split()), "model_info"
    except ValueError as error:
        raise UnsupportedModelError(f"model_info/{key} is '{stored}'; expected numbers") from error


def _per_channel(name: str, values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    spread = values * channels if len(values) == 1 else values
    if not all(math.isfinite(value) for value in spread):
        raise RequestError(f"{name} is {listed(values)}; expected finite numbers.")
    if len(spread) != channels:
        raise RequestError(
            f"{name} has {len(values)} values, but the input has {channels} channels; give 1 or that many."
        )
    return spread


def _resize(model: ov.Model, given: Overrides) -> tuple[Resize, str]:
    if given.resize is not None:
        return given.resize, "given"
    stored = info_value(model, "resize_type")
    if stored in {member.value for member in Resize}:
        return Resize(stored), "model_info"
    return Resize.STANDARD, "assumed" if stored is None else f"assumed, model_info says '{stored}'"


def _input_color(model: ov.Model, given: Overrides, mean: tuple[float, ...]) -> tuple[InputColor, str]:
    """Return the channel order and where it comes from.

    `reverse_input_channels` is said from the view of an image read as BGR: true means the model wants RGB. When it is
    false, exporters that read RGB mean RGB all the same; the ImageNet means, largest for red, tell them apart.
    """
    if given.input_color is not None:
        return given.input_color, "given"
    stored = info_value(model, "reverse_input_channels")
    if stored is None:
        return InputColor.RGB, "assumed"
    if is_true(stored) or (len(mean) >= 3 and mean[0] > mean[2]):
        return InputColor.RGB, "model_info"
    return InputColor.BGR, "model_info"
