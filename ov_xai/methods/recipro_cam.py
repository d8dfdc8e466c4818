"""Recipro-CAM: how much of each class's score one place of the target gives on its own.

    S_k(p) = score_k(head(M_p * F))

    F    the target, (C, h, w)
    M_p  the mask that keeps place p (`pixel`) or its 3x3 neighbourhood (`gaussian`)
    head the ops from the target to the scores

Byun and Lee, "Recipro-CAM: Fast gradient-free visual explanations for convolutional neural networks", arXiv
2209.14074; for transformers: "ViT-ReciproCAM", arXiv 2310.02588.
"""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.scores import Activation
from ov_xai.errors import UnsupportedModelError
from ov_xai.graph.emit import Emitter
from ov_xai.methods.maps import RawMaps, Strategy
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import Order, Refusal, Rows
from ov_xai.perturbation.mosaic import mosaic
from ov_xai.perturbation.replay import replay
from ov_xai.perturbation.rows import settle, smoothed


def recipro_cam(
    head: list[ov.Node],
    logits: ov.Output,
    classes: int,
    ctx: Context,
    *,
    activation: Activation,
    scale_free: bool,
) -> RawMaps:
    """Return one raw map per class (per chosen class with a subset): [N, K, h, w].

    Args:
        head: nodes from the target to the logits.
        logits: the scores before any final activation.
        classes: K.
        ctx: the context of the replay.
        activation: applied to the logits of every mask; NONE explains logits.
        scale_free: the maps will be scaled to their own range, so positive factors and constants per class are
            left out.

    Raises:
        UnsupportedModelError: neither a closed form nor the literal mosaic can be built.
    """
    rows, strategy, reason = perturbed_rows(head, logits, classes, ctx)
    if activation is not Activation.NONE:
        rows = _activated(settle(rows, ctx), activation, ctx.emit)
    elif scale_free:
        rows = Rows(smoothed(rows, ctx).values, rows.order, rows.channels)
    values = as_maps(settle(rows, ctx), ctx)
    if ctx.subset is not None and rows.channels != ctx.subset.count:
        values = ctx.emit.gather_per_image(values, ctx.subset.indices)
    return RawMaps(values, strategy, reason)


def perturbed_rows(
    head: list[ov.Node], logits: ov.Output, classes: int, ctx: Context
) -> tuple[Rows, Strategy, str | None]:
    """Return the logits of every masked copy, how they are evaluated, and why not in closed form.

    Raises:
        UnsupportedModelError: neither a closed form nor the literal mosaic can be built.
    """
    with ctx.emit.scope("closed_form"):
        rows = replay(head, logits, ctx)
    if isinstance(rows, Rows):
        return rows, Strategy.CLOSED_FORM, None
    reason = f"{rows.reason} (node '{rows.node}')"
    with ctx.emit.scope("mosaic"):
        literal = mosaic(head, logits, classes, ctx)
    if isinstance(literal, Refusal):
        raise UnsupportedModelError(
            f"The head cannot be run on masked copies of the target: {literal.reason}; in closed form: {reason}",
            node=literal.node,
            remedy="Mask a later layer with --target-layer, or use --method activation-map.",
        )
    return literal, Strategy.MOSAIC, reason


def _activated(rows: Rows, activation: Activation, emit: Emitter) -> Rows:
    if activation is Activation.SIGMOID:
        return Rows(emit.sigmoid(rows.values), rows.order, rows.channels)
    return Rows(emit.softmax(rows.values, 1 if rows.order is Order.FIRST else 2), rows.order, rows.channels)


def as_maps(rows: Rows, ctx: Context) -> ov.Output:
    """Return settled rows as [N, K, h, w]."""
    if rows.order is Order.FIRST:
        return rows.values
    turned = ctx.emit.transpose(rows.values, 0, 2, 1)
    return ctx.emit.reshape(turned, 0, rows.channels, ctx.masks.height, ctx.masks.width)
