"""Labelled photos, and the accuracy that is kept with them."""

import cv2
import numpy as np
import openvino as ov
import pytest

from ov_xai import InsertionRequest, insert, quantize, read_manifest
from ov_xai.analysis import dissection
from ov_xai.cards import shipped_cards
from ov_xai.errors import InputError, ModelMismatchError, UnsupportedModelError
from ov_xai.quantization.calibration import Feeder
from ov_xai.quantization.quantizing import FEW_PHOTOS, Quantization, QuantizationOptions, run_quantization
from tests.detectors import FORMS
from tests.helpers import run
from tests.models import CLASSES, HEIGHT, WIDTH, classifier
from tests.quantization.common import NOISE, noise_image


def labelled(folder, model, names, photos):
    """Write photos into the sub-folder of the class that the model predicts."""
    feed = Feeder(model)
    for index, photo in enumerate(photos):
        label = int(run(model, list(feed(photo).values()))[0].argmax())
        path = folder / names[label] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), photo[:, :, ::-1])


def shades(count):
    """Return pictures of which small classifiers with random weights take some for other classes."""
    random = np.random.default_rng(5)
    return [np.full((2 * HEIGHT, 2 * WIDTH, 3), random.integers(0, 256, 3), np.uint8) for _ in range(count)]


def test_validation_measures_the_accuracy(tmp_path):
    model = classifier("two_dense")
    labelled(tmp_path, model, [f"class_{index}" for index in range(CLASSES)], shades(20))
    result = run_quantization(insert(model), NOISE, QuantizationOptions(max_drop=0.1), validation=tmp_path)
    before, after = result.accuracy
    assert before == 1
    assert after >= 0.9
    assert read_manifest(result.model) is not None


def test_layers_stay_exact_until_the_accuracy_is_kept(tmp_path):
    """Photos near a border between two classes flip with any rounding; without a drop allowed, rounding must go."""
    model = classifier("max")
    photos = _near_a_border(model)
    labelled(tmp_path, model, [str(index) for index in range(CLASSES)], photos)
    free = run_quantization(model, photos, QuantizationOptions(max_drop=1), validation=tmp_path)
    bound = run_quantization(model, photos, QuantizationOptions(max_drop=0), validation=tmp_path)
    assert free.accuracy[1] < 1 == bound.accuracy[1]
    assert bound.quantisers < free.quantisers


def _near_a_border(model):
    """Return pairs of pictures, one level of grey apart, that the model takes for different classes."""
    feed = Feeder(model)
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def label(photo):
        return int(np.array(compiled(list(feed(photo).values()))[0]).argmax())

    found = []
    ends = np.stack(shades(60)).astype(int)
    for low, high in zip(ends[:30], ends[30:], strict=True):
        steps = [np.rint(low + (high - low) * part / 200).astype(np.uint8) for part in range(201)]
        labels = [label(step) for step in steps]
        for index in range(200):
            if labels[index] != labels[index + 1]:
                found += steps[index : index + 2]
    return found


@pytest.mark.parametrize(("accuracy", "told"), [(None, False), ((0.9, 0.85), False), ((0.9, 0.7), True)])
def test_a_drop_beyond_the_allowed_one_is_told(accuracy, told):
    result = Quantization(classifier("mean"), FEW_PHOTOS, [], "", False, 1, accuracy, max_drop=0.1)
    assert [("drops by more than 0.1" in note) for note in result.notes] == [True] * told


def test_labels_name_the_folders(tmp_path):
    model = classifier("mean")
    model.set_rt_info("red deer blue_whale a b", ["model_info", "labels"])
    labelled(tmp_path, model, ["red", "deer", "Blue Whale", "a", "4"], shades(12))
    result = run_quantization(model, NOISE, QuantizationOptions(max_drop=1), validation=tmp_path)
    assert result.accuracy[0] == 1


def test_a_folder_named_by_no_class(tmp_path):
    cv2.imwrite(str((tmp_path / "cat").mkdir() or tmp_path / "cat" / "a.png"), noise_image(0))
    with pytest.raises(ModelMismatchError, match=r"cat.*named by no class"):
        quantize(classifier("mean"), NOISE, validation=tmp_path)


def test_validation_without_folders(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), noise_image(0))
    with pytest.raises(InputError, match="no sub-folders"):
        quantize(classifier("mean"), NOISE, validation=tmp_path)


def test_validation_knows_the_card_of_the_request(tmp_path, monkeypatch):
    (tmp_path / "own.toml").write_text('name = "own"\ntitle = "a family"\n[match]\n')
    seen = []

    def dissect(model, request, cards):
        seen.extend(cards)
        raise UnsupportedModelError("seen")

    monkeypatch.setattr(dissection, "dissect", dissect)
    request = InsertionRequest(card=tmp_path / "own.toml")
    with pytest.raises(UnsupportedModelError, match="seen"):
        quantize(classifier("mean"), NOISE, validation=tmp_path, request=request)
    assert [card.name for card in seen] == ["own", *(card.name for card in shipped_cards())]


def test_validation_is_for_classifiers(tmp_path):
    with pytest.raises(UnsupportedModelError, match=r"classifiers.*--validation"):
        quantize(FORMS["columns_first"]()[0], NOISE, validation=tmp_path)
