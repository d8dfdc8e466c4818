"""Attention that only kept tokens read: scores, softmax over the places, weighted sum of the values.

    keys     X[p, q] = K_0[q] + sum_m W_m[p, q] K_m[q], values likewise                 see `tokens.Expansion`
    scores   s_i[p, q] = Q_i . K_0[q] + sum_m W_m[p, q] (Q_i . K_m[q])
    weights  A_i[p] = softmax over q of s_i[p]
    result   Y_i[p] = sum_q A_i[p, q] V_0[q] + sum_m sum_q (A_i W_m)[p, q] V_m[q]

For a token i that is read, with queries Q_i that are the same for every mask or one row per mask. The P masks stand
on the axis of the queries, so this is an ordinary attention with P queries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np
import openvino as ov

from ov_xai.analysis.axes import has_places, place_axes
from ov_xai.analysis.demand import kept_positions
from ov_xai.graph.emit import LOWEST
from ov_xai.graph.view import rank, sizes
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import Affine, Form, Levels, PlaceForm, Refusal, Shared, Tokens, is_place_form
from ov_xai.perturbation.tokens import Expansion, expansion, placed, token_of

Product = Callable[[ov.Output, ov.Output], ov.Output]

#: More queries than this are no class tokens.
MAX_QUERIES = 4


@dataclass(frozen=True)
class Axes:
    """Where attention weights have their queries, and with them the masks, and where their keys."""

    rows: int
    keys: int


def attention(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Apply a fused ScaledDotProductAttention."""
    name, depth = node.get_friendly_name(), rank(node.input_value(0)) or 0
    queries, keys, values = forms[:3]
    if node.get_attributes().get("causal"):
        return Refusal("causal attention", name)
    if not all(isinstance(form, Shared) for form in forms[3:]):
        return Refusal("an attention mask depends on the mask of the target", name)
    if not (isinstance(keys, Affine | Levels) and isinstance(values, Affine | Levels)):
        return Refusal("keys or values hold no places", name)
    key, value = expansion(keys, ctx), expansion(values, ctx)
    if key is None or value is None or not place_axes(keys.layout) == [depth - 2] == place_axes(values.layout):
        return Refusal("the tokens of keys or values cannot be followed", name)
    wanted = _wanted(node.output(0), depth - 2, ctx)
    if isinstance(wanted, Refusal):
        return wanted
    emit, axes = ctx.emit, Axes(depth - 2, depth - 1)
    found: dict[int, ov.Output] = {}
    for position in wanted:
        query = token_of(queries, node.input_value(0), depth - 2, position, ctx)
        if query is None:
            return Refusal("the queries cannot be followed", name)
        query = emit.multiply(query, _scale(node, forms, ctx))
        scores = _scores(query, key, axes, lambda a, b: emit.matmul(a, b, transpose_b=True), ctx)
        if len(forms) > 3 and isinstance(forms[3], Shared) and sizes(forms[3].values):
            scores = emit.add(scores, _mask_row(forms[3].values, position, ctx))
        weights = emit.softmax(scores, depth - 1)
        found[position] = _summed(weights, value, axes, emit.matmul, ctx)
    return [Tokens(found, depth - 2)]


def _scale(node: ov.Node, forms: list[Form], ctx: Context) -> ov.Output:
    query = node.input_value(0)
    if len(forms) > 4 and isinstance(forms[4], Shared):
        return forms[4].values
    width = (sizes(query) or [])[-1] or 1
    return ctx.emit.like(1 / np.sqrt(width), query)


def _mask_row(mask: ov.Output, position: int, ctx: Context) -> ov.Output:
    """Return the row of an additive [.., M, T] or boolean attention mask that belongs to one query."""
    emit, extents = ctx.emit, sizes(mask) or []
    row = mask if len(extents) < 2 or extents[-2] == 1 else emit.slice(mask, position, position + 1, -2)
    if mask.get_element_type() != ov.Type.boolean:
        return row
    peer = ctx.target.output
    return emit.select(row, emit.like(0, peer), emit.like(LOWEST, peer))


def _wanted(output: ov.Output, axis: int, ctx: Context) -> list[int] | Refusal:
    """Return the queries whose results are read; a refusal when places are among them."""
    layout, wanted = ctx.layout(output), ctx.demand.of(output, axis)
    name = output.get_node().get_friendly_name()
    if wanted is None or len(wanted) > MAX_QUERIES:
        return Refusal("places attend to places", name)
    kept = set(kept_positions(layout[axis])) if has_places(layout[axis]) else set(wanted)
    return wanted if set(wanted) <= kept else Refusal("places attend to places", name)


def _scores(query: ov.Output, key: Expansion, axes: Axes, product: Product, ctx: Context) -> ov.Output:
    """Return s[p, q]."""
    emit, depth = ctx.emit, len(sizes(query) or [])
    parts = [
        emit.multiply(product(query, term), placed(weights, depth, axes.rows, axes.keys, ctx))
        for weights, term in key.terms
    ]
    if key.base is not None:
        parts.append(product(query, key.base))
    return reduce(emit.add, parts)


def _summed(weights: ov.Output, value: Expansion, axes: Axes, product: Product, ctx: Context) -> ov.Output:
    """Return Y[p]."""
    emit, depth = ctx.emit, len(sizes(weights) or [])
    parts = [
        product(emit.multiply(weights, placed(mask, depth, axes.rows, axes.keys, ctx)), term)
        for mask, term in value.terms
    ]
    if value.base is not None:
        parts.append(product(weights, value.base))
    return reduce(emit.add, parts)


