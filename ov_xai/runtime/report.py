"""One self-contained HTML page for a run: photos, overlays, confidences, a slider for the overlay's weight."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from ov_xai.errors import InputError, OutputError
from ov_xai.runtime.explanation import RenderOptions
from ov_xai.runtime.images import RECORDS, Image, read_image
from ov_xai.runtime.records import Record, read_records
from ov_xai.runtime.session import Session

REPORT = "report.html"
#: Longest side of an embedded picture in pixels, and its JPEG quality.
_SIDE, _QUALITY = 560, 86


@dataclass(frozen=True)
class ReportHead:
    """What stands at the top of the page.

    Attributes:
        model: file name of the model.
        facts: (name, value) pairs about model, method and settings.
        weight: initial weight of the overlays, 0..1.
    """

    model: str
    facts: list[tuple[str, str]]
    weight: float


def head_of(name: str, session: Session, render: RenderOptions) -> ReportHead:
    """Return the top of the HTML report."""
    manifest, choice = session.manifest, session.choice
    facts = [("Method", session.method)]
    if session.method == manifest.method:
        grid = "x".join(str(extent or "?") for extent in manifest.grid)
        facts.append(("Grid", grid))
        levels = ("Levels", f"{len(manifest.levels)}, {manifest.combine}")
        facts.append(("Strategy", manifest.strategy) if manifest.combine is None else levels)
    if manifest.mask is not None:
        facts += [("Mask", manifest.mask), ("Score", str(manifest.score))]
    wanted = choice.classes if isinstance(choice.classes, str) else ", ".join(choice.classes)
    facts += [("Classes", wanted), ("Colour map", render.colormap), ("ov-xai", manifest.ov_xai)]
    return ReportHead(name, facts, render.weight)


def write_report(source: Path, output: Path, head: ReportHead) -> Path:
    """Write `report.html` from the records and pictures of a run, one image in memory at a time.

    Args:
        source: the input of the run, an image or a folder.
        output: its output folder.
        head: what stands at the top.

    Raises:
        OutputError: the page cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("ov_xai.runtime"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    template = environment.get_template("report.html")
    path = output / REPORT
    part = path.with_name(f".{REPORT}.part")
    root = source if source.is_dir() else source.parent
    try:
        with part.open("w", encoding="utf-8", errors="replace") as stream:
            for chunk in template.generate(head=head, cards=_cards(root, output)):
                stream.write(chunk)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror}. Free some space or change -o.") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _cards(root: Path, output: Path) -> Iterator[dict[str, Any]]:
    for record in read_records(output / RECORDS):
        yield {"path": record["path"], "error": record["error"]} if "error" in record else _card(record, root, output)


def _card(record: Record, root: Path, output: Path) -> dict[str, Any]:
    width, height = record["size"]
    x0, y0, x1, y1 = record["seen_xyxy"]
    # How far the part the model saw lies inside the photo, in percent: top, right, bottom, left.
    inset = [100 * y0 / height, 100 * (1 - x1 / width), 100 * (1 - y1 / height), 100 * x0 / width]
    boxes = [item for item in record["predictions"] if "box" in item]
    maps = []
    for item in record["maps"]:
        picture = next((name for name in item["files"] if name.endswith("_saliency_map.png")), None)
        if picture is not None:
            own = [box for box in boxes if box["label"] == item["label"] or item["label"] == record["method"]]
            maps.append({**item, "picture": _embedded(output / picture), "boxes": own})
    return {**record, "photo": _embedded(root / record["path"]), "maps": maps, "inset": inset, "boxes": boxes}


def _embedded(path: Path) -> str:
    """Return a picture as a data URI, empty when it is gone."""
    try:
        image = read_image(path)
    except InputError:
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(_thumbnail(image)).decode()}"


def _thumbnail(image: Image) -> bytes:
    height, width = image.shape[:2]
    ratio = min(1.0, _SIDE / max(width, height))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if ratio < 1 else image
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(small[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes()
