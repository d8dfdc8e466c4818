"""The verbs do what their help says."""

import json
import re

import cv2
import numpy as np
import openvino as ov
import pytest
from onnx import TensorProto, helper, save

from ov_xai.cli.main import run
from tests.helpers import output
from tests.helpers import run as run_model
from tests.models import classifier, random_image
from tests.transformers import vision_transformer


@pytest.fixture
def folder(tmp_path, monkeypatch):
    ov.save_model(classifier("two_dense"), tmp_path / "model.xml", compress_to_fp16=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def photo(path, size=(30, 20)):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), pixels)


def test_insert_writes_beside_the_model(folder, capsys):
    assert run(["insert", "model.xml"]) == 0
    assert "bit-equal" in capsys.readouterr().out
    assert output(ov.Core().read_model("model_xai.xml"), [random_image()]).shape == (1, 5, 4, 5)


def test_insert_says_what_has_no_effect(folder, capsys):
    assert run("insert model.xml --mask pixel --method eigen-cam".split()) == 0
    assert "--mask has no effect" in capsys.readouterr().err


def test_a_block_has_an_effect_on_one_map_per_image(folder, capsys):
    ov.save_model(vision_transformer()(), folder / "vit.xml", compress_to_fp16=False)
    assert run("insert vit.xml --json --block 2 --method activation-map".split()) == 0
    captured = capsys.readouterr()
    assert "no effect" not in captured.err
    assert run("insert vit.xml --json --method activation-map".split()) == 0
    assert json.loads(captured.out)["target"] != json.loads(capsys.readouterr().out)["target"]


def test_insert_prints_nothing_but_the_manifest_with_json(folder, capsys):
    assert run("insert model.xml --json --top-k 2 --method ClassWiseSaliencyMap".split()) == 0
    captured = capsys.readouterr()
    record = json.loads(captured.out)
    assert (record["method"], record["top_k"]) == ("recipro-cam", 2)
    assert "written" in captured.err


@pytest.mark.parametrize("word", ["eigencam", "EigenCAM", "eigen-cam", "EIGEN_CAM"])
def test_methods_by_any_name(folder, capsys, word):
    assert run(["insert", "model.xml", "--json", "--method", word]) == 0
    assert json.loads(capsys.readouterr().out)["method"] == "eigen-cam"


def test_insert_in_place_and_remove_in_place(folder):
    weights = (folder / "model.bin").read_bytes()
    image = random_image()
    before = run_model(ov.Core().read_model("model.xml"), [image])
    assert run("insert model.xml --in-place".split()) == 0
    assert len(ov.Core().read_model("model.xml").outputs) == 2
    assert run("insert model.xml --in-place".split()) == 5
    assert run("insert model.xml --in-place --replace --method activation-map".split()) == 0
    assert run("remove model.xml --in-place".split()) == 0
    assert (folder / "model.bin").read_bytes() == weights
    assert run_model(ov.Core().read_model("model.xml"), [image])[0].tobytes() == before[0].tobytes()
    assert sorted(path.name for path in folder.iterdir()) == ["model.bin", "model.xml"]


def test_other_formats_become_ir(folder):
    convolution = helper.make_node("Conv", ["image", "w"], ["features"], name="features")
    pool = helper.make_node("GlobalAveragePool", ["features"], ["pooled"])
    flat = helper.make_node("Flatten", ["pooled"], ["logits"])
    weights = np.random.default_rng(0).standard_normal((5, 3, 2, 2)).astype(np.float32)
    graph = helper.make_graph(
        [convolution, pool, flat],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 10])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 5])],
        [helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "net.onnx")
    assert run(["insert", "net.onnx"]) == 0
    assert output(ov.Core().read_model("net_xai.xml"), [random_image()]).shape == (1, 5, 7, 9)


