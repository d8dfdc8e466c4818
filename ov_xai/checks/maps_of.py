"""The maps of one inference, in one form for all methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ov_xai.graph.manifest import Manifest
from ov_xai.graph.outputs import SALIENCY_CLASSES, SALIENCY_MAP

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Maps:
    """Maps of a batch.

    Attributes:
        values: as they came, [N, T, h, w]; T is 1 for one map per image.
        classes: the class of each map, [N, T]; None for one map per image.
        used: which maps stand for a class, [N, T].
    """

    values: Array
    classes: Array | None
    used: npt.NDArray[np.bool_]

    @property
    def unit(self) -> Array:
        """Maps scaled to 0..1, f64; a constant one is zero."""
        return scaled(self.values)


def scaled(maps: Array) -> Array:
    """Return maps [..., h, w] scaled to their own range 0..1, f64; a constant one is zero."""
    values = maps.astype(np.float64)
    low = values.min(axis=(-2, -1), keepdims=True)
    span = values.max(axis=(-2, -1), keepdims=True) - low
    return np.asarray((values - low) / np.where(span > 0, span, 1))


def maps_of(outputs: Mapping[str, Array], manifest: Manifest) -> Maps:
    """Return the maps among the named outputs of an inference.

    Args:
        outputs: output arrays by name, with `saliency_map` among them.
        manifest: that of the patched model.
    """
    values = outputs[SALIENCY_MAP]
    if values.ndim == 3:  # one map per image
        values = values[:, None]
        return Maps(values, None, np.ones(values.shape[:2], bool))
    classes = outputs.get(SALIENCY_CLASSES)
    if classes is None:
        classes = np.broadcast_to(np.arange(values.shape[1]), values.shape[:2])
    return Maps(values, classes, ~np.isin(classes, manifest.unused_classes))
