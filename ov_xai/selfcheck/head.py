"""The part of a patched classifier behind its target, run literally on masked copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.analysis.axes import PLACE_ROLES, Axis, Role, factors, place_axes
from ov_xai.analysis.classifier import Classifier
from ov_xai.analysis.demand import on_grid
from ov_xai.analysis.scores import Activation
from ov_xai.graph.kinds import ROUNDING_OPS
from ov_xai.graph.outputs import SALIENCY_CLASSES, SALIENCY_MAP
from ov_xai.graph.remainder import Remainder
from ov_xai.graph.trial import EXACT, SAMPLE_BATCH, as_results, bypass, counterpart, with_stand_in
from ov_xai.graph.view import GraphView, sizes
from ov_xai.perturbation.replay import head_nodes
from ov_xai.plan import ClassifierPlan
from ov_xai.request import Mask, Score

Array = npt.NDArray[Any]

#: Without this, activations that meet 8-bit weights are rounded when the model runs.
UNROUNDED = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
#: Inserted outputs that are read.
_COMPARED = (SALIENCY_MAP, SALIENCY_CLASSES)


def activate(logits: Array, activation: Activation) -> Array:
    """Return what an activation makes of logits [N, K]."""
    if activation is Activation.SIGMOID:
        return np.asarray(1 / (1 + np.exp(-logits)))
    if activation is Activation.SOFTMAX:
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
    return logits


class Head:
    """The part of a patched model behind the target, with the target as an input.

    Args:
        probe: the patched model.
        anatomy: anatomy of a model with nodes of the same names.
        rounded: whether masked runs round activations.

    Attributes:
        behind: computes the logits and, where the model is patched, the maps and their classes.
    """

    def __init__(self, probe: ov.Model, anatomy: Classifier, rounded: bool) -> None:
        self._layout = anatomy.target.layout
        self._classes = anatomy.scores.classes
        model = probe.clone()
        logits = counterpart(model, anatomy.scores.logits)
        if not rounded:
            for node in head_nodes(GraphView(model), counterpart(model, anatomy.target.output), logits):
                if node.get_type_name() in ROUNDING_OPS:
                    bypass(node.output(0))
        stand_in = with_stand_in(model, anatomy.target.output)
        maps = {name: result.input_value(0) for result in model.get_results() for name in result.output(0).get_names()}
        outputs = [logits, *(maps[name] for name in _COMPARED if name in maps)]
        self._shape = sizes(stand_in.output(0)) or []
        self._type = stand_in.output(0).get_element_type().to_dtype()
        self.behind = Remainder(as_results(outputs), [stand_in], EXACT if rounded else EXACT | UNROUNDED)

    def random_target(self) -> Array:
        """Return random activations of the shape of the target."""
        shape = [
            extent if extent is not None else _stand_in_extent(axis)
            for axis, extent in zip(self._layout, self._shape, strict=True)
        ]
        return np.random.default_rng(2).standard_normal(shape).astype(self._type)

    def _run(self, target: Array) -> list[Array]:
        results = self.behind.run([target])
        if not all(result.size for result in results):
            # On a single core OpenVINO 2026.4 loses the error of a shape that does not fit.
            raise RuntimeError("a result is empty")
        return results

    def maps(self, target: Array) -> tuple[Array, Array | None]:
        """Return the maps [N, K or T, h, w] and, with top-k, the classes [N, T]."""
        results = self._run(target)
        return results[1], results[2] if len(results) > 2 else None

    def depends_on_the_rest(self, target: Array) -> bool:
        """Return whether the logits depend on the other inputs; with weights of zero they depend on nothing."""
        others = [np.flip(values) for values in self.behind.samples]
        return not np.array_equal(self._run(target)[0], self.behind.run([target], others)[0])

    def logits(self, target: Array) -> Array:
        """Return the logits [N, K]."""
        return self._run(target)[0].reshape(-1, self._classes)

    def scores(self, target: Array, plan: ClassifierPlan, y: int, x: int) -> tuple[Array, Array]:
        """Return what a map should hold at place (y, x), and the size of the numbers it is computed from.

        Both are [N, K]: the scores of a masked target, or what they differ by.
        """
        logits = self.logits(target * self.mask(plan.mask, target.shape, y, x))
        if plan.score is not Score.CONTRAST:
            scores = activate(logits, plan.activation)
            return scores, np.abs(scores)
        blank = self.logits(target * self.blank(target.shape))
        moved, size = logits - blank, np.abs(logits) + np.abs(blank)
        if plan.activation is Activation.SOFTMAX:
            prediction = activate(self.logits(target), Activation.SOFTMAX)
            moved = moved - (moved * prediction).sum(1, keepdims=True)
            size = size + (size * prediction).sum(1, keepdims=True)
        return np.asarray(np.maximum(moved, 0)), np.asarray(size)

    def blank(self, shape: tuple[int, ...]) -> Array:
        """Return the mask that keeps no place, broadcastable against the target."""
        return self._weights(np.zeros(_grid_of(self._layout, shape), np.float32), shape)

    def mask(self, mask: Mask, shape: tuple[int, ...], y: int, x: int) -> Array:
        """Return M_p for place (y, x), broadcastable against the target."""
        height, width = _grid_of(self._layout, shape)
        picture = np.zeros((height, width), np.float32)
        weights = {Mask.PIXEL: {0: 1.0}, Mask.GAUSSIAN: {0: 0.5, 1: 0.25}}[mask]
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                if 0 <= y + dy < height and 0 <= x + dx < width:
                    picture[y + dy, x + dx] = weights.get(abs(dy), 0.0) * weights.get(abs(dx), 0.0)
        return self._weights(picture, shape)

    def _weights(self, picture: Array, shape: tuple[int, ...]) -> Array:
        """Return the weight of each place of a target [h, w], and 1 for tokens beside the grid."""
        places = place_axes(self._layout)
        broadcast = [shape[axis] if axis in places else 1 for axis in range(len(shape))]
        if len(places) > 1:
            return picture.reshape(broadcast)
        tokens = on_grid(self._layout[places[0]])
        row = np.ones(shape[places[0]], np.float32)
        row[slice(None) if tokens is None else tokens] = picture.reshape(-1)
        return row.reshape(broadcast)


def _stand_in_extent(axis: Axis) -> int:
    roles = {factor.role for factor in factors(axis)}
    return SAMPLE_BATCH if Role.BATCH in roles else 7


def _grid_of(layout: tuple[Axis, ...], shape: tuple[int, ...]) -> tuple[int, int]:
    extents: dict[Role, int] = {}
    for axis, extent in zip(layout, shape, strict=True):
        parts = [factor for factor in factors(axis) if factor.role in PLACE_ROLES]
        for part in parts:
            extents[part.role] = part.size if part.size is not None else extent
    return extents[Role.Y], extents[Role.X]
