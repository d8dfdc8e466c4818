"""ROAD: remove pixels so that neither their values nor the shape of the hole tell what was there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ov_xai.errors import RequestError
from ov_xai.metrics.checks import check_inside, checked_image, checked_map
from ov_xai.metrics.imputation import NOISE, impute
from ov_xai.metrics.ranking import most_salient_first
from ov_xai.metrics.scoring import class_scores
from ov_xai.metrics.types import Floats, Predict


def road(
    predict: Predict,
    image: npt.ArrayLike,
    saliency_map: npt.ArrayLike,
    index: int,
    *,
    percentiles: Sequence[float] = (20, 40, 60, 80),
    batch: int = 32,
    seed: int = 0,
) -> float:
    """Return the combined ROAD score of a map, -0.5..0.5 where scores are probabilities; more is better.

    mean over percentiles p of (LeRF(p) - MoRF(p)) / 2. MoRF(p) is the score of the class when the most salient
    100 - p percent of the pixels are removed, LeRF(p) when as many of the least salient are. Removed pixels are
    filled in by noisy linear imputation. Rong et al. 2022, "A Consistent and Efficient Evaluation Strategy for
    Attribution Methods", arXiv 2202.00449, combined as `ROADCombined` of pytorch-grad-cam does.

    Pixels are counted, not compared with a threshold, so that ties remove neither more nor fewer; those of equal
    saliency are taken in the order in which they are read, row by row. At least one pixel stays.

    Args:
        predict: the network; called ceil(2 * len(percentiles) / batch) times.
        image: [H, W, C], in the units the network takes.
        saliency_map: [H, W]; only the order of its values counts.
        index: the class.
        percentiles: which parts of the pixels are kept, each between 0 and 100.
        batch: largest number of images in a call.
        seed: of the noise, standard deviation 0.01 in the units of the image.

    Raises:
        RequestError: an argument has the wrong shape or values that are not finite, there is no percentile or one out
            of range, or there is no such class.
        MissingExtraError: SciPy is not installed.
    """
    values = checked_map(saliency_map)
    pixels = checked_image(image, values)
    if len(percentiles) == 0:
        raise RequestError("No percentile is given; expected at least one number between 0 and 100.")
    for percentile in percentiles:
        check_inside(percentile, 0, 100, "percentile")
    images = _removals(pixels, most_salient_first(values), percentiles, np.random.default_rng(seed))
    scores = class_scores(predict, images, [index], batch).reshape(-1, 2)
    return float((scores[:, 1] - scores[:, 0]).mean() / 2)


def _removals(
    image: Floats, order: npt.NDArray[np.int64], percentiles: Sequence[float], random: np.random.Generator
) -> Iterator[Floats]:
    """Yield, for each percentile, the image without its most salient pixels, then without its least salient ones."""
    for percentile in percentiles:
        # The imputation needs a value to spread.
        count = min(round(order.size * (100 - percentile) / 100), order.size - 1)
        for pixels in (order[:count], order[order.size - count :]):
            removed = np.zeros(image.shape[:2], np.bool_)
            removed.reshape(-1)[pixels] = True
            yield impute(image, removed, NOISE * random.standard_normal(image.shape))
