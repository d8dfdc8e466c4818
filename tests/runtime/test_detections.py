"""Reading detections: every form of readout against values worked out by hand, and boxes in pixels of the photo."""

import json

import cv2
import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import (
    ClassChoice,
    Explanation,
    ModelMismatchError,
    Prediction,
    RenderOptions,
    RequestError,
    Session,
    insert,
)
from ov_xai.errors import UnsupportedModelError
from ov_xai.graph.manifest import SCHEMA, Manifest, write_manifest
from ov_xai.graph.readout import Columns, Readout
from ov_xai.runtime.boxes import crop, draw_boxes, mass_inside
from ov_xai.runtime.detections import MOST_DETECTIONS, DetectionReader, read_detections
from ov_xai.runtime.dump import DumpOptions, explain_folder
from ov_xai.runtime.images import read_image
from ov_xai.runtime.labels import aligned_labels
from ov_xai.runtime.overrides import InputColor, Resize
from ov_xai.runtime.placement import Placement
from ov_xai.runtime.preprocessing import Preprocessing
from ov_xai.runtime.records import read_records
from ov_xai.runtime.report import ReportHead, write_report
from tests.helpers import F32
from tests.models import ints, weights

INPUT_WH = (200, 100)
BOX = (20.0, 10.0, 60.0, 50.0)
SAME_BOX = {
    ("xyxy", "pixels"): BOX,
    ("yxyx", "pixels"): (10.0, 20.0, 50.0, 60.0),
    ("xywh", "pixels"): (20.0, 10.0, 40.0, 40.0),
    ("cxcywh", "pixels"): (40.0, 30.0, 40.0, 40.0),
    ("xyxy", "relative"): (0.1, 0.1, 0.3, 0.5),
    ("yxyx", "relative"): (0.1, 0.1, 0.5, 0.3),
    ("xywh", "relative"): (0.1, 0.1, 0.2, 0.4),
    ("cxcywh", "relative"): (0.2, 0.3, 0.2, 0.4),
}
#: A row of its own output: the one column of scores or labels.
WHOLE = Columns(1)


def array(*values, shape=None):
    made = np.array(values, np.float32)
    return made if shape is None else made.reshape(shape)


def read(outputs, readout, threshold=0.3):
    return read_detections(outputs, readout, INPUT_WH, threshold)


def dense(scores, boxes=None, **facts):
    """Return outputs and readout of scores [1, P, K] and boxes [1, P, 4]."""
    outputs = [np.asarray(scores, np.float32)[None]]
    columns = [Columns(0, -1, 0, outputs[0].shape[-1])]
    if boxes is None:
        return outputs, Readout(False, columns, **facts)
    outputs.append(np.asarray(boxes, np.float32)[None])
    return outputs, Readout(False, columns, Columns(1, -1, 0, 4), **facts)


# -- selected rows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "unit"), list(SAME_BOX))
def test_every_format_gives_the_same_box(form, unit):
    outputs = [array(*SAME_BOX[form, unit], shape=(1, 1, 4)), array(0.9, shape=(1, 1)), array(3, shape=(1, 1))]
    readout = Readout(True, [WHOLE], Columns(0, -1, 0, 4), Columns(2), format=form, unit=unit)
    found = read(outputs, readout)
    np.testing.assert_allclose(found.boxes, [BOX], atol=1e-4)
    assert (found.labels.tolist(), found.confidences.round(4).tolist()) == ([3], [0.9])


def test_rows_in_one_output_are_sorted_and_cut_at_the_threshold():
    rows = array([1, 1, 9, 9, 0.4, 2], [2, 2, 9, 9, 0.8, 5], [3, 3, 9, 9, 0.29, 1], [0, 0, 0, 0, 0, 0])[None]
    readout = Readout(True, [Columns(0, -1, 4, 5)], Columns(0, -1, 0, 4), Columns(0, -1, 5, 6))
    found = read([rows], readout)
    assert found.labels.tolist() == [5, 2]
    assert found.boxes[:, 0].tolist() == [2, 1]
    assert read([rows], readout, threshold=0).labels.tolist() == [5, 2, 1]  # a row of zeros is padding


