"""What the command line prints, and what it keeps others from printing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from tqdm import tqdm


def printable(text: str) -> str:
    """Return a text in one line, control characters and what is no text at all escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape", "replace").decode() for char in text)


def say(text: str, err: bool = False) -> None:
    """Print a line; a reader that is gone does not stop the work."""
    try:
        click.echo(printable(text), err=err)
    except BrokenPipeError:
        # Nobody reads any more: what follows goes nowhere.
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a file descriptor is needed
            os.dup2(nowhere.fileno(), (sys.stderr if err else sys.stdout).fileno())


def say_above_bars(text: str) -> None:
    """Print a line on stderr as `say` does, above the progress bars there."""
    with tqdm.external_write_mode(file=sys.stderr):
        say(text, err=True)


def say_json(data: Any) -> None:
    """Print JSON-ready data in indented lines."""
    for line in json.dumps(data, indent=2).splitlines():
        say(line)


@contextmanager
def natives_silenced() -> Iterator[None]:
    """Keep what native libraries print about files they cannot parse off stderr, unless OV_XAI_DEBUG is set.

    Python's own stderr goes on as before.
    """
    own = sys.stderr
    if os.environ.get("OV_XAI_DEBUG"):
        yield
        return
    own.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a file descriptor is needed
            os.dup2(nowhere.fileno(), 2)
        if own is sys.__stderr__ and own is not None:
            sys.stderr = os.fdopen(os.dup(kept), "w", buffering=1, encoding=own.encoding, errors="backslashreplace")
        yield
    finally:
        if sys.stderr is not own:
            sys.stderr.close()
            sys.stderr = own
        os.dup2(kept, 2)
        os.close(kept)
