"""Layers on flattened tokens as layers on tokens: [N, T, C] -> [N * T, C] -> dense -> [N * T, K] -> [N, T, K].

Keras writes every dense layer on a sequence that way, and so do decomposed exports of PyTorch. Tokens of several
images on one axis can be followed no further; a dense layer treats each of them alike, wherever they stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import openvino as ov

from ov_xai.graph.emit import Emitter
from ov_xai.graph.kinds import ARITHMETIC_OPS, UNARY_OPS
from ov_xai.graph.spelling.respelling import Respelling, Result, Step
from ov_xai.graph.view import Port, is_weight, port, sizes

#: The slope of PRelu belongs to the second axis, which is not the last one any more.
_POINTWISE = (ARITHMETIC_OPS | UNARY_OPS) - {"PRelu"}


@dataclass(frozen=True)
class Apart:
    """The tokens of a flattened tensor before they were flattened, or what a layer makes of those.

    Attributes:
        values: [.., C] where the flattened tensor is [tokens, C].
        origin: the tensor that was flattened.
    """

    values: ov.Output
    origin: ov.Output

    @property
    def is_made(self) -> bool:
        """Return whether the values are those of a layer, not the tensor itself."""
        return port(self.values) != port(self.origin)


def spell_flattened(model: ov.Model, emit: Emitter) -> Iterator[Respelling]:
    """Let layers on tokens stand in for layers on flattened tokens, where these are laid out as before in the end.

    What the branch reads in between it reads of the model, which computes it already.
    """
    known: dict[Port, Apart] = {}
    steps: list[tuple[ov.Output, ov.Output]] = []
    for node in model.get_ordered_ops():
        with emit.scope(node.get_friendly_name()):
            again = _laid_out(node, known, emit)
            apart = None if again is not None else _flattened(node, known) or _applied(node, known, emit)
        if again is not None:
            yield Result.take(node.output(0), again)
        if apart is not None:
            known[port(node.output(0))] = apart
            if apart.is_made:
                steps.append((node.output(0), apart.values))
    for flat, values in steps:
        if (sizes(values) or []).count(None) < 2:
            yield Step.between(flat, values, emit)


def _flattened(node: ov.Node, known: dict[Port, Apart]) -> Apart | None:
    """Return the input of a Reshape that joins all axes but the last, several of them longer than one."""
    if node.get_type_name() != "Reshape":
        return None
    source = node.input_value(0)
    before, after = sizes(source) or [], sizes(node.output(0)) or []
    if len(after) != 2 or not before or before[-1] is None or before[-1] != after[-1]:
        return None
    if port(source) in known:
        return known[port(source)]
    several = sum(extent != 1 for extent in before[:-1]) > 1
    return Apart(source, source) if several and not is_weight(source) else None


def _applied(node: ov.Node, known: dict[Port, Apart], emit: Emitter) -> Apart | None:
    """Return what an op that treats every token alike makes of tokens that are not flattened."""
    sources = node.input_values()
    apart = [known.get(port(source)) for source in sources]
    origins = {port(each.origin): each.origin for each in apart if each is not None}
    if len(origins) != 1 or not (_is_dense(node) or _is_pointwise(node, sources, apart)):
        return None
    inputs = [source if each is None else each.values for source, each in zip(sources, apart, strict=True)]
    return Apart(emit.copy(node, inputs)[0], *origins.values())


def _is_dense(node: ov.Node) -> bool:
    return (
        node.get_type_name() == "MatMul"
        and not node.get_attributes()["transpose_a"]
        and len(sizes(node.input_value(1)) or []) == 2
        and is_weight(node.input_value(1))
    )


def _is_pointwise(node: ov.Node, sources: Sequence[ov.Output], apart: Sequence[Apart | None]) -> bool:
    if node.get_type_name() not in _POINTWISE:
        return False
    others = [source for source, each in zip(sources, apart, strict=True) if each is None]
    return all(is_weight(other) and set((sizes(other) or [])[:-1]) <= {1} for other in others)


def _laid_out(node: ov.Node, known: dict[Port, Apart], emit: Emitter) -> ov.Output | None:
    """Return the result of a Reshape as it is made of tokens that are not flattened; None when it still is flat."""
    if node.get_type_name() != "Reshape" or (apart := known.get(port(node.input_value(0)))) is None:
        return None
    after = sizes(node.output(0)) or []
    if len(after) < 3 or after.count(None) > 1 or not apart.is_made:
        return None
    return emit.reshape(apart.values, *(-1 if extent is None else extent for extent in after))
