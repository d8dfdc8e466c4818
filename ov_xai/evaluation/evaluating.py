"""Measure the maps of one or several methods on a folder of photos.

Methods are taken one after the other, so that one patched model is compiled at a time; of the images nothing but paths,
classes and boxes is kept. What is measured on an image does not depend on the other images.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ov_xai.annotations import Annotations, read_annotations
from ov_xai.arguments import texts
from ov_xai.errors import ModelMismatchError, SelfCheckError, UnsupportedModelError
from ov_xai.evaluation.applicability import for_method, for_model
from ov_xai.evaluation.explainers import make_explainer
from ov_xai.evaluation.facts import facts_of
from ov_xai.evaluation.measuring import Gauge, MeanCurves, Measured, mean_values
from ov_xai.evaluation.method_names import MethodSpec, parse_methods
from ov_xai.evaluation.options import EvaluationOptions
from ov_xai.evaluation.results import Evaluation, MethodResult
from ov_xai.evaluation.subject import Subject, open_subject
from ov_xai.evaluation.targets import Look, Sample, look
from ov_xai.insertion import Source
from ov_xai.metrics.extras import scipy_module
from ov_xai.runtime.images import read_image
from ov_xai.runtime.overrides import Overrides


@dataclass(frozen=True)
class Step:
    """One step of an evaluation.

    Attributes:
        doing: the name of the method that is measured; empty while the images are looked at.
        done: images done.
        total: images in all; None while it is not known.
        skipped: (path, reason) when the image cannot be read.
    """

    doing: str
    done: int
    total: int | None = None
    skipped: tuple[str, str] | None = None


Progress = Callable[[Step], None]


def evaluate(
    model: Source,
    data: str | os.PathLike[str],
    *,
    methods: Sequence[str] = ("model",),
    annotations: str | os.PathLike[str] | None = None,
    options: EvaluationOptions | None = None,
    overrides: Overrides | None = None,
    labels: Sequence[str] | None = None,
    device: str = "CPU",
    progress: Progress | None = None,
) -> Evaluation:
    """Measure how well saliency maps explain a model.

    Everything is measured on the network's own input, at f32: the photo as `explain` prepares it, normalised, and the
    maps as the product gives them (u8, scaled to their own range), enlarged to that input. Explained is, of a
    classifier, the class with the highest probability in the photo; of a detector every class it detects, and the
    figures of an image are the means over them.

    Args:
        model: a plain or a patched model.
        data: an image or a folder.
        methods: "model" (the maps that a patched model makes, or those that `insert` gives a plain one by default),
            "METHOD[:MASK[:SCORE]]", "all"; the baselines "random" and "centre-gaussian" are always added, and "rise"
            when the options say how many masks.
        annotations: boxes of objects, in a file or a folder; see `read_annotations`.
        options: metrics, steps, limits.
        overrides: what differs from the model's own `model_info`.
        labels: one per class; None takes those in the model.
        device: OpenVINO device name.
        progress: called after every image of every method.

    Raises:
        RequestError: a method, a metric or a number is wrong, or a metric needs annotations that are not given.
        ModelReadError: the file cannot be read.
        UnsupportedModelError: the model cannot be patched.
        ModelMismatchError: a method, a metric, a class or the labels do not fit the model.
        InputError: the images or annotations cannot be read or have nothing in common.
        DeviceError: the device is unknown or cannot run the model.
        MissingExtraError: scipy is not installed.
    """
    named = texts(methods, "methods")
    scipy_module("stats")  # what is missing at the end is better said at the beginning
    options = options or EvaluationOptions()
    notify = progress or (lambda _: None)
    boxes = None if annotations is None else read_annotations(annotations)
    subject = open_subject(
        model, overrides=overrides, labels=labels, device=device, batch=options.batch, safe=options.safe
    )
    specs = parse_methods(named, classifier=subject.classifier, patched=subject.patched, rise=options.rise_masks > 0)
    applicable = for_model(subject, boxes is not None, options.metrics)
    found = _look(subject, Path(data), boxes, options, notify)
    run = _Run(subject, options, applicable.metrics, found.samples, notify)
    measured = [run.measure(spec) for spec in specs]
    results = tuple(result for result, _ in measured if result is not None)
    notes = (*applicable.notes, *_unmatched(boxes, found), *(note for _, own in measured for note in own))
    facts = facts_of(subject, options, applicable.metrics, found, boxes is not None)
    return Evaluation(subject.name, len(found.samples), applicable.metrics, results, facts, notes, tuple(found.skipped))


def _look(
    subject: Subject, data: Path, annotations: Annotations | None, options: EvaluationOptions, notify: Progress
) -> Look:
    found, skipped = Look(), 0
    for found in look(subject, data, annotations, options):
        error = found.skipped[-1] if len(found.skipped) > skipped else None
        skipped = len(found.skipped)
        notify(Step("", len(found.samples) + skipped, skipped=error))
    return found


def _unmatched(annotations: Annotations | None, found: Look) -> tuple[str, ...]:
    """Return a note when no annotated box is of an explained class."""
    if annotations is None or any(target.boxes for sample in found.samples for target in sample.targets):
        return ()
    labels = ", ".join(sorted({box.label for boxes in annotations.values() for box in boxes})[:8]) or "nothing"
    return (
        f"no annotated box is of an explained class, so nothing is pointed at: the annotations name {labels}. Labels "
        "are compared in any case; --labels gives the model others.",
    )


@dataclass(frozen=True)
class _Run:
    """What all methods are measured with."""

    subject: Subject
    options: EvaluationOptions
    metrics: tuple[str, ...]
    samples: Sequence[Sample]
    notify: Progress

    def measure(self, spec: MethodSpec) -> tuple[MethodResult | None, tuple[str, ...]]:
        """Return the figures of a method, and notes.

        A method that the caller did not name and the model does not have is None.
        """
        try:
            explainer = make_explainer(spec, self.subject, self.options)
        except (UnsupportedModelError, ModelMismatchError, SelfCheckError) as error:
            if spec.required:
                raise
            return None, (f"{spec.name} is left out: {error}",)
        applicable = for_method(spec.name, explainer, self.metrics)
        gauge = Gauge(explainer, self.subject.predict, applicable.metrics, self.options)
        values = {name: np.full(len(self.samples), np.nan) for name in self.metrics}
        curves = MeanCurves()
        for row, sample in enumerate(self.samples):
            measured = self._of_image(gauge, sample)
            for name, value in mean_values(measured).items():
                values[name][row] = value
            curves.add(measured)
            self.notify(Step(spec.name, row + 1, len(self.samples)))
        result = MethodResult(spec.name, values, curves.means(), explainer.detail, spec.baseline)
        return result, applicable.notes

    def _of_image(self, gauge: Gauge, sample: Sample) -> list[Measured]:
        if not sample.targets:
            return []
        image, _ = self.subject.prepare(read_image(sample.path))
        return gauge(image, sample.targets)
