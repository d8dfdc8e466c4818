"""Maps of a classifier against the scores of masked copies of the target, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ov_xai.checks.tapped import Masked
from ov_xai.plan import ClassifierPlan
from ov_xai.selfcheck.head import Head
from ov_xai.selfcheck.perturbation import LARGEST_ROUNDING, MAP_TOLERANCE, OWN_ROUNDING

Array = npt.NDArray[Any]

#: Maps whose scale is found, and places that are compared besides their extremes.
_MAPS, _PLACES = 4, 8
#: Maps are scaled to their own range where that is so many times larger than the rounding of their scores.
_KNOWN = 64


@dataclass(frozen=True)
class Sampled:
    """Some maps at some places, as they are and as they should be.

    Attributes:
        found: [N, maps, places].
        expected: scores of masked copies, [N, maps, places].
        size: of the numbers that the scores are computed from, [N, maps, places]; their rounding is relative to it.
        places: (y, x) of each place.
    """

    found: Array
    expected: Array
    size: Array
    places: Sequence[tuple[int, int]]

    @property
    def _noise(self) -> Array:
        return np.asarray(OWN_ROUNDING * self.size + LARGEST_ROUNDING * self.size.max())

    def levels_off(self) -> Array:
        """Return by how many levels u8 maps are off beyond rounding, [maps, places]; a map without a scale is left out.

        The extremes of each map must be among the places.
        """
        values, noise = self.expected.astype(np.float64), self._noise
        span = np.ptp(values, axis=-1, keepdims=True)
        known = (span > _KNOWN * noise.max(axis=-1, keepdims=True))[..., 0]
        safe = np.where(span > 0, span, 1)
        levels = 255 * (values - values.min(axis=-1, keepdims=True)) / safe
        gap = np.abs(self.found - levels) - 255 * (MAP_TOLERANCE + noise / safe)
        return np.asarray(gap[known])

    def parts_off(self) -> Array:
        """Return by how many times what rounding explains raw maps are off, [N, maps, places]."""
        span = np.ptp(self.expected, axis=-1, keepdims=True)
        allowed = MAP_TOLERANCE * span + self._noise + np.finfo(np.float32).tiny
        return np.asarray(np.abs(self.found - self.expected) / allowed)


def random_masked(head: Head) -> Masked:
    """Return a random target and its maps."""
    target = head.random_target()
    if not np.isfinite(head.logits(target)).all():  # a head that takes roots or logarithms
        target = np.abs(target)
    return Masked(target, *head.maps(target))


def sampled(head: Head, plan: ClassifierPlan, masked: Masked, whole: int) -> Sampled:
    """Return some maps, and the scores of masked copies of their target.

    Args:
        head: computes the scores.
        plan: what was inserted.
        masked: the target and its maps, [N, K or T, h, w].
        whole: maps of grids of at most so many places are compared whole.
    """
    maps, classes = masked.maps, masked.classes
    chosen, flat = _chosen(maps, whole)
    places = [divmod(place, maps.shape[-1]) for place in flat]
    literal: list[Array] = []
    sizes: list[Array] = []
    for y, x in places:
        for values, kept in zip(head.scores(masked.target, plan, y, x), (literal, sizes), strict=True):
            kept.append(values if classes is None else np.take_along_axis(values, classes, 1))
    expected, size = (np.stack(values, axis=-1)[:, chosen] for values in (literal, sizes))
    return Sampled(maps.reshape(*maps.shape[:2], -1)[:, chosen][:, :, flat], expected, size, places)


def _chosen(maps: Array, whole: int) -> tuple[list[int], list[int]]:
    """Return which maps and which places are compared; the extremes of each map are among them."""
    count, total = maps.shape[1], maps.shape[-2] * maps.shape[-1]
    if total <= whole:
        return list(range(count)), list(range(total))
    random = np.random.default_rng(1)
    chosen = sorted(random.permutation(count)[:_MAPS].tolist())
    flat = maps[:, chosen].reshape(-1, total)
    places = {*flat.argmin(1).tolist(), *flat.argmax(1).tolist(), *random.permutation(total)[:_PLACES].tolist()}
    return chosen, sorted(places)
