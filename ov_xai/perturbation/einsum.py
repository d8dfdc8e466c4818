"""Einsum as a product by a weight matrix, such as "bchw,kc->bkhw"."""

from __future__ import annotations

from dataclasses import dataclass

import openvino as ov

from ov_xai.graph.einsum import einsum_terms
from ov_xai.graph.view import is_weight, rank


@dataclass(frozen=True)
class WeightProduct:
    """An Einsum that sums one axis of a tensor with one of a weight matrix, whose other axis stands in the result.

    Attributes:
        side: which input is the tensor; the other one is the matrix.
        axis: the axis of the tensor that is summed.
        by_row: the matrix is [K, C], with the summed axis last; otherwise it is [C, K].
    """

    side: int
    axis: int
    by_row: bool


def weight_product(node: ov.Node) -> WeightProduct | None:
    """Return what an Einsum multiplies by a weight matrix; None when it does anything else."""
    terms = einsum_terms(node)
    if terms is None or len(terms) != 3:
        return None
    result = terms[-1]
    for side in (0, 1):
        tensor, matrix = terms[side], terms[1 - side]
        if rank(node.input_value(1 - side)) != 2 or not is_weight(node.input_value(1 - side)):
            continue
        for by_row in (True, False):
            summed, made = matrix[int(by_row)], matrix[int(not by_row)]
            if summed in tensor and made not in tensor and set(result) == (set(tensor) - {summed}) | {made}:
                return WeightProduct(side, tensor.index(summed), by_row)
    return None
