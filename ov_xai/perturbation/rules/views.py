"""Ops that only rearrange: Reshape, Transpose, Squeeze, Unsqueeze.

Affine, Levels:  act on every tensor of the form; where the places went is read from the layout of the result
Rows:            nothing to do while the original stays one vector per image
"""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.axes import is_spatial
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import Affine, Form, Levels, Refusal, Rows, shared_values
from ov_xai.perturbation.place_forms import broadcast_like, copied_apart


def view(node: ov.Node, forms: list[Form], ctx: Context) -> list[Form] | Refusal:
    """Rearrange the tensors of a form."""
    form, rest = forms[0], shared_values(forms[1:])
    if rest is None:
        return Refusal("the pattern of a view depends on the mask", node.get_friendly_name())
    if isinstance(form, Rows):
        return _on_rows(node, form, ctx)
    assert isinstance(form, Affine | Levels)
    layout = ctx.layout(node.output(0))
    if not is_spatial(layout):
        return Refusal("rows and columns cannot be followed through this view", node.get_friendly_name())

    def moved(values: ov.Output) -> ov.Output:
        return ctx.emit.copy(node, [values, *rest])[0]

    if isinstance(form, Affine):
        offset = None if form.offset is None else moved(broadcast_like(form.offset, form.slope, ctx.emit))
        return [Affine(copied_apart(node, form, rest, ctx.emit), offset, layout)]
    background = moved(broadcast_like(form.background, form.by_level[0], ctx.emit))
    return [Levels(tuple(moved(values) for values in form.by_level), background, layout)]


def _on_rows(node: ov.Node, form: Rows, ctx: Context) -> list[Form] | Refusal:
    before, after = ctx.vector_axis(node.input_value(0)), ctx.vector_axis(node.output(0))
    if before is None or after is None:
        return Refusal("the row is no longer one vector per image", node.get_friendly_name())
    return [form]
