"""The saliency branch of a detector or a segmentation model."""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.detector import Detector
from ov_xai.branches.branch import Branch, maps_per_image, spatial_mean
from ov_xai.graph.emit import Emitter
from ov_xai.methods.class_probability_map import class_probability_map, otx_class_map
from ov_xai.methods.maps import RawMaps
from ov_xai.plan import DetectorPlan
from ov_xai.request import Method, Normalise


def detector_branch(emit: Emitter, anatomy: Detector, plan: DetectorPlan) -> Branch:
    """Add the saliency branch of a detector."""
    vector = spatial_mean(emit, anatomy) if plan.feature_vector else None
    if plan.method is not Method.CLASS_PROBABILITY_MAP:
        return Branch(maps_per_image(emit, anatomy, plan.method, plan.normalise), vector=vector)
    assert plan.head is not None
    assert plan.ids is not None
    if plan.compat is not None:
        raw = otx_class_map(emit, plan.head, plan.level, apart=plan.apart)
    else:
        raw = class_probability_map(
            emit,
            plan.head,
            plan.combine,
            plan.level,
            apart=plan.apart,
            scale_free=plan.normalise is Normalise.MINMAX,
        )
    maps = _by_label(emit, raw.values, plan.ids.by_label)
    if plan.top_k is None:
        return Branch(RawMaps(maps), vector=vector)
    indices = _best_classes(emit, maps, plan.top_k)
    return Branch(RawMaps(emit.gather_per_image(maps, indices)), indices, vector)


def _by_label(emit: Emitter, maps: ov.Output, columns: tuple[int | None, ...]) -> ov.Output:
    """Return maps in the order of the label ids, zeros for ids that no column belongs to.

    Args:
        emit: where nodes are added.
        maps: [N, columns of the head, h, w].
        columns: per label id the column of the head.
    """
    used = [column for column in columns if column is not None]
    first = columns.index(used[0])
    kept = emit.slice(maps, used[0], used[-1] + 1, 1)
    if first == 0:
        return kept
    return emit.pad(kept, [0, first, 0, 0], [0, 0, 0, 0], 0)


def _best_classes(emit: Emitter, maps: ov.Output, count: int) -> ov.Output:
    """Return the classes whose maps have the highest peaks, i64 [N, count]."""
    return emit.top_k(emit.reduce_max(maps, 2, 3), count, 1)[1]
