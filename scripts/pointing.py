#!/usr/bin/env python3
"""Measure a model of scenes, a classifier or a detector: what it predicts, and whether its maps point at the shapes.

Usage: pointing.py MODEL.xml [--mask gaussian|pixel] [--seed SEED] [--scenes COUNT]

Pointing game: for every class that is predicted (at the model's own `confidence_threshold`) the centre of the grid cell
with the highest value of its map must lie inside the box of its shape. A predicted class that is not in the scene is a
miss.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from scenes import LABELS, Scene, scenes

from ov_xai import Explanation, Session, insert

Array = npt.NDArray[Any]

#: Seed of the scenes that no model is trained on.
UNSEEN = 2
COUNT = 500


@dataclass(frozen=True)
class Figures:
    """What a model does on scenes.

    Attributes:
        present: bool [n, K], which classes are in a scene.
        predicted: bool [n, K], which are predicted.
        pointed: bool [n, K], which are predicted and pointed at.
        covered: f64 [n, K], part of the image inside the box of a class, 0..1; 0 where it is absent.
    """

    present: Array
    predicted: Array
    pointed: Array
    covered: Array

    @property
    def accuracy(self) -> Array:
        """Return the part of the scenes in which a class is rightly predicted or left out, f64 [K]."""
        return np.mean(self.predicted == self.present, axis=0)

    @property
    def f1(self) -> Array:
        """Return the harmonic mean of precision and recall, f64 [K]."""
        right = np.sum(self.predicted & self.present, axis=0)
        return 2 * right / np.maximum(np.sum(self.predicted, axis=0) + np.sum(self.present, axis=0), 1)

    @property
    def hits(self) -> int:
        """Return how many predicted classes are pointed at."""
        return int(np.sum(self.pointed))

    @property
    def total(self) -> int:
        """Return how many classes are predicted."""
        return int(np.sum(self.predicted))

    @property
    def chance(self) -> float:
        """Return the part of the predicted classes that random places would point at."""
        return float(np.sum(self.covered[self.predicted]) / max(self.total, 1))

    def describe(self) -> str:
        """Return a table of the classes and a line about the pointing game."""
        misses = np.sum(self.predicted & ~self.pointed, axis=0)
        rows = zip(LABELS, self.accuracy, self.f1, misses, strict=True)
        lines = [
            f"{label:10} accuracy {accuracy:.3f}  F1 {f1:.3f}  misses {miss}" for label, accuracy, f1, miss in rows
        ]
        return "\n".join(
            [
                *lines,
                f"mean       accuracy {self.accuracy.mean():.4f}  F1 {self.f1.mean():.4f}",
                f"pointing game: {self.hits}/{self.total} = {self.hits / max(self.total, 1):.2%}, "
                f"random places {self.chance:.1%}",
                f"shown although absent: {int(np.sum(self.predicted & ~self.present))}",
            ]
        )


def evaluate(patched: str | Path | ov.Model, seed: int = UNSEEN, count: int = COUNT) -> Figures:
    """Return the figures of a patched model on the scenes of a seed."""
    session = Session(patched)
    threshold = session.choice.least
    drawn = list(scenes(seed, count))
    present, predicted, pointed = np.zeros((3, count, len(LABELS)), bool)
    covered = np.zeros((count, len(LABELS)))
    for row, (scene, explanation) in enumerate(zip(drawn, session.map(scene.image for scene in drawn), strict=True)):
        present[row, scene.labels] = True
        covered[row, scene.labels] = np.prod(scene.boxes[:, 2:] - scene.boxes[:, :2], axis=1) / scene.image[..., 0].size
        for index, label in enumerate(LABELS):
            # A classifier shows its best class whatever its confidence.
            predicted[row, index] = explanation.confidences.get(label, 0) >= threshold
            pointed[row, index] = predicted[row, index] and is_pointed_at(scene, explanation, index)
    return Figures(present, predicted, pointed, covered)


def is_pointed_at(scene: Scene, explanation: Explanation, index: int) -> bool:
    """Return whether the map of a class peaks inside the box of its shape; False when there is none."""
    boxes = scene.boxes[scene.labels == index]
    if not len(boxes):
        return False
    x, y = peak(explanation.maps[LABELS[index]], scene.image.shape)
    left, top, right, bottom = boxes[0]
    return bool(left <= x < right and top <= y < bottom)


def peak(saliency: Array, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return the centre (x, y) of the cell with the highest value, in pixels of an image of this shape."""
    row, column = np.unravel_index(np.argmax(saliency), saliency.shape)
    return (column + 0.5) * shape[1] / saliency.shape[1], (row + 0.5) * shape[0] / saliency.shape[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--mask", help="the default of ov-xai when absent")
    parser.add_argument("--seed", type=int, default=UNSEEN)
    parser.add_argument("--scenes", type=int, default=COUNT)
    given = parser.parse_args()
    print(evaluate(insert(given.model, mask=given.mask), given.seed, given.scenes).describe())
