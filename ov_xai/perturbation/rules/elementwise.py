"""Ops that treat every number by itself, possibly together with a shared operand that broadcasts.

Affine:  a (G slope + offset) = G (a slope) + a offset        multiplication or division by a shared operand
(G slope + offset) + t = G slope + (offset + t)      addition of a shared operand
sums of two Affine forms add slopes and offsets
Levels:  phi(X)[p, q] = phi(U_l)[q] where G[p, q] = g_l       everything else
Rows:    the linear cases act on values and offset, everything else on settled rows
"""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.links import SELECTIONS
from ov_xai.graph.kinds import REARRANGING_OPS
from ov_xai.graph.view import port
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import Affine, Form, Levels, Refusal, Rows, Shared, is_place_form
from ov_xai.perturbation.place_forms import kept_weights, to_levels
from ov_xai.perturbation.rows import lift, reordered, settle

_SUMS = frozenset({"Add", "Subtract"})


def elementwise(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Apply a pointwise op to whatever form its operands have."""
    places = any(is_place_form(form) for form in forms)
    rows = any(isinstance(form, Rows) for form in forms)
    if places and rows:
        return Refusal("a pooled branch is joined with one that still has places", node.get_friendly_name())
    return _on_places(node, forms, ctx) if places else _on_rows(node, forms, ctx)


# -- places --------------------------------------------------------------------------------------------------------


def _on_places(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    layout = ctx.layout(node.output(0))
    linear = _linear_on_affine(node, forms, ctx)
    if linear is not None:
        slope, offset = linear
        return [Affine(slope, offset, layout)]
    levelled = [to_levels(form, ctx) if isinstance(form, Affine) else form for form in forms]
    by_level = tuple(
        ctx.emit.copy(node, [_at_level(form, index) for form in levelled])[0] for index in range(len(ctx.masks.levels))
    )
    background = ctx.emit.copy(node, [_background(form) for form in levelled])[0]
    return [Levels(by_level, background, layout)]


def _at_level(form: Form, index: int) -> ov.Output:
    if isinstance(form, Levels):
        return form.by_level[index]
    assert isinstance(form, Shared)
    return form.values


def _background(form: Form) -> ov.Output:
    if isinstance(form, Levels):
        return form.background
    assert isinstance(form, Shared)
    return form.values


def _linear_on_affine(node: ov.Node, forms: list[Form], ctx: Context) -> tuple[ov.Output, ov.Output | None] | None:
    """Return (slope, offset) of the result when the op is linear in its perturbed operands; None when it is not."""
    kind, emit = node.get_type_name(), ctx.emit
    if kind in ("Convert", "Identity", "Negative"):
        (form,) = forms
        if not isinstance(form, Affine):
            return None
        return emit.copy(node, [form.slope])[0], _copied(node, ctx, form.offset)
    if len(forms) != 2:
        return None
    a, b = forms
    if kind in _SUMS:
        return _sum(node, a, b, ctx)
    if kind == "Multiply" and isinstance(a, Shared) and isinstance(b, Affine):
        a, b = b, a
    if kind in ("Multiply", "Divide") and isinstance(a, Affine) and isinstance(b, Shared):
        offset = None if a.offset is None else emit.copy(node, [a.offset, b.values])[0]
        return emit.copy(node, [a.slope, b.values])[0], offset
    return None


def _copied(node: ov.Node, ctx: Context, values: ov.Output | None) -> ov.Output | None:
    return None if values is None else ctx.emit.copy(node, [values])[0]


def _sum(node: ov.Node, a: Form, b: Form, ctx: Context) -> tuple[ov.Output, ov.Output | None] | None:
    emit = ctx.emit
    if isinstance(a, Affine) and isinstance(b, Affine):
        return emit.copy(node, [a.slope, b.slope])[0], _sum_of_optional(node, a.offset, b.offset, ctx)
    if isinstance(a, Affine) and isinstance(b, Shared):
        if a.offset is None and is_divided_projection(node):
            slope = emit.subtract(node.output(0), b.values)
            weights = kept_weights(a.layout, slope, ctx.emit)
            return slope if weights is None else emit.multiply(slope, weights), b.values
        return a.slope, _sum_of_optional(node, a.offset, b.values, ctx)
    if isinstance(a, Shared) and isinstance(b, Affine):
        if b.offset is None and is_divided_projection(node):
            return _sum(node, b, a, ctx)
        slope = emit.multiply(b.slope, emit.like(-1, b.slope)) if node.get_type_name() == "Subtract" else b.slope
        return slope, _sum_of_optional(node, a.values, b.offset, ctx)
    return None


def is_divided_projection(node: ov.Node) -> bool:
    """Return whether a bias completes queries, keys and values in one tensor, which is then divided.

    The slope is the original result without the bias: the product need not be computed again. Nothing that follows
    can be fused into the product before the division, so a reader here changes nothing in the original model. Where
    queries, keys and values have products of their own, the plugin fuses a scale into them, and reading in between
    would prevent that.
    """
    products = [source.get_node().get_type_name() == "MatMul" for source in node.input_values()]
    if node.get_type_name() != "Add" or not any(products):
        return False
    current = node.output(0)
    while True:
        readers = [reader.get_node() for reader in current.get_target_inputs()]
        kinds = {reader.get_type_name() for reader in readers}
        if kinds and kinds <= set(SELECTIONS):
            return len(readers) > 1 or readers[0].get_output_size() > 1
        if len(readers) != 1 or not kinds <= REARRANGING_OPS:
            return False
        current = readers[0].output(0)


def _sum_of_optional(node: ov.Node, a: ov.Output | None, b: ov.Output | None, ctx: Context) -> ov.Output | None:
    if b is None:
        return a
    if a is None:
        return ctx.emit.multiply(b, ctx.emit.like(-1, b)) if node.get_type_name() == "Subtract" else b
    return ctx.emit.copy(node, [a, b])[0]


# -- rows ----------------------------------------------------------------------------------------------------------


def _on_rows(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    vector = node.output(0)
    order = next(form.order for form in forms if isinstance(form, Rows))
    operands: list[Rows | ov.Output] = []
    for form in forms:
        if isinstance(form, Rows):
            operands.append(reordered(form, order, ctx))
            continue
        assert isinstance(form, Shared)
        lifted = lift(form.values, vector, order, ctx.restricted(node), ctx)
        if lifted is None:
            return Refusal("an operand does not broadcast against one vector per image", node.get_friendly_name())
        operands.append(lifted)
    linear = _linear_on_rows(node, operands, ctx)
    if linear is not None:
        return [linear]
    settled = [settle(item, ctx) if isinstance(item, Rows) else item for item in operands]
    channels = max(item.channels for item in settled if isinstance(item, Rows))
    values = ctx.emit.copy(node, [item.values if isinstance(item, Rows) else item for item in settled])[0]
    return [Rows(values, order, _result_channels(node, channels, ctx))]


def _result_channels(node: ov.Node, channels: int, ctx: Context) -> int:
    """Return the channels of the result, which a shared vector may have widened from one."""
    if ctx.restricted(node) and ctx.subset is not None:
        return ctx.subset.count
    axis = ctx.vector_axis(node.output(0))
    if axis is None:
        return channels
    size = node.output(0).get_partial_shape()[axis]
    return int(size.get_length()) if size.is_static else channels


def _linear_on_rows(node: ov.Node, operands: list[Rows | ov.Output], ctx: Context) -> Rows | None:
    kind, emit = node.get_type_name(), ctx.emit
    if len(operands) != 2 or _result_channels(node, 0, ctx) != max(
        item.channels for item in operands if isinstance(item, Rows)
    ):
        return None
    a, b = operands
    if isinstance(a, Rows) and isinstance(b, Rows):
        return _sum_of_rows(node, a, b, ctx)
    if isinstance(a, ov.Output) and isinstance(b, Rows):
        if kind not in ("Add", "Multiply"):
            return None
        a, b = b, a
    assert isinstance(a, Rows)
    assert isinstance(b, ov.Output)
    if kind in _SUMS:
        offset = _sum_of_optional(node, a.offset, b, ctx)
        return Rows(a.values, a.order, a.channels, a.smooth, a.scale, offset)
    if kind in ("Multiply", "Divide"):
        offset = None if a.offset is None else emit.copy(node, [a.offset, b])[0]
        return Rows(emit.copy(node, [a.values, b])[0], a.order, a.channels, a.smooth, a.scale, offset)
    return None


def _sum_of_rows(node: ov.Node, a: Rows, b: Rows, ctx: Context) -> Rows | None:
    scales = [[port(factor) for factor in rows.scale] for rows in (a, b)]
    same = a.smooth == b.smooth and scales[0] == scales[1] and a.channels == b.channels
    if node.get_type_name() not in _SUMS or not same:
        return None
    values = ctx.emit.copy(node, [a.values, b.values])[0]
    return Rows(values, a.order, a.channels, a.smooth, a.scale, _sum_of_optional(node, a.offset, b.offset, ctx))
