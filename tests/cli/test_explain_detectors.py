"""`ov-xai explain` with detectors and segmentation models."""

import json

import cv2
import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import insert, read_manifest, save
from ov_xai.cli.main import run
from ov_xai.runtime.records import read_records
from tests.models import backbone, weights


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def nanodet(data):
    return str(data / "models" / "nanodet_g.xml")


@pytest.fixture
def chelsea(data):
    return str(data / "photos" / "chelsea.png")


def names(folder):
    return sorted(path.name for path in folder.glob("*.png"))


def records(folder):
    return list(read_records(folder / "explanations.jsonl"))


def test_a_plain_and_a_patched_detector_give_the_same(folder, nanodet, chelsea, capsys):
    assert run(["insert", nanodet, "-o", "patched.xml"]) == 0
    for model, output in ((nanodet, "plain"), ("patched.xml", "patched")):
        command = ["explain", "-m", model, "-i", chelsea, "-o", output, "--confidence-threshold", "0.5"]
        assert run([*command, "--explain-algorithm", "ClassWiseSaliencyMap"]) == 0
    assert names(folder / "plain") == ["chelsea_cat_overlay_img.png", "chelsea_cat_saliency_map.png"]
    for name in names(folder / "plain"):
        assert (folder / "plain" / name).read_bytes() == (folder / "patched" / name).read_bytes()
    assert "chelsea.png: cat 0.5" in capsys.readouterr().out


def test_a_detector_that_fits_is_used_as_it_is(folder, nanodet, chelsea, monkeypatch):
    save(insert(nanodet, combine="mean", map_level="finest", self_check=False), "patched.xml")
    monkeypatch.setattr("ov_xai.explaining.insert", None)
    assert run(f"explain -m patched.xml -i {chelsea} -o out --explain-algorithm classwisesaliencymap".split()) == 0
    assert records(folder / "out")[0]["method"] == "class-probability-map"


def test_another_method_is_patched_anew_and_choices_are_kept(folder, nanodet, chelsea):
    save(insert(nanodet, combine="mean", map_level="finest", self_check=False), "patched.xml")
    assert run(f"explain -m patched.xml -i {chelsea} -o image --explain-algorithm eigen-cam".split()) == 0
    assert names(folder / "image") == ["chelsea_eigen-cam_overlay_img.png", "chelsea_eigen-cam_saliency_map.png"]
    assert records(folder / "image")[0]["predictions"][0]["label"] == "cat"
    assert run(f"explain -m patched.xml -i {chelsea} -o raw --no-process-saliency-maps".split()) == 0
    assert np.load(folder / "raw" / "chelsea_cat_saliency_map.npy").shape == (52, 52)
    save(insert(nanodet, method="eigen-cam", self_check=False), "eigen.xml")
    assert run(f"explain -m eigen.xml -i {chelsea} -o wise --explain-algorithm ClassWiseSaliencyMap".split()) == 0
    assert "chelsea_cat_saliency_map.png" in names(folder / "wise")


def test_named_classes_that_are_not_there_have_maps_without_confidence(folder, nanodet, chelsea):
    command = f"explain -m {nanodet} -i {chelsea} -o out --classes cat,zebra --confidence-threshold 0.4 --report"
    assert run(command.split()) == 0
    maps = {item["label"]: item["confidence"] for item in records(folder / "out")[0]["maps"]}
    assert maps["cat"] > 0.5
    assert maps["zebra"] is None
    assert "zebra" in (folder / "out" / "report.html").read_text()


def test_a_picture_of_each_detection(folder, nanodet, chelsea):
    assert run(f"explain -m {nanodet} -i {chelsea} -o out --per-detection --top-k 1".split()) == 0
    (record,) = records(folder / "out")
    assert len(record["predictions"]) > len(record["maps"]) == 1
    assert record["maps"][0]["files"][-1] == "chelsea_cat_1_detection.png"
    x0, y0, x1, y1 = record["predictions"][0]["box"]
    height, width = cv2.imread(str(folder / "out" / "chelsea_cat_1_detection.png")).shape[:2]
    assert (width, height) == (np.ceil(x1) - np.floor(x0), np.ceil(y1) - np.floor(y0))
    assert 0.5 < record["predictions"][0]["map_inside"] <= 1
    assert "map_inside" not in record["predictions"][1]