# -- decomposed attention ------------------------------------------------------------------------------------------


def scores(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Apply a MatMul of queries and keys that contracts channels."""
    name = node.get_friendly_name()
    key_side = _key_side(node, forms, ctx)
    if key_side is None:
        return Refusal("two perturbed tensors are multiplied", name)
    keys = forms[key_side]
    assert isinstance(keys, Affine | Levels)
    found = expansion(keys, ctx)
    depth = rank(node.output(0)) or 0
    axes = Axes(depth - 2, depth - 1) if key_side == 1 else Axes(depth - 1, depth - 2)
    wanted = _wanted(node.output(0), axes.rows, ctx)
    if isinstance(wanted, Refusal):
        return wanted
    if found is None:
        return Refusal("the tokens of the keys cannot be followed", name)
    axis = _free_axis(node, 1 - key_side)

    def product(query: ov.Output, term: ov.Output) -> ov.Output:
        return ctx.emit.copy(node, [query, term] if key_side == 1 else [term, query])[0]

    rows_of: dict[int, ov.Output] = {}
    for position in wanted:
        query = token_of(forms[1 - key_side], node.input_value(1 - key_side), axis, position, ctx)
        if query is None:
            return Refusal("the queries cannot be followed", name)
        rows_of[position] = _scores(query, found, axes, product, ctx)
    return [Tokens(rows_of, axes.rows)]


def _free_axis(node: ov.Node, side: int) -> int:
    """Return the axis of an operand that a MatMul does not contract."""
    depth = rank(node.input_value(side)) or 0
    transposed = bool(node.get_attributes()["transpose_a" if side == 0 else "transpose_b"])
    return depth - (1 if transposed == (side == 0) else 2)


def _key_side(node: ov.Node, forms: list[Form], ctx: Context) -> int | None:
    """Return which operand holds the keys: the one whose counterpart is read in few positions only."""
    depth = rank(node.output(0)) or 0
    for side in (1, 0):
        form = forms[side]
        if not isinstance(form, Affine | Levels) or place_axes(form.layout) != [_free_axis(node, side)]:
            continue
        queries = ctx.demand.of(node.output(0), depth - 2 if side == 1 else depth - 1)
        if queries is not None and len(queries) <= MAX_QUERIES:
            return side
    return None


def materialised(node: ov.Node, form: PlaceForm, axis: int, ctx: Context) -> list[Form] | Refusal:
    """Apply a Softmax over the places: the masks take the axis of the queries, which have places no more."""
    name, depth = node.get_friendly_name(), len(form.layout)
    found = expansion(form, ctx)
    first = form.slope if isinstance(form, Affine) else form.by_level[0]
    extents = sizes(first) or []
    rows = next(
        (other for other in (depth - 2, depth - 1, *range(1, depth - 2)) if _can_hold(extents, other, axis)), None
    )
    if found is None or place_axes(form.layout) != [axis] or rows is None:
        return Refusal("a softmax over places", name)
    emit = ctx.emit
    values: dict[int, ov.Output] = {}
    for position in range(extents[rows] or 1):

        def at(tensor: ov.Output, position: int = position) -> ov.Output:
            return tensor if (sizes(tensor) or [])[rows] == 1 else emit.slice(tensor, position, position + 1, rows)

        parts = [emit.multiply(at(term), placed(weights, depth, rows, axis, ctx)) for weights, term in found.terms]
        if found.base is not None:
            parts.append(at(found.base))
        values[position] = emit.copy(node, [reduce(emit.add, parts)])[0]
    return [Tokens(values, rows)]


def _can_hold(extents: list[int | None], axis: int, keys: int) -> bool:
    extent = extents[axis]
    return axis not in (0, keys) and extent is not None and extent <= MAX_QUERIES


def weighted_sum(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Apply a MatMul of attention weights and values that contracts the places."""
    name = node.get_friendly_name()
    side = 0 if isinstance(forms[0], Tokens) else 1
    weights, values = forms[side], forms[1 - side]
    if not isinstance(weights, Tokens) or not isinstance(values, Affine | Levels):
        return Refusal("two perturbed tensors are multiplied", name)
    depth = rank(node.input_value(side)) or 0
    rows = _free_axis(node, side)
    keys = depth - 1 if rows == depth - 2 else depth - 2
    found = expansion(values, ctx)
    other = rank(node.input_value(1 - side)) or 0
    free = _free_axis(node, 1 - side)
    contracted = other - 1 if free == other - 2 else other - 2
    if found is None or weights.axis != rows or place_axes(values.layout) != [contracted]:
        return Refusal("the tokens of the values cannot be followed", name)

    def product(attended: ov.Output, term: ov.Output) -> ov.Output:
        return ctx.emit.copy(node, [attended, term] if side == 0 else [term, attended])[0]

    out = rank(node.output(0)) or 0
    axis = out - 2 if side == 0 else out - 1
    summed = {
        position: _summed(attended, found, Axes(rows, keys), product, ctx)
        for position, attended in weights.values.items()
    }
    return [Tokens(summed, axis)]


def product_of_two(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Apply a MatMul of two perturbed tensors: scores or weighted sum, by what it contracts."""
    for side in (0, 1):
        form = forms[side]
        if is_place_form(form):
            assert isinstance(form, Affine | Levels)
            if place_axes(form.layout) == [_free_axis(node, side)]:
                continue
            return weighted_sum(node, forms, ctx)
    return scores(node, forms, ctx)
