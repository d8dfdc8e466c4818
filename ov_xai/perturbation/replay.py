"""Walk through the head once, carrying the perturbation in its forms."""

from __future__ import annotations

import openvino as ov

from ov_xai.graph.view import GraphView, is_weight, node_key, port
from ov_xai.perturbation.batch import on_batch
from ov_xai.perturbation.context import ClassSubset, Context
from ov_xai.perturbation.forms import Affine, Batch, Form, Refusal, Rows, Shared, is_place_form
from ov_xai.perturbation.rules import RULES


def head_nodes(view: GraphView, target: ov.Output, logits: ov.Output) -> list[ov.Node]:
    """Return the nodes between the target and the logits, in topological order."""
    node = target.get_node()
    keys = view.descendants([node]) & view.ancestors([logits.get_node()])
    return [found for found in view.ordered(keys) if node_key(found) != node_key(node)]


def replay(head: list[ov.Node], logits: ov.Output, ctx: Context) -> Rows | Refusal:
    """Return the rows of the logits under all masks, in closed form.

    Returns:
        Rows with one channel per class (per chosen class where the tail of the head could be restricted), or the
        refusal of the first op that has no rule.
    """
    forms: dict[tuple[int, int], Form] = {port(ctx.target.output): _masked_target(ctx)}
    for node in head:
        inputs = [forms.get(port(source)) or _shared(source, ctx) for source in node.input_values()]
        results = _step(node, inputs, ctx)
        if isinstance(results, Refusal):
            return results
        forms.update(zip((port(output) for output in node.outputs()), results, strict=True))
    return _as_rows(forms.get(port(logits), Shared(logits)), logits, ctx)


def _masked_target(ctx: Context) -> Affine:
    values = ctx.target.output
    if ctx.subset is not None and node_key(values.get_node()) in ctx.subset.entries:
        values = _chosen_channels(values, ctx.subset, ctx)
    return Affine(values, None, ctx.target.layout)


def _chosen_channels(values: ov.Output, subset: ClassSubset, ctx: Context) -> ov.Output:
    """Return the channels of the chosen classes of a target whose channels are classes, in the target's layout."""
    depth, channel = len(ctx.target.layout), ctx.target.channel_axes[0]
    if channel == 1:
        return ctx.emit.gather_per_image(values, subset.indices)
    order = [0, channel, *(axis for axis in range(1, depth) if axis != channel)]
    chosen = ctx.emit.gather_per_image(ctx.emit.transpose(values, *order), subset.indices)
    return ctx.emit.transpose(chosen, *(order.index(axis) for axis in range(depth)))


def _shared(source: ov.Output, ctx: Context) -> Shared:
    return Shared(ctx.emit.private(source) if is_weight(source) else source)


def _step(node: ov.Node, inputs: list[Form], ctx: Context) -> list[Form] | Refusal:
    kind = node.get_type_name()
    batched = any(isinstance(form, Batch) for form in inputs)
    if all(isinstance(form, Shared) for form in inputs) or (kind == "ShapeOf" and not batched):
        return [Shared(output) for output in node.outputs()]
    result: list[Form] | Refusal = Refusal(f"no closed form for {kind}", node.get_friendly_name())
    if not batched:
        rule = RULES.get(kind)
        result = result if rule is None else rule(node, inputs, ctx)
    if isinstance(result, Refusal) and not any(is_place_form(form) for form in inputs):
        return on_batch(node, inputs, ctx)
    return result


def _as_rows(form: Form, logits: ov.Output, ctx: Context) -> Rows | Refusal:
    name = logits.get_node().get_friendly_name()
    if isinstance(form, Rows):
        return form
    if isinstance(form, Batch):
        axis = ctx.vector_axis(logits)
        if axis is None:
            return Refusal("the scores are not one vector per image", name)
        channels = int(logits.get_partial_shape()[axis].get_length())
        return ctx.from_batch(form, channels)
    return Refusal("the scores do not depend on the target" if isinstance(form, Shared) else "places are left", name)
