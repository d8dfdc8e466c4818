"""Where masked runs round activations, and which models count as transformers."""

import numpy as np
import pytest

from ov_xai import insert, insertion, quantize, read_manifest
from ov_xai.analysis.attention import has_attention
from ov_xai.errors import SelfCheckError
from ov_xai.graph.trial import bypass
from ov_xai.graph.view import GraphView
from ov_xai.quantization.calibration import Feeder
from ov_xai.selfcheck import check_maps
from tests.helpers import assert_maps_equal, run
from tests.models import CLOSED_FORM, MOSAIC, classifier, random_image
from tests.quantization.common import NOISE, patched_int8, pictures, plain_int8
from tests.reference.mosaic import literal_logits, maps_from_logits
from tests.transformers import TRANSFORMERS


def test_maps_of_a_transformer_are_those_of_its_head_without_rounding():
    """As an independent computation the roundings behind the target are taken out of the quantised model itself."""
    model = plain_int8("shapes_vit").clone()
    manifest = read_manifest(patched_int8("shapes_vit"))
    assert not manifest.rounded
    view = GraphView(model)
    target = view.find(manifest.target[0])
    for node in view.ordered(view.descendants([target])):
        if node.get_type_name() == "FakeQuantize" and node.get_friendly_name() != manifest.target[0]:
            bypass(node.output(0))
    config = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
    (tensor,) = Feeder(model)(pictures("shapes_vit")[0]).values()
    expected = run(insert(model, self_check=False), [tensor], config)[1]
    found = run(patched_int8("shapes_vit"), [tensor])[1]
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", ["efficientnet_lite0", "nanodet_g"])
def test_convolutional_heads_keep_their_rounding(name):
    assert read_manifest(patched_int8(name)).rounded


def test_rounding_is_left_out_where_the_check_fails_with_it(monkeypatch):
    def strict(probe, anatomy, plan):
        if plan.rounded:
            raise SelfCheckError("differs")
        check_maps(probe, anatomy, plan)

    monkeypatch.setattr(insertion, "check_maps", strict)
    exact, image = classifier("two_dense"), random_image()
    with pytest.raises(SelfCheckError):  # nothing is rounded, so there is nothing to leave out
        insert(exact)
    model = quantize(exact, NOISE)
    patched = insert(model, normalise="none")
    manifest = read_manifest(patched)
    assert not manifest.rounded
    logits, grid = literal_logits(model, manifest.target[0], [image], "pixel", (2, 3), rounded=False)
    assert_maps_equal(run(patched, [image])[1], maps_from_logits(logits, grid))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_attention_is_found(name):
    assert has_attention(TRANSFORMERS[name][0]())


@pytest.mark.parametrize("name", [*CLOSED_FORM, *MOSAIC])
def test_no_attention_is_found_in_a_convolutional_network(name):
    assert not has_attention(classifier(name))


def test_the_kind_of_model_is_told_from_its_structure():
    for name, attends in (("shapes_vit", "transformer"), ("efficientnet_lite0", "None")):
        assert plain_int8(name).get_rt_info(["nncf", "quantization", "model_type"]).astype(str) == attends
