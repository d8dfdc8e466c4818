"""The request that led to a patched model is read back from it."""

from dataclasses import replace

import numpy as np
import pytest

from ov_xai import InsertionRequest, insert, read_manifest
from ov_xai.cards import Card, Match, ScoreFacts
from ov_xai.errors import ModelMismatchError
from ov_xai.recall import recall_request
from tests.detectors import FORMS, segmenter
from tests.helpers import run
from tests.models import HEIGHT, WIDTH, classifier
from tests.transformers import TRANSFORMERS, hidden_grid

_TRANSFORMER = TRANSFORMERS["fused_gather"][0]
CASES = {
    "defaults": (lambda: classifier("mean"), {}),
    "top_k": (lambda: classifier("mean"), {"top_k": 2, "score": "probability", "mask": "gaussian"}),
    "raw": (lambda: classifier("two_dense"), {"normalise": "none", "feature_vector": True}),
    "named_target": (lambda: classifier("pointwise_then_mean"), {"target_layer": "target"}),
    "eigen_cam": (_TRANSFORMER, {"method": "eigen-cam", "feature_vector": True}),
    "class_token_as_vector": (_TRANSFORMER, {"feature_vector": True}),
    "earlier_block": (_TRANSFORMER, {"block": 2}),
    "two_branches": (TRANSFORMERS["two_branches"][0], {}),
    "hidden_grid": (hidden_grid, {"grid": (HEIGHT, WIDTH)}),
    "detector": (lambda: FORMS["softmax_with_background"]()[0], {}),
    "given_labels": (lambda: segmenter(classes=2), {"labels": ("road", "sky")}),
    "named_output": (lambda: segmenter(classes=2), {"score_output": "segmentation"}),
    "detector_by_maximum": (lambda: FORMS["columns_first"]()[0], {"combine": "max", "map_level": 1, "top_k": 2}),
    "detector_for_otx": (lambda: FORMS["columns_first"]()[0], {"compat": "otx"}),
    "detector_as_a_whole": (lambda: FORMS["columns_first"]()[0], {"method": "activation-map"}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_recalled_request_gives_the_same_model(name):
    build, options = CASES[name]
    model = build()
    patched = insert(model, InsertionRequest(**options), self_check=False)
    again = insert(model, recall_request(patched), self_check=False)
    assert read_manifest(again) == read_manifest(patched)
    shape = [abs(dim.get_length()) for dim in model.input(0).get_partial_shape()]
    image = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    for before, after in zip(run(patched, [image]), run(again, [image]), strict=True):
        assert before.tobytes() == after.tobytes()


def test_a_target_that_is_found_again_is_not_named():
    assert recall_request(insert(classifier("mean"), self_check=False)).target_layer is None
    layer = insert(_TRANSFORMER(), InsertionRequest(block=2), self_check=False)
    assert recall_request(layer).target_layer == read_manifest(layer).target[0]


def test_a_card_that_is_not_shipped_is_not_recalled():
    card = Card(name="own", title="own", match=Match(made_by="softmax"), scores=ScoreFacts(background="last"))
    patched = insert(FORMS["softmax_with_background"]()[0], InsertionRequest(card=card), self_check=False)
    with pytest.raises(ModelMismatchError, match="--card"):
        recall_request(patched)


def test_a_plain_model_carries_no_request():
    with pytest.raises(ModelMismatchError, match="manifest"):
        recall_request(classifier("mean"))


def test_other_options_are_told_apart():
    first = recall_request(insert(classifier("mean"), InsertionRequest(top_k=2), self_check=False))
    second = recall_request(insert(classifier("mean"), InsertionRequest(top_k=3), self_check=False))
    assert replace(first, top_k=3) == second != first
