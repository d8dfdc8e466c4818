"""PER: maps against an independent computation of what they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ov_xai.analysis.classifier import Classifier
from ov_xai.analysis.dissection import Dissected
from ov_xai.checks.coded import Check
from ov_xai.checks.image_maps import image_maps
from ov_xai.checks.maps_of import scaled
from ov_xai.checks.subject import Subject
from ov_xai.checks.verdict import Finding, NotApplicableError, failed, judged, passed
from ov_xai.errors import SelfCheckError, UnsupportedModelError
from ov_xai.plan import ClassifierPlan, DetectorPlan, Plan
from ov_xai.request import Normalise
from ov_xai.selfcheck.head import Head
from ov_xai.selfcheck.perturbation import (
    LARGEST_ROUNDING,
    MAP_TOLERANCE,
    OWN_ROUNDING,
    check_perturbation,
)
from ov_xai.selfcheck.probabilities import ROUNDING, TOLERANCE, class_maps

Array = npt.NDArray[Any]

#: Grids of so many places are computed whole; of larger ones, some places.
_WHOLE = 64
#: Maps of a larger grid whose scale is found, and places that are compared besides their extremes.
_MAPS, _PLACES = 4, 8
#: Rounding of FP32 scores, as a part of the largest of a map.
_PROBABILITY_ROUNDING = 4e-6
#: Maps per image: the largest difference, as a part of the range, that rounding of a power iteration explains.
_IMAGE_TOLERANCE = 1e-3


def _is_literal(subject: Subject) -> Finding:
    subject.map_output()
    anatomy, plan = subject.dissection
    if isinstance(plan, ClassifierPlan) and isinstance(anatomy, Classifier) and plan.method.class_wise:
        return _raw_scores(subject, anatomy, plan) if _is_raw(subject) else _scaled_scores(subject, anatomy, plan)
    if isinstance(plan, DetectorPlan) and plan.head is not None:
        return _class_maps(subject, plan)
    return _image_maps(subject, anatomy, plan)


def _is_raw(subject: Subject) -> bool:
    return subject.manifest.normalise == Normalise.NONE.value


def _raw_scores(subject: Subject, anatomy: Classifier, plan: ClassifierPlan) -> Finding:
    try:
        check_perturbation(subject.patched, anatomy, plan)
    except (SelfCheckError, UnsupportedModelError) as error:
        return failed(str(error).partition(" Nothing was written")[0])
    return passed("raw maps equal the scores of masked copies at sampled places")


# -- u8 maps of a classifier -------------------------------------------------------------------------------------------


def _scaled_scores(subject: Subject, anatomy: Classifier, plan: ClassifierPlan) -> Finding:
    """Compare u8 maps with the scores of masked copies of a random target.

    The scale of a map is known where its extremes are: these places are among those that are computed.
    """
    head = Head(subject.patched, anatomy, plan.rounded)
    target = head.random_target()
    if not np.isfinite(head.logits(target)).all():  # a head that takes roots or logarithms
        target = np.abs(target)
    maps, classes = head.maps(target)
    chosen, places = _sampled(maps)
    width = maps.shape[-1]
    literal: list[Array] = []
    sizes: list[Array] = []
    for y, x in (divmod(place, width) for place in places):
        for values, kept in zip(head.scores(target, plan, y, x), (literal, sizes), strict=True):
            kept.append(values if classes is None else np.take_along_axis(values, classes, 1))
    expected, size = (np.stack(values, axis=-1)[:, chosen] for values in (literal, sizes))  # (N, maps, places)
    found = maps.reshape(*maps.shape[:2], -1)[:, chosen][:, :, places]
    return _compare_levels(found, expected, size, places, width)


def _sampled(maps: Array) -> tuple[list[int], list[int]]:
    """Return which maps and which places are compared."""
    count, total = maps.shape[1], maps.shape[-2] * maps.shape[-1]
    if total <= _WHOLE:
        return list(range(count)), list(range(total))
    random = np.random.default_rng(1)
    chosen = sorted(random.permutation(count)[:_MAPS].tolist())
    flat = maps[:, chosen].reshape(-1, total)
    places = {*flat.argmin(1).tolist(), *flat.argmax(1).tolist(), *random.permutation(total)[:_PLACES].tolist()}
    return chosen, sorted(places)


def _compare_levels(found: Array, expected: Array, size: Array, places: list[int], width: int) -> Finding:
    """Compare levels with scores, [N, maps, places]; a map may be off by the rounding of its scores and one level.

    Rounding is relative to `size`, the numbers that the scores are computed from.
    """
    values = expected.astype(np.float64)
    span = np.ptp(values, axis=-1, keepdims=True)
    noise = OWN_ROUNDING * size + LARGEST_ROUNDING * size.max()
    known = (span > 64 * noise.max(axis=-1, keepdims=True))[..., 0]
    if not known.any():
        raise NotApplicableError("the scores of masked copies of a random target hardly differ")
    levels = 255 * (values - values.min(axis=-1, keepdims=True)) / np.where(span > 0, span, 1)
    gap = np.abs(found - levels) - 255 * (MAP_TOLERANCE + noise / np.where(span > 0, span, 1))
    worst = gap[known]
    where = divmod(places[int(worst.max(axis=0).argmax())], width)
    text = f"{int(known.sum())} maps at {len(places)} places: off by up to {max(worst.max(), 0):.1f} of 255 levels"
    return judged(bool(worst.max() <= 1), text if worst.max() <= 1 else f"{text}, at place {where}")


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


def _image_maps(subject: Subject, anatomy: Dissected, plan: Plan) -> Finding:
    found, expected = image_maps(subject.patched, anatomy, plan.method)
    what = f"{plan.method.value} computed from the target"
    return _compare_maps(subject, found, expected, _IMAGE_TOLERANCE, what)


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
        raise NotApplicableError("the maps of a random image hardly vary")
    off = np.abs(found - 255 * scaled(expected)) - 255 * (tolerance + rounding / np.where(span > 0, span, 1))
    worst = float(off[known].max())
    text = f"{int(known.sum())} maps differ from {what} by up to {max(worst, 0):.1f} of 255 levels"
    return judged(worst <= 1, text)


CHECKS = (
    Check(
        "PER001",
        "maps equal what they stand for, computed independently",
        "Scores of masked copies of a random target, one by one; of detectors, the class scores of the same "
        "inference; of maps per image, mean or principal direction of the target. On the CPU, in single precision.",
        "The branch is evaluated in closed form: a map that is plausible may still be of another place or class.",
        "Patch the original again, and report the model if that does not help.",
        _is_literal,
    ),
)