def test_rows_behind_a_negative_image_index_are_no_detections():
    rows = array([0, 1, 0.9, 0.1, 0.1, 0.2, 0.2], [-1, 0, 0, 0, 0, 0, 0], [0, 7, 0.8, 0, 0, 1, 1], shape=(1, 1, 3, 7))
    readout = Readout(True, [Columns(0, -1, 2, 3)], Columns(0, -1, 3, 7), Columns(0, -1, 1, 2), unit="relative")
    found = read([rows], readout)
    assert found.labels.tolist() == [1]
    np.testing.assert_allclose(found.boxes, [[20, 10, 40, 20]], atol=1e-4)


def test_seven_columns_without_an_image_index_have_no_end():
    rows = array([-5, 1, 9, 9, 0.9, 2, 0.1], [4, 1, 9, 9, 0.8, 3, 0.1])[None]
    readout = Readout(True, [Columns(0, -1, 4, 5)], Columns(0, -1, 0, 4), Columns(0, -1, 5, 6))
    assert read([rows], readout).labels.tolist() == [2, 3]


def test_scores_beside_the_boxes_and_labels_of_their_own():
    outputs = [array([1, 2, 3, 4, 0.5], [5, 6, 7, 8, 0.7], shape=(1, 2, 5)), np.array([[4, 9]], np.int64)]
    found = read(outputs, Readout(True, [Columns(0, -1, 4, 5)], Columns(0, -1, 0, 4), Columns(1)))
    assert found.labels.tolist() == [9, 4]
    np.testing.assert_allclose(found.boxes, [[5, 6, 7, 8], [1, 2, 3, 4]])


def test_numbers_that_are_none_are_no_detections():
    outputs = [
        array([1, 1, 2, 2], [np.nan, 1, 2, 2], [1, 1, 2, 2], [1, 1, 2, 2])[None],
        array([0.9, 0.9, np.nan, 0.9])[None],
        array([1, 2, 3, -1])[None],
    ]
    found = read(outputs, Readout(True, [Columns(1)], Columns(0, -1, 0, 4), Columns(2)))
    assert found.labels.tolist() == [1]


def test_outputs_that_do_not_belong_together_are_refused():
    outputs = [array([1, 1, 2, 2])[None], array([0.9, 0.8])[None], array([1, 2])[None]]
    with pytest.raises(UnsupportedModelError, match="2 scores and 2 labels for 1 boxes"):
        read(outputs, Readout(True, [Columns(1)], Columns(0, -1, 0, 4), Columns(2)))


@pytest.mark.parametrize("shape", [(0,), (1, 0)])
def test_no_rows_at_all(shape):
    outputs = [np.zeros((*shape, 4), np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.int64)]
    found = read(outputs, Readout(True, [Columns(1)], Columns(0, -1, 0, 4), Columns(2)))
    assert (found.labels.shape, found.boxes.shape) == ((0,), (0, 4))


# -- scores of all places --------------------------------------------------------------------------------------------


