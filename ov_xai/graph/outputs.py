"""The outputs that a patched model has besides its own, by name."""

from __future__ import annotations

import openvino as ov

SALIENCY_MAP = "saliency_map"
SALIENCY_CLASSES = "saliency_classes"
FEATURE_VECTOR = "feature_vector"

ADDED_OUTPUTS = frozenset({SALIENCY_MAP, SALIENCY_CLASSES, FEATURE_VECTOR})


def has_output(model: ov.Model, name: str) -> bool:
    """Return whether a model has an output of that name."""
    return any(name in output.get_names() for output in model.outputs)


def drop_outputs(model: ov.Model, name: str) -> None:
    """Take the outputs of that name off a model."""
    for result in model.get_results():
        if name in result.output(0).get_names():
            model.remove_result(result)
    model.validate_nodes_and_infer_types()
