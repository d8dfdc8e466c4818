"""ADCC and its parts."""

import numpy as np
import pytest

from ov_xai import RequestError
from ov_xai.metrics import adcc, average_drop, coherency, complexity, measure_adcc
from tests.metrics.networks import Brightness, random_case
from tests.reference import metrics as reference


@pytest.mark.parametrize(("score", "masked", "drop"), [(0.8, 0.6, 0.25), (0.8, 0.9, 0), (0.5, 0, 1), (0, 0.3, 0)])
def test_the_drop_is_relative_and_never_a_gain(score, masked, drop):
    assert average_drop(score, masked) == pytest.approx(drop, abs=1e-12)


def test_coherency_of_maps_that_agree_oppose_and_do_neither():
    ramp = np.array([[0.0, 1.0], [2.0, 3.0]])
    assert coherency(ramp, 5 * ramp + 1) == pytest.approx(1, abs=1e-12)
    assert coherency(ramp, -ramp) == pytest.approx(0, abs=1e-12)
    assert coherency(ramp, np.array([[1.0, 0], [0, 1]])) == pytest.approx(0.5, abs=1e-12)


def test_a_constant_map_is_coherent_with_nothing():
    ramp = np.array([[0.0, 1.0], [2.0, 3.0]])
    assert coherency(ramp, np.ones((2, 2))) == 0
    assert coherency(np.zeros((2, 2)), np.zeros((2, 2))) == 0


def test_coherency_of_tiny_values():
    ramp = np.array([[0.0, 1.0], [2.0, 3.0]])
    assert coherency(1e-200 * ramp, ramp) == pytest.approx(1, abs=1e-12)


def test_complexity_is_the_mean():
    assert complexity(np.array([[0, 1], [0.5, 0.1]])) == pytest.approx(0.4, abs=1e-12)


def test_adcc_is_the_harmonic_mean():
    """3 / (1 / 0.5 + 1 / (1 - 0.75) + 1 / (1 - 0.2)) = 3 / (2 + 4 + 1.25)."""
    assert adcc(0.2, 0.5, 0.75) == pytest.approx(3 / 7.25, abs=1e-12)
    assert adcc(0, 1, 0) == 1


@pytest.mark.parametrize("parts", [(1, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 1)])
def test_adcc_is_nothing_where_one_of_its_parts_is(parts):
    assert adcc(*parts) == 0


def shifted_explain(values):
    """Return what explains an image by a fixed map plus something of the image."""
    return lambda image, index: (values + 0.3 * np.abs(image).mean(2)).astype(np.float32) / 4


@pytest.mark.parametrize("seed", range(5))
def test_adcc_follows_the_reference(seed):
    network, image, values = random_case(seed)
    found = measure_adcc(network, shifted_explain(values), image, 2)
    assert network.batches == [2]
    expected = reference.adcc(network, shifted_explain(values), image, 2)
    measured = (found.average_drop, found.coherency, found.complexity, found.adcc)
    np.testing.assert_allclose(measured, expected, rtol=0, atol=1e-6)


def test_a_hand_computed_adcc():
    """The map keeps the bright half of the image; masked, nothing else changes, so coherency is 1."""
    image = np.array([[[0.8], [0.4]]], np.float32)
    found = measure_adcc(Brightness(), lambda image, index: np.array([[0.9, 0.1]], np.float32), image, 0)
    assert found.average_drop == pytest.approx(1 / 3, abs=1e-6)
    assert found.coherency == pytest.approx(1, abs=1e-12)
    assert found.complexity == 0.5
    assert found.adcc == pytest.approx(3 / (1 + 2 + 1.5), abs=1e-6)


def test_a_constant_map_masks_everything():
    found = measure_adcc(Brightness(), lambda image, index: np.full((1, 2), 0.7), np.full((1, 2, 1), 0.5), 0)
    assert (found.average_drop, found.coherency, found.complexity, found.adcc) == (1, 0, 0, 0)


def test_what_does_not_fit_is_refused():
    for scores in ((-0.1, 0.5), (0.5, np.nan), (np.inf, 0.5)):
        with pytest.raises(RequestError, match=r"score.*expected a finite number from 0\.$"):
            average_drop(*scores)
    with pytest.raises(RequestError, match=r"\[2, 2\] and \[2, 3\]"):
        coherency(np.eye(2), np.ones((2, 3)))
    with pytest.raises(RequestError, match=r"1\.5; expected a number from 0 to 1"):
        complexity(np.array([[0, 1.5]]))
    with pytest.raises(RequestError, match=r"coherency is 1\.2"):
        adcc(0.5, 1.2, 0.5)
    network, image, _ = random_case(0)
    with pytest.raises(RequestError, match=r"\[7, 7\].*Enlarge"):
        measure_adcc(network, lambda image, index: np.eye(7), image, 0)
    with pytest.raises(RequestError, match="not finite"):
        measure_adcc(network, lambda image, index: np.full((9, 11), np.nan), image, 0)
