"""CNS: the same image gives the same result, alone or among others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.checks.coded import Check
from ov_xai.checks.samples import Sample
from ov_xai.checks.subject import Runner, Subject
from ov_xai.checks.verdict import Finding, NotApplicableError, failed, judged
from ov_xai.errors import DeviceError
from ov_xai.graph.image_input import find_image_input
from ov_xai.selfcheck.outputs import part_of_range

Array = npt.NDArray[Any]

#: Maps of an image alone and in a batch may differ by this part of their range on average: kernels for other batch
#: sizes add in another order, and quantised networks round to whole levels.
_BATCH_TOLERANCE = 2 / 255
#: Predictions that differ by more than this part of their range depend on the batch themselves.
_OWN_TOLERANCE = 1e-3
_BATCH = 3


def _same_twice(subject: Subject) -> Finding:
    return _same_bytes(subject, subject.run_patched, "run again")


def _same_compiled_again(subject: Subject) -> Finding:
    return _same_bytes(subject, subject.runner(subject.patched), "compiled again")


def _same_bytes(subject: Subject, again: Runner, how: str) -> Finding:
    for sample in subject.samples:
        first, second = subject.run_patched(sample.inputs), again(sample.inputs)
        for index, (old, new) in enumerate(zip(first, second, strict=True)):
            if old.shape != new.shape or old.tobytes() != new.tobytes():
                return failed(f"output {index} has other bytes when {how}, on {sample.name}")
    return judged(True, f"every output has the same bytes when {how}, on {subject.judged_on}")


def _same_in_a_batch(subject: Subject) -> Finding:
    subject.map_output()
    position = _batched_input(subject)
    alone = [_with_batch(sample, position, 1) for sample in subject.samples[:_BATCH]]
    together = _joined(alone, position)
    original = _runners(subject, subject.original, position, len(alone))
    patched = _runners(subject, subject.patched, position, len(alone))
    if original is None:
        raise NotApplicableError("the original itself runs on one batch size only")
    if patched is None and subject.original.inputs[position].get_partial_shape()[0].is_static:
        raise NotApplicableError("the patched model runs on the batch size that it was exported with only")
    if patched is None:
        return failed(f"the original runs on {len(alone)} images at a time, the patched model does not")
    if not _independent(original, alone, together):
        raise NotApplicableError("the original's own predictions depend on the batch")
    single, batched = patched
    expected = [subject.maps(single, inputs) for inputs in alone]
    found = subject.maps(batched, together)
    if len(found.values) != len(alone) or (found.classes is not None and len(found.classes) != len(alone)):
        return failed(f"{len(alone)} images give maps of {len(found.values)}")
    if not all(np.isfinite(one.values).all() for one in expected):
        raise NotApplicableError("the maps hold NaN or infinity (MAP001)")
    gaps = [
        _gap(one.values[0], found.values[index])
        for index, one in enumerate(expected)
        if found.classes is None or one.classes is None or np.array_equal(found.classes[index], one.classes[0])
    ]
    if not gaps:
        raise NotApplicableError("the best classes of --top-k tie and come in another order")
    worst = max(gaps)
    return judged(
        worst <= _BATCH_TOLERANCE,
        f"maps of {len(alone)} images differ by {worst:.2%} of their range on average from those one by one",
    )


def _gap(alone: Array, among_others: Array) -> float:
    """Return the mean difference of the maps of an image, as a part of the range of all of them."""
    span = float(np.ptp(alone)) or 1.0
    return float(np.abs(alone.astype(np.float64) - among_others).mean()) / span


def _batched_input(subject: Subject) -> int:
    """Return the index of the image input, whose first axis is the batch."""
    source, letters = find_image_input(subject.original)
    if letters[0] != "N":
        raise NotApplicableError("the image input has no batch axis")
    if len(subject.original.inputs) > 1:
        raise NotApplicableError("the model has other inputs besides the image")
    if len(subject.samples) < 2:
        raise NotApplicableError("there is one input only")
    name = source.get_node().get_friendly_name()
    return [item.get_node().get_friendly_name() for item in subject.original.inputs].index(name)


def _with_batch(sample: Sample, position: int, count: int) -> list[Array]:
    """Return the inputs of a sample with its first image alone."""
    inputs = list(sample.inputs)
    inputs[position] = inputs[position][:count]
    return inputs


def _joined(alone: list[list[Array]], position: int) -> list[Array]:
    """Return all images as one batch."""
    joined = list(alone[0])
    joined[position] = np.concatenate([inputs[position] for inputs in alone])
    return joined


def _runners(subject: Subject, model: ov.Model, position: int, count: int) -> tuple[Runner, Runner] | None:
    """Return a model compiled for one image and for several; None when it cannot be."""
    runners = []
    for batch in (1, count):
        resized = model.clone()
        source = resized.inputs[position]
        shape = source.get_partial_shape()
        shape[0] = batch
        try:
            resized.reshape({source: shape})
            runners.append(subject.runner(resized))
        except (RuntimeError, DeviceError):
            return None
    return runners[0], runners[1]


def _independent(original: tuple[Runner, Runner], alone: list[list[Array]], together: list[Array]) -> bool:
    """Return whether the predictions of the original are the same for an image alone and in a batch."""
    single, batched = original
    try:
        joint = batched(together)
        parts = [single(inputs) for inputs in alone]
    except RuntimeError:
        return False
    for index, whole in enumerate(joint):
        each = [part[index] for part in parts]
        if any(one.ndim == 0 or one.shape[0] != 1 for one in each):
            return False
        apart = np.concatenate(each) if len({one.shape for one in each}) == 1 else None
        if apart is None or apart.shape != whole.shape or not part_of_range(apart, whole) <= _OWN_TOLERANCE:
            return False
    return True


CHECKS = (
    Check(
        "CNS001",
        "the same input gives the same bytes",
        "All outputs of two inferences of one compiled model.",
        "Results that change by themselves cannot be audited.",
        "Report the model with the device and its driver.",
        _same_twice,
    ),
    Check(
        "CNS002",
        "a freshly compiled model gives the same bytes",
        "All outputs of two compiled models, in single precision.",
        "Maps recorded before a restart must be those made after it.",
        "Report the model with the device and its driver.",
        _same_compiled_again,
    ),
    Check(
        "CNS003",
        "maps of an image do not depend on the batch it is in",
        f"Maps of up to {_BATCH} inputs at once against one by one, where the original's predictions are the same.",
        "Neighbours in a batch are other photos, perhaps of other people.",
        "Patch the original again; scale every map to its own range.",
        _same_in_a_batch,
    ),
)
