"""Labelled photos, and the top-1 accuracy of a classifier on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.errors import InputError, ModelMismatchError
from ov_xai.graph.trial import EXACT
from ov_xai.quantization.calibration import Feeder, find_photos
from ov_xai.runtime.images import natural_key
from ov_xai.runtime.labels import distinct_labels, find_classes, numbered_labels, require_count
from ov_xai.runtime.session import ImageSource

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Labelled:
    """A photo and what it shows.

    Attributes:
        photo: path, or u8 [H, W, 3], RGB.
        label: class index.
    """

    photo: ImageSource
    label: int


@dataclass(frozen=True)
class Validation:
    """Labelled photos.

    Attributes:
        items: those that can be read.
        skipped: per photo that cannot be read a sentence that says why.
    """

    items: list[Labelled]
    skipped: list[str]


def read_validation(folder: str | os.PathLike[str], labels: Sequence[str] | None, classes: int) -> Validation:
    """Return the photos in the sub-folders of a folder; each sub-folder is named by a label or a class index.

    Args:
        folder: the folder.
        labels: one per class; None when the model has none.
        classes: number of classes.

    Raises:
        InputError: the folder cannot be listed or has no sub-folders, or one of them no photo.
        ModelMismatchError: a sub-folder is named by no class.
    """
    names = distinct_labels(numbered_labels(classes) if labels is None else require_count(labels, classes))
    items: list[Labelled] = []
    skipped: list[str] = []
    for path in _sub_folders(Path(folder)):
        found = find_photos(path)
        label = _class_of(path, names)
        items += [Labelled(photo, label) for photo in found.photos]
        skipped += found.skipped
    return Validation(items, skipped)


def _sub_folders(folder: Path) -> list[Path]:
    try:
        found = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: natural_key(path.name))
    except OSError as error:
        raise InputError(f"Validation folder '{folder}' cannot be read: {error.strerror}. Check the path.") from error
    if not found:
        raise InputError(
            f"Validation folder '{folder}' has no sub-folders; expected one per class, named by its label or index, "
            "with photos of that class."
        )
    return found


def _class_of(path: Path, names: Sequence[str]) -> int:
    try:
        (label,) = find_classes(names, [path.name])
    except ModelMismatchError as error:
        raise ModelMismatchError(f"Validation folder '{path}' is named by no class of the model. {error}") from error
    return label


@dataclass(frozen=True)
class TopOne:
    """Measures the top-1 accuracy of a compiled classifier.

    Attributes:
        feed: makes the input of a photo.
        output: index of the output with the class scores.
    """

    feed: Feeder
    output: int

    def __call__(self, model: ov.CompiledModel, items: Iterable[Labelled]) -> tuple[float, list[list[Array]]]:
        """Return the accuracy, 0..1, and the scores of every photo, by which NNCF ranks layers."""
        hits, scores = [], []
        for item in items:
            found = np.array(model(self.feed(item.photo))[self.output])
            hits.append(int(found[:1].argmax()) == item.label)
            scores.append([found])
        return sum(hits) / max(1, len(hits)), scores


def compiled_accuracy(model: ov.Model, measure: Callable[..., tuple[float, Any]], items: Sequence[Labelled]) -> float:
    """Return the top-1 accuracy of a model, 0..1, in the precision that NNCF measures it in."""
    return measure(ov.Core().compile_model(model, "CPU", EXACT), items)[0]
