"""Columns of boxes: told from those of classes by their number, and what they say about anchors."""

from __future__ import annotations

from ov_xai.analysis.detectors.levels import levels_of
from ov_xai.analysis.detectors.tables import Table

#: Columns of a box: two corners, or a centre and a size.
BOX_COLUMNS = 4
#: Columns of boxes whose four sides are distributions over 8, 11, 16, 17 or 33 bins (generalised focal loss).
DISTRIBUTION_COLUMNS = frozenset({32, 44, 64, 68, 132})
#: Columns of a size or an offset, where boxes are made of several tables.
OFFSET_COLUMNS = frozenset({2})
#: Anchors per place that detectors have; others would be mistaken for distributions.
ANCHOR_COUNTS = (2, 3, 4, 5, 6, 7, 9, 12)


def without_boxes(tables: list[Table]) -> list[Table]:
    """Leave out the tables that hold boxes.

    Those have four columns, or four times as many as a distribution of a side has bins, where others do not; with
    anchors they have four for each where the others have a column for each anchor and class.
    """
    boxes = [table for table in tables if table.columns == BOX_COLUMNS]
    grids = [level.grid for table in boxes for level in levels_of(table)]
    if len(set(grids)) < len(grids):
        return tables  # two of them: one may hold four classes
    kept = [table for table in tables if table.columns != BOX_COLUMNS] or tables
    for parts in (DISTRIBUTION_COLUMNS, OFFSET_COLUMNS):
        if len({table.columns for table in kept} - {1}) > 1:
            kept = [table for table in kept if table.columns not in parts] or kept
    return [table for table in kept if not any(_anchors_of(other, table) for other in kept)] or kept


def divided_by_anchors(tables: list[Table], all_tables: list[Table]) -> list[Table]:
    """Divide columns that count anchors and classes where boxes of the same grid tell the number of anchors."""
    counts = [next((count for other in all_tables if (count := _anchors_of(table, other))), 0) for table in tables]
    # Every level has boxes; a map of something else on one grid tells nothing.
    if not all(counts) or len({table.columns // count for table, count in zip(tables, counts, strict=True)}) != 1:
        return tables
    return [table.divided(count) for table, count in zip(tables, counts, strict=True)]


def _anchors_of(scores: Table, boxes: Table) -> int:
    """Return the number of anchors that boxes have in the columns of one grid; 0 when they are none of these scores."""
    anchors = boxes.columns // BOX_COLUMNS
    fits = boxes.columns % BOX_COLUMNS == 0 and anchors in ANCHOR_COUNTS and scores.columns % anchors == 0
    separate = all(len(axis) == 1 for table in (scores, boxes) for axis in table.layout)
    same = separate and [level.grid for level in levels_of(scores)] == [level.grid for level in levels_of(boxes)]
    return anchors if fits and same and scores.columns > boxes.columns // 2 and scores is not boxes else 0
