"""What callers may give, and what is said about what they may not."""

import re
from pathlib import Path

import numpy as np
import pytest

from ov_xai import (
    CheckOptions,
    ClassChoice,
    EvaluationOptions,
    InputColor,
    InsertionRequest,
    Mask,
    Method,
    Normalise,
    Overrides,
    RequestError,
    Resize,
    insert,
    read_card,
    read_manifest,
)
from ov_xai.assets import asset_folder
from tests.models import classifier

CARD = min(asset_folder("model_patches").glob("*.toml"))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"method": "EigenCAM"}, Method.EIGEN_CAM),
        ({"method": "auto"}, None),
        ({"mask": "Gaussian"}, Mask.GAUSSIAN),
        ({"normalise": "none"}, Normalise.NONE),
        ({"grid": [14, 7]}, (14, 7)),
        ({"grid": np.array([14, 7])}, (14, 7)),
        ({"grid": "14x7"}, (14, 7)),
        ({"labels": ["a", "b c"]}, ("a", "b c")),
        ({"top_k": np.int64(3)}, 3),
        ({"score_output": 1}, "1"),
        ({"card": str(CARD)}, read_card(CARD)),
        ({"card": CARD}, read_card(CARD)),
    ],
)
def test_a_request_is_made_of_what_callers_have(given, kept):
    request = InsertionRequest(**given)
    (name,) = given
    assert getattr(request, name) == kept
    if name != "card":  # its conditions hold a dictionary
        assert hash(request) == hash(InsertionRequest(**{name: kept}))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": 3}, "method '3' is not known"),
        ({"mask": 3}, "mask '3' is not known"),
        ({"grid": [14]}, "grid is [14]; expected (rows, columns)"),
        ({"grid": [1, 1]}, "grid is [1, 1]; expected (rows, columns)"),
        ({"grid": [0, 7]}, "grid is [0, 7]; expected (rows, columns)"),
        ({"grid": 14}, "grid is 14; expected (rows, columns)"),
        ({"grid": (14.0, 14.0)}, "grid is (14.0, 14.0); expected (rows, columns)"),
        ({"labels": "abcde"}, "labels is 'abcde'; expected a list of texts"),
        ({"labels": 5}, "labels is 5; expected a list of texts"),
        ({"labels": ["a", 1]}, "labels holds 1; expected texts only"),
        ({"labels": ["a", " "]}, "Label 2 is ' '; expected printable text"),
        ({"top_k": "2"}, "top-k is '2'; expected a whole number from 1 to the number of classes"),
        ({"top_k": 2.5}, "top-k is 2.5; expected a whole number"),
        ({"top_k": True}, "top-k is True; expected a whole number"),
        ({"block": "1"}, "block is '1'; expected 1 (the last attention block) or more"),
        ({"target_layer": 3}, "target-layer is 3; expected the name"),
        ({"score_output": 1.5}, "score-output is 1.5; expected the name"),
        ({"card": 3}, "card is 3; expected a card, or the path of one"),
    ],
)
def test_what_is_no_request_is_refused(given, said):
    with pytest.raises(RequestError, match=re.escape(said)):
        InsertionRequest(**given)


def test_insert_takes_what_a_request_takes():
    model = insert(classifier("mean"), card=str(CARD), labels=list("abcde"), top_k=np.int32(2), self_check=False)
    assert read_manifest(model).top_k == 2
    with pytest.raises(RequestError, match="top-k is '2'"):
        insert(classifier("mean"), top_k="2")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"resize": "crop"}, Resize.CROP),
        ({"resize": "Fit-To-Window"}, Resize.FIT_TO_WINDOW),
        ({"input_color": "BGR"}, InputColor.BGR),
        ({"mean": 127}, (127.0,)),
        ({"scale": [1, 2.5, 3]}, (1.0, 2.5, 3.0)),
        ({"mean": np.array([1.0, 2.0, 3.0], np.float32)}, (1.0, 2.0, 3.0)),
    ],
)
def test_overrides_are_made_of_what_callers_have(given, kept):
    (name,) = given
    assert getattr(Overrides(**given), name) == kept


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"resize": "cropped"}, "resize 'cropped' is not known; expected one of: standard"),
        ({"input_color": 3}, "input_color '3' is not known; expected one of: rgb, bgr"),
        ({"mean": "127"}, "mean is '127'; expected a number, or one per channel"),
        ({"mean": []}, "mean is []; expected a number, or one per channel"),
        ({"scale": [1, None, 3]}, "scale is [1, None, 3]; expected a number, or one per channel"),
    ],
)
def test_wrong_overrides_are_refused_at_once(given, said):
    with pytest.raises(RequestError, match=re.escape(said)):
        Overrides(**given)


def test_several_names_are_no_single_text():
    assert ClassChoice(["cat", "dog"]).classes == ("cat", "dog")
    assert EvaluationOptions(classes=["cat"], metrics=["insertion"]).classes == ("cat",)
    for make in (
        lambda: ClassChoice(["cat", 3]),
        lambda: EvaluationOptions(classes="cat"),
        lambda: EvaluationOptions(metrics="insertion"),
    ):
        with pytest.raises(RequestError, match="expected"):
            make()
    with pytest.raises(RequestError, match="top-k is '2'"):
        ClassChoice(limit="2")


def test_paths_of_a_check_may_be_text():
    options = CheckOptions(data="photos", baseline="b.json", annotations="a.json")
    assert (options.data, options.baseline, options.annotations) == (Path("photos"), Path("b.json"), Path("a.json"))
    with pytest.raises(RequestError, match="data is 3; expected a path"):
        CheckOptions(data=3)
