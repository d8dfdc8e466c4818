"""Insertion and deletion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ov_xai import RequestError
from ov_xai.metrics import Curve, Substrate, deletion, insertion
from tests.metrics.networks import Brightness, Pixels, random_case
from tests.reference import metrics as reference

#: FP32 scores are rounded to this.
TOLERANCE = 1e-6


@pytest.mark.parametrize("substrate", Substrate)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("steps", [1, 7, 99])
def test_curves_follow_the_reference(substrate, seed, steps):
    network, image, values = random_case(seed)
    hidden = reference.blurred(image) if substrate is Substrate.BLUR else np.zeros_like(image)
    for measure, ends in ((insertion, (hidden, image)), (deletion, (image, hidden))):
        curve = measure(network, image, values, 1, steps=steps, substrate=substrate)
        np.testing.assert_allclose(
            curve.scores, reference.curve_scores(network, *ends, values, 1, steps), rtol=0, atol=TOLERANCE
        )
        assert curve.area == pytest.approx(reference.area(curve.fractions, curve.scores), abs=1e-12)
        assert (curve.substrate, curve.steps) == (substrate, steps)


@pytest.mark.parametrize(("side", "reach"), [(56, 1), (90, 2), (224, 5)])
def test_the_blur_is_that_of_rise_at_any_size(side, reach):
    """One bright pixel becomes a Gaussian whose sigma is its reach; at 224 pixels both are 5."""
    centre = side // 2
    image = np.zeros((side, side, 1), np.float32)
    image[centre, centre] = 1
    scores = [
        insertion(lambda images: images[:, centre, centre:, 0], image, image[:, :, 0], offset, steps=1).scores[0]
        for offset in range(7)
    ]
    line = np.exp(-(np.arange(7) ** 2) / (2 * reach**2)) * (np.arange(7) <= reach)
    np.testing.assert_allclose(scores, line / (2 * line.sum() - 1) ** 2, rtol=0, atol=TOLERANCE)


def test_a_hand_computed_curve():
    """Pixels 4, 2, 1, 3 of 10 are deleted by falling saliency: 3, 1, 2, 4."""
    image = np.array([[[0.4], [0.2]], [[0.1], [0.3]]], np.float32)
    values = np.array([[0.5, 0.3], [0.9, 0.0]])
    curve = deletion(Brightness(), image, values, 0, steps=4)
    np.testing.assert_allclose(curve.scores, [0.25, 0.225, 0.125, 0.075, 0], atol=1e-7)
    np.testing.assert_array_equal(curve.fractions, [0, 0.25, 0.5, 0.75, 1])
    assert curve.area == pytest.approx((0.125 + 0.225 + 0.125 + 0.075) / 4, abs=1e-7)


def test_insertion_goes_from_the_substrate_to_the_image():
    image = np.array([[[0.4], [0.2]], [[0.1], [0.3]]], np.float32)
    values = np.array([[0.5, 0.3], [0.9, 0.0]])
    curve = insertion(Brightness(), image, values, 0, steps=4, substrate=Substrate.ZEROS)
    np.testing.assert_allclose(curve.scores, [0, 0.025, 0.125, 0.175, 0.25], atol=1e-7)


def test_equal_pixels_change_as_they_are_read():
    image = np.array([[[0.4], [0.2]], [[0.1], [0.3]]], np.float32)
    curve = insertion(Brightness(), image, np.full((2, 2), 0.5), 0, steps=4, substrate=Substrate.ZEROS)
    np.testing.assert_allclose(curve.scores, [0, 0.1, 0.15, 0.175, 0.25], atol=1e-7)


def test_many_equal_pixels_change_as_they_are_read():
    network, image, _ = random_case(0, 40, 40)
    values = np.random.default_rng(1).integers(0, 3, (40, 40)) / 2
    curve = deletion(network, image, values, 0, steps=9)
    expected = reference.curve_scores(network, image, np.zeros_like(image), values, 0, 9)
    np.testing.assert_allclose(curve.scores, expected, rtol=0, atol=TOLERANCE)


def test_a_constant_score_is_its_own_area():
    curve = Curve(np.array([0, 0.1, 0.7, 1]), np.full(4, 0.3), Substrate.BLUR, 3)
    assert curve.area == pytest.approx(0.3, abs=1e-12)


def test_steps_that_do_not_divide_the_pixels_are_nearly_equal():
    network, image, values = random_case(0)
    counts = insertion(network, image, values, 0, steps=7).fractions * values.size
    assert set(np.diff(counts.round(6))) <= {14.0, 15.0}
    assert (counts[0], round(counts[-1], 6)) == (0, 99)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([np.exp, np.cbrt, lambda values: 3 * values - 1]))
def test_monotone_transforms_of_the_map_change_nothing(seed, transform):
    network, image, _ = random_case(0)
    values = np.random.default_rng(seed).integers(0, 30, image.shape[:2]) / 32
    for measure in (insertion, deletion):
        one, other = (measure(network, image, shown, 2, steps=10) for shown in (values, transform(values)))
        np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize("measure", [insertion, deletion])
def test_the_batch_changes_the_calls_and_nothing_else(measure):
    network, image, values = random_case(1)
    whole = measure(network, image, values, 0, steps=20, batch=100)
    assert network.batches == [21]
    network.batches.clear()
    parts = measure(network, image, values, 0, steps=20, batch=8)
    assert network.batches == [8, 8, 5]
    np.testing.assert_array_equal(whole.scores, parts.scores)


def test_the_true_map_is_better_than_its_opposite():
    random = np.random.default_rng(0)
    truth = random.standard_normal((12, 12))
    network, image = Pixels(9 * truth[None, :, :, None]), np.ones((12, 12, 1), np.float32)
    areas = {
        measure: [
            measure(network, image, sign * truth, 0, steps=36, substrate=Substrate.ZEROS).area for sign in (1, -1)
        ]
        for measure in (insertion, deletion)
    }
    assert areas[insertion][0] > areas[insertion][1] + 0.5
    assert areas[deletion][0] < areas[deletion][1] - 0.5


@pytest.mark.parametrize("channels", [1, 3, 7])
@pytest.mark.parametrize("size", [(1, 60), (60, 1), (8, 9)])
def test_images_of_any_size_and_channels_are_blurred(channels, size):
    random = np.random.default_rng(0)
    image = random.random((*size, channels)).astype(np.float32)
    start = insertion(Brightness(), image, random.random(size), 0, steps=1).scores[0]
    assert start == pytest.approx(reference.blurred(image).mean(), abs=1e-6)


@pytest.mark.parametrize("measure", [insertion, deletion])
def test_what_does_not_fit_is_refused(measure):
    network, image, values = random_case(0)
    broken = values.copy()
    broken[0, 0] = np.nan
    with pytest.raises(RequestError, match="not finite"):
        measure(network, image, broken, 0)
    with pytest.raises(RequestError, match=r"\[9, 10\].*\[9, 11, 3\].*Enlarge"):
        measure(network, image, values[:, :-1], 0)
    with pytest.raises(RequestError, match="image"):
        measure(network, image[:, :, 0], values, 0)
    for index in (3, -1):
        with pytest.raises(RequestError, match=f"Class {index} .* from 0 to 2"):
            measure(network, image, values, index)
    for steps in (0, 100):
        with pytest.raises(RequestError, match=f"steps is {steps}; expected .* to 99"):
            measure(network, image, values, 0, steps=steps)
    with pytest.raises(RequestError, match="batch is 0"):
        measure(network, image, values, 0, batch=0)


def test_a_network_that_answers_in_another_form_is_refused():
    _, image, values = random_case(0)
    with pytest.raises(RequestError, match=r"gave \[3\] for 32 images; expected \[32, K\]"):
        insertion(lambda images: np.zeros(3, np.float32), image, values, 0)
    with pytest.raises(RequestError, match="not finite"):
        insertion(lambda images: np.full((len(images), 1), np.nan, np.float32), image, values, 0)
