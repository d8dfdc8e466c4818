"""The class head of a detector: which numbers are the class scores of which places of which pyramid level."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ov_xai.analysis.axes import Grid, Layout, Role, Segment, segment_size
from ov_xai.analysis.detectors.tables import Table
from ov_xai.analysis.scores import Activation


@dataclass(frozen=True)
class Level:
    """The part of a table that belongs to one level of the feature pyramid.

    Attributes:
        table: where its scores are.
        grid: its rows and columns.
        axis: the axis of the table that joins several levels; None when the table holds this level alone.
        start: first position of the level on that axis.
        segment: what the positions of the level on that axis count, outermost first: rows, columns, anchors.
    """

    table: Table
    grid: Grid
    axis: int | None = None
    start: int = 0
    segment: Segment = ()

    @property
    def layout(self) -> Layout:
        """What the axes of the level are, once it is cut out of the table."""
        layout = self.table.layout
        return layout if self.axis is None else (*layout[: self.axis], (self.segment,), *layout[self.axis + 1 :])

    @property
    def anchors(self) -> int:
        """Number of anchors per place."""
        count = self.table.anchors
        for index, axis in enumerate(self.layout):
            if index != self.table.column_axis:
                others = [f.size or 1 for part in axis for f in part if f.role is Role.OTHER]
                count *= int(np.prod(others, dtype=np.int64))
        return count

    @property
    def positions(self) -> tuple[int, int]:
        """First position of the level on the axis that joins several, and the one behind its last."""
        size = segment_size(self.segment)
        assert size is not None
        return self.start, self.start + size

    def divided(self, anchors: int) -> Level:
        """Return the level with a table whose columns are counted per anchor."""
        return replace(self, table=self.table.divided(anchors))


@dataclass(frozen=True)
class ClassHead:
    """Class scores on a feature pyramid.

    Attributes:
        levels: finest first.
        columns: columns of the tables that hold the class scores, in order.
        objectness: column of the same tables that the class scores are to be multiplied with; None for none.
        objectness_levels: the same in tables of their own, one per level; empty for none.
        unsure: whether structure does not tell if one of the columns, the first or the last, is an objectness.
        made_by: the activation that the scores in the tables have been through.
        activation: the activation that makes probabilities of them; NONE when they are probabilities.
        complete: whether the columns are all that the activation made, so that a background is still among them.
        background: index among `columns` of the class that means "nothing"; None for none.
        background_named: whether a label names the background, so that it is counted among the label ids.
        alone: whether the model's outputs hold nothing else, so that boxes must be among the columns.
        enlarged: whether the model goes on with the tables, resizing them.
        shared_weights: whether all levels are scored by the same weights; False with a single layer.
    """

    levels: tuple[Level, ...]
    columns: range
    objectness: int | None = None
    objectness_levels: tuple[Level, ...] = ()
    unsure: bool = False
    made_by: Activation = Activation.NONE
    activation: Activation = Activation.NONE
    complete: bool = True
    background: int | None = None
    background_named: bool = False
    alone: bool = False
    enlarged: bool = False
    shared_weights: bool = False

    @property
    def anchors(self) -> int:
        """Largest number of anchors per place."""
        return max(level.anchors for level in self.levels)
