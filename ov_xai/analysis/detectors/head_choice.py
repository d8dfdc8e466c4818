"""Of what could be the class head of a detector, the one that is; and what its numbers mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import openvino as ov

from ov_xai.analysis.anatomy import Surface
from ov_xai.analysis.detectors.auxiliary import taken_apart
from ov_xai.analysis.detectors.box_columns import BOX_COLUMNS, OFFSET_COLUMNS
from ov_xai.analysis.detectors.card_facts import matches, settled
from ov_xai.analysis.detectors.class_head import ClassHead
from ov_xai.analysis.detectors.feature_map import works_on_regions
from ov_xai.analysis.detectors.head_search import class_heads
from ov_xai.analysis.detectors.labels import known_labels
from ov_xai.analysis.detectors.levels import feeds
from ov_xai.analysis.detectors.own_boxes import without_own_boxes
from ov_xai.analysis.detectors.task import DetectorTask, is_picture, require_classes
from ov_xai.analysis.scores import Activation, named_output
from ov_xai.cards import Card
from ov_xai.errors import ModelMismatchError, UnsupportedModelError
from ov_xai.graph.kinds import DECISION_OPS
from ov_xai.graph.view import GraphView, node_key, shape_text, sizes
from ov_xai.request import InsertionRequest


def scored_places(
    surface: Surface, request: InsertionRequest, cards: Sequence[Card]
) -> tuple[ClassHead, Card | None, DetectorTask] | None:
    """Return the class scores, the card that describes them and the task; None when no place has any.

    Raises:
        UnsupportedModelError: it is not known which numbers are the scores.
        ModelMismatchError: the output named in the request holds none.
    """
    view, layouts = surface.view, surface.layouts
    labels = known_labels(view, request)
    heads = [] if works_on_regions(view) else class_heads(view, layouts, labels.count)
    heads = [
        part for head in heads for part in taken_apart(view, head, labels.count) if not _counts_queries(view, part)
    ]
    named = None
    if request.score_output is not None:
        named = view.model.outputs[named_output(view.model, request.score_output)]
        heads = _of_output(view, heads, named, request.score_output)
    head = _choose(view, heads, labels.count, cards)
    if head is None:
        return None
    card = next((card for card in cards if matches(card.match, view, head)), None)
    task = DetectorTask.DETECTION
    if is_picture(view, layouts, head, named):
        told = named is not None or (card is not None and card.scores.activation is not None)
        require_classes(view, head, labels, told)
        task = DetectorTask.SEGMENTATION
    own = card is not None and card == request.card
    head = settled(head, card, task, labels, own)
    return without_own_boxes(view, head, task, labels.count), card, task


def _counts_queries(view: GraphView, head: ClassHead) -> bool:
    """Return whether the columns of a table are queries: an output beside it lists something for each of them."""
    table = head.levels[0].table
    if len(head.levels) > 1 or head.made_by is not Activation.NONE or table.columns != len(head.columns):
        return False
    shapes = [sizes(output) or [] for output in view.model.outputs]
    return any(len(shape) == 3 and shape[1] == table.columns for shape in shapes)


def _choose(view: GraphView, heads: list[ClassHead], labels: int | None, cards: Sequence[Card]) -> ClassHead | None:
    """Return the head with as many classes as there are labels, else the only one.

    Of several, those whose classes stand behind a box, or that boxes are selected by, are the more likely.

    Of heads that are alike, such as an auxiliary one, that of the first output is taken.

    Raises:
        UnsupportedModelError: several tables could hold the class scores.
    """
    fitting = [head for head in heads if len(head.columns) == labels]
    fitting = fitting or [head for head in heads if len(head.columns) - 1 == labels]
    fitting = fitting or [head for head in heads if any(_names_columns(card, view, head) for card in cards)]
    chosen = fitting or heads
    chosen = [head for head in chosen if head.columns.start >= BOX_COLUMNS] or chosen
    chosen = [head for head in chosen if feeds(view, head.levels[:1], DECISION_OPS)] or chosen
    counts = {len(head.columns) for head in chosen}
    # A size, an offset or a box is alike, but for pictures that are enlarged.
    parts = counts <= {BOX_COLUMNS, *OFFSET_COLUMNS} and not all(_is_told(head) for head in chosen)
    if len(counts) < 2 and (len(chosen) < 2 or not parts):
        return min(chosen, key=lambda head: _first_output(view, head), default=None)
    nodes = [head.levels[0].table.output.get_node().get_friendly_name() for head in heads]
    found = ", ".join(f"{len(head.columns)} ('{name}')" for head, name in zip(heads, nodes, strict=True))
    raise UnsupportedModelError(
        f"Several tables could hold the class scores; they have so many columns: {found}",
        remedy="Name the output with --score-output."
        if len(counts) == 1
        else "Give one label per class with --labels, name the output with --score-output, or say how many columns "
        "with a --card.",
    )


def _is_told(head: ClassHead) -> bool:
    """Return whether tables of few columns are class scores all the same: pictures, or probabilities, but of boxes."""
    return head.enlarged or (head.made_by is not Activation.NONE and len(head.columns) != BOX_COLUMNS)


def _names_columns(card: Card, view: GraphView, head: ClassHead) -> bool:
    return card.match.columns is not None and matches(card.match, view, head)


def _first_output(view: GraphView, head: ClassHead) -> int:
    """Return the index of the first output that depends on a head."""
    table = node_key(head.levels[0].table.output.get_node())
    found = [i for i, output in enumerate(view.model.outputs) if table in view.ancestors([output.get_node()])]
    return found[0] if found else len(view.model.outputs)


def _of_output(view: GraphView, heads: list[ClassHead], named: ov.Output, name: str) -> list[ClassHead]:
    """Return the heads that an output is computed from, with the levels that it is computed from."""
    before = view.ancestors([named.get_node()])
    found = [part for head in heads if (part := _read_by(head, before)) is not None]
    if not found:
        raise ModelMismatchError(
            f"Output '{name}' {shape_text(named)} holds no class scores; expected [N, classes], or scores of classes "
            "on a grid, computed from the image. Give another --score-output."
        )
    return found


def _read_by(head: ClassHead, before: set[int]) -> ClassHead | None:
    """Return a head with those levels only that are among some nodes; None when none is.

    Where boxes are columns of the outputs, each of these names the whole family of levels.
    """
    kept = [index for index, level in enumerate(head.levels) if node_key(level.table.output.get_node()) in before]
    if head.alone and kept:
        return head
    levels, beside = (
        tuple(part[index] for index in kept) if part else () for part in (head.levels, head.objectness_levels)
    )
    return replace(head, levels=levels, objectness_levels=beside) if kept else None
