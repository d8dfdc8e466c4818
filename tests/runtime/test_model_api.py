"""Patched models behind the wrappers of Model API."""

import cv2
import numpy as np
import pytest
from model_api.models import Model

from ov_xai import insert, save
from ov_xai.runtime.model_api import create_model


@pytest.fixture(scope="module")
def photo(data):
    return cv2.imread(str(data / "photos" / "astronaut.png"))


@pytest.fixture
def yolo(zoo, tmp_path):
    plain, patched = zoo("yolov8n"), tmp_path / "yolov8n_xai.xml"
    save(insert(plain, top_k=5, feature_vector=True), patched)
    return plain, patched


@pytest.mark.zoo
def test_a_wrapper_that_allows_no_further_output_gives_the_same_detections_and_the_maps(yolo, photo):
    plain, patched = yolo
    expected = Model.create_model(str(plain), model_type="yolov8", device="CPU")(photo)
    found = create_model(patched, "yolov8")(photo)
    assert np.array_equal(found.bboxes, expected.bboxes)
    assert np.array_equal(found.scores, expected.scores)
    assert found.saliency_map.shape == (1, 5, 80, 80)
    assert found.saliency_classes.shape == (1, 5)
    assert found.feature_vector.shape == (1, 64)


@pytest.mark.zoo
def test_results_of_a_batch_have_maps_of_their_own(yolo, photo):
    wrapper = create_model(yolo[1], "yolov8")
    first, second = wrapper.infer_batch([photo, photo[::-1]])
    alone = wrapper(photo)
    assert np.array_equal(first.saliency_map, alone.saliency_map)
    assert not np.array_equal(second.saliency_map, alone.saliency_map)


def test_a_classifier_keeps_its_labels(tmp_path, data, photo):
    source = data / "models" / "efficientnet_lite0.xml"
    save(insert(source), tmp_path / "lite.xml")
    expected = Model.create_model(str(source), device="CPU")(photo)
    found = create_model(tmp_path / "lite.xml")(photo)
    assert [label.name for label in found.top_labels] == [label.name for label in expected.top_labels]
    assert found.saliency_map.shape == (1, 1000, 7, 7)
