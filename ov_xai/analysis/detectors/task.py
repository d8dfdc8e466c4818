"""What a model with scores on a grid does: detect objects, or segment the image."""

from __future__ import annotations

from enum import Enum

from ov_xai.analysis.axes import is_spatial, place_axes
from ov_xai.analysis.detectors.class_head import ClassHead
from ov_xai.analysis.propagation import Layouts
from ov_xai.analysis.scores import Activation
from ov_xai.graph.kinds import DECISION_OPS
from ov_xai.graph.view import GraphView, node_key, port, sizes


class DetectorTask(str, Enum):
    """What a model with scores on a grid does."""

    DETECTION = "detection"
    SEGMENTATION = "segmentation"


def is_picture(view: GraphView, layouts: Layouts, head: ClassHead, labelled: bool) -> bool:
    """Return whether all that leaves the model are pictures: class scores on one grid, or the class of each place.

    A single picture of numbers without an activation may be anything; a label says that it is a class.
    """
    if len(head.levels) != 1 or head.anchors != 1 or head.objectness is not None or head.objectness_levels:
        return False
    level = head.levels[0]
    if level.axis is not None or len(head.columns) != level.table.columns:
        return False
    scores = node_key(level.table.output.get_node())
    for output in view.model.outputs:
        shape = sizes(output) or []
        before = view.ancestors([output.get_node()])
        layout = layouts.get(port(output.get_node().input_value(0)))
        pictured = layout is not None and is_spatial(layout) and len(place_axes(layout)) == 2
        if not pictured or (scores not in before and shape[1] != len(head.columns)):
            return False
        if any(view.node(key).get_type_name() in DECISION_OPS - {"TopK"} for key in before):
            return False
    return labelled or len(head.columns) > 1 or head.made_by is not Activation.NONE
