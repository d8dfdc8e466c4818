"""Average drop, coherency and complexity, and the ADCC that is made of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ov_xai.metrics.checks import (
    check_between,
    check_from,
    check_same_shape,
    checked_image,
    checked_map,
    min_max_scaled,
)
from ov_xai.metrics.correlation import pearson
from ov_xai.metrics.scoring import class_scores
from ov_xai.metrics.types import Explain, Predict


@dataclass(frozen=True)
class AdccResult:
    """ADCC of one image and class, and what it is made of; all in 0..1.

    Attributes:
        average_drop: part of the score that is lost when the map masks the image; less is better.
        coherency: how alike the map of the masked image is; more is better.
        complexity: mean of the map; less is better.
        adcc: harmonic mean of coherency, 1 - complexity and 1 - average drop; more is better.
    """

    average_drop: float
    coherency: float
    complexity: float
    adcc: float


def average_drop(score: float, masked_score: float) -> float:
    """Return the part of a score that is lost when the image is masked by its map, 0..1.

    max(0, y - o) / y, for the score y of the image and o of the masked image. Chattopadhyay et al. 2018,
    "Grad-CAM++", arXiv 1710.11063. A score of 0 has nothing to lose: 0.

    Args:
        score: y, not negative.
        masked_score: o, not negative.

    Raises:
        RequestError: a score is negative or not finite.
    """
    for value, name in ((score, "score"), (masked_score, "score of the masked image")):
        check_from(value, 0, name)
    return 0.0 if score == 0 else max(0.0, score - masked_score) / score


def coherency(saliency_map: npt.ArrayLike, masked_map: npt.ArrayLike) -> float:
    """Return how alike the maps of an image and of the image masked by its map are, 0..1.

    (r + 1) / 2, for Pearson's r of CAM(x) and CAM(x * CAM(x)). Poppi et al. 2021, "Revisiting The Evaluation of Class
    Activation Mapping for Explainability", arXiv 2104.10252. A constant map has no r; like a map that the authors'
    code cannot scale, it is coherent with nothing: 0.

    Args:
        saliency_map: CAM(x), [H, W].
        masked_map: CAM(x * CAM(x)), [H, W].

    Raises:
        RequestError: the maps have no or different sizes, or values that are not finite.
    """
    one, other = checked_map(saliency_map), checked_map(masked_map)
    check_same_shape(one, other)
    correlation = pearson(one, other)
    return 0.0 if correlation is None else (correlation + 1) / 2


def complexity(saliency_map: npt.ArrayLike) -> float:
    """Return the mean of a map, 0..1.

    L1 norm of the map / number of its pixels. Poppi et al. 2021, arXiv 2104.10252.

    Args:
        saliency_map: [H, W], in 0..1; the paper scales each map to that range.

    Raises:
        RequestError: the map has the wrong axes or values outside of 0..1.
    """
    values = checked_map(saliency_map)
    for end in (values.min(), values.max()):
        check_between(float(end), 0, 1, "value of a saliency map")
    return float(values.mean())


def adcc(drop: float, coherency: float, complexity: float) -> float:
    """Return the harmonic mean of coherency, 1 - complexity and 1 - average drop, 0..1.

    3 / (1 / coherency + 1 / (1 - complexity) + 1 / (1 - drop)), and 0, its limit, where one of the three is 0. Poppi
    et al. 2021, arXiv 2104.10252.

    Args:
        drop: average drop, 0..1.
        coherency: 0..1.
        complexity: 0..1.

    Raises:
        RequestError: a value is outside of 0..1.
    """
    for value, name in ((drop, "average drop"), (coherency, "coherency"), (complexity, "complexity")):
        check_between(value, 0, 1, name)
    parts = (coherency, 1 - complexity, 1 - drop)
    return 0.0 if min(parts) == 0 else len(parts) / math.fsum(1 / part for part in parts)


def measure_adcc(predict: Predict, explain: Explain, image: npt.ArrayLike, index: int) -> AdccResult:
    """Return ADCC of one image and class.

    The protocol is that of Poppi et al. 2021, arXiv 2104.10252: the map is scaled to 0..1, the masked image is the
    image times the map in the units the network takes, so that what is masked becomes the mean colour.

    Args:
        predict: the network; called once, with two images.
        explain: gives the maps; called twice.
        image: [H, W, C], in the units the network takes.
        index: the class.

    Raises:
        RequestError: an argument or a map has the wrong shape, or values that are not finite; there is no such class.
    """
    pixels = checked_image(image)
    saliency_map = min_max_scaled(checked_map(explain(pixels, index)))
    checked_image(pixels, saliency_map)
    masked = pixels * saliency_map[:, :, None].astype(np.float32)
    score, masked_score = class_scores(predict, [pixels, masked], [index], batch=2)[:, 0]
    drop = average_drop(float(score), float(masked_score))
    alike = coherency(saliency_map, explain(masked, index))
    mean = complexity(saliency_map)
    return AdccResult(drop, alike, mean, adcc(drop, alike, mean))
