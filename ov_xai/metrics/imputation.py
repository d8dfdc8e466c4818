"""Noisy linear imputation: removed pixels become the weighted mean of their neighbours, plus noise.

Every removed pixel x_i obeys sum over its neighbours j of w_ij * (x_i - x_j) = 0, where w_ij is 1/6 beside and above it
and 1/12 across a corner; neighbours beyond the border do not count. Where neighbours were removed as well these are
sparse linear equations, one per removed pixel. Rong et al. 2022, arXiv 2202.00449.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ov_xai.metrics.checks import Array
from ov_xai.metrics.extras import scipy_module
from ov_xai.metrics.types import Floats

#: Standard deviation of the noise, in the units the network takes; what the paper's code adds.
NOISE = 0.01
#: (rows, columns) to a neighbour, and its weight.
_NEIGHBOURS = {
    (down, right): 1 / 6 if 0 in (down, right) else 1 / 12
    for down in (-1, 0, 1)
    for right in (-1, 0, 1)
    if (down, right) != (0, 0)
}


def impute(image: Floats, removed: npt.NDArray[np.bool_], noise: Array) -> Floats:
    """Return an image whose removed pixels are filled in.

    Args:
        image: f32 [H, W, C].
        removed: bool [H, W], not everywhere true.
        noise: [H, W, C], which is added where pixels were removed.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    solver = scipy_module("sparse.linalg")
    result: Floats = image.copy()
    if removed.any():
        matrix, known = _equations(image.astype(np.float64), removed)
        result[removed] = solver.splu(matrix).solve(known) + noise[removed]
    return result


def _equations(image: Array, removed: npt.NDArray[np.bool_]) -> tuple[Any, Array]:
    """Return the matrix, sparse [n, n], and the right-hand sides [n, C] for n removed pixels."""
    count = int(removed.sum())
    number = np.full(removed.shape, -1)
    number[removed] = np.arange(count)
    here = np.argwhere(removed)  # (n, 2)
    diagonal, known = np.zeros(count), np.zeros((count, image.shape[2]))
    rows, columns, weights = [np.arange(count)], [np.arange(count)], [diagonal]
    for offset, weight in _NEIGHBOURS.items():
        there = here + offset
        exists = np.flatnonzero(((there >= 0) & (there < removed.shape)).all(1))
        diagonal[exists] += weight
        y, x = there[exists].T
        unknown = removed[y, x]
        known[exists[~unknown]] += weight * image[y[~unknown], x[~unknown]]
        rows.append(exists[unknown])
        columns.append(number[y[unknown], x[unknown]])
        weights.append(np.full(int(unknown.sum()), -weight))
    places = (np.concatenate(rows), np.concatenate(columns))
    matrix = scipy_module("sparse").csc_matrix((np.concatenate(weights), places), shape=(count, count))
    return matrix, known
