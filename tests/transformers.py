"""Small transformers with known structure, built by hand.

Every model has an image input [N, 3, 8, 10], a patch embedding to a 4x5 grid, and ends in logits [N, 5].
"""

from functools import cache

import numpy as np
from openvino import opset13 as ops

from tests.models import CLASSES, HEIGHT, WIDTH, dense, flat, ints, model_of, quantised, weights

CHANNELS, HEADS = 8, 2
DEPTH = CHANNELS // HEADS
PLACES = HEIGHT * WIDTH


def embedding(batch):
    """Return an image input and its patches as tokens [N, 20, 8]."""
    image = ops.parameter([batch, 3, 2 * HEIGHT, 2 * WIDTH], np.float32, name="image")
    image.output(0).set_names({"image"})
    patches = ops.convolution(image, weights(CHANNELS, 3, 2, 2), [2, 2], [0, 0], [0, 0], [1, 1])
    return image, ops.transpose(flat(patches, 0, CHANNELS, PLACES), ints(0, 2, 1))


def kept(tokens, count, seed=7):
    """Return learned tokens [N, count, 8] for the batch of `tokens`."""
    batch = ops.gather(ops.shape_of(tokens, "i64"), ints(0), ops.constant(np.int64(0)))
    shape = ops.concat([batch, ints(count, CHANNELS)], 0)
    return ops.broadcast(weights(1, count, CHANNELS, seed=seed, scale=1.0), shape)


def norm(x, seed=0, affine=True):
    """Return LayerNorm over channels."""
    normal = ops.mvn(x, ints(-1), True, 1e-5, "inside_sqrt")
    if not affine:
        return normal
    scale = ops.constant(np.float32(1) + weights(1, 1, CHANNELS, seed=seed + 20, scale=0.2).get_data())
    return ops.add(ops.multiply(normal, scale), weights(1, 1, CHANNELS, seed=seed + 21))


def linear(x, inner, outer, seed, bias=True):
    """Return x W^T + b for tokens."""
    product = ops.matmul(x, weights(outer, inner, seed=seed), False, True)
    return ops.add(product, weights(1, 1, outer, seed=seed + 50)) if bias else product


def mlp(x, seed):
    return linear(ops.gelu(linear(x, CHANNELS, 2 * CHANNELS, seed), "erf"), 2 * CHANNELS, CHANNELS, seed + 1)


def by_head(x, count):
    """Return tokens [N, T, 8] as [N, heads, T, 4]."""
    return ops.transpose(flat(x, 0, count, HEADS, DEPTH), ints(0, 2, 1, 3))


def joined(x, count):
    """Return [N, heads, T, 4] as tokens [N, T, 8]."""
    return flat(ops.transpose(x, ints(0, 2, 1, 3)), 0, count, CHANNELS)


def fused(x, count, seed, divide):
    """Return (q, k, v) of one projection, divided in one of three ways."""
    qkv = linear(x, CHANNELS, 3 * CHANNELS, seed)
    if divide == "gather":
        turned = ops.transpose(flat(qkv, 0, count, 3, HEADS, DEPTH), ints(2, 0, 3, 1, 4))
        zero = ops.constant(np.int64(0))
        return [ops.gather(turned, ops.constant(np.int64(part)), zero) for part in range(3)]
    if divide == "split":
        parts = ops.variadic_split(qkv, ops.constant(np.int64(2)), ints(CHANNELS, CHANNELS, CHANNELS))
        return [by_head(parts.output(part), count) for part in range(3)]
    begins = [(0, 0, part * CHANNELS) for part in range(3)]
    return [
        by_head(
            ops.strided_slice(qkv, ints(*begin), ints(0, 0, begin[2] + CHANNELS), ints(1, 1, 1), [1, 1, 0], [1, 1, 0]),
            count,
        )
        for begin in begins
    ]


def separate(x, count, seed, bias=True):
    return [by_head(linear(x, CHANNELS, CHANNELS, seed + part, bias), count) for part in range(3)]


