"""Photos whose metrics are known by hand."""

import json

import pytest

from tests import quadrants


@pytest.fixture
def photos(tmp_path):
    """Write a photo of each colour in another quadrant, and say where the colours are."""
    folder = tmp_path / "photos"
    folder.mkdir()
    boxes = {}
    for colour, quadrant in enumerate([(0, 0), (0, 1), (1, 0)]):
        name = f"{quadrants.LABELS[colour]}.png"
        quadrants.write_photo(folder / name, quadrants.photo(colour, quadrant))
        boxes[name] = [(quadrants.LABELS[colour].upper(), quadrants.box(quadrant))]
    (tmp_path / "boxes.json").write_text(json.dumps(quadrants.coco(boxes)))
    return folder


@pytest.fixture
def boxes(photos):
    return photos.parent / "boxes.json"
