"""Evaluation of models whose metrics are known by hand, or are computed here once more and slowly."""

import json
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import Mask, Score, Session, insert, save
from ov_xai.errors import InputError, MissingExtraError, ModelMismatchError, RequestError
from ov_xai.evaluation import METRICS, EvaluationOptions, evaluate
from ov_xai.evaluation.network import Network, Predictor
from ov_xai.evaluation.page import as_page
from ov_xai.evaluation.plot import styles_of
from ov_xai.evaluation.results import MethodResult
from ov_xai.evaluation.targets import shown_boxes
from ov_xai.metrics import measure_adcc
from ov_xai.runtime.detections import best_confidences, read_detections
from ov_xai.runtime.embedding import embedded
from ov_xai.runtime.images import read_image
from ov_xai.runtime.model_preprocessing import preprocessing_of
from ov_xai.runtime.overrides import Overrides, Resize
from ov_xai.runtime.predictions import softmax
from tests import detectors, quadrants
from tests.helpers import F32
from tests.models import classifier as small_classifier

#: What FP32 inferences and their sums may differ by.
ROUNDING = 1e-5
FAST = EvaluationOptions(metrics=("deletion",), steps=4)


@pytest.fixture
def photos(tmp_path):
    """Write a photo of each colour in another quadrant, and say where the colours are."""
    folder = tmp_path / "photos"
    folder.mkdir()
    boxes = {}
    for colour, quadrant in enumerate([(0, 0), (0, 1), (1, 0)]):
        name = f"{quadrants.LABELS[colour]}.png"
        quadrants.write_photo(folder / name, quadrants.photo(colour, quadrant))
        boxes[name] = [(quadrants.LABELS[colour].upper(), quadrants.box(quadrant))]
    (tmp_path / "boxes.json").write_text(json.dumps(quadrants.coco(boxes)))
    return folder


@pytest.fixture
def boxes(photos):
    return photos.parent / "boxes.json"


def figures(result):
    return {name: values.tolist() for name, values in result.values.items()}


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


def enlarged(grid, shape):
    """Return a map scaled to 0..1, each cell's value at its centre, bilinear between them, in pure NumPy."""
    result = grid.astype(np.float64)
    for axis, length in enumerate(shape):
        cells = result.shape[axis]
        at = np.clip((np.arange(length) + 0.5) * cells / length - 0.5, 0, cells - 1)
        low = np.minimum(at.astype(int), max(cells - 2, 0))
        part = (at - low).reshape([-1 if a == axis else 1 for a in range(2)])
        result = np.take(result, low, axis) * (1 - part) + np.take(result, np.minimum(low + 1, cells - 1), axis) * part
    return (result - result.min()) / (result.max() - result.min())


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


# -- batches -----------------------------------------------------------------------------------------------------------


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


# -- detectors ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nanodet(data):
    """Return the bundled COCO detector, patched."""
    return insert(data / "models" / "nanodet_g.xml", self_check=False)


@pytest.fixture(scope="module")
def pointed(nanodet, data):
    """Return the pointing of the bundled COCO detector on the bundled photos."""
    options = EvaluationOptions(metrics=("pointing-game", "energy-pointing-game", "complexity"), tolerance=0)
    return evaluate(nanodet, data / "photos", options=options)


def test_the_maps_of_a_detector_point_into_its_boxes(pointed):
    """The peaks of all nine classes in the photos lie in a box of theirs; rocket.jpg holds none."""
    own, chance = pointed.result("model"), pointed.result("random").intervals()
    assert own.counts()["pointing-game"] == sum(np.isfinite(own.values["complexity"])) >= 3
    assert own.intervals()["pointing-game"].mean == 1
    assert chance["pointing-game"].mean < 1
    assert own.intervals()["energy-pointing-game"].mean > chance["energy-pointing-game"].mean + 0.05
    assert pointed.facts["boxes"] == "those the model detects"


def test_the_energy_of_a_detector_is_the_mean_over_its_classes(pointed, nanodet, data):
    session = Session(nanodet, config=F32)
    explanation = session(data / "photos" / "astronaut.png")
    shares = []
    for label, grid in explanation.maps.items():
        inside = np.zeros((416, 416), bool)
        for item in explanation.predictions:
            if item.label == label:
                x0, y0, x1, y1 = np.array(item.box) * 416 / 512
                centre = np.arange(416) + 0.5
                inside |= ((centre >= y0) & (centre <= y1))[:, None] & ((centre >= x0) & (centre <= x1))
        saliency = enlarged(grid, (416, 416))
        shares.append(saliency[inside].sum() / saliency.sum())
    assert len(shares) > 1
    # Sorted, astronaut.png is the first photo.
    assert pointed.result("model").values["energy-pointing-game"][0] == pytest.approx(np.mean(shares), abs=1e-3)


def test_annotations_take_the_place_of_detections(nanodet, data, tmp_path):
    content = quadrants.coco({"chelsea.png": [("CAT", (0, 0, 1, 1))], "astronaut.png": []})
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    found = evaluate(
        nanodet,
        data / "photos",
        annotations=tmp_path / "boxes.json",
        options=EvaluationOptions(metrics=("pointing-game",), limit=3, tolerance=0),
    )
    # astronaut, camera, chelsea: only the last one has a box, and there is no cat in its corner.
    np.testing.assert_equal(found.result("model").values["pointing-game"], [np.nan, np.nan, 0])


