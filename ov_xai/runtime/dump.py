"""Explain a folder of photos into a folder of pictures.

Three stages run at once, each a bounded window over the one before: reading, inference, writing. So the memory taken
does not depend on the number of images, and results come in the order of the files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar

import msgspec

from ov_xai.errors import InputError, OutputError, XaiError
from ov_xai.runtime.explainer import Prepared
from ov_xai.runtime.explanation import Explanation, RenderOptions
from ov_xai.runtime.images import RECORDS, ImageFile, find_images, read_image
from ov_xai.runtime.predictions import Prediction
from ov_xai.runtime.session import Session

_THREADS = 2

Item = TypeVar("Item")
Result = TypeVar("Result")
Record = dict[str, Any]
Extent = Annotated[int, msgspec.Meta(ge=1)]


@dataclass(frozen=True)
class DumpOptions:
    """Where and how results are written.

    Attributes:
        output: the folder; made when missing.
        render: how maps are drawn.
        resume: keep what an earlier run with the same settings wrote, and go on behind it.
        settings: anything else that changes the results, such as the model; a change makes `resume` redo an image.
    """

    output: Path
    render: RenderOptions = field(default_factory=RenderOptions)
    resume: bool = False
    settings: str = ""

    @property
    def fingerprint(self) -> str:
        """Return a short hash of everything that changes the results."""
        return hashlib.sha256(f"{self.settings}|{self.render}".encode()).hexdigest()[:16]


@dataclass
class Summary:
    """What became of the images.

    Attributes:
        explained: images explained in this run.
        kept: images kept from an earlier run.
        skipped: (path, reason) of the images that could not be read.
    """

    explained: int = 0
    kept: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)


def windowed(start: Callable[[Item], Future[Result]], items: Iterable[Item], ahead: int) -> Iterator[Future[Result]]:
    """Yield futures in the order of the items, with at most `ahead` of them under way."""
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(start(item))
            if len(pending) >= ahead:
                yield pending.popleft()
        while pending:
            yield pending.popleft()
    finally:
        for future in pending:
            future.cancel()


def explain_folder(
    session: Session, source: Path, options: DumpOptions, notify: Callable[[Record], None] | None = None
) -> Summary:
    """Explain every image at or below `source` and write maps, overlays and `explanations.jsonl`.

    Args:
        session: the patched model.
        source: an image or a folder.
        options: where and how.
        notify: called with the record of each image as soon as it is written.

    Raises:
        InputError: `source` cannot be read or holds no image.
        OutputError: the output folder cannot be written.
    """
    if source.is_dir() and options.output.resolve() == source.resolve():
        raise OutputError(f"Output '{options.output}' is the input folder. Give another folder with -o.")
    if next(find_images(source, options.output), None) is None:
        raise InputError(f"No images found in '{source}'. Supported: jpg, jpeg, png, bmp, tif, tiff, webp, gif.")
    _make_folder(options.output)
    summary = Summary()
    root = source if source.is_dir() else source.parent
    kept = _kept_paths(source, root, options)
    summary.kept = len(kept)
    with _open_records(options, kept) as records:
        files = (file for file in find_images(source, options.output) if _relative(file, root) not in kept)
        for record in _pipeline(session, files, root, options):
            _append(records, record)
            if "error" in record:
                summary.skipped.append((record["path"], record["error"]))
            else:
                summary.explained += 1
            if notify is not None:
                notify(record)
    return summary


def _pipeline(session: Session, files: Iterable[ImageFile], root: Path, options: DumpOptions) -> Iterator[Record]:
    ahead = len(session.queue) + _THREADS
    readers, writers = ThreadPoolExecutor(_THREADS), ThreadPoolExecutor(_THREADS)
    try:

        def read(file: ImageFile) -> Future[tuple[ImageFile, Prepared | XaiError]]:
            return readers.submit(_read, session, file)

        def infer(
            reading: Future[tuple[ImageFile, Prepared | XaiError]],
        ) -> Future[tuple[ImageFile, Explanation | XaiError]]:
            return _infer(session, *reading.result())

        def write(explaining: Future[tuple[ImageFile, Explanation | XaiError]]) -> Future[Record]:
            return writers.submit(_write, *explaining.result(), root, options)

        reading = windowed(read, files, ahead)
        explaining = windowed(infer, reading, ahead)
        for writing in windowed(write, explaining, ahead):
            yield writing.result()
    finally:
        session.wait()
        readers.shutdown(cancel_futures=True)
        writers.shutdown(cancel_futures=True)


def _read(session: Session, file: ImageFile) -> tuple[ImageFile, Prepared | XaiError]:
    try:
        return file, session.prepare(read_image(file.path))
    except InputError as error:
        return file, error


def _infer(
    session: Session, file: ImageFile, prepared: Prepared | XaiError
) -> Future[tuple[ImageFile, Explanation | XaiError]]:
    paired: Future[tuple[ImageFile, Explanation | XaiError]] = Future()
    if isinstance(prepared, XaiError):
        paired.set_result((file, prepared))
        return paired

    def pair(future: Future[Explanation]) -> None:
        with suppress(InvalidStateError):  # cancelled: nobody waits for it
            error = future.exception()
            if isinstance(error, InputError):
                paired.set_result((file, error))
            elif error is not None:
                paired.set_exception(error)
            else:
                paired.set_result((file, future.result()))

    session.start(prepared).add_done_callback(pair)
    return paired


def _write(file: ImageFile, explained: Explanation | XaiError, root: Path, options: DumpOptions) -> Record:
    path = _relative(file, root)
    if isinstance(explained, XaiError):
        return {"path": path, "error": str(explained), "settings": options.fingerprint}
    saved = explained.save_maps(options.output / file.folder, file.stem, options.render)
    files = {label: [name.relative_to(options.output).as_posix() for name in paths] for label, paths in saved.items()}
    height, width = explained.photo.shape[:2]
    inside = explained.masses_inside(options.render.crop_padding)
    return {
        "path": path,
        "source": _identity(file),
        "size": [width, height],
        "seen_xyxy": list(explained.placement.source_xyxy),
        "method": explained.method,
        "predictions": [_prediction(item, part) for item, part in zip(explained.predictions, inside, strict=True)],
        "maps": [
            {"label": label, "confidence": _rounded(explained.confidences.get(label)), "files": names}
            for label, names in files.items()
        ],
        "files": [name for names in files.values() for name in names],
        "milliseconds": round(explained.milliseconds, 3),
        "settings": options.fingerprint,
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


# -- records -------------------------------------------------------------------------------------------------------


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


def _relative(file: ImageFile, root: Path) -> str:
    return file.path.relative_to(root).as_posix()


def _identity(file: ImageFile) -> list[int | str]:
    """Return what tells an image from another that takes its name: stem of its results, bytes, time of change."""
    status = file.path.stat()
    return [file.stem, status.st_size, status.st_mtime_ns]


def _kept_paths(source: Path, root: Path, options: DumpOptions) -> set[str]:
    """Return the images whose results an earlier run with the same settings left whole."""
    if not options.resume:
        return set()
    done = {
        record["path"]: record["source"]
        for record in read_records(options.output / RECORDS)
        if _is_done(record, options)
    }
    return {
        _relative(file, root)
        for file in find_images(source, options.output)
        if done.get(_relative(file, root)) == _identity(file)
    }


@contextmanager
def _open_records(options: DumpOptions, kept: set[str]) -> Iterator[BinaryIO]:
    """Open `explanations.jsonl` for appending behind the kept records."""
    path = options.output / RECORDS
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


def _is_done(record: Record, options: DumpOptions) -> bool:
    if record.get("settings") != options.fingerprint or "error" in record:
        return False
    try:
        known = msgspec.convert(record, _Explained)
    except msgspec.ValidationError:
        return False
    names = {*known.files, *(name for item in known.maps for name in item.files)}
    return all(_is_whole(options.output / name, options.output) for name in names)


def _is_whole(path: Path, folder: Path) -> bool:
    """Return whether a result is there and lies in the output folder, whatever a record says."""
    return path.is_file() and path.stat().st_size > 0 and path.resolve().is_relative_to(folder.resolve())


def _append(stream: BinaryIO, record: Record) -> None:
    try:
        stream.write(_line(record))
    except OSError as error:
        raise OutputError(f"'{RECORDS}' cannot be written: {error.strerror}. Free some space.") from error


def _line(record: Record) -> bytes:
    """Return a record as a line of ASCII; names that are not text survive as escapes."""
    return json.dumps(record).encode() + b"\n"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Folder '{folder}' cannot be made: {error.strerror}. Change -o.") from error
    if not os.access(folder, os.W_OK):
        raise OutputError(f"Folder '{folder}' cannot be written. Check its permissions or change -o.")
