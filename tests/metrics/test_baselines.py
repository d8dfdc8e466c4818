"""Maps to compare with."""

import numpy as np
import pytest

from ov_xai import RequestError
from ov_xai.metrics import centre_gaussian, pointing_game, random_map, rise_maps
from tests.metrics.networks import random_case
from tests.reference import metrics as reference


def test_a_random_map_is_an_enlarged_grid():
    expected = reference.scaled(reference.enlarged(np.random.default_rng(5).random((4, 4)), 21, 30))
    np.testing.assert_allclose(random_map(21, 30, seed=5, grid=4), expected, rtol=0, atol=1e-5)


def test_random_maps_differ_by_seed_and_fill_their_range():
    one, other = random_map(30, 20, seed=0), random_map(30, 20, seed=1)
    assert (one.dtype, one.shape) == (np.float32, (30, 20))
    assert (one.min(), one.max()) == (0, 1)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(one, random_map(30, 20, seed=0))


def test_random_peaks_are_anywhere():
    """A box of a quarter of the image is hit in a quarter of the cases; 400 of them scatter by 0.022."""
    hits = np.mean([pointing_game(random_map(40, 40, seed), [[0, 0, 20, 20]], tolerance=0) for seed in range(400)])
    assert hits == pytest.approx(0.25, abs=0.09)


def test_the_gaussian_by_hand():
    """Of 4 pixels the centres are 3/8 and 1/8 of the side off, 1.5 and 0.5 standard deviations."""
    line = np.exp([-1.125, -0.125, -0.125, -1.125])
    np.testing.assert_allclose(centre_gaussian(4, 4), np.outer(line, line), rtol=0, atol=1e-7)


def test_the_gaussian_is_as_wide_as_the_image():
    values = centre_gaussian(10, 40, spread=0.5)
    assert (values.dtype, values.shape) == (np.float32, (10, 40))
    np.testing.assert_allclose(values[4, 0] / values[4, 19], np.exp(-(0.4875**2 - 0.0125**2) * 2), atol=1e-6)
    np.testing.assert_array_equal(values, values[::-1, ::-1])


@pytest.mark.parametrize("size", [(14, 14), (9, 11), (5, 23)])
def test_rise_follows_the_reference(size):
    network, image, _ = random_case(0, *size)
    found = rise_maps(network, image, [2, 0], masks=40, grid=7, keep=0.3, seed=9)
    ones = np.random.default_rng(9).random((40, 7, 7)) < 0.3
    places = np.random.default_rng((9, 1)).random((40, 2))
    for saliency_map, index in zip(found, (2, 0), strict=True):
        expected = reference.rise(network, image, index, ones.astype(float), places, 0.3)
        np.testing.assert_allclose(saliency_map, expected, rtol=0, atol=2e-5)


def test_rise_masks_keep_the_mean():
    """A network that is sure of everything has the mean of all masks, relative to `keep`: 1."""
    found = rise_maps(lambda images: np.ones((len(images), 1), np.float32), np.zeros((20, 30, 1)), [0], masks=4000)
    assert found.shape == (1, 20, 30)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.ones((1, 20, 30)), abs=0.05)


def test_rise_finds_what_the_network_sees():
    def predict(images):
        corners = (images[:, 4:10, 16:24], images[:, 16:24, 4:10])
        return np.stack([corner.mean((1, 2, 3)) for corner in corners], 1)

    maps = rise_maps(predict, np.ones((28, 28, 1)), [0, 1], masks=600)
    assert pointing_game(maps[0], [[16, 4, 24, 10]], tolerance=1)
    assert pointing_game(maps[1], [[4, 16, 10, 24]], tolerance=1)


def test_the_batch_changes_the_calls_and_nothing_else():
    network, image, _ = random_case(0)
    whole = rise_maps(network, image, [0, 1], masks=50)
    assert network.batches == [50]
    network.batches.clear()
    np.testing.assert_array_equal(whole, rise_maps(network, image, [0, 1], masks=50, batch=20))
    assert network.batches == [20, 20, 10]


def test_no_classes_need_no_calls():
    network, image, _ = random_case(0)
    assert rise_maps(network, image, []).shape == (0, 9, 11)
    assert rise_maps(network, image, np.array([], int)).shape == (0, 9, 11)
    assert network.batches == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masks": 0}, "masks is 0"),
        ({"grid": 0}, "grid is 0"),
        ({"keep": 0}, "keeping"),
        ({"keep": 1}, "keeping"),
        ({"batch": 0}, "batch is 0"),
        ({"indices": [0, 3]}, "Class 3"),
    ],
)
def test_what_does_not_fit_rise_is_refused(options, message):
    network, image, _ = random_case(0)
    with pytest.raises(RequestError, match=message):
        rise_maps(network, image, **{"indices": [0], **options})


def test_a_spread_is_finite():
    with pytest.raises(RequestError, match=r"spread is inf; expected a finite number above 0\.$"):
        centre_gaussian(5, 5, spread=np.inf)


def test_sizes_are_positive():
    for call in (
        lambda: random_map(0, 5, 0),
        lambda: random_map(5, 5, 0, grid=0),
        lambda: centre_gaussian(5, 0),
        lambda: centre_gaussian(5, 5, spread=0),
    ):
        with pytest.raises(RequestError, match="is 0"):
            call()
