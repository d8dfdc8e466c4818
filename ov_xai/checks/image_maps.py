"""Maps per image, computed with NumPy from the target of the same inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.analysis.axes import batch_axis, place_axes
from ov_xai.analysis.candidates import Candidate
from ov_xai.analysis.demand import on_grid
from ov_xai.analysis.dissection import Dissected
from ov_xai.checks.verdict import NotApplicableError
from ov_xai.graph.outputs import SALIENCY_MAP
from ov_xai.graph.trial import EXACT, as_results, sample_inputs, twin
from ov_xai.request import Method

Array = npt.NDArray[Any]

#: Singular values, and largest and least entry of a map, that are nearer than this leave direction or sign open.
_APART = 0.02


def image_maps(patched: ov.Model, anatomy: Dissected, method: Method) -> tuple[Array, Array]:
    """Return the maps of a random image, found and raw as they should be, both [N, h, w].

    Raises:
        NotApplicableError: the target of a random image has no principal direction.
    """
    model = patched.clone()
    shown = len(model.outputs)
    model.add_results(as_results([twin(model, anatomy.target.output)]))
    compiled = ov.Core().compile_model(model, "CPU", EXACT)
    results = compiled(sample_inputs(model))
    found = np.array(results[SALIENCY_MAP])
    matrix = _places_by_channels(np.array(results[shown], np.float64), anatomy.target)
    maps = matrix.mean(axis=2) if method is Method.ACTIVATION_MAP else np.stack([_projected(one) for one in matrix])
    if found.size != maps.size:
        raise NotApplicableError(f"saliency_map has {found.size} values, the target {maps.size} places (MAN002)")
    return found, maps.reshape(found.shape)


def _places_by_channels(target: Array, candidate: Candidate) -> Array:
    """Return the target as [N, P, C], without tokens beside the grid."""
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


def _projected(matrix: Array) -> Array:
    """Return [P, C] on its first principal direction, [P]; the entry of largest magnitude is positive."""
    centred = matrix - matrix.mean(axis=0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    scores: Array = centred @ directions[0]
    high, low = float(scores.max()), -float(scores.min())
    if values[1:2].sum() > (1 - _APART) * values[0] or abs(high - low) <= _APART * max(high, low):
        raise NotApplicableError("the target of a random image has no direction in which its places differ most")
    return scores if high > low else -scores
