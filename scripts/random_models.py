"""Large classifiers with random weights, built op by op: sizes at which a literal perturbation runs out of memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import opset13 as ops

CLASSES = 1000


@dataclass(frozen=True)
class Size:
    """The measures of a vision transformer.

    Attributes:
        image: side of the square image in pixels.
        patch: side of a patch in pixels.
        width: channels.
        depth: blocks.
        heads: attention heads.
    """

    image: int
    patch: int
    width: int
    depth: int
    heads: int

    @property
    def tokens(self) -> int:
        """Number of patches and the class token."""
        return (self.image // self.patch) ** 2 + 1


class _Weights:
    """Random constants, the same on every run."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)

    def matrix(self, *shape: int) -> ov.Node:
        values = self._random.standard_normal(shape, np.float32)
        values /= np.float32(np.sqrt(np.prod(shape[1:])))
        return ops.constant(values)


def _ints(*values: int) -> ov.Node:
    return ops.constant(np.array(values, np.int64))


def _norm(x: ov.Node) -> ov.Node:
    return ops.mvn(x, _ints(-1), True, 1e-6, "inside_sqrt")


def _linear(x: ov.Node, weights: _Weights, inner: int, outer: int) -> ov.Node:
    return ops.add(ops.matmul(x, weights.matrix(outer, inner), False, True), weights.matrix(1, 1, outer))


def _attention(x: ov.Node, weights: _Weights, size: Size) -> ov.Node:
    depth = size.width // size.heads
    qkv = ops.reshape(
        _linear(x, weights, size.width, 3 * size.width), _ints(0, size.tokens, 3, size.heads, depth), True
    )
    turned = ops.transpose(qkv, _ints(2, 0, 3, 1, 4))
    parts = [ops.gather(turned, ops.constant(np.int64(part)), ops.constant(np.int64(0))) for part in range(3)]
    attended = ops.transpose(ops.scaled_dot_product_attention(*parts), _ints(0, 2, 1, 3))
    return _linear(ops.reshape(attended, _ints(0, size.tokens, size.width), True), weights, size.width, size.width)


def _mlp(x: ov.Node, weights: _Weights, width: int) -> ov.Node:
    hidden = ops.gelu(_linear(x, weights, width, 4 * width), "erf")
    return _linear(hidden, weights, 4 * width, width)


def vision_transformer(size: Size) -> ov.Model:
    """Return a pre-norm vision transformer with a class token; output `logits` [1, 1000]."""
    weights = _Weights()
    image = ops.parameter([1, 3, size.image, size.image], np.float32, name="image")
    step, none = [size.patch] * 2, [0, 0]
    patches = ops.convolution(image, weights.matrix(size.width, 3, *step), step, none, none, [1, 1])
    x = ops.transpose(ops.reshape(patches, _ints(0, size.width, -1), True), _ints(0, 2, 1))
    x = ops.concat([weights.matrix(1, 1, size.width), x], 1)
    x = ops.add(x, weights.matrix(1, size.tokens, size.width))
    for _ in range(size.depth):
        x = ops.add(x, _attention(_norm(x), weights, size))
        x = ops.add(x, _mlp(_norm(x), weights, size.width))
    first = ops.gather(_norm(x), ops.constant(np.int64(0)), ops.constant(np.int64(1)))
    return _classifier(image, first, weights, size.width)


def wide_grid(side: int, channels: int) -> ov.Model:
    """Return a convolutional classifier whose last feature map is [1, channels, side, side]."""
    weights = _Weights()
    image = ops.parameter([1, 3, 16 * side, 16 * side], np.float32, name="image")
    x: ov.Node = image
    for inner, outer in ((3, 64), (64, 256), (256, channels // 2), (channels // 2, channels)):
        kernel = weights.matrix(outer, inner, 3, 3)
        x = ops.relu(ops.convolution(x, kernel, [2, 2], [1, 1], [1, 1], [1, 1]))
    return _classifier(image, ops.reduce_mean(x, _ints(2, 3), False), weights, channels)


def _classifier(image: ov.Node, vector: ov.Node, weights: _Weights, width: int) -> ov.Model:
    product = ops.matmul(vector, weights.matrix(CLASSES, width), False, True)
    result = ops.result(ops.add(product, weights.matrix(1, CLASSES)))
    result.output(0).set_names({"logits"})
    return ov.Model([result], [image], "classifier")


#: name: builder
MODELS: dict[str, Callable[[], ov.Model]] = {
    "vit_base_patch16_384": lambda: vision_transformer(Size(image=384, patch=16, width=768, depth=12, heads=12)),
    "vit_32x32_width1536": lambda: vision_transformer(Size(image=512, patch=16, width=1536, depth=6, heads=24)),
    "grid_32x32_width1536": lambda: wide_grid(side=32, channels=1536),
}
