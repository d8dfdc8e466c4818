"""From a photo to the model's input, and back from the input to places in the photo."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino.preprocess import PrePostProcessor

from ov_xai.errors import RequestError, UnsupportedModelError
from ov_xai.graph.image_input import find_image_input
from ov_xai.graph.model_info import info_value, is_true
from ov_xai.graph.view import sizes
from ov_xai.runtime.image_size import MAX_PIXELS
from ov_xai.runtime.images import Image

Box = tuple[int, int, int, int]


class Resize(str, Enum):
    """How a photo is brought to the size of the input; the names are those of Model API."""

    STANDARD = "standard"
    FIT_TO_WINDOW = "fit_to_window"
    LETTERBOX = "fit_to_window_letterbox"
    CROP = "crop"


class InputColor(str, Enum):
    """Order of the channels the model expects."""

    RGB = "rgb"
    BGR = "bgr"


@dataclass(frozen=True)
class Overrides:
    """What the caller says about preprocessing; None leaves it to the model.

    Attributes:
        mean: one number or one per channel, in units of 0..255.
        scale: the same; values are divided by it.
        resize: how the photo is resized.
        input_color: channel order of the input.
    """

    mean: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    resize: Resize | None = None
    input_color: InputColor | None = None


@dataclass(frozen=True)
class Placement:
    """Where the model's input lies in the photo.

    Attributes:
        photo_wh: width and height of the photo in pixels.
        source_xyxy: the part of the photo the model saw.
        input_wh: width and height of the model's input.
        content_xyxy: the part of the input that part was drawn to; the rest is padding.
    """

    photo_wh: tuple[int, int]
    source_xyxy: Box
    input_wh: tuple[int, int]
    content_xyxy: Box

    @property
    def padded(self) -> bool:
        """Return whether part of the input is padding."""
        return self.content_xyxy != (0, 0, *self.input_wh)


@dataclass(frozen=True)
class Preprocessing:
    """Everything between a photo and the input tensor.

    Attributes:
        position: index of the image among the model's inputs.
        letters: layout of the input, e.g. "NCHW".
        input_wh: width and height of the input; None takes the photo's own.
        channels: 1, 3 or 4.
        mean: subtracted, one per channel.
        scale: divided by, one per channel.
        resize: how the photo is resized.
        input_color: channel order.
        pad_value: colour of the padding.
        crop_fraction: for `crop`, the side of the centre square relative to the largest that fits.
        origin: where each setting comes from, for the line that is printed.
    """

    position: int
    letters: str
    input_wh: tuple[int, int] | None
    channels: int
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    resize: Resize
    input_color: InputColor
    pad_value: int = 0
    crop_fraction: float = 1.0
    origin: dict[str, str] = field(default_factory=dict)

    def describe(self) -> str:
        """Return one line that says what is done and where each setting comes from."""
        size = "the photo's own size" if self.input_wh is None else f"{self.input_wh[0]}x{self.input_wh[1]}"
        crop = f" of {self.crop_fraction:g}" if self.resize is Resize.CROP else ""
        parts = [
            f"resize {self.resize.value}{crop} to {size} ({self.origin['resize']})",
            f"input color {self.input_color.value} ({self.origin['input_color']})",
            f"mean {_numbers(self.mean)} ({self.origin['mean']})",
            f"scale {_numbers(self.scale)} ({self.origin['scale']})",
        ]
        return "preprocessing: " + ", ".join(parts)

    def __call__(self, photo: Image) -> tuple[Image, Placement]:
        """Return the tensor for an `embedded` model, u8 [1, h, w, C], and where it lies in the photo.

        Args:
            photo: u8 [H, W, 3], RGB.
        """
        placement = self.place(photo.shape[1], photo.shape[0])
        return np.ascontiguousarray(self._in_channels(self._canvas(photo, placement))[None]), placement

    def plain(self, photo: Image) -> npt.NDArray[Any]:
        """Return the tensor for the model itself: what the steps of `embedded` make of `__call__`.

        Args:
            photo: u8 [H, W, 3], RGB.

        Returns:
            In the layout of the input; f32, or u8 where nothing is subtracted or divided by.
        """
        values: npt.NDArray[Any] = self(photo)[0]  # (1, h, w, C)
        if any(self.mean) or any(item != 1 for item in self.scale):
            values = (values.astype(np.float32) - np.array(self.mean, np.float32)) / np.array(self.scale, np.float32)
        turned = values.transpose(["NHWC".index(letter) for letter in ("N" + self.letters)[-4:]])
        return np.ascontiguousarray(turned if "N" in self.letters else turned[0])

    def embedded(self, model: ov.Model) -> ov.Model:
        """Return the model with everything behind the resize inside: its image input becomes u8 [N, h, w, C].

        Type, layout, mean and scale are applied by the device, which is several times faster than NumPy.

        Raises:
            UnsupportedModelError: OpenVINO cannot do so, as with an input whose size is bounded.
        """
        steps = PrePostProcessor(model)
        image = steps.input(self.position)
        image.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC" if "N" in self.letters else "HWC"))
        image.model().set_layout(ov.Layout(self.letters))
        if any(self.mean) or any(item != 1 for item in self.scale):
            image.preprocess().convert_element_type(ov.Type.f32).mean(list(self.mean)).scale(list(self.scale))
        try:
            return steps.build()
        except RuntimeError as error:
            raise UnsupportedModelError(
                f"OpenVINO cannot give the model an image: {str(error).strip().splitlines()[-1][:160]}",
                remedy="Fix the size of its input with `ov.Model.reshape`.",
            ) from error

    def _in_channels(self, canvas: Image) -> Image:
        if self.channels == 1:
            return np.asarray(cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY), np.uint8)[:, :, None]
        ordered = canvas[:, :, ::-1] if self.input_color is InputColor.BGR else canvas
        if self.channels == 4:
            return np.dstack([ordered, np.full(canvas.shape[:2], 255, np.uint8)])
        return ordered

    def place(self, width: int, height: int) -> Placement:
        """Return where the input of a photo of this size lies in the photo."""
        full: Box = (0, 0, width, height)
        if self.input_wh is None:
            return Placement((width, height), full, (width, height), full)
        input_w, input_h = self.input_wh
        whole: Box = (0, 0, input_w, input_h)
        if self.resize is Resize.STANDARD:
            return Placement((width, height), full, self.input_wh, whole)
        if self.resize is Resize.CROP:
            ratio = min(width / input_w, height / input_h) * self.crop_fraction
            crop_w, crop_h = max(1, round(input_w * ratio)), max(1, round(input_h * ratio))
            left, top = (width - crop_w) // 2, (height - crop_h) // 2
            return Placement((width, height), (left, top, left + crop_w, top + crop_h), self.input_wh, whole)
        ratio = min(input_w / width, input_h / height)
        new_w, new_h = max(1, round(width * ratio)), max(1, round(height * ratio))
        centred = self.resize is Resize.LETTERBOX
        left, top = ((input_w - new_w) // 2, (input_h - new_h) // 2) if centred else (0, 0)
        return Placement((width, height), full, self.input_wh, (left, top, left + new_w, top + new_h))

    def _canvas(self, photo: Image, placement: Placement) -> Image:
        x0, y0, x1, y1 = placement.source_xyxy
        left, top, right, bottom = placement.content_xyxy
        part = photo[y0:y1, x0:x1]
        size = (right - left, bottom - top)
        if size != (x1 - x0, y1 - y0):
            part = _resized(part, size)
        if not placement.padded:
            return part
        canvas = np.full((placement.input_wh[1], placement.input_wh[0], 3), self.pad_value, np.uint8)
        canvas[top:bottom, left:right] = part
        return canvas


def _resized(image: Image, size: tuple[int, int]) -> Image:
    """Return an image in another size (width, height), without aliasing.

    Shrinking by a whole factor averages blocks of pixels; what is left is less than a factor of two and interpolated.
    """
    height, width = image.shape[:2]
    factor = min(width // size[0], height // size[1])
    if factor >= 2:
        image = np.asarray(
            cv2.resize(image, (width // factor, height // factor), interpolation=cv2.INTER_AREA), np.uint8
        )
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _numbers(values: tuple[float, ...]) -> str:
    unique = values[:1] if len(set(values)) == 1 else values
    return " ".join(f"{value:g}" for value in unique)


def preprocessing_of(model: ov.Model, overrides: Overrides | None = None) -> Preprocessing:
    """Return the preprocessing a model asks for, from its rt_info `model_info` and the caller's overrides.

    Without either, values stay 0..255, RGB, and the photo is stretched to the input.

    Raises:
        UnsupportedModelError: the model has no image input.
        RequestError: a setting does not fit, e.g. two mean values for three channels.
    """
    given = overrides or Overrides()
    source, letters = find_image_input(model)
    extents = dict(zip(letters, sizes(source) or [], strict=True))
    channels, width, height = extents["C"] or 3, extents["W"], extents["H"]
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
        input_wh=None if width is None or height is None else (width, height),
        channels=channels,
        mean=mean,
        scale=scale,
        resize=resize,
        input_color=color,
        pad_value=int(_number(model, "pad_value", 0, (0, 255))),
        crop_fraction=_number(model, "crop_fraction", 1, (0.01, 1)),
        origin={"mean": mean_origin, "scale": scale_origin, "resize": resize_origin, "input_color": color_origin},
    )


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
        raise RequestError(f"{name} is {_numbers(values)}; expected finite numbers.")
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
