"""Quantised models: the predictions of the plain one, and maps like those before."""

import numpy as np
import openvino as ov
import pytest

from ov_xai import InsertionRequest, Session, insert, quantize, read_manifest, remove, save
from ov_xai.graph.io import read_model, source_digest
from ov_xai.graph.model_info import read_labels
from ov_xai.quantization.calibration import Feeder
from tests.helpers import run
from tests.models import classifier
from tests.quantization.common import (
    BUNDLED,
    NOISE,
    assert_same_predictions,
    bundled,
    correlation,
    patched_int8,
    pictures,
    plain_int8,
)
from tests.transformers import TRANSFORMERS


@pytest.mark.parametrize("name", BUNDLED)
def test_predictions_are_those_of_the_plain_quantised_model(name):
    assert_same_predictions(plain_int8(name), patched_int8(name), pictures(name))
    assert read_manifest(patched_int8(name)).exact_outputs


@pytest.mark.parametrize("name", BUNDLED)
def test_maps_of_predicted_classes_stay_close(name):
    exact, rounded = Session(insert(bundled(name))), Session(patched_int8(name))
    raw = {session: session.map(pictures(name)) for session in (exact, rounded)}
    found = []
    for before, after in zip(*raw.values(), strict=True):
        for index in sorted({prediction.index for prediction in before.predictions}):
            label = exact.labels[index]
            if label in after.maps:
                found.append(correlation(before.maps[label], after.maps[label]))
    assert len(found) >= 5
    assert np.mean(found) >= 0.99, found


def test_no_weights_of_a_branch_are_computed_while_a_model_is_loaded():
    """What several streams compute there at once is now and then wrong (OpenVINO 2026.4)."""
    compiled = ov.Core().compile_model(patched_int8("shapes_vit"), "CPU")
    constant, computed = set(), []
    for node in compiled.get_runtime_model().get_ordered_ops():
        name, kind = node.get_friendly_name(), node.get_rt_info()["layerType"].astype(str)
        sources = [source.get_node().get_friendly_name() for source in node.input_values()]
        if kind == "Const" or (sources and constant.issuperset(sources)):
            constant.add(name)
            if kind in ("Convert", "Eltwise") and name.startswith("ov_xai"):
                computed.append(name)
    assert len(constant) > 20
    assert not computed


@pytest.mark.parametrize("name", BUNDLED)
def test_the_manifest_is_that_of_an_insertion_into_the_quantised_model(name):
    before, after = read_manifest(insert(bundled(name))), read_manifest(patched_int8(name))
    for entry in ("task", "method", "grid", "mask", "score", "classes", "top_k", "strategy", "levels", "kept_tokens"):
        assert getattr(before, entry) == getattr(after, entry), entry
    assert after.source_sha256 == source_digest(plain_int8(name)) != before.source_sha256


@pytest.mark.parametrize("name", BUNDLED)
def test_what_the_model_says_about_itself_is_kept(name):
    source = read_model(bundled(name))
    for model in (plain_int8(name), patched_int8(name)):
        assert read_labels(model) == read_labels(source)
        for key in source.get_rt_info(["model_info"]).value:
            path = ["model_info", key]
            assert model.get_rt_info(path).astype(str) == source.get_rt_info(path).astype(str)
        for old, new in zip(source.outputs, model.outputs, strict=False):
            assert old.get_names() == new.get_names()


def test_the_same_input_gives_the_same_bytes(tmp_path):
    for attempt in "ab":
        save(quantize(insert(bundled("shapes_vit")), pictures("shapes_vit")), tmp_path / f"{attempt}.xml")
    for suffix in (".xml", ".bin"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_weights_become_eight_bits_and_nothing_becomes_half_precision():
    types = {node.get_element_type() for node in quantize(classifier("two_dense"), NOISE).get_ops()}
    assert ov.Type.i8 in types
    assert ov.Type.f16 not in types


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("efficientnet_lite0", {"top_k": 3, "feature_vector": True}),
        ("shapes_vit", {"top_k": 2, "feature_vector": True}),
        ("shapes_vit", {"method": "eigen-cam", "feature_vector": True}),
        ("shapes_vit", {"method": "activation-map"}),
        ("nanodet_g", {"method": "eigen-cam", "feature_vector": True}),
    ],
)
def test_a_quantised_model_is_patched_like_any_other(name, options):
    patched = insert(plain_int8(name), InsertionRequest(**options))
    assert_same_predictions(plain_int8(name), patched, pictures(name)[:3])
    before, after = insert(bundled(name), InsertionRequest(**options)), patched
    (tensor,) = Feeder(before)(pictures(name)[0]).values()
    names = [sorted(output.get_names())[0] for output in before.outputs]
    old, new = dict(zip(names, run(before, [tensor]), strict=True)), dict(zip(names, run(after, [tensor]), strict=True))
    assert old["saliency_map"].shape == new["saliency_map"].shape
    if "feature_vector" in old:
        assert correlation(old["feature_vector"], new["feature_vector"]) > 0.95
    if options.get("method") in ("activation-map", "eigen-cam"):
        assert abs(correlation(old["saliency_map"], new["saliency_map"])) > 0.85  # Eigen-CAM may turn its sign


@pytest.mark.parametrize("options", [{"top_k": 2}, {"method": "eigen-cam", "feature_vector": True}, {"block": 2}])
def test_a_branch_comes_back_as_it_was(options):
    model = TRANSFORMERS["fused_gather"][0]()
    patched = insert(model, InsertionRequest(**options), self_check=False)
    result = quantize(patched, NOISE)
    before, after = read_manifest(patched), read_manifest(result)
    for entry in ("method", "grid", "mask", "top_k", "kept_tokens", "strategy"):
        assert getattr(before, entry) == getattr(after, entry), entry
    assert [output.get_names() for output in result.outputs] == [output.get_names() for output in patched.outputs]
    assert_same_predictions(quantize(model, NOISE), result, NOISE)


def test_stripping_the_branch_gives_the_plain_quantised_model(tmp_path):
    save(remove(patched_int8("shapes_detector")), tmp_path / "a.xml")
    save(plain_int8("shapes_detector"), tmp_path / "b.xml")
    for suffix in (".xml", ".bin"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
