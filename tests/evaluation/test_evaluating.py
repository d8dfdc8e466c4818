"""Evaluation of models whose metrics are known by hand, or are computed here once more and slowly."""

import json
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from ov_xai import Mask, Score, insert, save
from ov_xai.errors import ModelMismatchError, RequestError
from ov_xai.evaluation import METRICS, EvaluationOptions, evaluate
from ov_xai.evaluation.plot import styles_of
from ov_xai.metrics import measure_adcc
from ov_xai.runtime.embedding import embedded
from ov_xai.runtime.model_preprocessing import preprocessing_of
from ov_xai.runtime.overrides import Overrides
from ov_xai.runtime.predictions import softmax
from tests import quadrants
from tests.evaluation.common import FAST, ROUNDING, enlarged, figures
from tests.helpers import F32
from tests.models import classifier as small_classifier


def test_paths_may_be_text(photos, boxes):
    options = EvaluationOptions(metrics=("pointing-game",), tolerance=0)
    found, same = (
        evaluate(quadrants.classifier(), kind(photos), annotations=kind(boxes), options=options) for kind in (str, Path)
    )
    assert found.result("model").counts() == {"pointing-game": 3}
    assert figures(found.result("model")) == figures(same.result("model"))
    with pytest.raises(RequestError, match="methods is 'all'; expected a list"):
        evaluate(quadrants.classifier(), photos, methods="all")


def test_the_metrics_of_a_perfect_map_are_those_worked_out_by_hand(photos, boxes):
    """A quarter of the image is the evidence: without it all classes are alike, with it alone nothing is lost."""
    options = EvaluationOptions(steps=4, tolerance=0)
    found = evaluate(quadrants.classifier(), photos, annotations=boxes, options=options)
    own = found.result("model")
    sure = np.exp(quadrants.GAIN / 4) / (np.exp(quadrants.GAIN / 4) + 2)
    third = 1 / 3
    expected = {
        "deletion": (sure + third) / 2 / 4 + third * 3 / 4,
        "average-drop": 0,
        "coherency": 1,
        "complexity": 0.25,
        "adcc": 3 / (1 + 1 / 0.75 + 1),
        "sparsity": 4,
        "pointing-game": 1,
        "energy-pointing-game": 1,
    }
    assert found.images == 3
    assert tuple(own.values) == tuple(METRICS) == found.metrics
    for name, value in expected.items():
        assert own.values[name] == pytest.approx(value, abs=ROUNDING), name
    curve = own.curves["deletion"]
    assert curve.fractions == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert curve.scores == pytest.approx([sure, third, third, third, third], abs=ROUNDING)
    assert own.curves["insertion"].scores[-1] == pytest.approx(sure, abs=ROUNDING)


def test_baselines_are_always_there_and_worse(photos, boxes):
    found = evaluate(quadrants.classifier(), photos, annotations=boxes, options=EvaluationOptions(tolerance=0))
    assert [result.name for result in found.results] == ["model", "random", "centre-gaussian"]
    means = found.intervals()
    for name in ("random", "centre-gaussian"):
        for metric, better in (("deletion", -1), ("road", 1), ("adcc", 1), ("energy-pointing-game", 1)):
            assert better * (means["model"][metric].mean - means[name][metric].mean) > 0.02, (name, metric)
    differences = found.differences()
    assert set(differences) == {"random", "centre-gaussian"}
    gap = differences["random"]["adcc"]
    assert gap.mean == pytest.approx(means["random"]["adcc"].mean - means["model"]["adcc"].mean)
    assert gap.low <= gap.mean <= gap.high < 0
    assert found.best()["adcc"] == {"model"}


