"""A patched model with its target as one more output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.graph.outputs import SALIENCY_CLASSES, SALIENCY_MAP
from ov_xai.graph.trial import EXACT, as_results, twin

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Masked:
    """A target and the maps that come of it.

    Attributes:
        target: its values.
        maps: as they came, [N, K or T, h, w] or [N, h, w].
        classes: those of --top-k, [N, T]; None for all, or for maps per image.
    """

    target: Array
    maps: Array
    classes: Array | None


class Tap:
    """Runs a patched model on the CPU in single precision and reads its target in the same inference.

    Args:
        patched: the patched model.
        target: the target of a model with nodes of the same names.
    """

    def __init__(self, patched: ov.Model, target: ov.Output) -> None:
        model = patched.clone()
        self._index = {name: index for index, output in enumerate(model.outputs) for name in output.get_names()}
        self._target = len(model.outputs)
        model.add_results(as_results([twin(model, target)]))
        self._compiled = ov.Core().compile_model(model, "CPU", EXACT)

    def __call__(self, inputs: Sequence[Array]) -> Masked:
        """Return the target of an input, and its maps."""
        results = self._compiled(list(inputs))
        classes = self._index.get(SALIENCY_CLASSES)
        return Masked(
            np.array(results[self._target]),
            np.array(results[self._index[SALIENCY_MAP]]),
            None if classes is None else np.array(results[classes]),
        )
