"""Evaluation of detectors: their boxes and their confidences."""

import json

import numpy as np
import openvino as ov
import pytest

from ov_xai import Session, insert
from ov_xai.errors import ModelMismatchError
from ov_xai.evaluation import EvaluationOptions, evaluate
from ov_xai.runtime.detections import best_confidences, read_detections
from tests import detectors, quadrants
from tests.evaluation.common import ROUNDING, enlarged
from tests.helpers import F32


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
