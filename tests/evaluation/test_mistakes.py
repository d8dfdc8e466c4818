"""What is wrong is told before anything is measured, or left out and told."""

import json

import pytest

from ov_xai.errors import InputError, MissingExtraError, ModelMismatchError, RequestError
from ov_xai.evaluation import EvaluationOptions, evaluate
from ov_xai.evaluation.page import as_page
from tests import quadrants
from tests.evaluation.common import FAST


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"metrics": ("insertoin",)}, "Did you mean 'insertion'"),
        ({"metrics": ()}, "No metric"),
        ({"steps": 0}, "steps is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"limit": 0}, "limit is 0"),
        ({"rise_masks": -1}, "rise_masks is -1"),
        ({"tolerance": float("nan")}, "tolerance is nan"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, text):
    with pytest.raises(RequestError, match=text):
        EvaluationOptions(**options)


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("recipro-cm", RequestError, "Did you mean 'recipro-cam'"),
        ("eigen-cam:pixel", RequestError, "names a mask"),
        ("recipro-cam:pixle", RequestError, "pixle"),
        ("recipro-cam:pixel:logit:x", RequestError, "METHOD:MASK:SCORE"),
        ("rise", RequestError, "--rise 2000"),
        ("class-probability-map", ModelMismatchError, "class-probability-map"),
    ],
)
def test_methods_that_do_not_exist_are_named(photos, name, error, text):
    with pytest.raises(error, match=text):
        evaluate(quadrants.classifier(), photos, methods=[name], options=FAST)


def test_annotations_of_other_images_are_told(photos, tmp_path):
    (tmp_path / "other.json").write_text(json.dumps(quadrants.coco({"elsewhere.jpg": [("red", (0, 0, 1, 1))]})))
    with pytest.raises(InputError, match=r"elsewhere\.jpg.*none of them is among the 3"):
        evaluate(quadrants.classifier(), photos, annotations=tmp_path / "other.json", options=FAST)


def test_annotations_with_other_labels_are_told_and_escaped(photos, tmp_path):
    label = "<script>alert(1)</script>"
    (tmp_path / "other.json").write_text(json.dumps(quadrants.coco({"red.png": [(label, (0, 0, 1, 1))]})))
    found = evaluate(quadrants.classifier(), photos, annotations=tmp_path / "other.json", options=FAST)
    assert "no annotated box is of an explained class" in found.notes[-1]
    assert label in found.notes[-1]
    page = as_page(found)
    assert label not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_two_annotated_images_of_one_name_are_told(photos, boxes):
    (photos / "more").mkdir()
    quadrants.write_photo(photos / "more" / "red.png", quadrants.photo(0, (1, 1)))
    with pytest.raises(InputError, match=r"Two images are named 'red\.png'"):
        evaluate(quadrants.classifier(), photos, annotations=boxes, options=FAST)


def test_pointing_needs_annotations(photos):
    with pytest.raises(RequestError, match="--annotations"):
        evaluate(quadrants.classifier(), photos, options=EvaluationOptions(metrics=("pointing-game",)))
    found = evaluate(quadrants.classifier(), photos, options=EvaluationOptions(steps=2))
    assert "pointing-game" not in found.metrics
    assert "--annotations" in found.notes[0]


def test_images_that_cannot_be_read_are_left_out(photos):
    (photos / "broken.png").write_bytes(b"no image")
    seen = []
    found = evaluate(quadrants.classifier(), photos, options=FAST, progress=seen.append)
    assert found.images == 3
    ((path, reason),) = found.skipped
    assert path.endswith("broken.png")
    assert "broken.png" in reason
    assert [step.skipped is None for step in seen[:4]] == [True, False, True, True]
    assert [(step.doing, step.done, step.total) for step in seen[4:]] == [
        (name, done, 3) for name in ("model", "random", "centre-gaussian") for done in (1, 2, 3)
    ]
    for name in ("blue.png", "green.png", "red.png"):
        (photos / name).unlink()
    with pytest.raises(InputError, match="None of the 1 images"):
        evaluate(quadrants.classifier(), photos, options=FAST)
    (photos / "broken.png").unlink()
    with pytest.raises(InputError, match="No images found"):
        evaluate(quadrants.classifier(), photos, options=FAST)


def test_without_scipy_nothing_is_begun(photos, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("ov_xai.metrics.extras.import_module", missing)
    with pytest.raises(MissingExtraError, match=r"ov-xai\[evaluate\]"):
        evaluate("no such model.xml", photos)
