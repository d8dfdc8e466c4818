"""QLT: figures of quality against those of a baseline."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import openvino as ov

from ov_xai.checks.baseline import SCHEMA, Baseline, Figure, worse
from ov_xai.checks.coded import Check
from ov_xai.checks.subject import Subject
from ov_xai.checks.verdict import Finding, NotApplicableError, failed, passed
from ov_xai.errors import InputError, ModelMismatchError, UnsupportedModelError
from ov_xai.evaluation import METRICS, evaluate
from ov_xai.evaluation.method_names import MODEL
from ov_xai.evaluation.metric_names import POINTING_GAME
from ov_xai.graph.io import source_digest
from ov_xai.runtime.images import find_images
from ov_xai.version import __version__

#: Margin of a figure whose interval is narrower than this part of it.
_LEAST_MARGIN = 0.01


def _no_worse(subject: Subject) -> Finding:
    old = subject.baseline
    if old is None:
        raise NotApplicableError("no baseline; give --data and --baseline")
    try:
        new = measured(subject)
    except (ModelMismatchError, UnsupportedModelError) as error:
        return failed(f"the maps cannot be measured: {error}")
    if old.images_sha256 != new.images_sha256:
        return failed(
            f"the baseline holds figures of {old.images} other images (these are {new.images}); measure both on the "
            "same ones"
        )
    found = worse(old, new)
    if POINTING_GAME in old.metrics and subject.options.annotations is None:
        found.append("the baseline was written with annotations: give them with --annotations")
    return failed("; ".join(found)) if found else passed(f"{len(old.metrics)} figures no worse, on {new.images} images")


def measured(subject: Subject) -> Baseline:
    """Return the figures of the patched model on the images of `data`; measured once per subject.

    Raises:
        MissingExtraError: what measures them is not installed.
    """
    if subject.figures is None:
        data = subject.options.data
        assert data is not None  # the options refuse a baseline without images
        figures = measure(subject.patched, data, subject.options.annotations)
        source = subject.patched if subject.patched_path is None else subject.patched_path
        count, digest = images_digest(data)
        subject.figures = Baseline(SCHEMA, __version__, source_digest(source), count, digest, figures)
    return subject.figures


def measure(model: ov.Model, data: Path, annotations: Path | None) -> dict[str, Figure]:
    """Return the figures of a patched model's own maps.

    The margin of a figure is half its confidence interval, or 1 % of it, whichever is more.

    Raises:
        InputError: annotations are given, and no explained class of an image has a box.
    """
    evaluation = evaluate(model, data, methods=(MODEL,), annotations=annotations)
    result = next(result for result in evaluation.results if result.name == MODEL)
    intervals = result.intervals()
    if annotations is not None and POINTING_GAME not in intervals:
        raise InputError(f"'{annotations}' gives no pointing game: {' '.join(evaluation.notes)}")
    figures = {}
    for name, interval in intervals.items():
        margin = max((interval.high - interval.low) / 2, _LEAST_MARGIN * abs(interval.mean))
        figures[name] = Figure(interval.mean, margin, METRICS[name].higher_is_better)
    return figures


def images_digest(folder: Path) -> tuple[int, str]:
    """Return the number of images in a folder, and a hash of their names and contents."""
    digest, count = hashlib.sha256(), 0
    for file in find_images(folder):
        name = file.folder / file.path.name
        digest.update(name.as_posix().encode(errors="surrogateescape") + b"\0")
        with suppress(OSError):  # a link to nothing counts by its name, and is skipped where images are read
            digest.update(hashlib.sha256(file.path.read_bytes()).digest())
        count += 1
    return count, digest.hexdigest()


CHECKS = (
    Check(
        "QLT001",
        "figures of quality are no worse than the baseline",
        "Metrics of `ov-xai evaluate` on --data against --baseline, each with its margin.",
        "A model that was trained, quantised or exported anew may predict as well and look elsewhere.",
        "Compare the maps of both models on these images; if the change is wanted, run with --write-baseline.",
        _no_worse,
    ),
)
