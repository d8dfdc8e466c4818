"""Ask a network for the scores of many images, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from ov_xai.errors import RequestError
from ov_xai.metrics.checks import Array, check_count
from ov_xai.metrics.types import Floats, Predict


def class_scores(predict: Predict, images: Iterable[Floats], indices: Sequence[int], batch: int) -> Array:
    """Return the scores f64 [N, len(indices)] of some classes for N images.

    Every call but the last has `batch` images, so there are as few calls as can be; no more images than that are held
    at a time.

    Args:
        predict: the network.
        images: f32 [H, W, C] each, all of one size.
        indices: the classes.
        batch: largest number of images in a call.

    Raises:
        RequestError: `batch` is not positive, there is no such class, or the scores are no finite [B, K].
    """
    check_count(batch, "images in a batch")
    remaining = iter(images)
    found = []
    while chunk := list(islice(remaining, batch)):
        scores = np.asarray(predict(np.stack(chunk)))
        _check(scores, len(chunk), indices)
        found.append(scores[:, list(indices)].astype(np.float64))
    return np.concatenate(found)


def _check(scores: Floats, rows: int, indices: Sequence[int]) -> None:
    if scores.ndim != 2 or scores.shape[0] != rows:
        raise RequestError(f"predict gave {list(scores.shape)} for {rows} images; expected [{rows}, K].")
    classes = scores.shape[1]
    unknown = [index for index in indices if not 0 <= index < classes]
    if unknown:
        raise RequestError(f"Class {unknown[0]} is not known; expected a number from 0 to {classes - 1}.")
    if not np.isfinite(scores[:, list(indices)]).all():
        raise RequestError("predict gave scores that are not finite; expected probabilities.")
