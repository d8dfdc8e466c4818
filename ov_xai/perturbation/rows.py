"""Rows: what broadcasts against them, what is put off, and their physical order."""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.axes import batch_axis
from ov_xai.graph.emit import Emitter
from ov_xai.graph.view import rank, sizes
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import Order, Rows


def lift(values: ov.Output, vector: ov.Output, order: Order, restricted: bool, ctx: Context) -> ov.Output | None:
    """Return a shared operand of a vector per image, shaped so that it broadcasts against rows.

    Args:
        values: the operand, of any shape that broadcasts against `vector`.
        vector: the original result of the op.
        order: order of the rows.
        restricted: take the chosen classes out of the class axis.
        ctx: the context of the replay.

    Returns:
        [N or 1, C or 1, 1, 1] or [N or 1, 1, C or 1]; None when the operand has other axes.
    """
    axis, extents, depth = ctx.vector_axis(vector), sizes(values), rank(vector)
    if axis is None or extents is None or depth is None or len(extents) > depth:
        return None
    padded = [1] * (depth - len(extents)) + extents
    batch = batch_axis(ctx.layout(vector))
    if any(extent != 1 and index not in (axis, batch) for index, extent in enumerate(padded)):
        return None
    count = padded[axis]
    per_image = batch is not None and padded[batch] != 1
    if count is None or (per_image and axis < (batch or 0) and count != 1):
        return None
    flat = ctx.emit.reshape(values, -1 if per_image else 1, count)
    if restricted and ctx.subset is not None and count == ctx.subset.classes != 1:
        flat, count = choose_classes(flat, per_image, ctx), ctx.subset.count
    if order is Order.FIRST:
        return ctx.emit.unsqueeze(flat, 2, 3)
    return ctx.emit.unsqueeze(flat, 1)


def choose_classes(vector: ov.Output, per_image: bool, ctx: Context) -> ov.Output:
    """Return the chosen classes [N, T] of a [N or 1, K] tensor."""
    assert ctx.subset is not None
    if per_image:
        return ctx.emit.gather_per_image(vector, ctx.subset.indices)
    return ctx.emit.gather(ctx.emit.squeeze(vector, 0), ctx.subset.indices, 0)


def full_channels(rows: Rows, emit: Emitter) -> ov.Output:
    """Return the offset of rows with all channels spelt out."""
    assert rows.offset is not None
    shape = (1, rows.channels, 1, 1) if rows.order is Order.FIRST else (1, 1, rows.channels)
    return emit.broadcast(rows.offset, emit.ints(*shape))


def settle(rows: Rows, ctx: Context) -> Rows:
    """Return the same rows with nothing put off."""
    values = smoothed(rows, ctx).values
    for factor in rows.scale:
        values = ctx.emit.multiply(values, factor)
    if rows.offset is not None:
        values = ctx.emit.add(values, rows.offset)
    return Rows(values, rows.order, rows.channels)


def smoothed(rows: Rows, ctx: Context) -> Rows:
    """Return the same rows with the mask's kernel applied."""
    if not rows.smooth:
        return rows
    if rows.order is Order.FIRST:
        values = ctx.masks.smooth_first(rows.values, rows.channels)
    else:
        values = ctx.masks.smooth_last(rows.values)
    return Rows(values, rows.order, rows.channels, False, rows.scale, rows.offset)


def reordered(rows: Rows, order: Order, ctx: Context) -> Rows:
    """Return the same rows in the other physical order; what is put off stays so."""
    if rows.order is order:
        return rows
    values = _reordered_values(rows.values, order, rows.channels, ctx)
    offset = None if rows.offset is None else reordered_offset(rows.offset, rows.order, order, ctx.emit)
    return Rows(values, order, rows.channels, rows.smooth, rows.scale, offset)


def reordered_offset(offset: ov.Output, before: Order, after: Order, emit: Emitter) -> ov.Output:
    """Return an offset of rows in the other physical order."""
    if before is after:
        return offset
    count = (sizes(offset) or [])[1 if before is Order.FIRST else 2] or 1
    return emit.reshape(offset, 0, *((count, 1, 1) if after is Order.FIRST else (1, count)))


def _reordered_values(values: ov.Output, order: Order, channels: int, ctx: Context) -> ov.Output:
    emit = ctx.emit
    if order is Order.LAST:
        return emit.reshape(emit.transpose(values, 0, 2, 3, 1), 0, -1, channels)
    return emit.reshape(emit.transpose(values, 0, 2, 1), 0, channels, ctx.masks.height, ctx.masks.width)