def test_of_two_overlapping_boxes_the_surer_stays():
    boxes = [[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [0, 7, 10, 17]]
    outputs, readout = dense([[0.6, 0], [0.9, 0], [0, 0.5], [0.4, 0]], boxes)
    found = read(outputs, readout)
    # IoU of the first two is 9 / 11; of the second and the last 27 / 173; the third is of another class.
    assert found.labels.tolist() == [0, 1, 0]
    np.testing.assert_allclose(found.confidences, [0.9, 0.5, 0.4], atol=1e-6)
    np.testing.assert_allclose(found.boxes, [boxes[1], boxes[2], boxes[3]])


def test_boxes_beyond_the_input_do_not_suppress_other_classes():
    """OpenCV tells classes apart by shifting boxes, which negative corners must not defeat."""
    outputs, readout = dense([[0.9, 0], [0, 0.8]], [[90, 90, 110, 110], [-20, -20, 0, 0]])
    assert sorted(read(outputs, readout).labels.tolist()) == [0, 1]


def test_columns_in_the_middle_axis():
    """YOLO's [1, 4 + K, P]: the boxes stand in front of the classes."""
    table = array([40, 150], [30, 60], [40, 20], [40, 20], [0.1, 0.8], [0.7, 0.2])[None]
    readout = Readout(False, [Columns(0, -2, 4, 6)], Columns(0, -2, 0, 4), format="cxcywh")
    found = read([table], readout)
    assert found.labels.tolist() == [0, 1]
    np.testing.assert_allclose(found.boxes, [[140, 50, 160, 70], BOX], atol=1e-4)


def test_objectness_background_and_first_label():
    table = array([20, 10, 60, 50, 0.5, 0.9, 0.1, 0.8], [70, 10, 90, 50, 1.0, 0.9, 0.2, 0.3])[None]
    facts = {"objectness": Columns(0, -1, 4, 5), "background": 0, "first_label": 10}
    found = read([table], Readout(False, [Columns(0, -1, 5, 8)], Columns(0, -1, 0, 4), **facts))
    assert found.labels.tolist() == [12, 12]
    np.testing.assert_allclose(found.confidences, [0.4, 0.3], atol=1e-6)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        # Of logits (1, 2): 1 / (1 + 1/e), 1 / (1 + 1/e^2); e / (e + e^2), 1 / (1 + 1/e). The other place holds nothing.
        ("sigmoid", {0: 0.731059, 1: 0.880797}),
        ("softmax", {1: 0.731059}),
        ("none", {0: 1.0, 1: 2.0}),
    ],
)
def test_activations(activation, expected):
    outputs, readout = dense([[1, 2, -900], [-900, -900, 0]], [[0, 0, 9, 9], [50, 0, 60, 9]], activation=activation)
    readout = Readout(False, readout.scores, readout.boxes, activation=activation, background=2)
    found = read(outputs, readout)
    assert dict(zip(found.labels.tolist(), found.confidences.tolist(), strict=True)) == pytest.approx(
        expected, abs=1e-6
    )


def test_objectness_as_logit():
    outputs, readout = dense([[0.0, 3.0]], [[0, 0, 9, 9]], activation="softmax", objectness=Columns(0, -1, 0, 1))
    readout = Readout(False, [Columns(0, -1, 1, 2)], readout.boxes, None, readout.objectness, "sigmoid")
    assert read(outputs, readout).confidences.tolist() == pytest.approx([0.5 / (1 + np.exp(-3.0))])


def test_levels_without_boxes_give_the_best_of_each_class():
    """Two levels [1, 1 + K, h, w], the first column an objectness."""
    fine = np.zeros((1, 3, 2, 2), np.float32)
    coarse = np.zeros((1, 3, 1, 1), np.float32)
    fine[0, :, 0, 1], fine[0, :, 1, 1], coarse[0, :, 0, 0] = (0.5, 0.9, 0), (1.0, 0.6, 0.4), (0.8, 0.2, 1.0)
    columns = [Columns(0, -3, 1, 3), Columns(1, -3, 1, 3)]
    found = read([fine, coarse], Readout(False, columns, objectness=Columns(0, -3, 0, 1)))
    assert found.boxes is None
    assert found.labels.tolist() == [1, 0]
    np.testing.assert_allclose(found.confidences, [0.8, 0.6], atol=1e-6)


def test_nothing_above_the_threshold():
    outputs, readout = dense([[0.1, 0.2]], [[0, 0, 9, 9]])
    found = read(outputs, readout)
    assert (len(found.labels), found.boxes.shape) == (0, (0, 4))
    outputs, readout = dense([[0.1, 0.2]])
    assert len(read(outputs, readout).labels) == 0


