"""Boxes over pictures: drawing them, cutting them out, and what of a map lies inside."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ov_xai.runtime.images import Image
from ov_xai.runtime.predictions import BoxXYXY

#: A colour map holds every hue, so a light line between two dark ones is what stands out everywhere.
_LIGHT, _DARK = (255, 255, 255), (0, 0, 0)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
#: Width of a line and height of letters relative to the side of a square as large as the picture.
_LINE, _LETTER = 1 / 300, 1 / 42
#: Letters in pixels: wanted at least, and where they cease to be legible.
_SMALL_LETTER, _LEAST_LETTER = 10.0, 5.5
#: Part of the picture that the ground of a text may hide.
_LARGEST_GROUND = 1 / 8

Pixels = tuple[int, int, int, int]


def draw_boxes(picture: Image, boxes: Sequence[tuple[BoxXYXY, str]]) -> Image:
    """Return a picture with boxes and their texts; the picture itself when there are none.

    Lines lie just inside each box, so that a box at the border of the picture is seen whole. A text stands above its
    box where there is room, else below or in it, and is left out where it would not be legible or would hide another.

    Args:
        picture: u8 [H, W, 3], RGB.
        boxes: (box in pixels, text), the most important first.
    """
    if not boxes:
        return picture
    result: Image = picture.copy()
    side = math.sqrt(picture.shape[0] * picture.shape[1])
    line = max(1, round(side * _LINE))
    frames = [_outer(box, picture) for box, _ in boxes]
    for frame in reversed(frames):
        _draw_frame(result, frame, line)
    taken: list[Pixels] = []
    for index, (_, text) in enumerate(boxes):
        others = frames[:index] + frames[index + 1 :]
        _draw_text(result, frames[index], _plain(text), max(_SMALL_LETTER, side * _LETTER), (taken, others))
    return result


def crop(picture: Image, box: BoxXYXY) -> Image:
    """Return the pixels that a box touches, at least one."""
    x0, y0, x1, y1 = _outer(box, picture)
    return np.ascontiguousarray(picture[y0:y1, x0:x1])


def mass_inside(saliency: npt.NDArray[np.uint8], box: BoxXYXY) -> float:
    """Return the part of a map's mass on pixels whose centre lies in a box, 0..1; 0 for a map of zeros.

    Args:
        saliency: u8 [H, W].
        box: x0, y0, x1, y1 in pixels of the map.
    """
    x0, y0, x1, y1 = (max(0, math.ceil(edge - 0.5)) for edge in box)
    total = int(saliency.sum(dtype=np.uint64))
    return int(saliency[y0:y1, x0:x1].sum(dtype=np.uint64)) / total if total else 0.0


def _outer(box: BoxXYXY, picture: Image) -> Pixels:
    """Return the pixels that a box touches as x0, y0, x1, y1, inside the picture and at least one."""
    height, width = picture.shape[:2]
    x0 = min(max(math.floor(box[0]), 0), width - 1)
    y0 = min(max(math.floor(box[1]), 0), height - 1)
    return x0, y0, max(x0 + 1, min(math.ceil(box[2]), width)), max(y0 + 1, min(math.ceil(box[3]), height))


def _draw_frame(picture: Image, box: Pixels, line: int) -> None:
    """Draw a light frame between two dark ones, from the edge of a box inwards."""
    edge = max(1, line // 2)
    for inset, thickness, colour in ((0, line + 2 * edge, _DARK), (edge, line, _LIGHT)):
        x0, y0, x1, y1 = box[0] + inset, box[1] + inset, box[2] - inset, box[3] - inset
        if x0 >= x1 or y0 >= y1:
            return
        picture[y0 : min(y0 + thickness, y1), x0:x1] = colour
        picture[max(y1 - thickness, y0) : y1, x0:x1] = colour
        picture[y0:y1, x0 : min(x0 + thickness, x1)] = colour
        picture[y0:y1, max(x1 - thickness, x0) : x1] = colour


def _draw_text(
    picture: Image, box: Pixels, text: str, letter: float, avoid: tuple[list[Pixels], Sequence[Pixels]]
) -> None:
    """Draw dark letters on a light ground beside a box.

    Args:
        picture: drawn upon.
        box: what the text belongs to.
        text: in letters of the font.
        letter: height of the letters in pixels.
        avoid: the grounds of the texts drawn so far, to which this one is added, and the other boxes.
    """
    height, width = picture.shape[:2]
    (wide, high), _ = cv2.getTextSize(text, _FONT, 1.0, 1)
    margin = max(2, round(letter / 3))
    scale = min(letter / high, (width - 2 * margin) / wide, (height - 3 * margin) / (1.4 * high))
    if scale * high < _LEAST_LETTER:
        return
    thickness = max(1, round(scale * high / 9))
    (text_w, text_h), below = cv2.getTextSize(text, _FONT, scale, thickness)
    size = min(text_w + 2 * margin, width), min(text_h + below + margin, height)
    if size[0] * size[1] > width * height * _LARGEST_GROUND:
        return
    place = _best_place(box, size, (width, height), avoid)
    if any(_overlap(place, other) for other in avoid[0]):
        return
    avoid[0].append(place)
    cv2.rectangle(picture, place[:2], (place[2] - 1, place[3] - 1), _LIGHT, cv2.FILLED)
    origin = (place[0] + margin, place[3] - below - margin // 2)
    cv2.putText(picture, text, origin, _FONT, scale, _DARK, thickness, cv2.LINE_AA)


def _best_place(
    box: Pixels, size: tuple[int, int], picture_wh: tuple[int, int], avoid: tuple[Sequence[Pixels], Sequence[Pixels]]
) -> Pixels:
    """Return where a text of a size goes: above the box, below, or inside at its top or bottom.

    Of the places inside the picture, the first of those that hide the fewest texts, then the fewest other boxes.
    """
    x0 = min(box[0], picture_wh[0] - size[0])
    tops = [box[1] - size[1], box[3], box[1], box[3] - size[1]]
    places = [(x0, top, x0 + size[0], top + size[1]) for top in tops if 0 <= top <= picture_wh[1] - size[1]]
    places = places or [(x0, 0, x0 + size[0], size[1])]
    return min(places, key=lambda place: [sum(_overlap(place, other) for other in group) for group in avoid])


def _overlap(one: Pixels, other: Pixels) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _plain(text: str) -> str:
    """Return text in the letters that OpenCV's font has; others lose their accents or become question marks."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if not unicodedata.combining(part)).encode("ascii", "replace").decode()
