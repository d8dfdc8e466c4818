"""The only place that creates nodes of a saliency branch.

Names are given here and come from a counter of the emitter, not of the process, so the same input gives the same
bytes. Constants always carry an explicit element type. Ops come from opset13 or earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from ov_xai.graph.copy import NodeCopier
from ov_xai.graph.view import sizes

#: Every inserted node is named below this prefix.
PREFIX = "ov_xai/"
#: Stands below every activation, within the range of FP16.
LOWEST = -6e4


class Emitter:
    """Adds nodes to the graph of one model.

    All methods take and return `ov.Output`. Axes and shapes follow the OpenVINO operation of the same name.
    """

    def __init__(self, model: ov.Model) -> None:
        self._copier = NodeCopier(model)
        self._scope: list[str] = []
        self._counts: dict[str, int] = {}

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Put the nodes made inside below `ov_xai/<name>/`."""
        self._scope.append(name)
        try:
            yield
        finally:
            self._scope.pop()

    def _name(self, kind: str) -> str:
        stem = PREFIX + "/".join([*self._scope, kind])
        count = self._counts.get(stem, 0)
        self._counts[stem] = count + 1
        return f"{stem}_{count}"

    def _emit(self, make: Callable[..., ov.Node], *inputs: Any, **attributes: Any) -> ov.Output:
        node = make(*inputs, **attributes)
        node.set_friendly_name(self._name(node.get_type_name()))
        return node.output(0)

    # -- constants -------------------------------------------------------------------------------------------------

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike) -> ov.Output:
        """Return a constant of exactly `dtype`."""
        return self._emit(ops.constant, np.asarray(value, dtype=dtype))

    def ints(self, *values: int) -> ov.Output:
        """Return an i64 vector."""
        return self.constant(values, np.int64)

    def int_scalar(self, value: int) -> ov.Output:
        """Return an i64 scalar."""
        return self.constant(value, np.int64)

    def like(self, value: npt.ArrayLike, peer: ov.Output) -> ov.Output:
        """Return a constant of the element type of `peer`."""
        return self.constant(value, peer.get_element_type().to_dtype())

    # -- copies ----------------------------------------------------------------------------------------------------

    def copy(self, node: ov.Node, inputs: Sequence[ov.Output]) -> list[ov.Output]:
        """Return the outputs of a copy of `node` that reads `inputs`."""
        return list(self._copier.copy(node, inputs, self._name(node.get_type_name())).outputs())

    def private(self, weights: ov.Output, *, plain: bool = False) -> ov.Output:
        """Return a copy of a tensor that depends on constants only, sharing their memory.

        Args:
            weights: the tensor.
            plain: hide that 8-bit integers are behind it. Where the plugin sees that, it rounds what is multiplied by
                them too (dynamic quantisation). Conversions by way of FP16, which holds these integers exactly, become
                ordinary weights when compiled. By way of a wider integer they do not: each stream of the plugin then
                computes the weights on loading, and with several streams they are now and then wrong.

        A constant that gains a reader can keep the plugin from fusing it into the layer it belongs to, which moves
        the last bits of the predictions. Equal constants take their place in the file only once.
        """
        node = weights.get_node()
        inputs = [self.private(source, plain=plain) for source in node.input_values()]
        if plain and node.get_type_name() == "Convert" and inputs[0].get_element_type() in (ov.Type.i8, ov.Type.u8):
            inputs = [self.convert(inputs[0], ov.Type.f16)]
        return self.copy(node, inputs)[weights.get_index()]

    # -- shapes ----------------------------------------------------------------------------------------------------

    def _shape_of(self, x: ov.Output) -> ov.Output:
        return self._emit(ops.shape_of, x, output_type="i64")

    def extents(self, x: ov.Output, *axes: int) -> ov.Output:
        """Return the extents of these axes as an i64 vector.

        Of a static tensor they are folded when compiled, and follow when the model is reshaped before that. Of any
        other they are counted: where the extent of a dynamic axis is read as such, OpenVINO reads it off the first
        tensor of the model that has this axis, and what fused with the layer that makes that one does so no more.
        """
        if None not in (sizes(x) or [None]):
            return self.gather(self._shape_of(x), self.ints(*axes), 0)
        parts = [self._counted(x, axis) for axis in axes]
        return parts[0] if len(parts) == 1 else self.concat(parts, 0)

    def _counted(self, x: ov.Output, axis: int) -> ov.Output:
        """Return the number of positions along an axis, i64 [1].

        At BF16 and FP16 the CPU plugin keeps everything between the last product and an output in FP32, shapes
        included: read behind a product with one, they do not change the precision of the tensor.
        """
        depth = len(x.get_partial_shape())
        for other in set(range(depth)) - {axis}:
            x = self.slice(x, 0, 1, other)
        return self.reduce_sum(self.reshape(self._ones(self.times_one(x)), -1), 0, keep=True)

    def _ones(self, x: ov.Output) -> ov.Output:
        """Return an i64 tensor of ones of the shape of another, whatever that holds."""
        return self.add(self.convert(self.less(x, x), ov.Type.i64), self.ints(1))

    def times_one(self, x: ov.Output) -> ov.Output:
        """Return the same tensor behind a product."""
        depth = len(x.get_partial_shape())
        return self.squeeze(self.matmul(self.unsqueeze(x, depth), self.like([[1]], x)), depth)

    def reshape(self, x: ov.Output, *shape: int | ov.Output) -> ov.Output:
        """Reshape; 0 keeps the extent of the same axis, -1 is what is left, an Output is an i64 vector of extents."""
        if all(isinstance(part, int) for part in shape):
            target = self.ints(*(part for part in shape if isinstance(part, int)))
        else:
            target = self.concat([self.ints(p) if isinstance(p, int) else p for p in shape], 0)
        return self._emit(ops.reshape, x, target, special_zero=True)

    def unsqueeze(self, x: ov.Output, *axes: int) -> ov.Output:
        return self._emit(ops.unsqueeze, x, self.ints(*axes))

    def squeeze(self, x: ov.Output, *axes: int) -> ov.Output:
        return self._emit(ops.squeeze, x, self.ints(*axes))

    def transpose(self, x: ov.Output, *order: int) -> ov.Output:
        return self._emit(ops.transpose, x, self.ints(*order))

    def broadcast(self, x: ov.Output, shape: ov.Output) -> ov.Output:
        """Broadcast both ways (NumPy rules) to the i64 vector `shape`."""
        return self._emit(ops.broadcast, x, shape, broadcast_spec="BIDIRECTIONAL")

    def concat(self, parts: Sequence[ov.Output], axis: int) -> ov.Output:
        return self._emit(ops.concat, list(parts), axis=axis)

    def gather(self, x: ov.Output, indices: ov.Output, axis: int) -> ov.Output:
        return self._emit(ops.gather, x, indices, self.int_scalar(axis))

    def gather_elements(self, x: ov.Output, indices: ov.Output, axis: int) -> ov.Output:
        """Return the entries at `indices` along an axis; both have the same extents elsewhere."""
        return self._emit(ops.gather_elements, x, indices, axis)

    def gather_per_image(self, x: ov.Output, indices: ov.Output) -> ov.Output:
        """Return x[n, indices[n]] for x [N, K, ...] and indices i64 [N, T], as [N, T, ...].

        By index into [N * K, ...]: the CPU plugin's Gather with batch_dims reads out of bounds where the rows are
        shorter than a vector register (OpenVINO 2026.4).
        """
        extents = sizes(x) or []
        rest: list[int | ov.Output] = [
            extent if extent is not None else self.extents(x, axis + 2) for axis, extent in enumerate(extents[2:])
        ]
        start = self.multiply(self._image_numbers(indices), self.extents(x, 1))
        return self.gather(self.reshape(x, -1, *rest), self.add(indices, start), 0)

    def _image_numbers(self, indices: ov.Output) -> ov.Output:
        """Return 0, 1, ... N - 1 as i64 [N, 1], for indices [N, T].

        Of a dynamic batch they are counted, as its size would be; see `extents`.
        """
        if None not in (sizes(indices) or [None]):
            return self.unsqueeze(self.range(self.squeeze(self.extents(indices, 0), 0)), 1)
        return self._emit(ops.cum_sum, self._ones(self.slice(indices, 0, 1, 1)), self.int_scalar(0), exclusive=True)

    def slice(self, x: ov.Output, start: int, stop: int, axis: int) -> ov.Output:
        return self.slice_axes(x, {axis: (start, stop)})

    def slice_axes(self, x: ov.Output, positions: dict[int, tuple[int, int]]) -> ov.Output:
        """Slice along several axes: from the first of two positions to before the second."""
        starts, stops = zip(*positions.values(), strict=True)
        steps = self.ints(*(1 for _ in positions))
        return self._emit(ops.slice, x, self.ints(*starts), self.ints(*stops), steps, self.ints(*positions))

    def slice_apart(self, x: ov.Output, start: int, stop: int, axis: int) -> ov.Output:
        """Slice a tensor of the original model without being seen to.

        A Slice of a Concat is moved before it by the CPU plugin, which then reads, and no longer fuses, what the
        original model joins there. A Gather of the same positions is left alone.
        """
        positions = self._emit(
            ops.range, self.int_scalar(start), self.int_scalar(stop), self.int_scalar(1), output_type="i64"
        )
        return self.gather(x, positions, axis)

    def pad(self, x: ov.Output, begin: Sequence[int], end: Sequence[int], value: float) -> ov.Output:
        return self._emit(ops.pad, x, self.ints(*begin), self.ints(*end), "constant", self.like(value, x))

    # -- arithmetic ------------------------------------------------------------------------------------------------

    def add(self, a: ov.Output, b: ov.Output) -> ov.Output:
        return self._emit(ops.add, a, b)

    def subtract(self, a: ov.Output, b: ov.Output) -> ov.Output:
        return self._emit(ops.subtract, a, b)

    def multiply(self, a: ov.Output, b: ov.Output) -> ov.Output:
        return self._emit(ops.multiply, a, b)

    def divide(self, a: ov.Output, b: ov.Output) -> ov.Output:
        return self._emit(ops.divide, a, b)

    def maximum(self, a: ov.Output, b: ov.Output) -> ov.Output:
        return self._emit(ops.maximum, a, b)

    def equal(self, a: ov.Output, b: ov.Output) -> ov.Output:
        return self._emit(ops.equal, a, b)

    def less(self, a: ov.Output, b: ov.Output) -> ov.Output:
        return self._emit(ops.less, a, b)

    def mod(self, a: ov.Output, b: ov.Output) -> ov.Output:
        return self._emit(ops.mod, a, b)

    def select(self, condition: ov.Output, a: ov.Output, b: ov.Output) -> ov.Output:
        return self._emit(ops.select, condition, a, b)

    def absolute(self, x: ov.Output) -> ov.Output:
        return self._emit(ops.absolute, x)

    def sqrt(self, x: ov.Output) -> ov.Output:
        return self._emit(ops.sqrt, x)

    def clamp(self, x: ov.Output, low: float, high: float) -> ov.Output:
        return self._emit(ops.clamp, x, low, high)

    def relu(self, x: ov.Output) -> ov.Output:
        return self._emit(ops.relu, x)

    def inverse(self, count: ov.Output, peer: ov.Output) -> ov.Output:
        """Return 1/n of a count n, an i64 vector of one element, in the type of `peer`.

        FP16 holds 1/h and 1/w, but not 1/P of a large grid: divide by one after the other.
        """
        return self.divide(self.like(1, peer), self.convert(count, peer.get_element_type()))

    def round(self, x: ov.Output) -> ov.Output:
        return self._emit(ops.round, x, "half_to_even")

    def convert(self, x: ov.Output, element_type: ov.Type) -> ov.Output:
        return self._emit(ops.convert, x, element_type.to_string())

    def softmax(self, x: ov.Output, axis: int) -> ov.Output:
        return self._emit(ops.softmax, x, axis)

    def log_softmax(self, x: ov.Output, axis: int) -> ov.Output:
        return self._emit(ops.log_softmax, x, axis)

    def sigmoid(self, x: ov.Output) -> ov.Output:
        return self._emit(ops.sigmoid, x)

    def matmul(self, a: ov.Output, b: ov.Output, transpose_a: bool = False, transpose_b: bool = False) -> ov.Output:
        return self._emit(ops.matmul, a, b, transpose_a, transpose_b)

    def range(self, stop: ov.Output) -> ov.Output:
        """Return 0, 1, ..., stop - 1 for the i64 scalar `stop`."""
        return self._emit(ops.range, self.int_scalar(0), stop, self.int_scalar(1), output_type="i64")

    # -- reductions ------------------------------------------------------------------------------------------------

    def reduce_mean(self, x: ov.Output, *axes: int, keep: bool = False) -> ov.Output:
        return self._emit(ops.reduce_mean, x, self.ints(*axes), keep)

    def reduce_sum(self, x: ov.Output, *axes: int, keep: bool = False) -> ov.Output:
        return self._emit(ops.reduce_sum, x, self.ints(*axes), keep)

    def reduce_max(self, x: ov.Output, *axes: int, keep: bool = False) -> ov.Output:
        return self._emit(ops.reduce_max, x, self.ints(*axes), keep)

    def reduce_min(self, x: ov.Output, *axes: int, keep: bool = False) -> ov.Output:
        return self._emit(ops.reduce_min, x, self.ints(*axes), keep)

    def top_k(self, x: ov.Output, k: int, axis: int) -> tuple[ov.Output, ov.Output]:
        """Return values and i64 indices of the `k` largest entries along `axis`, best first."""
        values = self._emit(ops.topk, x, self.int_scalar(k), axis, "max", "value", "i64")
        return values, values.get_node().output(1)

    def one_hot(self, indices: ov.Output, depth: int, peer: ov.Output) -> ov.Output:
        """Return ones at `indices` on a new last axis of extent `depth`, else zeros, of the type of `peer`."""
        one, zero = self.like(1, peer), self.like(0, peer)
        return self._emit(ops.one_hot, indices, self.int_scalar(depth), one, zero, -1)

    # -- pictures --------------------------------------------------------------------------------------------------

    def resize(self, x: ov.Output, extents: ov.Output) -> ov.Output:
        """Resize [N, K, h, w] to the i64 vector [h, w] bilinearly between the centres of cells (half-pixel)."""
        return self._emit(
            ops.interpolate,
            x,
            extents,
            "linear_onnx",
            "sizes",
            coordinate_transformation_mode="half_pixel",
            axes=self.ints(2, 3),
        )

    # -- convolutions ----------------------------------------------------------------------------------------------

    def convolution_1x1(self, x: ov.Output, weights: ov.Output) -> ov.Output:
        """Mix the channels of x [N, C, h, w] by weights [K, C, 1, 1]."""
        return self._emit(ops.convolution, x, weights, [1, 1], [0, 0], [0, 0], [1, 1])

    def depthwise(self, x: ov.Output, weights: ov.Output, pad: int) -> ov.Output:
        """Convolve each channel of x [N, C, h, w] with weights [C, 1, 1, k, k], zeros around the border."""
        return self._emit(ops.group_convolution, x, weights, [1, 1], [pad, pad], [pad, pad], [1, 1])

    # -- model boundaries ------------------------------------------------------------------------------------------

    def parameter(self, shape: ov.PartialShape, element_type: ov.Type) -> ov.Output:
        """Return a new input of a body or of a helper model."""
        return self._emit(ops.parameter, shape, element_type)

    def result(self, x: ov.Output, name: str) -> ov.Node:
        """Return a Result whose tensor has exactly the name `name`."""
        node = ops.result(x)
        node.set_friendly_name(PREFIX + name)
        node.output(0).set_names({name})
        return node

    def loop(
        self,
        body: ov.Model,
        sliced: tuple[ov.Output, ov.Output],
        invariant: Sequence[tuple[ov.Output, ov.Output]],
        axis: int,
        part: int,
    ) -> ov.Output:
        """Run `body` once per slice of one row along axis 0 and join its only result along `axis`.

        Args:
            body: model with one result.
            sliced: (body parameter, outer tensor) whose leading axis is iterated.
            invariant: (body parameter, outer tensor) pairs passed whole to every iteration.
            axis: axis along which the results are concatenated.
            part: extent of one result along that axis.
        """
        node = ops.tensor_iterator()
        node.set_body(body)
        parameter, outer = sliced
        node.set_sliced_input(parameter.get_node(), outer, 0, 1, 1, -1, 0)
        for inner, value in invariant:
            node.set_invariant_input(inner.get_node(), value)
        result = node.get_concatenated_slices(body.get_results()[0].output(0), 0, part, part, -1, axis)
        node.set_friendly_name(self._name("TensorIterator"))
        return result
