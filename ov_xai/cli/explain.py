"""`ov-xai explain`: maps and overlays for a folder of photos."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from tqdm import tqdm

from ov_xai.cli.console import printable, say
from ov_xai.cli.options import METHOD, make_overrides, make_request, preprocessing_options, safe_option
from ov_xai.errors import EXIT_OK, EXIT_PARTIAL, RequestError
from ov_xai.explaining import ready_model, require_class_maps, settings_digest, shows_instance_masks
from ov_xai.request import Method, Normalise
from ov_xai.runtime.choice import ALL, PREDICTIONS, ClassChoice
from ov_xai.runtime.dump import DumpOptions, Summary, explain_folder
from ov_xai.runtime.explanation import RenderOptions
from ov_xai.runtime.images import find_images
from ov_xai.runtime.labels import read_label_file
from ov_xai.runtime.records import Record
from ov_xai.runtime.rendering import COLORMAPS
from ov_xai.runtime.report import ReportHead, write_report
from ov_xai.runtime.session import Session

_GROUPS = ("ALL", "PREDICTIONS", "IMAGE")


@click.command()
@click.option(
    "-m", "--model", "--load-weights", required=True, type=click.Path(path_type=Path), help="Patched or plain model."
)
@click.option(
    "-i", "--input", "source", required=True, type=click.Path(path_type=Path), help="Image, or folder of images."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), default="saliency_dump", show_default=True)
@click.option("--explain-algorithm", "method", type=METHOD, default="auto", help="Saliency method; OTX names work too.")
@click.option("--classes", metavar="predictions|all|NAME,...", help="Classes to explain.  [default: predictions]")
@click.option("--explain-all-classes", is_flag=True, help="The same as --classes all.")
@click.option(
    "--target-explain-group",
    type=click.Choice(_GROUPS, case_sensitive=False),
    help="OTX name of --classes; IMAGE is one map per image.",
)
@click.option(
    "--confidence-threshold",
    type=float,
    help="Of predicted classes; a classifier's best one always counts.  [default: the model's own, or 0.3]",
)
@click.option("--top-k", type=int, metavar="T", help="At most T classes per image.")
@click.option(
    "--process-saliency-maps/--no-process-saliency-maps",
    "rendered",
    default=True,
    show_default=True,
    help="Pictures, or raw maps as .npy and .tiff.",
)
@click.option(
    "--overlay-weight",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Part of the map in an overlay.",
)
@click.option("--colormap", type=click.Choice(list(COLORMAPS), case_sensitive=False), default="jet", show_default=True)
@click.option(
    "--crop-padded-map/--no-crop-padded-map", default=None, help="Leave out padding.  [default: when letterboxed]"
)
@preprocessing_options
@click.option("--labels", type=click.Path(path_type=Path), metavar="FILE", help="One label a line, in output order.")
@click.option("--card", type=click.Path(path_type=Path), metavar="FILE", help="What is known about the model's family.")
@click.option("--device", default="CPU", show_default=True, help="OpenVINO device.")
@click.option("-j", "--requests", type=click.IntRange(1), help="Inferences in flight.  [default: OpenVINO's choice]")
@click.option("--per-detection", is_flag=True, help="Also a picture of each detection: its part of the overlay.")
@click.option("--resume", is_flag=True, help="Keep what an earlier run with the same settings wrote.")
@click.option("--report", is_flag=True, help="Also write report.html, one page with everything.")
@safe_option
def explain(
    *,
    model: Path,
    source: Path,
    output: Path,
    method: Method | None,
    classes: str | None,
    explain_all_classes: bool,
    target_explain_group: str | None,
    confidence_threshold: float | None,
    top_k: int | None,
    rendered: bool,
    overlay_weight: float,
    colormap: str,
    crop_padded_map: bool | None,
    mean: str | None,
    scale: str | None,
    resize: str | None,
    input_color: str | None,
    labels: Path | None,
    card: Path | None,
    device: str,
    requests: int | None,
    per_detection: bool,
    resume: bool,
    report: bool,
    safe: bool,
) -> int:
    """Explain a photo or a folder of photos: per image and class a saliency map and an overlay."""
    for option, given in (("--report", report), ("--per-detection", per_detection)):
        if given and not rendered:
            raise RequestError(f"{option} shows rendered maps. Drop --no-process-saliency-maps or {option}.")
    if target_explain_group == "IMAGE":
        method = _per_image(method)
    choice = ClassChoice(parse_classes(classes, explain_all_classes, target_explain_group), confidence_threshold, top_k)
    overrides = make_overrides(mean, scale, resize, input_color)
    names = None if labels is None else read_label_file(labels)
    normalise = Normalise.MINMAX if rendered else Normalise.NONE
    request = make_request(method=method, normalise=normalise.value, card=card)
    patched = ready_model(model, request, choice, safe=safe)
    require_class_maps(patched, choice)
    session = Session(
        patched,
        device,
        labels=names,
        choice=choice,
        overrides=overrides,
        requests=requests,
        instance_masks=shows_instance_masks(patched, method),
    )
    say(session.preprocessing.describe(), err=True)
    for note in session.notes:
        say(f"note      {note}", err=True)
    render = RenderOptions(overlay_weight, colormap.lower(), crop_padded_map is not False, rendered, per_detection)
    settings = settings_digest(model, session.manifest, session.method, choice, overrides, names, rendered)
    options = DumpOptions(output, render, resume, settings)
    summary = explain_with_progress(session, source, options)
    if report:
        head = report_head(model.name, session, render)
        say(f"report    {write_report(source, output, head)}")
    return finish(summary, output)


def _per_image(method: Method | None) -> Method:
    """Return the method of one map per image that a caller means.

    Raises:
        RequestError: the method has a map per class.
    """
    if method is not None and method.class_wise:
        raise RequestError(
            f"--target-explain-group IMAGE asks for one map per image, --explain-algorithm {method.value} for one per "
            "class. Drop one of them."
        )
    return method or Method.ACTIVATION_MAP


def parse_classes(classes: str | None, all_classes: bool, group: str | None) -> str | tuple[str, ...]:
    """Return the choice of classes that three options make.

    Raises:
        RequestError: they contradict each other.
    """
    said = [value for value in (classes, ALL if all_classes else None, group) if value is not None]
    if len(said) > 1:
        raise RequestError("--classes, --explain-all-classes and --target-explain-group say the same thing. Give one.")
    if group is not None:
        return ALL if group.upper() == "ALL" else PREDICTIONS
    if all_classes:
        return ALL
    text = (classes or PREDICTIONS).strip()
    if text.lower() in (PREDICTIONS, ALL):
        return text.lower()
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise RequestError("--classes names no class; expected predictions, all, or labels separated by commas.")
    return names


def explain_with_progress(session: Session, source: Path, options: DumpOptions) -> Summary:
    """Explain a folder with a progress bar on a terminal, and a line per image elsewhere."""
    terminal = sys.stderr.isatty()
    total = sum(1 for _ in find_images(source, options.output)) if terminal else None
    with tqdm(total=total, unit="img", disable=not terminal, file=sys.stderr) as bar:

        def notify(record: Record) -> None:
            if "error" in record:
                tqdm.write(printable(f"skipped   {record['error']}"), file=sys.stderr)
            elif not terminal:
                say(f"explained {record['path']}: {_found(record)}")
            bar.update()

        return explain_folder(session, source, options, notify)


def _found(record: Record) -> str:
    if record["predictions"]:
        best = record["predictions"][0]
        return f"{best['label']} {best['confidence']:.2f}"
    return f"{len(record['maps'])} maps" if record["maps"] else "nothing found"


def report_head(name: str, session: Session, render: RenderOptions) -> ReportHead:
    """Return the top of the HTML report."""
    manifest, choice = session.manifest, session.choice
    facts = [("Method", session.method)]
    if session.method == manifest.method:
        grid = "x".join(str(extent or "?") for extent in manifest.grid)
        facts.append(("Grid", grid))
        levels = ("Levels", f"{len(manifest.levels)}, {manifest.combine}")
        facts.append(("Strategy", manifest.strategy) if manifest.combine is None else levels)
    if manifest.mask is not None:
        facts += [("Mask", manifest.mask), ("Score", str(manifest.score))]
    wanted = choice.classes if isinstance(choice.classes, str) else ", ".join(choice.classes)
    facts += [("Classes", wanted), ("Colour map", render.colormap), ("ov-xai", manifest.ov_xai)]
    return ReportHead(name, facts, render.weight)


def finish(summary: Summary, output: Path) -> int:
    """Print what became of the images and return the exit code."""
    kept = f", {summary.kept} kept" if summary.kept else ""
    skipped = f", {len(summary.skipped)} skipped" if summary.skipped else ""
    say(f"done      {summary.explained} explained{kept}{skipped}; results in {output}")
    return EXIT_PARTIAL if summary.skipped else EXIT_OK
