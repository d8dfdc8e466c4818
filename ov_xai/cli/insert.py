"""`ov-xai insert`: write a model that also computes saliency maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ov_xai.cli.console import say
from ov_xai.cli.options import insertion_options, make_request
from ov_xai.errors import OutputError
from ov_xai.graph.manifest import Manifest, read_manifest
from ov_xai.insertion import insert as insert_branch
from ov_xai.insertion import save


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Patched IR.  [default: MODEL_xai.xml]")
@insertion_options
@click.option("--in-place", is_flag=True, help="Write over the model itself (IR only).")
@click.option("--replace", "replace_old", is_flag=True, help="Strip an earlier saliency branch first.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def insert(model: Path, output: Path | None, in_place: bool, replace_old: bool, as_json: bool, **options: Any) -> None:
    """Write a copy of MODEL that returns saliency maps with its predictions.

    MODEL is an IR, ONNX, TFLite, TensorFlow or Paddle file. Before anything is written, the original outputs are
    compared bit for bit and the maps with the literal perturbation.
    """
    destination = choose_output(model, output, "_xai", in_place)
    patched = insert_branch(model, make_request(**options), replace_old=replace_old)
    save(patched, destination)
    manifest = read_manifest(patched)
    assert manifest is not None
    if as_json:
        say(manifest.to_json())
    _report(manifest, destination, as_json)
    if manifest.mask is None and options["mask"] is not None:
        say(f"note      --mask has no effect: {manifest.method} gives one map per image and masks nothing", err=True)


def choose_output(model: Path, output: Path | None, suffix: str, in_place: bool) -> Path:
    """Return where to write; the input itself only with `in_place`.

    Raises:
        OutputError: the output is the input, or `in_place` does not fit.
    """
    if in_place:
        if output is not None or model.suffix.lower() != ".xml":
            raise OutputError("--in-place writes over an .xml model; it goes with neither -o nor another format.")
        return model
    chosen = output or model.with_name(f"{model.name.removesuffix(model.suffix)}{suffix}.xml")
    if chosen.resolve() == model.resolve():
        raise OutputError(f"Output '{chosen}' is the model itself. Use --in-place to write over it, or change -o.")
    return chosen


def _report(manifest: Manifest, destination: Path, quiet: bool) -> None:
    grid = "x".join(str(extent or "?") for extent in manifest.grid)
    kept = f", {manifest.kept_tokens} tokens kept" if manifest.kept_tokens else ""
    say(f"target    {manifest.target[0]}, grid {grid}{kept}", err=quiet)
    if manifest.shared:
        say(f"shared    {', '.join(manifest.shared)}: not masked", err=quiet)
    mask = f", mask {manifest.mask}, score {manifest.score}" if manifest.mask else ""
    say(f"method    {manifest.method}{mask}", err=quiet)
    reason = f": {manifest.strategy_reason}" if manifest.strategy_reason else ""
    say(f"strategy  {manifest.strategy}{reason}", err=quiet)
    if manifest.strategy == "mosaic":
        say("          runs what follows the target once per place; `ov-xai inspect` says how much that is", err=quiet)
    same = "bit-equal" if manifest.exact_outputs else "equal within 1e-5 of their range, not bit for bit"
    say(f"outputs   original ones {same}; maps checked against the literal perturbation", err=quiet)
    say(f"written   {destination}", err=quiet)
