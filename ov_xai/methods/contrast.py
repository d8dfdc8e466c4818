"""Contrast: how much one place speaks for a class, and not for its rivals.

    D_k(p) = L_k(M_p * F) - L_k(0 * F)
    S_k(p) = max(0, D_k(p) - sum over j of pi_j D_j(p))

    L    logits of the head
    F    the target; its kept tokens stay in 0 * F
    M_p  the mask of Recipro-CAM
    pi   softmax(L(F)), the prediction for the whole image

What is clipped is the first-order change of the logarithm of the class's probability. Where classes do not exclude each
other (sigmoid) they have no rivals, and the sum is left out.
"""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.scores import Activation
from ov_xai.graph.view import Port, is_weight, port
from ov_xai.methods.maps import RawMaps
from ov_xai.methods.recipro_cam import as_maps, perturbed_rows
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.place_forms import kept_indicator
from ov_xai.perturbation.rows import settle


def contrast(
    head: list[ov.Node],
    logits: ov.Output,
    probabilities: ov.Output | None,
    classes: int,
    ctx: Context,
    *,
    activation: Activation,
) -> RawMaps:
    """Return one raw map per class (per chosen class with a subset): [N, K, h, w], nowhere negative.

    Args:
        head: nodes from the target to the logits.
        logits: the scores before any final activation.
        probabilities: the scores behind it, where the model has them.
        classes: K.
        ctx: the context of the replay; no node is restricted to a subset of classes.
        activation: SOFTMAX where classes exclude each other.

    Raises:
        UnsupportedModelError: neither a closed form nor the literal mosaic can be built.
    """
    emit = ctx.emit
    rows, strategy, reason = perturbed_rows(head, logits, classes, ctx)
    with emit.scope("blank"):
        blank = emit.reshape(_blank_logits(head, logits, ctx), -1, classes, 1, 1)
    moved = emit.subtract(as_maps(settle(rows, ctx), ctx), blank)
    if activation is Activation.SOFTMAX:
        prediction = emit.softmax(emit.reshape(logits, -1, classes), 1) if probabilities is None else probabilities
        moved = emit.subtract(moved, _expected(moved, emit.reshape(prediction, -1, 1, classes), ctx))
    values = emit.relu(moved)
    if ctx.subset is not None:
        values = emit.gather_per_image(values, ctx.subset.indices)
    return RawMaps(values, strategy, reason)


def _expected(moved: ov.Output, prediction: ov.Output, ctx: Context) -> ov.Output:
    """Return the mean over classes [N, 1, h, w] of [N, K, h, w], weighted by a prediction [N, 1, K]."""
    mean = ctx.emit.matmul(prediction, ctx.emit.reshape(moved, 0, 0, -1))  # (N, 1, h w)
    return ctx.emit.reshape(mean, 0, 0, ctx.masks.height, ctx.masks.width)


def _blank_logits(head: list[ov.Node], logits: ov.Output, ctx: Context) -> ov.Output:
    """Return the logits of a target without places: an ordinary run of the head."""
    made: dict[Port, ov.Output] = {port(ctx.target.output): _blank_target(ctx)}
    for node in head:
        inputs = [
            made.get(port(source)) or (ctx.weights(source) if is_weight(source) else source)
            for source in node.input_values()
        ]
        copies = inputs[:1] if ctx.passes(node) else ctx.emit.copy(node, inputs)
        made.update(zip((port(output) for output in node.outputs()), copies, strict=True))
    return made[port(logits)]


def _blank_target(ctx: Context) -> ov.Output:
    """Return the target with zeros at all places."""
    emit, target = ctx.emit, ctx.target.output
    kept = kept_indicator(ctx.target.layout, target, emit)
    if kept is not None:
        return emit.multiply(target, kept)
    # Of a known shape it is a constant, and so are the logits of most heads.
    return emit.broadcast(emit.like(0, target), emit.extents(target, *range(len(ctx.target.layout))))