def test_only_the_surest_of_very_many():
    places = np.arange(60 * 60)
    boxes = np.stack([places % 60 * 3, places // 60 * 3, places % 60 * 3 + 2, places // 60 * 3 + 2], 1)
    scores = np.random.default_rng(0).uniform(0.3, 1, (len(places), 1))
    outputs, readout = dense(scores, boxes)
    found = read(outputs, readout, threshold=0)
    np.testing.assert_allclose(found.confidences, np.sort(scores[:, 0])[::-1][:MOST_DETECTIONS], atol=1e-6)


# -- places in the photo ---------------------------------------------------------------------------------------------


def preprocessing(resize, wh=(400, 300)):
    return Preprocessing(0, "NCHW", wh, 3, (0.0,) * 3, (1.0,) * 3, resize, InputColor.RGB)


@pytest.mark.parametrize("size", [(1000, 60), (60, 1000), (401, 299), (5, 3)])
@pytest.mark.parametrize("resize", list(Resize))
def test_a_box_comes_back_to_where_it_was(size, resize):
    """A point of the photo goes into the input and back."""
    placement = preprocessing(resize).place(*size)
    x0, y0, x1, y1 = placement.source_xyxy
    left, top, right, bottom = placement.content_xyxy
    inside = np.array([x0 + 0.25 * (x1 - x0), y0 + 0.5 * (y1 - y0), x0 + 0.75 * (x1 - x0), y0 + 0.9 * (y1 - y0)])
    width, height = right - left, bottom - top
    box = np.array([[left + 0.25 * width, top + 0.5 * height, left + 0.75 * width, top + 0.9 * height]])
    np.testing.assert_allclose(placement.to_photo(box), [inside], atol=1e-9)


def test_a_letterboxed_box_by_hand():
    """1000 x 60 into 400 x 300: 400 x 24, from y = 138; a pixel of the input is 2.5 of the photo."""
    placement = preprocessing(Resize.LETTERBOX).place(1000, 60)
    assert placement.content_xyxy == (0, 138, 400, 162)
    boxes = np.array([[100.0, 140, 200, 150], [-50, 0, 50, 300], [10, 0, 20, 100]])
    expected = [[250, 5, 500, 30], [0, 0, 125, 60], [25, 0, 50, 0]]
    np.testing.assert_allclose(placement.to_photo(boxes), expected, atol=1e-9)


def test_a_tall_photo_by_hand():
    """60 x 1000 into 400 x 300: 18 x 300, from x = 191; a pixel of the input is 10/3 of the photo."""
    placement = preprocessing(Resize.LETTERBOX).place(60, 1000)
    assert placement.content_xyxy == (191, 0, 209, 300)
    np.testing.assert_allclose(placement.to_photo(np.array([[194.0, 30, 400, 60]])), [[10, 100, 60, 200]], atol=1e-9)


def test_detections_on_the_padding_are_left_out():
    outputs, readout = dense([[0.9], [0.8]], [[10, 0, 20, 100], [100, 140, 200, 150]])
    reading = DetectionReader(readout, ("cat",), 0.3)(outputs, preprocessing(Resize.LETTERBOX).place(1000, 60))
    assert [(item.label, item.box) for item in reading.predictions] == [("cat", (250.0, 5.0, 500.0, 30.0))]
    assert reading.confidences == {0: pytest.approx(0.8)}


# -- a small detector, end to end ------------------------------------------------------------------------------------

HEIGHT, WIDTH = 24, 32


def detector(readout, unused=(), classes=3, task="detection"):
    """Return a patched detector [1, 3, 24, 32] whose scores and map are its input averaged over 8 x 8 blocks.

    Three channels are three classes, all places have the same boxes: their cell.
    """
    image = ops.parameter([1, 3, HEIGHT, WIDTH], np.float32, name="image")
    image.output(0).set_names({"image"})
    grid = ops.avg_pool(image, [8, 8], [0, 0], [0, 0], [8, 8], True)
    scores = ops.transpose(ops.reshape(grid, ints(1, 3, -1), False), ints(0, 2, 1))
    y, x = np.mgrid[0:HEIGHT:8, 0:WIDTH:8]
    cells = np.stack([x, y, x + 8, y + 8], -1).reshape(1, -1, 4).astype(np.float32)
    boxes = ops.add(ops.constant(cells), ops.multiply(ops.reduce_sum(scores, ints(2), True), weights(1, scale=0.0)))
    saliency = ops.convert(ops.multiply(grid, ops.constant(np.float32(255))), np.uint8)
    results = []
    for value, name in ((boxes, "boxes"), (scores, "scores"), (saliency, "saliency_map")):
        results.append(ops.result(value))
        results[-1].output(0).set_names({name})
    model = ov.Model(results, [image], "detector")
    model.set_rt_info("fit_to_window_letterbox", ["model_info", "resize_type"])
    model.set_rt_info("0", ["model_info", "mean_values"])
    model.set_rt_info("255", ["model_info", "scale_values"])
    facts = {
        **dict.fromkeys(("schema", "kept_tokens", "score_output"), 0),
        **dict.fromkeys(("mask", "top_k", "strategy_reason")),
        "schema": SCHEMA,
        "ov_xai": "0",
        "task": task,
        "method": "class-probability-map",
        "target": ["image"],
        "grid": [3, 4],
        "score": "probability",
        "normalise": "minmax",
        "classes": classes,
        "strategy": "closed-form",
        "activation": "none",
        "exact_outputs": True,
        "source_sha256": "",
    }
    write_manifest(model, Manifest(**facts, unused_classes=list(unused), readout=readout))
    return model


DENSE = Readout(False, [Columns(1, -1, 0, 3)], Columns(0, -1, 0, 4))


def photo_with(*spots, size=(WIDTH, HEIGHT)):
    """Return a black photo with rectangles: (channel, value, x0, y0, x1, y1)."""
    photo = np.zeros((size[1], size[0], 3), np.uint8)
    for channel, value, x0, y0, x1, y1 in spots:
        photo[y0:y1, x0:x1, channel] = value
    return photo


def test_detected_classes_get_a_map_and_no_others():
    session = Session(detector(DENSE), labels=["cat", "dog", "cow"])
    explanation = session(photo_with((1, 204, 8, 0, 16, 8), (1, 102, 24, 16, 32, 24), (0, 128, 0, 16, 8, 24)))
    assert [(item.label, round(item.confidence, 2)) for item in explanation.predictions] == [
        ("dog", 0.8),
        ("cat", 0.5),
        ("dog", 0.4),
    ]
    assert explanation.predictions[0].box == pytest.approx((8, 0, 16, 8), abs=1e-3)
    assert list(explanation.maps) == ["dog", "cat"]
    assert explanation.confidences["dog"] == pytest.approx(0.8, abs=0.01)
    empty = session(photo_with())
    assert (list(empty.predictions), empty.maps, empty.confidences) == ([], {}, {})
    with pytest.raises(ModelMismatchError, match="has: none"):
        empty.overlay("cat")


@pytest.mark.parametrize("size", [(320, 12), (12, 320), (64, 48)])
def test_boxes_of_letterboxed_photos_lie_on_what_was_found(size):
    """The photo has a bright half; cells that lie in it come back as boxes in that half, to a pixel of the input."""
    half = (size[0] // 2, 0, size[0], size[1]) if size[0] > size[1] else (0, size[1] // 2, size[0], size[1])
    explanation = Session(detector(DENSE), choice=ClassChoice(threshold=0.05))(photo_with((0, 255, *half), size=size))
    assert explanation.predictions
    scale = max(size[0] / WIDTH, size[1] / HEIGHT)
    covered = np.zeros((size[1], size[0]), bool)
    for item in explanation.predictions:
        x0, y0, x1, y1 = item.box
        assert min(x0, y0) >= 0
        assert (x1 <= size[0], y1 <= size[1]) == (True, True)
        assert x0 >= half[0] - 8 * scale
        assert y0 >= half[1] - 8 * scale
        covered[round(y0) : round(y1), round(x0) : round(x1)] = True
    assert covered[half[1] : half[3], half[0] : half[2]].all()


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ClassChoice(limit=1), ["class 1"]),
        (ClassChoice("all"), ["class 1", "class 0", "class 2"]),
        (ClassChoice(("2", "class 1")), ["class 2", "class 1"]),
        (ClassChoice(threshold=0.6), ["class 1"]),
    ],
)
def test_which_classes_get_a_map(choice, expected):
    photo = photo_with((1, 204, 8, 0, 16, 8), (0, 128, 0, 16, 8, 24))
    assert list(Session(detector(DENSE), choice=choice)(photo).maps) == expected


