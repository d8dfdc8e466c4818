"""Walk through the head once, carrying the perturbation in its forms."""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.axes import place_axes
from ov_xai.analysis.demand import kept_positions
from ov_xai.graph.kinds import LEARNED_OPS
from ov_xai.graph.view import GraphView, Port, is_weight, node_key, port, sizes
from ov_xai.perturbation.batch import from_batch, on_batch
from ov_xai.perturbation.context import ClassSubset, Context
from ov_xai.perturbation.forms import (
    Affine,
    Batch,
    Form,
    HalfPooled,
    Refusal,
    Rows,
    Shared,
    Stack,
    Tokens,
    is_place_form,
)
from ov_xai.perturbation.place_forms import kept_weights
from ov_xai.perturbation.rules import RULES
from ov_xai.perturbation.rules.pooling import second_half
from ov_xai.perturbation.rules.sequence import on_tokens
from ov_xai.perturbation.rules.stacking import on_stack
from ov_xai.perturbation.tokens import as_rows


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
    layers = [node_key(node) for node in head if node.get_type_name() in LEARNED_OPS]
    ctx.last_layer = layers[-1] if layers else None
    forms: dict[Port, Form] = {port(ctx.target.output): _masked_target(ctx)}
    for node in head:
        inputs = [forms.get(port(source)) or _shared(source, ctx) for source in node.input_values()]
        if ctx.passes(node):
            _pass(node, inputs[0], forms, ctx)
            continue
        results = _step(node, inputs, ctx)
        if isinstance(results, Refusal):
            return results
        if ctx.kept_tokens:
            _follow_kept(node, inputs, results, ctx)
        forms.update(zip((port(output) for output in node.outputs()), results, strict=True))
    return _as_rows(forms.get(port(logits), Shared(logits)), logits, ctx)


def _masked_target(ctx: Context) -> Affine:
    values = ctx.tapped()
    if ctx.subset is not None and node_key(ctx.target.output.get_node()) in ctx.subset.entries:
        values = _chosen_channels(values, ctx.subset, ctx)
    weights = kept_weights(ctx.target.layout, values, ctx.emit)
    if weights is None:
        return Affine(values, None, ctx.target.layout)
    (axis,) = place_axes(ctx.target.layout)
    kept = kept_positions(ctx.target.layout[axis])
    tokens = {position: ctx.emit.times_one(ctx.emit.slice(values, position, position + 1, axis)) for position in kept}
    ctx.kept_tokens[port(ctx.target.output)] = Tokens(tokens, axis)
    return Affine(ctx.emit.multiply(values, weights), None, ctx.target.layout)


def _pass(node: ov.Node, form: Form, forms: dict[Port, Form], ctx: Context) -> None:
    before, after = port(node.input_value(0)), port(node.output(0))
    forms[after] = form
    if before in ctx.kept_tokens:
        ctx.kept_tokens[after] = ctx.kept_tokens[before]


def _follow_kept(node: ov.Node, inputs: list[Form], results: list[Form], ctx: Context) -> None:
    """Let the kept tokens of a tensor go the way of its places; where they cannot, none are known."""
    if not any(is_place_form(result) for result in results):
        return
    known = [
        ctx.kept_tokens.get(port(source), form) if is_place_form(form) else form
        for form, source in zip(inputs, node.input_values(), strict=True)
    ]
    if node.get_type_name() == "Concat":
        known = [_as_tokens(node, form, ctx) for form in known]
    if not any(isinstance(form, Tokens) for form in known):
        return
    followed = on_tokens(node, known, ctx)
    if isinstance(followed, Refusal):
        return
    for output, tokens in zip(node.outputs(), followed, strict=True):
        if isinstance(tokens, Tokens):
            ctx.kept_tokens[port(output)] = tokens


def _chosen_channels(values: ov.Output, subset: ClassSubset, ctx: Context) -> ov.Output:
    """Return the channels of the chosen classes of a target whose channels are classes, in the target's layout."""
    depth, channel = len(ctx.target.layout), ctx.target.channel_axes[0]
    if channel == 1:
        return ctx.emit.gather_per_image(values, subset.indices)
    order = [0, channel, *(axis for axis in range(1, depth) if axis != channel)]
    chosen = ctx.emit.gather_per_image(ctx.emit.transpose(values, *order), subset.indices)
    return ctx.emit.transpose(chosen, *(order.index(axis) for axis in range(depth)))


def _shared(source: ov.Output, ctx: Context) -> Shared:
    return Shared(ctx.weights(source) if is_weight(source) else source)


def _step(node: ov.Node, inputs: list[Form], ctx: Context) -> list[Form] | Refusal:
    kind = node.get_type_name()
    batched = any(isinstance(form, Batch) for form in inputs)
    shared = [form for form in inputs if isinstance(form, Shared)]
    if len(shared) == len(inputs) and any(form.apart for form in shared):
        return [Shared(output, apart=True) for output in ctx.emit.copy(node, [form.values for form in shared])]
    if len(shared) == len(inputs) or (kind == "ShapeOf" and not batched):
        return [Shared(output) for output in node.outputs()]
    if any(isinstance(form, Tokens) for form in inputs):
        if not ctx.restricted(node):
            return on_tokens(node, inputs, ctx)
        settled = [_token_rows(form, source, ctx) for form, source in zip(inputs, node.input_values(), strict=True)]
        refused = next((form for form in settled if isinstance(form, Refusal)), None)
        if refused is not None:
            return refused
        inputs = [form for form in settled if not isinstance(form, Refusal)]
    if any(isinstance(form, Stack) for form in inputs):
        return on_stack(node, inputs, ctx)
    if any(isinstance(form, HalfPooled) for form in inputs):
        return second_half(node, inputs, ctx)
    result: list[Form] | Refusal = Refusal(f"no closed form for {kind}", node.get_friendly_name())
    if not batched:
        rule = RULES.get(kind)
        result = result if rule is None else rule(node, inputs, ctx)
    if isinstance(result, Refusal) and not any(is_place_form(form) for form in inputs):
        return on_batch(node, inputs, ctx)
    return result


def _token_rows(form: Form, source: ov.Output, ctx: Context) -> Form | Refusal:
    """Return a single token as rows; anything else as it is."""
    if not isinstance(form, Tokens):
        return form
    if len(form.values) != 1 or ctx.vector_axis(source) is None:
        return Refusal("several tokens are left", source.get_node().get_friendly_name())
    (value,) = form.values.values()
    return as_rows(value, form.axis, source, ctx)


def _as_tokens(node: ov.Node, form: Form, ctx: Context) -> Form:
    """Return kept tokens that are joined with places one by one; anything else as it is."""
    axis = int(node.get_attributes()["axis"]) % len(ctx.layout(node.output(0)))
    if not kept_positions(ctx.layout(node.output(0))[axis]):
        return form
    if is_place_form(form):
        return Tokens({}, axis)
    if not isinstance(form, Shared):
        return form
    count = (sizes(form.values) or [])[axis] or 0
    parts = {position: ctx.emit.slice(form.values, position, position + 1, axis) for position in range(count)}
    return Tokens(parts, axis)


def _as_rows(form: Form, logits: ov.Output, ctx: Context) -> Rows | Refusal:
    name = logits.get_node().get_friendly_name()
    if isinstance(form, Rows):
        return form
    if isinstance(form, Tokens):
        rows = _token_rows(form, logits, ctx)
        assert isinstance(rows, Rows | Refusal)
        return rows
    if isinstance(form, Batch):
        return from_batch(form, logits, ctx)
    return Refusal("the scores do not depend on the target" if isinstance(form, Shared) else "places are left", name)