def decomposed(q, k, v, bias=None):
    """Return attention as MatMul, Softmax, MatMul."""
    scores = ops.matmul(ops.multiply(q, ops.constant(np.float32(DEPTH**-0.5))), k, False, True)
    if bias is not None:
        scores = ops.add(scores, bias)
    return ops.matmul(ops.softmax(scores, -1), v, False, False)


def sdpa(q, k, v, mask=None):
    return ops.scaled_dot_product_attention(q, k, v, mask) if mask is not None else _sdpa(q, k, v)


def _sdpa(q, k, v):
    return ops.scaled_dot_product_attention(q, k, v)


def rotated(x, count, skipped):
    """Return rotary position embedding of all tokens but the first ones."""
    first = ops.slice(x, ints(0), ints(skipped), ints(1), ints(2))
    rest = ops.slice(x, ints(skipped), ints(2**31), ints(1), ints(2))
    left, right = ops.split(rest, ops.constant(np.int64(3)), 2).outputs()
    turned = ops.concat([ops.multiply(right, ops.constant(np.float32(-1))), left], 3)
    angle = np.outer(np.arange(count - skipped), [0.3, 0.7, 0.3, 0.7]).astype(np.float32)
    moved = ops.add(
        ops.multiply(rest, ops.constant(np.cos(angle)[None, None])),
        ops.multiply(turned, ops.constant(np.sin(angle)[None, None])),
    )
    return ops.concat([first, moved], 2)


def unit(x):
    """Return queries or keys normalised over their channels."""
    return ops.mvn(x, ints(-1), True, 1e-5, "inside_sqrt")


def transposed(q, k, v):
    """Return attention with the keys in front: softmax over the last but one axis."""
    scores = ops.matmul(k, ops.multiply(q, ops.constant(np.float32(DEPTH**-0.5))), False, True)
    weighted = ops.matmul(v, ops.softmax(scores, -2), True, False)
    return ops.transpose(weighted, ints(0, 1, 3, 2))


def in_equations(x, count, seed):
    """Return attention as Keras spells it: projections with the heads apart, keys before queries."""
    q, k, v = (
        ops.add(
            ops.einsum([x, weights(CHANNELS, HEADS, DEPTH, seed=seed + part)], "abc,cde->abde"),
            weights(HEADS, DEPTH, seed=seed + part + 50),
        )
        for part in range(3)
    )
    scores = ops.einsum([k, ops.multiply(q, ops.constant(np.float32(DEPTH**-0.5)))], "aecd,abcd->acbe")
    weighted = ops.einsum([ops.softmax(scores, -1), v], "acbe,aecd->abcd")
    return ops.einsum([weighted, weights(HEADS, DEPTH, CHANNELS, seed=seed + 4)], "abcd,cde->abe")


def flattened_linear(x, inner, outer, seed):
    """Return x W^T + b, computed on all tokens of all images as rows of one matrix."""
    rows = ops.add(ops.matmul(flat(x, -1, inner), weights(outer, inner, seed=seed), False, True), weights(1, outer))
    return ops.reshape(rows, ops.concat([ops.slice(ops.shape_of(x), ints(0), ints(2), ints(1)), ints(outer)], 0), True)


def flattened(x, count, seed):
    """Return attention whose tokens are rows of one matrix until the heads are apart."""
    rows = flat(x, -1, CHANNELS)
    qkv = ops.add(ops.matmul(rows, weights(3 * CHANNELS, CHANNELS, seed=seed), False, True), weights(3 * CHANNELS))
    turned = ops.transpose(flat(qkv, -1, count, 3, HEADS, DEPTH), ints(2, 0, 3, 1, 4))
    q, k, v = (token_of_pair(turned, part) for part in range(3))
    scores = ops.matmul(ops.multiply(q, ops.constant(np.float32(DEPTH**-0.5))), k, False, True)
    weighted = ops.matmul(ops.softmax(flat(scores, -1, HEADS, count, count), -1), v, False, False)
    mixed = flattened_linear(joined(weighted, count), CHANNELS, CHANNELS, seed + 1)
    hidden = ops.swish(flattened_linear(mixed, CHANNELS, 2 * CHANNELS, seed + 2))
    return flattened_linear(hidden, 2 * CHANNELS, CHANNELS, seed + 3)


