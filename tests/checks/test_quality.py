"""Figures of quality against a baseline, with a stand-in for what measures them."""

import json
from dataclasses import dataclass
from types import SimpleNamespace

import cv2
import numpy as np
import openvino as ov
import pytest

from ov_xai import InputError, MissingExtraError, OutputError, RequestError, check, insert, save
from ov_xai.checks import Outcome, quality
from ov_xai.checks.baseline import Figure
from tests.models import CLASSES, classifier


@dataclass(frozen=True)
class Interval:
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Metric:
    higher_is_better: bool


LABELS = tuple(f"kind {index}" for index in range(CLASSES))
METRICS = {"hits": Metric(True), "deletion": Metric(False)}


class StandIn:
    """Has the form of a result of `evaluate`: a baseline beside the maps of the model."""

    def __init__(self, name, intervals):
        self.name = name
        self.intervals = lambda: intervals


@pytest.fixture
def paths(tmp_path):
    """Return an original, a patched model and a folder with an image."""
    original, patched, photos = tmp_path / "model.xml", tmp_path / "patched.xml", tmp_path / "photos"
    save(classifier("mean"), original)
    save(insert(original), patched)
    photos.mkdir()
    cv2.imwrite(str(photos / "a.png"), np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8))
    return original, patched, photos


@pytest.fixture
def figures(monkeypatch):
    """Return a function that lets the stand-in find these figures."""

    def find(**values):
        found = {name: Interval(value, value - 0.02, value + 0.02) for name, value in values.items()}

        def evaluate(model, data, *, methods, annotations):
            assert annotations is None
            assert methods == ("model",)
            assert model.output("saliency_map")
            return SimpleNamespace(results=(StandIn("random", {}), StandIn("model", found)))

        monkeypatch.setattr(quality, "METRICS", METRICS)
        monkeypatch.setattr(quality, "evaluate", evaluate)

    return find


def outcome(paths, baseline, **options):
    original, patched, photos = paths
    verdict = check(original, patched, data=photos, baseline=baseline, only=["QLT001"], **options)
    return verdict.results[0].outcome, verdict.results[0].finding


def write(paths, path, **options):
    original, patched, photos = paths
    return check(original, patched, data=photos, write_baseline=path, only=["MAN", "QLT"], **options)


def test_the_baseline_says_what_was_measured(paths, figures, tmp_path):
    figures(hits=0.8, deletion=0.3)
    assert write(paths, tmp_path / "baseline.json").ok
    record = json.loads((tmp_path / "baseline.json").read_text())
    assert record["schema"] == 1
    assert record["images"] == 1
    assert len(record["model_sha256"]) == len(record["images_sha256"]) == 64
    assert record["metrics"]["hits"] == {"value": 0.8, "margin": pytest.approx(0.02), "higher_is_better": True}
    assert record["metrics"]["deletion"]["higher_is_better"] is False


@pytest.mark.parametrize(
    ("hits", "deletion", "expected", "named"),
    [
        (0.8, 0.3, Outcome.PASSED, "2 figures"),
        (0.79, 0.31, Outcome.PASSED, "2 figures"),
        (0.95, 0.1, Outcome.PASSED, "2 figures"),
        (0.77, 0.3, Outcome.FAILED, "hits was 0.8 and is 0.77"),
        (0.8, 0.33, Outcome.FAILED, "deletion was 0.3 and is 0.33"),
        (float("nan"), 0.3, Outcome.FAILED, "hits"),
    ],
)
def test_a_figure_that_is_worse_by_more_than_its_margin_fails(
    paths, figures, tmp_path, hits, deletion, expected, named
):
    figures(hits=0.8, deletion=0.3)
    write(paths, tmp_path / "baseline.json")
    figures(hits=hits, deletion=deletion)
    found, finding = outcome(paths, tmp_path / "baseline.json")
    assert found is expected, finding
    assert named in finding


def test_a_figure_that_is_not_measured_any_more_fails(paths, figures, tmp_path):
    figures(hits=0.8, deletion=0.3)
    write(paths, tmp_path / "baseline.json")
    figures(hits=0.8)
    found, finding = outcome(paths, tmp_path / "baseline.json")
    assert found is Outcome.FAILED
    assert "deletion is not measured" in finding


def test_a_baseline_of_other_images_fails(paths, figures, tmp_path):
    figures(hits=0.8)
    write(paths, tmp_path / "baseline.json")
    cv2.imwrite(str(paths[2] / "b.png"), np.zeros((20, 20, 3), np.uint8))
    found, finding = outcome(paths, tmp_path / "baseline.json")
    assert found is Outcome.FAILED
    assert "other images" in finding


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("no json", "is none"),
        ("{}", "is none"),
        (None, "cannot be read"),
        (
            '{"schema": 2, "ov_xai": "", "model_sha256": "", "images": 1, "images_sha256": "", "metrics": {}}',
            "schema 2",
        ),
        (
            '{"schema": 1, "ov_xai": "", "model_sha256": "", "images": 1, "images_sha256": "", '
            '"metrics": {"hits": {"value": 1, "margin": -1, "higher_is_better": true}}}',
            "is none",
        ),
    ],
)
def test_a_baseline_that_cannot_be_read_is_refused(paths, figures, tmp_path, text, named):
    figures(hits=0.8)
    path = tmp_path / "baseline.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=named):
        outcome(paths, path)


