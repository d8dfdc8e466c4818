"""What is measured of maps alone: sparsity and rank correlation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ov_xai import RequestError
from ov_xai.metrics import random_map, rank_correlation, sparsity
from tests.reference import metrics as reference


def test_sparsity_by_hand():
    assert sparsity(np.array([[0, 1], [0.25, 0.75]])) == pytest.approx(2, abs=1e-12)


def test_sparsity_is_that_of_the_scaled_map():
    values = np.array([[0, 1], [0.25, 0.75]])
    assert sparsity(3 * values + 10) == pytest.approx(2, abs=1e-12)


def test_sparsity_of_one_pixel_and_of_all():
    peak = np.zeros((5, 8))
    peak[2, 3] = 0.4
    assert sparsity(peak) == pytest.approx(40, abs=1e-12)
    assert sparsity(np.zeros((5, 8))) == sparsity(np.full((5, 8), 0.4)) == 1


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_sparsity_follows_the_reference(seed):
    values = random_map(9, 12, seed)
    scaled = reference.scaled(values)
    assert sparsity(values) == pytest.approx(max(scaled.reshape(-1)) / (sum(scaled.reshape(-1)) / 108), rel=1e-9)


def test_rank_correlation_by_hand():
    """Ranks 1 2 3 4 and 2 1 4 3: 1 - 6 * 4 / (4 * 15)."""
    one, other = np.array([[1, 5], [6, 90]]), np.array([[0.2, 0.1], [0.9, 0.3]])
    assert rank_correlation(one, other) == pytest.approx(0.6, abs=1e-12)


def test_equal_pixels_share_their_rank():
    """Ranks 1.5 1.5 3 4 and 1 2 3 4: covariance 4.5, variances 4.5 and 5."""
    one, other = np.array([[0, 0], [1, 2]]), np.array([[0, 1], [2, 3]])
    assert rank_correlation(one, other) == pytest.approx(4.5 / np.sqrt(4.5 * 5), abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=12, max_size=12))
def test_rank_correlation_follows_the_reference(pairs):
    one, other = np.array(pairs, float).T.reshape(2, 3, 4)
    expected = 0 if np.ptp(one) == 0 or np.ptp(other) == 0 else reference.spearman(one, other)
    assert rank_correlation(one, other) == pytest.approx(expected, abs=1e-9)


def test_monotone_transforms_keep_the_ranks():
    values = random_map(12, 9, seed=3).astype(np.float64)
    assert rank_correlation(values, np.exp(5 * values)) == pytest.approx(1, abs=1e-12)
    assert rank_correlation(values, -values) == pytest.approx(-1, abs=1e-12)


def test_a_constant_map_ranks_nothing():
    assert rank_correlation(np.ones((3, 3)), np.eye(3)) == 0
    assert rank_correlation(np.ones((3, 3)), np.ones((3, 3))) == 0


def test_what_does_not_fit_is_refused():
    with pytest.raises(RequestError, match=r"\[3, 3\] and \[3, 4\]"):
        rank_correlation(np.eye(3), np.eye(3, 4))
    with pytest.raises(RequestError, match="not finite"):
        rank_correlation(np.eye(3), np.full((3, 3), np.nan))
    with pytest.raises(RequestError, match="not finite"):
        sparsity(np.full((3, 3), np.nan))
