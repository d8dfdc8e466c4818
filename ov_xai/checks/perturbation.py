"""PER: maps against an independent computation of what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ov_xai.analysis.classifier import Classifier
from ov_xai.analysis.dissection import Dissected
from ov_xai.checks.coded import Check
from ov_xai.checks.image_maps import image_maps
from ov_xai.checks.literal import random_masked, sampled
from ov_xai.checks.maps_of import Maps, scaled
from ov_xai.checks.samples import Sample
from ov_xai.checks.subject import Runner, Subject
from ov_xai.checks.tapped import Masked, Tap
from ov_xai.checks.verdict import Finding, NotApplicableError, Outcome, failed, judged, passed
from ov_xai.errors import SelfCheckError, UnsupportedModelError
from ov_xai.graph.trial import EXACT, sample_inputs
from ov_xai.plan import ClassifierPlan, DetectorPlan, Plan
from ov_xai.request import Normalise
from ov_xai.selfcheck.head import Head
from ov_xai.selfcheck.perturbation import check_perturbation
from ov_xai.selfcheck.probabilities import ROUNDING, TOLERANCE, class_maps

Array = npt.NDArray[Any]

#: Grids of so many places are computed whole; of larger ones, and on images, some places.
_WHOLE = 64
#: Levels that a map may be off: the last step is rounding. On images many places may share the least or largest level,
#: so that the scale is known to a level only.
_LEVELS, _IMAGE_LEVELS = 1, 2
#: Rounding of FP32 scores, as a part of the largest of a map.
_PROBABILITY_ROUNDING = 4e-6
#: Maps per image: the largest difference, as a part of the range, that rounding of a power iteration explains.
_IMAGE_TOLERANCE = 1e-3
#: Maps of a detector on an image and those of a fresh insertion may differ by so many levels on average.
_FRESH_LEVELS = 2


def _is_literal(subject: Subject) -> Finding:
    """Judge by a random input and by each image, those that tell nothing left out."""
    subject.map_output()
    anatomy, plan = subject.dissection
    first = _or_skipped(lambda: _on_random_input(subject, anatomy, plan))
    every = [first, *_on_images(subject, anatomy, plan)]
    told = [finding for finding in every if finding.outcome is not Outcome.SKIPPED]
    if not told:
        raise NotApplicableError(first.text)
    wrong = [finding for finding in told if finding.outcome is Outcome.FAILED]
    if wrong:
        return wrong[0]
    return passed(f"{told[0].text}{f'; also on {len(told) - 1} images' if len(told) > 1 else ''}")


def _or_skipped(judge: Callable[[], Finding]) -> Finding:
    try:
        return judge()
    except NotApplicableError as error:
        return Finding(Outcome.SKIPPED, str(error))


def _on_random_input(subject: Subject, anatomy: Dissected, plan: Plan) -> Finding:
    if isinstance(plan, ClassifierPlan) and isinstance(anatomy, Classifier) and plan.method.class_wise:
        return _raw_scores(subject, anatomy, plan) if _is_raw(subject) else _scaled_scores(subject, anatomy, plan)
    if isinstance(plan, DetectorPlan) and plan.head is not None:
        return _class_maps(subject, plan)
    tap = Tap(subject.patched, anatomy.target.output)
    return _image_maps(subject, anatomy, plan, tap(sample_inputs(subject.patched)))


def _on_images(subject: Subject, anatomy: Dissected, plan: Plan) -> Iterator[Finding]:
    if not subject.images:
        return
    if isinstance(plan, ClassifierPlan) and isinstance(anatomy, Classifier) and plan.method.class_wise:
        yield from _scores_on_images(subject, anatomy, plan)
    elif isinstance(plan, DetectorPlan) and plan.head is not None:
        yield from _class_maps_on_images(subject)
    else:
        tap = Tap(subject.patched, anatomy.target.output)
        for sample in subject.samples:
            masked = tap(sample.inputs)
            yield _on(sample, _or_skipped(partial(_image_maps, subject, anatomy, plan, masked)))


def _on(sample: Sample, finding: Finding) -> Finding:
    return Finding(finding.outcome, f"{finding.text}, on {sample.name}")


def _is_raw(subject: Subject) -> bool:
    return subject.manifest.normalise == Normalise.NONE.value


# -- maps of a classifier ----------------------------------------------------------------------------------------------


def _raw_scores(subject: Subject, anatomy: Classifier, plan: ClassifierPlan) -> Finding:
    try:
        check_perturbation(subject.patched, anatomy, plan)
    except (SelfCheckError, UnsupportedModelError) as error:
        return failed(str(error).partition(" Nothing was written")[0])
    return passed("raw maps equal the scores of masked copies at sampled places")


def _scaled_scores(subject: Subject, anatomy: Classifier, plan: ClassifierPlan) -> Finding:
    """Compare u8 maps with the scores of masked copies of a random target."""
    head = Head(subject.patched, anatomy, plan.rounded)
    found = _compare_levels(head, plan, random_masked(head), _WHOLE, _LEVELS)
    if found is None:
        raise NotApplicableError("the scores of masked copies of a random target hardly differ")
    return found


def _scores_on_images(subject: Subject, anatomy: Classifier, plan: ClassifierPlan) -> Iterator[Finding]:
    """Compare maps of images with the scores of masked copies of their own targets."""
    head, tap = Head(subject.patched, anatomy, plan.rounded), Tap(subject.patched, anatomy.target.output)
    names = [source.get_node().get_friendly_name() for source in subject.patched.inputs]
    for sample in subject.samples:
        head.behind.take(dict(zip(names, sample.inputs, strict=True)))
        masked = tap(sample.inputs)
        if _is_raw(subject):
            found: Finding | None = _compare_raw(head, plan, masked)
        else:
            found = _compare_levels(head, plan, masked, 0, _IMAGE_LEVELS)
        if found is not None:
            yield _on(sample, found)


def _compare_levels(head: Head, plan: ClassifierPlan, masked: Masked, whole: int, allowed: int) -> Finding | None:
    """Compare u8 maps with scores by level; None when no map has a scale."""
    some = sampled(head, plan, masked, whole)
    off = some.levels_off()
    if not off.size:
        return None
    worst = float(off.max())
    text = f"{len(off)} maps at {len(some.places)} places: off by up to {max(worst, 0):.1f} of 255 levels"
    good = worst <= allowed
    return judged(good, text if good else f"{text}, at place {some.places[int(off.max(axis=0).argmax())]}")


def _compare_raw(head: Head, plan: ClassifierPlan, masked: Masked) -> Finding:
    some = sampled(head, plan, masked, 0)
    worst = float(some.parts_off().max())
    return judged(
        worst <= 1, f"raw maps differ from scores of masked copies by {worst:.2f} times what rounding explains"
    )


# -- other maps --------------------------------------------------------------------------------------------------------


def _class_maps(subject: Subject, plan: DetectorPlan) -> Finding:
    found, every, classes = class_maps(subject.patched, plan)
    if classes is not None:
        best = -np.sort(-every.scores, axis=1)[:, : classes.shape[1]]
        named = np.take_along_axis(every.scores, classes, 1)
        if not np.allclose(named, best, rtol=TOLERANCE, atol=ROUNDING):
            return failed(
                f"named are the classes {classes[0].tolist()}; {int(every.scores[0].argmax())} has the highest score"
            )
    return _compare_maps(subject, found, every.of(classes), TOLERANCE, "the class scores")


def _class_maps_on_images(subject: Subject) -> Iterator[Finding]:
    """Compare maps of images with those of a fresh insertion."""
    own, fresh = (Runner(model, "CPU", EXACT) for model in (subject.patched, subject.again.done.model))
    for sample in subject.samples:
        found, expected = (subject.maps(run, sample.inputs) for run in (own, fresh))
        gap = _levels_apart(found, expected)
        if gap is not None:
            yield _on(
                sample, judged(gap <= _FRESH_LEVELS, f"maps differ by {gap:.1f} levels from those of a fresh insertion")
            )


def _levels_apart(found: Maps, expected: Maps) -> float | None:
    """Return by how many of 255 levels maps of the same class differ on average; None where there is none.

    Classes of --top-k whose scores tie may come in another order.
    """
    if found.values.shape != expected.values.shape or found.classes is None or expected.classes is None:
        return float("inf")
    same = (found.classes == expected.classes) & (np.ptp(expected.values, axis=(-2, -1)) > 0)
    if not same.any():
        return None
    return 255 * float(np.abs(found.unit - expected.unit)[same].mean(axis=(-2, -1)).max())


def _image_maps(subject: Subject, anatomy: Dissected, plan: Plan, masked: Masked) -> Finding:
    expected = image_maps(masked.target, anatomy.target, plan.method)
    found = masked.maps
    if found.size != expected.size:
        raise NotApplicableError(f"saliency_map has {found.size} values, the target {expected.size} places (MAN002)")
    what = f"{plan.method.value} computed from the target"
    return _compare_maps(subject, found, expected.reshape(found.shape), _IMAGE_TOLERANCE, what)


def _compare_maps(subject: Subject, found: Array, expected: Array, tolerance: float, what: str) -> Finding:
    """Compare maps [..., h, w]: raw ones by their range, u8 ones by level."""
    if found.shape != expected.shape:
        return failed(f"maps are {list(found.shape)}, {what} give {list(expected.shape)}")
    span = np.ptp(expected, axis=(-2, -1), keepdims=True)
    rounding = _PROBABILITY_ROUNDING * np.abs(expected).max(axis=(-2, -1), keepdims=True)
    if _is_raw(subject):
        part = np.abs(found - expected) / (tolerance * span + rounding + np.finfo(np.float32).tiny)
        worst = float(part.max())
        return judged(worst <= 1, f"raw maps differ from {what} by up to {worst:.2f} times what rounding explains")
    known = (span > 64 * rounding)[..., 0, 0]
    if not known.any():
        raise NotApplicableError("the maps hardly vary")
    off = np.abs(found - 255 * scaled(expected)) - 255 * (tolerance + rounding / np.where(span > 0, span, 1))
    worst = float(off[known].max())
    text = f"{int(known.sum())} maps differ from {what} by up to {max(worst, 0):.1f} of 255 levels"
    return judged(worst <= _LEVELS, text)


CHECKS = (
    Check(
        "PER001",
        "maps equal what they stand for, computed independently",
        "Scores of masked copies of a random target, and of the targets of the images, one by one; of detectors, the "
        "class scores of the same inference, and on images a fresh insertion; of maps per image, mean or principal "
        "direction of the target. On the CPU, in single precision.",
        "The branch is evaluated in closed form: a map that is plausible may still be of another place or class.",
        "Patch the original again, and report the model if that does not help.",
        _is_literal,
    ),
)
