"""The collapse by pooling over all places.

    mean  Affine:  Y[p] = 1/P sum_q G[p, q] slope[q] + mean(offset)
          Levels:  Y[p] = 1/P sum_l sum_{q: G[p, q] = g_l} (U_l - U_0)[q] + mean(U_0)
    max   Levels:  Y[p] = max(U_0, max_l max_{q: G[p, q] = g_l} U_l[q])     U_0 the same at every place
    min   Y[p] = -max(-X[p])
    L1    Y[p] = sum |X[p]|

For `pixel` the inner sums have one term and cost nothing. Rows may be pooled before columns, or the other way round:
the pooling of the first axis is put off until the second follows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import openvino as ov

from ov_xai.analysis.axes import Layout, Role, batch_axis, factors, is_separable, place_axes
from ov_xai.graph.emit import LOWEST
from ov_xai.graph.kinds import REDUCTIONS
from ov_xai.graph.view import constant_axes, rank, sizes
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import Affine, Form, HalfPooled, Levels, Order, PlaceForm, Refusal, Rows
from ov_xai.perturbation.place_forms import broadcast_like, kept_indicator, to_levels
from ov_xai.perturbation.rows import reordered, reordered_offset
from ov_xai.perturbation.tokens import expansion
from ov_xai.request import Mask

#: Where a slice ends that starts at 1 + shift of an axis padded by one on both sides and keeps its unpadded extent.
_END = {-1: -2, 0: -1, 1: 2**31 - 1}


def pooling(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Apply AvgPool, MaxPool or their adaptive kin: the whole grid at once, or an identity."""
    form, name = forms[0], node.get_friendly_name()
    if not isinstance(form, Affine | Levels):
        return Refusal("a pooling window over something that has no places", name)
    before, after = sizes(node.input_value(0)), sizes(node.output(0))
    if before == after and node.get_type_name().startswith("Adaptive") and None not in (before or [None]):
        return [_relabelled(form, ctx.layout(node.output(0)))]
    if after is None or before is None or any(after[axis] != 1 for axis in place_axes(form.layout)):
        return Refusal("a pooling window mixes neighbouring places", name)
    if node.get_type_name() in ("AvgPool", "MaxPool") and not _covers(node, before):
        return Refusal("a pooling window covers the grid only in part or with padding", name)
    if node.get_type_name().endswith("AvgPool"):
        return mean(form, ctx, name)
    return maximum(form, ctx, name) if node.get_output_size() == 1 else _first_of_two(node, form, ctx)


def _first_of_two(node: ov.Node, form: PlaceForm, ctx: Context) -> list[Form] | Refusal:
    """MaxPool and AdaptiveMaxPool also return indices, which no classifier's head reads."""
    if len(node.output(1).get_target_inputs()) > 0:
        return Refusal("the indices of a max pooling are used", node.get_friendly_name())
    pooled = maximum(form, ctx, node.get_friendly_name())
    return pooled if isinstance(pooled, Refusal) else [pooled[0], pooled[0]]


def _relabelled(form: PlaceForm, layout: Layout) -> PlaceForm:
    if isinstance(form, Affine):
        return Affine(form.slope, form.offset, layout)
    return Levels(form.by_level, form.background, layout)


def _covers(node: ov.Node, before: list[int | None]) -> bool:
    attributes = node.get_attributes()
    unpadded = not any(attributes["pads_begin"]) and not any(attributes["pads_end"])
    dilated = any(step != 1 for step in attributes.get("dilations", []))
    return unpadded and not dilated and list(attributes["kernel"]) == before[2:]


