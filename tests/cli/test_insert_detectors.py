"""`insert`, `inspect` and `cards` on detectors."""

import json

import numpy as np
import openvino as ov
import pytest

from ov_xai.cli.main import run
from tests.detectors import FORMS, SEGMENTS, segmenter


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a working folder with a detector, a segmentation model and a card."""
    ov.save_model(FORMS["softmax_with_background"]()[0], tmp_path / "detector.xml", compress_to_fp16=False)
    ov.save_model(segmenter(), tmp_path / "segmenter.xml", compress_to_fp16=False)
    (tmp_path / "last.toml").write_text(
        'name = "last"\ntitle = "ends in a background"\n[match]\nmade_by = "softmax"\n[scores]\nbackground = "last"\n'
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_insert_says_what_it_found(folder, capsys):
    assert run(["insert", "detector.xml"]) == 0
    text = capsys.readouterr().out
    for expected in ("3 label ids", "[0] stand for nothing", "6x8, 3x4", "class-probability-map", "mean", "bit-equal"):
        assert expected in text
    assert run(["inspect", "detector_xai.xml"]) == 0
    text = capsys.readouterr().out
    for expected in ("detection", "6x8, 3x4", "unused [0]", '"combine": "mean"'):
        assert expected in text


def test_options_reach_the_manifest(folder, capsys):
    arguments = ["insert", "detector.xml", "--combine", "max", "--map-level", "middle", "--card", "last.toml", "--json"]
    assert run(arguments) == 0
    manifest = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (manifest["combine"], manifest["map_level"], manifest["grid"]) == ("max", 1, [3, 4])
    assert (manifest["card"], manifest["classes"]) == ("last", 2)


def test_the_patched_file_runs(folder):
    assert run(["insert", "segmenter.xml", "-o", "out.xml"]) == 0
    compiled = ov.Core().compile_model("out.xml", "CPU")
    assert compiled(np.zeros((1, 3, 24, 32), np.float32))["saliency_map"].shape == (1, SEGMENTS, 6, 8)


@pytest.mark.parametrize(
    "option",
    [["--mask", "pixel"], ["--block", "1"], ["--score", "logit"], ["--grid", "3x4"], ["--target-layer", "fine"]],
)
def test_options_of_classifiers_are_said_to_do_nothing(folder, capsys, option):
    assert run(["insert", "detector.xml", *option]) == 0
    assert f"{option[0]} has no effect" in capsys.readouterr().err


def test_cards_are_listed_and_checked(folder, capsys):
    assert run(["cards"]) == 0
    assert "made_by = none" in capsys.readouterr().out
    assert run(["cards", "last.toml"]) == 0
    assert "ends in a background" in capsys.readouterr().out
    assert run(["cards", "last.toml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["scores"]["background"] == "last"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["cards", "none.toml"], 11, "cannot be read"),
        (["cards", "detector.xml"], 11, "does not fit"),
        (["insert", "detector.xml", "--card", "detector.xml"], 11, "does not fit"),
        (["insert", "detector.xml", "--map-level", "coarse"], 2, "middle, finest"),
        (["insert", "detector.xml", "--map-level", "9"], 5, "map-level is 9"),
        (["insert", "detector.xml", "--combine", "median"], 2, "median"),
        (["insert", "detector.xml", "--compat", "otx", "--combine", "max"], 2, "--compat"),
        (["insert", "detector.xml", "--method", "recipro-cam"], 5, "class-probability-map"),
        (["insert", "detector.xml", "--top-k", "4"], 5, "3 classes"),
        (["insert", "detector.xml", "--target-layer", "nowhere"], 5, "nowhere"),
    ],
)
def test_mistakes_are_one_line_and_their_exit_code(folder, capsys, arguments, code, said):
    assert run(arguments) == code
    streams = capsys.readouterr()
    assert said in streams.err
    assert "Traceback" not in streams.err
    assert streams.err.count("\n") == 1
