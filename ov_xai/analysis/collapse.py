"""Where the image's places disappear: the collapse, the target before it, the head after it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import openvino as ov

from ov_xai.analysis.attention import attended, is_attention
from ov_xai.analysis.candidates import Candidate, candidate, is_learned, walk_back
from ov_xai.analysis.demand import Demand, kept_count, marks_grid, reached
from ov_xai.errors import UnsupportedModelError
from ov_xai.graph.view import GraphView, node_key, port, shape_text, sizes

#: A window that slides over places; when it is what ends the grid, places overlapped and the grid is really 1x1.
SLIDING_OPS = frozenset({"Convolution", "GroupConvolution", "MaxPool", "AvgPool"})


@dataclass(frozen=True)
class Collapse:
    """The end of the spatial part of the network.

    Attributes:
        node: the op at which the places disappear.
        target: the last feature map before it.
        shared: names of the feature maps that end elsewhere, and are the same for every mask.
    """

    node: ov.Node
    target: Candidate
    shared: tuple[str, ...] = ()


def find_collapse(view: GraphView, demand: Demand, logits: ov.Output) -> Collapse:
    """Return the collapse nearest to the logits and its target.

    With several branches the one with the finest grid is taken, of equal ones the one that ends in attention.

    Raises:
        UnsupportedModelError: there is no spatial grid, or it is 1x1 where the places end.
    """
    ends = [
        Collapse(node, target)
        for node in _last_ends(view, demand, logits)
        for target in _targets(view, demand, node)
        if is_learned(view, target)
    ]
    if not ends and (whole := last_cut(view, demand, logits)) is not None:
        return Collapse(whole.output.get_node(), whole)
    if not ends:
        raise UnsupportedModelError(
            "No layer between the image and the scores has a spatial grid",
            node=logits.get_node().get_friendly_name(),
            remedy="A map needs rows and columns; a model that flattens the image first has none. If its tokens are "
            "the places of a grid, say which with --grid HxW.",
        )
    best = max(ends, key=lambda end: _preference(end, demand))
    _refuse_single_place(best)
    others = dict.fromkeys(end.target.name for end in ends if end.target.name != best.target.name)
    return replace(best, shared=tuple(others))


def _last_ends(view: GraphView, demand: Demand, logits: ov.Output) -> list[ov.Node]:
    """Return the ops that read the grid and whose results hold none of it, those left out that others read."""
    path = [node for node in view.ordered(view.ancestors([logits.get_node()])) if _on_path(node, demand)]
    reading = [node for node in path if any(demand.reads_grid(output) for output in node.outputs())]
    before = view.ancestors(reading)
    keys = {node_key(node) for node in reading}
    ends = [node for node in path if node_key(node) not in keys and demand.grid_sources(node)]
    tokens = any(kept_count(demand.layout(output) or ()) for node in reading for output in node.outputs())
    return [
        node
        for node in ends
        if node_key(node) not in before or (tokens and not _is_read_later(view, node, ends, demand))
    ]


def _is_read_later(view: GraphView, node: ov.Node, ends: list[ov.Node], demand: Demand) -> bool:
    """Return whether another end, or a place of the grid that the scores read, depends on the results of a node.

    A class token that is joined with the grid again flows beside the places, not into them.
    """
    marked = reached(view, node)
    if any(port(source) in marked for end in ends for source in end.input_values()):
        return True
    tensors = [output for other in view.ops for output in other.outputs() if port(output) in marked]
    return any(
        demand.reads_grid(output) and marks_grid(marked[port(output)], demand.layout(output) or ())
        for output in tensors
    )


def _targets(view: GraphView, demand: Demand, node: ov.Node) -> list[Candidate]:
    """Return the feature maps a collapse reads."""
    if is_attention(node, demand):
        found = attended(view, demand, node)
        return [] if found is None else [found]
    targets = [walk_back(source, demand.layouts) for source in demand.grid_sources(node)]
    return [target for target in targets if target is not None]


def last_cut(view: GraphView, demand: Demand, logits: ov.Output) -> Candidate | None:
    """Return the last feature map that everything on the way from the image to the logits goes through."""
    on_path = [node for node in view.ordered(view.ancestors([logits.get_node()])) if _on_path(node, demand)]
    keys = {node_key(node) for node in on_path}
    for node in reversed(on_path):
        found = candidate(node.output(0), demand.layouts)
        around = view.ancestors([node]) | view.descendants([node])
        read = found is not None and demand.reads_grid(found.output)
        if found is not None and read and keys <= around and is_learned(view, found):
            return found
    return None


def _on_path(node: ov.Node, demand: Demand) -> bool:
    return any(port(output) in demand.layouts for output in node.outputs())


def _preference(end: Collapse, demand: Demand) -> tuple[int, bool, int]:
    return end.target.grid.places or 0, is_attention(end.node, demand), end.target.channels or 0


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
