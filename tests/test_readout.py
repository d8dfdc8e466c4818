"""Where predictions are found in the outputs of detectors whose scores, places and boxes are known."""

from typing import get_args

import cv2
import numpy as np
import pytest
from openvino import opset13 as ops

from ov_xai import ClassChoice, Session, cards, insert, read_card, read_manifest
from ov_xai.graph import box_formats
from ov_xai.graph.readout import Columns
from ov_xai.readout.box_reading import BoxReading, reading_of_queries, reading_of_rows
from tests.detectors import heads, joined, model_of, pyramid
from tests.helpers import F32
from tests.models import ints, weights

HEIGHT, WIDTH, CELL = 48, 64, 8
ROWS, COLUMNS = HEIGHT // CELL, WIDTH // CELL
#: Width and height of all boxes.
BOX_WH = (14.0, 6.0)
#: The four numbers of a box with centre x, y, width and height: those that are read, and those that are not.
READ = {
    "xyxy": lambda x, y, w, h: (x - w / 2, y - h / 2, x + w / 2, y + h / 2),
    "yxyx": lambda x, y, w, h: (y - h / 2, x - w / 2, y + h / 2, x + w / 2),
    "cxcywh": lambda x, y, w, h: (x, y, w, h),
    "xywh": lambda x, y, w, h: (x - w / 2, y - h / 2, w, h),
}
OTHERS = {
    "yyxx": lambda x, y, w, h: (y - h / 2, y + h / 2, x - w / 2, x + w / 2),
    "cycxhw": lambda x, y, w, h: (y, x, h, w),
}
SIDES = {"yxyx": (HEIGHT, WIDTH) * 2, "yyxx": (HEIGHT,) * 2 + (WIDTH,) * 2, "cycxhw": (HEIGHT, WIDTH) * 2}
#: The cell that is bright in the photo, and its box.
BRIGHT_YX = (1, 5)
EXPECTED = (5.5 * CELL - 7, 1.5 * CELL - 3, 5.5 * CELL + 7, 1.5 * CELL + 3)


def means_of(image):
    """Return the mean of each channel in cells of 8 x 8 pixels, [1, 3, rows, columns]."""
    kernel = np.zeros((3, 3, CELL, CELL), np.float32)
    kernel[range(3), range(3)] = 1 / CELL**2
    return ops.relu(ops.convolution(image, ops.constant(kernel), [CELL, CELL], [0, 0], [0, 0], [1, 1]))


def scores_of(features):
    """Return probabilities of three classes, one per channel of the features, [1, 3, rows, columns]."""
    mixed = ops.convolution(features, ops.constant(np.eye(3, dtype=np.float32)[..., None, None]), *strides())
    return ops.sigmoid(ops.subtract(ops.multiply(mixed, np.float32(20 / 255)), np.float32(12)))


def strides():
    return [1, 1], [0, 0], [0, 0], [1, 1]


def table(x, columns):
    """Return [1, C, rows, columns] as [1, places, C]."""
    return ops.transpose(ops.reshape(x, ints(0, columns, -1), True), ints(0, 2, 1))


def boxes_of(features, form, unit):
    """Return the boxes of all places, [1, places, 4]; they hang on the features by a millionth."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    numbers = {**READ, **OTHERS}[form]((x.ravel() + 0.5) * CELL, (y.ravel() + 0.5) * CELL, *map(np.float64, BOX_WH))
    values = np.stack(np.broadcast_arrays(*numbers), -1)[None]
    if unit == "relative":
        values = values / SIDES.get(form, (WIDTH, HEIGHT) * 2)
    offsets = table(ops.convolution(features, weights(4, 3, 1, 1, scale=1e-6), *strides()), 4)
    return ops.add(ops.constant(values.astype(np.float32)), offsets)


def image_input():
    image = ops.parameter([1, 3, HEIGHT, WIDTH], np.float32, name="image")
    image.output(0).set_names({"image"})
    return image


def dense_model(form, unit):
    """Boxes and probabilities of all places of a single level."""
    image = image_input()
    features = means_of(image)
    return model_of(image, ("boxes", boxes_of(features, form, unit)), ("scores", table(scores_of(features), 3)))


def selecting_model(form, unit, one_output=False):
    """The eight best pairs of place and class, chosen in the graph."""
    image = image_input()
    features = means_of(image)
    flat = ops.reshape(table(scores_of(features), 3), ints(1, -1), True)
    best = ops.topk(flat, ops.constant(np.int64(8)), 1, "max", "value", "i64")
    place = ops.divide(best.output(1), ops.constant(np.int64(3)))
    label = ops.mod(best.output(1), ops.constant(np.int64(3)))
    boxes = ops.gather(boxes_of(features, form, unit), ops.reshape(place, ints(-1), False), ops.constant(np.int64(1)))
    if not one_output:
        return model_of(image, ("boxes", boxes), ("scores", best.output(0)), ("labels", label))
    columns = [ops.unsqueeze(item, ints(2)) for item in (best.output(0), ops.convert(label, np.float32))]
    return model_of(image, ("rows", ops.concat([boxes, *columns], 2)))


MODELS = {
    "dense": dense_model,
    "selected": selecting_model,
    "rows": lambda form, unit: selecting_model(form, unit, one_output=True),
}


def photo():
    """Return a black photo of twice the input's size with one bright green cell."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    y, x = (CELL * index for index in BRIGHT_YX)
    pixels[y : y + CELL, x : x + CELL, 1] = 255
    return cv2.resize(pixels, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_NEAREST)


