"""Maps to compare with: two that know nothing of the network, and one that asks it many times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ov_xai.metrics.checks import check_above, check_count, check_inside, checked_image, min_max_scaled
from ov_xai.metrics.scoring import class_scores
from ov_xai.metrics.types import Floats, Predict


def random_map(height: int, width: int, seed: int, grid: int = 7) -> Floats:
    """Return a map f32 [height, width] of random values on a grid, enlarged bilinearly and scaled to 0..1.

    Such a map is as smooth as those of a network but explains nothing: what it scores is chance.

    Args:
        height: in pixels.
        width: in pixels.
        seed: of the values.
        grid: rows and columns of the grid.

    Raises:
        RequestError: a size is not positive.
    """
    _check_size(height, width)
    check_count(grid, "places on a side of the grid")
    values = np.random.default_rng(seed).random((grid, grid))
    return min_max_scaled(_enlarged(values, height, width).astype(np.float64)).astype(np.float32)


def centre_gaussian(height: int, width: int, spread: float = 0.25) -> Floats:
    """Return a map f32 [height, width] that points at the centre, where photographers put what they show.

    exp(-((x - width / 2)^2 / (spread * width)^2 + (y - height / 2)^2 / (spread * height)^2) / 2) at the centre (x, y)
    of each pixel.

    Args:
        height: in pixels.
        width: in pixels.
        spread: standard deviation relative to each side.

    Raises:
        RequestError: a size or the spread is not positive.
    """
    _check_size(height, width)
    check_above(spread, 0, "spread")
    down, across = (np.exp(-((_offsets(side) / spread) ** 2) / 2) for side in (height, width))
    return np.outer(down, across).astype(np.float32)


def rise_maps(
    predict: Predict,
    image: npt.ArrayLike,
    indices: Sequence[int],
    *,
    masks: int = 2000,
    grid: int = 7,
    keep: float = 0.5,
    batch: int = 64,
    seed: int = 0,
) -> Floats:
    """Return the RISE maps f32 [len(indices), H, W] of some classes.

    S_k = 1 / (keep * masks) * sum over masks M of predict(image * M)[k] * M. Each mask is a grid of zeros and ones, 1
    with probability `keep`, enlarged bilinearly by whole cells of ceil(H / grid) x ceil(W / grid) pixels, one cell
    more than the image on each axis, and cut out at a random place. Petsiuk et al. 2018, "RISE", arXiv 1806.07421. The
    sum is in the order of the masks whatever the batch. The maps are not scaled.

    Args:
        predict: the network; called ceil(masks / batch) times.
        image: [H, W, C], in the units the network takes.
        indices: the classes.
        masks: number of masks.
        grid: rows and columns of the grid of zeros and ones.
        keep: probability of a one, between 0 and 1.
        batch: largest number of images in a call.
        seed: of the masks.

    Raises:
        RequestError: the image has the wrong axes or values that are not finite, an option is out of range, or there
            is no such class.
    """
    pixels = checked_image(image)
    check_count(masks, "masks")
    check_count(grid, "places on a side of the grid")
    check_inside(keep, 0, 1, "probability of keeping a place")
    total = np.zeros((len(indices), *pixels.shape[:2]))
    if len(indices) == 0:
        return total.astype(np.float32)
    # The masks are made twice: that is cheap, and all of them at once would fill the memory.
    ones = np.random.default_rng(seed).random((masks, grid, grid)) < keep
    places = np.random.default_rng((seed, 1)).random((masks, 2))
    images = (pixels * mask[:, :, None] for mask in _masks(ones, places, pixels.shape[:2]))
    scores = class_scores(predict, images, indices, batch)
    for score, mask in zip(scores, _masks(ones, places, pixels.shape[:2]), strict=True):
        total += score[:, None, None] * mask
    return (total / (keep * masks)).astype(np.float32)


def _masks(ones: npt.NDArray[np.bool_], places: npt.NDArray[np.float64], shape: tuple[int, ...]) -> Iterator[Floats]:
    """Yield masks f32 [H, W].

    Args:
        ones: [masks, grid, grid].
        places: [masks, 2], where each is cut out: 0..1 of a cell.
        shape: H and W.
    """
    grid = ones.shape[1]
    cell = -(-np.array(shape) // grid)  # rounded up
    height, width = (grid + 1) * cell
    for pattern, (top, left) in zip(ones, (places * cell).astype(np.int64), strict=True):
        yield _enlarged(pattern, height, width)[top : top + shape[0], left : left + shape[1]]


def _enlarged(values: npt.NDArray[np.generic], height: int, width: int) -> Floats:
    enlarged = cv2.resize(values.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, np.float32)


def _offsets(side: int) -> npt.NDArray[np.float64]:
    """Return how far the centres of a line of pixels are from its middle, relative to its length."""
    return (np.arange(side) + 0.5) / side - 0.5


def _check_size(height: int, width: int) -> None:
    check_count(height, "rows")
    check_count(width, "columns")
