"""How narrowly a map points."""

from __future__ import annotations

import numpy.typing as npt

from ov_xai.metrics.checks import checked_map, min_max_scaled


def sparsity(saliency_map: npt.ArrayLike) -> float:
    """Return the largest value of a map relative to its mean, from 1 to the number of pixels; more is narrower.

    max(S) / mean(S), where S is the map scaled to 0..1. Gomez et al. 2022, "Metrics for saliency map evaluation of
    deep learning explanation methods", arXiv 2201.13291. A constant map is as broad as a map can be: 1.

    Args:
        saliency_map: [H, W].

    Raises:
        RequestError: the map has the wrong axes or values that are not finite.
    """
    values = checked_map(saliency_map)
    if values.min() == values.max():
        return 1.0
    return float(1 / min_max_scaled(values).mean())
