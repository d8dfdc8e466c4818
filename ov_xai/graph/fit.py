"""Whether the manifest of a patched model speaks of that model."""

from __future__ import annotations

from collections.abc import Iterator

import openvino as ov

from ov_xai.errors import ModelReadError
from ov_xai.graph.manifest import Manifest
from ov_xai.graph.outputs import SALIENCY_CLASSES, SALIENCY_MAP
from ov_xai.graph.readout import Columns, Readout, SegmentReadout
from ov_xai.graph.view import sizes

#: Axes of maps per class, and of maps per image.
_CLASS_WISE_RANK, _PER_IMAGE_RANK = 4, 3
_BOX_COLUMNS = 4


def require_fit(model: ov.Model, manifest: Manifest) -> None:
    """Refuse a model whose manifest names outputs, columns or classes that it does not have.

    Raises:
        ModelReadError: they do not belong together.
    """
    fault = next(_faults(model, manifest), None)
    if fault is not None:
        raise ModelReadError(f"The manifest does not fit the patched model: {fault}. Patch the original model again.")


def _faults(model: ov.Model, manifest: Manifest) -> Iterator[str]:
    index = {name: position for position, output in enumerate(model.outputs) for name in output.get_names()}
    own = index.get(SALIENCY_MAP, 0)
    if own == 0:
        yield "there is no output 'saliency_map' behind the model's own"
        return
    if manifest.task == "classification" and manifest.score_output >= own:
        yield f"scores are said to be in output {manifest.score_output} of {own}"
    if any(label >= manifest.classes for label in manifest.unused_classes):
        yield f"a label id without class is not among the {manifest.classes}"
    yield from _faults_of_maps(sizes(model.outputs[own]), manifest)
    if manifest.top_k is not None and SALIENCY_CLASSES not in index:
        yield "there is no output 'saliency_classes'"
    shapes = [sizes(output) for output in model.outputs[:own]]
    if manifest.readout is not None:
        yield from _faults_of_readout(shapes, manifest.readout)
    if manifest.segments is not None:
        yield from _faults_of_segments(shapes, manifest.segments, manifest.classes)


def _faults_of_maps(shape: list[int | None] | None, manifest: Manifest) -> Iterator[str]:
    class_wise, count = manifest.score is not None, manifest.top_k or manifest.classes
    if shape is None or len(shape) != (_CLASS_WISE_RANK if class_wise else _PER_IMAGE_RANK):
        yield f"maps of shape {shape} are not maps per {'class' if class_wise else 'image'}"
    # Where height and width are counted at run time, OpenVINO infers no extent of what is laid out on them.
    elif class_wise and shape[1] not in (None, count):
        yield f"there are {shape[1]} maps for {count} classes"


def _faults_of_readout(shapes: list[list[int | None] | None], readout: Readout) -> Iterator[str]:
    if not readout.scores or (readout.selected and readout.labels is None):
        yield "detections have no scores or labels"
    if readout.boxes is not None and readout.boxes.stop - readout.boxes.start != _BOX_COLUMNS:
        yield f"a box is said to have {readout.boxes.stop - readout.boxes.start} columns"
    for columns in (*readout.scores, readout.boxes, readout.labels, readout.objectness):
        if columns is not None and not _are_there(columns, shapes):
            yield f"output {columns.output} has no columns {columns.start} to {columns.stop} on axis {columns.axis}"


def _faults_of_segments(shapes: list[list[int | None] | None], segments: SegmentReadout, classes: int) -> Iterator[str]:
    shape = shapes[segments.output] if segments.output < len(shapes) else []
    if shape is None:
        return
    if any(axis is not None and axis >= len(shape) for axis in (segments.axis, segments.batch)) or not shape:
        yield f"output {segments.output} has no axes {segments.axis} and {segments.batch}"
    elif segments.axis is not None and shape[segments.axis] not in (None, classes):
        yield f"output {segments.output} has {shape[segments.axis]} scores for {classes} classes"


def _are_there(columns: Columns, shapes: list[list[int | None] | None]) -> bool:
    if columns.output >= len(shapes):
        return False
    shape = shapes[columns.output]
    if columns.axis == 0 or shape is None:
        return True
    if -columns.axis > len(shape) or columns.start >= columns.stop:
        return False
    extent = shape[columns.axis]
    return extent is None or columns.stop <= extent
