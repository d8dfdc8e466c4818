"""What the command line shows while a folder is explained, and at the end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ov_xai.cli.console import say, say_above_bars
from ov_xai.errors import EXIT_OK, EXIT_PARTIAL
from ov_xai.runtime.dump import Summary
from ov_xai.runtime.images import find_images
from ov_xai.runtime.records import Record
from ov_xai.runtime.session import Session


class FolderProgress:
    """A progress bar on a terminal, and a line per image elsewhere; a context manager.

    Args:
        source: the image or folder that is explained.
        output: the folder for the results.
    """

    def __init__(self, source: Path, output: Path) -> None:
        self._source = source
        self._output = output
        self._terminal = sys.stderr.isatty()
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> FolderProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def begin(self, session: Session) -> None:
        """Say what is done with the photos, and what cannot be shown."""
        say(session.preprocessing.describe(), err=True)
        for note in session.notes:
            say(f"note      {note}", err=True)
        total = sum(1 for _ in find_images(self._source, self._output)) if self._terminal else None
        self._bar = tqdm(total=total, unit="img", disable=not self._terminal, file=sys.stderr)

    def notify(self, record: Record) -> None:
        """Show that an image is done."""
        if "error" in record:
            say_above_bars(f"skipped   {record['error']}")
        elif not self._terminal:
            say(f"explained {record['path']}: {_found(record)}")
        if self._bar is not None:
            self._bar.update()


def _found(record: Record) -> str:
    if record["predictions"]:
        best = record["predictions"][0]
        return f"{best['label']} {best['confidence']:.2f}"
    return f"{len(record['maps'])} maps" if record["maps"] else "nothing found"


def finish(summary: Summary, output: Path) -> int:
    """Print what became of the images and return the exit code."""
    if summary.report is not None:
        say(f"report    {summary.report}")
    kept = f", {summary.kept} kept" if summary.kept else ""
    skipped = f", {len(summary.skipped)} skipped" if summary.skipped else ""
    say(f"done      {summary.explained} explained{kept}{skipped}; results in {output}")
    return EXIT_PARTIAL if summary.skipped else EXIT_OK
