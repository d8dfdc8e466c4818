"""`ov-xai demo`: a bundled model explains the bundled photos."""

from __future__ import annotations

from pathlib import Path

import click

from ov_xai.assets import asset_folder
from ov_xai.cli.console import say
from ov_xai.cli.folder_progress import FolderProgress, finish
from ov_xai.folders import explain
from ov_xai.insertion import insert, save
from ov_xai.runtime.files import make_folder

CLASSIFIER, DETECTOR = "efficientnet_lite0", "nanodet_g"


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default="ov_xai_demo", show_default=True)
@click.option("--detector", is_flag=True, help="Show the COCO detector instead of the ImageNet classifier.")
def demo(output: Path, detector: bool) -> int:
    """Patch a bundled model and explain the bundled photos with it; leaves pictures and an HTML page."""
    name = DETECTOR if detector else CLASSIFIER
    data = asset_folder("data")
    model, photos = data / "models" / f"{name}.xml", data / "photos"
    patched = output / f"{name}_xai.xml"
    make_folder(output)
    save(insert(model), patched)
    with FolderProgress(photos, output) as shown:
        summary = explain(patched, photos, output, report=True, begin=shown.begin, progress=shown.notify)
    say(f"model     {patched}")
    return finish(summary, output)
