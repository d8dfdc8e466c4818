"""Replay of ordinary ops on a batch of rows.

Once the places are gone, P masks are P images: any op is copied with the rows as its leading axis. Two things need
care: operands that are shared by the masks of one image are repeated, and a literal batch size in a Reshape is
replaced.
"""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.axes import Layout, Role, batch_axis, factors, segment_size
from ov_xai.graph.emit import Emitter
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
    """Return rows, or what is shared, as tensors with N * P where the original has its batch N.

    Args:
        form: what is converted.
        original: the tensor of the original model.
        ctx: the context of the replay.
    """
    name = original.get_node().get_friendly_name()
    extents, layout = sizes(original) or [], ctx.layout(original)
    batch = batch_axis(layout)
    if isinstance(form, Batch):
        return form
    others = [extent for axis, extent in enumerate(extents) if axis != batch]
    if not isinstance(form, Shared | Rows) or batch is None or None in others:
        return Refusal("the places are not gone yet, or the row has dynamic extents", name)
    emit = ctx.emit
    if isinstance(form, Shared):
        count = emit.multiply(ctx.masks.height, ctx.masks.width)
        repeated = repeat_images(form.values, layout, count, emit)
        return Refusal("the batch is joined with a dynamic axis", name) if repeated is None else Batch(repeated)
    if batch != 0:
        return Refusal("the rows have no leading batch axis", name)
    last = reordered(settle(form, ctx), Order.LAST, ctx)
    return Batch(emit.reshape(last.values, -1, *(extent or 1 for extent in others)))


def repeat_images(values: ov.Output, layout: Layout, count: ov.Output, emit: Emitter) -> ov.Output | None:
    """Return a tensor with each image repeated, (.., N, ..) -> (.., N, count, ..) -> (.., N count, ..).

    Args:
        values: the tensor.
        layout: what its axes are; one of them holds the batch, alone or joined with others.
        count: i64 vector of one element.
        emit: where nodes are added.

    Returns:
        None when a factor that is joined with the batch has a dynamic extent.
    """
    axis = batch_axis(layout)
    assert axis is not None
    joint = factors(layout[axis])
    place = next(index for index, factor in enumerate(joint) if factor.role is Role.BATCH)
    inner = segment_size(tuple(joint[place + 1 :]))
    if inner is None or len(layout[axis]) > 1:
        return None
    extents: list[int | ov.Output] = [
        emit.extents(values, at) if extent is None and at != axis else extent or 1
        for at, extent in enumerate(sizes(values) or [])
    ]
    before, behind = extents[:axis], extents[axis + 1 :]
    divided = emit.reshape(values, *before, -1, 1, inner, *behind)
    shape = [emit.ints(*[1] * (axis + 1)), count, emit.ints(*[1] * (1 + len(behind)))]
    return emit.reshape(emit.broadcast(divided, emit.concat(shape, 0)), *before, -1, *behind)


def from_batch(form: Batch, original: ov.Output, ctx: Context) -> Rows | Refusal:
    """Return vectors with the rows as their batch as [N, P, C].

    Args:
        form: what is converted.
        original: the tensor of the original model, one vector of C numbers per image.
        ctx: the context of the replay.
    """
    axis, batch = ctx.vector_axis(original), batch_axis(ctx.layout(original))
    if axis is None or (batch is not None and axis < batch):
        return Refusal("the scores are not one vector per image", original.get_node().get_friendly_name())
    emit, channels = ctx.emit, (sizes(original) or [])[axis] or 1
    images = emit.extents(ctx.target.output, batch_axis(ctx.target.layout) or 0)
    places = emit.multiply(ctx.masks.height, ctx.masks.width)
    return Rows(emit.reshape(form.values, images, places, channels), Order.LAST, channels)
