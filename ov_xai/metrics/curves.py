"""Insertion and deletion: how the score moves while the most salient pixels appear or disappear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
import numpy.typing as npt

from ov_xai.metrics.checks import Array, check_count, checked_image, checked_map
from ov_xai.metrics.ranking import most_salient_first
from ov_xai.metrics.scoring import class_scores
from ov_xai.metrics.types import Floats, Predict

#: RISE blurs images of this side with a kernel that reaches this far; its sigma has the same length.
_RISE_SIDE, _RISE_REACH = 224, 5


class Substrate(str, Enum):
    """What stands where a pixel of the image does not.

    `BLUR` is the image itself, blurred by a Gaussian. RISE takes a kernel of 11 pixels and a sigma of 5 for images of
    224: sigma = r = max(1, round(5 * min(H, W) / 224)) and a kernel of 2 * r + 1 are the same for any size. The image
    is mirrored at its border, so that no frame appears.

    `ZEROS` is 0 in the units the network takes, which is the mean colour where inputs are normalised.
    """

    BLUR = "blur"
    ZEROS = "zeros"


@dataclass(frozen=True, eq=False)
class Curve:
    """The score of a class while pixels are changed.

    Attributes:
        fractions: f64 [S + 1], rising from 0 to 1: the part of the pixels that is changed.
        scores: f64 [S + 1], the score at each of them.
        substrate: what stood, or came, in the place of the pixels.
        steps: S.
    """

    fractions: Array
    scores: Array
    substrate: Substrate
    steps: int

    @property
    def area(self) -> float:
        """Area below the curve by the trapezoidal rule, in units of the score; a constant score has its own value."""
        return float(np.diff(self.fractions) @ (self.scores[:-1] + self.scores[1:]) / 2)


def insertion(
    predict: Predict,
    image: npt.ArrayLike,
    saliency_map: npt.ArrayLike,
    index: int,
    *,
    steps: int = 50,
    batch: int = 32,
    substrate: Substrate = Substrate.BLUR,
) -> Curve:
    """Return the score of a class while the most salient pixels are inserted; a good map has a large area.

    scores[i] = predict(m_i * image + (1 - m_i) * substrate)[index], where m_i is 1 at the round(i * H * W / steps)
    most salient pixels. Petsiuk et al. 2018, "RISE", arXiv 1806.07421. Pixels of equal saliency change in the order
    in which they are read, row by row.

    Args:
        predict: the network; called ceil((steps + 1) / batch) times.
        image: [H, W, C], in the units the network takes.
        saliency_map: [H, W]; only the order of its values counts.
        index: the class.
        steps: into how many nearly equal parts the pixels are divided, at most H * W.
        batch: largest number of images in a call.
        substrate: what stands where no pixel has been inserted.

    Raises:
        RequestError: an argument has the wrong shape or values that are not finite, a count is out of range, or there
            is no such class.
    """
    values = checked_map(saliency_map)
    pixels = checked_image(image, values)
    hidden = _SUBSTRATES[substrate](pixels)
    return _curve(predict, (hidden, pixels), values, index, steps=steps, batch=batch, substrate=substrate)


def deletion(
    predict: Predict,
    image: npt.ArrayLike,
    saliency_map: npt.ArrayLike,
    index: int,
    *,
    steps: int = 50,
    batch: int = 32,
    substrate: Substrate = Substrate.ZEROS,
) -> Curve:
    """Return the score of a class while the most salient pixels are deleted; a good map has a small area.

    scores[i] = predict((1 - m_i) * image + m_i * substrate)[index], with m_i as in `insertion`, whose arguments and
    errors these are. Petsiuk et al. 2018, "RISE", arXiv 1806.07421.

    Args:
        predict: the network; called ceil((steps + 1) / batch) times.
        image: [H, W, C], in the units the network takes.
        saliency_map: [H, W].
        index: the class.
        steps: into how many nearly equal parts the pixels are divided.
        batch: largest number of images in a call.
        substrate: what comes in the place of a deleted pixel.
    """
    values = checked_map(saliency_map)
    pixels = checked_image(image, values)
    hidden = _SUBSTRATES[substrate](pixels)
    return _curve(predict, (pixels, hidden), values, index, steps=steps, batch=batch, substrate=substrate)


def _curve(
    predict: Predict,
    ends: tuple[Floats, Floats],
    saliency_map: Array,
    index: int,
    *,
    steps: int,
    batch: int,
    substrate: Substrate,
) -> Curve:
    """Return the curve on the way from the first image to the second."""
    check_count(steps, "steps", most=saliency_map.size)
    counts = np.rint(np.linspace(0, saliency_map.size, steps + 1)).astype(np.int64)
    images = _blends(ends, most_salient_first(saliency_map), counts)
    scores = class_scores(predict, images, [index], batch)[:, 0]
    return Curve(counts / saliency_map.size, scores, substrate, steps)


def _blends(
    ends: tuple[Floats, Floats], order: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
) -> Iterator[Floats]:
    """Yield the first image with its first pixels, in an order, replaced by those of the second."""
    first, second = (end.reshape(-1, end.shape[-1]) for end in ends)
    for count in counts:
        blend = first.copy()
        blend[order[:count]] = second[order[:count]]
        yield blend.reshape(ends[0].shape)


def _blurred(image: Floats) -> Floats:
    reach = max(1, round(_RISE_REACH * min(image.shape[:2]) / _RISE_SIDE))
    side = 2 * reach + 1
    blurred = cv2.GaussianBlur(image, (side, side), reach, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32).reshape(image.shape)  # OpenCV drops an axis of one channel.


def _zeros(image: Floats) -> Floats:
    return np.zeros_like(image)


_SUBSTRATES = {Substrate.BLUR: _blurred, Substrate.ZEROS: _zeros}
