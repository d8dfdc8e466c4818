"""Replay of ordinary ops on a batch of rows.

Once the places are gone, P masks are P images: any op is copied with the rows as its leading axis. Two things need
care: operands that are shared by the masks of one image are repeated, and a literal batch size in a Reshape is
replaced.
"""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.axes import batch_axis
from ov_xai.graph.view import sizes
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import Batch, Form, Refusal, Shared

#: Which input of an op is the shape of its result.
SHAPE_INPUT = {"Reshape": 1}


def on_batch(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Copy a node onto rows as batch."""
    pattern = SHAPE_INPUT.get(node.get_type_name())
    inputs: list[ov.Output] = []
    for index, (form, source) in enumerate(zip(forms, node.input_values(), strict=True)):
        if index == pattern and isinstance(form, Shared):
            shape = batch_pattern(node, ctx)
            if shape is None:
                return Refusal("a literal shape with a dynamic extent", node.get_friendly_name())
            inputs.append(ctx.emit.ints(*shape))
            continue
        if isinstance(form, Shared) and batch_axis(ctx.layout(source)) is None:
            inputs.append(form.values)
            continue
        converted = ctx.to_batch(form, source)
        if isinstance(converted, Refusal):
            return converted
        inputs.append(converted.values)
    return [Batch(output) for output in ctx.emit.copy(node, inputs)]


def batch_pattern(node: ov.Node, ctx: Context) -> list[int] | None:
    """Return the shape a Reshape aims at, with -1 for the axis that holds the batch."""
    extents = sizes(node.output(0))
    axis = batch_axis(ctx.layout(node.output(0)))
    if extents is None or axis is None or any(e is None for i, e in enumerate(extents) if i != axis):
        return None
    return [-1 if index == axis else extent or 0 for index, extent in enumerate(extents)]
