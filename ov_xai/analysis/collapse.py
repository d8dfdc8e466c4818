"""Where the image's places disappear: the collapse, the target before it, the head after it."""

from __future__ import annotations

from dataclasses import dataclass

import openvino as ov

from ov_xai.analysis.axes import UNIT, Grid, Layout, batch_axis, grid, is_separable, is_spatial, place_axes
from ov_xai.analysis.propagation import Layouts
from ov_xai.analysis.scores import VIEW_OPS
from ov_xai.errors import UnsupportedModelError
from ov_xai.graph.view import GraphView, node_key, port, shape_text, sizes

#: A window that slides over places; when it is what ends the grid, places overlapped and the grid is really 1x1.
SLIDING_OPS = frozenset({"Convolution", "GroupConvolution", "MaxPool", "AvgPool"})
#: Layers that mix channels or places by learned weights.
LEARNED_OPS = SLIDING_OPS - {"MaxPool", "AvgPool"} | {"MatMul", "DeformableConvolution", "BinaryConvolution"}


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


@dataclass(frozen=True)
class Collapse:
    """The end of the spatial part of the network.

    Attributes:
        node: the op at which the places disappear.
        target: the last feature map before it.
    """

    node: ov.Node
    target: Candidate


def candidate(output: ov.Output, layouts: Layouts) -> Candidate | None:
    """Return the tensor as a candidate for masking; None when it is not a feature map."""
    layout = layouts.get(port(output))
    extents = sizes(output)
    if layout is None or extents is None or not is_spatial(layout) or not is_separable(layout):
        return None
    if batch_axis(layout) not in (0, None):
        return None
    channels = [
        extent
        for axis, extent in zip(layout, extents, strict=True)
        if len(axis) == 1 and axis[0] and all(factor.role.value == "other" for factor in axis[0])
    ]
    return Candidate(output, layout, grid(layout), channels[0] if len(channels) == 1 else None)


def find_collapse(view: GraphView, layouts: Layouts, logits: ov.Output) -> Collapse:
    """Return the collapse nearest to the logits and its target.

    With several branches the one with the finest grid is taken.

    Raises:
        UnsupportedModelError: there is no spatial grid, or it is 1x1 where the places end.
    """
    path = [node for node in view.ordered(view.ancestors([logits.get_node()])) if _on_path(node, layouts)]
    spatial = {node_key(node) for node in path if _is_spatial_node(node, layouts)}
    before = view.ancestors([view.node(key) for key in spatial])
    ends: list[Collapse] = []
    for node in path:
        if node_key(node) in before:
            continue
        sources = [source for source in node.input_values() if node_key(source.get_node()) in spatial]
        targets = [_walk_back(source, layouts) for source in sources]
        ends.extend(Collapse(node, target) for target in targets if target is not None and is_learned(view, target))
    if not ends and (whole := last_cut(view, layouts, logits)) is not None:
        return Collapse(whole.output.get_node(), whole)
    if not ends:
        raise UnsupportedModelError(
            "No layer between the image and the scores has a spatial grid",
            node=logits.get_node().get_friendly_name(),
            remedy="A map needs rows and columns; a model that flattens the image first has none.",
        )
    best = max(ends, key=_fineness)
    _refuse_single_place(best)
    return best


def last_cut(view: GraphView, layouts: Layouts, logits: ov.Output) -> Candidate | None:
    """Return the last feature map that everything on the way from the image to the logits goes through."""
    on_path = [node for node in view.ordered(view.ancestors([logits.get_node()])) if _on_path(node, layouts)]
    keys = {node_key(node) for node in on_path}
    for node in reversed(on_path):
        found = candidate(node.output(0), layouts)
        around = view.ancestors([node]) | view.descendants([node])
        if found is not None and keys <= around and is_learned(view, found):
            return found
    return None


def is_learned(view: GraphView, tensor: Candidate) -> bool:
    """Return whether any layer with weights stands between the image and this tensor."""
    ancestors = view.ancestors([tensor.output.get_node()])
    return any(view.node(key).get_type_name() in LEARNED_OPS for key in ancestors)


def _on_path(node: ov.Node, layouts: Layouts) -> bool:
    return any(port(output) in layouts for output in node.outputs())


def _is_spatial_node(node: ov.Node, layouts: Layouts) -> bool:
    return any(is_spatial(layouts[port(output)]) for output in node.outputs() if port(output) in layouts)


def _walk_back(source: ov.Output, layouts: Layouts) -> Candidate | None:
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


def _fineness(end: Collapse) -> tuple[int, int]:
    places = end.target.grid.places
    return (places if places is not None else 0, end.target.channels or 0)


def _refuse_single_place(end: Collapse) -> None:
    """A stride that ends the grid, followed by pooling over one place, leaves nothing to localise."""
    node = end.node
    if node.get_type_name() not in SLIDING_OPS:
        return
    kernel = (
        (sizes(node.input_value(1)) or [])[2:]
        if "Conv" in node.get_type_name()
        else node.get_attributes().get("kernel")
    )
    extents = (sizes(node.input_value(0)) or [])[2:]
    covers = kernel is not None and all(
        extent is not None and size is not None and size >= extent
        for size, extent in zip(list(kernel)[-2:], extents, strict=True)
    )
    padded = any(any(node.get_attributes().get(side) or []) for side in ("pads_begin", "pads_end"))
    if not covers or padded:
        raise UnsupportedModelError(
            f"The grid is 1x1 where it is pooled: {shape_text(node.output(0))} holds a single place, so there is "
            "nothing to localise",
            node=node.get_friendly_name(),
            remedy=f"Export the model for a larger image, or mask an earlier layer: --target-layer '{end.target.name}' "
            f"has a {end.target.grid} grid.",
        )