def test_unused_labels_are_neither_mapped_nor_listed():
    session = Session(detector(DENSE, unused=[0]), labels=["dog", "cow"], choice=ClassChoice("all"))
    assert session.labels == ("class 0", "dog", "cow")
    assert sorted(session(photo_with()).maps) == ["cow", "dog"]
    with pytest.raises(ModelMismatchError, match="stands for no class"):
        Session(detector(DENSE, unused=[0]), choice=ClassChoice(("0",)))
    with pytest.raises(ModelMismatchError, match="2 classes, or 3 with unused ids"):
        Session(detector(DENSE, unused=[0]), labels=["a", "b", "c", "d"])


def test_labels_are_aligned_to_used_ids():
    assert aligned_labels(["a", "b"], 4, [0, 2]) == ("class 0", "a", "class 2", "b")
    assert aligned_labels(["z", "a", "y", "b"], 4, [0, 2]) == ("z", "a", "y", "b")


def test_predictions_that_cannot_be_read_are_said_so():
    session = Session(detector(None))
    explanation = session(photo_with((1, 204, 8, 0, 16, 8)))
    assert (list(explanation.predictions), explanation.maps) == ([], {})
    assert "cannot be read" in session.notes[0]
    assert len(Session(detector(None), choice=ClassChoice("all"))(photo_with()).maps) == 3
    assert Session(detector(DENSE)).notes == []
    without_boxes = Readout(False, DENSE.scores)
    assert "boxes" in Session(detector(without_boxes)).notes[0]


