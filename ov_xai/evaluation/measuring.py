"""The metrics of one map, and their means over the classes of an image and over images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ov_xai.evaluation.explainers import Explainer, Map
from ov_xai.evaluation.metric_names import (
    ADCC,
    AVERAGE_DROP,
    COHERENCY,
    COMPLEXITY,
    DELETION,
    ENERGY,
    INSERTION,
    POINTING_GAME,
    ROAD,
    SPARSITY,
)
from ov_xai.evaluation.network import Images, Predictor
from ov_xai.evaluation.options import EvaluationOptions
from ov_xai.evaluation.targets import Target
from ov_xai.metrics import (
    Curve,
    Substrate,
    adcc,
    average_drop,
    coherency,
    complexity,
    deletion,
    energy_pointing_game,
    insertion,
    pointing_game,
    road,
    sparsity,
)


@dataclass(frozen=True)
class Measured:
    """The metrics of one map.

    Attributes:
        values: by metric; one that could not be measured is left out.
        curves: by metric, those of insertion and deletion.
    """

    values: dict[str, float] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)


@dataclass(frozen=True)
class Gauge:
    """Measures the maps of one method.

    Attributes:
        explainer: makes the maps.
        predict: images -> probabilities; None where there are none.
        metrics: names of those that are wanted and for which the model and the method have what they need.
        options: steps, tolerance and seed.
    """

    explainer: Explainer
    predict: Predictor | None
    metrics: tuple[str, ...]
    options: EvaluationOptions

    def __call__(self, image: Images, targets: Sequence[Target]) -> list[Measured]:
        """Return the metrics of the map of each class, none where the method has no map of it."""
        maps = [self.explainer.source(image, target.index) for target in targets]
        return [
            Measured() if saliency is None else self._measure(image, saliency, target)
            for saliency, target in zip(maps, targets, strict=True)
        ]

    def _measure(self, image: Images, saliency: Map, target: Target) -> Measured:
        curves = self._curves(image, saliency, target.index)
        values = {name: curve.area for name, curve in curves.items()}
        values |= self._of_map(saliency, target)
        values |= self._of_product(image, saliency, target.index)
        if self.predict is not None and ROAD in self.metrics:
            values[ROAD] = road(
                self.predict, image, saliency, target.index, batch=self.predict.batch, seed=self.options.seed
            )
        return Measured({name: values[name] for name in self.metrics if name in values}, curves)

    def _curves(self, image: Images, saliency: Map, index: int) -> dict[str, Curve]:
        if self.predict is None:
            return {}
        steps, batch = self.options.steps, self.predict.batch
        curves = {}
        if INSERTION in self.metrics:
            curves[INSERTION] = insertion(
                self.predict, image, saliency, index, steps=steps, batch=batch, substrate=Substrate.BLUR
            )
        if DELETION in self.metrics:
            curves[DELETION] = deletion(
                self.predict, image, saliency, index, steps=steps, batch=batch, substrate=Substrate.ZEROS
            )
        return curves

    def _of_map(self, saliency: Map, target: Target) -> dict[str, float]:
        """Return the metrics that need nothing but the map and the boxes of its class."""
        values = {COMPLEXITY: complexity(saliency), SPARSITY: sparsity(saliency)}
        if target.boxes:
            values[POINTING_GAME] = float(pointing_game(saliency, target.boxes, self.options.tolerance))
            values[ENERGY] = energy_pointing_game(saliency, target.boxes)
        return values

    def _of_product(self, image: Images, saliency: Map, index: int) -> dict[str, float]:
        """Return the metrics that look at the product of image and map, by the protocol of `measure_adcc`.

        A model without a score per class, or with maps of its best classes only, has a part of them.
        """
        if not {AVERAGE_DROP, COHERENCY, ADCC} & set(self.metrics):
            return {}
        product = image * saliency[..., None]
        values = {COMPLEXITY: complexity(saliency)}
        if self.predict is not None:
            full, kept = self.predict(np.stack([image, product]))[:, index].tolist()
            values[AVERAGE_DROP] = average_drop(full, kept)
        again = self.explainer.source(product, index) if self.explainer.any_class else None
        if again is not None:
            values[COHERENCY] = coherency(saliency, again)
        if values.keys() >= {AVERAGE_DROP, COHERENCY}:
            values[ADCC] = adcc(values[AVERAGE_DROP], values[COHERENCY], values[COMPLEXITY])
        return values


def mean_values(measured: Sequence[Measured]) -> dict[str, float]:
    """Return the mean of each metric over several maps, of those for which it was measured."""
    names = dict.fromkeys(name for item in measured for name in item.values)
    return {name: float(np.mean([item.values[name] for item in measured if name in item.values])) for name in names}


class MeanCurves:
    """Sums up curves and gives their means; the curves themselves are not kept."""

    def __init__(self) -> None:
        self._sums: dict[str, Curve] = {}
        self._counts: dict[str, float] = {}

    def add(self, measured: Sequence[Measured]) -> None:
        """Add the curves of one image; the explained classes share its weight."""
        for item in measured:
            for name, curve in item.curves.items():
                self._counts[name] = self._counts.get(name, 0.0) + 1 / len(measured)
                self._sums[name] = _plus(self._sums.get(name), curve, 1 / len(measured))

    def means(self) -> dict[str, Curve]:
        """Return the mean curve of each metric."""
        return {
            name: Curve(total.fractions, total.scores / self._counts[name], total.substrate, total.steps)
            for name, total in self._sums.items()
        }


def _plus(total: Curve | None, curve: Curve, weight: float) -> Curve:
    """Return a sum of curves at the fractions of the first; images of other sizes are cut into other fractions."""
    fractions = curve.fractions if total is None else total.fractions
    scores = weight * np.interp(fractions, curve.fractions, curve.scores)
    return Curve(fractions, scores if total is None else total.scores + scores, curve.substrate, curve.steps)