def mean(form: PlaceForm, ctx: Context, name: str, total: bool = False) -> list[Form] | Refusal:
    """Return the rows of a mean (or, with `total`, a sum) over all places."""
    kept = kept_indicator(form.layout, form.slope if isinstance(form, Affine) else form.background, ctx.emit)
    if kept is not None:
        return _mean_with_kept(form, kept, ctx, name, total)
    order = _row_order(form.layout)
    if order is None:
        return Refusal("the pooled tensor has no plain grid", name)
    emit = ctx.emit
    scale = () if total else ctx.share_of_place()
    constant = form.offset if isinstance(form, Affine) else form.background
    offset = None if constant is None else _over_places(constant, form, ctx, order, total)
    if isinstance(form, Affine):
        values, channels = as_rows(form.slope, form.layout, ctx, order)
        return [Rows(values, order, channels, smooth=True, scale=scale, offset=offset)]
    parts = []
    for level, values in zip(ctx.masks.levels, form.by_level, strict=True):
        difference = emit.subtract(values, form.background)
        laid, channels = as_rows(difference, form.layout, ctx, order)
        pick = ctx.masks.pick_first(level, laid, channels) if order is Order.FIRST else ctx.masks.pick_last(level, laid)
        parts.append(pick)
    return [Rows(reduce(emit.add, parts), order, channels, scale=scale, offset=offset)]


def _mean_with_kept(form: PlaceForm, kept: ov.Output, ctx: Context, name: str, total: bool) -> list[Form] | Refusal:
    """Return the rows of a mean over places and kept tokens: the latter are part of what all masks share."""
    found, (axis,) = expansion(form, ctx), place_axes(form.layout)
    if found is None or batch_axis(form.layout) not in (0, None):
        return Refusal("the pooled tensor has no plain grid", name)
    emit, tokens = ctx.emit, (sizes(kept) or [])[axis] or 1
    share = emit.like(1 if total else 1 / tokens, kept)
    sums = []
    for weights, term in found.terms:
        laid, channels = as_rows(term, form.layout, ctx, Order.LAST)
        sums.append(emit.matmul(emit.multiply(weights, share), laid))
    values = reduce(emit.add, sums)
    if found.base is None:
        return [Rows(values, Order.LAST, channels)]
    pool = emit.reduce_sum if total else emit.reduce_mean
    laid, _ = as_rows(pool(found.base, axis, keep=True), form.layout, ctx, Order.LAST, places_gone=True)
    return [Rows(values, Order.LAST, channels, offset=laid)]


def _over_places(constant: ov.Output, form: PlaceForm, ctx: Context, order: Order, total: bool) -> ov.Output:
    """Return the pooled offset, shaped as an offset of rows."""
    emit = ctx.emit
    like = form.slope if isinstance(form, Affine) else form.by_level[0]
    axes = place_axes(form.layout)
    if total:
        pooled = emit.reduce_sum(broadcast_like(constant, like, ctx.emit), *axes, keep=True)
    else:
        pooled = emit.reduce_mean(constant, *axes, keep=True)
    return as_rows(pooled, form.layout, ctx, order, places_gone=True)[0]


def maximum(form: PlaceForm, ctx: Context, name: str) -> list[Form] | Refusal:
    """Return the rows of a maximum over all places."""
    levels, emit = to_levels(form, ctx), ctx.emit
    order = _row_order(form.layout)
    background = sizes(levels.background) or []
    if order is None or any(background[axis] != 1 for axis in place_axes(form.layout)):
        return Refusal("a maximum over a background that depends on the place", name)
    height, width = ctx.target.grid.height, ctx.target.grid.width
    span = 1 if ctx.masks.mask is Mask.PIXEL else 3
    if height is None or width is None or (height <= span and width <= span):
        return Refusal("a maximum over a grid that a mask may fill", name)
    if span == 1:
        highest = emit.maximum(levels.by_level[0], levels.background)
        values, channels = as_rows(highest, form.layout, ctx, order)
        return [Rows(values, order, channels)]
    parts: list[ov.Output] = []
    channels = 1
    for level, values in zip(ctx.masks.levels, levels.by_level, strict=True):
        laid, channels = as_rows(values, form.layout, ctx, order)
        pictures = reordered(Rows(laid, order, channels), Order.FIRST, ctx).values
        parts.extend(shifted(pictures, dy, dx, ctx) for dy, dx in ctx.masks.offsets(level))
    behind, _ = as_rows(levels.background, form.layout, ctx, order, places_gone=True)
    parts.append(reordered_offset(behind, order, Order.FIRST, ctx.emit))
    return [Rows(reduce(emit.maximum, parts), Order.FIRST, channels)]


