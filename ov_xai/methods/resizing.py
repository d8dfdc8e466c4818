"""Levels of a feature pyramid on one grid: bilinear between the centres of cells (half-pixel).

    R(h, H)[i, j]  = max(0, 1 - |clamp((i + 1/2) h / H - 1/2, 0, h - 1) - j|)
    resize(X)      = R(h, H) X R(w, W)^T
    sum of resized = [R(h_1, H) .. R(h_n, H)] [X_1 R(w_1, W)^T; ..; X_n R(w_n, W)^T]

    X     maps of one level, h x w; H x W is the grid they get

Products, not Interpolate: the CPU plugin interpolates with the classes innermost, and to turn the maps and turn them
back takes longer than anything else here. Where sizes are dynamic these matrices would be computed anew for each image;
then Interpolate stays.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
import openvino as ov

from ov_xai.graph.emit import Emitter
from ov_xai.graph.view import sizes


def resized(emit: Emitter, maps: ov.Output, like: ov.Output) -> ov.Output:
    """Return maps [N, K, h, w] on the grid of others [N, K, H, W]."""
    before, after = _grid(maps), _grid(like)
    if before is None or after is None:
        return emit.resize(maps, emit.extents(like, 2, 3))
    if before == after:
        return maps
    return emit.matmul(_interpolation(emit, before[0], after[0], maps), _widened(emit, maps, before[1], after[1]))


def resized_sum(emit: Emitter, maps: list[ov.Output], level: int) -> ov.Output:
    """Return the sum of the maps of all levels [N, K, h_l, w_l] on the grid of one of them."""
    grids = [_grid(one) for one in maps]
    known = [grid for grid in grids if grid is not None]
    if len(known) < len(maps):
        return reduce(emit.add, [resized(emit, one, maps[level]) for one in maps])
    height, width = known[level]
    others = [(one, *grid) for one, grid in zip(maps, known, strict=True) if grid != (height, width)]
    parts = [one for one, grid in zip(maps, known, strict=True) if grid == (height, width)]
    if others:
        rows = [_interpolation(emit, before, height, one) for one, before, _ in others]
        wide = [_widened(emit, one, before, width) for one, _, before in others]
        parts.append(emit.matmul(_joined(emit, rows, 1), _joined(emit, wide, 2)))
    return reduce(emit.add, parts)


def _joined(emit: Emitter, parts: list[ov.Output], axis: int) -> ov.Output:
    return parts[0] if len(parts) == 1 else emit.concat(parts, axis)


def _grid(maps: ov.Output) -> tuple[int, int] | None:
    height, width = (sizes(maps) or [None, None])[-2:]
    return None if height is None or width is None else (height, width)


def _widened(emit: Emitter, maps: ov.Output, before: int, after: int) -> ov.Output:
    """Return X R(w, W)^T."""
    return emit.matmul(maps, _interpolation(emit, before, after, maps), transpose_b=True)


def _interpolation(emit: Emitter, before: int, after: int, peer: ov.Output) -> ov.Output:
    """Return R(before, after) of the type of a peer.

    Made of a few numbers: OpenVINO folds it when it compiles the model, and the file does not hold it.
    """
    cells, places = (emit.convert(emit.range(emit.int_scalar(count)), ov.Type.f32) for count in (before, after))
    half, one, ratio = (emit.constant(value, np.float32) for value in (0.5, 1, before / after))
    centres = emit.subtract(emit.multiply(emit.add(places, half), ratio), half)
    distance = emit.subtract(emit.unsqueeze(emit.clamp(centres, 0, before - 1), 1), emit.unsqueeze(cells, 0))
    weights = emit.relu(emit.subtract(one, emit.absolute(distance)))
    return weights if peer.get_element_type() == ov.Type.f32 else emit.convert(weights, peer.get_element_type())
