"""From the scores of a classifier to confidences."""

import numpy as np
import pytest

from ov_xai.runtime.placement import Placement
from ov_xai.runtime.predictions import ClassReader, softmax, to_probabilities

LOGITS = np.array([1.0, 4.0, -2.0, 3.0])
LABELS = ("a", "b", "c", "d")
PLACEMENT = Placement((4, 4), (0, 0, 4, 4), (4, 4), (0, 0, 4, 4))


def read(scores, activation):
    return ClassReader(0, activation, False, LABELS, 0.1)([np.array([scores], np.float32)], PLACEMENT)


@pytest.mark.parametrize(
    ("scores", "activation"),
    [(LOGITS, "none"), (softmax(LOGITS), "softmax"), (np.log(softmax(LOGITS)), "log_softmax")],
)
def test_the_same_prediction_whatever_the_scores_have_been_through(scores, activation):
    reading = read(scores, activation)
    assert [item.label for item in reading.predictions] == ["b", "d"]
    np.testing.assert_allclose(list(reading.confidences.values()), softmax(LOGITS), atol=1e-6)


def test_logarithms_are_read_row_by_row():
    scores = np.log(softmax(np.stack([LOGITS, -LOGITS])))
    found = to_probabilities(scores, "log_softmax", multilabel=True)
    np.testing.assert_allclose(found, softmax(np.stack([LOGITS, -LOGITS])), atol=1e-12)


def test_sigmoids_are_confidences_as_they_are():
    reading = read(np.array([0.2, 0.9, 0.05, 0.9]), "sigmoid")
    assert [item.label for item in reading.predictions] == ["b", "d", "a"]


@pytest.mark.parametrize("best", [[1, 3], [3, 1], [3], [2, 3]])
def test_of_equal_scores_the_one_with_a_map_comes_first(best):
    scores = np.array([[1.0, 4.0, -2.0, 4.0]], np.float32)
    reader = ClassReader(0, "none", False, LABELS, 0.1, best=1)
    reading = reader([scores, np.array([best])], PLACEMENT)
    first = next(index for index in best if index != 2)
    assert [item.index for item in reading.predictions] == [first, 4 - first]


@pytest.mark.parametrize("best", [None, 1])
def test_below_the_threshold_the_best_class_is_still_shown(best):
    reader = ClassReader(0, "sigmoid", True, LABELS, 0.95, best=best)
    reading = reader([np.array([[0.2, 0.9, 0.05, 0.9]], np.float32), np.array([[3]])], PLACEMENT)
    assert [item.index for item in reading.predictions] == [1 if best is None else 3]


def test_scores_that_are_no_numbers_still_make_a_prediction():
    assert [item.index for item in read(np.full(4, np.nan), "sigmoid").predictions] == [0]


def test_confidences_are_those_of_the_classes():
    confidences = read(LOGITS, "none").confidences
    assert confidences == {index: confidences[index] for index in range(4)}
    assert [index in confidences for index in (-1, 0, 3, 4)] == [False, True, True, False]
