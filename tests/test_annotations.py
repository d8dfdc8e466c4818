"""Boxes from COCO and Pascal VOC files."""

import json

import pytest

from ov_xai import InputError
from ov_xai.annotations import Box, read_annotations


def coco(**changes):
    content = {
        "info": {"year": 2017},
        "images": [{"id": 9, "file_name": "val/cat.jpg", "width": 640}, {"id": 4, "file_name": "empty.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 9, "category_id": 17, "bbox": [10, 20.5, 30, 40], "area": 3, "iscrowd": 0},
            {"id": 2, "image_id": 9, "category_id": 1, "bbox": [0, 0, 5, 5], "iscrowd": 1, "segmentation": {}},
        ],
        "categories": [{"id": 17, "name": "cat"}, {"id": 1, "name": "person"}],
    }
    return {**content, **changes}


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def voc(name="dog.jpg", box=("1", "2", "30", "40"), label="dog"):
    edges = "".join(f"<{tag}>{text}</{tag}>" for tag, text in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=False))
    return (
        f"<annotation>\n<folder>VOC</folder>\n<filename> {name}\n</filename>\n<object>\n<name>{label}</name>\n"
        f"<part><name>head</name><bndbox><xmin>5</xmin></bndbox></part><bndbox>{edges}</bndbox></object>\n</annotation>"
    )


def test_coco_boxes_get_two_corners(tmp_path):
    found = read_annotations(written(tmp_path / "instances.json", coco()))
    assert found == {
        "cat.jpg": (Box("cat", (10, 20.5, 40, 60.5)), Box("person", (0, 0, 5, 5))),
        "empty.jpg": (),
    }


def test_ids_may_be_texts(tmp_path):
    content = coco(
        images=[{"id": "a", "file_name": "a.jpg"}],
        categories=[{"id": "c", "name": "cup"}],
        annotations=[{"image_id": "a", "category_id": "c", "bbox": [1, 2, 3, 4]}],
    )
    assert read_annotations(written(tmp_path / "x.JSON", content)) == {"a.jpg": (Box("cup", (1, 2, 4, 6)),)}


def test_the_first_pixel_of_voc_is_one_and_the_last_is_in(tmp_path):
    """A box 1, 2, 30, 40 covers 30 columns and 39 rows."""
    found = read_annotations(written(tmp_path / "dog.xml", voc()))
    assert found == {"dog.jpg": (Box("dog", (0, 1, 30, 40)),)}


def test_voc_numbers_may_have_decimals_and_blanks(tmp_path):
    found = read_annotations(written(tmp_path / "dog.xml", voc(box=(" 1.5\n", "2", "3e1", "40.25"))))
    assert found["dog.jpg"][0].xyxy == (0.5, 1, 30, 40.25)


def test_a_folder_of_voc_files(tmp_path):
    written(tmp_path / "b.xml", voc("b.jpg"))
    written(tmp_path / "a.xml", "<annotation><filename>C:\\photos\\a.jpg</filename></annotation>")
    written(tmp_path / "notes.txt", "x")
    assert read_annotations(tmp_path) == {"a.jpg": (), "b.jpg": (Box("dog", (0, 1, 30, 40)),)}


def test_labels_of_any_language(tmp_path):
    path = tmp_path / "dog.xml"
    path.write_bytes(('<?xml version="1.0" encoding="latin-1"?>' + voc(label="Löwe &amp; Bär")).encode("latin-1"))
    assert read_annotations(path)["dog.jpg"][0].label == "Löwe & Bär"


BILLION_LAUGHS = (
    '<!DOCTYPE bomb [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><annotation><filename>&b;</filename></annotation>'
)
OTHER_FILE = (
    '<!DOCTYPE annotation [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>'
)
OTHER_SERVER = '<!DOCTYPE annotation SYSTEM "http://127.0.0.1:1/voc.dtd"><annotation/>'


@pytest.mark.parametrize("content", [BILLION_LAUGHS, OTHER_FILE, OTHER_SERVER, "<!DOCTYPE annotation><annotation/>"])
def test_a_doctype_is_refused(tmp_path, content):
    with pytest.raises(InputError, match=r"dog\.xml.*DOCTYPE"):
        read_annotations(written(tmp_path / "dog.xml", content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not XML"),
        ("<annotation>", "not XML"),
        ("<annotation><filename>&unknown;</filename></annotation>", "not XML"),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "not XML"),
        ("<svg/>", "begins with <svg>"),
        ("<annotation/>", "filename"),
        (voc(name=""), "filename"),
        (voc(label=""), "name"),
        (voc(box=("1", "2", "3")), "ymax"),
        (voc(box=("1", "2", "x", "4")), r"expected.*float.*xmax"),
        (voc(box=("1", "2", "inf", "4")), "xmax|corners"),
        (voc(box=("10", "2", "3", "4")), "object 0 .* 9, 1, 3, 4"),
    ],
)
def test_voc_that_does_not_fit_is_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=f"(?i){message}") as caught:
        read_annotations(written(tmp_path / "dog.xml", content))
    assert "dog.xml" in str(caught.value)
    assert "xpected" in str(caught.value)


def objects(**changes):
    return [{"image_id": 9, "category_id": 17, "bbox": [1, 2, 3, 4], **changes}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "truncated"),
        ("{", "truncated"),
        ("[]", "Expected `object`, got `array`"),
        ("{}", "images"),
        (coco(annotations=objects(bbox=[1, 2, 3])), r"length 4.*annotations\[0\]\.bbox|annotations"),
        (coco(annotations=objects(bbox=[1, 2, 3, "4"])), r"float.*annotations"),
        (coco(annotations=objects(bbox=[1, 2, -3, 4])), "annotation 0 of .* 1, 2, -2, 6"),
        (coco(annotations=objects(image_id=5)), "image 5 of annotation 0"),
        (coco(annotations=objects(category_id="cat")), "category 'cat' of annotation 0"),
        (coco(images=[{"id": 9, "file_name": "a/x.jpg"}, {"id": 4, "file_name": "b/x.jpg"}]), "two images .*'x.jpg'"),
        (coco(images=[{"id": 9, "file_name": "x.jpg"}, {"id": 9, "file_name": "y.jpg"}]), "one id"),
    ],
)
def test_coco_that_does_not_fit_is_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read_annotations(written(tmp_path / "instances.json", content))
    assert "instances.json" in str(caught.value)
    assert "xpected" in str(caught.value)


def test_two_files_of_one_image_are_refused(tmp_path):
    written(tmp_path / "a.xml", voc("same.jpg"))
    written(tmp_path / "b.xml", voc("same.jpg"))
    with pytest.raises(InputError, match=r"two images named 'same\.jpg'"):
        read_annotations(tmp_path)


def test_paths_that_are_no_annotations_are_refused(tmp_path):
    for name in ("absent.json", "absent.xml", "absent"):
        with pytest.raises(InputError, match=f"(?s){name}.*Check the path"):
            read_annotations(tmp_path / name)
    with pytest.raises(InputError, match=r"labels\.txt.*'\.txt'; expected"):
        read_annotations(written(tmp_path / "labels.txt", "x"))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"empty.*no \.xml"):
        read_annotations(empty)
    folder = tmp_path / "folder.xml"
    folder.mkdir()
    with pytest.raises(InputError, match=r"no \.xml"):
        read_annotations(folder)
