"""Class scores on a feature pyramid, kept together where a table joins the levels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import openvino as ov

from ov_xai.analysis.axes import Role, has_role
from ov_xai.analysis.detectors.class_head import ClassHead, Level
from ov_xai.analysis.scores import Activation
from ov_xai.graph.emit import Emitter
from ov_xai.graph.view import Port, pattern_of, port, sizes
from ov_xai.methods.level_scores import BATCH, MAP_AXES, SCORE, Scores, TableReader

#: Stands for the places of all levels, on the axis that joins them.
_JOINED = "joined"


@dataclass(frozen=True)
class _Part:
    """Class scores in one tensor.

    Attributes:
        scores: of one level, or of several on one axis.
        columns: those of the tensor that are classes.
        levels: what is in it, by index in the pyramid.
    """

    scores: Scores
    columns: range
    levels: dict[int, Level]

    def classes(self, emit: Emitter) -> Scores:
        """Return the scores without other columns."""
        axis = self.scores.axes.index(SCORE)
        extents = sizes(self.scores.values) or []
        if extents[axis] == len(self.columns):
            return self.scores
        level = next(iter(self.levels.values()))
        # A Slice of the model's own tensors would be moved into the model.
        cut = emit.slice_apart if port(self.scores.values) == port(level.table.output) else emit.slice
        return Scores(cut(self.scores.values, self.columns.start, self.columns.stop, axis), self.scores.axes)


class ClassScores:
    """The class scores of a detector: of all columns of its head, or of some.

    Args:
        emit: where nodes are added.
        head: the class scores.
        apart: read them behind a product.
    """

    def __init__(self, emit: Emitter, head: ClassHead, *, apart: bool = False) -> None:
        self._emit = emit
        self._reader = TableReader(emit, apart)
        self._parts = list(self._read(head))

    def highest(self) -> ov.Output:
        """Return the highest score of each class at any place of any level, [N, K]."""
        emit, found = self._emit, []
        for part in self._parts:
            best = part.scores.highest(emit)
            whole = (sizes(best) or [])[1] == len(part.columns)
            found.append(best if whole else emit.slice(best, part.columns.start, part.columns.stop, 1))
        highest = found[0]
        for other in found[1:]:
            highest = emit.maximum(highest, other)
        return highest

    def maps(self, chosen: ov.Output | None = None) -> list[ov.Output]:
        """Return per level the score of the best anchor, [N, K, h_l, w_l]; the background is left in.

        Args:
            chosen: columns of the head, i64 [N, T], for maps of these only, [N, T, h_l, w_l].
        """
        found: dict[int, ov.Output] = {}
        for part in self._parts:
            scores = part.scores if chosen is None else self._chosen(part, chosen)
            columns = part.columns if chosen is None else None
            for index, level in part.levels.items():
                with self._emit.scope(f"level_{index}"):
                    own = self._reader.cut(scores.values, level, columns) if _JOINED in scores.axes else scores
                    found[index] = own.best_anchor(self._emit)
        return [found[index] for index in sorted(found)]

    def _chosen(self, part: _Part, columns: ov.Output) -> Scores:
        """Return some classes of a part."""
        emit = self._emit
        if part.scores.axes[:2] == (BATCH, SCORE):
            start = part.columns.start
            shifted = columns if start == 0 else emit.add(columns, emit.like(start, columns))
            return Scores(emit.gather_per_image(part.scores.values, shifted), part.scores.axes)
        scores = part.classes(emit)
        if scores.axes == (BATCH, _JOINED, SCORE):
            # A Gather along the last axis moves single numbers; a product with ones and zeros is exact and quicker.
            ones = emit.one_hot(columns, len(part.columns), scores.values)
            return Scores(emit.matmul(scores.values, ones, transpose_b=True), scores.axes)
        return Scores(emit.gather_per_image(scores.best_anchor(emit), columns), MAP_AXES)

    def _read(self, head: ClassHead) -> Iterator[_Part]:
        """Yield the scores, those that stand in one table together."""
        seen: set[Port] = set()
        for index, level in enumerate(head.levels):
            with self._emit.scope(f"level_{index}"):
                if not _stays_whole(head, level):
                    scores = self._of_level(head, index)
                    yield _Part(scores, range(len(head.columns)), {index: level})
                elif port(level.table.output) not in seen:
                    seen.add(port(level.table.output))
                    yield self._of_table(head, level)

    def _of_level(self, head: ClassHead, index: int) -> Scores:
        """Return the scores of one level, an objectness multiplied in."""
        level, single = head.levels[index], _single(head.activation)
        scores = self._reader.scores(level, head.columns, head.activation)
        if head.objectness is not None:
            sure = self._reader.scores(level, range(head.objectness, head.objectness + 1), single)
            return scores.times(self._emit, sure)
        if head.objectness_levels:
            beside = head.objectness_levels[index]
            sure = self._reader.scores(beside, range(beside.table.columns), single)
            return scores.times(self._emit, sure)
        return scores

    def _of_table(self, head: ClassHead, level: Level) -> _Part:
        """Return the scores of all levels of a table, an objectness multiplied in."""
        levels = {i: one for i, one in enumerate(head.levels) if port(one.table.output) == port(level.table.output)}
        axes = tuple({0: BATCH, level.axis: _JOINED, level.table.column_axis: SCORE}[axis] for axis in range(3))
        # Cutting columns out of a large tensor costs more than to compute with some too many.
        softmax = head.activation is Activation.SOFTMAX
        read = head.columns if softmax else range(level.table.columns)
        scores = Scores(self._reader.joined(level, read, head.activation), axes)
        if head.objectness is not None:
            column = range(head.objectness, head.objectness + 1)
            sure = self._reader.joined(level, column, _single(head.activation))
            scores = scores.times(self._emit, Scores(sure, axes))
        part = _Part(scores, range(len(head.columns)) if softmax else head.columns, levels)
        innermost = {one.segment[-1:] for one in levels.values()}
        same = innermost.pop() if len(innermost) == 1 else ()
        return self._without_anchors(part, same[0].size or 1) if has_role((same,), Role.OTHER) else part

    def _without_anchors(self, part: _Part, anchors: int) -> _Part:
        """Return the largest scores of all anchors, which every level has as many of, innermost: at once for all."""
        values, axis = part.scores.values, part.scores.axes.index(_JOINED)
        shape = pattern_of(sizes(values) or [])
        apart = self._emit.reshape(values, *shape[:axis], shape[axis] // anchors, anchors, *shape[axis + 1 :])
        best = Scores(self._emit.reduce_max(apart, axis + 1), part.scores.axes)
        levels = {
            index: replace(level, start=level.start // anchors, segment=level.segment[:-1])
            for index, level in part.levels.items()
        }
        return _Part(best, part.columns, levels)


def _stays_whole(head: ClassHead, level: Level) -> bool:
    """Return whether the levels of a table are taken apart last: [N, places, columns] or [N, columns, places]."""
    table, axis = level.table, level.axis
    if axis is None or table.anchors > 1 or head.objectness_levels:
        return False
    bounds = [other.positions for other in head.levels if port(other.table.output) == port(table.output)]
    filled = sum(stop - start for start, stop in bounds) == (sizes(table.output) or [])[axis]
    return filled and len(table.layout) == 3 and has_role(table.layout[0], Role.BATCH) and table.column_axis > 0


def _single(activation: Activation) -> Activation:
    return Activation.SIGMOID if activation is Activation.SOFTMAX else activation
