"""Where the model's input lies in the photo, and boxes taken from one to the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Box = tuple[int, int, int, int]
Array = npt.NDArray[Any]


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

    def to_photo(self, boxes: Array) -> Array:
        """Return boxes in pixels of the input as boxes in pixels of the photo, cut off at its border.

        Args:
            boxes: f64 [n, 4], x0 y0 x1 y1.
        """
        moved = _moved(boxes, self.content_xyxy, self.source_xyxy)
        return np.asarray(np.clip(moved, 0, np.tile(self.photo_wh, 2)))

    def to_input(self, boxes: Array) -> Array:
        """Return boxes in pixels of the photo as boxes in pixels of the input, cut off where the photo ends in it.

        A box that the input does not show has no extent left.

        Args:
            boxes: f64 [n, 4], x0 y0 x1 y1.
        """
        moved = _moved(boxes, self.source_xyxy, self.content_xyxy)
        return np.asarray(np.clip(moved, np.tile(self.content_xyxy[:2], 2), np.tile(self.content_xyxy[2:], 2)))


def _moved(boxes: Array, old: Box, new: Box) -> Array:
    """Return boxes moved as one rectangle is to another."""
    scale = [(new[2] - new[0]) / (old[2] - old[0]), (new[3] - new[1]) / (old[3] - old[1])]
    return np.asarray((boxes - np.tile(old[:2], 2)) * np.tile(scale, 2) + np.tile(new[:2], 2))
