"""Trained models whose maps point at what they explain.

The scenes are drawn, so where each shape is, is known; none of them was trained on.
"""

import importlib
import sys

import pytest

from ov_xai import insert, read_manifest
from ov_xai.assets import asset_folder
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def pointing():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        yield importlib.import_module("pointing")
    finally:
        sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture(scope="module", params=["shapes_vit", "shapes_detector"])
def patched(request):
    return insert(asset_folder("data") / "models" / f"{request.param}.xml")


@pytest.fixture(scope="module")
def figures(pointing, patched):
    return pointing.evaluate(patched)


def test_what_was_inserted(patched):
    manifest = read_manifest(patched)
    if manifest.task == "classification":
        assert (manifest.strategy, manifest.kept_tokens, manifest.mask) == ("closed-form", 1, "gaussian")
    else:
        assert (manifest.method, manifest.levels) == ("class-probability-map", [[12, 12], [6, 6]])


def test_peaks_lie_in_the_boxes_of_predicted_classes(figures):
    assert figures.total > 1000
    assert figures.hits / figures.total >= 0.95


def test_random_places_would_not(figures):
    assert figures.chance < 0.2


def test_the_models_are_worth_explaining(figures):
    assert figures.f1.mean() > 0.95


@pytest.mark.parametrize("patched", ["shapes_detector"], indirect=True)
def test_a_detector_shows_no_class_that_is_absent(figures):
    assert figures.predicted.any()
    assert not (figures.predicted & ~figures.present).any()