def products_in_equations(x, count, seed):
    q, k, v = separate(x, count, seed)
    scores = ops.multiply(ops.einsum([q, k], "bhid,bhjd->bhij"), ops.constant(np.float32(DEPTH**-0.5)))
    return joined(ops.einsum([ops.softmax(scores, -1), v], "bhij,bhjd->bhid"), count)


WORDINGS = {"in_equations": in_equations, "products_in_equations": products_in_equations, "flattened": flattened}


def attention(kind, x, count, seed):
    """Return multi-head self-attention without its output projection."""
    if kind in WORDINGS:
        return WORDINGS[kind](x, count, seed)
    if kind.startswith("fused_"):
        return joined(sdpa(*fused(x, count, seed, kind.removeprefix("fused_"))), count)
    if kind == "relative_bias":
        bias = weights(1, HEADS, count, count, seed=seed + 9)
        return joined(decomposed(*separate(x, count, seed), bias), count)
    if kind == "attention_mask":
        return joined(sdpa(*separate(x, count, seed), weights(1, HEADS, count, count, seed=seed + 9)), count)
    if kind == "normalised_queries_and_keys":
        q, k, v = separate(x, count, seed)
        return joined(sdpa(unit(q), unit(k), v), count)
    if kind == "rotary":
        q, k, v = separate(x, count, seed)
        return joined(sdpa(rotated(q, count, 1), rotated(k, count, 1), v), count)
    if kind == "quantised":
        q, k, v = (quantised(part) for part in fused(quantised(x), count, seed, "gather"))
        return joined(quantised(decomposed(q, k, v)), count)
    if kind == "transposed":
        return joined(transposed(*separate(x, count, seed)), count)
    if kind == "single_head":
        q, k, v = (linear(x, CHANNELS, CHANNELS, seed + part) for part in range(3))
        scores = ops.multiply(ops.matmul(q, k, False, True), ops.constant(np.float32(CHANNELS**-0.5)))
        return ops.matmul(ops.softmax(scores, 2), v, False, False)
    return joined(decomposed(*separate(x, count, seed, bias=kind != "no_bias")), count)


def block(x, count, seed, kind="fused_gather", wiring="pre_norm"):
    """Return one transformer block."""

    def attend(y):
        return linear(attention(kind, y, count, seed), CHANNELS, CHANNELS, seed + 5)

    if wiring == "post_norm":
        x = norm(ops.add(x, attend(x)), seed)
        return norm(ops.add(x, mlp(x, seed + 10)), seed + 1)
    if wiring == "parallel":
        entering = norm(x, seed)
        return ops.add(ops.add(x, attend(entering)), mlp(entering, seed + 10))
    scale = weights(1, 1, CHANNELS, seed=seed + 30) if wiring == "layer_scale" else None
    first = attend(norm(x, seed, affine=wiring != "plain_norm"))
    x = ops.add(x, first if scale is None else ops.multiply(first, scale))
    second = mlp(norm(x, seed + 1), seed + 10)
    return ops.add(x, second if scale is None else ops.multiply(second, scale))


def token(x, position):
    return ops.gather(x, ops.constant(np.int64(position)), ops.constant(np.int64(1)))


def vision_transformer(kind="fused_gather", wiring="pre_norm", before=1, behind=0):
    """Return a builder of a model that reads its first token, with `before` and `behind` tokens beside the grid."""

    def build(batch=1):
        image, patches = embedding(batch)
        parts = [kept(patches, before)] if before else []
        parts += [patches] + ([kept(patches, behind, seed=8)] if behind else [])
        count = PLACES + before + behind
        x = ops.add(ops.concat(parts, 1), weights(1, count, CHANNELS, seed=3))
        for index in range(2):
            x = block(x, count, 100 * (index + 1), kind, wiring)
        return model_of(image, dense(token(norm(x, 5), 0), CHANNELS, CLASSES))

    return build


