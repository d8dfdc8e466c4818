"""Layers on flattened tokens as layers on tokens: [N, T, C] -> [N * T, C] -> dense -> [N * T, K] -> [N, T, K].

Keras writes every dense layer on a sequence that way, its normalisation on [1, N * T, C, 1], and so do decomposed
exports of PyTorch. Tokens of several images on one axis can be followed no further; a layer on channels treats each of
them alike, wherever they stand.
"""

from __future__ import annotations

from collections.abc import Iterator

import openvino as ov

from ov_xai.graph.emit import Emitter
from ov_xai.graph.spelling.by_token import Apart, applied
from ov_xai.graph.spelling.respelling import Replacement, Respelling, Step
from ov_xai.graph.view import Port, is_weight, pattern_of, port, sizes


def spell_flattened(model: ov.Model, emit: Emitter) -> Iterator[Respelling]:
    """Let layers on tokens stand in for layers on flattened tokens, where these are laid out again in the end.

    What the branch reads in between it reads of the model, which computes it already.
    """
    known: dict[Port, Apart] = {}
    steps: list[tuple[ov.Output, ov.Output]] = []
    for node in model.get_ordered_ops():
        with emit.scope(node.get_friendly_name()):
            if node.get_type_name() == "Reshape":
                again = _reshaped(node, known, emit)
            else:
                again = None
                made = applied(node, [known.get(port(source)) for source in node.input_values()], emit)
                for old, apart in zip(node.outputs(), made, strict=False):
                    known[port(old)] = apart
                    steps.append((old, apart.values))
        if again is not None:
            yield Replacement.take(node.output(0), again)
    for old, new in steps:
        if (sizes(new) or []).count(None) < 2:
            yield Step.take(old, new, emit)


def _reshaped(node: ov.Node, known: dict[Port, Apart], emit: Emitter) -> ov.Output | None:
    """Note what a Reshape flattens; return what it lays out, made of tokens that are not flattened."""
    source, after = node.input_value(0), sizes(node.output(0)) or []
    tokens = known.get(port(source)) or _not_flattened(source)
    if tokens is None:
        return None
    before = sizes(tokens.values) or []
    before = before[: len(before) + 1 - tokens.own]
    ones = _ones_behind(after, before[-1])
    # [1, T, C] may be flattened tokens, or those of a single image laid out.
    if ones is None or (ones == 0 and len(after) > 2 and _is_made(tokens)):
        laid_out = _is_made(tokens) and len(after) > 1 and after.count(None) < 2
        return emit.reshape(tokens.values, *pattern_of(after)) if laid_out else None
    shape = [*before, *[1] * ones]
    same = ones + 1 == tokens.own
    if same or shape.count(None) < 2:
        values = tokens.values if same else emit.reshape(tokens.values, *pattern_of(shape))
        known[port(node.output(0))] = Apart(values, tokens.origin, 1 + ones)
    return None


def _not_flattened(source: ov.Output) -> Apart | None:
    """Return a tensor as tokens with channels; None when it has no more than one axis of them."""
    tokens = (sizes(source) or [])[:-1]
    several = len(tokens) > 1 and any(extent != 1 for extent in tokens)
    return Apart(source, source, 1) if several and not is_weight(source) else None


def _ones_behind(shape: list[int | None], channels: int | None) -> int | None:
    """Return how many axes of extent one stand behind the channels of flattened tokens.

    Args:
        shape: [1, .., tokens, channels, 1, ..]; None for any other.
        channels: their number.
    """
    if channels is None or channels == 1:
        return None
    ones = next((index for index, extent in enumerate(reversed(shape)) if extent != 1), len(shape))
    ahead = shape[: len(shape) - 1 - ones]
    if not ahead or shape[len(ahead)] != channels or sum(extent != 1 for extent in ahead) > 1:
        return None
    return ones


def _is_made(tokens: Apart) -> bool:
    """Return whether a layer made these values, which would otherwise be read where they come from."""
    return port(tokens.values) != port(tokens.origin)
