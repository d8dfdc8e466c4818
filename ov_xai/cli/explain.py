"""`ov-xai explain`: maps and overlays for a folder of photos."""

from __future__ import annotations

from pathlib import Path

import click

from ov_xai.cards import read_card
from ov_xai.cli.classes import parse_classes
from ov_xai.cli.folder_progress import FolderProgress, finish
from ov_xai.cli.options import METHOD, make_overrides, preprocessing_options, safe_option
from ov_xai.errors import RequestError
from ov_xai.folders import ExplainOptions
from ov_xai.folders import explain as explain_photos
from ov_xai.request import Method
from ov_xai.runtime.choice import ClassChoice
from ov_xai.runtime.explanation import RenderOptions
from ov_xai.runtime.labels import read_label_file
from ov_xai.runtime.rendering import COLORMAPS

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
@click.option("-j", "--requests", type=click.IntRange(1), help="Inferences in flight.  [default: twice OpenVINO's]")
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
    if target_explain_group == "IMAGE":
        method = _per_image(method)
    options = ExplainOptions(
        method=method,
        card=None if card is None else read_card(card),
        choice=ClassChoice(
            parse_classes(classes, explain_all_classes, target_explain_group), confidence_threshold, top_k
        ),
        overrides=make_overrides(mean, scale, resize, input_color),
        render=RenderOptions(overlay_weight, colormap, crop_padded_map is not False, rendered, per_detection),
        labels=None if labels is None else read_label_file(labels),
        device=device,
        requests=requests,
        resume=resume,
        report=report,
        safe=safe,
    )
    with FolderProgress(source, output) as shown:
        summary = explain_photos(model, source, output, options, begin=shown.begin, progress=shown.notify)
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
