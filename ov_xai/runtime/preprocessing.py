"""From a photo to the model's input."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ov_xai.errors import InputError
from ov_xai.runtime.bounds import Bounds
from ov_xai.runtime.image_size import MAX_PIXELS
from ov_xai.runtime.images import Image
from ov_xai.runtime.overrides import InputColor, Resize
from ov_xai.runtime.placement import Box, Placement


@dataclass(frozen=True)
class Preprocessing:
    """Everything between a photo and the input tensor.

    Attributes:
        position: index of the image among the model's inputs.
        letters: layout of the input, e.g. "NCHW".
        input_wh: width and height of the input; None for a side that the model leaves open.
        channels: 1, 3 or 4.
        mean: subtracted, one per channel.
        scale: divided by, one per channel.
        resize: how the photo is resized.
        input_color: channel order.
        pad_value: colour of the padding.
        crop_fraction: for `crop`, the side of the centre square relative to the largest that fits.
        origin: where each setting comes from, for the line that is printed.
        bounds_wh: what width and height may be where the model leaves them open.
    """

    position: int
    letters: str
    input_wh: tuple[int | None, int | None]
    channels: int
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    resize: Resize
    input_color: InputColor
    pad_value: int = 0
    crop_fraction: float = 1.0
    origin: dict[str, str] = field(default_factory=dict)
    bounds_wh: tuple[Bounds, Bounds] = (Bounds(), Bounds())

    def describe(self) -> str:
        """Return one line that says what is done and where each setting comes from."""
        parts = [
            self._describe_resize(),
            f"input color {self.input_color.value} ({self.origin['input_color']})",
            f"mean {listed(self.mean)} ({self.origin['mean']})",
            f"scale {listed(self.scale)} ({self.origin['scale']})",
        ]
        return "preprocessing: " + ", ".join(parts)

    def _describe_resize(self) -> str:
        width, height = self.input_wh
        wide, high = self.bounds_wh
        if width is None and height is None:
            if wide == high == Bounds():
                return "the photo's own size (the model takes any)"
            return f"the photo's own size, brought within what the model takes (width {wide}, height {high})"
        if width is None or height is None:
            side, bounds = (f"width {width}", high) if height is None else (f"height {height}", wide)
            return f"resize to {side} in the photo's own shape (the model takes {bounds} of the other side)"
        crop = f" of {self.crop_fraction:g}" if self.resize is Resize.CROP else ""
        return f"resize {self.resize.value}{crop} to {width}x{height} ({self.origin['resize']})"

    @property
    def fixed_size(self) -> bool:
        """Return whether the input has one size, whatever the photo's."""
        return None not in self.input_wh

    def __call__(self, photo: Image) -> tuple[Image, Placement]:
        """Return the tensor for an `embedded` model, u8 [1, h, w, C], and where it lies in the photo.

        Args:
            photo: u8 [H, W, 3], RGB.

        Raises:
            InputError: the model leaves a side open, and the photo would make it too long.
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
        pixels = self(photo)[0]  # (1, h, w, C)
        values: npt.NDArray[Any] = self.normalised(pixels) if self.normalises else pixels
        turned = values.transpose(["NHWC".index(letter) for letter in ("N" + self.letters)[-4:]])
        return np.ascontiguousarray(turned if "N" in self.letters else turned[0])

    @property
    def normalises(self) -> bool:
        """Return whether anything is subtracted or divided by."""
        return any(self.mean) or any(item != 1 for item in self.scale)

    def normalised(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return pixels 0..255, [..., C] in the order of the input's channels, as the network takes them: f32."""
        mean, scale = np.array(self.mean, np.float32), np.array(self.scale, np.float32)
        return np.asarray((pixels.astype(np.float32) - mean) / scale)

    def _in_channels(self, canvas: Image) -> Image:
        if self.channels == 1:
            return np.asarray(cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY), np.uint8)[:, :, None]
        ordered = canvas[:, :, ::-1] if self.input_color is InputColor.BGR else canvas
        if self.channels == 4:
            return np.dstack([ordered, np.full(canvas.shape[:2], 255, np.uint8)])
        return ordered

    def place(self, width: int, height: int) -> Placement:
        """Return where the input of a photo of this size lies in the photo.

        Where the model leaves a side open, the photo keeps its shape and nothing is cut off or padded.

        Raises:
            InputError: the open side would be too long.
        """
        input_w, input_h = input_wh = self._size_for(width, height)
        full: Box = (0, 0, width, height)
        whole: Box = (0, 0, input_w, input_h)
        if self.resize is Resize.STANDARD or not self.fixed_size:
            return Placement((width, height), full, input_wh, whole)
        if self.resize is Resize.CROP:
            ratio = min(width / input_w, height / input_h) * self.crop_fraction
            crop_w, crop_h = max(1, round(input_w * ratio)), max(1, round(input_h * ratio))
            left, top = (width - crop_w) // 2, (height - crop_h) // 2
            return Placement((width, height), (left, top, left + crop_w, top + crop_h), input_wh, whole)
        ratio = min(input_w / width, input_h / height)
        new_w, new_h = max(1, round(width * ratio)), max(1, round(height * ratio))
        centred = self.resize is Resize.LETTERBOX
        left, top = ((input_w - new_w) // 2, (input_h - new_h) // 2) if centred else (0, 0)
        return Placement((width, height), full, input_wh, (left, top, left + new_w, top + new_h))

    def _size_for(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the input for a photo of a size."""
        ratio = self._ratio_for(width, height)
        input_w = self.input_wh[0] or self.bounds_wh[0].clipped(width * ratio)
        input_h = self.input_wh[1] or self.bounds_wh[1].clipped(height * ratio)
        if input_w * input_h > MAX_PIXELS:
            raise InputError(
                f"An image of {width}x{height} makes an input of {input_w}x{input_h}; at most {MAX_PIXELS} pixels are "
                "made. Cut it into parts."
            )
        return input_w, input_h

    def _ratio_for(self, width: int, height: int) -> float:
        """Return by how much a photo of a size is scaled along open sides: by no more than bounds ask for.

        Where no scale meets all of them, the largest side fits and the other is stretched.
        """
        photo_wh = (width, height)
        fixed = [side / own for side, own in zip(self.input_wh, photo_wh, strict=True) if side is not None]
        if fixed:
            return fixed[0]
        bounded = list(zip(self.bounds_wh, photo_wh, strict=True))
        least = max(bounds.least / own for bounds, own in bounded)
        most = min(((bounds.most / own) for bounds, own in bounded if bounds.most is not None), default=math.inf)
        return min(max(1, least), most)

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


def listed(values: tuple[float, ...]) -> str:
    """Return numbers as text, once where all are equal."""
    unique = values[:1] if len(set(values)) == 1 else values
    return " ".join(f"{value:g}" for value in unique)
