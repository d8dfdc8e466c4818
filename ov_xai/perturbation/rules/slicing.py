"""Ops that take part of the channels or of the tokens: Split, VariadicSplit, Slice, StridedSlice, Gather.

Affine, Levels:  act on every tensor of the form, as long as no place is left out
                 kept tokens that are taken out of a sequence are as in the original model
Rows:            refused, which makes them an ordinary batch
"""

from __future__ import annotations

import numpy as np
import openvino as ov

from ov_xai.analysis.axes import place_axes
from ov_xai.analysis.demand import on_grid
from ov_xai.analysis.links import Positions, dropped_axes, taken_positions
from ov_xai.graph.view import constant_axes, constant_value, port, rank, sizes
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import Affine, Form, Levels, PlaceForm, Refusal, Shared, shared_values
from ov_xai.perturbation.place_forms import broadcast_like


def slicing(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Take part of the channels at every place."""
    form, name = forms[0], node.get_friendly_name()
    rest = shared_values(forms[1:])
    if not isinstance(form, Affine | Levels) or rest is None:
        return Refusal("a part of something that has no places", name)
    if len(place_axes(form.layout)) == 1 and on_grid(form.layout[place_axes(form.layout)[0]]) is not None:
        return _of_sequence(node, form, rest, ctx)
    if not _acts_beside(node, place_axes(form.layout)) or not all(
        _keeps_places(form, output, ctx) for output in node.outputs()
    ):
        return Refusal("some places are left out", name)
    return _applied(node, form, rest, ctx)


def _of_sequence(node: ov.Node, form: PlaceForm, rest: list[ov.Output], ctx: Context) -> list[Form] | Refusal:
    """Take part of a sequence of kept tokens and places: all places in their order, or none of them."""
    (axis,) = place_axes(form.layout)
    places, name = on_grid(form.layout[axis]), node.get_friendly_name()
    assert places is not None
    grid = np.flatnonzero(places)
    whole = _applied(node, form, rest, ctx)
    results: list[Form] = []
    for index, output in enumerate(node.outputs()):
        taken = taken_positions(node, index)
        if taken is None:
            return Refusal("what is taken is not constant", name)
        chosen = taken.get(axis, np.arange(len(places)))
        if not places[chosen].any():
            results.append(_kept_alone(node, output, chosen, axis, ctx))
        elif np.array_equal(chosen[places[chosen]], grid) and axis not in dropped_axes(node):
            results.append(whole[index])
        else:
            return Refusal("some places are left out", name)
    return results


def _kept_alone(node: ov.Node, output: ov.Output, chosen: Positions, axis: int, ctx: Context) -> Shared:
    """Return kept tokens taken out of a sequence, apart from the original model where that is possible."""
    known = ctx.kept_tokens.get(port(node.input_value(0)))
    before, after = sizes(node.input_value(0)) or [], sizes(output) or []
    dropped = dropped_axes(node)
    left = [extent if at != axis else len(chosen) for at, extent in enumerate(before) if at not in dropped]
    if known is None or known.axis != axis or left != after or dropped not in ([], [axis]):
        return Shared(output)
    parts = [known.values[int(position)] for position in chosen]
    joined = parts[0] if len(parts) == 1 else ctx.emit.concat(parts, axis)
    return Shared(ctx.emit.squeeze(joined, axis) if dropped else joined, apart=True)


def _applied(node: ov.Node, form: PlaceForm, rest: list[ov.Output], ctx: Context) -> list[Form]:
    def applied(values: ov.Output) -> list[ov.Output]:
        return ctx.emit.copy(node, [values, *rest])

    layouts = [ctx.layout(output) for output in node.outputs()]
    if isinstance(form, Affine):
        slopes = applied(form.slope)
        whole = None if form.offset is None else broadcast_like(form.offset, form.slope, ctx.emit)
        offsets = [None] * len(slopes) if whole is None else applied(whole)
        return [Affine(*parts) for parts in zip(slopes, offsets, layouts, strict=True)]
    by_level = list(zip(*(applied(values) for values in form.by_level), strict=True))
    background = applied(broadcast_like(form.background, form.by_level[0], ctx.emit))
    return [Levels(*parts) for parts in zip(by_level, background, layouts, strict=True)]


def _acts_beside(node: ov.Node, places: list[int]) -> bool:
    """Return whether the op leaves the place axes alone; a reversed or permuted axis keeps its extent."""
    kind, depth = node.get_type_name(), rank(node.input_value(0)) or 0
    if kind == "StridedSlice":
        strides = constant_value(node.input_value(3)) if node.get_input_size() > 3 else None
        return strides is None or all(int(step) > 0 for step in strides.reshape(-1))
    position = {"Split": 1, "VariadicSplit": 1, "Gather": 2, "Slice": 4}[kind]
    if node.get_input_size() <= position:
        return False
    axes = constant_axes(node, position, depth)
    return axes is not None and not set(axes) & set(places)


def _keeps_places(form: Affine | Levels, output: ov.Output, ctx: Context) -> bool:
    """Return whether places stand where they stood, all of them: the op may only shorten other axes."""
    before = form.slope if isinstance(form, Affine) else form.by_level[0]
    if rank(before) != rank(output):
        return False
    layout = ctx.layout(output)
    axes = place_axes(form.layout)
    return (
        axes == place_axes(layout)
        and all(layout[axis] == form.layout[axis] for axis in axes)
        and all((sizes(before) or [])[axis] == (sizes(output) or [])[axis] for axis in axes)
    )
