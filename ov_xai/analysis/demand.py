"""Which positions of each tensor the scores are computed from.

Demand goes backwards through the graph: of the tokens that leave the last attention block of a ViT only the class
token is read, so only that row of the attention matters, while all its keys and values do. Where places of the grid
are demanded on one side of an op and not on the other, the grid collapses.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.analysis.axes import PLACE_ROLES, Axis, Layout, has_places, is_spatial, segment_size
from ov_xai.analysis.links import links
from ov_xai.analysis.propagation import Layouts
from ov_xai.graph.view import GraphView, Port, node_key, port, sizes

#: Per axis, which positions are meant; None where the extent is dynamic, which means all.
Positions = list["npt.NDArray[np.bool_] | None"]


class Demand:
    """The positions of every tensor that some outputs are computed from.

    Attributes:
        layouts: what the axes of every tensor are.
    """

    def __init__(self, view: GraphView, layouts: Layouts, outputs: Iterable[ov.Output]) -> None:
        self.layouts = layouts
        self._needed: dict[Port, Positions] = {}
        self._sources: dict[int, list[ov.Output]] = {}
        roots = list(outputs)
        for output in roots:
            self._needed[port(output)] = everything(output)
        for node in reversed(view.ordered(view.ancestors([output.get_node() for output in roots]))):
            for result, output in enumerate(node.outputs()):
                if port(output) in self._needed:
                    self._pull(node, result, self._needed[port(output)])

    def _pull(self, node: ov.Node, result: int, wanted: Positions) -> None:
        if node.get_type_name() == "ShapeOf":
            return
        for index, source in enumerate(node.input_values()):
            if port(source) in self.layouts:
                self._add(source, _pulled(node, index, result, source, wanted))

    def _add(self, source: ov.Output, wanted: Positions) -> None:
        known = self._needed.get(port(source))
        if known is None:
            self._needed[port(source)] = wanted
            return
        self._needed[port(source)] = [
            None if a is None or b is None else a | b for a, b in zip(known, wanted, strict=True)
        ]

    def grid_sources(self, node: ov.Node) -> list[ov.Output]:
        """Return the inputs of which a node reads places of the grid, for results that are read themselves."""
        key = node_key(node)
        if key not in self._sources:
            self._sources[key] = [
                source for index, source in enumerate(node.input_values()) if self._takes_grid(node, index, source)
            ]
        return self._sources[key]

    def _takes_grid(self, node: ov.Node, index: int, source: ov.Output) -> bool:
        layout = self.layouts.get(port(source))
        if layout is None or not is_spatial(layout) or node.get_type_name() == "ShapeOf":
            return False
        return any(
            marks_grid(_pulled(node, index, result, source, self._needed[port(output)]), layout)
            for result, output in enumerate(node.outputs())
            if port(output) in self._needed
        )

    def layout(self, output: ov.Output) -> Layout | None:
        """Return what the axes of a tensor are; None when it does not depend on the image."""
        return self.layouts.get(port(output))

    def of(self, output: ov.Output, axis: int) -> list[int] | None:
        """Return the positions of an axis that are read; None for all of a dynamic axis, [] when nothing is read."""
        needed = self._needed.get(port(output))
        if needed is None:
            return []
        chosen = needed[axis]
        return None if chosen is None else [int(position) for position in np.flatnonzero(chosen)]

    def reads_grid(self, output: ov.Output) -> bool:
        """Return whether places of the image's grid are read from this tensor."""
        layout, needed = self.layouts.get(port(output)), self._needed.get(port(output))
        return layout is not None and needed is not None and is_spatial(layout) and marks_grid(needed, layout)


def on_grid(axis: Axis) -> npt.NDArray[np.bool_] | None:
    """Return which positions of an axis are places of the image and not kept tokens; None when dynamic."""
    parts = []
    for segment in axis:
        size = segment_size(segment)
        if size is None:
            return None
        parts.append(np.full(size, any(factor.role in PLACE_ROLES for factor in segment)))
    return np.concatenate(parts)


def kept_positions(axis: Axis) -> list[int]:
    """Return the positions of tokens beside the grid on an axis that holds places; [] on any other axis."""
    places = on_grid(axis) if has_places(axis) else None
    return [] if places is None else [int(position) for position in np.flatnonzero(~places)]


def kept_count(layout: Layout) -> int:
    """Return how many tokens beside the grid a tensor holds."""
    return sum(len(kept_positions(axis)) for axis in layout if has_places(axis))


def everything(output: ov.Output) -> Positions:
    """Return all positions of a tensor."""
    return [None if extent is None else np.ones(extent, bool) for extent in sizes(output) or []]


def _none(output: ov.Output) -> Positions:
    return [None if extent is None else np.zeros(extent, bool) for extent in sizes(output) or []]


def _pulled(node: ov.Node, index: int, result: int, source: ov.Output, wanted: Positions) -> Positions:
    """Return the positions of an input that the wanted positions of an output are computed from."""
    if not _any(wanted):
        return _none(source)
    needed = everything(source)
    for link in links(node, index, result):
        whole = needed[link.axis]
        if whole is None:
            continue
        chosen = np.zeros_like(whole)
        if link.onto is None:
            assert link.source is not None
            chosen[link.source] = True
        else:
            far = wanted[link.onto]
            if far is None:
                continue
            near = link.source if link.source is not None else np.arange(len(whole))
            target = link.target if link.target is not None else np.arange(len(far))
            np.logical_or.at(chosen, near, far[target])  # one position may be taken several times
        needed[link.axis] = chosen
    return needed


def reached(view: GraphView, start: ov.Node) -> dict[Port, Positions]:
    """Return the positions of every tensor that depend on the outputs of a node: `Demand` the other way round."""
    found: dict[Port, Positions] = {port(output): everything(output) for output in start.outputs()}
    for node in view.ordered(view.descendants([start])):
        if node_key(node) == node_key(start) or node.get_type_name() == "ShapeOf":
            continue
        for result, output in enumerate(node.outputs()):
            marks = [
                pushed(node, index, result, output, found[port(source)])
                for index, source in enumerate(node.input_values())
                if port(source) in found
            ]
            if marks and _any(joint := union(marks)):
                found[port(output)] = joint
    return found


def pushed(node: ov.Node, index: int, result: int, output: ov.Output, marked: Positions) -> Positions:
    """Return the positions of an output that the marked positions of an input go into."""
    reached_here = everything(output)
    for link in links(node, index, result):
        near = marked[link.axis]
        if near is None:
            continue
        if link.onto is None:
            assert link.source is not None
            if not near[link.source].any():
                return _none(output)
            continue
        whole = reached_here[link.onto]
        if whole is None:
            continue
        hit = np.zeros_like(whole)
        source = link.source if link.source is not None else np.arange(len(near))
        target = link.target if link.target is not None else np.arange(len(whole))
        hit[target] = near[source]
        reached_here[link.onto] = hit
    return reached_here


def _any(marked: Positions) -> bool:
    return all(part is None or bool(part.any()) for part in marked)


def union(marks: list[Positions]) -> Positions:
    """Return, per axis, the positions that any of the marks holds."""
    return [
        None if any(part is None for part in parts) else np.logical_or.reduce([p for p in parts if p is not None])
        for parts in zip(*marks, strict=True)
    ]


def marks_grid(marked: Positions, layout: Layout) -> bool:
    """Return whether any marked position is a place of the image."""
    places = [(part, on_grid(axis)) for part, axis in zip(marked, layout, strict=True) if has_places(axis)]
    return _any(marked) and any(part is None or grid is None or bool((part & grid).any()) for part, grid in places)
