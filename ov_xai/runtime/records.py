"""Records of a run: one line of JSON per image in `explanations.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec

from ov_xai.errors import InputError, OutputError
from ov_xai.runtime.explanation import Explanation
from ov_xai.runtime.images import RECORDS, ImageFile
from ov_xai.runtime.predictions import Prediction

Record = dict[str, Any]
#: What tells an image from another that takes its name: stem of its results, bytes, time of change.
Identity = list[int | str]
Extent = Annotated[int, msgspec.Meta(ge=1)]


def identity_of(file: ImageFile) -> Identity:
    """Return what tells an image from another that takes its name.

    Raises:
        InputError: the file is gone, or cannot be looked at.
    """
    try:
        status = file.path.stat()
    except OSError as error:
        raise InputError(f"Image '{file.path}' cannot be read: {error.strerror}.") from error
    return [file.stem, status.st_size, status.st_mtime_ns]


def record_of(
    explained: Explanation, identity: Identity, files: Mapping[str, Sequence[str]], crop_padding: bool
) -> Record:
    """Return what a record says of an image that was explained, but for its path and the settings.

    Args:
        explained: predictions and maps.
        identity: that of the file, at the time it was read.
        files: label -> its results, relative to the output folder.
        crop_padding: see `RenderOptions`.
    """
    height, width = explained.photo.shape[:2]
    inside = explained.masses_inside(crop_padding)
    return {
        "source": identity,
        "size": [width, height],
        "seen_xyxy": list(explained.placement.source_xyxy),
        "method": explained.method,
        "predictions": [_prediction(item, part) for item, part in zip(explained.predictions, inside, strict=True)],
        "maps": [
            {"label": label, "confidence": _rounded(explained.confidences.get(label)), "files": list(names)}
            for label, names in files.items()
        ],
        "files": [name for names in files.values() for name in names],
        "milliseconds": round(explained.milliseconds, 3),
    }


def _prediction(item: Prediction, map_inside: float | None) -> Record:
    record: Record = {"label": item.label, "index": item.index, "confidence": round(item.confidence, 6)}
    if item.box is not None:
        record["box"] = [round(edge, 2) for edge in item.box]
    if map_inside is not None:
        record["map_inside"] = round(map_inside, 4)
    return record


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


# -- reading ---------------------------------------------------------------------------------------------------------


class _Found(msgspec.Struct):
    """A prediction in a record."""

    label: str
    index: int
    confidence: float
    box: tuple[float, float, float, float] | None = None
    map_inside: float | None = None


class _Map(msgspec.Struct):
    """A map in a record."""

    label: str
    confidence: float | None
    files: list[str]


class _Explained(msgspec.Struct):
    """The record of an image that was explained, as far as others read it: a file may hold anything."""

    source: list[int | str]
    size: tuple[Extent, Extent]
    seen_xyxy: tuple[int, int, int, int]
    method: str
    predictions: list[_Found]
    maps: list[_Map]
    files: list[str]
    milliseconds: float


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a run; a line that was cut off, or is something else, is left out."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            with suppress(ValueError, RecursionError):
                record = json.loads(line)
                if isinstance(record, dict) and isinstance(record.get("path"), str):
                    yield record


def finished(folder: Path, settings: str) -> dict[str, Identity]:
    """Return path -> identity of the images whose results an earlier run with the same settings left whole."""
    return {
        record["path"]: record["source"]
        for record in read_records(folder / RECORDS)
        if _is_done(record, folder, settings)
    }


def _is_done(record: Record, folder: Path, settings: str) -> bool:
    if record.get("settings") != settings or "error" in record:
        return False
    try:
        known = msgspec.convert(record, _Explained)
    except msgspec.ValidationError:
        return False
    names = {*known.files, *(name for item in known.maps for name in item.files)}
    return all(_is_whole(folder / name, folder) for name in names)


def _is_whole(path: Path, folder: Path) -> bool:
    """Return whether a result is there and lies in the output folder, whatever a record says."""
    return path.is_file() and path.stat().st_size > 0 and path.resolve().is_relative_to(folder.resolve())


# -- writing ---------------------------------------------------------------------------------------------------------


@contextmanager
def open_records(folder: Path, kept: Collection[str]) -> Iterator[BinaryIO]:
    """Open `explanations.jsonl` for appending behind the records that are kept.

    Raises:
        OutputError: it cannot be written.
    """
    path = folder / RECORDS
    part = path.with_name(f".{RECORDS}.part")
    try:
        with part.open("wb") as stream:
            stream.writelines(_line(record) for record in read_records(path) if record["path"] in kept)
        part.replace(path)
        # Unbuffered: a record that does not fit on the disk fails where it is written, not again when closing.
        records = path.open("ab", buffering=0)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"'{path}' cannot be written: {error.strerror}. Change -o.") from error
    with records:
        yield records


def append_record(stream: BinaryIO, record: Record) -> None:
    """Write a record.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        stream.write(_line(record))
    except OSError as error:
        raise OutputError(f"'{RECORDS}' cannot be written: {error.strerror}. Free some space.") from error


def _line(record: Record) -> bytes:
    """Return a record as a line of ASCII; names that are not text survive as escapes."""
    return json.dumps(record).encode() + b"\n"
