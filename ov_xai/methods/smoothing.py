"""SmoothQuant, undone: activations as they were before quantisation scaled their channels.

    F s -> round -> F = round(F s) / s

Before rounding, NNCF multiplies the channels of some activations by s, and divides the weights behind them by it, so
that no channel stands out. Scores do not change; a mean over channels does.

Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models", arXiv
2211.10438.
"""

from __future__ import annotations

import openvino as ov

from ov_xai.graph.emit import Emitter
from ov_xai.graph.kinds import ROUNDING_OPS
from ov_xai.graph.view import is_weight

#: The name NNCF gives to its products ends so. Nothing else tells them from the model's own.
_MARK = "/nncf_smooth_quant"


def is_smoothing(node: ov.Node) -> bool:
    """Return whether a node is the product that SmoothQuant put before a layer."""
    return node.get_type_name() == "Multiply" and bool(node.get_friendly_name().endswith(_MARK))


def unsmoothed(emit: Emitter, values: ov.Output, source: ov.Output) -> ov.Output:
    """Return values divided by the scale that quantisation gave their channels; as they are where there is none.

    Args:
        emit: where nodes are added.
        values: equal to `source`.
        source: a tensor of the model.
    """
    node = source.get_node()
    if node.get_type_name() in ROUNDING_OPS:
        node = node.input_value(0).get_node()
    if not is_smoothing(node):
        return values
    scale = next((factor for factor in node.input_values() if is_weight(factor)), None)
    return values if scale is None else emit.divide(values, emit.private(scale))
