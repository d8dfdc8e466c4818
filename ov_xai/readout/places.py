"""Where in the image the rows of a score table are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ov_xai.analysis.axes import Factor, Role
from ov_xai.analysis.detectors.class_head import Level

Array = npt.NDArray[Any]


def row_centres(levels: Sequence[Level]) -> Array | None:
    """Return the centre of the place of each row of a table, x and y relative to the image, f64 [P, 2].

    Rows are counted over all axes but those of the columns and the batch.

    Args:
        levels: all levels of one table.

    Returns:
        None when a grid is of dynamic size.
    """
    parts = [_centres(level) for level in sorted(levels, key=lambda level: level.start)]
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known and len(known) == len(parts) else None


def _centres(level: Level) -> Array | None:
    height, width = level.grid.height, level.grid.width
    factors = _row_factors(level)
    if height is None or width is None or any(factor.size is None for factor in factors):
        return None
    extents = [factor.size or 1 for factor in factors]
    index = np.indices(extents).reshape(len(factors), math.prod(extents))
    roles = [factor.role for factor in factors]
    y = index[roles.index(Role.Y)] if Role.Y in roles else 0
    x = index[roles.index(Role.X)] if Role.X in roles else 0
    rows = np.zeros(index.shape[1])
    return np.stack([(x + 0.5) / width + rows, (y + 0.5) / height + rows], 1)


def _row_factors(level: Level) -> list[Factor]:
    axes = [axis for index, axis in enumerate(level.layout) if index != level.table.column_axis]
    return [factor for axis in axes for part in axis for factor in part if factor.role is not Role.BATCH]
