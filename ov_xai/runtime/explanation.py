"""What one inference says about one image."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ov_xai.errors import ModelMismatchError, OutputError, RequestError
from ov_xai.runtime.boxes import crop, draw_boxes, mass_inside
from ov_xai.runtime.files import write_whole
from ov_xai.runtime.images import Image
from ov_xai.runtime.labels import safe_labels
from ov_xai.runtime.placement import Placement
from ov_xai.runtime.png import encode_indexed, encode_rgb
from ov_xai.runtime.predictions import BoxXYXY, Prediction
from ov_xai.runtime.rendering import blend, palette, parse_colormap, place_map, to_u8

DEFAULT_COLORMAP = "jet"
DEFAULT_WEIGHT = 0.5


@dataclass(frozen=True)
class RenderOptions:
    """How maps are drawn.

    Attributes:
        weight: part of the map in an overlay, 0..1.
        colormap: name of the colour map, in any case.
        crop_padding: leave out the part of a map that lies on the padding of a letterboxed input.
        rendered: write pictures; otherwise raw maps as `.npy` and `.tiff`.
        per_detection: also write, for each detection, its part of the overlay.

    Raises:
        RequestError: there is no such colour map, or the weight is not from 0 to 1.
    """

    weight: float = DEFAULT_WEIGHT
    colormap: str = DEFAULT_COLORMAP
    crop_padding: bool = True
    rendered: bool = True
    per_detection: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise RequestError(f"The overlay weight is {self.weight:g}; expected a number from 0 to 1.")
        object.__setattr__(self, "colormap", parse_colormap(self.colormap))


@dataclass(frozen=True)
class Explanation:
    """Predictions and maps of one image.

    Attributes:
        photo: u8 [H, W, 3], RGB.
        predictions: classes at or above the threshold, best first; of a classifier at least the best class. A detector
            has one per detection, so a class may stand several times or none may.
        maps: label -> map [h, w], u8 0..255 or f32 raw values, as the model gives them. Methods with one map per image
            have a single entry named after the method.
        confidences: label -> confidence, for every class-wise map; of a detector the best detection's, where there is
            one.
        placement: where the model's input lies in the photo.
        safe_names: label -> the same as part of a file name.
        method: canonical name of the saliency method.
        milliseconds: how long the inference took.
    """

    photo: Image
    predictions: Sequence[Prediction]
    maps: Mapping[str, npt.NDArray[Any]]
    confidences: Mapping[str, float]
    placement: Placement
    safe_names: Mapping[str, str]
    method: str
    milliseconds: float

    def saliency_map(self, label: str, crop_padding: bool = True) -> npt.NDArray[np.uint8]:
        """Return the map of a label in the size of the photo: u8 [H, W], 255 = most attention.

        Raises:
            ModelMismatchError: there is no map of that label.
        """
        return place_map(to_u8(self._map(label)), self.placement, crop_padding)

    def overlay(
        self,
        label: str,
        weight: float = DEFAULT_WEIGHT,
        colormap: str = DEFAULT_COLORMAP,
        crop_padding: bool = True,
    ) -> Image:
        """Return the photo with the map of a label laid over it: u8 [H, W, 3], RGB.

        The boxes of detections are drawn: those of the label, with a map per image all.

        Args:
            label: which map.
            weight: part of the map, 0..1.
            colormap: name of the colour map, in any case.
            crop_padding: see `RenderOptions`.

        Raises:
            ModelMismatchError: there is no map of that label.
            RequestError: there is no such colour map, or the weight is not from 0 to 1.
        """
        options = RenderOptions(weight, colormap, crop_padding)
        saliency = self.saliency_map(label, options.crop_padding)
        plain = blend(self.photo, saliency, options.weight, palette(options.colormap), self.placement)
        return self._with_boxes(plain, label)

    def mass_inside(self, prediction: Prediction, crop_padding: bool = True) -> float | None:
        """Return the part of the map of a detection's class that lies inside its box, 0..1.

        That of a map in the size of the photo; 0 for a map without any attention.

        Returns:
            None where the prediction has no box, or its class no map.
        """
        if prediction.box is None or prediction.label not in self.maps:
            return None
        return mass_inside(self.saliency_map(prediction.label, crop_padding), prediction.box)

    def masses_inside(self, crop_padding: bool = True) -> list[float | None]:
        """Return `mass_inside` of every prediction; each map is brought to the size of the photo once."""
        labels = {item.label for item in self.predictions if item.box is not None and item.label in self.maps}
        maps = {label: self.saliency_map(label, crop_padding) for label in labels}
        return [
            None if item.box is None or item.label not in maps else mass_inside(maps[item.label], item.box)
            for item in self.predictions
        ]

    def save(
        self, folder: str | os.PathLike[str], stem: str = "image", options: RenderOptions | None = None
    ) -> list[Path]:
        """Write the maps into a folder and return the files.

        Pictures: `{stem}_{label}_saliency_map.png` and `{stem}_{label}_overlay_img.png`, in the size of the photo.
        Raw: `{stem}_{label}_saliency_map.npy` and `.tiff`, in the size of the grid. With `per_detection` also
        `{stem}_{label}_{n}_detection.png`, n from 1, best first. Each file is written whole or not at all.

        Raises:
            OutputError: the folder cannot be written.
        """
        return [path for paths in self.save_maps(folder, stem, options).values() for path in paths]

    def save_maps(
        self, folder: str | os.PathLike[str], stem: str = "image", options: RenderOptions | None = None
    ) -> dict[str, list[Path]]:
        """Do what `save` does and return the files of each label.

        Raises:
            OutputError: the folder cannot be written.
        """
        options = options or RenderOptions()
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return {label: self._save_one(folder, stem, label, options) for label in self.maps}
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(f"Cannot write into '{folder}': {reason}. Change the output folder.") from error

    def _save_one(self, folder: Path, stem: str, label: str, options: RenderOptions) -> list[Path]:
        prefix = f"{stem}_{self.safe_names.get(label) or safe_labels([label])[0]}"
        if not options.rendered:
            return self._save_raw(folder, prefix, self.maps[label])
        colours = palette(options.colormap)
        picture = self.saliency_map(label, options.crop_padding)
        plain = blend(self.photo, picture, options.weight, colours, self.placement)
        files = [
            write_whole(folder / f"{prefix}_saliency_map.png", encode_indexed(picture, colours)),
            write_whole(folder / f"{prefix}_overlay_img.png", encode_rgb(self._with_boxes(plain, label))),
        ]
        if options.per_detection:
            boxes = [item.box for item in self.predictions if item.label == label and item.box is not None]
            for number, box in enumerate(boxes, start=1):
                name = folder / f"{prefix}_{number}_detection.png"
                files.append(write_whole(name, encode_rgb(crop(plain, box))))
        return files

    def _save_raw(self, folder: Path, prefix: str, values: npt.NDArray[Any]) -> list[Path]:
        done, encoded = cv2.imencode(".tiff", values)
        if not done:
            raise OutputError(f"The map '{prefix}' cannot be encoded as TIFF.")
        return [
            write_whole(folder / f"{prefix}_saliency_map.npy", _npy(values)),
            write_whole(folder / f"{prefix}_saliency_map.tiff", encoded.tobytes()),
        ]

    def _with_boxes(self, picture: Image, label: str) -> Image:
        """Return a picture with the boxes of a label's detections; a map per image, which is of no label, shows all."""
        boxes: list[tuple[BoxXYXY, str]] = [
            (item.box, f"{item.label} {item.confidence:.2f}")
            for item in self.predictions
            if item.box is not None and (item.label == label or label not in self.safe_names)
        ]
        return draw_boxes(picture, boxes)

    def _map(self, label: str) -> npt.NDArray[Any]:
        if label not in self.maps:
            raise ModelMismatchError(
                f"There is no map of '{label}'; this image has: {', '.join(self.maps) or 'none'}. Use classes='all'."
            )
        return self.maps[label]


def _npy(values: npt.NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=False)
    return stream.getvalue()
