"""Eigen-CAM: the target projected on the direction in which its places differ most.

    A = F as (P, C) with the mean of each channel removed
    S = A v,  v the first right singular vector of A, sign such that the entry of S of largest magnitude is positive

Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components", arXiv 2008.00299.

The graph finds v by power iteration on the smaller Gram matrix B (A A^T or A^T A): squaring B k times raises it to
the power 2^k, and any row of that is the dominant eigenvector. A is divided by a multiple of its largest entry, B by
its largest entry before each squaring, which keeps every intermediate within the range of FP16.
"""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.candidates import Candidate
from ov_xai.graph.emit import Emitter
from ov_xai.graph.view import sizes
from ov_xai.methods.maps import RawMaps
from ov_xai.methods.places import as_grid, places_by_channels

#: B^(2^12): singular values 0.2 % apart are separated to 1e-7.
SQUARINGS = 12
#: Multiple of the largest entry that A is divided by: B sums squares of up to 1/64, of four million places at most.
HEADROOM = 8


def eigen_cam(
    emit: Emitter, target: Candidate, height: ov.Output, width: ov.Output, *, scale_free: bool = False
) -> RawMaps:
    """Return one raw map per image: [N, h, w].

    Args:
        emit: where nodes are added.
        target: the tensor that is projected.
        height: i64 vector of one element, the rows of the grid.
        width: i64 vector of one element, its columns.
        scale_free: the map will be scaled to its own range, so its size is left out.
    """
    matrix = places_by_channels(emit, target)  # (N, P, C)
    centred = emit.subtract(matrix, emit.reduce_mean(matrix, 1, keep=True))
    peak = _nonzero(emit, emit.reduce_max(emit.absolute(centred), 1, 2, keep=True))
    unit = emit.divide(centred, emit.multiply(peak, emit.like(HEADROOM, peak)))
    direction = _direction(emit, unit, target)  # (N, 1, C)
    scores = emit.matmul(unit if scale_free else centred, direction, transpose_b=True)  # (N, P, 1)
    return RawMaps(as_grid(emit, emit.squeeze(_signed(emit, scores), 2), height, width))


def _direction(emit: Emitter, unit: ov.Output, target: Candidate) -> ov.Output:
    """Return the first right singular vector of [N, P, C] as [N, 1, C], of length one."""
    channels, places = (sizes(unit) or [])[2], target.grid.places
    by_place = channels is not None and places is not None and places <= channels
    gram = emit.matmul(unit, unit, transpose_b=True) if by_place else emit.matmul(unit, unit, transpose_a=True)
    for _ in range(SQUARINGS):
        scaled = emit.divide(gram, _nonzero(emit, emit.reduce_max(emit.absolute(gram), 1, 2, keep=True)))
        gram = emit.matmul(scaled, scaled)
    strength = emit.reduce_max(emit.absolute(gram), 2)
    _, best = emit.top_k(strength, 1, 1)
    vector = emit.gather_per_image(gram, best)  # (N, 1, P) or (N, 1, C)
    if by_place:
        vector = emit.matmul(_unit_length(emit, vector), unit)
    return _unit_length(emit, vector)


def _unit_length(emit: Emitter, vector: ov.Output) -> ov.Output:
    scaled = emit.divide(vector, _nonzero(emit, emit.reduce_max(emit.absolute(vector), 2, keep=True)))
    return emit.divide(scaled, _nonzero(emit, emit.sqrt(emit.reduce_sum(emit.multiply(scaled, scaled), 2, keep=True))))


def _signed(emit: Emitter, scores: ov.Output) -> ov.Output:
    """Return the map with its entry of largest magnitude positive."""
    extremes = emit.add(emit.reduce_max(scores, 1, keep=True), emit.reduce_min(scores, 1, keep=True))
    negative = emit.less(extremes, emit.like(0, scores))
    return emit.multiply(scores, emit.select(negative, emit.like(-1, scores), emit.like(1, scores)))


def _nonzero(emit: Emitter, values: ov.Output) -> ov.Output:
    """Return the values with zeros replaced by ones."""
    return emit.add(values, emit.convert(emit.equal(values, emit.like(0, values)), values.get_element_type()))
