"""Boxes of a photo in the input of the network."""

import numpy as np
import pytest

from ov_xai.evaluation.targets import shown_boxes
from ov_xai.runtime.model_preprocessing import preprocessing_of
from ov_xai.runtime.overrides import Overrides, Resize
from tests.models import classifier as small_classifier


@pytest.mark.parametrize("resize", list(Resize))
def test_boxes_go_to_the_input_the_way_they_come_from_it(resize):
    preprocessing = preprocessing_of(small_classifier("mean"), Overrides(resize=resize))
    placement = preprocessing.place(300, 120)
    own = np.array([[2.0, 3.0, 7.5, 5.0]])
    (found,) = shown_boxes([tuple(row) for row in placement.to_photo(own).tolist()], placement)
    left, top, right, bottom = placement.content_xyxy
    expected = np.clip(own[0], [left, top] * 2, [right, bottom] * 2)
    assert found == pytest.approx(expected.tolist())


def test_boxes_that_the_network_does_not_see_are_left_out():
    placement = preprocessing_of(small_classifier("mean"), Overrides(resize=Resize.CROP)).place(300, 120)
    x0 = placement.source_xyxy[0]
    assert x0 > 20
    assert shown_boxes([(0, 0, 20, 120)], placement) == ()
    assert shown_boxes([(0, 0, 300, 120)], placement) == ((0, 0, *placement.input_wh),)