def predictions(patched):
    return Session(patched, choice=ClassChoice(threshold=0.5), config=F32)(photo()).predictions


# -- boxes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", get_args(box_formats.BoxUnit))
@pytest.mark.parametrize("form", READ)
@pytest.mark.parametrize("kind", MODELS)
def test_boxes_lie_where_their_places_are(kind, form, unit):
    patched = insert(MODELS[kind](form, unit))
    readout = read_manifest(patched).readout
    assert (readout.format, readout.unit) == (form, unit)
    (found,) = predictions(patched)
    assert found.label == "class 1"
    np.testing.assert_allclose(found.box, np.multiply(EXPECTED, 2), atol=0.1)


@pytest.mark.parametrize("form", OTHERS)
@pytest.mark.parametrize("kind", MODELS)
def test_boxes_in_no_known_order_are_left_out(kind, form):
    (found,) = predictions(insert(MODELS[kind](form, "pixels")))
    assert (found.label, found.box) == ("class 1", None)


def test_boxes_without_size_are_left_out():
    """Points may be centres or corners."""
    image = image_input()
    features = means_of(image)
    points = ops.multiply(boxes_of(features, "cxcywh", "pixels"), np.array([1, 1, 0, 0], np.float32))
    model = model_of(image, ("boxes", points), ("scores", table(scores_of(features), 3)))
    assert read_manifest(insert(model)).readout.boxes is None


def test_a_card_says_how_boxes_are_written(tmp_path):
    path = tmp_path / "card.toml"
    path.write_text('name = "a"\ntitle = "b"\n[match]\n[boxes]\nformat = "xywh"\nunit = "relative"\n')
    readout = read_manifest(insert(dense_model("xyxy", "pixels"), card=read_card(path))).readout
    assert (readout.format, readout.unit) == ("xywh", "relative")


def test_cards_and_manifests_know_the_same_words():
    assert get_args(cards.BoxFormat) == get_args(box_formats.BoxFormat)
    assert get_args(cards.BoxUnit) == get_args(box_formats.BoxUnit)
    assert set(get_args(box_formats.BoxFormat)) == set(READ)


# -- rows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [6, 7])
def test_feature_maps_six_or_seven_wide_are_no_rows(width):
    """Raw channels of anchors, box and objectness and classes, on grids whose last axis is as long as a row."""
    image = ops.parameter([1, 3, 8 * width, 8 * width], np.float32, name="image")
    fine = ops.relu(ops.convolution(image, weights(6, 3, 4, 4), [4, 4], [0, 0], [0, 0], [1, 1]))
    coarse = ops.relu(ops.convolution(fine, weights(6, 6, 2, 2, seed=3), [2, 2], [0, 0], [0, 0], [1, 1]))
    raw = heads([fine, coarse], 3 * 8, "raw")
    model = model_of(image, ("fine", raw[0]), ("coarse", raw[1]))
    assert read_manifest(insert(model, labels=("a", "b", "c"))).readout is None


def test_queries_of_two_classes_are_no_rows():
    """A box and two logits per query are six columns, but hold no labels."""
    image, levels = pyramid()
    features = joined(levels, 1, 6)
    scores = ops.matmul(features, weights(6, 3, seed=70), False, False)
    best = ops.topk(ops.reduce_max(scores, ints(2), False), ops.constant(np.int64(4)), 1, "max", "value", "i64")
    queries = ops.gather(features, ops.reshape(best.output(1), ints(-1), True), ops.constant(np.int64(1)))
    box = ops.sigmoid(ops.matmul(queries, weights(6, 4, seed=73), False, False))
    rows = ops.concat([box, ops.matmul(queries, weights(6, 2, seed=72), False, False)], 2)
    readout = read_manifest(insert(model_of(image, ("rows", rows)), method="activation-map")).readout
    assert readout is None or not readout.selected


