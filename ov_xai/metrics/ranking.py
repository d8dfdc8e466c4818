"""The order in which a map gives up its pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ov_xai.metrics.checks import Array


def most_salient_first(saliency_map: Array) -> npt.NDArray[np.int64]:
    """Return the indices i64 [H * W] of a map's pixels, row by row, by falling saliency.

    Pixels of equal saliency keep the order in which they are read: row by row, each from left to right. A constant
    map therefore sweeps the image from top to bottom.
    """
    return np.argsort(-saliency_map.reshape(-1), kind="stable").astype(np.int64)
