"""Small classifiers with known structure, built by hand."""

import numpy as np
import openvino as ov
from openvino import opset13 as ops

CHANNELS, CLASSES = 6, 5
HEIGHT, WIDTH = 4, 5


def weights(*shape, seed=0, scale=0.5):
    """Return a constant of random numbers."""
    values = np.random.default_rng([seed, *shape]).standard_normal(shape) * scale
    return ops.constant(values.astype(np.float32))


def ints(*values):
    """Return an i64 constant."""
    return ops.constant(np.array(values, np.int64))


def backbone(batch=1, channels=CHANNELS, size=(HEIGHT, WIDTH), bias=0.1):
    """Return an image input [N, 3, 2h, 2w] and features [N, C, h, w] named "target"."""
    height, width = size
    image = ops.parameter([batch, 3, 2 * height, 2 * width], np.float32, name="image")
    image.output(0).set_names({"image"})
    features = ops.convolution(image, weights(channels, 3, 2, 2), [2, 2], [0, 0], [0, 0], [1, 1])
    features = ops.relu(ops.add(features, ops.constant(np.float32(bias))))
    features.set_friendly_name("target")
    return image, features


def dense(x, inner, outer, seed=1, transposed=True):
    """Return x W + b."""
    matrix = weights(outer, inner, seed=seed) if transposed else weights(inner, outer, seed=seed)
    return ops.add(ops.matmul(x, matrix, False, transposed), weights(1, outer, seed=seed + 50))


def model_of(image, logits, activation=None):
    """Return a model with one output "logits", or "probabilities" after an activation."""
    name = "logits"
    if activation == "softmax":
        logits, name = ops.softmax(logits, 1), "probabilities"
    if activation == "log_softmax":
        logits, name = ops.log_softmax(logits, 1), "log_probabilities"
    if activation == "sigmoid":
        logits, name = ops.sigmoid(logits), "probabilities"
    result = ops.result(logits)
    result.output(0).set_names({name})
    return ov.Model([result], [image], "classifier")


def flat(x, *shape):
    """Return x reshaped."""
    return ops.reshape(x, ints(*shape), True)


def nhwc(x):
    """Return [N, C, h, w] as [N, h, w, C], named "target"."""
    moved = ops.relu(ops.transpose(x, ints(0, 2, 3, 1)))
    moved.set_friendly_name("target_nhwc")
    return moved


def quantised(x):
    """Return x through a FakeQuantize of 256 levels."""
    low, high = ops.constant(np.float32(-2)), ops.constant(np.float32(6))
    return ops.fake_quantize(x, low, high, low, high, 256)


# -- heads: features [N, C, h, w] -> logits [N, K] ------------------------------------------------------------------


def head_mean(x):
    return dense(flat(ops.reduce_mean(x, ints(2, 3), True), 0, CHANNELS), CHANNELS, CLASSES)


def head_mean_no_keep(x):
    return dense(ops.reduce_mean(x, ints(-1, -2), False), CHANNELS, CLASSES, transposed=False)


def head_sum(x):
    return dense(ops.reduce_sum(x, ints(2, 3), False), CHANNELS, CLASSES)


def head_avg_pool(x):
    pooled = ops.avg_pool(x, [1, 1], [0, 0], [0, 0], [HEIGHT, WIDTH], True)
    return dense(ops.squeeze(pooled, ints(2, 3)), CHANNELS, CLASSES)


