"""Ops that take part of the channels: Split, VariadicSplit, Slice, StridedSlice, Gather.

Affine, Levels:  act on every tensor of the form, as long as no place is left out
Rows:            refused, which makes them an ordinary batch
"""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.axes import place_axes
from ov_xai.graph.view import constant_value, rank, sizes
from ov_xai.perturbation.context import Context, constant_axes, shared_values
from ov_xai.perturbation.forms import Affine, Form, Levels, Refusal


def slicing(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Take part of the channels at every place."""
    form, name = forms[0], node.get_friendly_name()
    rest = shared_values(forms[1:])
    if not isinstance(form, Affine | Levels) or rest is None:
        return Refusal("a part of something that has no places", name)
    if not _acts_beside(node, place_axes(form.layout)) or not all(
        _keeps_places(form, output, ctx) for output in node.outputs()
    ):
        return Refusal("some places are left out", name)

    def applied(values: ov.Output) -> list[ov.Output]:
        return ctx.emit.copy(node, [values, *rest])

    layouts = [ctx.layout(output) for output in node.outputs()]
    if isinstance(form, Affine):
        slopes = applied(form.slope)
        offsets = [None] * len(slopes) if form.offset is None else applied(form.offset)
        return [Affine(*parts) for parts in zip(slopes, offsets, layouts, strict=True)]
    by_level = list(zip(*(applied(values) for values in form.by_level), strict=True))
    return [Levels(*parts) for parts in zip(by_level, applied(form.background), layouts, strict=True)]


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