def test_records_carry_boxes_and_the_mass_inside(tmp_path):
    (tmp_path / "in").mkdir()
    photo = photo_with((1, 204, 8, 0, 16, 8), (1, 102, 24, 16, 32, 24))
    cv2.imwrite(str(tmp_path / "in" / "a.png"), photo[:, :, ::-1])
    cv2.imwrite(str(tmp_path / "in" / "b.png"), photo_with())
    session = Session(detector(DENSE), labels=["cat", "dog", "cow"])
    options = DumpOptions(tmp_path / "out", RenderOptions(per_detection=True), resume=True)
    assert explain_folder(session, tmp_path / "in", options).explained == 2
    first, second = read_records(tmp_path / "out" / "explanations.jsonl")
    assert [item["box"] for item in first["predictions"]] == [[8, 0, 16, 8], [24, 16, 32, 24]]
    shares = [item["map_inside"] for item in first["predictions"]]
    assert shares[0] > shares[1] > 0.05
    assert sum(shares) < 1
    names = [f"a_dog_{kind}.png" for kind in ("saliency_map", "overlay_img", "1_detection", "2_detection")]
    assert first["maps"] == [{"label": "dog", "confidence": 0.8, "files": names}]
    assert first["files"] == names
    assert cv2.imread(str(tmp_path / "out" / names[2])).shape == (8, 8, 3)
    assert (second["predictions"], second["maps"], second["files"]) == ([], [], [])
    assert explain_folder(session, tmp_path / "in", options).kept == 2
    page = write_report(tmp_path / "in", tmp_path / "out", ReportHead("m.xml", [], 0.5)).read_text()
    assert page.count("<svg") == 2
    assert '<rect class="over" x="24.0" y="16.0" width="8.00" height="8.00"/>' in page
    assert "nothing found" in page
    json.dumps(first)


# -- pictures --------------------------------------------------------------------------------------------------------


def explanation_of(predictions, saliency):
    height, width = saliency.shape
    placement = Placement((width, height), (0, 0, width, height), (width, height), (0, 0, width, height))
    photo = np.full((height, width, 3), 90, np.uint8)
    return Explanation(photo, predictions, {"cat": saliency}, {"cat": 0.9}, placement, {"cat": "cat"}, "m", 1.0)


def test_mass_inside_by_hand():
    saliency = np.zeros((4, 6), np.uint8)
    saliency[1, 2], saliency[3, 5] = 100, 50
    inside = Prediction(0, "cat", 0.9, (2.0, 1.0, 3.0, 2.0))
    explanation = explanation_of([inside, Prediction(1, "dog", 0.5, (0, 0, 6, 4)), Prediction(0, "cat", 0.4)], saliency)
    assert explanation.mass_inside(inside) == pytest.approx(2 / 3)
    assert explanation.masses_inside() == [pytest.approx(2 / 3), None, None]
    assert mass_inside(saliency, (0, 0, 6, 4)) == 1
    assert mass_inside(saliency, (2.6, 1, 3, 2)) == 0  # the centre of the pixel lies left of the box
    assert mass_inside(saliency * 0, (0, 0, 6, 4)) == 0


