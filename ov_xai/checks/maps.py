"""MAP: maps that say something."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ov_xai.checks.coded import Check
from ov_xai.checks.maps_of import Maps
from ov_xai.checks.subject import Subject
from ov_xai.checks.verdict import Finding, NotApplicableError, failed, judged, passed
from ov_xai.request import Normalise

#: Maps that differ by less than this part of their range, two levels of u8, count as the same.
_SAME = 2 / 255
#: Scores may differ by this part of their range and still be equally good.
_TIE = 1e-5


def _finite(subject: Subject) -> Finding:
    if subject.manifest.normalise != Normalise.NONE.value:
        raise NotApplicableError("u8 maps hold no NaN")
    broken = sum(int((~np.isfinite(maps.values)).any(axis=(-2, -1)).sum()) for maps in subject.explained)
    total = sum(maps.used.size for maps in subject.explained)
    return judged(not broken, f"{broken} of {total} maps hold NaN or infinity, on {subject.judged_on}")


def _require_finite(subject: Subject) -> None:
    if not all(np.isfinite(maps.values).all() for maps in subject.explained):
        raise NotApplicableError("the maps hold NaN or infinity (MAP001)")


def _vary(subject: Subject) -> Finding:
    _require_finite(subject)
    varying = sum(int((np.ptp(maps.values, axis=(-2, -1)) > 0)[maps.used].sum()) for maps in subject.explained)
    total = sum(int(maps.used.sum()) for maps in subject.explained)
    text = f"{varying} of {total} maps vary, on {subject.judged_on}"
    if not varying:
        subject.require_live_predictions()
        return failed(text)
    return passed(text)


def _require_varying(subject: Subject) -> None:
    _require_finite(subject)
    if not any(np.ptp(maps.values, axis=(-2, -1))[maps.used].any() for maps in subject.explained):
        raise NotApplicableError("the maps are constant (MAP002)")


def _classes_differ(subject: Subject) -> Finding:
    if not subject.class_wise:
        raise NotApplicableError(f"{subject.manifest.method} gives one map per image")
    if max(int(maps.used.sum(axis=1).max()) for maps in subject.explained) < 2:
        raise NotApplicableError("there is a single class with a map")
    _require_varying(subject)
    _require_distinct_scores(subject)
    most = max(_spread(maps) for maps in subject.explained)
    return judged(most > _SAME, f"maps of classes differ by up to {most:.1%} of their range, on {subject.judged_on}")


def _require_distinct_scores(subject: Subject) -> None:
    """Refuse to judge a classifier that does not tell its classes apart, such as one without learned weights."""
    manifest = subject.manifest
    if manifest.task != "classification" or manifest.classes < 2:
        return
    scores = [subject.class_scores(outputs) for outputs in subject.predictions]
    if all(np.ptp(rows, axis=1).max() <= _TIE * np.abs(rows).max() for rows in scores):
        raise NotApplicableError("the original scores all classes alike")


def _spread(maps: Maps) -> float:
    """Return by how much the maps of the used classes differ at a place, at most."""
    gaps = [np.ptp(unit[used], axis=0).max() for unit, used in zip(maps.unit, maps.used, strict=True) if used.any()]
    return float(max(gaps, default=0.0))


def _inputs_matter(subject: Subject) -> Finding:
    _require_varying(subject)
    if len(subject.explained) < 2:
        raise NotApplicableError("there is one input only")
    pairs = list(combinations(subject.explained, 2))
    if any(one.values.shape != other.values.shape for one, other in pairs):
        return passed("maps of inputs have different sizes")
    most = max(float(np.abs(one.unit - other.unit).max()) for one, other in pairs)
    if most <= _SAME:
        subject.require_live_predictions()
    return judged(most > _SAME, f"maps of inputs differ by up to {most:.1%} of their range, on {subject.judged_on}")


def _best_classes(subject: Subject) -> Finding:
    manifest = subject.manifest
    if manifest.top_k is None:
        raise NotApplicableError("patched without --top-k")
    if manifest.task != "classification":
        raise NotApplicableError("classes of a detector are compared with its maps (PER001)")
    for sample, maps, outputs in zip(subject.samples, subject.explained, subject.predictions, strict=True):
        assert maps.classes is not None
        scores = subject.class_scores(outputs)
        if maps.classes.min() < 0 or maps.classes.max() >= manifest.classes:
            return failed(f"class {maps.classes.max()} is named, of {manifest.classes}, on {sample.name}")
        best = -np.sort(-scores, axis=1)[:, : manifest.top_k]
        named = np.take_along_axis(scores, maps.classes, 1)
        repeated = any(len(set(row.tolist())) < len(row) for row in maps.classes)
        if repeated or np.abs(best - named).max() > _TIE * np.ptp(scores):
            return failed(f"named are {maps.classes[0].tolist()}, the best is {scores[0].argmax()}, on {sample.name}")
    return passed(f"the best {manifest.top_k} classes in order, on {subject.judged_on}")


CHECKS = (
    Check(
        "MAP001",
        "no map holds NaN or infinity",
        "Every value of raw maps.",
        "NaN spreads through whatever is computed from a map, and is drawn as nothing.",
        "Compile with INFERENCE_PRECISION_HINT f32; choose another --target-layer.",
        _finite,
    ),
    Check(
        "MAP002",
        "maps vary over places",
        "Some map of a class that is in use is not constant, on the images or made-up pictures.",
        "A constant map points nowhere.",
        "Choose a --target-layer whose places the scores depend on; give images with --data.",
        _vary,
    ),
    Check(
        "MAP003",
        "maps of classes differ",
        f"On some input two classes that are in use differ by more than {_SAME:.1%} of their range.",
        "A map that is the same for every class does not explain the class.",
        "Choose a later --target-layer; check that the branch reads the head.",
        _classes_differ,
    ),
    Check(
        "MAP004",
        "maps depend on the input",
        f"On some pair of inputs the maps differ by more than {_SAME:.1%} of their range.",
        "A map that is the same for every photo shows the network, not the photo.",
        "Choose a --target-layer that depends on the image; give images with --data.",
        _inputs_matter,
    ),
    Check(
        "MAP005",
        "saliency_classes names the best classes",
        "With --top-k, the classes that are named have the best scores, in order.",
        "Otherwise the map of one class is shown under the name of another.",
        "Patch the original again; when an activation was added behind the scores, patch the final model.",
        _best_classes,
    ),
)