def head_conv_after_pool(x):
    pooled = ops.reduce_mean(x, ints(2, 3), True)
    hidden = ops.convolution(pooled, weights(7, CHANNELS, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    hidden = ops.hswish(ops.add(hidden, weights(1, 7, 1, 1)))
    return dense(flat(hidden, 0, -1), 7, CLASSES)


def head_two_dense(x):
    hidden = ops.relu(dense(ops.reduce_mean(x, ints(2, 3), False), CHANNELS, 8))
    return dense(hidden, 8, CLASSES, seed=2)


def head_max(x):
    return dense(ops.reduce_max(x, ints(2, 3), False), CHANNELS, CLASSES)


def head_mean_and_max(x):
    both = ops.concat([ops.reduce_mean(x, ints(2, 3), False), ops.reduce_max(x, ints(2, 3), False)], 1)
    return dense(both, 2 * CHANNELS, CLASSES)


def head_flatten(x):
    hidden = ops.relu(dense(flat(x, 0, -1), CHANNELS * HEIGHT * WIDTH, 9))
    return dense(hidden, 9, CLASSES, seed=3)


def head_flatten_in_by_out(x):
    return dense(flat(x, 0, -1), CHANNELS * HEIGHT * WIDTH, CLASSES, transposed=False)


def head_flatten_nhwc(x):
    return dense(flat(nhwc(x), 0, -1), CHANNELS * HEIGHT * WIDTH, CLASSES)


def head_conv_of_grid_size(x):
    whole = ops.convolution(x, weights(CLASSES, CHANNELS, HEIGHT, WIDTH), [1, 1], [0, 0], [0, 0], [1, 1])
    return flat(whole, 0, -1)


def head_mean_nhwc(x):
    return dense(ops.reduce_mean(nhwc(x), ints(1, 2), False), CHANNELS, CLASSES)


def head_mean_tokens(x):
    tokens = ops.transpose(flat(x, 0, CHANNELS, -1), ints(0, 2, 1))
    tokens = ops.add(tokens, weights(1, HEIGHT * WIDTH, CHANNELS))
    tokens.set_friendly_name("target_tokens")
    return dense(ops.reduce_mean(tokens, ints(1), False), CHANNELS, CLASSES)


def head_layer_norm_after_pool(x):
    pooled = flat(ops.reduce_mean(x, ints(2, 3), True), 0, 1, 1, CHANNELS)
    normal = ops.mvn(pooled, ints(-1), True, 1e-6, "inside_sqrt")
    normal = ops.add(ops.multiply(normal, weights(1, 1, 1, CHANNELS)), weights(1, 1, 1, CHANNELS, seed=4))
    return dense(flat(normal, 0, -1), CHANNELS, CLASSES)


def head_layer_norm_by_hand(x):
    pooled = ops.reduce_mean(x, ints(2, 3), False)
    centred = ops.subtract(pooled, ops.reduce_mean(pooled, ints(-1), True))
    variance = ops.reduce_mean(ops.multiply(centred, centred), ints(-1), True)
    normal = ops.divide(centred, ops.sqrt(ops.add(variance, ops.constant(np.float32(1e-5)))))
    return dense(normal, CHANNELS, CLASSES)


def head_cosine(x):
    pooled = ops.reduce_mean(x, ints(2, 3), False)
    unit = ops.normalize_l2(pooled, ints(1), 1e-8, "add")
    return ops.multiply(ops.matmul(unit, weights(CLASSES, CHANNELS), False, True), ops.constant(np.float32(20)))


def head_two_heads(x):
    pooled = ops.reduce_mean(x, ints(2, 3), False)
    total = ops.add(dense(pooled, CHANNELS, CLASSES), dense(ops.relu(pooled), CHANNELS, CLASSES, seed=7))
    return ops.divide(total, ops.constant(np.float32(2)))


def head_pointwise_then_mean(x):
    hidden = ops.convolution(x, weights(8, CHANNELS, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    hidden = ops.swish(ops.add(hidden, weights(1, 8, 1, 1)))
    hidden = quantised(ops.multiply(hidden, weights(1, 8, 1, 1, seed=5)))
    return dense(ops.reduce_mean(hidden, ints(2, 3), False), 8, CLASSES)


def head_class_channels(x):
    scores = ops.convolution(x, weights(CLASSES, CHANNELS, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    return flat(ops.reduce_mean(ops.relu(scores), ints(2, 3), True), 0, -1)


def head_literal_batch(x):
    pooled = flat(ops.reduce_mean(x, ints(2, 3), True), 1, CHANNELS)
    split = flat(pooled, 1, 2, CHANNELS // 2)
    swapped = ops.relu(ops.transpose(split, ints(0, 2, 1)))
    return dense(flat(swapped, 1, CHANNELS), CHANNELS, CLASSES)


def head_max_tokens(x):
    return dense(ops.reduce_max(flat(x, 0, CHANNELS, -1), ints(2), False), CHANNELS, CLASSES)


def head_power_mean(x):
    raised = ops.power(ops.maximum(x, ops.constant(np.float32(1e-3))), ops.constant(np.float32(3)))
    pooled = ops.power(ops.reduce_mean(raised, ints(2, 3)), ops.constant(np.float32(1 / 3)))
    return dense(pooled, CHANNELS, CLASSES)


def head_flipped(x):
    minus = ops.constant(np.array([-1], np.int64))
    flipped = ops.slice(x, minus, ops.constant(np.array([-(2**31)], np.int64)), minus, ints(3))
    largest = ops.reduce_max(ops.multiply(x, flipped), ints(2, 3), False)
    return dense(largest, CHANNELS, CLASSES)


def head_pyramid(x):
    coarse = ops.avg_pool(x, [2, 2], [0, 0], [0, 0], [2, 2], True)
    both = ops.concat([flat(coarse, 0, -1), flat(x, 0, -1)], 1)
    return dense(both, CHANNELS * (4 + HEIGHT * WIDTH), CLASSES)


def head_mixing(x):
    mixed = ops.convolution(x, weights(CHANNELS, CHANNELS, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])
    return dense(ops.reduce_mean(ops.relu(ops.add(mixed, x)), ints(2, 3), False), CHANNELS, CLASSES)


def head_squeeze_excite(x):
    gate = ops.sigmoid(
        ops.convolution(
            ops.reduce_mean(x, ints(2, 3), True), weights(CHANNELS, CHANNELS, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1]
        )
    )
    return dense(ops.reduce_mean(ops.multiply(x, gate), ints(2, 3), False), CHANNELS, CLASSES)


#: Heads whose default target and pooling have a closed form.
CLOSED_FORM = {
    function.__name__.removeprefix("head_"): function
    for function in (
        head_mean,
        head_mean_no_keep,
        head_sum,
        head_avg_pool,
        head_conv_after_pool,
        head_two_dense,
        head_max,
        head_mean_and_max,
        head_flatten,
        head_flatten_in_by_out,
        head_flatten_nhwc,
        head_conv_of_grid_size,
        head_mean_nhwc,
        head_mean_tokens,
        head_layer_norm_after_pool,
        head_layer_norm_by_hand,
        head_cosine,
        head_two_heads,
        head_pointwise_then_mean,
        head_class_channels,
        head_literal_batch,
        head_max_tokens,
        head_power_mean,
    )
}

#: Heads that mix places before the pooling: masking "target" takes the mosaic.
MOSAIC = {
    "mixing": head_mixing,
    "squeeze_excite": head_squeeze_excite,
    "flipped": head_flipped,
    "pyramid": head_pyramid,
}


def classifier(head, batch=1, activation=None):
    """Return a small classifier with one of the heads above."""
    image, features = backbone(batch)
    return model_of(image, {**CLOSED_FORM, **MOSAIC}[head](features), activation)


def random_image(batch=1, height=2 * HEIGHT, width=2 * WIDTH, seed=0):
    """Return an input of the small classifiers, f32 [N, 3, H, W]."""
    return np.random.default_rng(seed).standard_normal((batch, 3, height, width)).astype(np.float32)