@pytest.mark.parametrize("weight", [-0.1, 7.0, float("nan")])
def test_an_overlay_has_a_weight_between_photo_and_map(weight):
    with pytest.raises(RequestError, match=f"weight is {weight:g}; expected a number from 0 to 1"):
        explanation_of([], np.zeros((90, 120), np.uint8)).overlay("cat", weight=weight)


def test_an_overlay_shows_the_boxes_of_its_class_only():
    saliency = np.zeros((90, 120), np.uint8)
    cat, dog = Prediction(0, "cat", 0.9, (50, 40, 90, 80)), Prediction(1, "dog", 0.5, (5, 5, 20, 20))
    overlay = explanation_of([cat, dog], saliency).overlay("cat", weight=0.0)
    changed = (overlay != 90).any(2)
    np.testing.assert_array_equal(changed[79, 50:90], True)
    np.testing.assert_array_equal(changed[40:80, [50, 89]], True)
    assert not changed[41 + 3 : 77, 54:86].any()
    assert not changed[:20, :].any()
    assert not changed[81:].any()


@pytest.mark.parametrize("size", [(30, 20), (1000, 60), (60, 1000), (640, 480), (3, 2)])
def test_a_box_as_large_as_the_picture_is_seen_on_all_sides(size):
    picture = np.full((size[1], size[0], 3), 90, np.uint8)
    drawn = draw_boxes(picture, [((0.0, 0.0, float(size[0]), float(size[1])), "Käse 猫 0.50")])
    for edge in (drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]):
        assert (edge != 90).any(1).all()
    assert (picture == 90).all()
    assert crop(drawn, (0.2, 0.2, 0.3, 0.3)).shape == (1, 1, 3)
    assert crop(drawn, (size[0] + 5.0, 0, size[0] + 9.0, 1)).shape[1] == 1


def test_no_text_hides_another():
    picture = np.full((200, 300, 3), 90, np.uint8)
    one = draw_boxes(picture, [((50, 50, 120, 120), "cat 0.90")])
    many = draw_boxes(picture, [((50, 50, 120, 120), "cat 0.90")] * 9)
    text = (one == 255).all(2)[:50]
    assert text.any()
    np.testing.assert_array_equal(many[:50], one[:50])


# -- the bundled detector --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nanodet(data):
    return Session(insert(data / "models" / "nanodet_g.xml"), config=F32)


@pytest.mark.parametrize(("photo", "label"), [("chelsea", "cat"), ("camera", "person"), ("astronaut", "person")])
def test_the_map_of_the_surest_class_peaks_inside_its_box(nanodet, data, photo, label):
    explanation = nanodet(data / "photos" / f"{photo}.png")
    best = explanation.predictions[0]
    assert best.label == label
    saliency = explanation.saliency_map(label)
    y, x = np.unravel_index(saliency.argmax(), saliency.shape)
    assert best.box[0] <= x < best.box[2]
    assert best.box[1] <= y < best.box[3]
    assert explanation.mass_inside(best) > 0.5


def test_a_detection_follows_its_object_through_the_letterbox(nanodet, data):
    """The photo with a grey field at its left or right: the box of the cat stays on the cat."""
    photo = read_image(data / "photos" / "chelsea.png")
    field = np.full((photo.shape[0], 200, 3), 128, np.uint8)
    boxes = [
        next(item.box for item in nanodet(np.hstack(parts)).predictions if item.label == "cat")
        for parts in ([photo, field], [field, photo])
    ]
    cat = np.array([1, 1, 398, 298])  # but for its tail
    np.testing.assert_allclose(boxes[0], cat, atol=12)
    np.testing.assert_allclose(boxes[1], np.add(cat, [200, 0, 200, 0]), atol=12)