def test_a_baseline_is_not_written_when_a_check_fails(paths, figures, tmp_path):
    figures(hits=0.8)
    original, patched, photos = paths
    save(classifier("max"), original)
    verdict = check(original, patched, data=photos, write_baseline=tmp_path / "baseline.json", only=["MAN003"])
    assert not verdict.ok
    assert not (tmp_path / "baseline.json").exists()


def test_a_baseline_that_cannot_be_written_is_an_error(paths, figures, tmp_path):
    figures(hits=0.8)
    with pytest.raises(OutputError, match="cannot be written"):
        write(paths, tmp_path / "missing" / "baseline.json")


def test_a_baseline_needs_images(paths, tmp_path):
    with pytest.raises(RequestError, match="--data"):
        check(*paths[:2], baseline=tmp_path / "baseline.json")


def test_without_what_measures_them_nothing_is_passed(paths, figures, tmp_path, monkeypatch):
    figures(hits=0.8)
    write(paths, tmp_path / "baseline.json")

    def missing(model, data, annotations):
        raise MissingExtraError("scipy", "evaluate")

    monkeypatch.setattr(quality, "measure", missing)
    found, finding = outcome(paths, tmp_path / "baseline.json")
    assert found is Outcome.ERROR
    assert "ov-xai[evaluate]" in finding
    with pytest.raises(MissingExtraError):
        write(paths, tmp_path / "again.json")


def test_a_model_without_outputs_of_its_own_fails(paths, tmp_path):
    assert write(paths, tmp_path / "baseline.json").ok
    model = ov.Core().read_model(paths[1])
    model.get_results()[0].set_friendly_name("ov_xai/mine")
    save(model, tmp_path / "other.xml")
    found, finding = outcome((paths[0], tmp_path / "other.xml", paths[2]), tmp_path / "baseline.json")
    assert found is Outcome.FAILED
    assert "tells of output 0, counted from 0, but the model without its saliency branch has 0 outputs" in finding


def test_figures_are_measured_once(paths, figures, tmp_path, monkeypatch):
    figures(hits=0.8)
    write(paths, tmp_path / "baseline.json")
    calls = []

    def counted(model, data, annotations):
        calls.append(data)
        return {"hits": Figure(0.8, 0.02, True)}

    monkeypatch.setattr(quality, "measure", counted)
    assert outcome(paths, tmp_path / "baseline.json", write_baseline=tmp_path / "again.json")[0] is Outcome.PASSED
    assert len(calls) == 1


def test_the_metrics_of_evaluate_are_measured(paths, tmp_path):
    assert write(paths, tmp_path / "baseline.json").ok
    metrics = json.loads((tmp_path / "baseline.json").read_text())["metrics"]
    assert {"insertion", "deletion", "average-drop", "adcc"} <= metrics.keys()
    assert metrics["insertion"]["higher_is_better"]
    assert not metrics["deletion"]["higher_is_better"]
    assert outcome(paths, tmp_path / "baseline.json")[0] is Outcome.PASSED


@pytest.fixture
def annotations(tmp_path):
    """Return a file where each of `LABELS` fills the image."""
    boxes = {
        "images": [{"id": 1, "file_name": "a.png", "width": 20, "height": 20}],
        "categories": [{"id": index, "name": label} for index, label in enumerate(LABELS)],
        "annotations": [{"id": i, "image_id": 1, "category_id": i, "bbox": [0, 0, 20, 20]} for i in range(CLASSES)],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    return tmp_path / "boxes.json"


def test_annotated_boxes_add_the_pointing_games(paths, annotations, tmp_path):
    original, patched, _ = paths
    save(insert(original, labels=LABELS), patched)
    path = tmp_path / "baseline.json"
    assert write(paths, path, annotations=annotations).ok
    assert json.loads(path.read_text())["metrics"]["pointing-game"]["value"] == 1
    assert outcome(paths, path, annotations=annotations)[0] is Outcome.PASSED
    found, finding = outcome(paths, path)
    assert found is Outcome.FAILED
    assert "pointing-game is not measured any more" in finding
    assert "give them with --annotations" in finding


def test_annotations_of_other_labels_are_an_error(paths, annotations, tmp_path):
    with pytest.raises(InputError, match=r"boxes\.json' gives no pointing game: no annotated box is of an explained"):
        check(
            *paths[:2], data=paths[2], write_baseline=tmp_path / "baseline.json", only=["MAN"], annotations=annotations
        )


def test_annotations_that_cannot_be_read_are_refused_at_once(paths, tmp_path):
    with pytest.raises(InputError, match=r"missing\.json' cannot be read"):
        write(paths, tmp_path / "baseline.json", annotations=tmp_path / "missing.json")


def test_annotations_without_a_baseline_are_refused(paths, tmp_path):
    with pytest.raises(RequestError, match="Annotations serve a baseline"):
        check(*paths[:2], data=paths[2], annotations=tmp_path / "boxes.json")
