"""The best classes are found in two short searches where there are many."""

import numpy as np
import openvino as ov
import pytest

from ov_xai.branches.best import best_classes
from ov_xai.graph.emit import Emitter
from tests.helpers import run


def found(scores, count):
    image = ov.opset13.parameter([-1, scores.shape[1]], np.float32)
    model = ov.Model([ov.opset13.result(image)], [image])
    best = best_classes(Emitter(model), image.output(0), count)
    searched = ov.Model([ov.opset13.result(best)], [image])
    kinds = [node.get_type_name() for node in searched.get_ops()]
    return run(searched, [scores])[0], kinds.count("TopK")


@pytest.mark.parametrize(
    ("classes", "count", "searches"),
    [(1000, 5, 2), (1000, 1, 2), (1000, 200, 1), (1000, 1000, 1), (256, 3, 2), (255, 3, 1), (257, 5, 1), (21843, 5, 2)],
)
def test_the_best_classes_of_each_image_in_order(classes, count, searches):
    scores = np.random.default_rng(classes).permuted(np.tile(np.arange(classes), (3, 1)), axis=1).astype(np.float32)
    indices, made = found(scores, count)
    assert made == searches
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(indices, np.argsort(-scores, axis=1)[:, :count])


def test_equal_scores_are_all_found():
    scores = np.random.default_rng(0).integers(0, 4, (2, 1000)).astype(np.float32)
    indices, _ = found(scores, 5)
    assert [len(set(row)) for row in indices.tolist()] == [5, 5]
    np.testing.assert_array_equal(np.take_along_axis(scores, indices, 1), -np.sort(-scores, axis=1)[:, :5])
