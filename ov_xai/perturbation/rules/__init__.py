"""One rule per kind of op: how it acts on the forms.

A rule gets the node, the forms of its inputs and the context, and returns the forms of its outputs or a `Refusal`
that names the reason and the node.
"""

from __future__ import annotations

from collections.abc import Callable

import openvino as ov

from ov_xai.graph.kinds import ARITHMETIC_OPS, POOLING_OPS, REARRANGING_OPS, REDUCTIONS, SELECTING_OPS, UNARY_OPS
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import Form, Refusal
from ov_xai.perturbation.rules.attention import attention
from ov_xai.perturbation.rules.channelwise import channelwise, concat, reduction
from ov_xai.perturbation.rules.dense import convolution, matmul
from ov_xai.perturbation.rules.elementwise import elementwise
from ov_xai.perturbation.rules.pooling import pooling
from ov_xai.perturbation.rules.slicing import slicing
from ov_xai.perturbation.rules.views import view

Rule = Callable[[ov.Node, list[Form], Context], "list[Form] | Refusal"]

RULES: dict[str, Rule] = {
    **dict.fromkeys(UNARY_OPS | ARITHMETIC_OPS, elementwise),
    **dict.fromkeys(POOLING_OPS, pooling),
    **dict.fromkeys(REDUCTIONS, reduction),
    **dict.fromkeys(REARRANGING_OPS, view),
    **dict.fromkeys(SELECTING_OPS, slicing),
    **dict.fromkeys(("Softmax", "LogSoftmax", "MVN", "NormalizeL2"), channelwise),
    "Concat": concat,
    "MatMul": matmul,
    "ScaledDotProductAttention": attention,
    "Convolution": convolution,
    "GroupConvolution": convolution,
}