def distilled(batch=1):
    """Two class tokens, each with its head; the logits are their mean."""
    image, patches = embedding(batch)
    x = ops.concat([kept(patches, 2), patches], 1)
    x = norm(block(block(x, PLACES + 2, 100), PLACES + 2, 200), 5)
    heads = [dense(token(x, position), CHANNELS, CLASSES, seed=40 + position) for position in range(2)]
    return model_of(image, ops.divide(ops.add(*heads), ops.constant(np.float32(2))))


def class_attention(batch=1):
    """Two layers in which only the class token queries; between them it is joined with the places again."""
    image, patches = embedding(batch)
    patches = block(patches, PLACES, 100)
    first = kept(patches, 1)
    for seed in (200, 300):
        entering = norm(ops.concat([first, patches], 1), seed)
        query = flat(dense(token(entering, 0), CHANNELS, CHANNELS, seed), 0, 1, HEADS, DEPTH)
        keys, values = (by_head(linear(entering, CHANNELS, CHANNELS, seed + part), PLACES + 1) for part in (1, 2))
        attended = flat(
            ops.transpose(sdpa(ops.transpose(query, ints(0, 2, 1, 3)), keys, values), ints(0, 2, 1, 3)), 0, 1, CHANNELS
        )
        first = ops.add(first, ops.multiply(linear(attended, CHANNELS, CHANNELS, seed + 3), weights(1, 1, CHANNELS)))
        first = ops.add(first, mlp(norm(first, seed + 1), seed + 4))
    x = norm(ops.concat([first, patches], 1), 5)
    return model_of(image, dense(token(x, 0), CHANNELS, CLASSES))


def probe(batch=1):
    """Attention pooling: a learned query reads the places."""
    image, patches = embedding(batch)
    x = norm(block(patches, PLACES, 100), 5)
    query = by_head(linear(kept(x, 1), CHANNELS, CHANNELS, 200), 1)
    both = flat(linear(x, CHANNELS, 2 * CHANNELS, 201), 0, PLACES, 2, HEADS, DEPTH)
    turned = ops.transpose(both, ints(2, 0, 3, 1, 4))
    keys, values = (token_of_pair(turned, part) for part in range(2))
    pooled = linear(joined(decomposed(query, keys, values), 1), CHANNELS, CHANNELS, 203)
    pooled = ops.add(pooled, mlp(norm(pooled, 6), 204))
    return model_of(image, dense(token(pooled, 0), CHANNELS, CLASSES))


def token_of_pair(x, part):
    return ops.gather(x, ops.constant(np.int64(part)), ops.constant(np.int64(0)))


def mean_token(batch=1):
    """Attention pooling with the mean of the places as the query, joined with them."""
    image, patches = embedding(batch)
    patches = block(patches, PLACES, 100)
    x = ops.concat([ops.reduce_mean(patches, ints(1), True), patches], 1)
    x = ops.add(x, weights(1, PLACES + 1, CHANNELS, seed=3))
    q, k, v = separate(x, PLACES + 1, 200)
    attended = joined(sdpa(q, k, v), PLACES + 1)
    return model_of(image, dense(token(attended, 0), CHANNELS, CLASSES))


