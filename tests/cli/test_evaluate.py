"""`ov-xai evaluate`: table, CSV, JSON and page, and a line for every mistake."""

import csv
import json
import re
from xml.etree import ElementTree

import openvino as ov
import pytest

from ov_xai import Mask, Score, insert, save
from ov_xai.cli.evaluate import evaluate as command
from ov_xai.cli.main import run
from ov_xai.evaluation import METRICS
from tests import detectors, quadrants

MODEL = "<i>quadrants.xml"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write a model, three photos and their boxes, and work there."""
    monkeypatch.chdir(tmp_path)
    ov.save_model(quadrants.classifier(), MODEL, compress_to_fp16=False)
    (tmp_path / "photos").mkdir()
    boxes = {}
    for colour, quadrant in enumerate([(0, 0), (0, 1), (1, 0)]):
        name = f"{quadrants.LABELS[colour]}.png"
        quadrants.write_photo(tmp_path / "photos" / name, quadrants.photo(colour, quadrant))
        boxes[name] = [(quadrants.LABELS[colour], quadrants.box(quadrant))]
    (tmp_path / "boxes.json").write_text(json.dumps(quadrants.coco(boxes)))
    (tmp_path / "other.json").write_text(json.dumps(quadrants.coco({"x.png": [("red", (0, 0, 1, 1))]})))
    (tmp_path / "nothing").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"no image")
    return tmp_path


def evaluate(*options, data="photos"):
    return run(["evaluate", MODEL, "--data", data, "--steps", "4", *options])


def test_the_table_has_a_row_per_method_and_marks_the_best(folder, capsys):
    assert evaluate("--metrics", "deletion,complexity", "--methods", "eigen-cam,recipro-cam:pixel") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{MODEL}: 3 images"
    assert lines[2].split() == ["method", "Deletion", "↓", "Complexity", "↓"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[3:7]}
    assert list(rows) == ["eigen-cam", "recipro-cam:pixel", "random", "centre-gaussian"]
    assert rows["recipro-cam:pixel"] == ["0.415", "±0.000*", "0.250", "±0.000*"]
    assert rows["random"][0] > "0.415"
    assert not any("*" in cell for cell in rows["random"] + rows["centre-gaussian"])
    assert "deletion           4 steps, from the image to black" in lines


def test_metrics_that_do_not_fit_beside_the_others_stand_below(folder, capsys):
    assert evaluate("--annotations", "boxes.json", "--limit", "1") == 0
    captured = capsys.readouterr()
    blocks = [line for line in captured.out.splitlines() if line.startswith("method ")]
    assert len(blocks) > 1
    for metric in METRICS.values():
        assert sum(f" {metric.title} " in line for line in blocks) == 1
    table = captured.out.split("\nmean ±")[0]
    assert max(map(len, table.splitlines())) <= 120
    assert captured.err.split() == "measured model measured random measured centre-gaussian".split()


def test_csv_has_a_row_per_method_and_metric(folder):
    assert evaluate("--csv", "out.csv", "--annotations", "boxes.json") == 0
    with (folder / "out.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["model", "method", "metric", "better", "mean", "low", "high", "n"]
    assert len(rows) == 3 * len(METRICS)
    found = {(row["method"], row["metric"]): row for row in rows}
    complexity = found["model", "complexity"]
    assert (complexity["model"], complexity["better"], complexity["n"]) == (MODEL, "lower", "3")
    assert [float(complexity[name]) for name in ("mean", "low", "high")] == pytest.approx([0.25] * 3, abs=1e-6)
    drop = found["random", "average-drop"]
    assert float(drop["low"]) <= float(drop["mean"]) <= float(drop["high"])


def test_csv_says_what_was_not_measured(folder):
    save(insert(quadrants.classifier(), top_k=1), "best.xml")
    assert run("evaluate best.xml --data photos --metrics coherency --csv out.csv".split()) == 0
    with (folder / "out.csv").open(encoding="utf-8", newline="") as stream:
        row = next(csv.DictReader(stream))
    assert (row["method"], row["mean"], row["low"], row["high"], row["n"]) == ("model", "", "", "", "0")


def test_json_holds_figures_and_curves(folder, capsys):
    assert evaluate("--json", "--csv", "out.csv", "--annotations", "boxes.json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == 3
    assert [item["name"] for item in found["metrics"]] == list(METRICS)
    own, random, centre = found["results"]
    assert (own["method"], own["baseline"], random["baseline"], centre["baseline"]) == ("model", False, True, True)
    assert own["metrics"]["pointing-game"] == {"mean": 1, "low": 1, "high": 1, "n": 3}
    assert own["difference_to_first"] == {}
    assert random["difference_to_first"]["adcc"]["mean"] < 0
    assert len(own["curves"]["deletion"]["scores"]) == len(own["curves"]["deletion"]["fractions"]) == 5


def test_the_page_stands_alone_and_shows_all_curves(folder):
    assert evaluate("--report", "page.html", "--methods", "all") == 0
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert "http" not in page
    assert "<script" not in page
    assert "<i>" not in page
    assert "&lt;i&gt;quadrants.xml" in page
    drawings = re.findall(r"<svg viewBox=\"0 0 460.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 2
    names = [f"recipro-cam:{mask.value}:{score.value}" for mask in Mask for score in Score]
    names += ["activation-map", "eigen-cam", "random", "centre-gaussian"]
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        curves = root.findall("polyline")
        assert {curve.find("title").text for curve in curves} == set(names)
        for curve in curves:
            points = [tuple(map(float, point.split(","))) for point in curve.get("points").split()]
            assert [x for x, _ in points] == sorted(x for x, _ in points)
            assert all(46 <= x <= 448 and 12 <= y <= 258 for x, y in points)
            assert len(points) == 5
    for name in names:
        assert f"</svg>{name}</li>" in page


def test_an_image_that_cannot_be_read_is_told_and_skipped(folder, capsys):
    (folder / "photos" / "<b>.png").write_bytes(b"no image")
    assert evaluate("--metrics", "complexity", "--report", "page.html") == 9
    assert "skipped" in capsys.readouterr().err
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;.png" in page
    assert "<b>.png" not in page


def test_labels_and_classes_are_taken_from_the_caller(folder, capsys):
    (folder / "labels.txt").write_text("Rot\nGrün\nBlau\n", encoding="utf-8")
    assert evaluate("--labels", "labels.txt", "--classes", "blau", "--metrics", "sparsity") == 0
    assert "among blau" in capsys.readouterr().out


def test_the_way_a_photo_is_resized_is_taken_from_the_caller(folder, capsys):
    for resize in ("standard", "fit_to_window", "fit_to_window_letterbox", "crop"):
        assert evaluate("--resize", resize, "--input-color", "BGR", "--metrics", "sparsity", "--limit", "1") == 0
        assert re.search(
            rf"resize {resize}( of 1)? to 8x8 \(given\), input color bgr \(given\)", capsys.readouterr().out
        )


CASES = [
    ("--metrics insertoin", 2, "insertion"),
    ("--methods eigencamm", 2, "eigen"),
    ("--methods rise", 2, "--rise"),
    ("--methods eigen-cam:pixel", 2, "names a mask"),
    ("--methods class-probability-map", 5, "class-probability-map"),
    ("--metrics pointing-game", 2, "--annotations"),
    ("--annotations other.json", 7, "x.png"),
    ("--annotations none.json", 7, "none.json"),
    ("--classes eagle", 5, "eagle"),
    ("--classes all", 2, "all"),
    ("--limit 0", 2, "limit is 0"),
    ("--device NOPE", 10, "NOPE"),
    ("--labels none.txt", 7, "none.txt"),
    ("--mean 1,x", 2, "--mean"),
    ("--steps 65", 2, "65"),
    ("--report missing/page.html", 6, "missing"),
    ("--csv nothing", 6, "folder"),
]


@pytest.mark.parametrize(("options", "code", "text"), CASES, ids=[case[0] for case in CASES])
def test_a_mistake_is_one_line(folder, capsys, options, code, text):
    assert evaluate(*options.split()) == code
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("ov-xai: ")
    assert text in error
    assert sorted(path.name for path in folder.glob("*.html")) == []


@pytest.mark.parametrize(("data", "text"), [("nothing", "No images"), ("nowhere", "nowhere"), ("broken", "None of")])
def test_no_image_is_a_mistake(folder, capsys, data, text):
    assert evaluate(data=data) == 7
    assert text in capsys.readouterr().err


def test_a_detector_whose_scores_are_selected_says_so(folder, capsys):
    model, _ = detectors.selection_inside()
    ov.save_model(model, "detector.xml", compress_to_fp16=False)
    assert run("evaluate detector.xml --data photos --limit 1".split()) == 0
    assert "insertion, deletion, average-drop, adcc, road: not measured" in capsys.readouterr().out
    assert run("evaluate detector.xml --data photos --metrics road".split()) == 5
    assert "road: not measured" in capsys.readouterr().err


def test_the_help_names_every_metric():
    described = " ".join(option.help or "" for option in command.params if hasattr(option, "help"))
    assert all(name in described for name in METRICS)
