"""Pearson's correlation, which is undefined where one side is constant."""

from __future__ import annotations

import numpy as np

from ov_xai.metrics.checks import Array


def pearson(one: Array, other: Array) -> float | None:
    """Return Pearson's r of two arrays of one shape, in -1..1; None when one of them is constant."""
    if one.min() == one.max() or other.min() == other.max():
        return None
    # Scaled first, so that the squares of tiny values do not vanish.
    left, right = (_centred(values) for values in (one, other))
    return float(np.clip(np.vdot(left, right) / (np.linalg.norm(left) * np.linalg.norm(right)), -1, 1))


def _centred(values: Array) -> Array:
    centred = values - values.mean()
    return np.asarray(centred / np.abs(centred).max())
