"""Carry the meaning of axes from the image input through the graph."""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.axes import (
    Axis,
    Factor,
    Layout,
    Role,
    Segment,
    axis_of,
    axis_size,
    is_spatial,
    unknown,
)
from ov_xai.analysis.transfers import transferred
from ov_xai.graph.kinds import LEARNED_OPS
from ov_xai.graph.view import GraphView, Port, node_key, port, sizes

Layouts = dict[Port, Layout]
#: Class, distillation and register tokens that may stand before a grid that is given.
MAX_KEPT = 8
_LETTERS = {"N": Role.BATCH, "H": Role.Y, "W": Role.X, "C": Role.OTHER}


def image_layout(image: ov.Output, letters: str) -> Layout:
    """Return the layout of an image input whose axes these letters name, e.g. "NCHW"."""
    return tuple(axis_of(_LETTERS[letter], size) for letter, size in zip(letters, _extents(image), strict=True))


def propagate(view: GraphView, image: ov.Output, layout: Layout, given: tuple[Port, Layout] | None = None) -> Layouts:
    """Return the layout of every tensor that depends on the image, and of the image itself.

    Args:
        view: the graph.
        image: the image input.
        layout: its layout.
        given: the layout of one more tensor, which is not to be derived.
    """
    known: Layouts = {port(image): layout}
    processed: set[int] = set()
    for node in view.ordered(view.descendants([image.get_node()])):
        if _is_layer(node):
            if not processed.intersection(node_key(source.get_node()) for source in node.input_values()):
                known.update(_entering(node, known))
            processed.add(node_key(node))
        elif processed.intersection(node_key(source.get_node()) for source in node.input_values()):
            processed.add(node_key(node))
        if node_key(node) == node_key(image.get_node()) or node.get_type_name() in ("Result", "ShapeOf"):
            continue
        if any(sizes(output) is None for output in node.outputs()):
            continue
        known.update(_outputs(node, known) or _repeated_weights(node, layout))
        if given is not None and given[0] in {port(output) for output in node.outputs()}:
            known[given[0]] = given[1]
    return known


def hidden_grid(view: GraphView, layouts: Layouts, height: int, width: int) -> tuple[Port, Layout] | None:
    """Return the first tensor with an axis of `height * width` tokens whose rows and columns are not known.

    Up to `MAX_KEPT` more tokens may stand before them on that axis.
    """
    for extra in range(MAX_KEPT + 1):
        for node in view.ops:
            for output in node.outputs():
                layout = layouts.get(port(output))
                if layout is None or is_spatial(layout):
                    continue
                axes = [axis for axis, extent in enumerate(_extents(output)) if extent == height * width + extra]
                if len(axes) == 1 and axes[0] > 0:
                    return port(output), _with_grid(layout, axes[0], height, width, extra)
    return None


def _with_grid(layout: Layout, axis: int, height: int, width: int, extra: int) -> Layout:
    tokens: Segment = (Factor(Role.Y, height), Factor(Role.X, width))
    before: Axis = () if extra == 0 else axis_of(Role.OTHER, extra)
    return (*layout[:axis], (*before, tokens), *layout[axis + 1 :])


def _outputs(node: ov.Node, known: Layouts) -> Layouts:
    inputs = [_input_layout(source, known) for source in node.input_values()]
    if not any(port(source) in known for source in node.input_values()):
        return {}
    results = transferred(node, inputs)
    return {
        port(output): layout if _fits(layout, output) else unknown(_extents(output))
        for output, layout in zip(node.outputs(), results, strict=True)
    }


def _is_layer(node: ov.Node) -> bool:
    return node.get_type_name() in LEARNED_OPS


def _entering(node: ov.Node, known: Layouts) -> Layouts:
    """Return the layout of what enters the first convolution, where the image was lost on the way.

    Preprocessing in a loop over images cannot be followed; what a first convolution slides over are rows and columns
    of the image all the same.
    """
    source = node.input_value(0)
    lost = port(source) in known and not is_spatial(known[port(source)])
    extents = _extents(source)
    if node.get_type_name() != "Convolution" or not lost or len(extents) != 4:
        return {}
    return {port(source): image_layout(source, "NCHW")}


def _repeated_weights(node: ov.Node, image: Layout) -> Layouts:
    """Return the layout of weights (a class token, a probe) that are broadcast to the number of images.

    They depend on the image only by its shape.
    """
    output = node.output(0)
    extents = _extents(output)
    batch = axis_size(image[0])
    if node.get_type_name() != "Broadcast" or len(extents) < 2 or extents[0] != batch or batch == 1:
        return {}
    return {port(output): (axis_of(Role.BATCH, batch), *unknown(extents[1:]))}


def _input_layout(source: ov.Output, known: Layouts) -> Layout:
    return known.get(port(source)) or unknown(sizes(source) or [])


def _extents(output: ov.Output) -> list[int | None]:
    return sizes(output) or []


def _fits(layout: Layout, output: ov.Output) -> bool:
    extents = _extents(output)
    return len(layout) == len(extents) and all(
        None in (known := (axis_size(axis), extent)) or known[0] == known[1]
        for axis, extent in zip(layout, extents, strict=True)
    )
