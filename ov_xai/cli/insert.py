"""`ov-xai insert`: write a model that also computes saliency maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ov_xai.cli.console import say
from ov_xai.cli.destination import choose_output
from ov_xai.cli.options import insertion_options, make_request, safe_option
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
@safe_option
def insert(
    *, model: Path, output: Path | None, in_place: bool, replace_old: bool, as_json: bool, safe: bool, **options: Any
) -> None:
    """Write a copy of MODEL that returns saliency maps with its predictions.

    MODEL is an IR, ONNX, TFLite, TensorFlow or Paddle file. Before anything is written, the original outputs are
    compared bit for bit and the maps with the literal perturbation.
    """
    destination = choose_output(model, output, "_xai", in_place)
    patched = insert_branch(model, make_request(**options), replace_old=replace_old, safe=safe)
    save(patched, destination)
    manifest = read_manifest(patched)
    assert manifest is not None
    if as_json:
        say(manifest.to_json())
    _report(manifest, destination, as_json)
    for option in _without_effect(manifest, options):
        say(f"note      --{option} has no effect on {manifest.method}", err=True)


def _without_effect(manifest: Manifest, options: dict[str, Any]) -> list[str]:
    """Return the options that were given and play no part in what was inserted."""
    idle = []
    if manifest.mask is None:
        idle += ["mask", "score"]
    if manifest.task != "classification":
        idle += ["block"]
    if manifest.combine is None:
        idle += ["combine", "map_level", "compat"]
    if manifest.levels:  # their scores are found, not chosen; a feature vector is of the target
        idle += ["grid"] if options["feature_vector"] else ["grid", "target_layer"]
    return [name.replace("_", "-") for name in idle if options[name] is not None]


def _report(manifest: Manifest, destination: Path, quiet: bool) -> None:
    lines = _of_classifier(manifest) if manifest.task == "classification" else _of_detector(manifest)
    same = "bit-equal" if manifest.exact_outputs else "equal within 1e-5 of their range, not bit for bit"
    proof = "the literal perturbation" if manifest.mask else "an independent computation"
    checked = f"; maps checked against {proof}" if manifest.score else ""
    for line in (*lines, f"outputs   original ones {same}{checked}", f"written   {destination}"):
        say(line, err=quiet)


def _of_classifier(manifest: Manifest) -> list[str]:
    kept = f", {manifest.kept_tokens} tokens kept" if manifest.kept_tokens else ""
    mask = f", mask {manifest.mask}, score {manifest.score}" if manifest.mask else ""
    reason = f": {manifest.strategy_reason}" if manifest.strategy_reason else ""
    lines = [f"target    {manifest.target[0]}, grid {_grid(manifest.grid)}{kept}"]
    if manifest.shared:
        lines.append(f"shared    {', '.join(manifest.shared)}: not masked")
    lines += [f"method    {manifest.method}{mask}", f"strategy  {manifest.strategy}{reason}"]
    if manifest.strategy == "mosaic":
        lines.append("          runs what follows the target once per place; `ov-xai inspect` says how much that is")
    return lines


def _of_detector(manifest: Manifest) -> list[str]:
    if not manifest.levels:
        lines = [f"target    {manifest.target[0]}, grid {_grid(manifest.grid)}"]
        if manifest.classes == 0:
            lines.append("note      classes are scored per region or per query, not per place: one map per image")
        return [*lines, f"method    {manifest.method}"]
    unused = f", of which {manifest.unused_classes} stand for nothing" if manifest.unused_classes else ""
    levels = ", ".join(_grid(level) for level in manifest.levels)
    card = f", card {manifest.card}" if manifest.card else ""
    how = f"compat {manifest.compat}" if manifest.compat else f"{manifest.combine} over the levels"
    lines = [
        f"scores    {', '.join(manifest.target)}: {manifest.classes} label ids{unused}{card}",
        f"levels    {levels}",
        f"method    {manifest.method}, {how}, grid {_grid(manifest.grid)}",
    ]
    if manifest.task == "detection" and manifest.readout is None:
        lines.append("note      boxes cannot be read from the outputs; maps can")
    return lines


def _grid(extents: list[int | None]) -> str:
    return "x".join(str(extent or "?") for extent in extents)
