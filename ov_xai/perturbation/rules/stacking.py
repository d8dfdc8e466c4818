"""Scores of several heads, stacked along a new axis and averaged over it.

Stack:  Concat of rows along an axis on which each has extent one
Rows:   the mean or sum over that axis is the mean or sum of the parts
"""

from __future__ import annotations

from functools import reduce

import openvino as ov

from ov_xai.graph.view import constant_axes, rank, sizes
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import Form, Refusal, Rows, Shared, Stack
from ov_xai.perturbation.rows import lift, reordered, settle


def stacks(node: ov.Node, forms: list[Form], ctx: Context) -> bool:
    """Return whether a Concat stacks rows."""
    axis = int(node.get_attributes()["axis"]) % (rank(node.output(0)) or 1)
    single = all((sizes(source) or [])[axis] == 1 for source in node.input_values())
    vectors = all(ctx.vector_axis(source) not in (None, axis) for source in node.input_values())
    return single and vectors and all(isinstance(form, Rows | Shared) for form in forms)


def stacked(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Collect rows that are stacked."""
    axis = int(node.get_attributes()["axis"]) % (rank(node.output(0)) or 1)
    order = next(form.order for form in forms if isinstance(form, Rows))
    parts: list[ov.Output] = []
    channels = 1
    for form, source in zip(forms, node.input_values(), strict=True):
        if isinstance(form, Rows):
            rows = reordered(settle(form, ctx), order, ctx)
            channels = rows.channels
            parts.append(rows.values)
            continue
        assert isinstance(form, Shared)
        lifted = lift(form.values, source, order, restricted=False, ctx=ctx)
        if lifted is None:
            return Refusal("an operand is not one vector per image", node.get_friendly_name())
        parts.append(lifted)
    return [Stack(tuple(parts), order, channels, axis)]


def on_stack(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Apply the mean or sum over the stacked axis."""
    form, kind = forms[0], node.get_type_name()
    depth = rank(node.input_value(0)) or 0
    linear = kind in ("ReduceMean", "ReduceSum")
    if not isinstance(form, Stack) or not linear or constant_axes(node, 1, depth) != [form.axis]:
        return Refusal("stacked rows are used otherwise than in a mean", node.get_friendly_name())
    total = reduce(ctx.emit.add, form.parts)
    if kind == "ReduceMean":
        total = ctx.emit.multiply(total, ctx.emit.like(1 / len(form.parts), total))
    return [Rows(total, form.order, form.channels)]
