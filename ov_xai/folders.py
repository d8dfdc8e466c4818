"""Explain a folder of photos in one call: from the path of a model to pictures, records and a page."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ov_xai.arguments import options_of, texts, whole_number
from ov_xai.cards import Card
from ov_xai.errors import RequestError
from ov_xai.explaining import ready_model, require_class_maps, settings_digest, shows_instance_masks
from ov_xai.request import InsertionRequest, Method, Normalise
from ov_xai.runtime.choice import ClassChoice
from ov_xai.runtime.dump import DumpOptions, Summary, explain_folder
from ov_xai.runtime.explanation import RenderOptions
from ov_xai.runtime.overrides import Overrides
from ov_xai.runtime.records import Record
from ov_xai.runtime.report import head_of, write_report
from ov_xai.runtime.session import Session


@dataclass(frozen=True)
class ExplainOptions:
    """Options of `ov_xai.explain`; methods may be given by name, cards by path.

    Attributes:
        method: what maps show; None keeps the method of a patched model, and chooses for a plain one.
        card: knowledge about the family of a plain model.
        choice: which classes are explained.
        overrides: what differs from the preprocessing in the model's own `model_info`.
        render: how maps are drawn.
        labels: one per class; None takes those in the model.
        device: OpenVINO device name.
        requests: inferences in flight; None takes twice as many as OpenVINO advises.
        resume: keep what an earlier run with the same settings wrote, and go on behind it.
        report: also write `report.html`, one page with everything.
        safe: try the model in a process of its own first; see `insert`.

    Raises:
        RequestError: a value is not known or of the wrong type, or pictures are wanted of raw maps.
        CardError: the card cannot be read.
    """

    method: Method | None = None
    card: Card | None = None
    choice: ClassChoice = field(default_factory=ClassChoice)
    overrides: Overrides | None = None
    render: RenderOptions = field(default_factory=RenderOptions)
    labels: tuple[str, ...] | None = None
    device: str = "CPU"
    requests: int | None = None
    resume: bool = False
    report: bool = False
    safe: bool = False

    def __post_init__(self) -> None:
        request = InsertionRequest(method=self.method, card=self.card)
        object.__setattr__(self, "method", request.method)
        object.__setattr__(self, "card", request.card)
        if self.labels is not None:
            object.__setattr__(self, "labels", texts(self.labels, "labels"))
        if self.requests is not None:
            object.__setattr__(self, "requests", whole_number(self.requests, "requests"))
        for option, given in (("--report", self.report), ("--per-detection", self.render.per_detection)):
            if given and not self.render.rendered:
                raise RequestError(f"{option} shows rendered maps. Drop --no-process-saliency-maps or {option}.")

    @property
    def request(self) -> InsertionRequest:
        """Return what is inserted into a plain model."""
        normalise = Normalise.MINMAX if self.render.rendered else Normalise.NONE
        return InsertionRequest(method=self.method, normalise=normalise, card=self.card)


def explain(
    model: str | os.PathLike[str],
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: ExplainOptions | None = None,
    *,
    begin: Callable[[Session], object] | None = None,
    progress: Callable[[Record], object] | None = None,
    **settings: Any,
) -> Summary:
    """Explain a photo or a folder of photos: per image and class a saliency map and an overlay, as files.

    A plain model is patched in memory first. `explanations.jsonl` in the output folder holds a record per image, in
    the order of the files.

    Args:
        model: path of a patched or a plain model, in any format OpenVINO reads.
        source: an image or a folder.
        output: the folder for the results; made when missing.
        options: what is explained and how it is drawn; None for the defaults.
        begin: called with the session once the model is ready.
        progress: called with the record of each image as soon as it is written.
        settings: fields of `ExplainOptions`, instead of options.

    Returns:
        What became of the images; those that cannot be read are skipped.

    Raises:
        RequestError: an option is not known or out of range.
        ModelReadError: the model cannot be read.
        UnsupportedModelError: the model cannot be patched.
        ModelMismatchError: the labels or classes do not fit the model.
        DeviceError: the device is unknown or cannot run the model.
        InputError: the images cannot be read, or there are none.
        OutputError: the output folder cannot be written.
    """
    options = options_of(ExplainOptions, options, settings)
    path, source, output = Path(model), Path(source), Path(output)
    patched = ready_model(path, options.request, options.choice, safe=options.safe)
    require_class_maps(patched, options.choice)
    session = Session(
        patched,
        options.device,
        labels=options.labels,
        choice=options.choice,
        overrides=options.overrides,
        requests=options.requests,
        instance_masks=shows_instance_masks(patched, options.method),
    )
    if begin is not None:
        begin(session)
    dump = DumpOptions(output, options.render, options.resume, _digest(path, session, options))
    summary = explain_folder(session, source, dump, progress)
    if options.report:
        summary.report = write_report(source, output, head_of(path.name, session, options.render))
    return summary


def _digest(model: Path, session: Session, options: ExplainOptions) -> str:
    """Return a text that changes whenever the results would."""
    rendered = options.render.rendered
    return settings_digest(
        model, session.manifest, session.method, options.choice, options.overrides, options.labels, rendered
    )
