"""Replace an IR by another so that at every moment a whole model is in its place.

OpenVINO looks for the weights beside the `.xml`, and no system replaces two files at once. So it is done in steps of
one file each, and between any two of them both files fit together ("old | new" holds both weights, one behind the
other; "moved" says that the `.xml` looks for its weights in the second half):

    .xml         .bin
    old          old
    old          old | new
    new, moved   old | new
    new, moved   new | new
    new          new | new
    new          new
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

_CONSTANT = b' type="Const"'
#: Where a constant says at which byte of the weights it begins.
_OFFSET = re.compile(rb'( type="Const"[^>]*>\s*<data\b[^>]*?\soffset=")(\d+)(?=")')
#: The second half begins at a whole number of pages, which keeps the alignment of all constants.
_PAGE = 4096


def exchange(new: Path, path: Path) -> None:
    """Move the IR at `new` to `path`, both with their weights, and take the place of what is there.

    Whenever the process is killed, `path` holds the old model or the new one, whole; where there was none, perhaps
    weights alone, which are no model. Everything is written before the first file is replaced, so a full disk leaves
    the old model as it was.

    Args:
        new: an `.xml` with its `.bin`, in a folder of its own on the same file system; it is used up.
        path: the destination, an `.xml`.

    Raises:
        OSError: a file cannot be written or replaced.
    """
    for source, target in _steps(new, path):
        os.replace(source, target)


def _steps(new: Path, path: Path) -> list[tuple[Path, Path]]:
    """Write what the steps need beside `new`, and return which file replaces which."""
    weights, old = new.with_suffix(".bin"), path.with_suffix(".bin")
    _synchronise(new, weights)
    if not path.exists() or not old.exists():
        return [(weights, old), (new, path)]
    start = _second_half(old, weights)
    moved, both, twice = (new.parent / name for name in ("moved.xml", "both.bin", "twice.bin"))
    moved.write_bytes(_moved(new.read_bytes(), start))
    _join(old, weights, start, both)
    _join(weights, weights, start, twice)
    _synchronise(moved, both, twice)
    return [(both, old), (moved, path), (twice, old), (new, path), (weights, old)]


def _second_half(*files: Path) -> int:
    """Return the first whole page behind the longest of some files, in bytes."""
    return -(-max(file.stat().st_size for file in files) // _PAGE) * _PAGE


def _moved(xml: bytes, start: int) -> bytes:
    """Return an IR that looks for its weights `start` bytes further on."""
    moved, count = _OFFSET.subn(lambda found: found[1] + b"%d" % (int(found[2]) + start), xml)
    if count != xml.count(_CONSTANT):
        raise RuntimeError(f"{count} of {xml.count(_CONSTANT)} constants say where their weights are; a new format?")
    return moved


def _join(first: Path, second: Path, start: int, target: Path) -> None:
    """Write one file and, from the byte `start` on, another."""
    with target.open("wb") as stream:
        for position, path in ((0, first), (start, second)):
            stream.seek(position)
            with path.open("rb") as source:
                shutil.copyfileobj(source, stream, _PAGE * 256)
        stream.truncate(start + second.stat().st_size)


def _synchronise(*files: Path) -> None:
    """Wait until files are on the disk: a name must not outlive its content."""
    for file in files:
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())
