"""Models whose own precision is less than single pass the self-check, and keep their predictions."""

import numpy as np
import pytest
from openvino import opset13 as ops

from ov_xai import Normalise, insert, read_manifest
from tests.helpers import F32, output, run
from tests.models import CHANNELS, CLASSES, HEIGHT, WIDTH, ints, model_of, random_image


def numbers(*shape, seed):
    return np.random.default_rng(seed).standard_normal(shape) / np.sqrt(np.prod(shape[1:]))


def half(seed=0):
    """Return a classifier of half precision from its input to its output."""
    image = ops.parameter([1, 3, 2 * HEIGHT, 2 * WIDTH], np.float16, name="image")
    image.output(0).set_names({"image"})
    kernel = ops.constant(numbers(CHANNELS, 3, 2, 2, seed=seed).astype(np.float16))
    features = ops.relu(ops.convolution(image, kernel, [2, 2], [0, 0], [0, 0], [1, 1]))
    matrix = ops.constant(numbers(CLASSES, CHANNELS, seed=seed + 1).astype(np.float16))
    return model_of(image, ops.matmul(ops.reduce_mean(features, ints(2, 3)), matrix, False, True))


def bytes_of(values):
    """Return weights stored in 8 bits with a scale per row."""
    scale = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True) / 127
    stored = ops.convert(ops.constant(np.rint(values / scale).astype(np.int8)), "f32")
    return ops.multiply(stored, ops.constant(scale.astype(np.float32)))


def weights_in_bytes():
    """Return a classifier with 8-bit weights and activations that are not said to be rounded."""
    image = ops.parameter([1, 3, 2 * HEIGHT, 2 * WIDTH], np.float32, name="image")
    image.output(0).set_names({"image"})
    kernel = bytes_of(numbers(64, 3, 2, 2, seed=0))
    features = ops.relu(ops.convolution(image, kernel, [2, 2], [0, 0], [0, 0], [1, 1]))
    hidden = ops.relu(ops.matmul(ops.reduce_mean(features, ints(2, 3)), bytes_of(numbers(64, 64, seed=1)), False, True))
    return model_of(image, ops.matmul(hidden, bytes_of(numbers(CLASSES, 64, seed=2)), False, True))


@pytest.mark.parametrize("top_k", [None, 2])
@pytest.mark.parametrize("build", [half, weights_in_bytes])
def test_low_precision_is_patched_in_closed_form(build, top_k):
    model = build()
    patched = insert(model, top_k=top_k)
    assert read_manifest(patched).strategy == "closed-form"
    images = [random_image().astype(model.inputs[0].get_element_type().to_dtype())]
    assert run(model, images, F32)[0].tobytes() == run(patched, images, F32)[0].tobytes()


def test_maps_of_half_precision_are_the_literal_perturbation():
    model, image = half(), random_image().astype(np.float16)
    maps = output(insert(model, normalise=Normalise.NONE), [image])
    kernel, matrix = (
        numbers(*shape, seed=seed).astype(np.float16)
        for shape, seed in (((CHANNELS, 3, 2, 2), 0), ((CLASSES, CHANNELS), 1))
    )
    tiles = image[0].astype(np.float64).reshape(3, HEIGHT, 2, WIDTH, 2)
    features = np.maximum(np.einsum("cyixj,kcij->kyx", tiles, kernel.astype(np.float64)), 0)
    expected = np.einsum("kc,cyx->kyx", matrix.astype(np.float64), features) / (HEIGHT * WIDTH)
    np.testing.assert_allclose(maps[0], expected, atol=2**-10 * np.abs(expected).max())
