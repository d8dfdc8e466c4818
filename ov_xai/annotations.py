"""Annotated boxes, as COCO and Pascal VOC write them.

Both are returned in one convention: pixel (row, column) covers column..column + 1 and row..row + 1. COCO measures so;
VOC numbers pixels from 1 and counts the last one in, so that 1 is taken from its left and top.

All objects count, crowds (COCO) and difficult ones (VOC) too: a map that points at them is right.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any
from xml.etree import ElementTree

import msgspec

from ov_xai.errors import InputError


@dataclass(frozen=True)
class Box:
    """An annotated object.

    Attributes:
        label: name of its class.
        xyxy: left, top, right and bottom in pixels.
    """

    label: str
    xyxy: tuple[float, float, float, float]


#: The boxes of each image, by its file name.
Annotations = dict[str, tuple[Box, ...]]


def read_annotations(path: str | os.PathLike[str]) -> Annotations:
    """Return the boxes of each image, by the image's file name without folders.

    Args:
        path: a COCO JSON file, a Pascal VOC XML file, or a folder of such XML files.

    Returns:
        The boxes in the order of the file; none for an image without objects.

    Raises:
        InputError: the path cannot be read, is neither of these, or has an entry that does not fit; two entries are
            for images of one name.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob("*.xml"))
        if not files:
            raise InputError(
                f"Folder '{path}' holds no .xml file; expected Pascal VOC annotations, one file per image."
            )
        return _by_name(path, [_read_voc(file) for file in files])
    if path.suffix.lower() == ".json":
        return _read_coco(path)
    if path.suffix.lower() == ".xml":
        return _by_name(path, [_read_voc(path)])
    if not path.exists():
        raise InputError(f"Annotations '{path}' do not exist. Check the path.")
    raise InputError(
        f"Annotations '{path}' end in '{path.suffix}'; expected a COCO .json file, a Pascal VOC .xml file or a folder "
        "of those."
    )


class _CocoImage(msgspec.Struct):
    id: int | str
    file_name: str


class _CocoCategory(msgspec.Struct):
    id: int | str
    name: str


class _CocoObject(msgspec.Struct):
    image_id: int | str
    category_id: int | str
    bbox: tuple[float, float, float, float]


class _Coco(msgspec.Struct):
    images: list[_CocoImage]
    annotations: list[_CocoObject]
    categories: list[_CocoCategory]


class _VocCorners(msgspec.Struct):
    xmin: float
    ymin: float
    xmax: float
    ymax: float


class _VocObject(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    bndbox: _VocCorners


class _Voc(msgspec.Struct):
    filename: Annotated[str, msgspec.Meta(min_length=1)]
    objects: list[_VocObject]


def _read_coco(path: Path) -> Annotations:
    try:
        content = msgspec.json.decode(_read(path), type=_Coco)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"Annotations '{path}' do not fit: {error}. Expected COCO JSON with images, annotations and categories."
        ) from error
    names = {category.id: category.name for category in content.categories}
    boxes: dict[int | str, list[Box]] = {image.id: [] for image in content.images}
    if len(boxes) < len(content.images):
        raise InputError(f"Annotations '{path}' give one id to several images; expected an id for each.")
    for number, item in enumerate(content.annotations):
        where = f"annotation {number} of '{path}'"
        if item.image_id not in boxes:
            raise InputError(f"The image {item.image_id!r} of {where} is not known; expected an id of its images.")
        if item.category_id not in names:
            raise InputError(
                f"The category {item.category_id!r} of {where} is not known; expected an id of its categories."
            )
        left, top, width, height = item.bbox
        box = _box(names[item.category_id], (left, top, left + width, top + height), where)
        boxes[item.image_id].append(box)
    return _by_name(path, [(image.file_name, tuple(boxes[image.id])) for image in content.images])


def _read_voc(path: Path) -> tuple[str, tuple[Box, ...]]:
    """Return the image's name and its boxes in a VOC file."""
    root = _read_xml(path)
    if root.tag != "annotation":
        raise InputError(f"'{path}' begins with <{root.tag}>; expected <annotation>, as Pascal VOC writes it.")
    found = {
        "filename": _text(root, "filename"),
        "objects": [{"name": _text(item, "name"), "bndbox": _corners(item)} for item in root.findall("object")],
    }
    try:
        content = msgspec.convert(_given(found), _Voc, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"Annotations '{path}' do not fit: {error}. Expected Pascal VOC XML.") from error
    boxes = []
    for number, item in enumerate(content.objects):
        edges = item.bndbox
        corners = (edges.xmin - 1, edges.ymin - 1, edges.xmax, edges.ymax)
        boxes.append(_box(item.name, corners, f"object {number} of '{path}'"))
    return content.filename, tuple(boxes)


class _WithoutDoctype(ElementTree.TreeBuilder):
    """Refuses a DOCTYPE, in which entities that expand without end, or name other files, would be declared."""

    def doctype(self, name: str, *_: str | None) -> None:
        raise InputError(f"a DOCTYPE ('{name}') is not accepted")


def _read_xml(path: Path) -> ElementTree.Element:
    data = _read(path)
    try:
        return ElementTree.fromstring(data, ElementTree.XMLParser(target=_WithoutDoctype()))
    except InputError as error:
        raise InputError(f"Annotations '{path}': {error}. Expected plain Pascal VOC XML; remove it.") from error
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise InputError(f"Annotations '{path}' are not XML: {error}. Expected Pascal VOC XML.") from error


def _text(element: ElementTree.Element, tag: str) -> str | None:
    text = element.findtext(tag)
    return None if text is None else text.strip()


def _corners(item: ElementTree.Element) -> dict[str, Any]:
    return _given({edge: _text(item, f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax")})


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that are there, so that a missing one is reported as such."""
    return {name: value for name, value in fields.items() if value is not None}


def _box(label: str, corners: tuple[float, float, float, float], where: str) -> Box:
    left, top, right, bottom = corners
    if not all(map(math.isfinite, corners)) or right < left or bottom < top:
        numbers = ", ".join(f"{number:g}" for number in corners)
        raise InputError(f"The box of {where} is {numbers} (xyxy); expected finite corners in order.")
    return Box(label, corners)


def _by_name(path: Path, images: Iterable[tuple[str, tuple[Box, ...]]]) -> Annotations:
    found: Annotations = {}
    for file_name, boxes in images:
        name = PureWindowsPath(file_name).name  # knows both kinds of slashes
        if name in found:
            raise InputError(
                f"Annotations '{path}' hold two images named '{name}'; expected names that differ. Split them."
            )
        found[name] = boxes
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"Annotations '{path}' cannot be read: {error.strerror}. Check the path.") from error