def test_nothing_found_is_said_and_reported(folder, nanodet, capsys):
    (folder / "in").mkdir()
    cv2.imwrite(str(folder / "in" / "black.png"), np.zeros((40, 50, 3), np.uint8))
    assert run(f"explain -m {nanodet} -i in -o out --report".split()) == 0
    assert "black.png: nothing found" in capsys.readouterr().out
    assert "nothing found" in (folder / "out" / "report.html").read_text()


def test_records_of_classifiers_have_no_boxes(folder, data):
    model, photo = data / "models" / "efficientnet_lite0.xml", data / "photos" / "coffee.png"
    assert run(f"explain -m {model} -i {photo} -o out --per-detection".split()) == 0
    (record,) = records(folder / "out")
    assert [sorted(item) for item in record["predictions"]] == [["confidence", "index", "label"]]
    assert len(names(folder / "out")) == 2


def test_detector_mistakes_are_one_line(folder, nanodet, chelsea, capsys):
    for options, code, text in (
        ("--per-detection --no-process-saliency-maps", 2, "--per-detection"),
        ("--card missing.toml", 11, "missing.toml"),
        ("--explain-algorithm ReciproCAM", 5, "class-probability-map"),
        ("--classes unicorn", 5, "unicorn"),
    ):
        assert run([*f"explain -m {nanodet} -i {chelsea} -o out".split(), *options.split()]) == code
        captured = capsys.readouterr()
        assert text in captured.err
        assert "Traceback" not in captured.err


@pytest.fixture
def segmenter(folder):
    """Write a segmentation model of four classes at half the size of its input."""
    image, features = backbone()
    logits = ops.convolution(features, weights(4, 6, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    large = ops.interpolate(
        logits, ops.constant(np.array([8, 10], np.int64)), "linear", "sizes", axes=ops.constant(np.array([2, 3]))
    )
    result = ops.result(large)
    result.output(0).set_names({"logits"})
    ov.save_model(ov.Model([result], [image], "segmenter"), "segmenter.xml", compress_to_fp16=False)
    return "segmenter.xml"


def test_a_segmentation_model_shows_the_classes_that_are_present(folder, segmenter):
    (folder / "in").mkdir()
    photo = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "in" / "x.png"), photo[:, :, ::-1])
    assert run(f"explain -m {segmenter} -i in -o out --scale 255 --confidence-threshold 0".split()) == 0
    (record,) = records(folder / "out")
    compiled = ov.Core().compile_model(segmenter, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    logits = compiled([(photo / np.float32(255)).transpose(2, 0, 1)[None]])[0][0].astype(np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum(0)
    winner = probabilities.argmax(0)
    expected = {int(k): probabilities[k][winner == k].mean() for k in np.unique(winner)}
    found = {item["index"]: item["confidence"] for item in record["predictions"]}
    assert found == pytest.approx(expected, abs=0.02)
    assert len(found) > 1
    assert [item["label"] for item in record["maps"]] == [item["label"] for item in record["predictions"]]
    assert read_manifest(insert(segmenter)).task == "segmentation"
    json.dumps(record)


def test_a_size_that_a_dynamic_model_cannot_take_is_skipped(folder):
    """The sum of two strides needs an even height and width."""
    image = ops.parameter([1, 3, -1, -1], np.float32)
    small = ops.convolution(image, weights(6, 3, 1, 1), [2, 2], [0, 0], [0, 0], [1, 1])
    pooled = ops.avg_pool(image, [2, 2], [0, 0], [0, 0], [2, 2], False, "floor")
    both = ops.add(small, ops.convolution(pooled, weights(6, 3, 1, 1, seed=1), [1, 1], [0, 0], [0, 0], [1, 1]))
    scores = ops.sigmoid(ops.convolution(both, weights(3, 6, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1]))
    save(insert(ov.Model([ops.result(scores)], [image], "dynamic"), self_check=False), "dynamic.xml")
    (folder / "in").mkdir()
    cv2.imwrite(str(folder / "in" / "even.png"), np.full((16, 20, 3), 90, np.uint8))
    cv2.imwrite(str(folder / "in" / "odd.png"), np.full((15, 20, 3), 90, np.uint8))
    assert run("explain -m dynamic.xml -i in -o out --classes all".split()) == 9
    found = {record["path"]: record.get("error", "") for record in records(folder / "out")}
    assert found["even.png"] == ""
    assert "20x15" in found["odd.png"]
