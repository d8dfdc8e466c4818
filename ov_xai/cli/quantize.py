"""`ov-xai quantize`: write an INT8 model whose predictions and maps come from one inference."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from ov_xai.cli.console import say
from ov_xai.cli.destination import choose_output
from ov_xai.cli.options import insertion_options, make_overrides, make_request, preprocessing_options, safe_option
from ov_xai.errors import EXIT_OK, EXIT_PARTIAL
from ov_xai.graph.manifest import read_manifest
from ov_xai.insertion import save
from ov_xai.quantization.engine import Preset
from ov_xai.quantization.quantizing import SUBSET_SIZE, Quantization, QuantizationOptions, run_quantization
from ov_xai.request import InsertionRequest


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="INT8 IR.  [default: MODEL_int8.xml]")
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Images for calibration, unlabelled."
)
@click.option(
    "--validation",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Classifiers: one sub-folder of images per class, named by label or index; keeps the top-1 accuracy.",
)
@click.option(
    "--max-drop", type=float, default=0.01, show_default=True, help="With --validation: accuracy that may be lost."
)
@click.option(
    "--subset-size", type=int, default=SUBSET_SIZE, show_default=True, metavar="N", help="At most N images calibrate."
)
@click.option(
    "--preset",
    type=click.Choice([preset.value for preset in Preset], case_sensitive=False),
    help="Symmetric activations, or asymmetric ones.  [default: mixed for transformers, else performance]",
)
@click.option("--exact-layer", "exact_layers", multiple=True, metavar="NAME", help="Layer left in floating point.")
@click.option("--accurate-bias", is_flag=True, help="Correct biases layer by layer; slower to quantise, not to run.")
@preprocessing_options
@click.option("--insert", "insert_branch", is_flag=True, help="Insert maps; into a plain model too.")
@insertion_options
@safe_option
@click.option("--in-place", is_flag=True, help="Write over the model itself (IR only).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def quantize(
    *,
    model: Path,
    output: Path | None,
    data: Path,
    validation: Path | None,
    max_drop: float,
    subset_size: int,
    preset: str | None,
    exact_layers: tuple[str, ...],
    accurate_bias: bool,
    mean: str | None,
    scale: str | None,
    resize: str | None,
    input_color: str | None,
    insert_branch: bool,
    in_place: bool,
    safe: bool,
    as_json: bool,
    **insertion: Any,
) -> int:
    """Quantise MODEL, plain or patched, to INT8 after training. Needs NNCF: pip install 'ov-xai[quantize]'.

    The saliency branch of a patched model is inserted again behind the quantised layers, as it was, or as the options
    of `insert` say. A plain model stays plain unless --insert or one of these options is given. The predictions are
    those of the plain quantised model, bit for bit.
    """
    destination = choose_output(model, output, "_int8", in_place)
    asked = make_request(**insertion)
    options = QuantizationOptions(
        preset=None if preset is None else Preset(preset.lower()),
        subset_size=subset_size,
        max_drop=max_drop,
        exact_layers=exact_layers,
        accurate_bias=accurate_bias,
        overrides=make_overrides(mean, scale, resize, input_color),
        safe=safe,
    )
    with tqdm(unit="img", desc="calibrating", disable=not sys.stderr.isatty(), file=sys.stderr) as bar:
        result = run_quantization(
            model,
            data,
            options,
            validation=validation,
            request=asked if insert_branch or asked != InsertionRequest() else None,
            notify=bar.update,
        )
    save(result.model, destination)
    if as_json:
        say(json.dumps(as_record(result, destination), separators=(",", ":")))
    _report(result, destination, as_json)
    return EXIT_PARTIAL if result.skipped else EXIT_OK


def as_record(result: Quantization, destination: Path) -> dict[str, Any]:
    """Return what became of a model as JSON-ready data; the manifest is null for a plain model."""
    manifest = read_manifest(result.model)
    before, after = result.accuracy or (None, None)
    return {
        "output": str(destination),
        "images": result.photos,
        "skipped": result.skipped,
        "notes": result.notes,
        "model_type": "transformer" if result.transformer else None,
        "quantisers": result.quantisers,
        "accuracy_before": before,
        "accuracy": after,
        "manifest": None if manifest is None else json.loads(manifest.to_json()),
    }


def _report(result: Quantization, destination: Path, quiet: bool) -> None:
    for reason in result.skipped:
        say(f"skipped   {reason}", err=True)
    say(result.preprocessing, err=True)
    for note in result.notes:
        say(f"note      {note}", err=True)
    kind = ", as a transformer" if result.transformer else ""
    lines = [f"quantised activations in {result.quantisers} places, calibrated on {result.photos} images{kind}"]
    if result.accuracy is not None:
        before, after = result.accuracy
        lines.append(f"accuracy  top-1 {before:.4f} before, {after:.4f} after")
    manifest = read_manifest(result.model)
    if manifest is None:
        lines.append("maps      none: --insert adds them")
    else:
        lines.append(f"maps      {manifest.method} of {', '.join(manifest.target)}")
        rounding = "" if manifest.rounded else "; the masked runs leave out the rounding of activations"
        same = (
            "as without them, bit for bit" if manifest.exact_outputs else "as without them within 1e-5 of their range"
        )
        lines.append(f"          predictions {same}{rounding}")
    for line in (*lines, f"written   {destination}"):
        say(line, err=quiet)
