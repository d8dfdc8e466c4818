"""`quantize` from the command line."""

import json
import sys

import cv2
import numpy as np
import openvino as ov
import pytest

from ov_xai import insert, read_manifest, save
from ov_xai.cli.main import run
from ov_xai.quantization import quantizing
from tests.detectors import FORMS
from tests.models import HEIGHT, WIDTH, classifier


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a working folder with a plain and a patched classifier, a detector and images."""
    ov.save_model(classifier("two_dense"), tmp_path / "plain.xml", compress_to_fp16=False)
    save(insert(tmp_path / "plain.xml", top_k=2), tmp_path / "patched.xml")
    ov.save_model(FORMS["columns_first"]()[0], tmp_path / "detector.xml", compress_to_fp16=False)
    (tmp_path / "images").mkdir()
    for index in range(3):
        write_image(tmp_path / "images" / f"{index}.png", index)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_image(path, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (2 * HEIGHT, 2 * WIDTH, 3), dtype=np.uint8)
    cv2.imwrite(str(path), pixels)


def test_a_plain_model_stays_plain(folder, capsys):
    assert run("quantize plain.xml --data images".split()) == 0
    captured = capsys.readouterr()
    assert "calibrated on 3 images" in captured.out
    assert "--insert" in captured.out
    assert "a few hundred" in captured.err
    assert read_manifest(ov.Core().read_model("plain_int8.xml")) is None
    assert sorted(path.name for path in folder.glob("*int8*")) == ["plain_int8.bin", "plain_int8.xml"]


def test_a_patched_model_keeps_its_branch(folder, capsys):
    assert run("quantize patched.xml -o out.xml --data images".split()) == 0
    assert "bit for bit" in capsys.readouterr().out
    assert read_manifest(ov.Core().read_model("out.xml")).top_k == 2


def test_a_model_is_written_over_only_when_asked(folder, capsys):
    assert run("quantize patched.xml -o patched.xml --data images".split()) == 6
    assert "--in-place" in capsys.readouterr().err
    assert run("quantize patched.xml --in-place --data images".split()) == 0
    model = ov.Core().read_model("patched.xml")
    assert read_manifest(model).top_k == 2
    assert any(node.get_type_name() == "FakeQuantize" for node in model.get_ops())


@pytest.mark.parametrize("model", ["plain.xml", "patched.xml"])
@pytest.mark.parametrize(("options", "top_k"), [("--insert", None), ("--top-k 3", 3)])
def test_a_branch_can_be_asked_for(folder, model, options, top_k):
    assert run(["quantize", model, "-o", "out.xml", "--data", "images", *options.split()]) == 0
    assert read_manifest(ov.Core().read_model("out.xml")).top_k == top_k


def test_json_is_all_that_is_printed(folder, capsys):
    assert run("quantize patched.xml -o out.xml --data images --preset mixed --json".split()) == 0
    captured = capsys.readouterr()
    record = json.loads(captured.out)
    assert (record["output"], record["images"], record["skipped"], record["accuracy"]) == ("out.xml", 3, [], None)
    assert record["quantisers"] > 0
    assert record["manifest"]["top_k"] == 2
    assert "written" in captured.err


def test_images_that_cannot_be_read_are_told(folder, capsys):
    (folder / "images" / "x.png").write_bytes(b"no image")
    assert run("quantize plain.xml --data images".split()) == 9
    assert "x.png" in capsys.readouterr().err
    assert (folder / "plain_int8.xml").exists()


def test_validation_is_reported(folder, capsys):
    for label in range(2):
        (folder / "labelled" / f"class {label}").mkdir(parents=True)
        write_image(folder / "labelled" / f"class {label}" / "a.png", label)
    command = "quantize plain.xml --data images --validation labelled --max-drop 1 --json"
    assert run(command.split()) == 0
    record = json.loads(capsys.readouterr().out)
    assert {record["accuracy_before"], record["accuracy"]} <= {0, 0.5, 1}


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("quantize plain.xml", 2, "--data"),
        ("quantize nowhere.xml --data images", 3, "does not exist"),
        ("quantize plain.xml --data nowhere", 7, "does not exist"),
        ("quantize plain.xml --data empty", 7, "No image"),
        ("quantize plain.xml --data images -o plain.xml", 6, "the model itself"),
        ("quantize plain.xml --data images --subset-size 0", 2, "subset-size"),
        ("quantize plain.xml --data images --max-drop -1", 2, "max-drop"),
        ("quantize plain.xml --data images --validation images", 7, "no sub-folders"),
        ("quantize detector.xml --data images --validation images", 4, "classifiers"),
        ("quantize plain.xml --data images --exact-layer x", 5, "does not exist"),
        ("quantize plain.xml --data images --mean a", 2, "--mean"),
    ],
)
def test_mistakes_are_one_line(folder, capsys, command, code, said):
    (folder / "empty").mkdir()
    assert run(command.split()) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert not list(folder.glob("*int8*"))


def test_a_quantised_model_is_refused(folder, capsys):
    assert run("quantize plain.xml --data images".split()) == 0
    assert run("quantize plain_int8.xml --data images".split()) == 5
    assert "quantised already" in capsys.readouterr().err
    assert run("insert plain_int8.xml".split()) == 0
    assert run("quantize plain_int8_xai.xml --data images".split()) == 5


def test_without_nncf_the_extra_is_named(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    assert run("quantize plain.xml --data images".split()) == 12
    assert "pip install 'ov-xai[quantize]'" in capsys.readouterr().err


@pytest.mark.parametrize("moment", ["quantized", "insert"])
def test_an_interruption_leaves_nothing(folder, capsys, monkeypatch, moment):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(quantizing, moment, interrupted)
    before = sorted(folder.rglob("*"))
    assert run("quantize patched.xml --data images".split()) == 130
    assert sorted(folder.rglob("*")) == before


def test_an_otx_compatible_model_is_explained_and_quantised(folder):
    assert run("insert detector.xml -o otx.xml --compat otx".split()) == 0
    assert run("explain -m otx.xml -i images -o out --classes all".split()) == 0
    assert run("quantize otx.xml -o otx_int8.xml --data images".split()) == 0
    assert read_manifest(ov.Core().read_model("otx_int8.xml")).compat == "otx"
