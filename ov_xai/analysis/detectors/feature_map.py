"""The feature map of a detector that maps per image are made of."""

from __future__ import annotations

from collections.abc import Iterable

from ov_xai.analysis.anatomy import Surface
from ov_xai.analysis.candidates import Candidate, candidate, is_learned
from ov_xai.analysis.detectors.class_head import ClassHead
from ov_xai.errors import ModelMismatchError, UnsupportedModelError
from ov_xai.graph.kinds import CONTROL_FLOW, REGION_OPS
from ov_xai.graph.layers import nearest_layers
from ov_xai.graph.view import GraphView, node_key, port, shape_text, sizes


def works_on_regions(view: GraphView) -> bool:
    """Return whether a model reads features inside regions, as the second of two stages does."""
    return any(node.get_type_name() in REGION_OPS for node in view.ops)


def last_common_map(surface: Surface, head: ClassHead | None) -> Candidate:
    """Return the last feature map that all class scores depend on: of a pyramid the finest, or the backbone's last.

    Raises:
        UnsupportedModelError: there is none.
    """
    common: set[int] | None = None
    for before in _dependencies(surface.view, head):
        common = before if common is None else common & before
    found = list(feature_maps(surface, common or set()))
    if not found:
        raise UnsupportedModelError(
            "No feature map is found that all predictions depend on",
            remedy="Name one with --target-layer.",
        )
    return found[-1]


def _dependencies(view: GraphView, head: ClassHead | None) -> list[set[int]]:
    """Return, for each part of the predictions, the keys of all nodes that it depends on.

    Parts are the last layers of the class scores, what regions are read from, or else the outputs.
    """
    if head is not None:
        layers = nearest_layers([level.table.output.get_node() for level in head.levels])
        return [view.ancestors([layer]) - {key} for key, layer in layers.items()]
    regions = [node for node in view.ops if node.get_type_name() in REGION_OPS]
    parts = [node.input_value(0).get_node() for node in regions] or view.model.get_results()
    return [view.ancestors([part]) for part in parts]


def feature_maps(surface: Surface, keys: Iterable[int]) -> Iterable[Candidate]:
    """Yield the feature maps among some nodes, in topological order."""
    image = node_key(surface.image.get_node())
    for node in surface.view.ordered(keys):
        if node_key(node) == image or node.get_type_name() in CONTROL_FLOW:
            continue
        for output in node.outputs():
            found = candidate(output, surface.layouts) if port(output) in surface.layouts else None
            if found is None or found.channels is None or not _has_image_shape(surface, found):
                continue
            if is_learned(surface.view, found):
                yield found


def _has_image_shape(surface: Surface, tensor: Candidate) -> bool:
    """Return whether the grid is as wide and high as the image, up to rounding: boxes and queries are not."""
    extents = dict(zip(surface.image_letters, sizes(surface.image) or [], strict=True))
    height, width = extents["H"], extents["W"]
    if None in (height, width, tensor.grid.height, tensor.grid.width):
        return True
    ratio = (height or 1) * (tensor.grid.width or 1) / ((width or 1) * (tensor.grid.height or 1))
    return 2 / 3 <= ratio <= 3 / 2


def named_map(surface: Surface, name: str) -> Candidate:
    """Return the feature map of that friendly name.

    Raises:
        ModelMismatchError: there is none.
    """
    node = surface.view.find(name)
    found = None if node is None else candidate(node.output(0), surface.layouts)
    if found is None:
        what = "does not exist" if node is None else f"{shape_text(node.output(0))} has no spatial grid"
        raise ModelMismatchError(f"Layer '{name}' {what}. Give the friendly name of a feature map.")
    return found
