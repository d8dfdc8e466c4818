"""Means over images and how sure they are."""

import random
import statistics

import numpy as np
import pytest

from ov_xai import RequestError
from ov_xai.metrics import Interval, bootstrap_interval, paired_difference


def literal_interval(values, confidence, resamples):
    """Return the ends of a percentile bootstrap interval, draw by draw."""
    draw = random.Random(0)
    means = sorted(statistics.fmean(draw.choices(values, k=len(values))) for _ in range(resamples))
    tail = (1 - confidence) / 2
    return means[round(tail * (resamples - 1))], means[round((1 - tail) * (resamples - 1))]


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
def test_the_interval_follows_the_reference(confidence):
    """The ends of 20 000 resamples scatter by some 0.02 standard errors, 0.2 of which are allowed."""
    values = np.random.default_rng(1).gamma(2, size=30)
    found = bootstrap_interval(values, confidence=confidence, resamples=20_000)
    expected = literal_interval(list(values), confidence, 20_000)
    allowed = 0.2 * values.std() / np.sqrt(values.size)
    assert found.mean == pytest.approx(values.mean(), abs=1e-12)
    assert found.low == pytest.approx(expected[0], abs=allowed)
    assert found.high == pytest.approx(expected[1], abs=allowed)


def test_two_values_by_hand():
    """Means of two draws from 0 and 1 are 0, 0.5 and 1 with probabilities 1/4, 1/2, 1/4."""
    assert bootstrap_interval([0, 1]) == Interval(0.5, 0, 1)
    assert bootstrap_interval([0, 1], confidence=0.4) == Interval(0.5, 0.5, 0.5)


def test_many_values_come_near_the_normal_interval():
    values = np.random.default_rng(0).normal(3, 2, 4000)
    found = bootstrap_interval(values)
    half = 1.96 * values.std() / np.sqrt(values.size)
    assert found.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05 * half)


@pytest.mark.parametrize("values", [[0.1], [0.1] * 7, [1, 1, 1]])
def test_equal_values_have_an_interval_without_width(values):
    assert bootstrap_interval(values) == Interval(values[0], values[0], values[0])


@pytest.mark.parametrize("values", [[1] * 49 + [0], [0.0, 1e-300], [1e-9, 1, 1, 1]])
def test_the_interval_is_defined_for_any_values(values):
    found = bootstrap_interval(values)
    assert min(values) <= found.low <= found.mean <= found.high <= max(values)


def test_the_seed_decides_on_the_draws():
    values = np.random.default_rng(0).random(20)
    assert bootstrap_interval(values, seed=4) == bootstrap_interval(values, seed=4)
    assert bootstrap_interval(values, seed=4) != bootstrap_interval(values, seed=5)


def test_more_confidence_is_a_wider_interval():
    values = np.random.default_rng(0).random(20)
    narrow, wide = bootstrap_interval(values, confidence=0.8), bootstrap_interval(values, confidence=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_pairs_differ_where_unpaired_values_would_not():
    """Each image differs by 0.1 give or take 0.01, among images that differ by 1."""
    generator = np.random.default_rng(0)
    images = generator.normal(0, 1, 50)
    found = paired_difference(images + 0.1 + generator.normal(0, 0.01, 50), images)
    assert 0.09 < found.low < found.mean < found.high < 0.11


def test_a_difference_is_the_interval_of_the_differences():
    one, other = np.random.default_rng(0).random((2, 25))
    options = {"confidence": 0.9, "resamples": 500, "seed": 3}
    assert paired_difference(one, other, **options) == bootstrap_interval(one - other, **options)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([], {}, "at least one"),
        ([[1, 2]], {}, r"\[1, 2\]"),
        ([1, np.nan, np.inf], {}, "2 of 3 values are not finite"),
        ([1, 2], {"confidence": 1}, "confidence is 1"),
        ([1, 2], {"confidence": 0}, "confidence is 0"),
        ([1, 2], {"resamples": 0}, "resamples is 0"),
    ],
)
def test_what_does_not_fit_is_refused(values, options, message):
    with pytest.raises(RequestError, match=message):
        bootstrap_interval(values, **options)


def test_values_without_a_partner_are_refused():
    with pytest.raises(RequestError, match="3 and 1 values"):
        paired_difference([1, 2, 3], [1])
