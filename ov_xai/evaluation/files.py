"""Files that an evaluation leaves: whole or not at all."""

from __future__ import annotations

from pathlib import Path

from ov_xai.errors import OutputError
from ov_xai.runtime.explanation import write_whole


def require_place(path: Path) -> None:
    """Refuse a file that cannot be written, before hours are spent on what it is to hold.

    Raises:
        OutputError: it is a folder, or its folder does not exist.
    """
    if path.is_dir():
        raise OutputError(f"Output '{path}' is a folder. Give the path of a file.")
    if not path.parent.is_dir():
        raise OutputError(f"The folder '{path.parent}' of output '{path.name}' does not exist. Create it first.")


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        write_whole(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror}. Give another path.") from error
