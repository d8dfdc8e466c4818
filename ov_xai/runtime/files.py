"""Results as files that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

from ov_xai.errors import OutputError


def write_whole(path: Path, data: bytes) -> Path:
    """Write a file beside its place and move it there, so that it is never seen half written.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return path


def write_result(path: Path, data: bytes | str) -> None:
    """Write a file as `write_whole` does; a text as UTF-8.

    Raises:
        OutputError: it cannot be written.
    """
    content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    try:
        write_whole(path, content)
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror}. Give another path.") from error


def require_place(path: Path) -> None:
    """Refuse a file that cannot be written, before hours are spent on what it is to hold.

    Raises:
        OutputError: it is a folder, or its folder does not exist or cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"Output '{path}' is a folder. Give the path of a file.")
    if not path.parent.is_dir():
        raise OutputError(f"The folder '{path.parent}' of output '{path.name}' does not exist. Create it first.")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"'{path}' cannot be written: its folder cannot be. Give another path.")


def make_folder(folder: Path) -> None:
    """Make a folder for results, where there is none.

    Raises:
        OutputError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Folder '{folder}' cannot be made: {error.strerror}. Change -o.") from error
    if not os.access(folder, os.W_OK):
        raise OutputError(f"Folder '{folder}' cannot be written. Check its permissions or change -o.")
