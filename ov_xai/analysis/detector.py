"""A detector or a segmentation model, taken apart: its class scores and a feature map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from enum import Enum

from ov_xai.analysis.anatomy import Anatomy, Surface
from ov_xai.analysis.axes import is_spatial, place_axes
from ov_xai.analysis.candidates import Candidate, candidate, is_learned
from ov_xai.analysis.class_head import BOX_COLUMNS, ClassHead, Level, class_heads, feeds, logit_head, nearest_layers
from ov_xai.analysis.propagation import Layouts
from ov_xai.analysis.scores import Activation, has_boxes, named_output, output_names
from ov_xai.cards import Card, Match
from ov_xai.errors import CardError, ModelMismatchError, UnsupportedModelError
from ov_xai.graph.kinds import CONTROL_FLOW, DECISION_OPS, REGION_OPS
from ov_xai.graph.model_info import info_value, read_labels
from ov_xai.graph.view import GraphView, node_key, port, shape_text, sizes
from ov_xai.request import InsertionRequest


class DetectorTask(str, Enum):
    """What a model with scores on a grid does."""

    DETECTION = "detection"
    SEGMENTATION = "segmentation"


@dataclass(frozen=True)
class Detector(Anatomy):
    """A model whose scores are on a grid.

    Attributes:
        task: what it does.
        head: its class scores; None where they are made per region or per query, not per place.
        card: the card that was used; None when structure tells everything.
    """

    task: DetectorTask
    head: ClassHead | None
    card: Card | None

    def maps(self) -> list[Candidate]:
        """Return every feature map of the model, in topological order."""
        return list(_maps(self.surface, [node_key(node) for node in self.view.ops]))

    def logits_of(self, head: ClassHead) -> ClassHead | None:
        """Return the class scores before their activation, on the same levels; None when they are not found."""
        return logit_head(self.view, self.layouts, head)


def dissect_detector(surface: Surface, request: InsertionRequest, cards: Sequence[Card]) -> Detector:
    """Return the anatomy of a detector or a segmentation model.

    Raises:
        UnsupportedModelError: there are neither class scores on a grid nor boxes.
        ModelMismatchError: an output or a layer named in the request does not exist or does not fit.
    """
    view = surface.view
    per_image = request.method is not None and not request.method.class_wise
    scored = None
    with suppress(UnsupportedModelError) if per_image else nullcontext():
        scored = _scored(surface, request, cards)
    if scored is None and not per_image and not _selects_boxes(view):
        raise _no_scores(view)
    head, card, task = scored or (None, None, DetectorTask.DETECTION)
    target = _named_map(surface, request.target_layer) if request.target_layer else _last_common_map(surface, head)
    return Detector(surface, target, task, head, card)


def _scored(
    surface: Surface, request: InsertionRequest, cards: Sequence[Card]
) -> tuple[ClassHead, Card | None, DetectorTask] | None:
    """Return the class scores, the card that describes them and the task; None when no place has any.

    Raises:
        UnsupportedModelError: it is not known which numbers are the scores.
        ModelMismatchError: the output named in the request holds none.
    """
    view = surface.view
    heads = [] if works_on_regions(view) else class_heads(view, surface.layouts)
    heads = [head for head in heads if not _counts_queries(view, head)]
    if request.score_output is not None:
        heads = _of_output(view, heads, request.score_output)
    labels = _label_count(view, request)
    head = _choose(view, heads, labels, cards)
    if head is None:
        return None
    card = next((card for card in cards if matches(card.match, view, head)), None)
    picture = _is_picture(view, surface.layouts, head, labels == len(head.columns))
    task = DetectorTask.SEGMENTATION if picture else DetectorTask.DETECTION
    return _without_own_boxes(_settled(head, card, task, labels), task, labels), card, task


def _counts_queries(view: GraphView, head: ClassHead) -> bool:
    """Return whether the columns of a table are queries: an output beside it lists something for each of them."""
    table = head.levels[0].table
    if len(head.levels) > 1 or head.made_by is not Activation.NONE or table.columns != len(head.columns):
        return False
    shapes = [sizes(output) or [] for output in view.model.outputs]
    return any(len(shape) == 3 and shape[1] == table.columns for shape in shapes)


def works_on_regions(view: GraphView) -> bool:
    """Return whether a model reads features inside regions, as the second of two stages does."""
    return any(node.get_type_name() in REGION_OPS for node in view.ops)


def _selects_boxes(view: GraphView) -> bool:
    """Return whether the model gives boxes, though its class scores are on no grid."""
    return has_boxes(view.model) or works_on_regions(view)


def _label_count(view: GraphView, request: InsertionRequest) -> int | None:
    labels = request.labels or read_labels(view.model)
    return None if labels is None else len(labels)


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
    if len(counts) < 2 and (len(chosen) < 2 or counts != {BOX_COLUMNS}):
        return min(chosen, key=lambda head: _first_output(view, head), default=None)
    nodes = [head.levels[0].table.output.get_node().get_friendly_name() for head in heads]
    found = ", ".join(f"{len(head.columns)} ('{name}')" for head, name in zip(heads, nodes, strict=True))
    raise UnsupportedModelError(
        f"Several tables could hold the class scores; they have so many columns: {found}",
        remedy="Give one label per class with --labels, name the output with --score-output, or say how many columns "
        "with a --card.",
    )


def _names_columns(card: Card, view: GraphView, head: ClassHead) -> bool:
    return card.match.columns is not None and matches(card.match, view, head)


def _first_output(view: GraphView, head: ClassHead) -> int:
    """Return the index of the first output that depends on a head."""
    table = node_key(head.levels[0].table.output.get_node())
    found = [i for i, output in enumerate(view.model.outputs) if table in view.ancestors([output.get_node()])]
    return found[0] if found else len(view.model.outputs)


def _of_output(view: GraphView, heads: list[ClassHead], name: str) -> list[ClassHead]:
    result = view.model.outputs[named_output(view.model, name)]
    before = view.ancestors([result.get_node()])
    found = [head for head in heads if node_key(head.levels[0].table.output.get_node()) in before]
    if not found:
        raise ModelMismatchError(
            f"Output '{name}' {shape_text(result)} holds no class scores; expected [N, classes], or scores of classes "
            "on a grid, computed from the image. Give another --score-output."
        )
    return found


def _no_scores(view: GraphView) -> UnsupportedModelError:
    described = ", ".join(
        f"{name} {shape_text(output)}"
        for name, output in zip(output_names(view.model), view.model.outputs, strict=True)
    )
    return UnsupportedModelError(
        f"No output holds class scores: found {described}, expected [N, classes], or scores of classes on a grid, "
        "computed from the image",
        remedy="Name the right output with --score-output, export the model with its classification head, or use "
        "--method activation-map, which needs no classes.",
    )


# -- what cards and structure say about the head -----------------------------------------------------------------------


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


def _settled(head: ClassHead, card: Card | None, task: DetectorTask, labels: int | None) -> ClassHead:
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


def _without_own_boxes(head: ClassHead, task: DetectorTask, labels: int | None) -> ClassHead:
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


def _is_picture(view: GraphView, layouts: Layouts, head: ClassHead, labelled: bool) -> bool:
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


# -- the feature map ---------------------------------------------------------------------------------------------------


def _last_common_map(surface: Surface, head: ClassHead | None) -> Candidate:
    """Return the last feature map that all class scores depend on: of a pyramid the finest, or the backbone's last."""
    common: set[int] | None = None
    for before in _dependencies(surface.view, head):
        common = before if common is None else common & before
    found = list(_maps(surface, common or set()))
    if not found:
        raise UnsupportedModelError(
            "No feature map is found that all predictions depend on",
            remedy="Name one with --target-layer.",
        )
    return found[-1]