def minimum(form: PlaceForm, ctx: Context, name: str) -> list[Form] | Refusal:
    """Return the rows of a minimum over all places."""
    emit, levels = ctx.emit, to_levels(form, ctx)
    highest = maximum(_mapped(levels, lambda values: emit.multiply(values, emit.like(-1, values))), ctx, name)
    if isinstance(highest, Refusal):
        return highest
    (rows,) = highest
    assert isinstance(rows, Rows)
    return [Rows(emit.multiply(rows.values, emit.like(-1, rows.values)), rows.order, rows.channels)]


def _mapped(levels: Levels, function: Callable[[ov.Output], ov.Output]) -> Levels:
    return Levels(tuple(map(function, levels.by_level)), function(levels.background), levels.layout)


def reduced(form: PlaceForm, kind: str, ctx: Context, name: str) -> list[Form] | Refusal:
    """Return the rows of a Reduce op over all places."""
    if kind in ("ReduceMean", "ReduceSum"):
        return mean(form, ctx, name, total=kind == "ReduceSum")
    if kind == "ReduceL1":
        return mean(_mapped(to_levels(form, ctx), ctx.emit.absolute), ctx, name, total=True)
    if kind == "ReduceMax":
        return maximum(form, ctx, name)
    return minimum(form, ctx, name) if kind == "ReduceMin" else Refusal(f"{kind} over places", name)


def second_half(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Finish a pooling that goes over one axis of places after the other."""
    form, name, source = forms[0], node.get_friendly_name(), node.input_value(0)
    axes = constant_axes(node, 1, rank(source) or 0) if node.get_type_name() in REDUCTIONS else None
    alike = isinstance(form, HalfPooled) and node.get_type_name() == form.kind
    if not alike or axes is None or set(axes) != set(place_axes(ctx.layout(source))):
        return Refusal("places are reduced in part", name)
    assert isinstance(form, HalfPooled)
    return reduced(form.whole, form.kind, ctx, name)


def shifted(values: ov.Output, dy: int, dx: int, ctx: Context) -> ov.Output:
    """Return s[y, x] = values[y + dy, x + dx] for values [N, C, h, w], with a very low number outside."""
    if dy == 0 and dx == 0:
        return values
    padded = ctx.emit.pad(values, (0, 0, 1, 1), (0, 0, 1, 1), LOWEST)
    rows = ctx.emit.slice(padded, 1 + dy, _END[dy], 2)
    return ctx.emit.slice(rows, 1 + dx, _END[dx], 3)


def _row_order(layout: Layout) -> Order | None:
    """Return the physical order rows of this layout keep; None when there is more than a grid and channels."""
    if not is_separable(layout) or any(len(axis) > 1 for axis in layout):
        return None
    batch = batch_axis(layout)
    if batch not in (0, None):
        return None
    first = [{factor.role for factor in factors(axis)} for axis in layout[1:]] == [{Role.OTHER}, {Role.Y}, {Role.X}]
    return Order.FIRST if first else Order.LAST


def as_rows(
    values: ov.Output, layout: Layout, ctx: Context, order: Order, places_gone: bool = False
) -> tuple[ov.Output, int]:
    """Return a feature map as rows in `order`, and the number of channels.

    With `places_gone` the places have extent one.
    """
    extents = sizes(values) or []
    places = place_axes(layout)
    others = [axis for axis in range(1, len(extents)) if axis not in places]
    channels = 1
    for axis in others:
        channels *= extents[axis] or 1
    if order is Order.FIRST:
        return values, channels
    emit = ctx.emit
    wanted = [0, *places, *others]
    moved = values if wanted == list(range(len(extents))) else emit.transpose(values, *wanted)
    return emit.reshape(moved, 0, 1 if places_gone else -1, channels), channels
