"""Models as files: read any format OpenVINO reads, write IR atomically, identify a source by its hash."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

import openvino as ov

from ov_xai.errors import ModelReadError, OutputError
from ov_xai.graph.exchange import exchange
from ov_xai.graph.files import missing_weights, model_files
from ov_xai.graph.safe import try_model

_BLOCK = 1 << 20
#: Lines of OpenVINO's messages that do not say what is wrong.
_NOISE = ("Exception from", "Check '", "FrontEnd API failed", "Loading input model", "Failed operations detailed log")


def read_model(path: str | os.PathLike[str], *, safe: bool = False) -> ov.Model:
    """Return the model in a file (IR, ONNX, TFLite, TensorFlow, Paddle) or a TensorFlow SavedModel folder.

    Args:
        path: the file.
        safe: try the model in a process of its own first; see `ov_xai.graph.safe`.

    Raises:
        ModelReadError: the file is missing, truncated, or not a model; with `safe` also when OpenVINO crashes on it,
            does not come to an end, or takes too much memory.
    """
    path = Path(path)
    _require_model_file(path)
    if safe:
        try_model(path)
    try:
        model = ov.Core().read_model(path)
        _require_text(model)
    except MemoryError as error:
        raise ModelReadError(f"'{path}' takes more memory than there is. Export the model again.") from error
    except (RuntimeError, ValueError, TypeError, IndexError, OverflowError) as error:
        raise ModelReadError(_explain(path, str(error))) from error
    return model


def _require_text(model: ov.Model) -> None:
    """Ask for every name once: Python refuses those that are no UTF-8, wherever they are met first.

    Raises:
        UnicodeDecodeError: a name is no text.
    """
    model.get_friendly_name()
    for node in model.get_ops():
        node.get_friendly_name()
        for output in node.outputs():
            output.get_names()


def _require_model_file(path: Path) -> None:
    if not _exists(path):
        raise ModelReadError(f"Model '{path}' does not exist. Give the path of an .xml, .onnx, .tflite or .pb file.")
    if not _is_text(path):
        raise ModelReadError(f"The path '{path}' is not UTF-8, so OpenVINO cannot open it. Rename the file.")
    if path.is_dir():
        if not (path / "saved_model.pb").exists():
            raise ModelReadError(f"'{path}' is a folder without saved_model.pb. Give a model file.")
        return
    if not path.is_file():
        raise ModelReadError(f"'{path}' is neither a regular file nor a folder. Give a model file.")
    head = _head(path)
    if not head:
        raise ModelReadError(f"Model '{path}' is empty. Export or copy it again.")
    if path.suffix.lower() == ".xml":
        _require_ir(path, head)
    elif path.suffix.lower() not in (".onnx", ".tflite", ".pb", ".pbtxt", ".pdmodel", ".json", ".meta", ".prototxt"):
        raise ModelReadError(f"'{path}' is not a model: expected .xml, .onnx, .tflite, .pb or .pdmodel.")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(4096)
    except OSError as error:
        raise ModelReadError(f"Model '{path}' cannot be read: {error.strerror}. Check its permissions.") from error


def _require_ir(path: Path, head: bytes) -> None:
    if re.search(rb"<net[\s>]", head) is None:
        raise ModelReadError(f"'{path}' is not an OpenVINO IR: no <net> element found. Export the model again.")
    weights = path.with_suffix(".bin")
    if not weights.exists():
        raise ModelReadError(f"The weights '{weights}' are missing. Put them beside '{path.name}'.")


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (OSError, ValueError):  # missing, too long, or not a path at all
        return False
    return True


def _is_text(path: Path) -> bool:
    """Return whether a path is UTF-8; OpenVINO opens no other."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _explain(path: Path, message: str) -> str:
    if "is_valid_weights_range" in message or "Incorrect weights" in message:
        weights = path.with_suffix(".bin")
        return f"The weights '{weights}' are shorter than '{path.name}' says. Export or copy the model again."
    missing = missing_weights(path)
    if missing:
        return (
            f"The weights '{missing[0]}' of '{path.name}' are missing. Copy them beside it, or export the model again."
        )
    lines = [line.strip() for line in message.splitlines() if line.strip() and not _is_noise(line)]
    detail = re.sub(r"\s+", " ", lines[0])[:200] if lines else "OpenVINO gives no reason"
    return f"OpenVINO cannot read '{path}': {detail}. Check that the file is complete and its format is supported."


def _is_noise(line: str) -> bool:
    return line.strip().startswith(_NOISE)


def source_digest(source: str | os.PathLike[str] | ov.Model) -> str:
    """Return the SHA-256 of a model: of its file(s), or of its serialised form when it is in memory."""
    if not isinstance(source, ov.Model):
        return _file_digest(model_files(Path(source)))
    with tempfile.TemporaryDirectory() as folder:
        path, space = Path(folder) / "model.xml", _space(Path(folder))
        try:
            ov.serialize(source, path)
        except RuntimeError as error:
            raise OutputError(f"A copy of the model cannot be written into '{folder}': {space}.") from error
        return _file_digest(model_files(path))


def _file_digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def save_model(model: ov.Model, path: str | os.PathLike[str]) -> None:
    """Write a model as IR (`.xml` and `.bin`), weights as they are.

    Both files are written in a folder beside the destination and then moved over it, so a failure leaves what was
    there. Whenever the process is killed, the destination holds the old model or the new one, whole, also while a model
    is written over itself; see `exchange`. What a killed process leaves besides is a hidden folder `.ov-xai.*.part`,
    which nothing reads.

    Raises:
        OutputError: the destination cannot be written.
    """
    path = Path(path).resolve() if Path(path).is_symlink() else Path(path)
    if not _is_text(path.absolute()):
        raise OutputError(f"The path '{path}' is not UTF-8, so OpenVINO cannot write there. Change -o.")
    if path.suffix != ".xml":
        raise OutputError(f"Output '{path}' must end in .xml: the result is an OpenVINO IR. Change -o.")
    if path.is_dir():
        raise OutputError(f"Output '{path}' is a folder. Give the path of an .xml file.")
    scratch = _scratch_folder(path)
    try:
        part, space = scratch / "model.xml", _space(scratch)
        try:
            ov.save_model(model, part, compress_to_fp16=False)
        except RuntimeError as error:
            raise OutputError(f"Output '{path}' cannot be written: {space}. Free some space or change -o.") from error
        exchange(part, path)
    except OSError as error:
        raise OutputError(f"Output '{path}' cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _scratch_folder(path: Path) -> Path:
    if not path.parent.is_dir():
        raise OutputError(f"The folder '{path.parent}' does not exist. Create it or change -o.")
    try:
        return Path(tempfile.mkdtemp(prefix=".ov-xai.", suffix=".part", dir=path.parent))
    except OSError as error:
        raise OutputError(f"Cannot write into '{path.parent}': {error.strerror}. Change -o.") from error


def _space(folder: Path) -> str:
    """Return how much space is left, for messages of failed writes; ask before, as what is written fills it."""
    return f"{shutil.disk_usage(folder).free / 2**20:.1f} MiB are free there"
