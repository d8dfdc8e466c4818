"""Einsum as transpositions, sums and products: one rule per kind of op is enough for all that an equation can say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, prod

import openvino as ov

from ov_xai.graph.emit import Emitter
from ov_xai.graph.spelling.respelling import Replacement, Respelling
from ov_xai.graph.view import is_weight, sizes


def spell_einsums(model: ov.Model, emit: Emitter) -> Iterator[Respelling]:
    """Let transpositions, sums and products stand in for the Einsums of a model.

    An Einsum stays in place when it has more than two inputs, axes without a letter, a letter twice in one term, an
    axis of one that is repeated, or, with weights, several axes of dynamic extent that would have to be joined.
    """
    for node in [node for node in model.get_ordered_ops() if node.get_type_name() == "Einsum"]:
        with emit.scope(node.get_friendly_name()):
            spelled = _spelled(node, emit)
        if spelled is not None:
            yield Replacement.take(node.output(0), spelled)


#: Stand for an axis that a factor of a matrix product has to have, and the equation does not.
_NO_ROW, _NO_COLUMN = "1", "2"


@dataclass(frozen=True)
class Term:
    """A tensor and the letters of its axes."""

    values: ov.Output
    letters: str


def _spelled(node: ov.Node, emit: Emitter) -> ov.Output | None:
    """Return what an Einsum computes, made of ordinary ops; None where that is not possible."""
    letters = _letters(node)
    if letters is None or len(letters) > 3:
        return None
    *given, result = letters
    terms = [Term(values, own) for values, own in zip(node.input_values(), given, strict=True)]
    if _broadcasts(terms):
        return None
    every = "".join(letters)
    terms = [_summed(term, {letter for letter in every if every.count(letter) > 1}, emit) for term in terms]
    joint = terms[0] if len(terms) == 1 else _product(terms, result, emit)
    values = None if joint is None else _arranged(joint, result, emit)
    return None if values in node.input_values() else values


def _broadcasts(terms: Sequence[Term]) -> bool:
    """Return whether an axis of extent one meets a longer one of the same letter, which a product does not allow."""
    extents: dict[str, set[int | None]] = {}
    for term in terms:
        for letter, extent in _extents(term).items():
            extents.setdefault(letter, set()).add(extent)
    return any(1 in found and len(found) > 1 for found in extents.values())


def _letters(node: ov.Node) -> list[str] | None:
    """Return the letters of each input and, last, of the output: "bc,kc->bk" gives ["bc", "kc", "bk"]."""
    equation = str(node.get_attributes()["equation"]).replace(" ", "")
    if "." in equation or "->" not in equation:
        return None
    left, right = equation.split("->")
    terms = [*left.split(","), right]
    return terms if all(len(set(term)) == len(term) for term in terms) else None


def _summed(term: Term, known: set[str], emit: Emitter) -> Term:
    """Return a term without the axes that stand nowhere else."""
    axes = [axis for axis, letter in enumerate(term.letters) if letter not in known]
    kept = "".join(letter for letter in term.letters if letter in known)
    return Term(emit.reduce_sum(term.values, *axes), kept) if axes else term


def _arranged(term: Term, order: str, emit: Emitter) -> ov.Output:
    """Return a term with its axes in another order."""
    if order == term.letters:
        return term.values
    return emit.transpose(term.values, *(term.letters.index(letter) for letter in order))


def _product(terms: Sequence[Term], result: str, emit: Emitter) -> Term | None:
    left, right = terms
    if set(left.letters) & set(right.letters) <= set(result):
        return Term(emit.multiply(_spread(left, result, emit), _spread(right, result, emit)), result)
    return _matrix_product(*_in_order(left, right, result), result, emit)


def _spread(term: Term, result: str, emit: Emitter) -> ov.Output:
    """Return a term with the axes of the result, of extent one where it has none."""
    own = "".join(letter for letter in result if letter in term.letters)
    missing = [axis for axis, letter in enumerate(result) if letter not in own]
    values = _arranged(term, own, emit)
    return emit.unsqueeze(values, *missing) if missing else values


def _in_order(left: Term, right: Term, result: str) -> tuple[Term, Term]:
    """Return data before weights, and of two tensors of data the one whose own axes stand first in the result."""
    if is_weight(left.values) != is_weight(right.values):
        return (right, left) if is_weight(left.values) else (left, right)
    first = next((letter for letter in result if (letter in left.letters) != (letter in right.letters)), "")
    return (left, right) if first in left.letters else (right, left)


@dataclass(frozen=True)
class Roles:
    """What the letters of a product of two tensors stand for.

    Attributes:
        batch: in both tensors and the result.
        rows: in the left one and the result.
        columns: in the right one and the result.
        summed: in both tensors only.
    """

    batch: str
    rows: str
    columns: str
    summed: str


def _roles(left: str, right: str, result: str) -> Roles:
    def among(letters: str, inside: str, outside: str) -> str:
        return "".join(letter for letter in letters if letter in inside and letter not in outside)

    batch = among(among(result, left, ""), right, "")
    return Roles(batch, among(result, left, right), among(result, right, left), among(left, right, result))


def _matrix_product(left: Term, right: Term, result: str, emit: Emitter) -> Term | None:
    roles = _roles(left.letters, right.letters, result)
    return (_dense if is_weight(right.values) else _batched)(left, right, roles, emit)


def _batched(left: Term, right: Term, roles: Roles, emit: Emitter) -> Term:
    """Return [.., row, summed] x [.., summed, column]; of several letters of a kind the longest is multiplied.

    The others are axes in front: of rows and columns with the other tensor repeated along them, summed up afterwards of
    those that are summed. No axes are joined, which could not be told apart again where one of them holds places.
    """
    extents = {**_extents(left), **_extents(right)}
    row, column = _longest(roles.rows, extents) or _NO_ROW, _longest(roles.columns, extents) or _NO_COLUMN
    summed = _longest(roles.summed, extents)
    summands = roles.summed.replace(summed, "")
    ahead = roles.batch + roles.rows.replace(row, "") + roles.columns.replace(column, "") + summands
    values = emit.matmul(_spread(left, ahead + row + summed, emit), _spread(right, ahead + summed + column, emit))
    letters = ahead + row + column
    gone = [letters.index(letter) for letter in summands]
    values = emit.reduce_sum(values, *gone) if gone else values
    letters = "".join(letter for letter in letters if letter not in summands)
    missing = [letters.index(letter) for letter in (_NO_ROW, _NO_COLUMN) if letter in letters]
    values = emit.squeeze(values, *missing) if missing else values
    return Term(values, "".join(letter for letter in letters if letter not in (_NO_ROW, _NO_COLUMN)))


def _longest(letters: str, extents: dict[str, int | None]) -> str:
    """Return the letter of the longest axis, the last of several; one of dynamic extent counts as that."""
    return max(reversed(letters), key=lambda letter: extents[letter] or inf, default="")


def _dense(left: Term, right: Term, roles: Roles, emit: Emitter) -> Term | None:
    """Return data times weights, [.., summed] x [summed, columns], each axis joined from those of its letters."""
    # Without a batch a matrix multiplies from the right, whatever stands before the summed axis.
    ahead, rows = (roles.batch, [roles.rows]) if roles.batch else (roles.rows, [])
    groups = [*rows, roles.summed, roles.columns]
    extents = {**_extents(left), **_extents(right)}
    as_matrices = all(len(group) == 1 for group in groups)
    if not as_matrices and sum(extents[letter] is None for group in groups for letter in group) > 1:
        return None
    factors = (
        _joined(left, ahead, [*rows, roles.summed], extents, emit),
        _joined(right, roles.batch, [roles.summed, roles.columns], extents, emit),
    )
    values, letters = emit.matmul(*factors), "".join([*rows, roles.columns])
    if not as_matrices:
        values = emit.reshape(values, *[0] * len(ahead), *(_extent(letter, extents) for letter in letters))
    return Term(values, ahead + letters)


def _extents(term: Term) -> dict[str, int | None]:
    return dict(zip(term.letters, sizes(term.values) or [], strict=True))


def _joined(term: Term, ahead: str, groups: Sequence[str], extents: dict[str, int | None], emit: Emitter) -> ov.Output:
    """Return a tensor with the axes `ahead` as they are and then one axis for each group of letters."""
    values = _arranged(term, "".join([ahead, *groups]), emit)
    if all(len(group) == 1 for group in groups):
        return values
    return emit.reshape(values, *[0] * len(ahead), *(_extent(group, extents) for group in groups))


def _extent(group: str, extents: dict[str, int | None]) -> int:
    """Return the extent of joined axes; -1, which a Reshape works out, when one of them is dynamic."""
    known = [extents[letter] for letter in group]
    return -1 if None in known else prod(extent for extent in known if extent is not None)
