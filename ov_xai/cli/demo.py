"""`ov-xai demo`: a bundled model explains the bundled photos."""

from __future__ import annotations

from pathlib import Path

import click

from ov_xai.assets import asset_folder
from ov_xai.cli.console import say
from ov_xai.cli.explain import explain_with_progress, finish, report_head
from ov_xai.insertion import insert, save
from ov_xai.runtime.dump import DumpOptions
from ov_xai.runtime.report import write_report
from ov_xai.runtime.session import Session

CLASSIFIER, DETECTOR = "efficientnet_lite0", "nanodet_g"


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default="ov_xai_demo", show_default=True)
@click.option("--detector", is_flag=True, help="Show the COCO detector instead of the ImageNet classifier.")
def demo(output: Path, detector: bool) -> int:
    """Patch a bundled model and explain the bundled photos with it; leaves pictures and an HTML page."""
    name = DETECTOR if detector else CLASSIFIER
    data = asset_folder("data")
    model, photos = data / "models" / f"{name}.xml", data / "photos"
    patched = insert(model)
    session = Session(patched)
    options = DumpOptions(output)
    summary = explain_with_progress(session, photos, options)
    save(patched, output / f"{name}_xai.xml")
    page = write_report(photos, output, report_head(model.name, session, options.render))
    say(f"model     {output / name}_xai.xml")
    say(f"report    {page}")
    return finish(summary, output)
