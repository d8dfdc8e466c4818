"""Ops that treat every token of a flattened tensor alike, applied to tokens that are not flattened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import openvino as ov

from ov_xai.graph.emit import Emitter
from ov_xai.graph.kinds import ARITHMETIC_OPS, REDUCTIONS, UNARY_OPS
from ov_xai.graph.view import constant_ints, is_weight, port, rank, sizes

_POINTWISE = ARITHMETIC_OPS | UNARY_OPS
#: Ops that work along the axes that their second input names.
_ALONG_AXES = REDUCTIONS | {"MVN", "NormalizeL2", "Split", "VariadicSplit"}


@dataclass(frozen=True)
class Apart:
    """The tokens of a flattened tensor before they were flattened, or what a layer makes of those.

    Attributes:
        values: [.., *own] where the flattened tensor is [tokens, *own].
        origin: the tensor that was flattened.
        own: number of last axes that belong to a single token.
    """

    values: ov.Output
    origin: ov.Output
    own: int


def applied(node: ov.Node, sources: Sequence[Apart | None], emit: Emitter) -> list[Apart]:
    """Return what an op makes of tokens that are not flattened, one per output; nothing where it mixes tokens.

    Args:
        node: the op, which reads flattened tokens.
        sources: per input the tokens; None for what is not flattened.
        emit: where nodes are added.
    """
    first = next((each for each in sources if each is not None), None)
    if first is None or any(each is not None and not _together(each, first) for each in sources):
        return []
    values = _values(node, sources, first, emit)
    return [Apart(each, first.origin, first.own) for each in values]


def _together(one: Apart, other: Apart) -> bool:
    return port(one.origin) == port(other.origin) and one.own == other.own


def _values(node: ov.Node, sources: Sequence[Apart | None], first: Apart, emit: Emitter) -> list[ov.Output]:
    kind = node.get_type_name()
    if kind in ("Softmax", "LogSoftmax"):
        axis = _own_axis(node, node.get_attributes()["axis"], first)
        along = emit.softmax if kind == "Softmax" else emit.log_softmax
        return [] if axis is None else [along(first.values, axis)]
    if kind in _ALONG_AXES:
        return _along_axes(node, first, emit)
    if not (_is_dense(node, first.own) or _is_pointwise(node, sources, first.own)):
        return []
    pairs = zip(node.input_values(), sources, strict=True)
    return emit.copy(node, [source if each is None else each.values for source, each in pairs])


def _own_axis(node: ov.Node, axis: int, tokens: Apart) -> int | None:
    """Return an axis of the flattened tensor as one of the tokens; None when it is not theirs alone."""
    flat, apart = rank(node.input_value(0)) or 0, rank(tokens.values) or 0
    behind = axis - flat if axis >= 0 else axis
    return apart + behind if behind >= -tokens.own else None


def _along_axes(node: ov.Node, tokens: Apart, emit: Emitter) -> list[ov.Output]:
    named = constant_ints(node, 1)
    if not named or not node.get_attributes().get("keep_dims", True):
        return []
    axes = [_own_axis(node, axis, tokens) for axis in named]
    known = [axis for axis in axes if axis is not None]
    if len(known) < len(axes):
        return []
    one = node.get_type_name() in ("Split", "VariadicSplit")
    where = emit.int_scalar(known[0]) if one else emit.ints(*known)
    return emit.copy(node, [tokens.values, where, *node.input_values()[2:]])


def _is_dense(node: ov.Node, own: int) -> bool:
    return (
        node.get_type_name() == "MatMul"
        and own == 1
        and not node.get_attributes()["transpose_a"]
        and len(sizes(node.input_value(1)) or []) == 2
        and is_weight(node.input_value(1))
    )


def _is_pointwise(node: ov.Node, sources: Sequence[Apart | None], own: int) -> bool:
    if node.get_type_name() not in _POINTWISE:
        return False
    others = [source for source, each in zip(node.input_values(), sources, strict=True) if each is None]
    return all(is_weight(other) and set((sizes(other) or [])[:-own]) <= {1} for other in others)
