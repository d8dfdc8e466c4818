"""How sure the mean over a set of images is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ov_xai.errors import RequestError
from ov_xai.metrics.checks import Array, check_count, check_inside
from ov_xai.metrics.extras import scipy_module

#: Resampled values that are held at a time, which bounds the memory to some 64 MiB.
_HELD = 2**22


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval.

    Attributes:
        mean: mean of the values.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: npt.ArrayLike, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Return the mean of values and its percentile bootstrap interval.

    The values are drawn with replacement `resamples` times, as many as there are; the interval holds the middle
    `confidence` of the means. Efron 1979, "Bootstrap Methods: Another Look at the Jackknife". Percentiles, unlike
    corrected intervals, are defined for any values, such as hits that are all 1 but one.

    Values that are all equal, or a single one, resample to themselves: the interval has no width and says nothing
    about other images. NaN is refused rather than left out: only the caller knows how many images that would hide.

    Args:
        values: [n], one per image.
        confidence: between 0 and 1.
        resamples: how often to draw.
        seed: of the draws.

    Raises:
        RequestError: there is no value, one that is not finite, or an option is out of range.
        MissingExtraError: SciPy is not installed.
    """
    sample = _checked_sample(values)
    check_inside(confidence, 0, 1, "confidence")
    check_count(resamples, "resamples")
    stats = scipy_module("stats")
    if sample.min() == sample.max():
        return Interval(*(float(sample[0]),) * 3)
    interval = stats.bootstrap(
        (sample,),
        np.mean,
        n_resamples=resamples,
        batch=max(1, _HELD // sample.size),
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(sample.mean()), float(interval.low), float(interval.high))


def paired_difference(
    values: npt.ArrayLike,
    others: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Return the mean of values - others and its percentile bootstrap interval.

    Both hold one value per image, in the same order; an image is drawn with both of its values. An interval without 0
    tells the two apart.

    Args:
        values: [n].
        others: [n].
        confidence: between 0 and 1.
        resamples: how often to draw.
        seed: of the draws.

    Raises:
        RequestError: there is no value, one that is not finite, there are not as many of both, or an option is out of
            range.
        MissingExtraError: SciPy is not installed.
    """
    one, other = _checked_sample(values), _checked_sample(others)
    if one.size != other.size:
        raise RequestError(f"There are {one.size} and {other.size} values; expected a pair of values for each image.")
    return bootstrap_interval(one - other, confidence=confidence, resamples=resamples, seed=seed)


def _checked_sample(values: npt.ArrayLike) -> Array:
    sample = np.asarray(values, np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise RequestError(f"The values are {list(sample.shape)}; expected [n], one per image, and at least one.")
    if not np.isfinite(sample).all():
        missing = int((~np.isfinite(sample)).sum())
        raise RequestError(
            f"{missing} of {sample.size} values are not finite; expected numbers. Leave those images out and say so."
        )
    return sample
