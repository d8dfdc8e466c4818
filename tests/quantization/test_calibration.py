"""Photos for calibration: which are used, and what the model reads of them."""

import cv2
import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import InsertionRequest, Overrides, insert, quantize, read_manifest
from ov_xai.errors import ModelMismatchError, UnsupportedModelError
from ov_xai.graph.io import read_model, source_digest
from ov_xai.graph.view import GraphView
from ov_xai.quantization.calibration import Feeder, find_photos
from ov_xai.quantization.quantizing import QuantizationOptions, run_quantization
from ov_xai.runtime.embedding import embedded
from tests.helpers import run
from tests.models import CHANNELS, CLASSES, HEIGHT, WIDTH, classifier, head_mean, model_of, weights
from tests.quantization.common import NOISE, assert_same_predictions, bundled, noise_image, pictures


@pytest.mark.parametrize("batch", [-1, 1, 2])
def test_any_batch_is_calibrated(batch):
    result = quantize(classifier("mean", batch=batch), NOISE)
    assert result.input(0).get_partial_shape()[0] == ov.Dimension(batch)
    run(result, [np.zeros((2 if batch != 1 else 1, 3, 2 * HEIGHT, 2 * WIDTH), np.float32)])


def test_a_dynamic_size_is_calibrated_with_photos_of_any_size():
    image, features = dynamic_backbone()
    model = model_of(image, head_mean(features))
    result = quantize(insert(model), [noise_image(0), noise_image(1, (12, 20)), noise_image(2, (16, 8))])
    assert result.input(0).get_partial_shape() == ov.PartialShape([1, 3, -1, -1])
    assert run(result, [np.zeros((1, 3, 12, 20), np.float32)])[1].shape == (1, CLASSES, 6, 10)


def dynamic_backbone():
    image = ops.parameter(ov.PartialShape([1, 3, -1, -1]), np.float32, name="image")
    features = ops.relu(ops.convolution(image, weights(CHANNELS, 3, 2, 2), [2, 2], [0, 0], [0, 0], [1, 1]))
    return image, features


def test_photos_that_do_not_fit_a_dynamic_size_are_told():
    image, features = dynamic_backbone()
    fixed = ops.add(features, weights(1, CHANNELS, HEIGHT, WIDTH))
    model = model_of(image, head_mean(fixed))
    with pytest.raises(UnsupportedModelError, match=r"NNCF cannot quantise.*reshape"):
        quantize(model, [noise_image(0, (32, 48))])


@pytest.mark.parametrize("name", ["efficientnet_lite0", "nanodet_g"])
def test_photos_are_read_as_explain_reads_them(name):
    """`explain` lets the device convert, subtract, divide and transpose; calibration does so beforehand."""
    model, photo = read_model(bundled(name)), pictures(name)[0]
    feed = Feeder(model)
    prepared, _ = feed.preprocessing(photo)
    inside = run(embedded(model.clone(), feed.preprocessing), [prepared])
    outside = run(model, list(feed(photo).values()))
    for one, other in zip(inside, outside, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.ptp(one))


@pytest.mark.parametrize("letters", ["NCHW", "NHWC", "CHW", "HWC"])
def test_every_layout_is_fed(letters):
    extents = {"N": 1, "C": 3, "H": 8, "W": 10}
    image = ops.parameter([extents[letter] for letter in letters], np.float32, name="image")
    image.set_layout(ov.Layout(letters))
    model = ov.Model([ops.relu(image)], [image], "identity")
    photo = noise_image(0)
    (tensor,) = Feeder(model, Overrides(mean=(1, 2, 3), scale=(2,)))(photo).values()
    expected = ((photo.astype(np.float32) - [1, 2, 3]) / 2).transpose(["HWC".index(i) for i in letters if i != "N"])
    np.testing.assert_array_equal(tensor, expected[None] if "N" in letters else expected)


def test_a_model_with_its_preprocessing_inside_gets_bytes():
    image = ops.parameter([1, 8, 10, 3], np.uint8, name="image")
    model = ov.Model([ops.relu(ops.convert(image, "f32"))], [image], "identity")
    (tensor,) = Feeder(model)(noise_image(0)).values()
    assert tensor.dtype == np.uint8
    np.testing.assert_array_equal(tensor[0], noise_image(0))


def test_of_many_photos_some_are_left_out_evenly(tmp_path):
    for index in range(10):
        cv2.imwrite(str(tmp_path / f"{index}.png"), noise_image(index))
    assert [path.stem for path in find_photos(tmp_path, 4).photos] == ["0", "2", "5", "7"]
    assert len(find_photos(tmp_path, 99).photos) == 10


def test_files_that_are_no_images_are_skipped(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), noise_image(0))
    (tmp_path / "b.png").write_bytes(b"no picture")
    result = run_quantization(classifier("mean"), tmp_path, QuantizationOptions())
    assert result.photos == 1
    assert len(result.skipped) == 1
    assert "b.png" in result.skipped[0]
    assert "Calibrated on 1 images" in result.notes[0]


def test_a_plain_model_stays_plain_unless_asked():
    assert read_manifest(quantize(classifier("mean"), NOISE)) is None
    asked = quantize(classifier("mean"), NOISE, request=InsertionRequest(top_k=2))
    assert read_manifest(asked).top_k == 2


def test_the_model_that_is_given_is_left_as_it_is():
    model = insert(classifier("mean"))
    before = source_digest(model)
    quantize(model, NOISE)
    assert source_digest(model) == before


def test_layers_can_stay_exact():
    model = classifier("two_dense")
    layer = next(node.get_friendly_name() for node in model.get_ordered_ops() if node.get_type_name() == "Convolution")
    patched = quantize(insert(model), NOISE, exact_layers=[layer], accurate_bias=True)
    convolution = GraphView(patched).find(layer)
    assert convolution.input_value(1).get_node().get_type_name() == "Constant"
    assert_same_predictions(quantize(model, NOISE, exact_layers=[layer], accurate_bias=True), patched, NOISE)
    with pytest.raises(ModelMismatchError, match=r"'conv_9' does not exist.*MatMul|'conv_9' does not exist.*Conv"):
        quantize(model, NOISE, exact_layers=["conv_9"])


@pytest.mark.parametrize("preset", ["performance", "mixed"])
def test_the_preset_reaches_nncf(preset):
    result = quantize(classifier("mean"), NOISE, preset=preset)
    assert result.get_rt_info(["nncf", "quantization", "preset"]).astype(str).lower().endswith(preset)
