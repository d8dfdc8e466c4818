"""`ov-xai remove`: give the original model back."""

from __future__ import annotations

from pathlib import Path

import click

from ov_xai.cli.console import say
from ov_xai.cli.destination import choose_output
from ov_xai.cli.options import safe_option
from ov_xai.insertion import remove as remove_branch
from ov_xai.insertion import save


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Original IR.  [default: MODEL_plain.xml]")
@click.option("--in-place", is_flag=True, help="Write over the patched model itself.")
@safe_option
def remove(model: Path, output: Path | None, in_place: bool, safe: bool) -> None:
    """Strip the saliency branch from a patched MODEL."""
    destination = choose_output(model, output, "_plain", in_place)
    save(remove_branch(model, safe=safe), destination)
    say(f"written   {destination}")
