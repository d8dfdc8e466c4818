"""Auxiliary heads of a segmentation model: alike tables on several grids that are no levels of a pyramid."""

from __future__ import annotations

from dataclasses import replace

from ov_xai.analysis.detectors.class_head import ClassHead
from ov_xai.analysis.detectors.levels import feeds
from ov_xai.analysis.scores import Activation
from ov_xai.graph.view import GraphView, node_key


def taken_apart(view: GraphView, head: ClassHead, labels: int | None) -> list[ClassHead]:
    """Return a head per table where each is a picture in an output of its own; a detector's head stays whole.

    A detector's levels have boxes: outputs beside them, or columns beside the classes. Pictures have neither: they are
    enlarged to one size, a softmax over all columns made them, or there are as many labels as columns.

    Args:
        view: the graph.
        head: class scores, on one level or several.
        labels: number of classes, where labels tell; None where not.
    """
    columns = len(head.columns)
    single = all(level.axis is None and level.table.columns == columns for level in head.levels)
    if len(head.levels) < 2 or head.anchors > 1 or not single or not _have_outputs_of_their_own(view, head):
        return [head]
    enlarged = all(feeds(view, [level], {"Interpolate"}) for level in head.levels)
    if not (enlarged or head.made_by is Activation.SOFTMAX or labels == columns):
        return [head]
    return [replace(head, levels=(level,)) for level in head.levels]


def _have_outputs_of_their_own(view: GraphView, head: ClassHead) -> bool:
    """Return whether every output is computed from exactly one of the tables, and every table has one."""
    tables = {node_key(level.table.output.get_node()) for level in head.levels}
    read = [tables & view.ancestors([output.get_node()]) for output in view.model.outputs]
    return all(len(found) == 1 for found in read) and set().union(*read) == tables