def test_a_random_map_points_at_a_quarter_as_often_as_chance(tmp_path):
    """Of 200 hits with probability 1/4, 3.5 standard deviations are 0.11."""
    corners = list(quadrants.QUADRANTS)
    boxes = {}
    for number in range(200):
        pixels = np.maximum(quadrants.photo(0, corners[number % 4]), number // 4)
        quadrants.write_photo(tmp_path / f"{number}.png", pixels)
        boxes[f"{number}.png"] = [("red", quadrants.box(corners[number % 4]))]
    (tmp_path / "boxes.json").write_text(json.dumps(quadrants.coco(boxes)))
    options = EvaluationOptions(metrics=("pointing-game", "energy-pointing-game"), tolerance=0)
    found = evaluate(quadrants.classifier(), tmp_path, annotations=tmp_path / "boxes.json", options=options)
    chance = found.result("random").intervals()
    assert chance["pointing-game"].mean == pytest.approx(0.25, abs=0.11)
    assert chance["energy-pointing-game"].mean == pytest.approx(0.25, abs=0.03)
    assert chance["pointing-game"].low > 0.1
    assert found.result("model").values["pointing-game"].all()


def test_the_same_run_gives_the_same_numbers_and_the_seed_changes_random_maps(photos):
    runs = [
        evaluate(quadrants.classifier(), photos, options=EvaluationOptions(steps=8, seed=seed, rise_masks=20))
        for seed in (0, 0, 1)
    ]
    for result, again in zip(runs[0].results, runs[1].results, strict=True):
        np.testing.assert_equal(figures(result), figures(again))
    np.testing.assert_equal(runs[0].intervals(), runs[1].intervals())
    for name in ("random", "rise"):
        assert figures(runs[0].result(name))["deletion"] != figures(runs[2].result(name))["deletion"]
    assert [result.name for result in runs[0].results] == ["model", "rise", "random", "centre-gaussian"]


def test_neither_the_batch_nor_the_other_images_change_a_figure(photos):
    whole = evaluate(quadrants.classifier(), photos, options=EvaluationOptions(steps=8, batch=1))
    batched = evaluate(quadrants.classifier(), photos, options=EvaluationOptions(steps=8, batch=7))
    first = evaluate(quadrants.classifier(), photos, options=EvaluationOptions(steps=8, limit=1))
    assert "up to 1 images" in whole.facts["inference"]
    assert "up to 7 images" in batched.facts["inference"]
    assert first.images == 1
    for name in ("model", "random"):
        for metric, values in whole.result(name).values.items():
            assert batched.result(name).values[metric] == pytest.approx(values, abs=ROUNDING), metric
            assert first.result(name).values[metric] == pytest.approx(values[:1], abs=ROUNDING), metric


def test_plain_and_patched_models_give_the_same(photos, tmp_path):
    model = quadrants.classifier()
    save(insert(model), tmp_path / "patched.xml")
    plain = evaluate(model, photos, options=FAST)
    patched = evaluate(tmp_path / "patched.xml", photos, options=FAST)
    assert figures(plain.result("model")) == figures(patched.result("model"))
    assert patched.model == "patched.xml"
    assert plain.result("model").detail == "recipro-cam, mask pixel, score logit, grid 8x8"


def test_all_methods_of_a_patched_model_are_compared_with_its_own(photos):
    model = insert(quadrants.classifier(), mask="gaussian")
    found = evaluate(model, photos, methods=["all"], options=EvaluationOptions(metrics=("complexity",)))
    wise = [f"recipro-cam:{mask.value}:{score.value}" for mask in Mask for score in Score]
    names = ["model", *wise, "activation-map", "eigen-cam", "random", "centre-gaussian"]
    assert [result.name for result in found.results] == names
    assert figures(found.result("model")) == figures(found.result("recipro-cam:gaussian:logit"))
    assert figures(found.result("model")) != figures(found.result("recipro-cam:pixel:logit"))
    assert len({(style.colour, style.dash) for style in styles_of(found.results).values()}) == len(names)


def test_named_methods_keep_their_order_and_stand_once(photos):
    names = ["eigen-cam", "Recipro_CAM:Gaussian", "model", "eigen-cam", "random"]
    found = evaluate(quadrants.classifier(), photos, methods=names, options=FAST)
    expected = ["eigen-cam", "recipro-cam:gaussian", "model", "random", "centre-gaussian"]
    assert [result.name for result in found.results] == expected


def test_adcc_is_that_of_the_published_protocol(photos):
    """The map of a stripped model, enlarged by hand, and `measure_adcc` are an independent way to the same number."""
    model = small_classifier("mean")
    overrides = Overrides(mean=(100.0,), scale=(60.0,))
    photo = np.random.default_rng(3).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    quadrants.write_photo(photos / "a.png", photo)
    found = evaluate(model, photos / "a.png", overrides=overrides)
    plain, patched = (ov.Core().compile_model(item, "CPU", F32) for item in (model, insert(model)))

    def explain(image, index):
        return enlarged(patched(image.transpose(2, 0, 1)[None])["saliency_map"][0, index], image.shape[:2])

    def predict(images):
        return np.concatenate([softmax(plain(image.transpose(2, 0, 1)[None])[0]) for image in images])

    image = ((photo - 100.0) / 60).astype(np.float32)
    expected = measure_adcc(predict, explain, image, int(predict(image[None])[0].argmax()))
    own = found.result("model").values
    for name in ("average_drop", "coherency", "complexity", "adcc"):
        assert own[name.replace("_", "-")][0] == pytest.approx(getattr(expected, name), abs=1e-4), name


def test_the_named_class_that_the_model_ranks_best_is_explained(photos):
    options = EvaluationOptions(metrics=("deletion",), steps=1, classes=("blue", "1"))
    found = evaluate(quadrants.classifier(), photos, options=options)
    assert found.facts["explained"] == "the class with the highest probability among blue, 1"
    faint = 1 / (np.exp(quadrants.GAIN / 4) + 2)
    sure = np.exp(quadrants.GAIN / 4) * faint
    # blue.png, green.png, red.png: of blue and green, the first two are there.
    expected = (np.array([sure, sure, faint]) + 1 / 3) / 2
    assert found.result("model").values["deletion"] == pytest.approx(expected, abs=ROUNDING)


def test_an_image_without_boxes_of_its_class_is_not_pointed_at(photos, boxes):
    content = json.loads(boxes.read_text())
    content["annotations"] = content["annotations"][:2]
    boxes.write_text(json.dumps(content))
    found = evaluate(quadrants.classifier(), photos, annotations=boxes)
    assert found.result("model").counts() == {name: 2 if "pointing" in name else 3 for name in METRICS}
    assert found.facts["boxes"] == "annotated in 3 images"


def test_a_model_with_maps_of_its_best_classes_is_not_asked_for_others(photos):
    model = insert(quadrants.classifier(), top_k=1)
    found = evaluate(model, photos, options=EvaluationOptions(metrics=("coherency", "adcc", "average-drop"), steps=4))
    assert found.result("model").counts() == {"coherency": 0, "adcc": 0, "average-drop": 3}
    assert found.result("random").counts() == {"coherency": 3, "adcc": 3, "average-drop": 3}
    assert "coherency, adcc of model" in found.notes[0]
    with pytest.raises(ModelMismatchError, match="top-k 1"):
        evaluate(model, photos, options=EvaluationOptions(classes=("blue",)))


def test_raw_maps_are_scaled_as_the_product_shows_them(photos):
    plain = evaluate(quadrants.classifier(), photos, options=FAST)
    raw = evaluate(insert(quadrants.classifier(), normalise="none"), photos, options=FAST)
    assert figures(raw.result("model")) == figures(plain.result("model"))


def test_a_u8_input_is_black_where_pixels_are_deleted(photos):
    model = quadrants.classifier()
    as_bytes = embedded(model.clone(), preprocessing_of(model))
    plain, inside = (evaluate(item, photos, options=FAST) for item in (model, as_bytes))
    assert inside.facts["deletion"] == "4 steps, from the image to black"
    assert inside.result("model").values["deletion"] == pytest.approx(
        plain.result("model").values["deletion"], abs=ROUNDING
    )
    centred = evaluate(model, photos, options=FAST, overrides=Overrides(mean=(10.0,)))
    assert centred.facts["deletion"] == "4 steps, from the image to the mean colour"
