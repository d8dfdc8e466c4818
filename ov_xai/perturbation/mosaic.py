"""The literal perturbation: masked copies of the target, run through a copy of the head in blocks.

For a block of B masks the body computes head(M_p * F) for p in the block, with N * B rows as the batch. A
TensorIterator runs it over all blocks, so memory does not grow with the grid.
"""

from __future__ import annotations

from math import ceil, prod

import numpy as np
import openvino as ov

from ov_xai.analysis.axes import Axis, Role, batch_axis, factors, has_places, place_axes, segment_size
from ov_xai.analysis.cost import multiply_adds
from ov_xai.graph.emit import Emitter
from ov_xai.graph.view import is_float, is_weight, node_key, port, sizes
from ov_xai.perturbation.batch import SHAPE_INPUT, batch_pattern, repeat_images
from ov_xai.perturbation.context import Context
from ov_xai.perturbation.forms import Order, Refusal, Rows

#: What the activations of one block may take, in bytes.
MEMORY_BUDGET = 32 * 2**20
#: Most multiply-adds of all masked copies of the head: minutes per image on a few cores, for the self-check as well.
MOST_MULTIPLY_ADDS = 10**13
#: With blocks of one mask, the masked target has the size of the target, and the CPU plugin computes it in place of the
#: loop's invariant input: from the second iteration on the target would be masked twice.
MIN_BLOCK = 2
#: Blocks of a grid whose size is not known when the model is patched.
DYNAMIC_BLOCK = 8
#: Name of the body and of its only result.
RESULT = "masked_scores"


def mosaic(head: list[ov.Node], logits: ov.Output, classes: int, ctx: Context) -> Rows | Refusal:
    """Return the rows of the logits under all masks, evaluated literally.

    Returns:
        Settled rows [N, P, K], or the refusal of an op that cannot run on a batch of another size, or of a head that
        is too large to run once per place.
    """
    refusal = _too_large(head, ctx)
    if refusal is not None:
        return refusal
    block = block_size(head, ctx)
    body = _Body(head, ctx, block)
    scores = body.run(logits)
    if isinstance(scores, Refusal):
        return scores
    emit = ctx.emit
    places = emit.multiply(ctx.masks.height, ctx.masks.width)
    blocks = emit.divide(emit.add(places, emit.ints(block - 1)), emit.ints(block))
    index = emit.range(emit.squeeze(emit.multiply(blocks, emit.ints(block)), 0))
    sliced = emit.reshape(index, -1, block)
    result = emit.reshape(scores, -1, block, classes)
    model = ov.Model([emit.result(result, RESULT)], body.parameters(), RESULT)
    joined = emit.loop(model, (body.index, sliced), body.invariants(), axis=1, part=block)
    trimmed = _trim(joined, places, ctx)
    return Rows(trimmed, Order.LAST, classes)


def _too_large(head: list[ov.Node], ctx: Context) -> Refusal | None:
    places, once = ctx.target.grid.places, multiply_adds(head)
    if places is None or once is None or places * once <= MOST_MULTIPLY_ADDS:
        return None
    work = f"{places} copies take {places * once:.0e} multiply-adds, at most {MOST_MULTIPLY_ADDS:.0e} are accepted"
    return Refusal(work, head[0].get_friendly_name())


def _trim(values: ov.Output, places: ov.Output, ctx: Context) -> ov.Output:
    """Drop the rows that pad the last block."""
    return ctx.emit.gather(values, ctx.emit.range(ctx.emit.squeeze(places, 0)), 1)


