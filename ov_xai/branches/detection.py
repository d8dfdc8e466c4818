"""The saliency branch of a detector or a segmentation model."""

from __future__ import annotations

from typing import TypeAlias

import openvino as ov

from ov_xai.analysis.detectors.detector import Detector
from ov_xai.branches.best import best_classes
from ov_xai.branches.branch import Branch, maps_per_image, spatial_mean
from ov_xai.graph.emit import LOWEST, Emitter
from ov_xai.methods.class_probability_map import class_probability_map, otx_class_map
from ov_xai.methods.class_scores import ClassScores
from ov_xai.methods.maps import RawMaps
from ov_xai.plan import DetectorPlan
from ov_xai.request import Method, Normalise

#: Per label id the column of the class head; None for an id that stands for nothing.
Columns: TypeAlias = tuple[int | None, ...]


def detector_branch(emit: Emitter, anatomy: Detector, plan: DetectorPlan) -> Branch:
    """Add the saliency branch of a detector."""
    vector = spatial_mean(emit, anatomy) if plan.feature_vector else None
    if plan.method is not Method.CLASS_PROBABILITY_MAP:
        return Branch(maps_per_image(emit, anatomy, plan.method, plan.normalise), vector=vector)
    assert plan.head is not None
    assert plan.ids is not None
    scores, columns = ClassScores(emit, plan.head, apart=plan.apart), plan.ids.by_label
    if plan.top_k is None:
        return Branch(RawMaps(_by_label(emit, _combined(emit, plan, scores.maps()), columns, 0)), vector=vector)
    # Ids that stand for nothing come last.
    best = best_classes(emit, _by_label(emit, scores.highest(), columns, LOWEST), plan.top_k)
    if plan.compat is not None or plan.top_k > _used(columns):
        # A softmax over the classes needs all of them, and label ids that stand for nothing have no scores.
        maps = _by_label(emit, _combined(emit, plan, scores.maps()), columns, 0)
        return Branch(RawMaps(emit.gather_per_image(maps, best)), best, vector)
    chosen = emit.subtract(best, emit.like(_shift(columns), best))
    return Branch(RawMaps(_combined(emit, plan, scores.maps(chosen))), best, vector)


def _combined(emit: Emitter, plan: DetectorPlan, levels: list[ov.Output]) -> ov.Output:
    """Return raw maps [N, K, h, w] of the classes whose maps per level are given."""
    if plan.compat is not None:
        return otx_class_map(emit, levels, plan.level)
    scale_free = plan.normalise is Normalise.MINMAX
    return class_probability_map(emit, levels, plan.combine, plan.level, scale_free=scale_free)


def _by_label(emit: Emitter, values: ov.Output, columns: Columns, empty: float) -> ov.Output:
    """Return values in the order of the label ids.

    Args:
        emit: where nodes are added.
        values: [N, columns of the head, ...].
        columns: per label id the column of the head.
        empty: stands for ids that no column belongs to.
    """
    used = [column for column in columns if column is not None]
    first = columns.index(used[0])
    kept = emit.slice(values, used[0], used[-1] + 1, 1)
    behind = len(columns) - first - len(used)
    if first == behind == 0:
        return kept
    others = [0] * (len(values.get_partial_shape()) - 2)
    return emit.pad(kept, [0, first, *others], [0, behind, *others], empty)


def _shift(columns: Columns) -> int:
    """Return what is taken off a label id to give its column."""
    label, column = next((label, column) for label, column in enumerate(columns) if column is not None)
    return label - column


def _used(columns: Columns) -> int:
    return sum(column is not None for column in columns)
