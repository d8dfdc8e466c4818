"""Tensors that could be masked: feature maps, possibly with tokens beside the grid."""

from __future__ import annotations

from dataclasses import dataclass

import openvino as ov

from ov_xai.analysis.axes import UNIT, Grid, Layout, batch_axis, grid, is_separable, is_spatial, place_axes
from ov_xai.analysis.propagation import Layouts
from ov_xai.graph.emit import PREFIX
from ov_xai.graph.kinds import LEARNED_OPS, VIEW_OPS
from ov_xai.graph.view import GraphView, port, sizes


@dataclass(frozen=True)
class Candidate:
    """A tensor that could be masked.

    Attributes:
        output: the tensor.
        layout: what its axes are.
        grid: rows and columns.
        channels: number of channels per place, None when dynamic.
    """

    output: ov.Output
    layout: Layout
    grid: Grid
    channels: int | None

    @property
    def channel_axes(self) -> list[int]:
        """Axes that are neither batch nor places, those of extent one left out."""
        skipped = {*place_axes(self.layout), batch_axis(self.layout)}
        return [axis for axis, parts in enumerate(self.layout) if axis not in skipped and parts != UNIT]

    @property
    def name(self) -> str:
        """Friendly name of the node that produces it."""
        return str(self.output.get_node().get_friendly_name())


def candidate(output: ov.Output, layouts: Layouts) -> Candidate | None:
    """Return the tensor as a candidate for masking; None when it is no feature map of the model."""
    if output.get_node().get_friendly_name().startswith(PREFIX):
        return None  # spelled out: the model itself has no such tensor
    layout = layouts.get(port(output))
    extents = sizes(output)
    if layout is None or extents is None or not is_spatial(layout) or not is_separable(layout):
        return None
    channels = [
        extent
        for axis, extent in zip(layout, extents, strict=True)
        if len(axis) == 1 and axis[0] and all(factor.role.value == "other" for factor in axis[0])
    ]
    return Candidate(output, layout, grid(layout), channels[0] if len(channels) == 1 else None)


def is_learned(view: GraphView, tensor: Candidate) -> bool:
    """Return whether any layer with weights stands between the image and this tensor."""
    ancestors = view.ancestors([tensor.output.get_node()])
    return any(view.node(key).get_type_name() in LEARNED_OPS for key in ancestors)


def walk_back(source: ov.Output, layouts: Layouts) -> Candidate | None:
    """Return the first tensor upstream that is a feature map, skipping what only rearranges it."""
    current = source
    while True:
        found = candidate(current, layouts)
        node = current.get_node()
        if found is not None and node.get_type_name() not in VIEW_OPS:
            return found
        if node.get_type_name() not in VIEW_OPS:
            return found
        previous = node.input_value(0)
        if port(previous) not in layouts or (found is not None and candidate(previous, layouts) is None):
            return found
        current = previous