def test_inspect_says_what_would_be_done(folder, capsys):
    assert run(["inspect", "model.xml"]) == 0
    text = capsys.readouterr().out
    for expected in ("classification", "5 classes", "ReduceMean", "4x5", "recipro-cam", "closed-form", "% multiply"):
        assert expected in text
    assert run(["inspect", "model.xml", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["report"]["target"]["name"] == "target"
    assert record["extra_multiply_adds_percent"] > 0
    assert run(["insert", "model.xml"]) == 0
    capsys.readouterr()
    assert run(["inspect", "model_xai.xml"]) == 0
    assert '"source_sha256"' in capsys.readouterr().out


def test_inspect_tells_why_a_model_cannot_be_patched(folder, capsys):
    image = ov.opset13.parameter([1, 3, 8, 10], np.float32)
    ov.save_model(ov.Model([ov.opset13.relu(image)], [image]), folder / "odd.xml")
    assert run(["inspect", "odd.xml"]) == 4
    text = capsys.readouterr().out
    assert re.search(r"reason\s+.*class scores", text)
    assert "remedy" in text
    assert run(["inspect", "odd.xml", "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["refusal"]["remedy"]


def test_explain_patches_a_plain_model(folder, capsys):
    photo(folder / "in" / "x.png")
    assert run("explain -m model.xml -i in -o plain --classes all".split()) == 0
    assert run(["insert", "model.xml"]) == 0
    assert run("explain --load-weights model_xai.xml -i in -o patched --explain-all-classes".split()) == 0
    for path in sorted((folder / "plain").glob("*.png")):
        assert path.read_bytes() == (folder / "patched" / path.name).read_bytes()
    assert len(list((folder / "plain").glob("*.png"))) == 10


@pytest.mark.parametrize(
    ("options", "files"),
    [
        ("--classes class_1,3", {"x_class-1_saliency_map.png", "x_class-3_saliency_map.png"}),
        ("--target-explain-group ALL --top-k 2", 2),
        ("--target-explain-group image", {"x_activation-map_saliency_map.png"}),
        ("--explain-algorithm EigenCAM", {"x_eigen-cam_saliency_map.png"}),
        ("--confidence-threshold 1", 1),
    ],
)
def test_which_maps_are_written(folder, options, files):
    photo(folder / "in" / "x.png")
    assert run([*"explain -m model.xml -i in".split(), *options.split()]) == 0
    found = {path.name for path in (folder / "saliency_dump").glob("*_saliency_map.png")}
    assert (found if isinstance(files, set) else len(found)) == files


def test_one_map_per_image_of_a_method_with_a_map_per_class_is_refused(folder, capsys):
    photo(folder / "in" / "x.png")
    command = "explain -m model.xml -i in --target-explain-group IMAGE --explain-algorithm ClassWiseSaliencyMap"
    assert run(command.split()) == 2
    assert re.search("one map per image.*class-wise.*per class.*Drop one", capsys.readouterr().err)


def test_explain_raw_maps_and_labels(folder):
    photo(folder / "in" / "x.png")
    (folder / "labels.txt").write_text("a\nb\nc\nd\ne/f\n")
    command = "explain -m model.xml -i in/x.png -o out --no-process-saliency-maps --labels labels.txt --classes all"
    assert run(command.split()) == 0
    names = {path.name for path in (folder / "out").iterdir()}
    assert {"x_e-f_saliency_map.npy", "x_e-f_saliency_map.tiff"} <= names
    assert np.load(folder / "out" / "x_a_saliency_map.npy").dtype == np.float32


@pytest.mark.parametrize("size", [(400, 20), (20, 400)])
@pytest.mark.parametrize("resize", ["fit_to_window_letterbox", "crop", "standard"])
def test_explain_very_wide_and_very_tall_photos(folder, size, resize):
    photo(folder / "in" / "x.png", size)
    command = f"explain -m model.xml -i in -o out --resize {resize} --overlay-weight 0 --input-color bgr -j 2"
    assert run(command.split()) == 0
    (overlay,) = (folder / "out").glob("*_overlay_img.png")
    np.testing.assert_array_equal(cv2.imread(str(overlay)), cv2.imread(str(folder / "in" / "x.png")))


def test_explain_writes_a_report(folder, capsys):
    photo(folder / "in" / "x.png")
    assert run("explain -m model.xml -i in -o out --report".split()) == 0
    assert "report" in capsys.readouterr().out
    assert 'type="range"' in (folder / "out" / "report.html").read_text()


def test_help_lists_the_exit_codes(capsys):
    assert run(["--help"]) == 0
    assert "Exit codes" in capsys.readouterr().out
