"""Models as files: read any format OpenVINO reads, write IR atomically, identify a source by its hash."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openvino as ov

from ov_xai.errors import ModelReadError, OutputError

_BLOCK = 1 << 20


def read_model(path: str | os.PathLike[str]) -> ov.Model:
    """Return the model in a file (IR, ONNX, TFLite, TensorFlow, Paddle) or a TensorFlow SavedModel folder.

    Raises:
        ModelReadError: the file is missing, truncated, or not a model.
    """
    path = Path(path)
    _require_model_file(path)
    try:
        with _quiet(path):
            return ov.Core().read_model(path)
    except RuntimeError as error:
        raise ModelReadError(_explain(path, str(error))) from error


@contextmanager
def _quiet(path: Path) -> Iterator[None]:
    """Keep what the frontends print about a file they cannot parse off stderr; reading IR prints nothing."""
    if path.suffix.lower() == ".xml":
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a file descriptor is needed
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _require_model_file(path: Path) -> None:
    if not path.exists():
        raise ModelReadError(f"Model '{path}' does not exist. Give the path of an .xml, .onnx, .tflite or .pb file.")
    if path.is_dir():
        if not (path / "saved_model.pb").exists():
            raise ModelReadError(f"'{path}' is a folder without saved_model.pb. Give a model file.")
        return
    try:
        with path.open("rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        raise ModelReadError(f"Model '{path}' cannot be read: {error.strerror}. Check its permissions.") from error
    if not head:
        raise ModelReadError(f"Model '{path}' is empty. Export or copy it again.")
    if path.suffix.lower() == ".xml":
        if b"<net" not in head:
            raise ModelReadError(f"'{path}' is not an OpenVINO IR: no <net> element found. Export the model again.")
        if not path.with_suffix(".bin").exists():
            raise ModelReadError(
                f"The weights '{path.with_suffix('.bin')}' are missing. Put them beside '{path.name}'."
            )
    elif path.suffix.lower() not in (".onnx", ".tflite", ".pb", ".pbtxt", ".pdmodel", ".json", ".meta", ".prototxt"):
        raise ModelReadError(f"'{path}' is not a model: expected .xml, .onnx, .tflite, .pb or .pdmodel.")


def _explain(path: Path, message: str) -> str:
    if "is_valid_weights_range" in message or "Incorrect weights" in message:
        weights = path.with_suffix(".bin")
        return f"The weights '{weights}' are shorter than '{path.name}' says. Export or copy the model again."
    lines = [line.strip() for line in message.splitlines() if line.strip() and not _is_noise(line)]
    detail = re.sub(r"\s+", " ", lines[0])[:200] if lines else "OpenVINO gives no reason"
    return f"OpenVINO cannot read '{path}': {detail}. Check that the file is complete and its format is supported."


def _is_noise(line: str) -> bool:
    return line.strip().startswith(("Exception from", "Check '", "FrontEnd API failed"))


def source_digest(source: str | os.PathLike[str] | ov.Model) -> str:
    """Return the SHA-256 of a model: of its file(s), or of its serialised form when it is in memory."""
    if not isinstance(source, ov.Model):
        return _file_digest(model_files(Path(source)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        ov.serialize(source, path)
        return _file_digest(model_files(path))


def _file_digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def model_files(path: Path) -> list[Path]:
    """Return the files a model consists of."""
    if path.is_dir():
        return sorted(item for item in path.rglob("*") if item.is_file())
    weights = path.with_suffix(".bin")
    return [path, weights] if path.suffix.lower() == ".xml" and weights.exists() else [path]


def save_model(model: ov.Model, path: str | os.PathLike[str]) -> None:
    """Write a model as IR (`.xml` and `.bin`), weights as they are.

    Both files are written in a folder beside the destination and then moved over it: a failure leaves what was there.

    Raises:
        OutputError: the destination cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".xml":
        raise OutputError(f"Output '{path}' must end in .xml: the result is an OpenVINO IR. Change -o.")
    if path.is_dir():
        raise OutputError(f"Output '{path}' is a folder. Give the path of an .xml file.")
    scratch = _scratch_folder(path)
    try:
        part = scratch / path.name
        try:
            ov.save_model(model, part, compress_to_fp16=False)
        except RuntimeError as error:
            raise OutputError(_explain_failed_write(path, scratch)) from error
        for file in (part.with_suffix(".bin"), part):
            os.replace(file, path.with_suffix(file.suffix))
    except OSError as error:
        raise OutputError(f"Output '{path}' cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _scratch_folder(path: Path) -> Path:
    if not path.parent.is_dir():
        raise OutputError(f"The folder '{path.parent}' does not exist. Create it or change -o.")
    try:
        return Path(tempfile.mkdtemp(prefix=f".{path.stem}.", suffix=".part", dir=path.parent))
    except OSError as error:
        raise OutputError(f"Cannot write into '{path.parent}': {error.strerror}. Change -o.") from error


def _explain_failed_write(path: Path, scratch: Path) -> str:
    free = shutil.disk_usage(scratch).free
    if free < _BLOCK:
        return f"Output '{path}' cannot be written: the disk is full. Free some space or change -o."
    return f"Output '{path}' cannot be written. Check the permissions and the space of '{path.parent}'."
