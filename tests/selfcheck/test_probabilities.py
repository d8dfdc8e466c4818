"""Maps of a detector that are not what its class scores give."""

from types import SimpleNamespace

import numpy as np
import pytest

from ov_xai import SelfCheckError
from ov_xai.selfcheck import probabilities
from ov_xai.selfcheck.probabilities import ClassMaps, check_probabilities

EXPECTED = np.arange(24, dtype=np.float64).reshape(1, 2, 3, 4)


def check(monkeypatch, found):
    every = ClassMaps(EXPECTED, EXPECTED.max((2, 3)))
    monkeypatch.setattr(probabilities, "class_maps", lambda *_: (found, every, None))
    check_probabilities(None, SimpleNamespace(head=object()))


def test_equal_maps_pass(monkeypatch):
    check(monkeypatch, EXPECTED + 1e-3)


def test_another_shape_is_refused(monkeypatch):
    with pytest.raises(SelfCheckError, match=r"\[1, 2, 3, 5\].*\[1, 2, 3, 4\]"):
        check(monkeypatch, np.zeros((1, 2, 3, 5)))


def test_other_values_are_refused(monkeypatch):
    with pytest.raises(SelfCheckError, match="differ from the class scores by"):
        check(monkeypatch, EXPECTED + 1e-2)
