"""Layers that mix channels by shared weights: MatMul, 1x1 Convolution; and flatten + dense, a collapse.

Affine:            W (G slope + offset) = G (W slope) + W offset
Levels:            W U_l for every level
flatten + dense:   Y[p] = sum_q G[p, q] (W_q slope[q]) + W offset                            W_q: columns of place q
Y[p] = sum_l sum_{q: G[p, q] = g_l} W_q (U_l - U_0)[q] + W U_0
Rows:              W values, W offset; with a subset of the classes only their rows of W
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod

import openvino as ov

from ov_xai.analysis.axes import PLACE_ROLES, Factor, Role, factors, has_places, is_spatial, place_axes
from ov_xai.graph.view import node_key, rank, sizes
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import Affine, Form, Levels, Order, PlaceForm, Refusal, Rows, Shared
from ov_xai.perturbation.place_forms import broadcast_like, copied_apart
from ov_xai.perturbation.rows import full_channels, reordered
from ov_xai.perturbation.rules.attention import product_of_two
from ov_xai.perturbation.weights import gather_rows

#: From so many elements on, a second copy of a hidden layer's weights matters: 16 MiB in FP32.
LARGE = 2**22


def matmul(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Apply a MatMul by shared weights."""
    name = node.get_friendly_name()
    side = 0 if not isinstance(forms[0], Shared) else 1
    form, weights = forms[side], forms[1 - side]
    if not isinstance(weights, Shared):
        return product_of_two(node, forms, ctx)
    flags = node.get_attributes()
    transposed = bool(flags["transpose_a" if side == 0 else "transpose_b"])
    depth = rank(node.input_value(side)) or 0
    contracted = depth - 1 if (side == 0) != transposed else depth - 2
    if isinstance(form, Rows):
        if side == 1 or rank(weights.values) != 2 or contracted != ctx.vector_axis(node.input_value(0)):
            return Refusal("a row is not multiplied by a weight matrix", name)
        return _dense_rows(node, form, weights.values, bool(flags["transpose_b"]), ctx)
    assert isinstance(form, Affine | Levels)
    if has_places(form.layout[contracted]):
        if side == 1 or rank(weights.values) != 2 or transposed:
            return Refusal("places are contracted by something else than a weight matrix", name)
        return _flatten_dense(node, form, weights.values, bool(flags["transpose_b"]), ctx)
    if not is_spatial(ctx.layout(node.output(0))):
        return Refusal("the places cannot be followed through this product", name)
    return _per_place(node, form, side, weights.values, ctx)


