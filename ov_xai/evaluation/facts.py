"""How an evaluation was made, for a reader."""

from __future__ import annotations

from ov_xai.evaluation.metric_names import DELETION, INSERTION, METRICS, POINTING_GAME, Need
from ov_xai.evaluation.options import EvaluationOptions
from ov_xai.evaluation.subject import Subject
from ov_xai.evaluation.targets import Look
from ov_xai.version import __version__


def facts_of(
    subject: Subject, options: EvaluationOptions, metrics: tuple[str, ...], found: Look, annotated: bool
) -> dict[str, str]:
    """Return (name, value) pairs, in the order they are shown."""
    facts = {
        "input": subject.preprocessing.describe().removeprefix("preprocessing: "),
        "explained": _explained(subject, options),
    }
    if subject.predict is not None:
        facts["inference"] = f"{subject.device}, f32, up to {subject.predict.batch} images at once"
    if INSERTION in metrics:
        facts["insertion"] = f"{options.steps} steps, from the blurred image to the image"
    if DELETION in metrics:
        facts["deletion"] = f"{options.steps} steps, from the image to {_zero(subject)}"
    if any(Need.BOXES in METRICS[name].needs for name in metrics):
        facts["boxes"] = f"annotated in {len(found.annotated)} images" if annotated else "those the model detects"
    if POINTING_GAME in metrics:
        facts["tolerance"] = f"{options.tolerance:g} pixels of the input"
    facts["seed"] = str(options.seed)
    facts["ov-xai"] = __version__
    return facts


def _explained(subject: Subject, options: EvaluationOptions) -> str:
    among = f" among {', '.join(options.classes)}" if options.classes else ""
    if subject.classifier:
        return f"the class with the highest probability{among}"
    return f"every predicted class{among} from {subject.session.choice.least:g}, their mean per image"


def _zero(subject: Subject) -> str:
    """Return what an input of zeros shows."""
    mean = subject.preprocessing.mean
    return "the mean colour" if any(mean) else "black"
