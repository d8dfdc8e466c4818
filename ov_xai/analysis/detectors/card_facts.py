"""What a card says about the class head of a detector."""

from __future__ import annotations

from dataclasses import replace

from ov_xai.analysis.detectors.class_head import ClassHead
from ov_xai.analysis.detectors.labels import Labels
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


def settled(head: ClassHead, card: Card | None, task: DetectorTask, labels: Labels, own: bool) -> ClassHead:
    """Return the head with its activation and background: from the card, else from the labels, else from structure.

    Labels come before a card that was found by structure.

    Args:
        head: the class scores.
        card: what is known about the family.
        task: what the model does.
        labels: its labels.
        own: whether the caller gave the card for this model.

    Raises:
        CardError: the card names columns that the tables do not have.
        UnsupportedModelError: it is not known whether one of the columns is an objectness.
    """
    head = _by_labels(_by_structure(head, task, labels), task, labels)
    if card is not None:
        head = _by_card(head, card)
        head = head if own else _by_labels(head, task, labels)
    _require_known_objectness(head)
    return head


def _by_structure(head: ClassHead, task: DetectorTask, labels: Labels) -> ClassHead:
    exclusive = task is DetectorTask.SEGMENTATION and len(head.columns) > 1
    natural = Activation.SOFTMAX if exclusive else Activation.SIGMOID
    activation = natural if head.made_by is Activation.NONE else Activation.NONE
    sure = head.objectness is not None or bool(head.objectness_levels) or labels.count == len(head.columns)
    nothing = task is DetectorTask.DETECTION and head.made_by is Activation.SOFTMAX and head.complete and not sure
    return replace(head, activation=activation, background=0 if nothing else None)


def _by_labels(head: ClassHead, task: DetectorTask, labels: Labels) -> ClassHead:
    """Return the head with the background that labels name, and none where a label for every column names none.

    A segmentation model has a map of its background too.
    """
    if task is DetectorTask.SEGMENTATION or labels.count != len(head.columns):
        return head
    activation = head.activation
    if labels.background != head.background and head.made_by is Activation.NONE:
        activation = Activation.SIGMOID if labels.background is None else Activation.SOFTMAX
    named = labels.background is not None
    return replace(head, background=labels.background, background_named=named, activation=activation)


def _by_card(head: ClassHead, card: Card) -> ClassHead:
    facts = card.scores
    _require_columns(card, head.levels[0].table.columns)
    if facts.anchors is not None:
        levels = tuple(level.divided(facts.anchors) for level in head.levels)
        head = replace(head, levels=levels, columns=range(levels[0].table.columns))
    head = _with_columns(head, card)
    last = len(head.columns) - 1
    return replace(
        head,
        activation=Activation(facts.activation)
        if facts.activation and head.made_by is Activation.NONE
        else head.activation,
        background={None: head.background, "none": None, "first": 0, "last": last}[facts.background],
    )


def _with_columns(head: ClassHead, card: Card) -> ClassHead:
    """Return the head with the columns of classes and objectness that a card names."""
    facts, found = card.scores, head.objectness
    if facts.first_column is None and facts.classes is None and facts.objectness_column is None:
        return head
    known = {*head.columns, *(() if found is None else (found,))}
    start = min(known) if facts.first_column is None else facts.first_column
    stop = max(known) + 1 if facts.classes is None else start + facts.classes
    if isinstance(facts.objectness_column, int):
        sure: int | None = facts.objectness_column
        stop += 1 if facts.classes is not None and sure == start else 0
    else:
        sure = None if facts.objectness_column == "none" or found in range(start, stop) else found
    columns = range(start, stop)
    if sure == start:
        columns = columns[1:]
    elif sure == stop - 1:
        columns = columns[:-1]
    if sure in columns:
        raise CardError(
            f"Card '{card.name}': scores.objectness_column is {sure}, among the classes, columns {columns.start} to "
            f"{columns.stop - 1}; expected the first or the last of them, or one beside them."
        )
    return replace(head, columns=columns, objectness=sure, unsure=False)


def _require_known_objectness(head: ClassHead) -> None:
    if head.unsure:
        raise UnsupportedModelError(
            f"Of the {len(head.columns)} columns of scores beside the boxes, from column {head.columns.start} on, the "
            "first or the last may be an objectness, or all may be classes",
            node=head.levels[0].table.output.get_node().get_friendly_name(),
            remedy="If all are classes, give a label for each with --labels; else describe the family with a --card: "
            'scores.objectness_column is its column, or "none".',
        )


def _require_columns(card: Card, total: int) -> None:
    facts = card.scores
    anchors = facts.anchors or 1
    if total % anchors:
        raise CardError(f"Card '{card.name}': scores.anchors is {anchors}, which does not divide {total} columns.")
    last_class = None if facts.classes is None else (facts.first_column or 0) + facts.classes - 1
    for name, column in (
        ("first_column", facts.first_column),
        ("objectness_column", facts.objectness_column),
        ("first_column + scores.classes - 1", last_class),
    ):
        if isinstance(column, int) and column >= total // anchors:
            raise CardError(
                f"Card '{card.name}': scores.{name} is {column}; the tables have {total // anchors} columns, counted "
                "from 0. Correct the card, or say in [match] which models it is for."
            )