def block_size(head: list[ov.Node], ctx: Context) -> int:
    """Return how many masks run at once: as many as fit into `MEMORY_BUDGET`, in blocks of equal size."""
    places = ctx.target.grid.places
    largest = max((_bytes(node) for node in head), default=1)
    fitting = max(MIN_BLOCK, MEMORY_BUDGET // max(1, 3 * largest))
    if places is None:
        return min(fitting, DYNAMIC_BLOCK)
    return max(MIN_BLOCK, ceil(places / ceil(places / min(fitting, places))))


def _bytes(node: ov.Node) -> int:
    total = 0
    for output in node.outputs():
        extents = sizes(output) or []
        total += prod(extent or 1 for extent in extents) * 4
    return total


class _Body:
    """The body of the loop: its inputs, and the head copied behind the masked target."""

    def __init__(self, head: list[ov.Node], ctx: Context, block: int) -> None:
        self._head = head
        self._ctx = ctx
        self._block = block
        self._emit: Emitter = ctx.emit
        self._inputs: dict[tuple[int, int], tuple[ov.Output, ov.Output]] = {}
        self.index = self._emit.parameter(ov.PartialShape([1, block]), ov.Type.i64)
        self._target = self._input(ctx.tapped())

    def parameters(self) -> list[ov.Node]:
        """Return the body's inputs."""
        return [self.index.get_node(), *(inner.get_node() for inner, _ in self._inputs.values())]

    def invariants(self) -> list[tuple[ov.Output, ov.Output]]:
        """Return (body input, outer tensor) pairs."""
        return list(self._inputs.values())

    def run(self, logits: ov.Output) -> ov.Output | Refusal:
        """Return the logits of the block [N * B, ...], or the op that cannot be copied."""
        made: dict[tuple[int, int], ov.Output] = {port(self._ctx.target.output): self._masked()}
        affected = {node_key(node) for node in self._head} | {node_key(self._ctx.target.output.get_node())}
        for node in self._head:
            inputs = self._inputs_of(node, made, affected)
            if isinstance(inputs, Refusal):
                return inputs
            copies = inputs[:1] if self._ctx.passes(node) else self._emit.copy(node, inputs)
            made.update(zip((port(output) for output in node.outputs()), copies, strict=True))
        return made[port(logits)]

    def _inputs_of(
        self, node: ov.Node, made: dict[tuple[int, int], ov.Output], affected: set[int]
    ) -> list[ov.Output] | Refusal:
        pattern = SHAPE_INPUT.get(node.get_type_name())
        inputs = []
        for index, source in enumerate(node.input_values()):
            if index == pattern:
                shape = batch_pattern(node, self._ctx)
                if shape is not None:
                    inputs.append(self._emit.ints(*shape))
                    continue
                if node_key(source.get_node()) not in affected:
                    return Refusal("a literal shape whose batch axis cannot be found", node.get_friendly_name())
            if port(source) in made:
                inputs.append(made[port(source)])
            elif is_weight(source):
                inputs.append(self._ctx.weights(source))
            else:
                inputs.append(self._repeated(source))
        return inputs

    def _input(self, source: ov.Output) -> ov.Output:
        """Return the body's side of a tensor from outside.

        The plugin does not look into loops: without a product before them, activations would change their precision.
        """
        if port(source) not in self._inputs:
            inner = self._emit.parameter(source.get_partial_shape(), source.get_element_type())
            outer = self._emit.times_one(source) if is_float(source) and sizes(source) else source
            self._inputs[port(source)] = (inner, outer)
        return self._inputs[port(source)][0]

    def _repeated(self, source: ov.Output) -> ov.Output:
        """Return a tensor the masks share, with its batch repeated B times per image."""
        inner, layout = self._input(source), self._ctx.layout(source)
        if batch_axis(layout) is None:
            return inner
        repeated = repeat_images(inner, layout, self._emit.ints(self._block), self._emit)
        return inner if repeated is None else repeated

    def _masked(self) -> ov.Output:
        """Return M_p * F for the masks of the block, [N * B, ...] in the target's own layout."""
        emit, ctx = self._emit, self._ctx
        layout, target = ctx.target.layout, self._target
        places, batch = place_axes(layout), batch_axis(layout) or 0
        extents = sizes(target) or []
        height, width = self._grid_extents(places)
        index = emit.reshape(self.index, -1)  # (B,)
        matrix = _Profiles(ctx, emit, height, width)
        mask = matrix.of(index)  # (B, h, w)
        # (B, places) -> the masks stand behind the batch, the places where the target has them.
        mask = self._with_kept(mask, layout[places[0]]) if len(places) == 1 else mask
        wide = [axis for axis in range(len(extents) + 1) if axis != batch + 1 and not _is_place(axis, batch, places)]
        turned = emit.transpose(mask, *range(1, len(places) + 1), 0) if places[0] < batch else mask
        product = emit.multiply(emit.unsqueeze(target, batch + 1), emit.unsqueeze(turned, *wide))
        rest: list[int | ov.Output] = [
            extent if extent is not None else emit.extents(target, axis) for axis, extent in enumerate(extents)
        ]
        rest[batch] = -1
        return emit.reshape(product, *rest)

    def _with_kept(self, mask: ov.Output, axis: Axis) -> ov.Output:
        """Return masks (B, h, w) as rows, with ones for the tokens beside the grid."""
        emit = self._emit
        parts = [
            emit.reshape(mask, 0, -1)
            if has_places((segment,))
            else emit.like(np.ones((self._block, segment_size(segment) or 1)), mask)
            for segment in axis
        ]
        return parts[0] if len(parts) == 1 else emit.concat(parts, 1)

    def _grid_extents(self, places: list[int]) -> tuple[ov.Output, ov.Output]:
        emit, ctx = self._emit, self._ctx
        known = ctx.target.grid
        if known.height is not None and known.width is not None:
            return emit.ints(known.height), emit.ints(known.width)
        (first, second) = places
        assert {factor.role for factor in factors(ctx.target.layout[first])} == {Role.Y}
        return emit.extents(self._target, first), emit.extents(self._target, second)


def _is_place(axis: int, batch: int, places: list[int]) -> bool:
    """Return whether an axis of the target with the masks behind its batch holds places."""
    return (axis if axis <= batch else axis - 1) in places and axis != batch + 1


class _Profiles:
    """Masks by index, built from the two factors of G."""

    def __init__(self, ctx: Context, emit: Emitter, height: ov.Output, width: ov.Output) -> None:
        self._ctx, self._emit, self._height, self._width = ctx, emit, height, width

    def of(self, index: ov.Output) -> ov.Output:
        """Return the masks [B, h, w] of places `index` [B]; indices beyond the grid give any mask."""
        emit, masks = self._emit, self._ctx.masks
        row = emit.mod(emit.divide(index, self._width), self._height)
        column = emit.mod(index, self._width)
        rows = emit.gather(masks.profile(self._height), row, 0)
        columns = emit.gather(masks.profile(self._width), column, 0)
        return emit.multiply(emit.unsqueeze(rows, 2), emit.unsqueeze(columns, 1))
