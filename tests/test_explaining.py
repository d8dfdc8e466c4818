"""Which model `explain` runs: the one in the file, or one that is patched in memory."""

import pytest

from ov_xai import ClassChoice, InsertionRequest, ModelMismatchError, Normalise, insert, read_manifest, save
from ov_xai.cards import Card, Match, ScoreFacts
from ov_xai.explaining import ready_model
from tests.detectors import FORMS
from tests.models import HEIGHT, WIDTH, classifier
from tests.transformers import hidden_grid

CARD = Card(name="own", title="own", match=Match(made_by="softmax"), scores=ScoreFacts(background="last"))
RAW = InsertionRequest(normalise=Normalise.NONE)


def stored(folder, model, **options):
    path = folder / "model.xml"
    save(insert(model, self_check=False, **options), path)
    return path


def test_a_patched_model_is_taken_as_it_is(tmp_path):
    path = stored(tmp_path, classifier("mean"), top_k=2)
    assert read_manifest(ready_model(path, InsertionRequest(), ClassChoice())).top_k == 2


@pytest.mark.parametrize("request_", [RAW, InsertionRequest(method="eigen-cam")], ids=["raw", "eigen-cam"])
def test_other_maps_of_a_given_grid(tmp_path, request_):
    path = stored(tmp_path, hidden_grid(), grid=(HEIGHT, WIDTH))
    manifest = read_manifest(ready_model(path, request_, ClassChoice()))
    assert manifest.grid == [HEIGHT, WIDTH]


def test_other_maps_of_a_model_with_an_own_card_need_the_card(tmp_path):
    path = stored(tmp_path, FORMS["softmax_with_background"]()[0], card=CARD)
    assert read_manifest(ready_model(path, InsertionRequest(), ClassChoice())).card == "own"
    with pytest.raises(ModelMismatchError, match="--card"):
        ready_model(path, RAW, ClassChoice())
    again = read_manifest(ready_model(path, InsertionRequest(normalise=Normalise.NONE, card=CARD), ClassChoice()))
    assert again.classes == read_manifest(insert(FORMS["softmax_with_background"]()[0], card=CARD)).classes == 2
