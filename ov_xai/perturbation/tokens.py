"""Tokens under masks: what attention sums over, and single tokens taken out of a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import openvino as ov

from ov_xai.analysis.axes import Axis, Role, batch_axis, factors, has_places, place_axes
from ov_xai.graph.view import port, sizes
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import KEPT_WEIGHT, Affine, Form, Levels, Order, PlaceForm, Refusal, Rows, Shared, Tokens


@dataclass(frozen=True)
class Expansion:
    """X[p, q] = base[q] + sum_m weights_m[p, q] terms_m[q]: any form with places, split into what depends on p and q.

    Attributes:
        base: tensor with all tokens of the original's; None for zero.
        terms: (weights [P, T], tensor of the original's shape) pairs.
    """

    base: ov.Output | None
    terms: tuple[tuple[ov.Output, ov.Output], ...]


def expansion(form: PlaceForm, ctx: Context) -> Expansion | None:
    """Return a form as an expansion; None when its places are not along one axis."""
    axes = place_axes(form.layout)
    if len(axes) != 1:
        return None
    axis = form.layout[axes[0]]
    if not _holds_grid(axis):
        return None
    if isinstance(form, Affine):
        return Expansion(
            _whole(form.offset, form.slope, axes[0], ctx),
            ((_beside(ctx.masks.matrix(), axis, KEPT_WEIGHT, ctx), form.slope),),
        )
    terms = [
        (_beside(ctx.masks.chosen(level), axis, 0, ctx), ctx.emit.subtract(values, form.background))
        for level, values in zip(ctx.masks.levels, form.by_level, strict=True)
    ]
    return Expansion(_whole(form.background, form.by_level[0], axes[0], ctx), tuple(terms))


def _whole(values: ov.Output | None, like: ov.Output, axis: int, ctx: Context) -> ov.Output | None:
    """Return a tensor with all its axes spelt out and one entry for each token."""
    padded = _padded(values, len(sizes(like) or []), ctx)
    tokens = (sizes(like) or [])[axis]
    if padded is None or tokens is None or (sizes(padded) or [])[axis] == tokens:
        return padded
    shape = [1] * len(sizes(like) or [])
    shape[axis] = tokens
    return ctx.emit.broadcast(padded, ctx.emit.ints(*shape))


def _padded(values: ov.Output | None, depth: int, ctx: Context) -> ov.Output | None:
    """Return a tensor that broadcasts from the right with all its axes spelt out."""
    missing = 0 if values is None else depth - len(sizes(values) or [])
    return values if values is None or not missing else ctx.emit.unsqueeze(values, *range(missing))


def _holds_grid(axis: Axis) -> bool:
    roles = [[factor.role for factor in segment] for segment in axis if has_places((segment,))]
    return roles == [[Role.Y, Role.X]]


def _beside(matrix: ov.Output, axis: Axis, kept: float, ctx: Context) -> ov.Output:
    """Return [P, P] widened by columns of one value for the kept tokens: [P, T]."""
    emit, parts = ctx.emit, []
    for segment in axis:
        if has_places((segment,)):
            parts.append(matrix)
            continue
        count = prod(factor.size or 1 for factor in segment)
        places = emit.multiply(ctx.masks.height, ctx.masks.width)
        parts.append(emit.broadcast(emit.like(kept, matrix), emit.concat([places, emit.ints(count)], 0)))
    return parts[0] if len(parts) == 1 else emit.concat(parts, 1)


def placed(weights: ov.Output, depth: int, rows: int, keys: int, ctx: Context) -> ov.Output:
    """Return [P, T] with P on axis `rows` and T on axis `keys` of a tensor of `depth` axes."""
    laid = weights if rows < keys else ctx.emit.transpose(weights, 1, 0)
    others = [axis for axis in range(depth) if axis not in (rows, keys)]
    return ctx.emit.unsqueeze(laid, *others) if others else laid


def token_of(form: Form, source: ov.Output, axis: int, position: int, ctx: Context) -> ov.Output | None:
    """Return one token of a sequence, with an axis of extent one (or of the P masks) in its place.

    Args:
        form: the sequence.
        source: the tensor of the original model.
        axis: its axis of tokens.
        position: which token.
        ctx: the context of the replay.

    Returns:
        None when a place is asked for, or a token that is not held.
    """
    if isinstance(form, Affine | Levels) and port(source) in ctx.kept_tokens:
        form = ctx.kept_tokens[port(source)]
    if isinstance(form, Tokens):
        return form.values.get(position) if form.axis == axis else None
    if not isinstance(form, Shared):
        return None
    extent = (sizes(form.values) or [])[axis]
    return form.values if extent == 1 else ctx.emit.slice(form.values, position, position + 1, axis)


def spread(value: ov.Output, axis: int, ctx: Context) -> ov.Output:
    """Return a token [.., 1, ..] repeated for every mask: [.., P, ..]."""
    if (sizes(value) or [])[axis] != 1:
        return value
    depth = len(sizes(value) or [])
    shape: list[ov.Output] = [ctx.emit.ints(1)] * depth
    shape[axis] = ctx.emit.multiply(ctx.masks.height, ctx.masks.width)
    return ctx.emit.broadcast(value, ctx.emit.concat(shape, 0))


def as_rows(value: ov.Output, axis: int, source: ov.Output, ctx: Context) -> Rows | Refusal:
    """Return one token [.., P, ..] as rows [N, P, C].

    Args:
        value: the token under all masks.
        axis: where the masks are.
        source: tensor of the original model whose axes, that of the tokens included, `value` has.
        ctx: the context of the replay.
    """
    extents, batch = sizes(value) or [], batch_axis(ctx.layout(source))
    if batch == axis or (batch is not None and len(factors(ctx.layout(source)[batch])) > 1):
        return Refusal("the batch is joined with another axis", source.get_node().get_friendly_name())
    others = [index for index in range(len(extents)) if index not in (axis, batch)]
    channels = [extents[index] for index in others]
    if None in channels:
        return Refusal("a token of dynamic size", source.get_node().get_friendly_name())
    emit, total = ctx.emit, prod(extent or 1 for extent in channels)
    order = ([] if batch is None else [batch]) + [axis, *others]
    moved = value if order == sorted(order) else emit.transpose(value, *order)
    moved = emit.unsqueeze(moved, 0) if batch is None else moved
    return Rows(emit.reshape(moved, 0, 0, total), Order.LAST, total)
