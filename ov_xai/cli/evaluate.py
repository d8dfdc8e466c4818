"""`ov-xai evaluate`: how well saliency maps explain a model."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from tqdm import tqdm

from ov_xai.cli.classes import parse_classes
from ov_xai.cli.console import say, say_above_bars
from ov_xai.cli.options import make_overrides, preprocessing_options, safe_option
from ov_xai.errors import EXIT_OK, EXIT_PARTIAL, RequestError
from ov_xai.evaluation import METRICS, EvaluationOptions, Progress, Step
from ov_xai.evaluation import evaluate as evaluate_model
from ov_xai.evaluation.page import write_page
from ov_xai.evaluation.tables import as_csv, as_text
from ov_xai.runtime.choice import ALL, PREDICTIONS
from ov_xai.runtime.files import require_place, write_result
from ov_xai.runtime.labels import read_label_file

_FILE = click.Path(path_type=Path)
#: Width of the table where no terminal says its own.
_WIDTH = 120


@click.command()
@click.argument("model", type=_FILE)
@click.option("--data", required=True, type=_FILE, metavar="DIR", help="Image, or folder of images.")
@click.option("--annotations", type=_FILE, metavar="FILE|DIR", help="Boxes: COCO JSON, or a folder of VOC XML.")
@click.option(
    "--methods",
    default="auto",
    show_default=True,
    metavar="auto|all|NAME,...",
    help="What is compared: auto is what MODEL shows by itself; a name is METHOD[:MASK[:SCORE]].",
)
@click.option("--metrics", metavar="NAME,...", help=f"Of: {', '.join(METRICS)}.  [default: all that apply]")
@click.option("--steps", type=int, default=50, show_default=True, help="Of insertion and deletion curves.")
@click.option("--limit", type=int, metavar="N", help="At most the first N images.")
@click.option("--rise", type=int, default=0, metavar="MASKS", help="Also measure RISE with so many masks.")
@click.option("--batch", type=int, default=32, show_default=True, help="Images per inference, where the model can.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@click.option("--classes", metavar="NAME,...", help="Explain the most probable of these classes only.")
@preprocessing_options
@click.option("--labels", type=_FILE, metavar="FILE", help="One label a line, in output order.")
@click.option("--device", default="CPU", show_default=True, help="OpenVINO device.")
@safe_option
@click.option("--csv", "csv_file", type=_FILE, metavar="FILE", help="Also write a row per method and metric.")
@click.option("--report", type=_FILE, metavar="FILE.html", help="Also write one page with table and curves.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(
    *,
    model: Path,
    data: Path,
    annotations: Path | None,
    methods: str,
    metrics: str | None,
    steps: int,
    limit: int | None,
    rise: int,
    batch: int,
    seed: int,
    classes: str | None,
    mean: str | None,
    scale: str | None,
    resize: str | None,
    input_color: str | None,
    labels: Path | None,
    device: str,
    safe: bool,
    csv_file: Path | None,
    report: Path | None,
    as_json: bool,
) -> int:
    """Measure how well saliency maps explain MODEL, plain or patched, and compare methods.

    Of a classifier the class with the highest probability is explained, of a detector every class it detects. The
    baselines, a random map and a spot in the centre, are always measured too: a figure means something beside them.
    """
    for path in (csv_file, report):
        if path is not None:
            require_place(path)
    options = EvaluationOptions(
        metrics=None if metrics is None else tuple(metrics.split(",")),
        steps=steps,
        batch=batch,
        limit=limit,
        rise_masks=rise,
        seed=seed,
        classes=_named(classes),
        safe=safe,
    )
    with _progress() as progress:
        found = evaluate_model(
            model,
            data,
            methods=methods.split(","),
            annotations=annotations,
            options=options,
            overrides=make_overrides(mean, scale, resize, input_color),
            labels=None if labels is None else read_label_file(labels),
            device=device,
            progress=progress,
        )
    text = json.dumps(found.to_dict(), indent=2, allow_nan=False) if as_json else as_text(found, _width())
    for line in text.splitlines():
        say(line)
    if csv_file is not None:
        write_result(csv_file, as_csv(found))
        say(f"csv       {csv_file}", err=as_json)
    if report is not None:
        write_page(found, report)
        say(f"report    {report}", err=as_json)
    return EXIT_PARTIAL if found.skipped else EXIT_OK


def _named(classes: str | None) -> tuple[str, ...]:
    """Return the classes that the option names; none for those of the predictions."""
    chosen = parse_classes(classes, False, None)
    if chosen == ALL:
        raise RequestError("--classes all is not measured: one class of an image is. Name classes, or leave it out.")
    return () if chosen == PREDICTIONS or isinstance(chosen, str) else chosen


def _width() -> int:
    return shutil.get_terminal_size((_WIDTH, 24)).columns if sys.stdout.isatty() else _WIDTH


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show a progress bar per method on a terminal, and a line per method elsewhere."""
    terminal = sys.stderr.isatty()
    with tqdm(unit="img", disable=not terminal, file=sys.stderr) as bar:
        doing = ""

        def notify(step: Step) -> None:
            nonlocal doing
            if step.skipped is not None:
                say_above_bars(f"skipped   {step.skipped[1]}")
            if step.doing != doing:
                doing = step.doing
                bar.reset(total=step.total)
                bar.set_description(doing)
            bar.update(step.done - bar.n)
            if step.done == step.total and not terminal:
                say(f"measured  {doing}", err=True)

        yield notify
