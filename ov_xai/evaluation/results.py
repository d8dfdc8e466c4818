"""What an evaluation found: plain numbers, and intervals around their means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ov_xai.errors import RequestError
from ov_xai.evaluation.metric_names import METRICS
from ov_xai.metrics import Curve, Interval, bootstrap_interval, paired_difference

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MethodResult:
    """The figures of one method.

    Attributes:
        name: of the method.
        values: metric -> f64 [images], the mean over the explained classes of an image; NaN where there is nothing to
            measure.
        curves: "insertion" and "deletion" -> the mean curve over all images.
        detail: what the method is exactly; empty where the name says it.
        baseline: whether the maps know nothing of the model.
    """

    name: str
    values: Mapping[str, Values]
    curves: Mapping[str, Curve] = field(default_factory=dict)
    detail: str = ""
    baseline: bool = False

    def counts(self) -> dict[str, int]:
        """Return metric -> number of images in which it was measured."""
        return {name: int(np.isfinite(values).sum()) for name, values in self.values.items()}

    def intervals(self) -> dict[str, Interval]:
        """Return metric -> mean over the images and its 95 % bootstrap interval; without metrics never measured."""
        return dict(self._intervals)

    @cached_property
    def _intervals(self) -> dict[str, Interval]:
        finite = {name: values[np.isfinite(values)] for name, values in self.values.items()}
        return {name: bootstrap_interval(values) for name, values in finite.items() if values.size}


@dataclass(frozen=True)
class Evaluation:
    """How well the maps of a model's methods explain it.

    Attributes:
        model: file name of the model.
        images: number of images measured.
        metrics: names of the metrics, in the order of `METRICS`.
        results: one per method, in the order they were asked for, baselines last.
        facts: how it was measured, (name, value) pairs.
        notes: what could not be measured, as sentences.
        skipped: (path, reason) of images that could not be read.
    """

    model: str
    images: int
    metrics: tuple[str, ...]
    results: tuple[MethodResult, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()

    def intervals(self) -> dict[str, dict[str, Interval]]:
        """Return method -> metric -> mean and 95 % interval."""
        return {result.name: result.intervals() for result in self.results}

    def differences(self, reference: str | None = None) -> dict[str, dict[str, Interval]]:
        """Return method -> metric -> mean difference to a reference and its 95 % interval, image by image.

        Args:
            reference: name of a method; None for the first.

        Raises:
            RequestError: there is no such method.
        """
        first = self.result(self.results[0].name if reference is None else reference)
        return {
            other.name: {
                metric: paired_difference(*pair)
                for metric in self.metrics
                if (pair := _paired(other, first, metric))[0].size
            }
            for other in self.results
            if other is not first
        }

    def result(self, name: str) -> MethodResult:
        """Return the result of a method.

        Raises:
            RequestError: there is no such method.
        """
        for result in self.results:
            if result.name == name:
                return result
        names = ", ".join(result.name for result in self.results)
        raise RequestError(f"Method '{name}' was not evaluated; there are: {names}.")

    def best(self) -> dict[str, set[str]]:
        """Return metric -> the methods with the best mean, all of them where several are equal."""
        means = {
            metric: {method: found[metric].mean for method, found in self.intervals().items() if metric in found}
            for metric in self.metrics
        }
        return {
            metric: {method for method, mean in found.items() if mean == _best(metric, list(found.values()))}
            for metric, found in means.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        differences = self.differences()
        return {
            "model": self.model,
            "images": self.images,
            "facts": dict(self.facts),
            "notes": list(self.notes),
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
            "metrics": [
                {"name": name, "title": METRICS[name].title, "higher_is_better": METRICS[name].higher_is_better}
                for name in self.metrics
            ],
            "results": [_record(result, differences.get(result.name, {})) for result in self.results],
        }


def _best(metric: str, means: list[float]) -> float:
    return max(means) if METRICS[metric].higher_is_better else min(means)


def _paired(one: MethodResult, other: MethodResult, metric: str) -> tuple[Values, Values]:
    """Return the values of two methods for the images in which both were measured."""
    both = np.isfinite(one.values[metric]) & np.isfinite(other.values[metric])
    return one.values[metric][both], other.values[metric][both]


def _record(result: MethodResult, differences: Mapping[str, Interval]) -> dict[str, Any]:
    counts = result.counts()
    return {
        "method": result.name,
        "detail": result.detail,
        "baseline": result.baseline,
        "metrics": {name: {**_bounds(interval), "n": counts[name]} for name, interval in result.intervals().items()},
        "difference_to_first": {name: _bounds(interval) for name, interval in differences.items()},
        "curves": {
            name: {"fractions": curve.fractions.tolist(), "scores": curve.scores.tolist()}
            for name, curve in result.curves.items()
        },
    }


def _bounds(interval: Interval) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}
