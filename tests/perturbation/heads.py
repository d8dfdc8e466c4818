"""Heads of classifiers that are written in a way of their own: features [N, C, h, w] -> logits [N, K]."""

import numpy as np
from openvino import opset13 as ops

from tests.models import CHANNELS, CLASSES, HEIGHT, WIDTH, backbone, dense, flat, ints, model_of, weights


def pointwise(x):
    """Return features behind a layer that acts place by place and is not linear."""
    mixed = ops.convolution(x, weights(CHANNELS, CHANNELS, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    return ops.tanh(ops.add(mixed, weights(1, CHANNELS, 1, 1)))


# -- pooling -------------------------------------------------------------------------------------------------------


def in_two_steps(reduce, first, second, keep):
    def head(x):
        pooled = reduce(reduce(pointwise(x), ints(first), keep), ints(second), keep)
        return dense(flat(pooled, 0, CHANNELS), CHANNELS, CLASSES)

    return head


def mean_of_means_linear(x):
    return dense(ops.reduce_mean(ops.reduce_mean(x, ints(3), False), ints(2), False), CHANNELS, CLASSES)


def minimum(x):
    return dense(ops.reduce_min(pointwise(x), ints(2, 3), False), CHANNELS, CLASSES)


def sum_of_magnitudes(x):
    return dense(ops.reduce_l1(pointwise(x), ints(2, 3), False), CHANNELS, CLASSES)


def generalised_mean(x):
    positive = ops.clamp(x, 1e-2, 1e4)
    pooled = ops.reduce_mean(ops.power(positive, ops.constant(np.float32(2.5))), ints(2, 3), True)
    return dense(flat(ops.power(pooled, ops.constant(np.float32(0.4))), 0, CHANNELS), CHANNELS, CLASSES)


def maximum_of_class_channels(x):
    scores = ops.convolution(x, weights(CLASSES, CHANNELS, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    pooled = ops.max_pool(scores, [1, 1], [1, 1], [0, 0], [0, 0], [4, 5])
    return flat(pooled.output(0), 0, CLASSES)


def depthwise_over_grid(x):
    """As MobileFaceNet ends: every channel has weights of its own for the places."""
    kernel = weights(CHANNELS, 1, 1, HEIGHT, WIDTH)
    pooled = ops.group_convolution(pointwise(x), kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    return dense(flat(pooled, 0, CHANNELS), CHANNELS, CLASSES)


def depthwise_over_grid_linear(x):
    kernel = weights(CHANNELS, 1, 1, HEIGHT, WIDTH)
    pooled = ops.group_convolution(x, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    scaled = ops.multiply(ops.add(pooled, weights(1, CHANNELS, 1, 1)), weights(1, CHANNELS, 1, 1, seed=9))
    return dense(flat(scaled, 0, CHANNELS), CHANNELS, CLASSES)


# -- products ------------------------------------------------------------------------------------------------------


def einsum_over_channels(x):
    scores = ops.einsum([pointwise(x), weights(CLASSES, CHANNELS)], "bchw,kc->bkhw")
    return ops.reduce_mean(ops.relu(scores), ints(2, 3), False)


def einsum_weights_first(x):
    scores = ops.einsum([weights(CHANNELS, 7), x], "ck,bchw->bkhw")
    return dense(ops.reduce_mean(scores, ints(2, 3), False), 7, CLASSES)


def einsum_of_vector(x):
    return ops.einsum([ops.reduce_mean(x, ints(2, 3), False), weights(CLASSES, CHANNELS)], "bc,kc->bk")


def einsum_of_vector_in_by_out(x):
    hidden = ops.einsum([weights(CHANNELS, 7), ops.reduce_mean(x, ints(2, 3), False)], "ck,bc->bk")
    return dense(ops.relu(hidden), 7, CLASSES)


def einsum_of_tokens(x):
    tokens = ops.transpose(flat(x, 0, CHANNELS, -1), ints(0, 2, 1))
    mixed = ops.tanh(ops.einsum([tokens, weights(7, CHANNELS)], "nld,kd->nlk"))
    return dense(ops.reduce_mean(mixed, ints(1), False), 7, CLASSES)


def einsum_before_pooling(x):
    mixed = ops.einsum([x, weights(7, CHANNELS)], "bchw,kc->bkhw")
    mixed.set_friendly_name("own")
    return dense(ops.reduce_mean(mixed, ints(2, 3), False), 7, CLASSES)


def flattened_before_pooling(x):
    """As Keras writes a layer on a sequence: on the tokens of all images at once."""
    rows = flat(ops.transpose(x, ints(0, 2, 3, 1)), -1, CHANNELS)
    hidden = ops.tanh(ops.add(ops.matmul(rows, weights(7, CHANNELS), False, True), weights(1, 7)))
    own = ops.reshape(hidden, ints(-1, HEIGHT * WIDTH, 7), False)
    own.set_friendly_name("own")
    return dense(ops.reduce_mean(own, ints(1), False), 7, CLASSES)


def prelu_after_pooling(x):
    pooled = ops.prelu(ops.reduce_mean(pointwise(x), ints(2, 3), True), weights(CHANNELS))
    return dense(ops.reshape(pooled, ints(-1, CHANNELS), False), CHANNELS, CLASSES)


def prelu_before_pooling(x):
    return dense(ops.reduce_mean(ops.prelu(pointwise(x), weights(CHANNELS)), ints(2, 3), False), CHANNELS, CLASSES)


def prelu_of_tokens(x):
    """The second axis of tokens is the places: each has a slope of its own."""
    tokens = ops.transpose(flat(x, 0, CHANNELS, -1), ints(0, 2, 1))
    bent = ops.prelu(ops.tanh(tokens), weights(HEIGHT * WIDTH))
    return dense(ops.reduce_mean(bent, ints(1), False), CHANNELS, CLASSES)


#: Heads whose last feature map, "own", is made of ops that are spelled out.
SPELLED_OUT = {head.__name__: head for head in (einsum_before_pooling, flattened_before_pooling)}
HEADS = {
    **SPELLED_OUT,
    "mean_of_means_linear": mean_of_means_linear,
    "mean_of_means": in_two_steps(ops.reduce_mean, 3, 2, False),
    "mean_of_means_kept": in_two_steps(ops.reduce_mean, 2, -1, True),
    "sum_of_sums": in_two_steps(ops.reduce_sum, 2, 2, False),
    "maximum_of_maxima": in_two_steps(ops.reduce_max, 3, 2, True),
    **{
        head.__name__: head
        for head in (
            minimum,
            prelu_of_tokens,
            prelu_after_pooling,
            prelu_before_pooling,
            sum_of_magnitudes,
            generalised_mean,
            maximum_of_class_channels,
            depthwise_over_grid,
            depthwise_over_grid_linear,
            einsum_over_channels,
            einsum_weights_first,
            einsum_of_vector,
            einsum_of_vector_in_by_out,
            einsum_of_tokens,
        )
    },
}


def classifier(name, batch=1):
    """Return a small classifier with one of these heads."""
    image, features = backbone(batch)
    return model_of(image, HEADS[name](features))


def beside_a_sequence(batch=1):
    """Return a classifier whose pooled features meet a tensor [2, N, C] that no mask touches."""
    image, features = backbone(batch)
    other = ops.convolution(image, weights(2 * CHANNELS, 3, 2, 2), [2, 2], [0, 0], [0, 0], [1, 1])
    pair = flat(ops.reduce_mean(other, ints(2, 3), False), 0, 2, CHANNELS)
    sequence = ops.transpose(pair, ints(1, 0, 2))
    met = ops.multiply(ops.reduce_mean(features, ints(2, 3), False), sequence)
    return model_of(image, dense(ops.reduce_max(met, ints(0), False), CHANNELS, CLASSES))
