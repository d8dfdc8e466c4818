"""Raw maps, and how they become the output tensor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import openvino as ov

from ov_xai.graph.emit import Emitter
from ov_xai.graph.view import sizes
from ov_xai.request import Normalise


class Strategy(str, Enum):
    """How the perturbations are evaluated."""

    CLOSED_FORM = "closed-form"
    MOSAIC = "mosaic"


@dataclass(frozen=True)
class RawMaps:
    """Maps before normalisation.

    Attributes:
        values: [N, K, h, w] for class-wise methods, [N, h, w] for the others.
        strategy: how they are evaluated.
        reason: why not in closed form, with the op that forced it; None otherwise.
    """

    values: ov.Output
    strategy: Strategy = Strategy.CLOSED_FORM
    reason: str | None = None


def normalised(emit: Emitter, maps: ov.Output, normalise: Normalise) -> ov.Output:
    """Return the output tensor: u8, each map scaled to its own full range, or f32 raw values.

    u8: round(255 (x - min) / (max - min)); a constant map gives zeros.

    Args:
        emit: where nodes are added.
        maps: [..., h, w].
        normalise: which of the two.
    """
    if normalise is Normalise.NONE:
        values = maps if maps.get_element_type() == ov.Type.f32 else emit.convert(maps, ov.Type.f32)
        # The producer of the output must not be a Softmax: runtimes look at it to tell logits from probabilities.
        return emit.reshape(values, *([0] * len(maps.get_partial_shape())))
    rank = len(maps.get_partial_shape())
    if None in (sizes(maps) or [None]):
        return _in_bytes(emit, maps, rank - 2, rank - 1)
    # Flat: a plugin that lays maps out class by class then turns the numbers, which is quicker than to turn the bytes.
    flat = emit.reshape(maps, *([0] * (rank - 2)), -1)
    levels = _in_bytes(emit, flat, rank - 2)
    return emit.reshape(levels, *([0] * (rank - 2)), emit.extents(maps, rank - 2, rank - 1))


def _in_bytes(emit: Emitter, maps: ov.Output, *axes: int) -> ov.Output:
    """Return maps scaled to their own range, which they have along some axes, as u8."""
    low, high = emit.reduce_min(maps, *axes, keep=True), emit.reduce_max(maps, *axes, keep=True)
    span = emit.subtract(high, low)
    # Where the span is zero the numerator is zero too: divide by one.
    safe = emit.add(span, emit.convert(emit.equal(span, emit.like(0, span)), span.get_element_type()))
    unit = emit.divide(emit.subtract(maps, low), safe)
    return emit.convert(emit.round(emit.multiply(unit, emit.like(np.float32(255), unit))), ov.Type.u8)
