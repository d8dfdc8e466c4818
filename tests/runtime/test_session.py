"""Explaining images with a patched model."""

import json
import os
import threading

import cv2
import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import (
    ClassChoice,
    DeviceError,
    InputError,
    ModelMismatchError,
    OutputError,
    Overrides,
    RequestError,
    Resize,
    Session,
    UnsupportedModelError,
    insert,
)
from ov_xai.runtime import dump
from ov_xai.runtime.dump import DumpOptions, explain_folder
from ov_xai.runtime.explanation import RenderOptions
from ov_xai.runtime.images import read_image
from ov_xai.runtime.model_preprocessing import preprocessing_of
from ov_xai.runtime.records import read_records
from ov_xai.runtime.report import ReportHead, write_report
from tests.helpers import F32, assert_levels_equal, output, run
from tests.models import CHANNELS, CLASSES, backbone, classifier, dense, flat, ints, model_of

HEAD = ReportHead("model.xml", [("Method", "recipro-cam")], 0.5)


@pytest.fixture(scope="module")
def session(patched_classifier):
    return Session(patched_classifier)


@pytest.fixture
def photos(data):
    return data / "photos"


def test_predictions_and_maps_are_those_of_the_model(patched_classifier, photos):
    photo = read_image(photos / "chelsea.png")
    explanation = Session(patched_classifier, config=F32)(photos / "chelsea.png")
    tensor, _ = preprocessing_of(patched_classifier)(photo)
    image = ((tensor.astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2)
    logits, maps = run(patched_classifier, [image])
    probabilities = np.exp(logits[0] - logits[0].max())
    probabilities /= probabilities.sum()
    best = explanation.predictions[0]
    assert best.index == probabilities.argmax()
    assert best.label == "tiger cat"
    assert best.confidence == pytest.approx(probabilities.max(), abs=1e-4)
    assert_levels_equal(explanation.maps["tiger cat"], maps[0, best.index])


@pytest.mark.parametrize("later", [False, True])
def test_the_first_prediction_of_a_tie_has_the_map(later):
    image, features = backbone()
    halves = dense(flat(ops.reduce_mean(features, ints(2, 3), True), 0, CHANNELS), CHANNELS, CLASSES)
    patched = insert(model_of(image, ops.concat([halves, halves], 1)), top_k=1)
    if later:  # as a device may that takes the last of equal scores
        classes = next(item for item in patched.get_results() if "saliency_classes" in item.output(0).get_names())
        source = classes.input_value(0)
        names = source.get_names()
        source.set_names(set())
        shifted = ops.add(source, ints(CLASSES))
        shifted.output(0).set_names(names)
        classes.input(0).replace_source_output(shifted.output(0))
        patched.validate_nodes_and_infer_types()
    explanation = Session(patched)(np.full((8, 10, 3), 90, np.uint8))
    assert list(explanation.maps) == [explanation.predictions[0].label]
    assert (explanation.predictions[0].index >= CLASSES) == later


def test_an_array_is_explained_like_its_file(session, photos):
    photo = read_image(photos / "coffee.png")
    from_file, from_array = session.map([photos / "coffee.png", photo])
    np.testing.assert_array_equal(from_file.maps["espresso"], from_array.maps["espresso"])
    assert from_file.overlay("espresso").shape == photo.shape


def test_results_outlive_the_next_inference(session, photos):
    first = session(photos / "coffee.png")
    kept = first.maps["espresso"].copy()
    list(session.map([photos / "camera.png"] * 9))
    np.testing.assert_array_equal(first.maps["espresso"], kept)


def test_the_order_is_kept(session, photos):
    names = ["coffee", "camera", "rocket"] * 5
    labels = [item.predictions[0].label for item in session.map(next(photos.glob(f"{name}.*")) for name in names)]
    assert labels == ["espresso", "tripod", "missile"] * 5


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ClassChoice(), {"tiger cat", "Egyptian cat"}),
        (ClassChoice(threshold=0.99), {"tiger cat"}),
        (ClassChoice(limit=1), {"tiger cat"}),
        (ClassChoice(("espresso", "281")), {"espresso", "tabby"}),
    ],
)
def test_the_chosen_classes_get_a_map(patched_classifier, photos, choice, expected):
    assert set(Session(patched_classifier, choice=choice)(photos / "chelsea.png").maps) == expected