def convolution(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Apply a 1x1 convolution, or one whose kernel is the whole grid, depthwise too."""
    form, weights, name = forms[0], forms[1], node.get_friendly_name()
    if not isinstance(weights, Shared) or isinstance(form, Shared):
        return Refusal("the weights of a convolution depend on the mask", name)
    attributes = node.get_attributes()
    kernel = (sizes(weights.values) or [])[-2:]
    plain = not any(attributes["pads_begin"]) and not any(attributes["pads_end"])
    single = kernel == [1, 1] and plain and all(step == 1 for step in attributes["strides"])
    if isinstance(form, Rows):
        if not single or node.get_type_name() != "Convolution" or form.order is not Order.FIRST:
            return Refusal("a row is convolved by more than a 1x1 kernel", name)
        flat = ctx.emit.reshape(weights.values, *(_matrix_shape(weights.values)))
        return _dense_rows(node, form, flat, True, ctx, kernel=weights.values)
    assert isinstance(form, Affine | Levels)
    if single and place_axes(form.layout) == [2, 3]:
        return _per_place(node, form, 0, weights.values, ctx)
    grid = [ctx.target.grid.height, ctx.target.grid.width]
    if plain and kernel == grid and place_axes(form.layout) == [2, 3]:
        over_grid = _dense_over_grid if node.get_type_name() == "Convolution" else _depthwise_over_grid
        return over_grid(node, form, weights.values, ctx)
    return Refusal("a convolution mixes neighbouring places", name)


def _matrix_shape(weights: ov.Output) -> list[int]:
    shape = sizes(weights) or []
    return [shape[0] or 1, shape[1] or 1]


def _per_place(node: ov.Node, form: PlaceForm, side: int, weights: ov.Output, ctx: Context) -> list[Form]:
    layout = ctx.layout(node.output(0))

    def applied(values: ov.Output) -> ov.Output:
        return ctx.emit.copy(node, [values, weights] if side == 0 else [weights, values])[0]

    if isinstance(form, Affine):
        slope = copied_apart(node, form, [weights], ctx.emit) if side == 0 else applied(form.slope)
        return [Affine(slope, None if form.offset is None else applied(form.offset), layout)]
    return [Levels(tuple(applied(values) for values in form.by_level), applied(form.background), layout)]


# -- rows ----------------------------------------------------------------------------------------------------------


def _dense_rows(
    node: ov.Node,
    form: Rows,
    weights: ov.Output,
    by_row: bool,
    ctx: Context,
    *,
    kernel: ov.Output | None = None,
) -> list[Form]:
    """Multiply rows by a weight matrix: [K, C] with `by_row`, [C, K] without, the same as [K, C, 1, 1] in `kernel`."""
    emit = ctx.emit
    subset = ctx.subset
    if subset is not None and node_key(node) in subset.entries:
        return [_chosen_classes(form, weights, by_row, ctx)]
    total = (sizes(weights) or [])[0 if by_row else 1] or 1
    if kernel is None and by_row and _is_large_hidden(node, weights, ctx):
        form = reordered(form, Order.LAST, ctx)
    if form.order is Order.LAST:
        values = emit.matmul(form.values, weights, transpose_b=by_row)
        offset = None if form.offset is None else emit.matmul(form.offset, weights, transpose_b=by_row)
        return [Rows(values, Order.LAST, total, form.smooth, form.scale, offset)]
    if kernel is None:
        laid = weights if by_row else emit.transpose(weights, 1, 0)
        kernel = emit.reshape(laid, total, -1, 1, 1)
    values, offset = emit.convolution_1x1(form.values, kernel), None
    if form.offset is not None:
        # Of two convolutions the CPU plugin fuses the sum, which fails for a dynamic batch when places broadcast.
        vector = emit.squeeze(full_channels(form, ctx.emit), 2, 3)
        offset = emit.unsqueeze(emit.matmul(vector, weights, transpose_b=by_row), 2, 3)
    return [Rows(values, Order.FIRST, total, form.smooth, form.scale, offset)]


def _is_large_hidden(node: ov.Node, weights: ov.Output, ctx: Context) -> bool:
    """Return whether a layer is computed as the original one is, so that the CPU plugin packs its weights once.

    With the bias and the activation that follow, both become the same kind of layer. A last layer is quicker as a
    convolution, and mostly small.
    """
    return prod(extent or 1 for extent in sizes(weights) or []) >= LARGE and node_key(node) != ctx.last_layer


def _chosen_classes(form: Rows, weights: ov.Output, by_row: bool, ctx: Context) -> Rows:
    """Multiply rows by the weight rows of the chosen classes: [N, T, C] x [N, P, C] -> [N, T, h, w]."""
    emit, subset = ctx.emit, ctx.subset
    assert subset is not None
    chosen = gather_rows(emit, weights, subset.indices, 0 if by_row else 1)
    last = reordered(form, Order.LAST, ctx)
    places = emit.matmul(chosen, last.values, transpose_b=True)
    values = emit.reshape(places, 0, subset.count, ctx.masks.height, ctx.masks.width)
    offset = None
    if last.offset is not None:
        product = emit.matmul(chosen, full_channels(last, ctx.emit), transpose_b=True)
        offset = emit.unsqueeze(product, 3)
    return Rows(values, Order.FIRST, subset.count, form.smooth, form.scale, offset)


# -- flatten + dense -----------------------------------------------------------------------------------------------


def _flatten_dense(
    node: ov.Node, form: PlaceForm, weights: ov.Output, by_row: bool, ctx: Context
) -> list[Form] | Refusal:
    axis = factors(form.layout[-1])
    roles = [factor.role for factor in axis]
    channels_first = roles in ([Role.OTHER, Role.Y, Role.X], [Role.Y, Role.X])
    if not (channels_first or roles == [Role.Y, Role.X, Role.OTHER]):
        return Refusal("places and channels are flattened in an order that is not followed", node.get_friendly_name())
    places, channels = _extent(axis, *PLACE_ROLES), _extent(axis, Role.OTHER)
    if places is None or channels is None or len(form.layout) != 2:
        return Refusal("a dense layer over a grid of dynamic size", node.get_friendly_name())
    emit = ctx.emit
    total = (sizes(weights) or [])[0 if by_row else 1] or 1
    # W as (P, K, C), one matrix per place. As the left operand it is not packed, which would take its size again.
    inner = (channels, places) if channels_first else (places, channels)
    if by_row:
        per_place = emit.transpose(emit.reshape(weights, total, *inner), *((2, 0, 1) if channels_first else (1, 0, 2)))
    else:
        per_place = emit.transpose(emit.reshape(weights, *inner, total), *((1, 2, 0) if channels_first else (0, 2, 1)))

    def products(values: ov.Output) -> ov.Output:
        shaped = emit.reshape(values, -1, *inner)  # (N, C, P) or (N, P, C)
        return _place_products(
            per_place, emit.transpose(shaped, *((2, 1, 0) if channels_first else (1, 2, 0))), total, ctx
        )

    def dense(values: ov.Output, like: ov.Output) -> ov.Output:
        flat = emit.copy(node, [broadcast_like(values, like, ctx.emit), weights])[0]
        return emit.reshape(flat, -1, total, 1, 1)

    return _collapsed(form, products, dense, total, ctx)


def _extent(axis: list[Factor], *roles: Role) -> int | None:
    extent = 1
    for factor in axis:
        if factor.role in roles:
            if factor.size is None:
                return None
            extent *= factor.size
    return extent


def _dense_over_grid(node: ov.Node, form: PlaceForm, weights: ov.Output, ctx: Context) -> list[Form] | Refusal:
    """A convolution whose kernel is the whole grid is flatten + dense with W = (K, C, h, w)."""
    emit = ctx.emit
    total, channels, height, width = (extent or 1 for extent in sizes(weights) or [])
    places = height * width
    per_place = emit.transpose(emit.reshape(weights, total, channels, places), 2, 0, 1)

    def products(values: ov.Output) -> ov.Output:
        shaped = emit.reshape(values, 0, channels, places)
        return _place_products(per_place, emit.transpose(shaped, 2, 1, 0), total, ctx)

    return _collapsed(form, products, _whole_grid(node, weights, ctx), total, ctx)


def _depthwise_over_grid(node: ov.Node, form: PlaceForm, weights: ov.Output, ctx: Context) -> list[Form] | Refusal:
    """A depthwise convolution whose kernel is the whole grid is a sum over places with W = (C, 1, 1, h, w)."""
    emit, extents = ctx.emit, sizes(weights) or []
    if extents[1:3] != [1, 1]:
        return Refusal("a grouped convolution over the whole grid", node.get_friendly_name())
    channels = extents[0] or 1
    per_place = emit.reshape(weights, 1, channels, *(extent or 1 for extent in extents[3:]))

    whole = _whole_grid(node, weights, ctx)
    return _collapsed(form, lambda values: emit.multiply(values, per_place), whole, channels, ctx)


def _whole_grid(node: ov.Node, weights: ov.Output, ctx: Context) -> Callable[[ov.Output, ov.Output], ov.Output]:
    """Return W v of a tensor, broadcast to the shape of a second one."""
    return lambda values, like: ctx.emit.copy(node, [broadcast_like(values, like, ctx.emit), weights])[0]


def _place_products(per_place: ov.Output, values: ov.Output, total: int, ctx: Context) -> ov.Output:
    """Return W_q v_q for every place: (P, K, C) x (P, C, N) -> [N, K, h, w]."""
    emit = ctx.emit
    rows = emit.transpose(emit.matmul(per_place, values), 2, 1, 0)  # (N, K, P)
    return emit.reshape(rows, 0, total, ctx.masks.height, ctx.masks.width)


def _collapsed(
    form: PlaceForm,
    products: Callable[[ov.Output], ov.Output],
    dense: Callable[[ov.Output, ov.Output], ov.Output],
    total: int,
    ctx: Context,
) -> list[Form]:
    """Return the rows of flatten + dense.

    Args:
        form: the flattened tensor.
        products: W_q v_q for every place of a tensor, as [N, K, h, w].
        dense: W v of a tensor, broadcast to the shape of a second one, as [N, K, 1, 1].
        total: K.
        ctx: the context of the replay.
    """
    if isinstance(form, Affine):
        offset = None if form.offset is None else dense(form.offset, form.slope)
        return [Rows(products(form.slope), Order.FIRST, total, smooth=True, offset=offset)]
    parts = [
        ctx.masks.pick_first(level, products(ctx.emit.subtract(values, form.background)), total)
        for level, values in zip(ctx.masks.levels, form.by_level, strict=True)
    ]
    offset = dense(form.background, form.by_level[0])
    return [Rows(reduce(ctx.emit.add, parts), Order.FIRST, total, offset=offset)]
