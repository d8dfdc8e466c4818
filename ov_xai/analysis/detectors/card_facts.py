"""What a card says about the class head of a detector."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ov_xai.analysis.detectors.box_columns import BOX_COLUMNS
from ov_xai.analysis.detectors.class_head import ClassHead, Level
from ov_xai.analysis.detectors.task import DetectorTask
from ov_xai.analysis.scores import Activation
from ov_xai.cards import Card, Match
from ov_xai.errors import CardError, UnsupportedModelError
from ov_xai.graph.model_info import info_value
from ov_xai.graph.view import GraphView


def matches(match: Match, view: GraphView, head: ClassHead) -> bool:
    """Return whether a model is of the family a card describes."""
    kinds = {node.get_type_name() for node in view.ops}
    # TensorFlow numbers its tensors: "detection_boxes:0".
    names = {name.removesuffix(":0") for output in view.model.outputs for name in output.get_names()}
    info = {key: (info_value(view.model, key) or "").lower() for key in match.info}
    return (
        match.made_by in (None, head.made_by.value)
        and match.shared_weights in (None, head.shared_weights)
        and match.alone in (None, head.alone)
        and len(head.levels) >= match.min_levels
        and head.anchors >= match.min_anchors
        and match.columns in (None, head.levels[0].table.columns)
        and (not match.ops or bool(kinds.intersection(match.ops)))
        and names.issuperset(match.outputs)
        and all(info[key] == value.lower() for key, value in match.info.items())
    )


def settled(head: ClassHead, card: Card | None, task: DetectorTask, labels: int | None) -> ClassHead:
    """Return the head with its activation and background, from the card, else from structure.

    Raises:
        CardError: the card names columns that the tables do not have.
    """
    exclusive = task is DetectorTask.SEGMENTATION and len(head.columns) > 1
    natural = Activation.SOFTMAX if exclusive else Activation.SIGMOID
    activation = natural if head.made_by is Activation.NONE else Activation.NONE
    sure = head.objectness is not None or bool(head.objectness_levels) or labels == len(head.columns)
    nothing = task is DetectorTask.DETECTION and head.made_by is Activation.SOFTMAX and head.complete and not sure
    head = replace(head, activation=activation, background=0 if nothing else None)
    if card is None:
        return head
    facts = card.scores
    _require_columns(card, head.levels[0].table.columns)
    if facts.anchors is not None:
        levels = _divided(head.levels, facts.anchors)
        head = replace(head, levels=levels, columns=range(levels[0].table.columns))
    columns = head.columns
    if facts.first_column is not None:
        columns = range(facts.first_column, columns.stop)
    objectness = head.objectness if facts.objectness_column is None else facts.objectness_column
    last = len(columns) - 1
    return replace(
        head,
        activation=Activation(facts.activation) if facts.activation and head.made_by is Activation.NONE else activation,
        columns=columns,
        objectness=objectness,
        background={None: head.background, "none": None, "first": 0, "last": last}[facts.background],
    )


def _require_columns(card: Card, total: int) -> None:
    facts = card.scores
    anchors = facts.anchors or 1
    if total % anchors:
        raise CardError(f"Card '{card.name}': scores.anchors is {anchors}, which does not divide {total} columns.")
    for name, column in (("first_column", facts.first_column), ("objectness_column", facts.objectness_column)):
        if column is not None and column >= total // anchors:
            raise CardError(
                f"Card '{card.name}': scores.{name} is {column}; the tables have {total // anchors} columns, counted "
                "from 0. Correct the card, or say in [match] which models it is for."
            )


def _divided(levels: Iterable[Level], anchors: int) -> tuple[Level, ...]:
    """Return the levels with tables whose columns are counted per anchor."""
    return tuple(replace(level, table=level.table.divided(anchors)) for level in levels)


def without_own_boxes(head: ClassHead, task: DetectorTask, labels: int | None) -> ClassHead:
    """Return the head without the columns of boxes, where classes and boxes are columns of the only outputs.

    Raises:
        UnsupportedModelError: it is not known which columns are classes.
    """
    total = head.levels[0].table.columns
    if task is DetectorTask.SEGMENTATION or not head.alone or len(head.columns) != total or labels == total:
        return head
    own = 0 if labels is None else BOX_COLUMNS + 1 + labels
    if own and total % own == 0:
        # The columns of an anchor: a box, an objectness, the classes.
        levels = head.levels if own == total else _divided(head.levels, total // own)
        return replace(head, levels=levels, columns=range(BOX_COLUMNS + 1, own), objectness=BOX_COLUMNS)
    name = head.levels[0].table.output.get_node().get_friendly_name()
    raise UnsupportedModelError(
        f"The outputs are tables of {total} columns, boxes and classes together",
        node=name,
        remedy="Give one label per class with --labels, or describe the family with --card.",
    )
