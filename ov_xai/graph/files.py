"""The files that a model consists of: the one that is named, and those with its weights."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

#: How files of weights end, by the end of the file that is named.
_WEIGHTS = {".xml": (".bin",), ".pdmodel": (".pdiparams",), ".json": (".pdiparams",), ".prototxt": (".caffemodel",)}
#: Where ONNX names a file with weights: the entry "location" of a tensor's `external_data`, in protobuf's encoding. Its
#: length fills one byte, or two with the upper bit of the first set.
_LOCATION = re.compile(rb"\x0a\x08location\x12([\x80-\xff]?[\x00-\x7f])")


def model_files(path: Path) -> list[Path]:
    """Return the files a model consists of, that which is named first; of a folder every file below it."""
    if path.is_dir():
        return sorted(item for item in path.rglob("*") if item.is_file())
    return [path, *(item for item in _weight_files(path) if item.is_file())]


def missing_weights(path: Path) -> list[Path]:
    """Return the files with weights that an ONNX model names and that are not there."""
    named = _external_data(path) if path.suffix.lower() == ".onnx" else []
    return [item for item in named if not item.is_file()]


def _weight_files(path: Path) -> list[Path]:
    kind = path.suffix.lower()
    if kind == ".onnx":
        return _external_data(path)
    if kind == ".meta":
        return sorted(path.parent.glob(f"{glob.escape(path.stem)}.data-*"))
    return [path.with_suffix(suffix) for suffix in _WEIGHTS.get(kind, ())]


def _external_data(path: Path) -> list[Path]:
    """Return the files that hold tensors of an ONNX model, found without reading it as one."""
    data, names = path.read_bytes(), set()
    for found in _LOCATION.finditer(data):
        low, *high = found[1]
        length = low & 0x7F | (high[0] << 7 if high else 0)
        names.add(os.fsdecode(data[found.end() : found.end() + length]))
    return sorted(path.parent / name for name in names if "\0" not in name)
