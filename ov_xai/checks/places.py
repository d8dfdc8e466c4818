"""The values of a target as a matrix of places by channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.analysis.axes import batch_axis, place_axes
from ov_xai.analysis.candidates import Candidate
from ov_xai.analysis.demand import on_grid
from ov_xai.graph.kinds import ROUNDING_OPS
from ov_xai.graph.view import constant_value, is_weight
from ov_xai.methods.smoothing import is_smoothing

Array = npt.NDArray[Any]


def places_by_channels(values: Array, candidate: Candidate) -> Array:
    """Return the values of a target as f64 [N, P, C], without tokens beside the grid and as before SmoothQuant."""
    target = unsmoothed(values, candidate.output)
    layout = candidate.layout
    places, batch = place_axes(layout), batch_axis(layout)
    for axis in places:
        kept = on_grid(layout[axis])
        if kept is not None:
            target = np.compress(kept, target, axis)
    others = [axis for axis in range(target.ndim) if axis not in places and axis != batch]
    order = [*([] if batch is None else [batch]), *places, *others]
    count = int(np.prod([target.shape[axis] for axis in places]))
    images = 1 if batch is None else target.shape[batch]
    return np.asarray(target.transpose(order).reshape(images, count, -1))


def unsmoothed(values: Array, source: ov.Output) -> Array:
    """Return the values of a tensor, f64, divided by the scale that SmoothQuant gave its channels, if any."""
    node = source.get_node()
    if node.get_type_name() in ROUNDING_OPS:
        node = node.input_value(0).get_node()
    factors = [constant_value(factor) for factor in node.input_values() if is_weight(factor)]
    scale = next((factor for factor in factors if factor is not None), None) if is_smoothing(node) else None
    exact = values.astype(np.float64)
    return exact if scale is None else exact / scale.astype(np.float64)
