"""Whether a map changes when what it explains does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ov_xai.metrics.checks import Array, check_same_shape, checked_map
from ov_xai.metrics.correlation import pearson


def rank_correlation(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Return Spearman's rank correlation of two maps, -1..1.

    Pearson's r of the ranks; pixels of equal value share the mean of their ranks. Adebayo et al. 2018, "Sanity Checks
    for Saliency Maps", arXiv 1810.03292, compare the maps of a trained network with those of one whose weights were
    replaced: a map that explains the network does not correlate. A constant map ranks nothing: 0.

    Args:
        one: [H, W].
        other: [H, W].

    Raises:
        RequestError: the maps have no or different sizes, or values that are not finite.
    """
    first, second = checked_map(one), checked_map(other)
    check_same_shape(first, second)
    correlation = pearson(_ranks(first.reshape(-1)), _ranks(second.reshape(-1)))
    return 0.0 if correlation is None else correlation


def _ranks(values: Array) -> Array:
    """Return the ranks [n] of values [n], from 1; equal values have the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return np.asarray(ranks[places], np.float64)
