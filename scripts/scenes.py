"""Photo-like scenes with coloured shapes whose classes and places are known.

NumPy and OpenCV only. A class is a form: colour, size, rotation and shading are random. What belongs to no class
(thin lines, soft blobs) is drawn as well, so that a contrast alone is no evidence of a shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Width and height of a scene in pixels.
SIZE = 96
LABELS = ("circle", "crescent", "cross", "ring", "square", "triangle")
#: Radius of a shape in pixels.
RADIUS = (12.0, 21.0)
MAX_SHAPES = 4
#: Largest part of the smaller of two boxes that the other may cover.
MAX_OVERLAP = 0.1
#: Least distance, in 0..255 along the channel that differs most, between a shape's colour and what it covers.
MIN_CONTRAST = 70
#: Binary digits after the point in the coordinates given to OpenCV.
_SHIFT = 4


@dataclass(frozen=True)
class Scene:
    """One picture and what it shows.

    Attributes:
        image: u8 [SIZE, SIZE, 3], RGB.
        labels: i64 [n], one class per shape, no class twice.
        boxes: i64 [n, 4], xyxy in pixels around what is seen of each shape; right and bottom are exclusive.
    """

    image: Array
    labels: Array
    boxes: Array


def scenes(seed: int, count: int) -> Iterator[Scene]:
    """Yield `count` scenes; each depends on the seed and its own number alone."""
    for index in range(count):
        yield draw_scene(np.random.default_rng((seed, index)))


def draw_scene(random: np.random.Generator) -> Scene:
    """Return a scene with 1 to 4 shapes of different classes."""
    image = _background(random)
    for _ in range(random.integers(0, 3)):
        _draw_line(random, image)
    for _ in range(random.integers(0, 3)):
        _draw_blob(random, image)
    labels: list[int] = []
    masks: list[Array] = []
    boxes: list[Array] = []
    for label in random.permutation(len(LABELS))[: random.integers(1, MAX_SHAPES + 1)]:
        placed = _placed(random, LABELS[label], boxes)
        if placed is not None:
            masks.append(placed)
            boxes.append(_box(placed))
            labels.append(int(label))
    for mask in masks:
        _paint(random, image, mask)
    return Scene(_photographed(random, image), np.array(labels), np.array(boxes))


def _background(random: np.random.Generator) -> Array:
    """Return f32 [SIZE, SIZE, 3]: a gradient between two colours with noise of several scales."""
    angle = random.uniform(0, 2 * np.pi)
    axis = np.linspace(-1, 1, SIZE, dtype=np.float32)
    ramp = (np.float32(np.cos(angle)) * axis[None, :] + np.float32(np.sin(angle)) * axis[:, None])[:, :, None]
    first = random.uniform(30, 225, 3).astype(np.float32)
    second = np.clip(first + random.normal(0, 40, 3), 20, 235).astype(np.float32)
    image = (first + second) / 2 + ramp * ((second - first) / 2)
    strength = random.uniform(4, 16)
    for cells in (3, 7, 16, 40):
        grey = random.normal(0, 1, (cells, cells, 1)) + random.normal(0, 0.4, (cells, cells, 3))
        image += _enlarged(strength * grey, SIZE, SIZE)
        strength *= 0.65
    return image


def _enlarged(noise: Array, width: int, height: int) -> Array:
    """Return noise [n, n, 3] as f32 [height, width, 3]."""
    return cv2.resize(noise.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)


def _draw_line(random: np.random.Generator, image: Array) -> None:
    """Draw a thin line or a thin arc."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    width = int(random.integers(1, 3))
    if random.random() < 0.5:
        start, end = random.integers(-10, SIZE + 10, (2, 2)).tolist()
        cv2.line(mask, start, end, 255, width, cv2.LINE_AA)
    else:
        centre = random.integers(0, SIZE, 2).tolist()
        axes = random.integers(30, 80, 2).tolist()
        start_angle = random.uniform(0, 360)
        end_angle = start_angle + random.uniform(20, 80)
        cv2.ellipse(mask, centre, axes, 0, start_angle, end_angle, 255, width, cv2.LINE_AA)
    _blend(image, mask, random.uniform(20, 235, 3), random.uniform(0.4, 1))


