"""Forms that still have places: levels instead of slopes, kept tokens, and copies the plugin does not merge."""

from __future__ import annotations

from collections.abc import Sequence

import openvino as ov

from ov_xai.analysis.axes import Layout, batch_axis, place_axes
from ov_xai.analysis.demand import kept_positions, on_grid
from ov_xai.graph.emit import Emitter
from ov_xai.graph.view import constant_value, rank, sizes
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import KEPT_WEIGHT, Affine, Levels, PlaceForm


def broadcast_like(values: ov.Output, like: ov.Output, emit: Emitter) -> ov.Output:
    """Return `values` broadcast to the shape of `like`."""
    if sizes(values) == sizes(like) and None not in (sizes(values) or [None]):
        return values
    return emit.broadcast(values, emit.extents(like, *range(rank(like) or 0)))


def kept_indicator(layout: Layout, like: ov.Output, emit: Emitter) -> ov.Output | None:
    """Return 1 at kept tokens and 0 at places, shaped to broadcast against a tensor; None without kept tokens."""
    for axis in place_axes(layout):
        if kept_positions(layout[axis]):
            places = on_grid(layout[axis])
            assert places is not None
            shape = [-1 if index == axis else 1 for index in range(len(layout))]
            return emit.like((~places).reshape(shape), like)
    return None


def kept_weights(layout: Layout, like: ov.Output, emit: Emitter) -> ov.Output | None:
    """Return what the slope of a tensor is multiplied by: 1 / `KEPT_WEIGHT` at kept tokens, 1 at places."""
    kept = kept_indicator(layout, like, emit)
    return None if kept is None else emit.add(kept, emit.like(1, like))


def to_levels(form: PlaceForm, ctx: Context) -> Levels:
    """Return the same perturbed tensor with one tensor per level of the mask."""
    if isinstance(form, Levels):
        return form
    kept = kept_indicator(form.layout, form.slope, ctx.emit)
    return _levels(form, ctx) if kept is None else _levels_with_kept(form, kept, ctx)


def _levels(form: Affine, ctx: Context) -> Levels:
    emit = ctx.emit
    levels = []
    for level in ctx.masks.levels:
        scaled = form.slope if level == 1 else emit.multiply(form.slope, emit.like(level, form.slope))
        levels.append(scaled if form.offset is None else emit.add(scaled, form.offset))
    background = _zeros(form, emit) if form.offset is None else form.offset
    return Levels(tuple(levels), background, form.layout)


def _zeros(form: Affine, emit: Emitter) -> ov.Output:
    """Return zeros of the slope's shape, with places and batch of extent one."""
    places, batch = place_axes(form.layout), batch_axis(form.layout)
    shape = [
        1 if axis in places or axis == batch else extent or 1 for axis, extent in enumerate(sizes(form.slope) or [])
    ]
    return emit.broadcast(emit.like(0, form.slope), emit.ints(*shape))


def _levels_with_kept(form: Affine, kept: ov.Output, ctx: Context) -> Levels:
    emit = ctx.emit
    twice = emit.multiply(form.slope, kept)
    unmasked = emit.multiply(twice, emit.like(KEPT_WEIGHT, twice))
    masked = emit.subtract(form.slope, twice)
    background = unmasked if form.offset is None else emit.add(unmasked, form.offset)
    levels = [
        emit.add(background, masked if level == 1 else emit.multiply(masked, emit.like(level, masked)))
        for level in ctx.masks.levels
    ]
    return Levels(tuple(levels), background, form.layout)


def copied_apart(node: ov.Node, form: Affine, rest: Sequence[ov.Output], emit: Emitter) -> ov.Output:
    """Return what a Transpose or MatMul makes of a slope, apart from the original model.

    A slope without an offset and without kept tokens is computed as in the original model. The plugin merges ops
    of equal inputs, and the original op, read twice, can no longer be fused or moved as it was. With one more axis
    in front it is another op.
    """
    values = form.slope
    order = constant_value(rest[0]) if node.get_type_name() == "Transpose" else None
    product = node.get_type_name() == "MatMul" and (rank(values) or 0) > 1 and rank(rest[0]) == 2
    equal = form.offset is None and kept_indicator(form.layout, values, emit) is None
    if not equal or not (product or order is not None):
        return emit.copy(node, [values, *rest])[0]
    if order is None:
        return emit.squeeze(emit.copy(node, [emit.unsqueeze(values, 0), *rest])[0], 0)
    axes = [int(axis) for axis in order.reshape(-1)] or list(reversed(range(rank(values) or 0)))
    # Two more axes: with one, tokens of a dynamic batch look like shuffled channels to OpenVINO, which then throws.
    wide = emit.unsqueeze(values, 0, 1)
    return emit.squeeze(emit.transpose(wide, 0, 1, *(axis + 2 for axis in axes)), 0, 1)