def test_all_classes(patched_classifier, photos):
    explanation = Session(patched_classifier, choice=ClassChoice("all"))(photos / "chelsea.png")
    assert len(explanation.maps) == 1000
    assert {"crane (134)", "crane (517)"} <= set(explanation.maps)


def test_maps_of_the_best_classes_only(data, photos):
    session = Session(insert(data / "models" / "efficientnet_lite0.xml", top_k=1))
    explanation = session(photos / "chelsea.png")
    assert len(explanation.predictions) == 2
    assert set(explanation.maps) == {"tiger cat"}


def test_one_map_per_image(data, photos):
    session = Session(insert(data / "models" / "efficientnet_lite0.xml", method="eigen-cam"))
    explanation = session(photos / "chelsea.png")
    assert list(explanation.maps) == ["eigen-cam"]
    assert explanation.saliency_map("eigen-cam").shape == (300, 451)


def test_an_abandoned_or_broken_sequence_ends_cleanly(session, photos):
    for explanation in session.map([photos / "coffee.png"] * 9):
        assert explanation.predictions[0].label == "espresso"
        break
    images = session.map([photos / "coffee.png", photos / "missing.png"])
    assert next(images).predictions[0].label == "espresso"
    with pytest.raises(InputError, match="missing"):
        next(images)


def test_labels_that_imitate_numbering_stay_distinct():
    model = insert(classifier("mean"), self_check=False)
    session = Session(model, labels=["a", "a", "a (0)", "a (1)", "b"], choice=ClassChoice("all"))
    assert len(session(np.zeros((8, 10, 3), np.uint8)).maps) == 5


@pytest.mark.parametrize(("key", "value"), [("crop_fraction", "2"), ("crop_fraction", "nan"), ("pad_value", "300")])
def test_impossible_information_is_refused(key, value):
    model = insert(classifier("mean"), self_check=False)
    model.set_rt_info(value, ["model_info", key])
    with pytest.raises(UnsupportedModelError, match=key):
        Session(model)


def test_what_cannot_be_run_is_said_so(data, patched_classifier):
    with pytest.raises(UnsupportedModelError, match="insert"):
        Session(data / "models" / "efficientnet_lite0.xml")
    with pytest.raises(DeviceError, match="CPU"):
        Session(patched_classifier, "NOPE")
    with pytest.raises(ModelMismatchError, match="1000 classes"):
        Session(patched_classifier, labels=["a"])
    with pytest.raises(ModelMismatchError, match="nothing"):
        Session(patched_classifier, choice=ClassChoice(("nothing",)))
    with pytest.raises(RequestError, match="uint8"):
        Session(patched_classifier)(np.zeros((4, 4)))
    with pytest.raises(RequestError, match="mean"):
        Session(patched_classifier, overrides=Overrides(mean=(1.0, 2.0)))


def test_a_map_that_is_not_there_is_said_so(session, photos):
    with pytest.raises(ModelMismatchError, match="espresso"):
        session(photos / "coffee.png").overlay("lungo")


@pytest.mark.parametrize("batch", [-1, 1])
def test_small_models_without_any_information(batch):
    """No labels, no model_info: classes are numbered, values stay 0..255."""
    session = Session(insert(classifier("mean", batch=batch)), choice=ClassChoice("all"))
    photo = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    explanation = session(photo)
    assert set(explanation.maps) == {f"class {index}" for index in range(5)}
    maps = output(insert(classifier("mean")), [photo.astype(np.float32).transpose(2, 0, 1)[None]], config={})
    for index in range(5):
        assert np.abs(explanation.maps[f"class {index}"].astype(int) - maps[0, index]).max() <= 1
    assert "assumed" in session.preprocessing.describe()


@pytest.mark.parametrize("side", [16, 24])
def test_the_best_classes_of_a_model_of_any_size(side):
    """The number of their maps is not in the model's shapes."""
    model = classifier("mean")
    model.reshape([1, 3, -1, -1])
    patched = insert(model, top_k=2)
    photo = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    explanation = Session(patched)(photo)
    classes = output(patched, [photo.astype(np.float32).transpose(2, 0, 1)[None]], "saliency_classes", config={})
    assert explanation.predictions[0].index == classes[0, 0]
    assert next(iter(explanation.maps)) == f"class {classes[0, 0]}"


