"""`ov-xai inspect`: what a model is, and what `insert` would do with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ov_xai.analysis.report import LayerReport, ModelReport
from ov_xai.cli.console import say, say_json
from ov_xai.cli.options import insertion_options, make_request, safe_option
from ov_xai.errors import EXIT_OK, UnsupportedModelError
from ov_xai.graph.manifest import Manifest
from ov_xai.inspection import Inspection
from ov_xai.inspection import inspect as inspect_model


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@insertion_options
@click.option("--all-layers", is_flag=True, help="List every layer with a grid.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@safe_option
def inspect(model: Path, all_layers: bool, as_json: bool, safe: bool, **options: Any) -> int:
    """Say what MODEL is and what `insert` would do with it; writes nothing."""
    found = inspect_model(model, make_request(**options), all_candidates=all_layers, safe=safe)
    if as_json:
        say_json(found.to_dict())
    elif found.refusal is not None:
        _print_refusal(found)
    else:
        _print(found)
    return EXIT_OK if found.refusal is None else UnsupportedModelError.exit_code


def _print_refusal(found: Inspection) -> None:
    refusal = found.refusal
    assert refusal is not None
    say("supported    no")
    say(f"reason       {refusal.reason}")
    if refusal.node:
        say(f"node         {refusal.node}")
    if refusal.remedy:
        say(f"remedy       {refusal.remedy}")


def _print(found: Inspection) -> None:
    report, manifest = found.report, found.manifest
    assert report is not None
    assert manifest is not None
    cost = found.extra_multiply_adds_percent
    rows = [
        ("task", report.task),
        ("image", report.image),
        *(_of_classifier(report, manifest) if report.task == "classification" else _of_detector(report, manifest)),
        ("extra cost", "unknown for dynamic sizes" if cost is None else f"+{cost:g} % multiply-adds"),
    ]
    if manifest.shared:
        rows.append(("not masked", ", ".join(manifest.shared)))
    for name, value in rows:
        say(f"{name:<12} {value}")
    say("layers for --target-layer")
    for layer in report.candidates:
        say(f"  {_grid(layer):>9}  {layer.shape:<18} {layer.name} ({layer.kind})")
    if found.patched:
        say("patched      yes; its manifest:")
        say_json(json.loads(manifest.to_json()))


def _of_classifier(report: ModelReport, manifest: Manifest) -> list[tuple[str, str]]:
    return [
        ("scores", f"{report.score_output}, {report.classes} classes, activation {report.activation}"),
        ("logits", report.logits),
        ("collapse", report.collapse or "target layer given"),
        ("target", f"{report.target.name} {report.target.shape}"),
        ("grid", _grid(report.target) + (f" and {manifest.kept_tokens} kept tokens" if manifest.kept_tokens else "")),
        ("method", f"{manifest.method}" + (f", mask {manifest.mask}" if manifest.mask else "")),
        ("strategy", manifest.strategy + (f": {manifest.strategy_reason}" if manifest.strategy_reason else "")),
    ]


def _of_detector(report: ModelReport, manifest: Manifest) -> list[tuple[str, str]]:
    rows = [("target", f"{report.target.name} {report.target.shape}"), ("method", manifest.method)]
    if not report.levels:
        return [("scores", "per region or per query, on no grid"), *rows]
    unused = f", unused {manifest.unused_classes}" if manifest.unused_classes else ""
    return [
        ("scores", f"{report.logits}, {report.classes} label ids{unused}, activation {report.activation}"),
        ("levels", ", ".join(report.levels)),
        ("card", report.card or "none"),
        *rows,
    ]


def _grid(layer: LayerReport) -> str:
    return "x".join(str(extent or "?") for extent in layer.grid)
