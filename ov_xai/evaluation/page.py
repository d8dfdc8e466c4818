"""An evaluation as one self-contained HTML page: the table, the differences and the curves."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from ov_xai.evaluation.metric_names import DELETION, INSERTION
from ov_xai.evaluation.plot import HEIGHT, WIDTH, panel_of, styles_of
from ov_xai.evaluation.results import Evaluation
from ov_xai.evaluation.tables import heading
from ov_xai.runtime.files import write_result


def as_page(evaluation: Evaluation) -> str:
    """Return the page; it needs no network."""
    environment = Environment(
        loader=PackageLoader("ov_xai.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    panels = [panel_of(metric, evaluation.results) for metric in (INSERTION, DELETION)]
    return environment.get_template("evaluation.html").render(
        evaluation=evaluation,
        headings={metric: heading(metric) for metric in evaluation.metrics},
        intervals=evaluation.intervals(),
        differences=evaluation.differences(),
        best=evaluation.best(),
        panels=[panel for panel in panels if panel is not None],
        styles=styles_of(evaluation.results),
        size=(WIDTH, HEIGHT),
    )


def write_page(evaluation: Evaluation, path: Path) -> None:
    """Write the page.

    Raises:
        OutputError: the file cannot be written.
    """
    write_result(path, as_page(evaluation))