def two_branches(batch=1):
    """A fine and a coarse grid; each class token reads the tokens of the other; two heads, stacked and averaged."""
    image, fine = embedding(batch)
    coarse = ops.convolution(image, weights(CHANNELS, 3, 4, 5), [4, 5], [0, 0], [0, 0], [1, 1])
    coarse = ops.transpose(flat(coarse, 0, CHANNELS, 4), ints(0, 2, 1))
    logits = []
    for index, (own, other, count) in enumerate(((fine, coarse, 4), (coarse, fine, PLACES))):
        first = kept(own, 1, seed=60 + index)
        x = norm(ops.concat([first, block(other, count, 100 + index)], 1), index)
        query = by_head(linear(ops.slice(x, ints(0), ints(1), ints(1), ints(1)), CHANNELS, CHANNELS, 110 + index), 1)
        keys, values = (by_head(linear(x, CHANNELS, CHANNELS, 120 + index + part), count + 1) for part in (1, 2))
        read = ops.add(first, linear(joined(sdpa(query, keys, values), 1), CHANNELS, CHANNELS, 130 + index))
        logits.append(ops.unsqueeze(dense(token(norm(read, 5), 0), CHANNELS, CLASSES, seed=140 + index), ints(0)))
    return model_of(image, ops.reduce_mean(ops.concat(logits, 0), ints(0), False))


def hidden_grid(batch=1):
    """Patches are picked out of the flattened image by index, so nothing tells that the tokens are a grid."""
    image = ops.parameter([batch, 3, 2 * HEIGHT, 2 * WIDTH], np.float32, name="image")
    image.output(0).set_names({"image"})
    pixels = np.arange(3 * 4 * PLACES).reshape(3, HEIGHT, 2, WIDTH, 2).transpose(1, 3, 0, 2, 4).reshape(PLACES, 12)
    picked = ops.gather(flat(image, 0, 3 * 4 * PLACES), ops.constant(pixels), ops.constant(np.int64(1)))
    patches = linear(picked, 12, CHANNELS, 1)
    x = block(ops.concat([kept(patches, 1), patches], 1), PLACES + 1, 100)
    return model_of(image, dense(token(norm(x, 5), 0), CHANNELS, CLASSES))


def mean_of_all_tokens(batch=1):
    """Class token and places are averaged together."""
    image, patches = embedding(batch)
    x = norm(block(ops.concat([kept(patches, 1), patches], 1), PLACES + 1, 100), 5)
    return model_of(image, dense(ops.reduce_mean(x, ints(1), False), CHANNELS, CLASSES))


def mean_beside_class_token(batch=1):
    """The classifier reads the class token and the mean of the places."""
    image, patches = embedding(batch)
    x = norm(block(ops.concat([kept(patches, 1), patches], 1), PLACES + 1, 100), 5)
    places = ops.slice(x, ints(1), ints(2**31), ints(1), ints(1))
    joint = ops.concat([token(x, 0), ops.reduce_mean(places, ints(1), False)], 1)
    return model_of(image, dense(joint, 2 * CHANNELS, CLASSES))


_SPECIFIED = {
    **{
        kind: (vision_transformer(kind), 1, 0, "gaussian")
        for kind in (
            "fused_gather fused_split fused_slice decomposed no_bias relative_bias attention_mask "
            "normalised_queries_and_keys rotary quantised transposed single_head "
            "in_equations products_in_equations flattened"
        ).split()
    },
    **{
        wiring: (vision_transformer(wiring=wiring), 1, 0, "gaussian")
        for wiring in ("post_norm", "parallel", "layer_scale", "plain_norm")
    },
    "registers": (vision_transformer(before=3), 3, 0, "gaussian"),
    "registers_behind": (vision_transformer(before=1, behind=2), 1, 2, "gaussian"),
    "distilled": (distilled, 2, 0, "gaussian"),
    "class_attention": (class_attention, 1, 0, "gaussian"),
    "probe": (probe, 0, 0, "gaussian"),
    "mean_token": (mean_token, 1, 0, "gaussian"),
    "two_branches": (two_branches, 1, 0, "gaussian"),
    "mean_of_all_tokens": (mean_of_all_tokens, 1, 0, "gaussian"),
    "mean_beside_class_token": (mean_beside_class_token, 0, 0, "pixel"),
}

#: name: (builder, tokens before the grid, tokens behind it, mask chosen by default). A builder called twice returns the
#: same model: the names of its nodes are numbered by the process.
TRANSFORMERS = {name: (cache(build), *rest) for name, (build, *rest) in _SPECIFIED.items()}
