"""The equation of an Einsum."""

from __future__ import annotations

import openvino as ov


def einsum_terms(node: ov.Node) -> list[str] | None:
    """Return the letters of each input and, last, of the output: "bc,kc->bk" gives ["bc", "kc", "bk"].

    None where axes stand without a letter, a term repeats one, or the output is not written out.
    """
    equation = str(node.get_attributes()["equation"]).replace(" ", "")
    if "." in equation or "->" not in equation:
        return None
    left, right = equation.split("->")
    terms = [*left.split(","), right]
    return terms if all(len(set(term)) == len(term) for term in terms) else None
