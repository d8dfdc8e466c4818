"""Class scores of one pyramid level, cut out of the tables of a model."""

from __future__ import annotations

from dataclasses import dataclass

import openvino as ov

from ov_xai.analysis.axes import Role
from ov_xai.analysis.detectors.class_head import Level
from ov_xai.analysis.scores import Activation
from ov_xai.graph.emit import Emitter
from ov_xai.graph.view import Port, pattern_of, port, sizes

BATCH, ROWS, COLUMNS = Role.BATCH.value, Role.Y.value, Role.X.value
#: What axes of scores count, besides the batch, rows and columns of the grid; any other word is an anchor.
SCORE = "score"
MAP_AXES = (BATCH, SCORE, ROWS, COLUMNS)


@dataclass(frozen=True)
class Scores:
    """Scores with an axis for everything they are counted by, in the order of the table they come from.

    Attributes:
        values: the scores.
        axes: what each axis counts.
    """

    values: ov.Output
    axes: tuple[str, ...]

    def activated(self, emit: Emitter, activation: Activation) -> Scores:
        """Return probabilities of logits; the same scores for NONE."""
        if activation is Activation.SIGMOID:
            return Scores(emit.sigmoid(self.values), self.axes)
        if activation is Activation.SOFTMAX:
            return Scores(emit.softmax(self.values, self.axes.index(SCORE)), self.axes)
        return self

    def times(self, emit: Emitter, other: Scores) -> Scores:
        """Return the product with scores of the same places, such as an objectness."""
        return Scores(emit.multiply(self.values, _transposed(emit, other, self.axes)), self.axes)

    def highest(self, emit: Emitter) -> ov.Output:
        """Return the highest score at any place, [N, K]."""
        kept = [axis for axis in (BATCH, SCORE) if axis in self.axes]
        others = [index for index, axis in enumerate(self.axes) if axis not in kept]
        left = tuple(axis for axis in self.axes if axis in kept)
        best = _transposed(emit, Scores(emit.reduce_max(self.values, *others), left), tuple(kept))
        return best if len(kept) == 2 else emit.unsqueeze(best, 0)

    def best_anchor(self, emit: Emitter) -> ov.Output:
        """Return the largest score of all anchors, [N, K, h, w]."""
        anchors = [index for index, axis in enumerate(self.axes) if axis not in MAP_AXES]
        best = emit.reduce_max(self.values, *anchors) if anchors else self.values
        left = tuple(axis for axis in self.axes if axis in MAP_AXES)
        ordered = _transposed(emit, Scores(best, left), tuple(axis for axis in MAP_AXES if axis in left))
        # Axes that are missing come last: the CPU plugin loses an axis when a Transpose moves axes of extent one about
        # (OpenVINO 2026.4, [6, K, 1, 1, 1] by 2 1 3 4 0).
        missing = [index for index, axis in enumerate(MAP_AXES) if axis not in left]
        return emit.unsqueeze(ordered, *missing) if missing else ordered


def _transposed(emit: Emitter, scores: Scores, axes: tuple[str, ...]) -> ov.Output:
    if scores.axes == axes:
        return scores.values
    free, order = list(enumerate(scores.axes)), []
    for wanted in axes:
        found = next(item for item in free if item[1] == wanted)
        free.remove(found)
        order.append(found[0])
    return emit.transpose(scores.values, *order)


class TableReader:
    """Cuts columns and levels out of tables.

    Args:
        emit: where nodes are added.
        apart: read the tables behind a product.
    """

    def __init__(self, emit: Emitter, apart: bool) -> None:
        self._emit = emit
        self._apart = apart
        self._tables: dict[Port, ov.Output] = {}
        self._joined: dict[tuple[Port, range, Activation], ov.Output] = {}

    def scores(self, level: Level, columns: range, activation: Activation) -> Scores:
        """Return some columns of a level as probabilities; as they are for NONE."""
        table = level.table
        if level.axis is not None and table.anchors == 1:
            return self.cut(self.joined(level, columns, activation), level)
        chosen = columns if table.anchors == 1 else range(table.columns)
        values = self._columns(level, chosen)
        scores = self._counted(values, level) if level.axis is None else self.cut(values, level)
        if len(chosen) != len(columns):
            axis = scores.axes.index(SCORE)
            scores = Scores(self._emit.slice(scores.values, columns.start, columns.stop, axis), scores.axes)
        return scores.activated(self._emit, activation)

    def joined(self, level: Level, columns: range, activation: Activation) -> ov.Output:
        """Return some columns of a table that joins levels, as probabilities, computed once for all levels."""
        key = (port(level.table.output), columns, activation)
        if key not in self._joined:
            axes = [SCORE if axis == level.table.column_axis else "" for axis in range(len(level.layout))]
            scores = Scores(self._columns(level, columns), tuple(axes))
            self._joined[key] = scores.activated(self._emit, activation).values
        return self._joined[key]

    def cut(self, joined: ov.Output, level: Level, columns: range | None = None) -> Scores:
        """Return the scores of a level out of a table that joins it with others, or out of some columns of it.

        Args:
            joined: the table or columns of it.
            level: the level.
            columns: those of `joined` to take; None for all.
        """
        axis = level.axis or 0
        if columns is not None and len(columns) != (sizes(joined) or [])[level.table.column_axis]:
            # Both at once: along two axes a Slice stays where it is, whatever it reads.
            both = {axis: level.positions, level.table.column_axis: (columns.start, columns.stop)}
            return self._counted(self._emit.slice_axes(joined, both), level)
        # Of our own tensors a Slice is safe, and costs nothing.
        own = port(joined) != port(level.table.output)
        cut = self._emit.slice if own else self._emit.slice_apart
        return self._counted(cut(joined, *level.positions, axis), level)

    def _table(self, level: Level) -> ov.Output:
        table = level.table.output
        if port(table) not in self._tables:
            self._tables[port(table)] = self._emit.times_one(table) if self._apart else table
        return self._tables[port(table)]

    def _columns(self, level: Level, columns: range) -> ov.Output:
        """Return some columns of a table, of all levels that it holds."""
        values, table = self._table(level), level.table
        if len(columns) == table.columns:
            return values
        return self._emit.slice_apart(values, columns.start, columns.stop, table.column_axis)

    def _counted(self, values: ov.Output, level: Level) -> Scores:
        """Give each factor an axis of its own."""
        anchors, extents = level.table.anchors, sizes(values) or []
        parts: list[tuple[str, int | None]] = []
        for index, axis in enumerate(level.layout):
            if index == level.table.column_axis:
                parts.extend([("anchor", anchors)] if anchors > 1 else [])
                parts.append((SCORE, (extents[index] or 1) // anchors))
            else:
                parts.extend((factor.role.value, factor.size) for segment in axis for factor in segment)
        if [extent for _, extent in parts] != extents:
            # One dynamic extent, the batch, is what is left.
            values = self._emit.reshape(values, *pattern_of(extent for _, extent in parts))
        return Scores(values, tuple(name for name, _ in parts))
