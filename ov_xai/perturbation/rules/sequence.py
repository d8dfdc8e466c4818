"""Ops behind attention, on the tokens that are read.

Tokens:  an op that treats tokens alike acts on each of them with the masks on the axis of tokens
         taking tokens out of a sequence chooses among them; the last one left is a row
         what is shared takes part with the token of the same position
Tokens that are not held are either shared, and then as in the original model, or not read.
"""

from __future__ import annotations

import numpy as np
import openvino as ov

from ov_xai.analysis.axes import batch_axis
from ov_xai.analysis.links import SELECTIONS, Positions, carried_axis, dropped_axes, links, taken_positions
from ov_xai.graph.kinds import RESHAPING_OPS
from ov_xai.graph.view import constant_value, pattern_of, rank, sizes
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import Form, Refusal, Rows, Shared, Tokens
from ov_xai.perturbation.rules.attention import attention, product_of_two
from ov_xai.perturbation.tokens import as_rows, spread, token_of


def on_tokens(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Apply any op to tokens that are read."""
    kind = node.get_type_name()
    if kind == "ScaledDotProductAttention":
        return attention(node, forms, ctx)
    if kind == "MatMul" and not any(isinstance(form, Shared) for form in forms):
        return product_of_two(node, forms, ctx)
    first = forms[0]
    if isinstance(first, Tokens) and kind in RESHAPING_OPS:
        return _reshaped(node, first, ctx)
    if isinstance(first, Tokens) and kind == "Transpose":
        return _transposed(node, first, ctx)
    if isinstance(first, Tokens) and kind in SELECTIONS:
        return _selected(node, first, ctx)
    if kind == "Concat":
        return _joined(node, forms, ctx)
    return _token_by_token(node, forms, ctx)


def _refusal(node: ov.Node, reason: str) -> Refusal:
    return Refusal(reason, node.get_friendly_name())


def _token_by_token(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Apply an op whose results depend on one token each."""
    axes = [_linked_axes(node, index) for index in range(len(forms))]
    onto = {
        axes[index].get(form.axis) if isinstance(form, Tokens) else None
        for index, form in enumerate(forms)
        if isinstance(form, Tokens)
    }
    if len(onto) != 1 or None in onto or node.get_output_size() != 1:
        return _refusal(node, "an op joins tokens that are read")
    (axis,) = (found for found in onto if found is not None)
    values: dict[int, ov.Output] = {}
    for position in _common(forms):
        operands = [
            _operand(form, source, position, {out: own for own, out in axes[index].items()}.get(axis), ctx)
            for index, (form, source) in enumerate(zip(forms, node.input_values(), strict=True))
        ]
        if any(operand is None for operand in operands):
            return _refusal(node, "an operand has no such token")
        values[position] = ctx.emit.copy(node, [operand for operand in operands if operand is not None])[0]
    return [Tokens(values, axis)]


def _linked_axes(node: ov.Node, index: int) -> dict[int, int]:
    """Return which axis of the result each axis of an input runs parallel to."""
    return {
        link.axis: link.onto
        for link in links(node, index, 0)
        if link.onto is not None and link.source is None and link.target is None
    }


def _common(forms: list[Form]) -> list[int]:
    """Return the tokens that all sequences of read tokens hold."""
    held = [set(form.values) for form in forms if isinstance(form, Tokens)]
    return sorted(set.intersection(*held))


def _operand(form: Form, source: ov.Output, position: int, axis: int | None, ctx: Context) -> ov.Output | None:
    if isinstance(form, Shared) and axis is None:
        return form.values
    return None if axis is None else token_of(form, source, axis, position, ctx)


# -- views ---------------------------------------------------------------------------------------------------------


def _reshaped(node: ov.Node, form: Tokens, ctx: Context) -> list[Form] | Refusal:
    before, after = sizes(node.input_value(0)) or [], sizes(node.output(0)) or []
    if before[form.axis] == 1:
        return _reshaped_single(node, form, ctx)
    onto = carried_axis(before, form.axis, after)
    if onto is None or after.count(None) > 1:
        return _refusal(node, "tokens are joined with another axis")
    pattern: list[int | ov.Output] = [*pattern_of(after)]
    values: dict[int, ov.Output] = {}
    for position, value in form.values.items():
        single = (sizes(value) or [])[form.axis] == 1
        pattern[onto] = 1 if single else ctx.emit.multiply(ctx.masks.height, ctx.masks.width)
        values[position] = ctx.emit.reshape(value, *pattern)
    return [Tokens(values, onto)]


def _reshaped_single(node: ov.Node, form: Tokens, ctx: Context) -> list[Form] | Refusal:
    """Reshape a single token: its axis of extent one may be anywhere, or gone."""
    (position, value), *more = form.values.items()
    rows = as_rows(value, form.axis, node.input_value(0), ctx)
    if isinstance(rows, Refusal) or more:
        return rows if isinstance(rows, Refusal) else _refusal(node, "several tokens are left")
    after = sizes(node.output(0)) or []
    batch = batch_axis(ctx.layout(node.output(0)))
    units = [axis for axis, extent in enumerate(after) if extent == 1 and axis != batch]
    others = [axis for axis in range(len(after)) if axis != batch and axis not in units[:1]]
    if not units:
        return [rows] if len(others) == 1 else _refusal(node, "a token is divided where its axis is gone")
    if batch not in (0, None) or any(after[axis] is None for axis in others):
        return _refusal(node, "the batch is not the leading axis")
    emit = ctx.emit
    shaped = emit.reshape(rows.values, 0, 0, *(after[axis] or 1 for axis in others))
    order = [axis for axis in range(len(after)) if axis not in (batch, units[0])]
    laid = ([] if batch is None else [batch]) + [units[0], *order]
    shaped = shaped if batch is not None else emit.squeeze(shaped, 0)
    moved = emit.transpose(shaped, *(laid.index(axis) for axis in range(len(after))))
    return [Tokens({position: moved}, units[0])]


def _transposed(node: ov.Node, form: Tokens, ctx: Context) -> list[Form] | Refusal:
    order = constant_value(node.input_value(1))
    if order is None:
        return _refusal(node, "the order of a transposition is not constant")
    depth = rank(node.input_value(0)) or 0
    axes = [int(axis) % depth for axis in order.reshape(-1)] or list(reversed(range(depth)))
    values = {at: ctx.emit.transpose(value, *axes) for at, value in form.values.items()}
    return [Tokens(values, axes.index(form.axis))]


# -- sequences -----------------------------------------------------------------------------------------------------


def _selected(node: ov.Node, form: Tokens, ctx: Context) -> list[Form] | Refusal:
    results: list[Form] = []
    for index in range(node.get_output_size()):
        taken = taken_positions(node, index)
        if taken is None:
            return _refusal(node, "what is taken is not constant")
        one = _selection(node, index, form, taken, ctx)
        if isinstance(one, Refusal):
            return one
        results.append(one)
    return results


def _selection(node: ov.Node, result: int, form: Tokens, taken: dict[int, Positions], ctx: Context) -> Form | Refusal:
    emit, extents, dropped = ctx.emit, sizes(node.input_value(0)) or [], dropped_axes(node)
    chosen = taken.get(form.axis)
    values = dict(form.values)
    if chosen is not None:
        values = {new: values[int(old)] for new, old in enumerate(chosen) if int(old) in values}
    if not values:
        return Shared(node.output(result))
    for axis, positions in taken.items():
        if axis != form.axis and not np.array_equal(positions, np.arange(extents[axis] or 0)):
            values = {at: emit.gather(value, emit.ints(*positions), axis) for at, value in values.items()}
    gone = [axis for axis in dropped if axis != form.axis]
    if form.axis not in dropped:
        shift = sum(axis < form.axis for axis in gone)
        squeezed = {at: emit.squeeze(value, *gone) if gone else value for at, value in values.items()}
        return Tokens(squeezed, form.axis - shift)
    return as_rows(values[0], form.axis, node.input_value(0), ctx)


def _joined(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Join sequences: along the tokens, or along channels."""
    along = int(node.get_attributes()["axis"]) % (rank(node.output(0)) or 1)
    if any(isinstance(form, Rows) for form in forms):
        return _refusal(node, "a token is joined with a vector")
    axes = {form.axis for form in forms if isinstance(form, Tokens)}
    if len(axes) != 1:
        return _refusal(node, "sequences are joined that run along different axes")
    (axis,) = axes
    if axis != along:
        return _joined_channels(node, forms, axis, ctx)
    values: dict[int, ov.Output] = {}
    wanted = ctx.demand.of(node.output(0), axis)
    start = 0
    for form, source in zip(forms, node.input_values(), strict=True):
        count = (sizes(source) or [])[axis]
        if count is None:
            return _refusal(node, "sequences of dynamic length are joined")
        if isinstance(form, Tokens):
            values.update({start + position: value for position, value in form.values.items()})
        elif not isinstance(form, Shared) and (
            wanted is None or any(start <= position < start + count for position in wanted)
        ):
            return _refusal(node, "tokens behind the attention are joined with masked ones")
        start += count
    return [Tokens(values, axis)]


def _joined_channels(node: ov.Node, forms: list[Form], axis: int, ctx: Context) -> list[Form] | Refusal:
    values: dict[int, ov.Output] = {}
    for position in _common(forms):
        parts = [
            _operand(form, source, position, axis, ctx) for form, source in zip(forms, node.input_values(), strict=True)
        ]
        if any(part is None for part in parts):
            return _refusal(node, "an operand has no such token")
        spread_parts = [spread(part, axis, ctx) for part in parts if part is not None]
        values[position] = ctx.emit.copy(node, spread_parts)[0]
    return [Tokens(values, axis)]
