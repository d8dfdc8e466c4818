"""The classes with the best scores."""

from __future__ import annotations

import openvino as ov

from ov_xai.graph.emit import Emitter
from ov_xai.graph.view import sizes

#: From so many classes on, two short searches are quicker than one long one.
_MANY = 256


def best_classes(emit: Emitter, scores: ov.Output, count: int) -> ov.Output:
    """Return the indices of the `count` highest scores, i64 [N, count], best first, of scores [N, K]."""
    classes = (sizes(scores) or [])[1] or 0
    groups = _groups(classes, count)
    if groups == 1:
        return emit.top_k(scores, count, 1)[1]
    # The best classes are among the groups that hold the highest maxima.
    apart = emit.reshape(scores, -1, groups, classes // groups)
    leading = emit.top_k(emit.reduce_max(apart, 2), count, 1)[1]
    indices = emit.reshape(emit.range(emit.int_scalar(classes)), groups, classes // groups)
    few = emit.reshape(emit.gather_per_image(apart, leading), -1, count * classes // groups)
    known = emit.reshape(emit.gather(indices, leading, 0), -1, count * classes // groups)
    return emit.gather_elements(known, emit.top_k(few, count, 1)[1], 1)


def _groups(classes: int, count: int) -> int:
    """Return into how many groups of the same size the classes are divided; 1 when that does not pay."""

    def searched(groups: int) -> int:
        return groups + count * classes // groups

    best = min((groups for groups in range(count, classes + 1) if classes % groups == 0), key=searched)
    return best if classes >= _MANY and 2 * searched(best) <= classes else 1
