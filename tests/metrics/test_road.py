"""ROAD and its imputation."""

import numpy as np
import pytest

from ov_xai import RequestError
from ov_xai.metrics import road
from ov_xai.metrics.imputation import impute
from tests.metrics.networks import Pixels, random_case
from tests.reference import metrics as reference


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_the_sparse_solution_is_the_dense_one(seed, part):
    _, image, values = random_case(seed)
    noise = np.random.default_rng(seed).standard_normal(image.shape)
    np.testing.assert_allclose(
        impute(image, values < part, noise), reference.imputed(image, values < part, noise), rtol=0, atol=1e-6
    )


def test_one_hole_is_the_weighted_mean_of_its_neighbours():
    image = np.arange(9, dtype=np.float32).reshape(3, 3, 1) ** 2
    removed = np.zeros((3, 3), bool)
    removed[1, 1] = True
    expected = (1 + 9 + 25 + 49) / 6 + (0 + 4 + 36 + 64) / 12
    assert impute(image, removed, np.zeros(image.shape))[1, 1, 0] == pytest.approx(expected, abs=1e-5)


def test_a_hole_in_the_corner_has_three_neighbours():
    """(2 * 6 + 2 * 12 + 1 * 36) / 5, as the weights are 2, 2 and 1 twelfths."""
    image = np.array([[[0], [6]], [[12], [36]]], np.float32)
    removed = np.array([[True, False], [False, False]])
    assert impute(image, removed, np.zeros(image.shape))[0, 0, 0] == pytest.approx(72 / 5, abs=1e-5)


def test_what_is_left_is_left_alone():
    _, image, values = random_case(0)
    found = impute(image, values < 0.5, np.ones(image.shape))
    np.testing.assert_array_equal(found[values >= 0.5], image[values >= 0.5])
    assert not np.array_equal(found, image)


def test_a_flat_image_stays_flat_but_for_the_noise():
    image = np.full((8, 8, 2), 0.25, np.float32)
    removed = np.ones((8, 8), bool)
    removed[7, 7] = False
    noise = np.random.default_rng(0).standard_normal(image.shape)
    noise[7, 7] = 0
    np.testing.assert_allclose(impute(image, removed, noise), 0.25 + noise, rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("percentiles", [(20, 40, 60, 80), (50,), (3, 97.5)])
def test_road_follows_the_reference(seed, percentiles):
    network, image, values = random_case(seed)
    expected = reference.road(network, image, values, 1, percentiles, seed)
    assert road(network, image, values, 1, percentiles=percentiles, seed=seed) == pytest.approx(expected, abs=1e-6)


def test_a_constant_map_removes_as_many_pixels_as_any():
    network, image, _ = random_case(0)
    flat = np.full(image.shape[:2], 0.5)
    expected = reference.road(network, image, flat, 0, (20, 40, 60, 80), 0)
    assert road(network, image, flat, 0) == pytest.approx(expected, abs=1e-6)


def test_the_batch_changes_the_calls_and_nothing_else():
    network, image, values = random_case(2)
    whole = road(network, image, values, 0)
    assert network.batches == [8]
    network.batches.clear()
    assert road(network, image, values, 0, batch=3) == whole
    assert network.batches == [3, 3, 2]


def test_the_seed_decides_on_the_noise():
    network, image, values = random_case(2)
    assert road(network, image, values, 0, seed=1) == road(network, image, values, 0, seed=1)
    assert road(network, image, values, 0, seed=1) != road(network, image, values, 0, seed=2)


def test_the_true_map_is_better_than_its_opposite():
    truth = np.zeros((16, 16))
    truth[4:9, 6:12] = 1
    image = truth[:, :, None].astype(np.float32)
    network = Pixels(60 * truth[None, :, :, None])
    assert road(network, image, truth, 0) > 0.2
    assert road(network, image, 1 - truth, 0) < -0.2


def test_one_pixel_always_stays():
    """What is left is the least salient pixel, then the most salient one; both spread over the whole image."""
    _, image, values = random_case(0)
    seen = []
    road(lambda images: seen.extend(images) or np.zeros((2, 1)), image, values, 0, percentiles=(0.001,))
    for found, place in zip(seen, (values.argmin(), values.argmax()), strict=True):
        np.testing.assert_allclose(found - image.reshape(-1, 3)[place], 0, rtol=0, atol=0.05)


def test_what_does_not_fit_is_refused():
    network, image, values = random_case(0)
    with pytest.raises(RequestError, match="No percentile"):
        road(network, image, values, 0, percentiles=())
    for percentile in (0, 100, np.nan):
        with pytest.raises(RequestError, match="percentile is"):
            road(network, image, values, 0, percentiles=(50, percentile))
    with pytest.raises(RequestError, match="Enlarge"):
        road(network, image, values.T, 0)
    with pytest.raises(RequestError, match="not finite"):
        road(network, image, np.full(values.shape, np.inf), 0)
    with pytest.raises(RequestError, match="Class 9"):
        road(network, image, values, 9)
