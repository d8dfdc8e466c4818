"""The maps of a detector against NumPy and OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.analysis.axes import Role
from ov_xai.analysis.detectors.class_head import ClassHead, Level
from ov_xai.analysis.detectors.tables import Table
from ov_xai.analysis.scores import Activation
from ov_xai.errors import SelfCheckError
from ov_xai.graph.outputs import SALIENCY_CLASSES, SALIENCY_MAP
from ov_xai.graph.trial import EXACT, as_results, sample_inputs, twin
from ov_xai.graph.view import port
from ov_xai.label_ids import LabelIds
from ov_xai.plan import DetectorPlan
from ov_xai.request import Combine

Array = npt.NDArray[Any]

#: Maps may differ by this part of their range, and by the rounding of an FP32 probability.
TOLERANCE, ROUNDING = 1e-4, 1e-6


@dataclass(frozen=True)
class ClassMaps:
    """What the maps of all label ids should be.

    Attributes:
        maps: raw, [N, K, h, w].
        scores: the highest score of each label id at any place of any level, [N, K]; lowest for unused ids.
    """

    maps: Array
    scores: Array

    def of(self, classes: Array | None) -> Array:
        """Return the maps of some label ids [N, T], or of all."""
        return self.maps if classes is None else np.take_along_axis(self.maps, classes[:, :, None, None], 1)


def check_probabilities(probe: ov.Model, plan: DetectorPlan) -> None:
    """Compare the raw maps of a random image with those computed from the class scores of the same inference.

    Raises:
        SelfCheckError: they differ in shape, or by more than `TOLERANCE` of their range.
    """
    if plan.head is None:
        return
    found, every, classes = class_maps(probe, plan)
    expected = every.of(classes)
    if found.shape != expected.shape:
        raise SelfCheckError(
            f"The maps are {list(found.shape)} where the class scores give {list(expected.shape)}. Nothing was "
            "written; please report the model."
        )
    gap = float(np.max(np.abs(found - expected)))
    span = float(np.ptp(expected))
    if not gap <= TOLERANCE * span + ROUNDING:
        raise SelfCheckError(
            f"The maps differ from the class scores by {gap:.1e}, with a range of {span:.1e}; at most "
            f"{TOLERANCE:.0e} of it is allowed. Nothing was written; please report the model."
        )


def class_maps(probe: ov.Model, plan: DetectorPlan) -> tuple[Array, ClassMaps, Array | None]:
    """Return the maps of a random image and what they should be, from the class scores of the same inference.

    Args:
        probe: the patched model; the plan's head may refer to another model with nodes of the same names.
        plan: what was inserted; it has a class head.

    Returns:
        The maps that were found [N, K or T, h, w], what those of all label ids should be, and with top-k the label ids
        of the former [N, T].
    """
    head, ids = plan.head, plan.ids
    assert head is not None
    assert ids is not None
    model = probe.clone()
    tables = {port(level.table.output): level.table.output for level in (*head.levels, *head.objectness_levels)}
    shown = len(model.outputs)
    # A tensor that is an output already becomes one more.
    model.add_results(as_results([twin(model, output) for output in tables.values()]))
    compiled = ov.Core().compile_model(model, "CPU", EXACT)
    results = compiled(sample_inputs(model))
    values = {key: np.array(results[shown + index]) for index, key in enumerate(tables)}
    names = {name: index for index, output in enumerate(compiled.outputs) for name in output.get_names()}
    found = np.array(results[names[SALIENCY_MAP]])
    classes = None if plan.top_k is None else np.array(results[names[SALIENCY_CLASSES]])
    levels = [_level(head, index, values) for index in range(len(head.levels))]
    scores = np.max([level.max(axis=(2, 3)) for level in levels], axis=0)
    every = ClassMaps(_by_label(ids, _maps(plan, levels), 0), _by_label(ids, scores, -np.inf))
    return found, every, classes


def _level(head: ClassHead, index: int, values: dict[tuple[int, int], Array]) -> Array:
    """Return the scores of a level, the largest of all anchors, [N, columns, h_l, w_l]."""
    scores = _activate(_read(head.levels[index], values, head.columns), head.activation)
    sure = _sure(head, index, values)
    return np.asarray((scores if sure is None else scores * sure).max(axis=4))


def _maps(plan: DetectorPlan, levels: list[Array]) -> Array:
    """Return the maps of all columns, [N, columns, h, w]."""
    height, width = levels[plan.level].shape[2:]
    resized = [np.stack([[_resized(one, height, width) for one in image] for image in level]) for level in levels]
    combined = np.max(resized, axis=0) if plan.combine is Combine.MAX else np.mean(resized, axis=0)
    if plan.compat is not None:
        combined = _activate(combined, Activation.SOFTMAX)
    return np.asarray(combined)


def _by_label(ids: LabelIds, values: Array, unused: float) -> Array:
    """Return values [N, columns, ...] by label id."""
    empty = np.full_like(values[:, 0], unused)
    return np.stack([empty if column is None else values[:, column] for column in ids.by_label], axis=1)


def _sure(head: ClassHead, index: int, values: dict[tuple[int, int], Array]) -> Array | None:
    activation = Activation.SIGMOID if head.activation is Activation.SOFTMAX else head.activation
    if head.objectness is not None:
        return _activate(_read(head.levels[index], values, range(head.objectness, head.objectness + 1)), activation)
    if head.objectness_levels:
        return _activate(_read(head.objectness_levels[index], values, range(1)), activation)
    return None


def _read(level: Level, values: dict[tuple[int, int], Array], columns: range) -> Array:
    """Return some columns of a level, f64 [N, columns, h, w, anchors]."""
    table = level.table
    array = values[port(table.output)].astype(np.float64)
    if level.axis is not None:
        size = int(np.prod([factor.size or 1 for factor in level.segment]))
        array = np.take(array, range(level.start, level.start + size), axis=level.axis)
    roles: list[str] = []
    shape: list[int] = []
    for index, axis in enumerate(level.layout):
        parts = [(factor.role.value, factor.size) for segment in axis for factor in segment]
        if index == table.column_axis:
            parts = [("anchors", table.anchors), ("column", table.columns)]
        roles.extend(role for role, _ in parts)
        shape.extend(size or -1 for _, size in parts)
    if shape.count(-1) > 1:  # rows and columns have axes of their own and keep their extents
        shape = [extent for index, extent in enumerate(array.shape) for extent in _kept(table, index, extent)]
    order = [roles.index(role) for role in (Role.BATCH.value, "column", Role.Y.value, Role.X.value) if role in roles]
    order += [index for index in range(len(roles)) if index not in order]
    spread = np.ascontiguousarray(array.reshape(shape).transpose(order))
    absent = [
        place for place, role in enumerate((Role.BATCH, None, Role.Y, Role.X)) if role and role.value not in roles
    ]
    for place in absent:
        spread = np.expand_dims(spread, place)
    return np.take(spread.reshape(*spread.shape[:4], -1), list(columns), axis=1)


def _kept(table: Table, index: int, extent: int) -> list[int]:
    return [table.anchors, table.columns] if index == table.column_axis else [extent]


def _activate(scores: Array, activation: Activation) -> Array:
    if activation is Activation.SIGMOID:
        return np.asarray(np.exp(-np.logaddexp(0, -scores)))
    if activation is Activation.SOFTMAX:
        shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
    return scores


def _resized(one: Array, height: int, width: int) -> Array:
    return np.asarray(cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR))
