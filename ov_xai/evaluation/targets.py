"""What is explained in each image, and where it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from ov_xai.annotations import Annotations, Box
from ov_xai.errors import InputError, ModelMismatchError
from ov_xai.evaluation.options import EvaluationOptions
from ov_xai.evaluation.subject import Subject
from ov_xai.runtime.images import find_images, read_image
from ov_xai.runtime.labels import find_classes, folded, label_of
from ov_xai.runtime.placement import Placement
from ov_xai.runtime.predictions import BoxXYXY


@dataclass(frozen=True)
class Target:
    """A class that is explained in an image.

    Attributes:
        index: the class.
        boxes: x0, y0, x1, y1 of its objects in pixels of the network's input; none where they are not known.
    """

    index: int
    boxes: tuple[BoxXYXY, ...] = ()


@dataclass(frozen=True)
class Sample:
    """An image and what is explained in it; of a detector that finds nothing, nothing is."""

    path: Path
    targets: tuple[Target, ...]


@dataclass
class Look:
    """What a look at all images finds.

    Attributes:
        samples: the images that can be read.
        skipped: path and reason of those that cannot.
        annotated: file names of the samples that have annotations.
    """

    samples: list[Sample] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    annotated: set[str] = field(default_factory=set)


class Chooser:
    """Says what is explained in a photo.

    Of a classifier it is the class with the highest probability, of a detector every class it detects; boxes are those
    annotated with the label of that class, in any case. Without annotations, those of a detector are its detections.

    Args:
        subject: the model.
        annotations: boxes by file name; None for none.
        options: may restrict the classes.

    Raises:
        ModelMismatchError: a class is not known.
    """

    def __init__(self, subject: Subject, annotations: Annotations | None, options: EvaluationOptions) -> None:
        self._subject = subject
        self._annotations = annotations
        known = find_classes(subject.labels, options.classes, open_ended=not subject.manifest.classes)
        self._classes = known if options.classes else None
        if known and subject.manifest.top_k is not None:
            raise ModelMismatchError(
                f"The model was patched with --top-k {subject.manifest.top_k} and has maps of its best classes only. "
                "Leave out --classes, or patch the original model without --top-k."
            )

    def annotated(self, path: Path) -> Sequence[Box] | None:
        """Return the annotated boxes of an image, in pixels of the photo; None where it has no annotations."""
        if self._annotations is None:
            return None
        return self._annotations.get(path.name)

    def __call__(self, path: Path) -> Sample:
        """Return what is explained in an image.

        Raises:
            InputError: the image cannot be read.
        """
        photo = read_image(path)
        if self._subject.classifier:
            image, placement = self._subject.prepare(photo)
            assert self._subject.predict is not None
            probabilities = self._subject.predict(image[None])[0]
            among = range(len(probabilities)) if self._classes is None else self._classes
            best = max(among, key=lambda index: float(probabilities[index]))
            return Sample(path, (Target(best, self._boxes(path, best, placement)),))
        explanation = self._subject.session(photo)
        found: dict[int, list[BoxXYXY]] = {}
        for item in explanation.predictions:
            if self._is_explained(item.index):
                found.setdefault(item.index, []).extend([] if item.box is None else [item.box])
        if self._annotations is None:
            boxes = {index: shown_boxes(own, explanation.placement) for index, own in found.items()}
        else:
            boxes = {index: self._boxes(path, index, explanation.placement) for index in found}
        return Sample(path, tuple(Target(index, own) for index, own in boxes.items()))

    def _is_explained(self, index: int) -> bool:
        manifest = self._subject.manifest
        has_map = not manifest.classes or (index < manifest.classes and index not in manifest.unused_classes)
        return has_map and (self._classes is None or index in self._classes)

    def _boxes(self, path: Path, index: int, placement: Placement) -> tuple[BoxXYXY, ...]:
        label = folded(label_of(self._subject.labels, index))
        boxes = [box.xyxy for box in self.annotated(path) or () if folded(box.label) == label]
        return shown_boxes(boxes, placement)


def look(subject: Subject, data: Path, annotations: Annotations | None, options: EvaluationOptions) -> Iterator[Look]:
    """Yield what is found so far after every image at or below `data`.

    Raises:
        InputError: `data` cannot be read or holds no image, none can be read, or no image has annotations.
        ModelMismatchError: a class is not known.
    """
    choose = Chooser(subject, annotations, options)
    found = Look()
    for path in image_paths(data, options.limit):
        try:
            found.samples.append(choose(path))
        except InputError as error:
            found.skipped.append((str(path), str(error)))
        else:
            _note_annotated(found, path, choose.annotated(path))
        yield found
    if not found.samples and not found.skipped:
        raise InputError(f"No images found in '{data}'. Supported: jpg, jpeg, png, bmp, tif, tiff, webp, gif.")
    if not found.samples:
        raise InputError(f"None of the {len(found.skipped)} images in '{data}' can be read: {found.skipped[0][1]}")
    if annotations is not None and not found.annotated:
        names = ", ".join(sorted(annotations)[:3]) or "none"
        raise InputError(
            f"The annotations name {len(annotations)} images ({names}), and none of them is among the "
            f"{len(found.samples)} in '{data}'. Give the annotations of these images."
        )


def _note_annotated(found: Look, path: Path, boxes: Sequence[Box] | None) -> None:
    if boxes is None:
        return
    if path.name in found.annotated:
        raise InputError(
            f"Two images are named '{path.name}', and annotations tell images apart by name only. Rename one of them."
        )
    found.annotated.add(path.name)


def image_paths(data: Path, limit: int | None) -> Iterable[Path]:
    """Return the image at `data`, or the first ones below it in natural order."""
    return (file.path for file in islice(find_images(data), limit))


def shown_boxes(boxes: Sequence[BoxXYXY], placement: Placement) -> tuple[BoxXYXY, ...]:
    """Return boxes in pixels of the photo as boxes in pixels of the input, without those that it does not show."""
    inside = placement.to_input(np.array(boxes, np.float64).reshape(-1, 4))
    seen = inside[(inside[:, 2:] > inside[:, :2]).all(axis=1)]
    return tuple((row[0], row[1], row[2], row[3]) for row in seen.tolist())
