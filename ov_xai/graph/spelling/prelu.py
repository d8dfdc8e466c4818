"""PRelu as arithmetic: max(0, x) + slope min(0, x).

A slope of one axis belongs to the second axis, which is no rule of any other op, and the result has the shape of x
though a slope with an axis more asks for a longer one.
"""

from __future__ import annotations

from collections.abc import Iterator

import openvino as ov

from ov_xai.graph.emit import Emitter
from ov_xai.graph.spelling.respelling import Replacement, Respelling
from ov_xai.graph.view import rank, sizes


def spell_prelus(model: ov.Model, emit: Emitter) -> Iterator[Respelling]:
    """Let arithmetic stand in for every PRelu whose slope is not a single number."""
    for node in [node for node in model.get_ordered_ops() if node.get_type_name() == "PRelu"]:
        x, slope = node.input_values()
        depth, extents = rank(x), sizes(slope) or []
        if depth is None or None in extents or all(extent == 1 for extent in extents):
            continue
        with emit.scope(node.get_friendly_name()):
            if len(extents) == 1 and depth > 1:
                slope = emit.reshape(slope, 1, extents[0] or 1, *[1] * (depth - 2))
            positive = emit.relu(x)
            spelled = emit.add(positive, emit.multiply(slope, emit.subtract(x, positive)))
        yield Replacement.take(node.output(0), spelled)
