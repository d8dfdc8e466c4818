"""Which label id a column of the class scores becomes in the outputs of a detector.

A post-processing inside the graph may drop a background column or count classes from one. What it does is asked
instead of read: the class scores are replaced by ones that are sure of a single class, the rest of the model is run,
and the class is looked up beside its score in the outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.analysis.detectors.class_head import ClassHead
from ov_xai.analysis.detectors.levels import feeds
from ov_xai.analysis.scores import Activation
from ov_xai.graph.kinds import CONTROL_FLOW, DECISION_OPS, LEARNED_OPS
from ov_xai.graph.remainder import Remainder
from ov_xai.graph.trial import of_sample_size, with_stand_in
from ov_xai.graph.view import GraphView, Port, is_weight, port

Array = npt.NDArray[Any]

#: A score that does not occur by chance, and the range of hardly any; as probabilities and as logits.
_SURE, _NEVER = {True: 0.9876, False: 9.876}, {True: (1e-4, 1e-2), False: (-20.0, -15.0)}
_TOLERANCE = 5e-3
#: Places that are sure, on average: suppression of all of them may take minutes, so few are tried first.
_SURE_PLACES = 100
#: Rows of detections are short: a box, a score, a label, perhaps key points or coefficients of a mask.
_LONGEST_ROW = 64


@dataclass(frozen=True)
class LabelIds:
    """How columns of the class scores are counted in the outputs.

    Attributes:
        columns: number of columns.
        offset: what is added to a column to give its label id.
        background: the column that means "nothing"; None for none.
        numbered: whether a background behind all classes has a label id.
        score_at: (output, column) where the confidence of a selected detection stands; None when none is selected.
        label_at: the same of its label id.
    """

    columns: int
    offset: int = 0
    background: int | None = None
    numbered: bool = False
    score_at: tuple[int, int] | None = None
    label_at: tuple[int, int] | None = None

    @property
    def by_label(self) -> tuple[int | None, ...]:
        """For each label id from 0, the column it stands for; None for an unused id."""
        labels: list[int | None] = [None] * max(0, self.offset)
        first = max(0, -self.offset)
        labels.extend(None if column == self.background else column for column in range(first, self.columns))
        while not self.numbered and labels and labels[-1] is None:
            labels.pop()
        return tuple(labels)


def find_label_ids(view: GraphView, head: ClassHead) -> LabelIds:
    """Return how the columns of a class head are counted in the outputs.

    Args:
        view: the graph, before anything is inserted.
        head: its class scores.
    """
    count = len(head.columns)
    plain = LabelIds(count, background=head.background, numbered=head.background_named)
    if not feeds(view, head.levels, DECISION_OPS | CONTROL_FLOW) or not _come_out(view.model, head):
        return plain
    asked = sorted({0, min(1, count - 1), count - 1})
    answers = _ask(view.model, head, asked, _SURE_PLACES) or _ask(view.model, head, asked, None)
    found = _label_place(answers)
    if found is None:
        return plain
    place, offset = found
    answered = {answer.column for answer in answers if answer.values.get(place) == answer.column + offset}
    # A background is the first class or the last; another that does not come out is suppressed by chance.
    silent = [column for column in (0, count - 1) if column not in answered and count > 1]
    return LabelIds(count, offset, silent[0] if silent else None, score_at=answers[0].score_at, label_at=place)


def _come_out(model: ov.Model, head: ClassHead) -> bool:
    """Return whether the outputs may hold class scores.

    Where the scores only choose queries (DETR), they become whole numbers, or pass learned layers: there is nothing to
    ask for, and a decoder takes its time.
    """
    tables = {port(level.table.output) for level in head.levels}
    pending, seen = [result.input_value(0) for result in model.get_results()], set[Port]()
    while pending:
        tensor = pending.pop()
        if port(tensor) in tables:
            return True
        node = tensor.get_node()
        learned = node.get_type_name() in LEARNED_OPS and is_weight(node.input_value(1))
        if port(tensor) not in seen and tensor.get_element_type().is_real() and not learned:
            pending.extend(node.input_values())
        seen.add(port(tensor))
    return False


@dataclass(frozen=True)
class _Answer:
    """What the outputs held beside the sure score.

    Attributes:
        column: the class that was made sure.
        score_at: (output, column) where the sure score stood.
        values: where -> the whole number that stands there in every row with the sure score.
    """

    column: int
    score_at: tuple[int, int]
    values: dict[tuple[int, int], int]


def _ask(model: ov.Model, head: ClassHead, columns: list[int], places: int | None) -> list[_Answer]:
    """Return the answers for classes whose score comes out of the model.

    Args:
        model: the model.
        head: its class scores.
        columns: the classes to ask for.
        places: how many places are sure; None for all.
    """
    clone = of_sample_size(model)
    tables = {port(level.table.output): level.table.output for level in head.levels}
    stand_ins = [with_stand_in(clone, output) for output in tables.values()]
    remainder = Remainder(clone.get_results(), stand_ins)
    likes = [remainder.sample(index) for index in range(len(stand_ins))]
    answers = []
    for column in columns:
        outputs = remainder.run([None if like is None else _sure_of(head, column, like, places) for like in likes])
        answer = _answer(column, outputs, _SURE[_is_probability(head)])
        if answer is not None:
            answers.append(answer)
    return answers


def _is_probability(head: ClassHead) -> bool:
    return head.made_by is not Activation.NONE


def _sure_of(head: ClassHead, column: int, like: Array, places: int | None) -> Array:
    """Return scores that are sure of one class at some places, and of nothing else."""
    probability = _is_probability(head)
    # Not zeros: some models need as many detections as they list.
    scores = np.random.default_rng(5).uniform(*_NEVER[probability], like.shape).astype(like.dtype)
    along = np.moveaxis(scores, head.levels[0].table.column_axis, 0)
    part = 1.0 if places is None else places / max(1, along[0].size)
    chosen = np.random.default_rng(4).random(along.shape[1:]) < part
    along[head.columns[column] :: head.levels[0].table.columns, chosen] = _SURE[probability]
    if head.objectness is not None:
        along[head.objectness] = 1
    if head.columns.start >= 4:  # boxes in front: of the size of a cell, apart from each other
        boxes = np.random.default_rng(3).uniform(10, 300, (4, *along.shape[1:]))
        along[:4] = boxes
    return scores


def _answer(column: int, outputs: list[Array], sure: float) -> _Answer | None:
    """Return the whole numbers that stand in the rows with the sure score; None when it is in no row."""
    series = dict(_series(outputs))
    for place, scores in series.items():
        rows = np.abs(scores - sure) < _TOLERANCE
        if not rows.any():
            continue
        beside = {key: values[rows] for key, values in series.items() if len(values) == len(scores) and key != place}
        whole = {
            key: int(values[0])
            for key, values in beside.items()
            if values[0] == np.rint(values[0]) and np.all(values == values[0])
        }
        return _Answer(column, place, whole)
    return None


def _series(outputs: list[Array]) -> Iterator[tuple[tuple[int, int], Array]]:
    """Yield the numbers of each detection, one series per column of rows; boxes of their own are left out."""
    for index, output in enumerate(outputs):
        columns = row_columns(list(output.shape))
        if columns:
            rows = output.reshape(-1, columns).astype(np.float64)
            # Of a box with a score only the score is looked at.
            first = 4 if columns == 5 else 0
            yield from (((index, column), rows[:, column]) for column in range(first, columns))
        elif output.ndim <= 1 or output.shape[-1] != 4:
            yield (index, 0), output.reshape(-1).astype(np.float64)


def row_columns(shape: Sequence[int | None]) -> int:
    """Return the number of columns of an output that lists detections in rows; 0 for any other output."""
    # [1, n] is one number per detection of one image.
    columns = shape[-1] if len(shape) > 2 or (len(shape) == 2 and shape[0] != 1) else None
    return columns if columns is not None and 5 <= columns <= _LONGEST_ROW else 0


def _label_place(answers: list[_Answer]) -> tuple[tuple[int, int], int] | None:
    """Return where label ids stand, and what is added to a column to give one; None when the outputs do not tell."""
    for where in sorted({key for answer in answers for key in answer.values}, key=_preference):
        offsets = [answer.values[where] - answer.column for answer in answers if where in answer.values]
        if len(set(offsets)) == 1 and len(offsets) >= min(2, len(answers)):
            return where, offsets[0]
    return None


def _preference(where: tuple[int, int]) -> tuple[int, int]:
    """Prefer later columns of rows: an image index stands in front of the label."""
    return -where[1], where[0]