def _dependencies(view: GraphView, head: ClassHead | None) -> list[set[int]]:
    """Return, for each part of the predictions, the keys of all nodes that it depends on.

    Parts are the last layers of the class scores, what regions are read from, or else the outputs.
    """
    if head is not None:
        layers = nearest_layers([level.table.output.get_node() for level in head.levels])
        return [view.ancestors([view.node(layer)]) - {layer} for layer in layers]
    regions = [node for node in view.ops if node.get_type_name() in REGION_OPS]
    parts = [node.input_value(0).get_node() for node in regions] or view.model.get_results()
    return [view.ancestors([part]) for part in parts]


def _maps(surface: Surface, keys: Iterable[int]) -> Iterable[Candidate]:
    image = node_key(surface.image.get_node())
    for node in surface.view.ordered(keys):
        if node_key(node) == image or node.get_type_name() in CONTROL_FLOW:
            continue
        for output in node.outputs():
            found = candidate(output, surface.layouts) if port(output) in surface.layouts else None
            if found is None or found.channels is None or not _has_image_shape(surface, found):
                continue
            if is_learned(surface.view, found):
                yield found


def _has_image_shape(surface: Surface, tensor: Candidate) -> bool:
    """Return whether the grid is as wide and high as the image, up to rounding: boxes and queries are not."""
    extents = dict(zip(surface.image_letters, sizes(surface.image) or [], strict=True))
    height, width = extents["H"], extents["W"]
    if None in (height, width, tensor.grid.height, tensor.grid.width):
        return True
    ratio = (height or 1) * (tensor.grid.width or 1) / ((width or 1) * (tensor.grid.height or 1))
    return 2 / 3 <= ratio <= 3 / 2


def _named_map(surface: Surface, name: str) -> Candidate:
    node = surface.view.find(name)
    found = None if node is None else candidate(node.output(0), surface.layouts)
    if found is None:
        what = "does not exist" if node is None else f"{shape_text(node.output(0))} has no spatial grid"
        raise ModelMismatchError(f"Layer '{name}' {what}. Give the friendly name of a feature map.")
    return found
