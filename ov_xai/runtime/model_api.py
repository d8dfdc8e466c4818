"""Patched models in Model API: its wrappers see the outputs they know, their results carry the maps.

Wrappers of classifiers, SSD-like detectors and instance segmentation know `saliency_map`; others, such as those of the
YOLO family, refuse a model with an output more than they expect.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import openvino as ov

from ov_xai.errors import MissingExtraError
from ov_xai.graph.outputs import ADDED_OUTPUTS

try:
    from model_api.adapters import OpenvinoAdapter, create_core
    from model_api.models import Model
except ImportError as error:
    raise MissingExtraError("Model API", "model-api") from error


class Outputs(dict[str, Any]):
    """Outputs a wrapper knows, by name; those that were added are beside them.

    Attributes:
        added: the others, by name.
    """

    added: dict[str, Any]


class PatchedAdapter(OpenvinoAdapter):  # type: ignore[misc]
    """An adapter that shows a wrapper only the outputs the model had before it was patched."""

    def get_output_layers(self) -> dict[str, Any]:
        """Return what is known about the model's own outputs."""
        return {name: layer for name, layer in super().get_output_layers().items() if not layer.names & ADDED_OUTPUTS}

    def get_raw_result(self, request: ov.InferRequest) -> Outputs:
        """Return the results of a request; those that were added are copied, as the request is used again."""
        outputs = Outputs(super().get_raw_result(request))
        names = {name for output in self.compiled_model.outputs for name in output.get_names()}
        outputs.added = {name: np.array(request.get_tensor(name).data) for name in ADDED_OUTPUTS & names}
        return outputs


def create_model(
    model: str | os.PathLike[str],
    model_type: str | None = None,
    configuration: dict[str, Any] | None = None,
    device: str = "CPU",
    **adapter_options: Any,
) -> Any:
    """Return a Model API wrapper of a patched model.

    Its results have the attributes `saliency_map`, `saliency_classes` and `feature_vector` (arrays as the model gives
    them, with the batch axis), as far as the model has such outputs.

    Args:
        model: path of the patched model.
        model_type: name of the wrapper; None takes it from the model.
        configuration: parameters of the wrapper.
        device: OpenVINO device name.
        adapter_options: further arguments of `model_api.adapters.OpenvinoAdapter`.

    Raises:
        MissingExtraError: on import of this module, where Model API is not installed.
    """
    adapter = PatchedAdapter(create_core(), str(model), device=device, **adapter_options)
    wrapper = Model.create_model(adapter, model_type, configuration or {})
    finish = wrapper.postprocess

    def postprocess(outputs: Outputs, meta: dict[str, Any]) -> Any:
        result = finish(outputs, meta)
        for name, values in outputs.added.items():
            setattr(result, name, values)
        return result

    wrapper.postprocess = postprocess
    return wrapper