def _draw_blob(random: np.random.Generator, image: Array) -> None:
    """Draw an ellipse without edges."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    axes = random.integers(6, 20, 2).tolist()
    cv2.ellipse(mask, random.integers(0, SIZE, 2).tolist(), axes, random.uniform(0, 180), 0, 360, 255, -1)
    soft = cv2.GaussianBlur(mask, (0, 0), random.uniform(4, 8))
    _blend(image, soft, random.uniform(20, 235, 3), random.uniform(0.4, 0.8))


def _blend(image: Array, mask: Array, colour: Array, opacity: float) -> None:
    """Mix a colour into f32 [h, w, 3] in place.

    Args:
        image: what is drawn on.
        mask: u8 [h, w].
        colour: 0..255, one (3,) or one per pixel [h, w, 3].
        opacity: 0..1.
    """
    weight = (mask.astype(np.float32) * np.float32(opacity / 255))[:, :, None]
    image += weight * (colour.astype(np.float32) - image)


def _placed(random: np.random.Generator, label: str, boxes: list[Array]) -> Array | None:
    """Return the mask u8 [SIZE, SIZE] of a shape beside those that are there; None when no place is found."""
    for _ in range(20):
        radius = random.uniform(*RADIUS)
        centre = random.uniform(radius, SIZE - radius, 2)
        contours = outline(label, random.uniform(0, 2 * np.pi))
        mask = np.zeros((SIZE, SIZE), np.uint8)
        points = [np.round((centre + radius * contour) * 2**_SHIFT).astype(np.int32) for contour in contours]
        cv2.fillPoly(mask, points, 255, cv2.LINE_AA, _SHIFT)
        if all(overlap(_box(mask), box) <= MAX_OVERLAP for box in boxes):
            return mask
    return None


def _box(mask: Array) -> Array:
    """Return xyxy, i64 [4], around the pixels that are more than half covered."""
    x, y, width, height = cv2.boundingRect((mask > 127).astype(np.uint8))
    return np.array([x, y, x + width, y + height])


def overlap(one: Array, other: Array) -> float:
    """Return the part of the smaller of two boxes (xyxy) that the other covers, 0..1."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    smaller = min(np.prod(one[2:] - one[:2]), np.prod(other[2:] - other[:2]))
    return float(np.prod(np.maximum(sides, 0)) / smaller)


def _paint(random: np.random.Generator, image: Array, mask: Array) -> None:
    """Fill a mask with a shaded colour that stands out from what it covers."""
    x, y, width, height = cv2.boundingRect(mask)
    image, mask = image[y : y + height, x : x + width], mask[y : y + height, x : x + width]
    under = np.array(cv2.mean(image, mask)[:3])
    colour = random.uniform(15, 240, 3)
    while np.abs(colour - under).max() < MIN_CONTRAST:
        colour = random.uniform(15, 240, 3)
    shade = _enlarged(random.uniform(0, 14) * random.normal(0, 1, (2, 2, 1)).repeat(3, 2), width, height)
    grain = _enlarged(random.uniform(0, 8) * random.normal(0, 1, (10, 10, 3)), width, height)
    _blend(image, mask, colour + shade + grain, 1)


def _photographed(random: np.random.Generator, image: Array) -> Array:
    """Return u8 [SIZE, SIZE, 3] with what a camera adds: a little blur, vignetting, exposure, sensor noise."""
    image = cv2.GaussianBlur(image, (0, 0), random.uniform(0.4, 0.9))
    axis = np.linspace(-1, 1, SIZE, dtype=np.float32)
    distance = (axis[None, :] ** 2 + axis[:, None] ** 2)[:, :, None] / 2
    image *= random.uniform(0.8, 1.15) * (1 - random.uniform(0, 0.35) * distance)
    image += random.uniform(1, 6) * random.standard_normal(image.shape, np.float32)
    return cv2.convertScaleAbs(np.maximum(image, 0))


def outline(label: str, rotation: float) -> list[Array]:
    """Return the contours of a shape, f64 [n, 2] each, within the unit circle; a second contour is a hole.

    Args:
        label: one of LABELS.
        rotation: radians.
    """
    sine, cosine = np.sin(rotation), np.cos(rotation)
    return [contour @ np.array([[cosine, sine], [-sine, cosine]]) for contour in _OUTLINES[label]]


def _arc(start: float, end: float, radius: float = 1.0, centre: tuple[float, float] = (0.0, 0.0)) -> Array:
    """Return points on an arc, f64 [48, 2]; angles in parts of a full turn."""
    angles = 2 * np.pi * np.linspace(start, end, 48)
    return np.stack([np.cos(angles), np.sin(angles)], 1) * radius + centre


def _corners(corners: int, radii: Array) -> Array:
    """Return points at equal angles and the given distances, f64 [corners, 2]."""
    angles = 2 * np.pi * np.arange(corners) / corners
    return np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]


def _cross() -> Array:
    """Return a plus sign with arms a third as wide as they are long, f64 [12, 2]."""
    arm, half = 0.95, 0.32
    quarter = np.array([[arm, -half], [arm, half], [half, half]])
    turns = [np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), turn) for turn in range(4)]
    return np.concatenate([quarter @ turn for turn in turns])


def _crescent() -> Array:
    """Return the part of the unit circle that a circle beside it leaves, f64 [96, 2]."""
    offset, radius = 0.5, 0.8
    # Where the two circles meet, seen from the centre of each, in parts of a full turn.
    outer = np.arccos((1 + offset**2 - radius**2) / (2 * offset)) / (2 * np.pi)
    inner = np.arccos((1 - offset**2 - radius**2) / (2 * offset * radius)) / (2 * np.pi)
    return np.concatenate([_arc(outer, 1 - outer), _arc(1 - inner, inner, radius, (offset, 0))])


_OUTLINES: dict[str, list[Array]] = {
    "circle": [_arc(0, 1)],
    "crescent": [_crescent()],
    "cross": [_cross()],
    "ring": [_arc(0, 1), _arc(0, 1, 0.55)],
    "square": [_corners(4, np.ones(4))],
    "triangle": [_corners(3, np.ones(3))],
}
