"""How many places levels of dynamic size have when the image has an ordinary size."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import prod

import openvino as ov

from ov_xai.analysis.axes import place_axes
from ov_xai.analysis.detectors.class_head import Level
from ov_xai.graph.trial import of_sample_size, twin
from ov_xai.graph.view import GraphView, sizes


def sample_places(view: GraphView, levels: Sequence[Level]) -> list[int]:
    """Return the places of each level, for an image of the sample size where they are dynamic; 0 when not known."""
    known = [level.grid.places for level in levels]
    if None not in known:
        return [places or 0 for places in known]
    sample: ov.Model | None = None
    with suppress(RuntimeError):  # no model of that size: levels stay in the order of the graph
        sample = of_sample_size(view.model)
    return [0 if sample is None else _places(sample, level) for level in levels]


def _places(sample: ov.Model, level: Level) -> int:
    extents = sizes(twin(sample, level.table.output)) or []
    return prod(extents[axis] or 0 for axis in place_axes(level.layout))
