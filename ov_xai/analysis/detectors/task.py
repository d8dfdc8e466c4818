"""What a model with scores on a grid does: detect objects, or segment the image."""

from __future__ import annotations

from enum import Enum

import openvino as ov

from ov_xai.analysis.axes import Grid, grid, is_spatial, place_axes
from ov_xai.analysis.detectors.box_columns import BOX_COLUMNS, OFFSET_COLUMNS
from ov_xai.analysis.detectors.class_head import ClassHead
from ov_xai.analysis.detectors.labels import Labels
from ov_xai.analysis.detectors.levels import feeds
from ov_xai.analysis.propagation import Layouts
from ov_xai.analysis.scores import Activation
from ov_xai.errors import UnsupportedModelError
from ov_xai.graph.kinds import DECISION_OPS
from ov_xai.graph.view import GraphView, node_key, port, sizes

#: A picture of so many numbers per place is as likely a depth, a flow, a colour or a normal as scores of classes.
_FEW_CHANNELS = 3
_ACTIVATION_OPS = {Activation.SOFTMAX: "Softmax", Activation.SIGMOID: "Sigmoid"}


class DetectorTask(str, Enum):
    """What a model with scores on a grid does."""

    DETECTION = "detection"
    SEGMENTATION = "segmentation"


def is_picture(view: GraphView, layouts: Layouts, head: ClassHead, named: ov.Output | None) -> bool:
    """Return whether all that leaves the model are pictures: class scores on one grid, or the class of each place.

    Args:
        view: the graph.
        layouts: what the axes of every tensor are.
        head: the class scores.
        named: the output that a caller takes the scores from; others then count only where they are on the same grid.
    """
    if len(head.levels) != 1 or head.anchors != 1 or head.objectness is not None or head.objectness_levels:
        return False
    level = head.levels[0]
    if level.axis is not None or len(head.columns) != level.table.columns:
        return False
    return all(
        _shows(view, layouts, head, output)
        for output in view.model.outputs
        if named is None or port(output) == port(named) or _beside(layouts, head, output)
    )


def require_classes(view: GraphView, head: ClassHead, labels: Labels, told: bool) -> None:
    """Refuse a picture of few numbers per place of which nothing says that they are class scores.

    Args:
        view: the graph.
        head: the class scores.
        labels: those of the model.
        told: whether a caller, or a card, says that they are.

    Raises:
        UnsupportedModelError: they may be something else.
    """
    channels = len(head.columns)
    activated = head.made_by is not Activation.NONE
    if told or activated or channels > _FEW_CHANNELS or labels.count == channels or feeds(view, head.levels, {"TopK"}):
        return
    count, naming = f"{channels} numbers", "If they are classes, name them"
    if channels == 1:
        count, naming = "one number", "If it is the score of a class, name that"
    raise UnsupportedModelError(
        f"The output is a picture of {count} per place without an activation: class scores of a segmentation model, or "
        "a depth, a flow, colours or normals",
        node=head.levels[0].table.output.get_node().get_friendly_name(),
        remedy=f"{naming} with --labels; else use --method activation-map, which needs no classes.",
    )


def _shows(view: GraphView, layouts: Layouts, head: ClassHead, output: ov.Output) -> bool:
    """Return whether an output is a picture of the scores, of the classes, or of an auxiliary head that is alike."""
    if not _is_pictured(layouts, output):
        return False
    before = view.ancestors([output.get_node()])
    if any(view.node(key).get_type_name() in DECISION_OPS - {"TopK"} for key in before):
        return False
    scores = head.levels[0].table.output.get_node()
    if node_key(scores) in before:
        return True
    if (sizes(output) or [])[1] != len(head.columns):
        return False
    if head.made_by is Activation.NONE:
        return head.enlarged or len(head.columns) not in {BOX_COLUMNS, *OFFSET_COLUMNS}
    # Logits of the scores, or scores that have been through the same activation.
    own = node_key(output.get_node().input_value(0).get_node()) in view.ancestors([scores])
    return own or any(view.node(key).get_type_name() == _ACTIVATION_OPS[head.made_by] for key in before)


def _is_pictured(layouts: Layouts, output: ov.Output) -> bool:
    layout = layouts.get(port(output.get_node().input_value(0)))
    return layout is not None and is_spatial(layout) and len(place_axes(layout)) == 2


def _beside(layouts: Layouts, head: ClassHead, output: ov.Output) -> bool:
    """Return whether an output is on the grid of scores that are not enlarged, so that it may tell more of them."""
    layout = layouts.get(port(output.get_node().input_value(0)))
    return not head.enlarged and (layout is None or _grid_of(layouts, output) == head.levels[0].grid)


def _grid_of(layouts: Layouts, output: ov.Output) -> Grid | None:
    return grid(layouts[port(output.get_node().input_value(0))]) if _is_pictured(layouts, output) else None