@pytest.mark.parametrize("label_first", [False, True])
def test_label_and_score_are_told_apart(label_first):
    """Features inside regions are scored, so that no table of places tells where the labels are."""
    image, levels = pyramid()
    regions = np.array([[0, 0, 16, 16], [8, 4, 20, 20], [2, 8, 30, 20]], np.float32)
    inside = ops.roi_align(levels[0], ops.constant(regions), ints(0, 0, 0), 2, 2, 2, 0.25, "avg")
    flat = ops.reshape(inside, ints(3, -1), True)
    scores = ops.reshape(ops.softmax(ops.matmul(flat, weights(24, 3), False, False), 1), ints(-1), False)
    best = ops.topk(scores, ops.constant(np.int64(4)), 0, "max", "value", "i64")
    three = ops.constant(np.int64(3))
    boxes = ops.gather(ops.constant(regions), ops.divide(best.output(1), three), ops.constant(np.int64(0)))
    label = ops.convert(ops.mod(best.output(1), three), np.float32)
    columns = [ops.unsqueeze(item, ints(1)) for item in (best.output(0), label)]
    rows = ops.concat([boxes, *(columns[::-1] if label_first else columns)], 1)
    readout = read_manifest(insert(model_of(image, ("rows", rows)))).readout
    assert readout.selected
    assert (readout.scores[0].start, readout.labels.start) == ((5, 4) if label_first else (4, 5))
    assert (readout.boxes.start, readout.format, readout.unit) == (0, "xyxy", "pixels")


# -- dynamic height and width ----------------------------------------------------------------------------------------


def two_levels(height, width, one_table):
    """Return boxes [1, P, 4] and probabilities [1, P, 3] of two levels, or [1, 7, P] of both."""
    image = ops.parameter([1, 3, height, width], np.float32, name="image")
    image.output(0).set_names({"image"})
    fine = ops.relu(ops.convolution(image, weights(6, 3, 4, 4, scale=0.2), [4, 4], [0, 0], [0, 0], [1, 1]))
    coarse = ops.relu(ops.convolution(fine, weights(6, 6, 2, 2, seed=3), [2, 2], [0, 0], [0, 0], [1, 1]))
    levels = [fine, coarse]
    boxes = ops.exp(ops.concat([table(x, 4) for x in heads(levels, 4, "box")], 1))
    scores = ops.concat([table(ops.sigmoid(x), 3) for x in heads(levels, 3, "class", 50)], 1)
    if one_table:
        return model_of(image, ("output", ops.transpose(ops.concat([boxes, scores], 2), ints(0, 2, 1))))
    return model_of(image, ("boxes", boxes), ("scores", scores))


@pytest.mark.parametrize("size", [(24, 32), (-1, -1)])
@pytest.mark.parametrize(
    ("one_table", "scores"), [(False, Columns(1, -1, 0, 3)), (True, Columns(0, -2, 4, 7))], ids=["two", "one"]
)
def test_probabilities_of_a_dynamic_size_are_read_as_they_are(one_table, scores, size):
    readout = read_manifest(insert(two_levels(*size, one_table))).readout
    assert (readout.selected, readout.scores, readout.activation) == (False, [scores], "none")
    assert (readout.boxes, readout.objectness, readout.background) == (None, None, None)


def test_probabilities_of_queries_are_read_as_they_are():
    image, levels = pyramid()
    features = joined(levels, 1, 6)
    queries = ops.slice(features, ints(0), ints(5), ints(1), ints(1))
    mixed = ops.matmul(ops.reshape(queries, ints(1, -1), False), weights(30, 30, seed=75), False, False)
    mixed = ops.reshape(mixed, ints(1, 5, 6), False)
    logits = ops.matmul(mixed, weights(6, 3, seed=72), False, False)
    boxes = ops.sigmoid(ops.matmul(mixed, weights(6, 4, seed=73), False, False))
    for scores, activation in ((logits, "sigmoid"), (ops.sigmoid(logits), "none")):
        patched = insert(model_of(image, ("scores", scores), ("boxes", boxes)), method="activation-map")
        assert read_manifest(patched).readout.activation == activation


# -- boxes whose places are not known --------------------------------------------------------------------------------


def random_boxes(form, count=60):
    """Return boxes [n, 4] of several sizes inside an image of WIDTH x HEIGHT pixels, some of them at its borders."""
    random = np.random.default_rng(9)
    width, height = random.uniform(6, 30, (2, count))
    x = random.uniform(width / 2, WIDTH - width / 2)
    y = random.uniform(height / 2, HEIGHT - height / 2)
    return np.stack(READ[form](x, y, width, height), 1)


@pytest.mark.parametrize("form", ["xyxy", "cxcywh", "xywh"])
def test_selected_boxes_are_told_by_the_image_they_lie_in(form):
    assert reading_of_rows(random_boxes(form), (WIDTH, HEIGHT)) == BoxReading(form, "pixels")
    relative = random_boxes(form) / (WIDTH, HEIGHT, WIDTH, HEIGHT)
    assert reading_of_rows(relative, (WIDTH, HEIGHT)) == BoxReading(form, "relative")


def test_selected_boxes_that_fit_twice_are_not_read():
    boxes = np.array([[30.0, 25, 6, 4], [40, 20, 5, 5], [20, 22, 3, 6]])
    assert reading_of_rows(boxes, (WIDTH, HEIGHT)) is None


@pytest.mark.parametrize("form", ["xyxy", "cxcywh"])
def test_boxes_of_queries_are_centres_unless_they_leave_the_image(form):
    relative = random_boxes(form) / (WIDTH, HEIGHT, WIDTH, HEIGHT)
    assert reading_of_queries(relative, (WIDTH, HEIGHT)) == BoxReading(form, "relative")
