"""What the network runs on: photos as explain reads them, alone and in batches."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import Session, insert
from ov_xai.evaluation.network import Network, Predictor
from ov_xai.runtime.images import read_image
from ov_xai.runtime.model_preprocessing import preprocessing_of
from ov_xai.runtime.predictions import softmax
from tests.evaluation.common import ROUNDING
from tests.helpers import F32
from tests.models import classifier as small_classifier


def mixing():
    """Return a classifier whose scores are relative to the mean of the batch."""
    image = ops.parameter([1, 3, 4, 4], np.float32)
    pooled = ops.reduce_mean(image, ops.constant(np.array([2, 3])), False)
    return ov.Model([ops.subtract(pooled, ops.reduce_mean(pooled, ops.constant(np.array([0])), True))], [image], "m")


@pytest.mark.parametrize(
    ("model", "batch"),
    [(small_classifier("mean"), 8), (small_classifier("mean", batch=-1), 8), (small_classifier("literal_batch"), 1)],
    ids=["static", "dynamic", "literal"],
)
def test_batches_of_any_length_give_what_single_images_give(model, batch):
    images = np.random.default_rng(0).standard_normal((23, 8, 10, 3)).astype(np.float32)
    predict = Predictor(model, preprocessing_of(model), lambda outputs: softmax(outputs[0]), "CPU", 8)
    assert predict.batch == batch
    alone = ov.Core().compile_model(small_classifier("literal_batch" if batch == 1 else "mean"), "CPU", F32)
    expected = [softmax(alone(image.transpose(2, 0, 1)[None])[0])[0] for image in images]
    for count in (1, 6, 7, 8, 23):
        assert predict(images[:count]) == pytest.approx(np.array(expected[:count]), abs=ROUNDING)


def test_a_model_that_mixes_the_images_of_a_batch_runs_on_one():
    model = mixing()
    predict = Predictor(model, preprocessing_of(model), lambda outputs: softmax(outputs[0]), "CPU", 8)
    assert predict.batch == 1


def test_values_of_a_u8_input_are_rounded():
    image = ops.parameter([1, 2, 2, 3], np.uint8)
    doubled = ops.multiply(ops.convert(image, "f32"), ops.constant(np.float32(2)))
    model = ov.Model([doubled], [image], "doubled")
    (found,) = Network(model, preprocessing_of(model), "CPU")(np.full((1, 2, 2, 3), 1.6, np.float32))
    assert (found == 4).all()
    (found,) = Network(model, preprocessing_of(model), "CPU")(np.full((1, 2, 2, 3), 300, np.float32))
    assert (found == 510).all()


def test_a_photo_is_read_as_explain_reads_it(data):
    """What is measured is what the product runs on: the same pixels, normalised."""
    model = ov.Core().read_model(data / "models" / "efficientnet_lite0.xml")
    preprocessing = preprocessing_of(model)
    tensor, _ = preprocessing(read_image(data / "photos" / "coffee.png"))
    images = ((tensor - np.array(preprocessing.mean)) / np.array(preprocessing.scale)).astype(np.float32)
    (found,) = Network(model, preprocessing, "CPU")(images)
    session = Session(insert(model, self_check=False), config=F32)
    best = session(data / "photos" / "coffee.png").predictions[0]
    assert found.argmax() == best.index
    scores = found[0].astype(np.float64)
    shown = scores if abs(scores.sum() - 1) < 1e-3 else softmax(scores)
    assert shown[best.index] == pytest.approx(best.confidence, abs=1e-4)
