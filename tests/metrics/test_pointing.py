"""The pointing game, and the one of energy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ov_xai import RequestError
from ov_xai.metrics import centre_gaussian, energy_pointing_game, pointing_game
from tests.reference import metrics as reference

CORNERS = st.tuples(*[st.integers(0, 12)] * 4).map(
    lambda edges: (min(edges[::2]), min(edges[1::2]), max(edges[::2]), max(edges[1::2]))
)


def one_peak(row, column, shape=(20, 30)):
    values = np.zeros(shape, np.float32)
    values[row, column] = 1
    return values


def test_a_peak_in_the_box_hits():
    assert pointing_game(one_peak(5, 7), [[7, 5, 8, 6]], tolerance=0)


def test_a_box_is_xyxy_and_not_rows_first():
    assert not pointing_game(one_peak(5, 7), [[5, 7, 6, 8]], tolerance=0)


@pytest.mark.parametrize(("tolerance", "hit"), [(4.9, False), (5.0, True)])
def test_the_tolerance_is_the_distance_to_the_box(tolerance, hit):
    """The pixel's centre (10.5, 10.5) is 3 beside and 4 above the corner (13.5, 14.5)."""
    assert pointing_game(one_peak(10, 10), [[13.5, 14.5, 20, 20]], tolerance) is hit


@pytest.mark.parametrize("tolerance", [-1.0, np.nan, np.inf])
def test_a_tolerance_that_is_no_distance_is_refused(tolerance):
    with pytest.raises(RequestError, match=rf"tolerance is {tolerance:g}; expected a finite number from 0\.$"):
        pointing_game(one_peak(10, 10), [[0, 0, 5, 5]], tolerance)


def test_the_nearest_of_several_boxes_counts():
    assert pointing_game(one_peak(10, 10), [[25, 0, 30, 2], [10, 10, 12, 12]], tolerance=0)


def test_a_constant_map_never_hits():
    assert not pointing_game(np.full((20, 30), 0.5), [[0, 0, 30, 20]])


def test_a_tie_hits_only_when_all_its_peaks_do():
    values = one_peak(5, 5) + one_peak(5, 25)
    assert not pointing_game(values, [[4, 4, 7, 7]], tolerance=1)
    assert pointing_game(values, [[4, 4, 7, 7], [24, 4, 27, 7]], tolerance=1)


def test_the_mean_of_two_peaks_is_no_peak():
    assert not pointing_game(one_peak(5, 5) + one_peak(5, 25), [[14, 4, 17, 7]], tolerance=1)


@settings(deadline=None)
@given(st.data())
def test_pointing_follows_the_reference(data):
    values = np.array(data.draw(st.lists(st.integers(0, 4), min_size=48, max_size=48)), float).reshape(6, 8)
    boxes = data.draw(st.lists(CORNERS, min_size=1, max_size=3))
    tolerance = data.draw(st.sampled_from([0.0, 0.5, 1.0, 2.5]))
    assert pointing_game(values, boxes, tolerance) == reference.hits(values, boxes, tolerance)


def test_the_mass_in_a_box():
    values = np.array([[1, 2, 3], [4, 5, 6]], float)
    assert energy_pointing_game(values, [[1, 0, 3, 1]]) == pytest.approx(5 / 21, abs=1e-12)


def test_boxes_that_overlap_count_once():
    assert energy_pointing_game(np.ones((4, 4)), [[0, 0, 2, 2], [1, 0, 3, 2]]) == pytest.approx(6 / 16, abs=1e-12)


def test_a_perfect_map_has_all_its_mass_inside():
    values = np.zeros((10, 10))
    values[2:5, 3:9] = 0.7
    assert energy_pointing_game(values, [[3, 2, 9, 5]]) == 1
    assert energy_pointing_game(values, [[0, 6, 10, 10]]) == 0


def test_a_map_without_mass_points_at_nothing():
    assert energy_pointing_game(np.zeros((4, 4)), [[0, 0, 4, 4]]) == 0


def test_tiny_and_huge_masses_are_summed():
    for size in (1e-320, 1e307):
        assert energy_pointing_game(np.full((10, 10), size), [[0, 0, 5, 10]]) == pytest.approx(0.5, abs=1e-12)


@settings(deadline=None)
@given(st.data())
def test_energy_follows_the_reference(data):
    values = np.array(data.draw(st.lists(st.integers(0, 9), min_size=48, max_size=48)), float).reshape(6, 8)
    values[0, 0] += 1
    boxes = data.draw(st.lists(CORNERS, min_size=1, max_size=3))
    assert energy_pointing_game(values, boxes) == pytest.approx(reference.energy(values, boxes), abs=1e-12)


def test_the_centre_points_at_what_is_in_the_centre():
    values = centre_gaussian(60, 80)
    assert pointing_game(values, [[30, 20, 50, 40]], tolerance=0)
    assert not pointing_game(values, [[0, 0, 10, 10]])


@pytest.mark.parametrize("game", [pointing_game, energy_pointing_game])
@pytest.mark.parametrize(
    ("values", "boxes", "message"),
    [
        (np.full((2, 2), np.nan), [[0, 0, 1, 1]], "not finite"),
        (np.ones((2, 2, 1)), [[0, 0, 1, 1]], r"\[2, 2, 1\].*\[H, W\]"),
        (np.ones((0, 2)), [[0, 0, 1, 1]], "empty"),
        (np.ones((2, 2)), [], "boxes"),
        (np.ones((2, 2)), [[0, 0, 1]], r"\[1, 3\].*xyxy"),
        (np.ones((2, 2)), [[1, 0, 0, 1]], "before it begins"),
        (np.ones((2, 2)), [[0, 0, np.inf, 1]], "not finite"),
        (np.array([["a"]]), [[0, 0, 1, 1]], "numbers"),
    ],
)
def test_what_does_not_fit_is_refused(game, values, boxes, message):
    with pytest.raises(RequestError, match=message):
        game(values, boxes)


def test_negative_values_have_no_mass():
    with pytest.raises(RequestError, match="negative"):
        energy_pointing_game(np.array([[1.0, -0.5]]), [[0, 0, 1, 1]])


@pytest.mark.parametrize("tolerance", [-1, np.nan])
def test_the_tolerance_is_not_negative(tolerance):
    with pytest.raises(RequestError, match="tolerance"):
        pointing_game(one_peak(1, 1), [[0, 0, 1, 1]], tolerance)
