"""What a model says is in an image, read from its outputs: the common form of all tasks, and that of classifiers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ov_xai.runtime.labels import label_of
from ov_xai.runtime.placement import Placement

Array = npt.NDArray[Any]
BoxXYXY = tuple[float, float, float, float]


@dataclass(frozen=True)
class Prediction:
    """One class and its confidence, or one detection.

    Attributes:
        index: class index in the model's output; the label id of a detection.
        label: its name.
        confidence: probability, 0..1.
        box: of a detection x0, y0, x1, y1 in pixels of the photo, inside it; None where there is no box.
    """

    index: int
    label: str
    confidence: float
    box: BoxXYXY | None = None


@dataclass(frozen=True)
class Reading:
    """The predictions in the outputs of one inference.

    Attributes:
        predictions: at or above the threshold, best first.
        confidences: class index -> best confidence, where it is known.
    """

    predictions: Sequence[Prediction]
    confidences: Mapping[int, float]


@dataclass(frozen=True, eq=False)
class ClassConfidences(Mapping[int, float]):
    """Class index -> confidence, of all classes of a classifier: f64 [K], looked up one by one."""

    probabilities: Array

    def __getitem__(self, index: int) -> float:
        if not 0 <= index < len(self.probabilities):
            raise KeyError(index)
        return float(self.probabilities[index])

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.probabilities)))

    def __len__(self) -> int:
        return len(self.probabilities)


#: Reads the outputs of one image, in the order of the model's outputs.
Reader = Callable[[Sequence[Array], Placement], Reading]


@dataclass(frozen=True)
class ClassReader:
    """Reads a classifier.

    Attributes:
        output: index of the output with the scores, [1, K].
        activation: what the scores have been through: "softmax", "log_softmax", "sigmoid" or "none".
        multilabel: whether classes do not exclude each other.
        labels: one per class.
        threshold: confidence, 0..1.
        best: index of the output with the classes that have maps, i64 [1, T], best first; None where all have.
    """

    output: int
    activation: str
    multilabel: bool
    labels: Sequence[str]
    threshold: float
    best: int | None = None

    def __call__(self, outputs: Sequence[Array], _: Placement) -> Reading:
        """Return the classes at or above the threshold, at least the best one."""
        scores = outputs[self.output].reshape(-1).astype(np.float64)
        confidences = to_probabilities(scores, self.activation, self.multilabel)
        sure = np.flatnonzero(confidences >= self.threshold)
        candidates = sure if len(sure) else _best(confidences)
        if len(candidates) > 1:
            ranks = self._ranks(outputs, len(confidences))
            candidates = candidates[np.lexsort((ranks[candidates], -confidences[candidates]))]
        shown = candidates[: max(1, len(sure))].tolist()
        best = [Prediction(i, label_of(self.labels, i), float(confidences[i])) for i in shown]
        return Reading(best, ClassConfidences(confidences))

    def _ranks(self, outputs: Sequence[Array], classes: int) -> Array:
        """Return where each class stands among those of equal confidence, i64 [K].

        The model may take either of two equal scores for the best; the first prediction is to be the one with a map.
        """
        ranks = np.arange(classes)
        if self.best is not None:
            listed = outputs[self.best].reshape(-1)
            ranks[listed] = np.arange(-len(listed), 0)
        return ranks


def _best(confidences: Array) -> Array:
    """Return the classes of the highest confidence; all where it is not a number."""
    best = np.flatnonzero(confidences == confidences.max())
    return best if len(best) else np.arange(len(confidences))


def to_probabilities(scores: Array, activation: str, multilabel: bool) -> Array:
    """Return the scores of a classifier, [..., K], as probabilities.

    Args:
        scores: as the model gives them.
        activation: what they have been through: "softmax", "log_softmax", "sigmoid" or "none".
        multilabel: whether classes do not exclude each other.
    """
    if activation == "log_softmax":
        return np.asarray(np.exp(scores))
    if activation != "none":
        return scores
    return sigmoid(scores) if multilabel or scores.shape[-1] == 1 else softmax(scores)


def softmax(values: Array) -> Array:
    """Return values made probabilities along their last axis."""
    shifted = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def sigmoid(values: Array) -> Array:
    """Return values made probabilities one by one; f64, beyond whose range the exponential does not go."""
    return np.asarray(1 / (1 + np.exp(-np.maximum(values, -700.0, dtype=np.float64))))
