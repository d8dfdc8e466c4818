"""OUT: the original outputs, which patching must leave alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import openvino as ov

from ov_xai.checks.coded import Check
from ov_xai.checks.samples import Sample, image_samples, random_samples
from ov_xai.checks.subject import Subject, input_kinds
from ov_xai.checks.verdict import Finding, NotApplicableError, failed, judged
from ov_xai.graph.trial import EXACT
from ov_xai.selfcheck.outputs import OUTPUT_TOLERANCE, part_of_range

Array = npt.NDArray[Any]


def _same_inputs(subject: Subject) -> Finding:
    before, after = input_kinds(subject.original), input_kinds(subject.patched)
    return judged(
        before == after, f"{_listed(before)}" if before == after else f"{_listed(before)} became {_listed(after)}"
    )


def _listed(inputs: list[tuple[list[str], str, str]]) -> str:
    return ", ".join(f"{'/'.join(names) or 'unnamed'} {kind}{shape}" for names, kind, shape in inputs) or "none"


def _same_names(subject: Subject) -> Finding:
    before, after = subject.original.outputs, subject.patched.outputs
    if len(after) < len(before):
        return failed(f"{len(before)} outputs became {len(after)}")
    for index, (old, new) in enumerate(zip(before, after, strict=False)):
        if old.get_names() != new.get_names():
            return failed(f"output {index} was {_names(old)} and is {_names(new)}")
    return judged(True, f"{len(before)} outputs first, in order: {', '.join(_names(old) for old in before)}")


def _names(output: ov.Output) -> str:
    return "/".join(sorted(output.get_names())) or "unnamed"


def _same_types(subject: Subject) -> Finding:
    pairs = _require_pairs(subject)
    for index, (old, new) in enumerate(pairs):
        if _type_of(old) != _type_of(new):
            return failed(f"output {index} was {_type_of(old)} and is {_type_of(new)}")
    return judged(True, ", ".join(_type_of(old) for old, _ in pairs))


def _type_of(output: ov.Output) -> str:
    return f"{output.get_element_type().to_string()}{output.get_partial_shape()}"


def _require_pairs(subject: Subject) -> list[tuple[ov.Output, ov.Output]]:
    before, after = subject.original.outputs, subject.patched.outputs
    pairs = list(zip(before, after, strict=False))
    if len(after) < len(before) or any(old.get_names() != new.get_names() for old, new in pairs):
        raise NotApplicableError("the outputs are not those of the original (OUT002)")
    return pairs


def _same_on_random_inputs(subject: Subject) -> Finding:
    _require_comparable(subject)
    return _compare(subject, random_samples(subject.original))


def _same_on_images(subject: Subject) -> Finding:
    if not subject.images:
        raise NotApplicableError("no images; give --data")
    _require_comparable(subject)
    return _compare(subject, image_samples(subject.original, subject.images))


def _require_comparable(subject: Subject) -> None:
    subject.require_same_inputs()
    if any(_type_of(old) != _type_of(new) for old, new in _require_pairs(subject)):
        raise NotApplicableError("the outputs have other types or shapes (OUT003)")


def _compare(subject: Subject, samples: Sequence[Sample]) -> Finding:
    """Compare all outputs in single precision and, where it differs, at the default precision of the device."""
    exact, worst = _exact_outputs(subject), 0.0
    settings = _settings(subject.options.device)
    count = len(subject.original.outputs)
    for setting in settings:
        plain, patched = (subject.runner(model, setting) for model in (subject.original, subject.patched))
        for sample in samples:
            for index, (old, new) in enumerate(zip(plain(sample.inputs), patched(sample.inputs)[:count], strict=True)):
                if old.shape != new.shape:
                    return failed(f"output {index} is {list(new.shape)} instead of {list(old.shape)} on {sample.name}")
                gap = 0.0 if old.tobytes() == new.tobytes() else part_of_range(old, new)
                bits = exact and old.tobytes() != new.tobytes()
                if bits or not gap <= OUTPUT_TOLERANCE:
                    return failed(f"output {index} differs by {gap:.1e} of its range on {sample.name}")
                worst = max(worst, gap)
    how = "bit for bit" if worst == 0 else f"within {worst:.1e} of the range"
    precisions = "f32" if len(settings) == 1 else "f32 and default precision"
    return judged(True, f"equal {how} on {len(samples)} inputs, {precisions}")


def _exact_outputs(subject: Subject) -> bool:
    """Return whether every bit must be kept: so it is unless a manifest says otherwise."""
    try:
        return subject.manifest.exact_outputs
    except NotApplicableError:
        return True


def _settings(device: str) -> list[dict[str, Any]]:
    if ":" in device or device.upper() == "AUTO":
        return [EXACT]
    default = ov.Core().get_property(device.upper(), "INFERENCE_PRECISION_HINT")
    return [EXACT] if default == ov.Type.f32 else [EXACT, {}]


_ALLOWED = f"Every bit, or {OUTPUT_TOLERANCE:.0e} of the range where the manifest says exact_outputs false"

CHECKS = (
    Check(
        "OUT001",
        "the inputs are unchanged",
        "Number, order, names, types and shapes of the inputs.",
        "Applications feed the patched model like the plain one.",
        "Patch the original without editing its inputs; embed preprocessing before patching.",
        _same_inputs,
    ),
    Check(
        "OUT002",
        "the original outputs come first, in order and by name",
        "Each output of the original stands at the same index with the same names.",
        "Applications read outputs by index or name and take another tensor for the predictions otherwise.",
        "Patch the original again; add, rename or reorder outputs before patching.",
        _same_names,
    ),
    Check(
        "OUT003",
        "the original outputs keep types and shapes",
        "Element type and (partial) shape of each original output.",
        "Post-processing is written for one type and shape.",
        "Patch the original again; convert or reshape it before patching.",
        _same_types,
    ),
    Check(
        "OUT004",
        "the predictions are unchanged on random inputs",
        f"{_ALLOWED}, in single precision and at the default precision of the device.",
        "An explained model must predict what the plain one does; thresholds were chosen on that.",
        "Choose another --target-layer, and report the model: `insert` refuses to write such a model.",
        _same_on_random_inputs,
    ),
    Check(
        "OUT005",
        "the predictions are unchanged on the images",
        f"{_ALLOWED}, on images of --data through the model's own preprocessing.",
        "Random inputs do not reach all of a network; the images of the application do.",
        "Choose another --target-layer, and report the model with the image.",
        _same_on_images,
    ),
)
