"""The pyramid levels of a score table."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ov_xai.analysis.axes import Factor, Grid, Role, place_axes, segment_size
from ov_xai.analysis.detectors.class_head import Level
from ov_xai.analysis.detectors.sample_grids import sample_places
from ov_xai.analysis.detectors.tables import Table
from ov_xai.graph.view import GraphView


def levels_of(table: Table) -> list[Level]:
    """Return the levels that a table joins; [] when they cannot be told apart."""
    axes = place_axes(table.layout)
    if len(axes) == 1 and len(table.layout[axes[0]]) > 1:
        return _joined_levels(table, axes[0])
    grid = _grid_of(factor for axis in axes for segment in table.layout[axis] for factor in segment)
    flat = len(axes) == 1 and segment_size(table.layout[axes[0]][0]) is None
    return [] if grid is None or flat else [Level(table, grid)]


def _joined_levels(table: Table, axis: int) -> list[Level]:
    levels, start = [], 0
    for segment in table.layout[axis]:
        size = segment_size(segment)
        grid = _grid_of(segment)
        if size is None or grid is None:
            return []
        levels.append(Level(table, grid, axis, start, segment))
        start += size
    return levels


def _grid_of(factors: Iterable[Factor]) -> Grid | None:
    """Return the grid that factors count; 1x1 when they count anchors only, None when rows are cut into parts."""
    extents: dict[Role, int | None] = {}
    for factor in factors:
        if factor.role in (Role.Y, Role.X):
            if factor.role in extents:
                return None
            extents[factor.role] = factor.size
    return Grid(extents.get(Role.Y, 1), extents.get(Role.X, 1))


def feeds(view: GraphView, levels: Iterable[Level], kinds: Collection[str]) -> bool:
    """Return whether an op of certain kinds depends on the tables of some levels."""
    after = view.descendants([level.table.output.get_node() for level in levels])
    return any(view.node(key).get_type_name() in kinds for key in after)


def finest_first(view: GraphView, levels: list[Level]) -> tuple[Level, ...]:
    """Return levels in the order of a class head."""
    places = sample_places(view, levels)
    return tuple(levels[index] for index in sorted(range(len(levels)), key=lambda index: -places[index]))
