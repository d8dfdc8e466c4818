"""Ops along channels: Softmax, normalisations, reductions, Concat.

    Affine:  a mean, sum or concatenation over channels is linear; so is joining the grid with kept tokens
    Levels:  act on every level
    Rows:    act on settled rows, along the physical channel axis
A reduction over the places themselves, or over one of their axes after the other, is the collapse: see `pooling`.
"""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.axes import place_axes
from ov_xai.analysis.demand import kept_positions
from ov_xai.graph.view import constant_axes, rank, sizes
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import (
    KEPT_WEIGHT,
    Affine,
    Form,
    HalfPooled,
    Levels,
    Order,
    PlaceForm,
    Refusal,
    Rows,
    Shared,
    is_place_form,
    shared_values,
)
from ov_xai.perturbation.place_forms import broadcast_like, to_levels
from ov_xai.perturbation.rows import lift, reordered, settle
from ov_xai.perturbation.rules.attention import materialised
from ov_xai.perturbation.rules.pooling import reduced
from ov_xai.perturbation.rules.stacking import stacked, stacks

_LINEAR = frozenset({"ReduceMean", "ReduceSum"})


def reduction(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Apply a Reduce op: over the places it is the collapse, over channels it acts place by place."""
    form, name = forms[0], node.get_friendly_name()
    depth = rank(node.input_value(0)) or 0
    axes = constant_axes(node, 1, depth)
    if axes is None:
        return Refusal("the reduced axes are not constant", name)
    if isinstance(form, Rows):
        return _along_row(node, form, axes, ctx)
    assert isinstance(form, Affine | Levels)
    places = place_axes(form.layout)
    if not set(axes) & set(places):
        return _per_place(node, form, forms[1:], ctx)
    if len(places) == 2 and len(axes) == 1:
        return [HalfPooled(form, node.get_type_name())]
    if set(axes) != set(places):
        return Refusal("places are reduced in part, or together with channels", name)
    return reduced(form, node.get_type_name(), ctx, name)


def channelwise(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Apply Softmax, LogSoftmax, MVN or NormalizeL2."""
    form, name = forms[0], node.get_friendly_name()
    depth = rank(node.input_value(0)) or 0
    axes = _axes(node, depth)
    if axes is None:
        return Refusal("the normalised axes are not constant", name)
    if isinstance(form, Rows):
        return _along_row(node, form, axes, ctx)
    assert isinstance(form, Affine | Levels)
    if node.get_type_name() == "Softmax" and axes == place_axes(form.layout):
        return materialised(node, form, axes[0], ctx)
    if set(axes) & set(place_axes(form.layout)):
        return Refusal("a normalisation over places", name)
    return _per_place(node, form, forms[1:], ctx)


def _axes(node: ov.Node, depth: int) -> list[int] | None:
    attributes = node.get_attributes()
    if "axis" in attributes:
        return [int(attributes["axis"]) % depth]
    return constant_axes(node, 1, depth) if node.get_input_size() > 1 else None


def _per_place(node: ov.Node, form: PlaceForm, operands: list[Form], ctx: Context) -> list[Form] | Refusal:
    rest = shared_values(operands)
    if rest is None:
        return Refusal("a parameter depends on the mask", node.get_friendly_name())
    layout = ctx.layout(node.output(0))

    def applied(values: ov.Output) -> ov.Output:
        return ctx.emit.copy(node, [values, *rest])[0]

    if isinstance(form, Affine) and node.get_type_name() in _LINEAR:
        return [Affine(applied(form.slope), None if form.offset is None else applied(form.offset), layout)]
    levels = to_levels(form, ctx)
    return [Levels(tuple(applied(values) for values in levels.by_level), applied(levels.background), layout)]


def _along_row(node: ov.Node, form: Rows, axes: list[int], ctx: Context) -> list[Form] | Refusal:
    source, name = node.input_value(0), node.get_friendly_name()
    extents, vector = sizes(source) or [], ctx.vector_axis(source)
    if vector is None or ctx.vector_axis(node.output(0)) is None:
        return Refusal("the row is not one vector per image", name)
    if vector not in axes:
        return [form] if all(extents[axis] == 1 for axis in axes) and _is_reduction(node) else _refuse_axes(name)
    if any(extents[axis] != 1 for axis in axes if axis != vector):
        return _refuse_axes(name)
    rows = reordered(settle(form, ctx), Order.LAST, ctx)
    if _is_reduction(node):
        return [Rows(_reduced(node, rows.values, ctx), Order.LAST, 1)]
    if "axis" in node.get_attributes():
        values = ctx.emit.copy(node, [rows.values])[0]
        values.get_node().set_attribute("axis", 2)
        return [Rows(values, Order.LAST, rows.channels)]
    return [Rows(ctx.emit.copy(node, [rows.values, ctx.emit.ints(2)])[0], Order.LAST, rows.channels)]


def _refuse_axes(name: str) -> Refusal:
    return Refusal("an op along other axes than the channels of a row", name)


def _is_reduction(node: ov.Node) -> bool:
    return str(node.get_type_name()).startswith("Reduce")


def _reduced(node: ov.Node, values: ov.Output, ctx: Context) -> ov.Output:
    reduced = ctx.emit.copy(node, [values, ctx.emit.ints(2)])[0]
    return reduced if node.get_attributes().get("keep_dims") else ctx.emit.unsqueeze(reduced, 2)


def concat(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Join channels."""
    name, depth = node.get_friendly_name(), rank(node.output(0)) or 0
    axis = int(node.get_attributes()["axis"]) % depth
    if any(is_place_form(form) for form in forms):
        if any(isinstance(form, Rows) for form in forms):
            return Refusal("places are joined with something else", name)
        layout = ctx.layout(node.output(0))
        grids = sum(is_place_form(form) for form in forms)
        if axis in place_axes(layout) and (grids != 1 or not kept_positions(layout[axis])):
            return Refusal("places are joined with something else", name)
        if all(isinstance(form, Affine) for form in forms) or axis in place_axes(layout):
            return _concat_linear(node, forms, ctx)
        return _concat_places(node, forms, ctx)
    if stacks(node, forms, ctx):
        return stacked(node, forms, ctx)
    if axis != ctx.vector_axis(node.output(0)):
        return Refusal("rows are joined along another axis than their channels", name)
    return _concat_rows(node, forms, ctx)


def _concat_linear(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form]:
    """Join forms whose slopes and offsets can be joined: channels of several, or places with kept tokens.

    A kept token's slope is twice its value (`KEPT_WEIGHT`); at every level it is the value.
    """
    layout = ctx.layout(node.output(0))
    if any(isinstance(form, Levels) for form in forms):
        return _concat_places(node, forms, ctx)
    parts = [(form.slope, form.offset) if isinstance(form, Affine) else (_kept(form, ctx), None) for form in forms]
    slope = ctx.emit.copy(node, [part for part, _ in parts])[0]
    if all(offset is None for _, offset in parts):
        return [Affine(slope, None, layout)]
    emit = ctx.emit
    offsets = [broadcast_like(emit.like(0, part) if offset is None else offset, part, emit) for part, offset in parts]
    return [Affine(slope, ctx.emit.copy(node, offsets)[0], layout)]


def _values(form: Form) -> ov.Output:
    assert isinstance(form, Shared)
    return form.values


def _kept(form: Form, ctx: Context) -> ov.Output:
    values = _values(form)
    return ctx.emit.multiply(values, ctx.emit.like(1 / KEPT_WEIGHT, values))


def _concat_places(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form]:
    levels = [to_levels(form, ctx) if isinstance(form, Affine) else form for form in forms]

    def at(index: int) -> list[ov.Output]:
        return [form.by_level[index] if isinstance(form, Levels) else _values(form) for form in levels]

    def behind() -> list[ov.Output]:
        return [
            broadcast_like(form.background, form.by_level[0], ctx.emit) if isinstance(form, Levels) else _values(form)
            for form in levels
        ]

    by_level = tuple(ctx.emit.copy(node, at(index))[0] for index in range(len(ctx.masks.levels)))
    return [Levels(by_level, ctx.emit.copy(node, behind())[0], ctx.layout(node.output(0)))]


def _concat_rows(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    rows = [settle(form, ctx) for form in forms if isinstance(form, Rows)]
    order = rows[0].order
    parts, channels = [], 0
    for form in forms:
        if isinstance(form, Rows):
            laid = reordered(settle(form, ctx), order, ctx)
            parts.append(laid.values)
            channels += laid.channels
            continue
        assert isinstance(form, Shared)
        lifted = lift(form.values, node.output(0), order, restricted=False, ctx=ctx)
        if lifted is None:
            return Refusal("an operand is not one vector per image", node.get_friendly_name())
        size = (sizes(lifted) or [])[1 if order is Order.FIRST else 2] or 1
        parts.append(_widened(lifted, rows[0].values, order, size, ctx))
        channels += size
    return [Rows(ctx.emit.concat(parts, 1 if order is Order.FIRST else 2), order, channels)]


def _widened(lifted: ov.Output, like: ov.Output, order: Order, size: int, ctx: Context) -> ov.Output:
    """Return a shared vector repeated for every row."""
    emit = ctx.emit
    if order is Order.FIRST:
        shape = emit.concat([emit.extents(like, 0), emit.ints(size), emit.extents(like, 2, 3)], 0)
    else:
        shape = emit.concat([emit.extents(like, 0, 1), emit.ints(size)], 0)
    return emit.broadcast(lifted, shape)
