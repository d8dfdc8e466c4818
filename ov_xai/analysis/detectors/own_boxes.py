"""Tables that hold boxes and classes together: which of their columns are classes."""

from __future__ import annotations

from dataclasses import replace

from ov_xai.analysis.detectors.box_columns import BOX_COLUMNS
from ov_xai.analysis.detectors.class_head import ClassHead
from ov_xai.analysis.detectors.tables import from_source
from ov_xai.analysis.detectors.task import DetectorTask
from ov_xai.errors import UnsupportedModelError
from ov_xai.graph.view import GraphView


def without_own_boxes(view: GraphView, head: ClassHead, task: DetectorTask, labels: int | None) -> ClassHead:
    """Return the head without the columns of boxes, where classes and boxes are columns of the only outputs.

    Args:
        view: the graph.
        head: class scores.
        task: what the model does.
        labels: number of classes, where labels tell; None where not.

    Raises:
        UnsupportedModelError: it is not known which columns are classes.
    """
    total = head.levels[0].table.columns
    if task is DetectorTask.SEGMENTATION or not head.alone or len(head.columns) != total or labels == total:
        return head
    own = 0 if labels is None else BOX_COLUMNS + 1 + labels
    if own and total % own == 0:
        # The columns of an anchor: a box, an objectness, the classes.
        levels = head.levels if own == total else tuple(level.divided(total // own) for level in head.levels)
        return replace(head, levels=levels, columns=range(BOX_COLUMNS + 1, own), objectness=BOX_COLUMNS)
    columns = None if labels is None else _of_own_layers(view, head, labels)
    if columns is not None:
        return replace(head, columns=columns)
    raise _not_known(head, labels)


def _not_known(head: ClassHead, labels: int | None) -> UnsupportedModelError:
    total = head.levels[0].table.columns
    what = "boxes and classes together"
    remedy = "Give one label per class with --labels, or describe the family with --card."
    if total <= BOX_COLUMNS:
        what = "too few for a box and a class: classes alone, or something else"
        remedy = "If they are classes, give a label for each with --labels; else use --method activation-map."
    elif labels is not None:
        remedy = (
            f"{labels} labels do not tell which columns are classes: say scores.first_column and scores.classes with a "
            "--card."
        )
    return UnsupportedModelError(
        f"The outputs are tables of {total} columns, {what}",
        node=head.levels[0].table.output.get_node().get_friendly_name(),
        remedy=remedy,
    )


def _of_own_layers(view: GraphView, head: ClassHead, labels: int) -> range | None:
    """Return the columns that layers of one channel per class give; None where none do, or others give as many.

    What is left must be boxes: four numbers, or four distributions of their sides.
    """
    if (head.levels[0].table.columns - labels) % BOX_COLUMNS:
        return None
    made = {from_source(view, level.table, source) for level in head.levels for source in level.table.sources}
    fitting = [part for part in made if len(part) == labels and part[-1] - part[0] == labels - 1]
    return range(fitting[0][0], fitting[0][-1] + 1) if len(fitting) == 1 else None
