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
from ov_xai.perturbation.forms import Batch, Form, Order, Refusal, Rows, Shared
from ov_xai.perturbation.rows import reordered, settle

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
        converted = to_batch(form, source, ctx)
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


def to_batch(form: Form, original: ov.Output, ctx: Context) -> Batch | Refusal:
    """Return rows, or what is shared, as tensors with leading axis N * P of the original's other extents."""
    name = original.get_node().get_friendly_name()
    extents = sizes(original)
    if isinstance(form, Batch):
        return form
    if not isinstance(form, Shared | Rows) or not extents or None in extents[1:]:
        return Refusal("the places are not gone yet, or the row has dynamic extents", name)
    rest = [extent or 1 for extent in extents[1:]]
    emit = ctx.emit
    if isinstance(form, Rows):
        if batch_axis(ctx.layout(original)) != 0:
            return Refusal("the rows have no leading batch axis", name)
        last = reordered(settle(form, ctx), Order.LAST, ctx)
        return Batch(emit.reshape(last.values, -1, *rest))
    # (N, ...) -> (N, P, ...) -> (N P, ...)
    count = emit.multiply(ctx.masks.height, ctx.masks.width)
    wide = emit.unsqueeze(form.values, 1)
    shape = emit.concat([emit.ints(1), count, emit.ints(*([1] * len(rest)))], 0)
    return Batch(emit.reshape(emit.broadcast(wide, shape), -1, *rest))


def from_batch(form: Batch, channels: int, ctx: Context) -> Rows:
    """Return [N * P, ...] rows of `channels` numbers as [N, P, C]."""
    batch = ctx.emit.extents_apart(ctx.target.output, batch_axis(ctx.target.layout) or 0)
    places = ctx.emit.multiply(ctx.masks.height, ctx.masks.width)
    return Rows(ctx.emit.reshape(form.values, batch, places, channels), Order.LAST, channels)
