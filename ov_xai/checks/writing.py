"""Results as files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

from ov_xai.errors import OutputError
from ov_xai.runtime.explanation import write_whole


def write_result(path: Path, data: bytes) -> None:
    """Write a file, atomically.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        write_whole(path, data)
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror}. Give another path.") from error
