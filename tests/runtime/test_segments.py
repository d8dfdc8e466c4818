"""Reading segmentations: where the patcher finds the classes, and what is read of them."""

import json

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import ClassChoice, Session, insert, read_manifest
from ov_xai.graph.manifest import RT_INFO_PATH
from ov_xai.graph.readout import SegmentReadout
from ov_xai.runtime.placement import Placement
from ov_xai.runtime.segments import SegmentReader, find_segment_output
from tests.helpers import F32
from tests.models import ints, weights

HEIGHT, WIDTH, CELL = 24, 32, 4
ROWS, COLUMNS = HEIGHT // CELL, WIDTH // CELL


def segments(output, axis, classes, threshold=0.3, batch=0):
    where = SegmentReadout(0, axis, batch, ids=axis is None and classes > 1)
    reader = SegmentReader(where, classes, tuple(f"class {k}" for k in range(classes)), threshold)
    reading = reader([output], Placement((8, 8), (0, 0, 8, 8), (8, 8), (0, 0, 8, 8)))
    return {item.index: item.confidence for item in reading.predictions}


def test_probabilities_logits_and_ids():
    probabilities = np.zeros((1, 3, 2, 2), np.float32)
    probabilities[0, 1] = [[0.6, 0.8], [0.2, 0.2]]
    probabilities[0, 2] = [[0.2, 0.1], [0.7, 0.5]]
    probabilities[0, 0] = 1 - probabilities[0, 1:].sum(0)
    expected = {1: pytest.approx(0.7), 2: pytest.approx(0.6)}
    assert segments(probabilities, 1, 3) == expected
    assert segments(np.moveaxis(probabilities, 1, 3), 3, 3) == expected
    assert segments(probabilities[0], 0, 3, batch=None) == expected
    assert segments(np.moveaxis(probabilities[0], 0, 2), 2, 3, batch=None) == expected
    assert segments(np.log(np.maximum(probabilities, 1e-30)), 1, 3) == expected
    assert segments(probabilities, 1, 3, threshold=0.65) == {1: pytest.approx(0.7)}
    ids = np.array([[[0, 2], [2, 255]]])
    assert segments(ids, None, 3) == {2: 0.5, 0: 0.25}
    assert segments(ids[:, None].astype(np.float32), None, 3) == {2: 0.5, 0: 0.25}


def test_one_class():
    mask = np.array([[[[0.9, 0.7], [0.2, 0.1]]]], np.float32)
    assert segments(mask, 1, 1) == {0: pytest.approx(0.8)}
    assert segments(mask[:, 0], None, 1) == {0: pytest.approx(0.8)}
    assert segments(mask[0, 0], None, 1, batch=None) == {0: pytest.approx(0.8)}
    assert segments(np.full_like(mask, -3), 1, 1) == {}


# -- end to end ------------------------------------------------------------------------------------------------------


def segmenter(form, classes):
    """Return a model whose scores are those of a layer on cells of 4 x 4 pixels, and the output's form."""
    image = ops.parameter([1, 3, HEIGHT, WIDTH], np.float32, name="image")
    image.output(0).set_names({"image"})
    features = ops.convolution(image, weights(6, 3, CELL, CELL, seed=4), [CELL, CELL], [0, 0], [0, 0], [1, 1])
    scores = ops.convolution(features, weights(classes, 6, 1, 1, seed=5), [1, 1], [0, 0], [0, 0], [1, 1])
    scores = ops.sigmoid(scores) if classes == 1 else ops.softmax(scores, 1)
    if "ids" in form:
        scores = ops.topk(scores, ops.constant(np.int64(1)), 1, "max", "none", "i64").output(1)
    if "squeezed" in form:
        scores = ops.squeeze(scores, ints(1))
    if "unbatched" in form:
        scores = ops.squeeze(scores, ints(0))
    if "last" in form:
        scores = ops.transpose(scores, ints(1, 2, 0) if "unbatched" in form else ints(0, 2, 3, 1))
    result = ops.result(scores)
    result.output(0).set_names({"scores"})
    return ov.Model([result], [image], "segmenter")


def photo():
    return np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def expected(classes, ids):
    """Return class -> confidence, from the scores of the plain form."""
    pixels = photo().transpose(2, 0, 1)[None].astype(np.float32)
    scores = ov.Core().compile_model(segmenter("first", classes), "CPU", F32)([pixels])[0][0]
    if classes == 1:
        return {0: float(scores[scores >= 0.5].mean())}
    winner = scores.argmax(0)
    if ids:
        return {int(k): float((winner == k).mean()) for k in np.unique(winner)}
    return {int(k): float(scores[k][winner == k].mean()) for k in np.unique(winner)}


def found(model):
    session = Session(model, choice=ClassChoice(threshold=0.0), config=F32)
    return {item.index: item.confidence for item in session(photo()).predictions}


@pytest.mark.parametrize(
    ("form", "classes"),
    [
        ("first", 5),
        ("first", COLUMNS),
        ("last", 5),
        ("last", ROWS),
        ("unbatched", 5),
        ("unbatched", ROWS),
        ("unbatched last", ROWS),
        ("first", 1),
        ("squeezed", 1),
        ("squeezed unbatched", 1),
        ("ids", 5),
        ("ids squeezed", 5),
        ("ids squeezed unbatched", 5),
    ],
)
def test_every_form_gives_the_same_classes(form, classes):
    patched = insert(segmenter(form, classes))
    assert read_manifest(patched).task == "segmentation"
    assert found(patched) == pytest.approx(expected(classes, "ids" in form), abs=1e-5)


def test_a_manifest_without_the_entry_is_read_by_shapes():
    patched = insert(segmenter("last", 5))
    record = json.loads(patched.get_rt_info(RT_INFO_PATH).astype(str))
    assert record.pop("segments") == {"output": 0, "axis": 3, "batch": 0, "ids": False}
    patched.set_rt_info(json.dumps(record), RT_INFO_PATH)
    assert found(patched) == pytest.approx(expected(5, False), abs=1e-5)


def outputs_of(*shapes):
    return [
        ops.result(ops.parameter(list(shape), kind)).output(0)
        for shape, kind in ((item, np.float32) if isinstance(item, list) else item for item in shapes)
    ]


@pytest.mark.parametrize(
    ("shapes", "where"),
    [
        (([1, 7], [1, 5, 8, 8]), SegmentReadout(1, 1, 0)),
        (([1, 8, 8, 5],), SegmentReadout(0, 3, 0)),
        ((([1, 8, 8], np.int64),), SegmentReadout(0, None, 0, ids=True)),
        ((([1, 1, 8, 8], np.int64),), SegmentReadout(0, None, 0, ids=True)),
        (([1, 7],), None),
        (([1, 5, 8, 5],), None),
        (([5, 8, 8],), None),
    ],
)
def test_shapes_that_tell_and_shapes_that_do_not(shapes, where):
    assert find_segment_output(outputs_of(*shapes), 5) == where
