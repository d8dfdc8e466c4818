"""`ov-xai demo`: the bundled classifier explains the bundled photos."""

from __future__ import annotations

from pathlib import Path

import click

from ov_xai.assets import asset_folder
from ov_xai.cli.console import say
from ov_xai.cli.explain import explain_with_progress, finish, report_head
from ov_xai.graph.manifest import read_manifest
from ov_xai.insertion import insert, save
from ov_xai.runtime.dump import DumpOptions
from ov_xai.runtime.report import write_report
from ov_xai.runtime.session import Session

CLASSIFIER = "efficientnet_lite0"


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default="ov_xai_demo", show_default=True)
def demo(output: Path) -> int:
    """Patch the bundled ImageNet classifier and explain the bundled photos; leaves pictures and an HTML page."""
    data = asset_folder("data")
    model, photos = data / "models" / f"{CLASSIFIER}.xml", data / "photos"
    patched = insert(model)
    session = Session(patched)
    options = DumpOptions(output)
    summary = explain_with_progress(session, photos, options)
    save(patched, output / f"{CLASSIFIER}_xai.xml")
    manifest = read_manifest(patched)
    assert manifest is not None
    page = write_report(photos, output, report_head(model.name, manifest, options.render, session.choice))
    say(f"model     {output / CLASSIFIER}_xai.xml")
    say(f"report    {page}")
    return finish(summary, output)
