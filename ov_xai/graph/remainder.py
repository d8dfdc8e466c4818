"""What a model computes behind some of its tensors, run on values that are given for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.graph.trial import EXACT, reachable_parameters, sample_inputs
from ov_xai.graph.view import node_key

Array = npt.NDArray[Any]


class Remainder:
    """A part of a model, compiled.

    Args:
        results: what it computes.
        stand_ins: the parameters that stand in for tensors inside the model; see `ov_xai.graph.trial.with_stand_in`.
        config: how it is compiled.

    Attributes:
        samples: one array per input, random at first; what stands in for a tensor is set for each run.
    """

    def __init__(
        self, results: Sequence[ov.Node], stand_ins: Sequence[ov.Node], config: Mapping[str, str] = EXACT
    ) -> None:
        inputs = reachable_parameters(list(results))
        model = ov.Model(list(results), inputs, "remainder")
        indices = {node_key(node): index for index, node in enumerate(inputs)}
        self._names = [str(node.get_friendly_name()) for node in inputs]
        self._given = [indices.get(node_key(node)) for node in stand_ins]
        self.samples = sample_inputs(model)
        self._request = ov.Core().compile_model(model, "CPU", dict(config)).create_infer_request()

    def sample(self, index: int) -> Array | None:
        """Return an array of the shape and type of a tensor that is stood in for; None where nothing reads it."""
        place = self._given[index]
        return None if place is None else self.samples[place]

    def take(self, inputs: Mapping[str, Array]) -> None:
        """Let inputs of the whole model, by friendly name, have these values from now on."""
        self.samples = [inputs.get(name, sample) for name, sample in zip(self._names, self.samples, strict=True)]

    def run(self, values: Sequence[Array | None], others: Sequence[Array] | None = None) -> list[Array]:
        """Return the results for values of the tensors that are stood in for; None keeps what stands there.

        Args:
            values: one per tensor that is stood in for.
            others: takes the place of `samples`.

        Raises:
            RuntimeError: the values do not fit.
        """
        inputs = list(self.samples if others is None else others)
        for place, value in zip(self._given, values, strict=True):
            if place is not None and value is not None:
                inputs[place] = value
        self._request.infer(inputs)
        return [np.array(tensor.data) for tensor in self._request.output_tensors]