@pytest.mark.parametrize(
    ("info", "color"),
    [
        ({}, "rgb"),
        ({"reverse_input_channels": "True"}, "rgb"),
        ({"reverse_input_channels": "NO"}, "bgr"),
        ({"reverse_input_channels": "False", "mean_values": "123.675 116.28 103.53"}, "rgb"),
        ({"reverse_input_channels": "False", "mean_values": "103.53 116.28 123.675"}, "bgr"),
    ],
)
def test_the_channel_order_follows_model_info(info, color):
    model = insert(classifier("mean"), self_check=False)
    for key, value in info.items():
        model.set_rt_info(value, ["model_info", key])
    assert preprocessing_of(model).input_color.value == color
    assert preprocessing_of(model, Overrides(resize=Resize.LETTERBOX)).resize is Resize.LETTERBOX


# -- folders -------------------------------------------------------------------------------------------------------


def copy_photo(photos, folder, *names):
    image = cv2.resize(cv2.imread(str(photos / "coffee.png")), (150, 100), interpolation=cv2.INTER_AREA)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), image)


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("requests", [1, 3])
def test_as_many_requests_as_asked_for(patched_classifier, requests):
    assert len(Session(patched_classifier, requests=requests).queue) == requests


def test_requests_wait_for_inference_and_for_reading(patched_classifier):
    compiled = ov.Core().compile_model(patched_classifier, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
    advised = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    assert len(Session(patched_classifier).queue) == 2 * advised


def test_opencv_keeps_the_number_of_its_threads(session, photos, tmp_path):
    before, during = cv2.getNumThreads(), []
    try:
        cv2.setNumThreads(2)
        explain_folder(
            session, photos / "coffee.png", DumpOptions(tmp_path), lambda _: during.append(cv2.getNumThreads())
        )
        assert (during, cv2.getNumThreads()) == ([1], 2)
    finally:
        cv2.setNumThreads(before)


def test_a_folder_becomes_a_folder(session, photos, tmp_path):
    copy_photo(photos, tmp_path / "in", "a.jpg", "a.png", "sub/b.jpg", "sub/deep/ä b.png")
    (tmp_path / "in" / "broken.jpg").write_bytes(b"no image")
    summary = explain_folder(session, tmp_path / "in", DumpOptions(tmp_path / "in" / "out"))
    assert (summary.explained, [path for path, _ in summary.skipped]) == (4, ["broken.jpg"])
    names = files_below(tmp_path / "in" / "out")
    for prefix in ("a.jpg_espresso", "a.png_espresso", "sub/b_espresso", "sub/deep/ä b_espresso"):
        assert f"{prefix}_saliency_map.png" in names
        assert f"{prefix}_overlay_img.png" in names
    assert len(names) == 4 * 2 + 1
    records = {record["path"]: record for record in read_records(tmp_path / "in" / "out" / "explanations.jsonl")}
    assert set(records) == {"a.jpg", "a.png", "sub/b.jpg", "sub/deep/ä b.png", "broken.jpg"}
    record = records["sub/b.jpg"]
    assert record["size"] == [150, 100]
    assert record["method"] == "recipro-cam"
    assert record["predictions"][0]["label"] == "espresso"
    assert record["milliseconds"] > 0
    assert set(record["files"]) == {name for name in names if name.startswith("sub/b_")}
    again = explain_folder(session, tmp_path / "in", DumpOptions(tmp_path / "in" / "out"))
    assert again.explained == 4
    assert files_below(tmp_path / "in" / "out") == names


def test_pictures_have_the_size_and_the_colours_of_the_photo(session, photos, tmp_path):
    options = DumpOptions(tmp_path, RenderOptions(weight=0.0))
    explain_folder(session, photos / "coffee.png", options)
    photo = cv2.imread(str(photos / "coffee.png"))
    overlay = cv2.imread(str(tmp_path / "coffee_espresso_overlay_img.png"))
    np.testing.assert_array_equal(overlay, photo)
    picture = cv2.imread(str(tmp_path / "coffee_espresso_saliency_map.png"))
    assert picture.shape == photo.shape
    x0, y0, x1, y1 = next(read_records(tmp_path / "explanations.jsonl"))["seen_xyxy"]
    expected = session(photos / "coffee.png").saliency_map("espresso")[y0:y1, x0:x1]
    hottest = np.unravel_index(expected.argmax(), expected.shape)
    blue, _, red = picture[y0:y1, x0:x1][hottest]
    assert red > blue


def test_raw_maps(session, photos, tmp_path):
    explain_folder(session, photos / "coffee.png", DumpOptions(tmp_path, RenderOptions(rendered=False)))
    raw = np.load(tmp_path / "coffee_espresso_saliency_map.npy")
    assert raw.shape == (7, 7)
    tiff = cv2.imread(str(tmp_path / "coffee_espresso_saliency_map.tiff"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(raw, tiff)


def test_resume_goes_on_behind_what_is_whole(session, photos, tmp_path):
    copy_photo(photos, tmp_path / "in", *(f"{index}.png" for index in range(6)))
    options = DumpOptions(tmp_path / "out", resume=True)
    assert explain_folder(session, tmp_path / "in", options).explained == 6
    records = tmp_path / "out" / "explanations.jsonl"
    lines = records.read_text().splitlines()
    records.write_text("\n".join(lines[:3]) + "\n" + lines[3][:20])
    (tmp_path / "out" / "1_espresso_overlay_img.png").unlink()
    summary = explain_folder(session, tmp_path / "in", options)
    assert (summary.explained, summary.kept) == (4, 2)
    assert sorted(record["path"] for record in read_records(records)) == [f"{index}.png" for index in range(6)]
    changed = DumpOptions(tmp_path / "out", RenderOptions(weight=0.7), resume=True)
    assert explain_folder(session, tmp_path / "in", changed).kept == 0


def test_resume_knows_an_image_that_took_the_name_of_another(session, photos, tmp_path):
    copy_photo(photos, tmp_path / "in", "a.jpg", "b.png")
    options = DumpOptions(tmp_path / "out", resume=True)
    explain_folder(session, tmp_path / "in", options)
    copy_photo(photos, tmp_path / "in", "a.png")
    cv2.imwrite(str(tmp_path / "in" / "b.png"), np.zeros((9, 9, 3), np.uint8))
    summary = explain_folder(session, tmp_path / "in", options)
    assert (summary.explained, summary.kept) == (3, 0)
    files = [name for record in read_records(tmp_path / "out" / "explanations.jsonl") for name in record["files"]]
    assert len(set(files)) == len(files)
    (tmp_path / "in" / "a.png").unlink()
    explain_folder(session, tmp_path / "in", options)
    paths = [record["path"] for record in read_records(tmp_path / "out" / "explanations.jsonl")]
    assert sorted(paths) == ["a.jpg", "b.png"]


def test_a_wrong_input_leaves_earlier_results_alone(session, photos, tmp_path):
    copy_photo(photos, tmp_path / "in", "a.jpg")
    options = DumpOptions(tmp_path / "out")
    explain_folder(session, tmp_path / "in", options)
    for wrong in (tmp_path / "nowhere", tmp_path / "in" / "empty"):
        (tmp_path / "in" / "empty").mkdir(exist_ok=True)
        with pytest.raises(InputError):
            explain_folder(session, wrong, options)
    assert len(list(read_records(tmp_path / "out" / "explanations.jsonl"))) == 1


def test_results_are_never_taken_for_photos(session, photos, tmp_path):
    copy_photo(photos, tmp_path / "in", "a.jpg")
    explain_folder(session, tmp_path / "in", DumpOptions(tmp_path / "in" / "first"))
    assert explain_folder(session, tmp_path / "in", DumpOptions(tmp_path / "in" / "second")).explained == 1
    with pytest.raises(OutputError, match="input folder"):
        explain_folder(session, tmp_path / "in", DumpOptions(tmp_path / "in"))


@pytest.mark.parametrize(
    "name", ["²5.png", "x" * 235 + ".png", "猫" * 80 + ".png", "a\nb.png", os.fsdecode(b"a\xff.png")]
)
def test_odd_file_names(session, photos, tmp_path, name):
    copy_photo(photos, tmp_path / "in", "plain.png")
    (tmp_path / "in" / "plain.png").rename(tmp_path / "in" / name)
    options = DumpOptions(tmp_path / "out", resume=True)
    assert explain_folder(session, tmp_path / "in", options).explained == 1
    write_report(tmp_path / "in", tmp_path / "out", HEAD)
    records = tmp_path / "out" / "explanations.jsonl"
    assert [record["path"] for record in read_records(records)] == [name]
    assert explain_folder(session, tmp_path / "in", options).kept == 1
    records.write_bytes(records.read_bytes()[:-40])
    assert explain_folder(session, tmp_path / "in", options).explained == 1


def test_an_interruption_leaves_whole_files(session, photos, tmp_path):
    copy_photo(photos, tmp_path / "in", *(f"{index}.png" for index in range(12)))

    def interrupt(record):
        if record["path"] == "3.png":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explain_folder(session, tmp_path / "in", DumpOptions(tmp_path / "out"), interrupt)
    pictures = [path for path in (tmp_path / "out").iterdir() if path.suffix == ".png"]
    assert not list((tmp_path / "out").glob("*.part"))
    assert all(cv2.imread(str(path)) is not None for path in pictures)
    assert len(list(read_records(tmp_path / "out" / "explanations.jsonl"))) == 4
    summary = explain_folder(session, tmp_path / "in", DumpOptions(tmp_path / "out", resume=True))
    assert (summary.explained, summary.kept) == (8, 4)


def test_photos_that_vanish_while_they_are_explained_do_not_stop_the_others(session, photos, tmp_path, monkeypatch):
    copy_photo(photos, tmp_path / "in", *(f"{index}.png" for index in range(4)))

    def read_and_delete(path):
        image = read_image(path)
        path.unlink()
        return image

    monkeypatch.setattr(dump, "read_image", read_and_delete)
    summary = explain_folder(session, tmp_path / "in", DumpOptions(tmp_path / "out"))
    assert (summary.explained, summary.skipped) == (4, [])


def test_a_photo_that_vanishes_before_it_is_read_is_skipped(session, photos, tmp_path, monkeypatch):
    copy_photo(photos, tmp_path / "in", "a.png", "b.png", "c.png")
    identity_of = dump.identity_of

    def delete_first(file):
        if file.stem == "b":
            file.path.unlink()
        return identity_of(file)

    monkeypatch.setattr(dump, "identity_of", delete_first)
    summary = explain_folder(session, tmp_path / "in", DumpOptions(tmp_path / "out"))
    assert summary.explained == 2
    ((path, reason),) = summary.skipped
    assert path == "b.png"
    assert "No such file" in reason


def test_a_caller_that_fails_leaves_nothing_under_way(session, photos, tmp_path):
    copy_photo(photos, tmp_path / "in", *(f"{index}.png" for index in range(9)))
    before = set(threading.enumerate())

    def fail(record):
        raise ValueError(record["path"])

    # The traceback, kept here, holds the pipeline: it must have been closed, not left to the garbage collector.
    with pytest.raises(ValueError, match=r"0\.png") as caught:
        explain_folder(session, tmp_path / "in", DumpOptions(tmp_path / "out"), fail)
    assert caught.tb is not None
    new = [thread.name for thread in threading.enumerate() if thread not in before]
    assert not [name for name in new if name.startswith("ThreadPoolExecutor")]


def test_a_folder_without_images_is_said_so(session, tmp_path):
    with pytest.raises(InputError, match="No images"):
        explain_folder(session, tmp_path, DumpOptions(tmp_path / "out"))


def test_the_report_is_one_page_that_runs_nothing_foreign(session, photos, tmp_path):
    hostile = "<img src=x onerror=alert(1)>.png"
    copy_photo(photos, tmp_path / "in", hostile, "b.png")
    (tmp_path / "in" / "c.png").write_bytes(b"broken")
    explain_folder(session, tmp_path / "in", DumpOptions(tmp_path / "out"))
    page = write_report(tmp_path / "in", tmp_path / "out", HEAD).read_text()
    assert "<img src=x" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("<article>") == 3
    assert page.count('class="map"') == 2
    assert "espresso" in page
    assert json.loads((tmp_path / "out" / "explanations.jsonl").read_text().splitlines()[0])["path"] == hostile
