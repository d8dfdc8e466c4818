"""Maps of classes from instance masks."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import ClassChoice, Session
from ov_xai.graph.manifest import Manifest, read_manifest, write_manifest
from ov_xai.graph.readout import Columns, Readout
from ov_xai.runtime.instance_masks import find_masks, read_instance_masks
from tests.models import ints
from tests.runtime.test_detections import detector

INPUT_WH = (8, 6)
READOUT = Readout(True, [Columns(2)], Columns(0, -1, 0, 4), Columns(1))


def outputs_of(*shapes):
    return [ops.result(ops.parameter(shape, np.float32)).output(0) for shape in shapes]


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (([-1, 4], [-1], [-1], [-1, 1, 60, 80]), 3),
        (([-1, 4], [-1], [-1], [-1, 28, 28]), 3),
        (([1, -1, 4], [1, -1], [1, -1], [1, -1, 28, 28]), 3),
        (([1, 100, 4], [1, 100], [1, 100], [1, 256, 20, 20]), None),  # features
        (([1, 100, 4], [1, 100], [1, 100], [1, 100, 3, 28, 28]), None),  # a mask per class
        (([-1, 4], [-1], [-1]), None),
        (([-1, 4], [-1], [-1], [-1, 17, 3], [-1, 28, 28]), 4),  # key points come first
    ],
)
def test_masks_are_found_by_their_shape(shapes, expected):
    assert find_masks(outputs_of(*shapes), READOUT) == expected


def test_no_masks_without_selected_boxes():
    outputs = outputs_of([-1, 4], [-1], [-1], [-1, 28, 28])
    assert find_masks(outputs, None) is None
    assert find_masks(outputs, Readout(False, [Columns(2)], Columns(0, -1, 0, 4))) is None
    assert find_masks(outputs, Readout(True, [Columns(2)], None, Columns(1))) is None


def outputs(boxes, labels, scores, masks):
    return [np.array(boxes, np.float32), np.array(labels, np.int64), np.array(scores, np.float32), masks]


def test_masks_of_the_whole_image_are_combined_by_their_maximum():
    masks = np.zeros((3, 1, 6, 8), np.float32)
    masks[0, 0, :3], masks[1, 0, 2:4], masks[2] = 1, 0.5, 1
    whole = [[0, 0, 8, 6]] * 3
    found = read_instance_masks(outputs(whole, [4, 4, 2], [0.5, 0.9, 0.7], masks), 3, READOUT, INPUT_WH)
    assert found.classes == [2, 4]
    expected = np.zeros((6, 8))
    expected[:3], expected[3] = 0.5, 0.45
    np.testing.assert_allclose(found.of_class(4), expected, atol=1e-6)
    np.testing.assert_allclose(found.of_class(2), np.full((6, 8), 0.7), atol=1e-6)
    assert not found.of_class(9).any()


def test_a_mask_of_a_box_is_pasted_into_it():
    """2 x 2 cells over a box of 4 x 4 pixels: values stand at the centres of the cells, linear between."""
    mask = np.array([[[0.0, 1.0], [0.0, 1.0]]], np.float32)
    found = read_instance_masks(outputs([[2, 1, 6, 5]], [0], [0.8], mask), 3, READOUT, INPUT_WH)
    expected = np.zeros((6, 8))
    expected[1:5, 2:6] = 0.8 * np.array([0, 0.25, 0.75, 1])
    np.testing.assert_allclose(found.of_class(0), expected, atol=0.02)  # OpenCV interpolates in steps of 1/32


@pytest.mark.parametrize("shift", [(-3, -2), (5, 3), (-1, 4)])
def test_a_box_beyond_the_border_keeps_the_scale_of_its_mask(shift):
    mask = np.random.default_rng(0).uniform(size=(1, 5, 5)).astype(np.float32)
    box = np.array([0, 0, 5, 5]) + np.array([*shift, *shift])
    found = read_instance_masks(outputs([box], [0], [1.0], mask), 3, READOUT, INPUT_WH)
    expected = np.zeros((6, 8))
    for y, x in np.ndindex(6, 8):
        row, column = y - shift[1], x - shift[0]
        if 0 <= row < 5 and 0 <= column < 5:
            expected[y, x] = mask[0, row, column]
    np.testing.assert_allclose(found.of_class(0), expected, atol=1e-6)


@pytest.mark.parametrize("box", [[9, 9, 12, 12], [3, 3, 3, 5], [5, 5, 2, 2], [np.nan, 0, 4, 4], [-1e9, -1e9, 1e9, 1e9]])
def test_boxes_that_cover_nothing_or_everything(box):
    mask = np.ones((1, 3, 3), np.float32)
    found = read_instance_masks(outputs([box], [0], [1.0], mask), 3, READOUT, INPUT_WH)
    assert found.of_class(0).sum() == (48 if box[2] == 1e9 else 0)


def test_no_instances():
    empty = outputs(np.zeros((0, 4)), [], [], np.zeros((1, 1, 6, 8), np.float32))
    assert read_instance_masks(empty, 3, READOUT, INPUT_WH).classes == []


def two_stage():
    """Return a patched model with two fixed instances whose masks are the first channel of its input and its inverse.

    The map it was patched with is one per image.
    """
    image = ops.parameter([1, 3, 24, 32], np.float32, name="image")
    image.output(0).set_names({"image"})
    first = ops.slice(image, ints(0), ints(1), ints(1), ints(1))
    inverse = ops.subtract(ops.constant(np.float32(1)), first)
    zero = ops.multiply(ops.reduce_mean(image, ints(0, 1, 2, 3), False), ops.constant(np.float32(0)))
    boxes = ops.add(ops.constant(np.array([[0, 0, 16, 24], [16, 0, 32, 24]], np.float32)), zero)
    scores = ops.add(ops.constant(np.array([0.9, 0.6], np.float32)), zero)
    labels = ops.constant(np.array([7, 2], np.int64))
    saliency = ops.convert(ops.reduce_mean(image, ints(1), False), np.uint8)
    named = {
        "boxes": boxes,
        "labels": labels,
        "scores": scores,
        "masks": ops.concat([first, inverse], 0),
        "saliency_map": saliency,
    }
    results = []
    for name, value in named.items():
        results.append(ops.result(value))
        results[-1].output(0).set_names({name})
    model = ov.Model(results, [image], "two stages")
    model.set_rt_info("255", ["model_info", "scale_values"])
    known = read_manifest(detector(READOUT))
    facts = {**vars(known), "method": "activation-map", "score": None, "classes": 0}
    write_manifest(model, Manifest(**facts))
    return model


def left_half():
    photo = np.zeros((24, 32, 3), np.uint8)
    photo[:, :16] = 255
    return photo


def test_a_session_shows_the_masks_when_asked():
    session = Session(two_stage(), instance_masks=True)
    assert session.method == "instance-masks"
    explanation = session(left_half())
    assert explanation.method == "instance-masks"
    assert list(explanation.maps) == ["class 7", "class 2"]
    assert explanation.confidences == {"class 7": pytest.approx(0.9, abs=0.01), "class 2": pytest.approx(0.6, abs=0.01)}
    for label, half in (("class 7", slice(0, 16)), ("class 2", slice(16, 32))):
        saliency = explanation.saliency_map(label)
        assert (saliency[:, half] == 255).all()
        assert saliency.sum(dtype=int) == 255 * 24 * 16
    assert explanation.masses_inside() == [1.0, 1.0]
    plain = Session(two_stage())
    assert list(plain(left_half()).maps) == ["activation-map"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ClassChoice("all"), ["seven", "class 2"]),
        (ClassChoice(limit=1), ["seven"]),
        (ClassChoice(threshold=0.95), []),
        (ClassChoice(("2", "5")), ["class 2"]),
        (ClassChoice(("seven",), 0.95), ["seven"]),
    ],
)
def test_which_classes_get_a_map_of_masks(choice, expected):
    labels = [*"abcdefg", "seven"]
    labels[2] = "class 2"
    session = Session(two_stage(), labels=labels, choice=choice, instance_masks=True)
    explanation = session(left_half())
    assert list(explanation.maps) == expected
    assert list(explanation.safe_names) == expected