def test_a_selection_has_no_scores_and_this_is_said(tmp_path):
    model, _ = detectors.selection_inside()
    quadrants.write_photo(tmp_path / "a.png", np.full((24, 32, 3), 99, np.uint8))
    found = evaluate(model, tmp_path, options=EvaluationOptions(rise_masks=5))
    assert found.metrics == ("coherency", "complexity", "sparsity", "pointing-game", "energy-pointing-game")
    assert "insertion, deletion, average-drop, adcc, road: not measured" in found.notes[0]
    assert any(note.startswith("rise is left out") for note in found.notes)
    with pytest.raises(ModelMismatchError, match="insertion: not measured"):
        evaluate(model, tmp_path, options=EvaluationOptions(metrics=("insertion", "complexity")))


def test_best_confidences_are_those_of_the_surest_detections():
    """Over all places, suppressed or not, a class is as sure as its surest detection."""
    for build in (detectors.columns_first, detectors.own_objectness, detectors.softmax_with_background):
        model, _ = build()
        patched = insert(model)
        session = Session(patched)
        readout = session.manifest.readout
        compiled = ov.Core().compile_model(model, "CPU", F32)
        image = np.random.default_rng(1).standard_normal((1, 3, *detectors.SIZE)).astype(np.float32)
        outputs = list(compiled(image).values())
        found = best_confidences(outputs, readout)
        detections = read_detections(outputs, readout, detectors.SIZE[::-1], 0.0)
        labels, confidences = detections.labels, detections.confidences
        assert len(set(labels.tolist())) > 1
        for label in set(labels.tolist()):
            assert found[label] == pytest.approx(confidences[labels == label].max(), abs=ROUNDING)


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


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"metrics": ("insertoin",)}, "Did you mean 'insertion'"),
        ({"metrics": ()}, "No metric"),
        ({"steps": 0}, "steps is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"limit": 0}, "limit is 0"),
        ({"rise_masks": -1}, "rise_masks is -1"),
        ({"tolerance": float("nan")}, "tolerance is nan"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, text):
    with pytest.raises(RequestError, match=text):
        EvaluationOptions(**options)


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("recipro-cm", RequestError, "Did you mean 'recipro-cam'"),
        ("eigen-cam:pixel", RequestError, "names a mask"),
        ("recipro-cam:pixle", RequestError, "pixle"),
        ("recipro-cam:pixel:logit:x", RequestError, "METHOD:MASK:SCORE"),
        ("rise", RequestError, "--rise 2000"),
        ("class-probability-map", ModelMismatchError, "class-probability-map"),
    ],
)
def test_methods_that_do_not_exist_are_named(photos, name, error, text):
    with pytest.raises(error, match=text):
        evaluate(quadrants.classifier(), photos, methods=[name], options=FAST)


def test_annotations_of_other_images_are_told(photos, tmp_path):
    (tmp_path / "other.json").write_text(json.dumps(quadrants.coco({"elsewhere.jpg": [("red", (0, 0, 1, 1))]})))
    with pytest.raises(InputError, match=r"elsewhere\.jpg.*none of them is among the 3"):
        evaluate(quadrants.classifier(), photos, annotations=tmp_path / "other.json", options=FAST)


def test_annotations_with_other_labels_are_told_and_escaped(photos, tmp_path):
    label = "<script>alert(1)</script>"
    (tmp_path / "other.json").write_text(json.dumps(quadrants.coco({"red.png": [(label, (0, 0, 1, 1))]})))
    found = evaluate(quadrants.classifier(), photos, annotations=tmp_path / "other.json", options=FAST)
    assert "no annotated box is of an explained class" in found.notes[-1]
    assert label in found.notes[-1]
    page = as_page(found)
    assert label not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_two_annotated_images_of_one_name_are_told(photos, boxes):
    (photos / "more").mkdir()
    quadrants.write_photo(photos / "more" / "red.png", quadrants.photo(0, (1, 1)))
    with pytest.raises(InputError, match=r"Two images are named 'red\.png'"):
        evaluate(quadrants.classifier(), photos, annotations=boxes, options=FAST)


def test_pointing_needs_annotations(photos):
    with pytest.raises(RequestError, match="--annotations"):
        evaluate(quadrants.classifier(), photos, options=EvaluationOptions(metrics=("pointing-game",)))
    found = evaluate(quadrants.classifier(), photos, options=EvaluationOptions(steps=2))
    assert "pointing-game" not in found.metrics
    assert "--annotations" in found.notes[0]


def test_images_that_cannot_be_read_are_left_out(photos):
    (photos / "broken.png").write_bytes(b"no image")
    seen = []
    found = evaluate(quadrants.classifier(), photos, options=FAST, progress=seen.append)
    assert found.images == 3
    ((path, reason),) = found.skipped
    assert path.endswith("broken.png")
    assert "broken.png" in reason
    assert [step.skipped is None for step in seen[:4]] == [True, False, True, True]
    assert [(step.doing, step.done, step.total) for step in seen[4:]] == [
        (name, done, 3) for name in ("model", "random", "centre-gaussian") for done in (1, 2, 3)
    ]
    for name in ("blue.png", "green.png", "red.png"):
        (photos / name).unlink()
    with pytest.raises(InputError, match="None of the 1 images"):
        evaluate(quadrants.classifier(), photos, options=FAST)
    (photos / "broken.png").unlink()
    with pytest.raises(InputError, match="No images found"):
        evaluate(quadrants.classifier(), photos, options=FAST)


def test_without_scipy_nothing_is_begun(photos, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("ov_xai.metrics.extras.import_module", missing)
    with pytest.raises(MissingExtraError, match=r"ov-xai\[evaluate\]"):
        evaluate("no such model.xml", photos)


def test_metrics_that_were_never_measured_have_no_interval():
    result = MethodResult("a", {"adcc": np.full(3, np.nan), "road": np.array([0.1, np.nan, 0.3])})
    intervals = result.intervals()
    assert set(intervals) == {"road"}
    assert intervals["road"].mean == pytest.approx(0.2)
    assert result.counts() == {"adcc": 0, "road": 2}


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
