"""Maps per image, computed with NumPy from the target of the same inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ov_xai.analysis.candidates import Candidate
from ov_xai.checks.places import places_by_channels
from ov_xai.checks.verdict import NotApplicableError
from ov_xai.request import Method

Array = npt.NDArray[Any]

#: Singular values, and largest and least entry of a map, that are nearer than this leave direction or sign open.
_APART = 0.02


def image_maps(target: Array, candidate: Candidate, method: Method) -> Array:
    """Return raw maps of a target, [N, P].

    Args:
        target: its values.
        candidate: what its axes are.
        method: `activation-map` or `eigen-cam`.

    Raises:
        NotApplicableError: the target has no principal direction.
    """
    matrix = places_by_channels(target, candidate)
    if method is Method.ACTIVATION_MAP:
        return np.asarray(matrix.mean(axis=2))
    return np.stack([_projected(one) for one in matrix])


def _projected(matrix: Array) -> Array:
    """Return [P, C] on its first principal direction, [P]; the entry of largest magnitude is positive."""
    centred = matrix - matrix.mean(axis=0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    scores: Array = centred @ directions[0]
    high, low = float(scores.max()), -float(scores.min())
    if values[1:2].sum() > (1 - _APART) * values[0] or abs(high - low) <= _APART * max(high, low):
        raise NotApplicableError("the target has no direction in which its places differ most")
    return scores if high > low else -scores
