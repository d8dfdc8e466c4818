"""A detector whose predictions are to be found in its outputs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.analysis.axes import is_spatial
from ov_xai.analysis.detectors.detector import Detector
from ov_xai.analysis.dissection import anatomy_of
from ov_xai.errors import ModelMismatchError, UnsupportedModelError
from ov_xai.graph.kinds import CONTROL_FLOW, DECISION_OPS
from ov_xai.graph.trial import EXACT, of_sample_size, sample_inputs, sample_shape
from ov_xai.graph.view import port, sizes
from ov_xai.label_ids import LabelIds
from ov_xai.request import InsertionRequest

Array = npt.NDArray[Any]

#: Ops after which rows are detections that were selected. RegionYolo only decodes all places.
_SELECTIONS = (DECISION_OPS - {"RegionYolo"}) | CONTROL_FLOW


@dataclass(frozen=True)
class Subject:
    """A detector whose predictions are to be found in its outputs.

    Attributes:
        model: the model before anything is inserted.
        anatomy: the model, taken apart.
        ids: what is known about its label ids; None without class scores on a grid.
    """

    model: ov.Model
    anatomy: Detector
    ids: LabelIds | None

    @cached_property
    def shapes(self) -> list[list[int | None]]:
        """Extents of all outputs; [] for one of dynamic rank."""
        return [sizes(output) or [] for output in self.model.outputs]

    @cached_property
    def trial(self) -> list[Array]:
        """All outputs for a random input."""
        results = ov.Core().compile_model(self.model, "CPU", EXACT)(sample_inputs(self.model))
        return [np.array(results[index]) for index in range(len(self.model.outputs))]

    @property
    def input_wh(self) -> tuple[int, int]:
        """Width and height of the random input."""
        surface = self.anatomy.surface
        extents = dict(zip(surface.image_letters, sample_shape(surface.image), strict=True))
        return extents["W"], extents["H"]

    def holds_places(self, index: int) -> bool:
        """Return whether an output has places of the image among its axes: a feature map or a table of all places."""
        layout = self.anatomy.layouts.get(port(self.anatomy.view.results[index]))
        return layout is not None and is_spatial(layout)

    def is_selected(self, index: int) -> bool:
        """Return whether an output may list selected detections: it depends on a choice and holds no places."""
        view = self.anatomy.view
        before = view.ancestors([self._result(index)])
        return not self.holds_places(index) and any(view.node(key).get_type_name() in _SELECTIONS for key in before)

    def _result(self, index: int) -> ov.Node:
        return self.anatomy.view.model.outputs[index].get_node()


def subject_of(model: ov.Model, anatomy: Detector, ids: LabelIds | None, request: InsertionRequest) -> Subject:
    """Return a detector; one of dynamic size at an ordinary size, where its tables can be followed to the outputs.

    Where predictions stand does not depend on the size.

    Args:
        model: the model before anything is inserted.
        anatomy: the model, taken apart.
        ids: what is known about its label ids.
        request: what it was taken apart for.
    """
    if any(source.get_partial_shape().is_dynamic for source in model.inputs):
        fixed = of_sample_size(model)
        with suppress(UnsupportedModelError, ModelMismatchError):
            again = anatomy_of(fixed, request)
            if isinstance(again, Detector) and (anatomy.head is None or _columns(again) == _columns(anatomy)):
                return Subject(fixed, again, ids)
    return Subject(model, anatomy, ids)


def _columns(anatomy: Detector) -> tuple[int, int | None] | None:
    """Return the number of class columns and which of them means "nothing"."""
    return None if anatomy.head is None else (len(anatomy.head.columns), anatomy.head.background)
