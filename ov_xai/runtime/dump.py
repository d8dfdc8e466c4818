"""Explain a folder of photos into a folder of pictures.

Three stages run at once, each a bounded window over the one before: reading, inference, writing. So the memory taken
does not depend on the number of images, and results come in the order of the files.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias, TypeVar

from ov_xai.errors import InputError, OutputError, XaiError
from ov_xai.runtime.explainer import Prepared
from ov_xai.runtime.explanation import Explanation, RenderOptions
from ov_xai.runtime.files import make_folder
from ov_xai.runtime.images import ImageFile, find_images, read_image
from ov_xai.runtime.opencv_threads import one_thread_each
from ov_xai.runtime.records import (
    Identity,
    Record,
    append_record,
    finished,
    identity_of,
    open_records,
    record_of,
)
from ov_xai.runtime.session import Session

#: With fewer images in a window, reading, inference and writing would wait for each other.
_LEAST_AHEAD = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


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

    @cached_property
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
        report: the page with everything; None where none was wanted.
    """

    explained: int = 0
    kept: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    report: Path | None = None


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
    session: Session, source: Path, options: DumpOptions, notify: Callable[[Record], object] | None = None
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
    make_folder(options.output)
    summary = Summary()
    root = source if source.is_dir() else source.parent
    kept = _kept_paths(source, root, options)
    summary.kept = len(kept)
    files = (file for file in find_images(source, options.output) if _relative(file, root) not in kept)
    # Closed whatever happens here: what is under way must have ended before the caller goes on.
    with (
        one_thread_each(),
        open_records(options.output, kept) as records,
        closing(_pipeline(session, files, root, options)) as results,
    ):
        for record in results:
            append_record(records, record)
            if "error" in record:
                summary.skipped.append((record["path"], record["error"]))
            else:
                summary.explained += 1
            if notify is not None:
                notify(record)
    return summary


def _relative(file: ImageFile, root: Path) -> str:
    return file.path.relative_to(root).as_posix()


def _kept_paths(source: Path, root: Path, options: DumpOptions) -> set[str]:
    """Return the images whose results an earlier run with the same settings left whole."""
    if not options.resume:
        return set()
    done = finished(options.output, options.fingerprint)
    return {
        path
        for file in find_images(source, options.output)
        if (path := _relative(file, root)) in done and _is_still(file, done[path])
    }


def _is_still(file: ImageFile, identity: Identity) -> bool:
    try:
        return identity_of(file) == identity
    except InputError:  # gone since it was found
        return False


# -- the pipeline ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Read:
    """An image on its way to the model.

    Attributes:
        file: the image.
        identity: that of the file just before it was read.
        prepared: the photo and its tensor.
    """

    file: ImageFile
    identity: Identity
    prepared: Prepared


@dataclass(frozen=True)
class _Unreadable:
    """An image that is skipped, and why."""

    file: ImageFile
    error: XaiError


@dataclass(frozen=True)
class _Explained:
    """An image with its maps."""

    file: ImageFile
    identity: Identity
    explanation: Explanation


_Reading: TypeAlias = "Future[_Read | _Unreadable]"
_Explaining: TypeAlias = "Future[_Explained | _Unreadable]"


def _pipeline(session: Session, files: Iterable[ImageFile], root: Path, options: DumpOptions) -> Generator[Record]:
    inferences = max(_LEAST_AHEAD, len(session.queue))
    tasks = max(2, inferences // 2)  # as many as OpenVINO runs at once: more would only take its processors away
    workers = ThreadPoolExecutor(tasks)
    try:

        def read(file: ImageFile) -> _Reading:
            return workers.submit(_read, session, file)

        def infer(reading: _Reading) -> _Explaining:
            return _infer(session, reading.result())

        def write(explaining: _Explaining) -> Future[Record]:
            return workers.submit(_write, explaining.result(), root, options)

        reading = windowed(read, files, tasks)
        explaining = windowed(infer, reading, inferences)
        for writing in windowed(write, explaining, tasks):
            yield writing.result()
    finally:
        session.wait()
        workers.shutdown(cancel_futures=True)


def _read(session: Session, file: ImageFile) -> _Read | _Unreadable:
    try:
        return _Read(file, identity_of(file), session.prepare(read_image(file.path)))
    except InputError as error:
        return _Unreadable(file, error)


def _infer(session: Session, read: _Read | _Unreadable) -> _Explaining:
    explaining: _Explaining = Future()
    if isinstance(read, _Unreadable):
        explaining.set_result(read)
        return explaining

    def deliver(future: Future[Explanation]) -> None:
        with suppress(InvalidStateError):  # cancelled: nobody waits for it
            error = future.exception()
            if isinstance(error, InputError):
                explaining.set_result(_Unreadable(read.file, error))
            elif error is not None:
                explaining.set_exception(error)
            else:
                explaining.set_result(_Explained(read.file, read.identity, future.result()))

    session.start(read.prepared).add_done_callback(deliver)
    return explaining


def _write(item: _Explained | _Unreadable, root: Path, options: DumpOptions) -> Record:
    path, settings = _relative(item.file, root), options.fingerprint
    if isinstance(item, _Unreadable):
        return {"path": path, "error": str(item.error), "settings": settings}
    saved = item.explanation.save_maps(options.output / item.file.folder, item.file.stem, options.render)
    files = {label: [name.relative_to(options.output).as_posix() for name in paths] for label, paths in saved.items()}
    record = record_of(item.explanation, item.identity, files, options.render.crop_padding)
    return {"path": path, **record, "settings": settings}
