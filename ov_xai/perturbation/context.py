"""What every rule needs to know, and the conversions between forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import openvino as ov

from ov_xai.analysis.axes import Layout, batch_axis, place_axes, vector_axis
from ov_xai.analysis.candidates import Candidate
from ov_xai.analysis.demand import Demand, kept_positions, on_grid
from ov_xai.analysis.propagation import Layouts
from ov_xai.graph.emit import Emitter
from ov_xai.graph.kinds import ROUNDING_OPS
from ov_xai.graph.view import Port, constant_ints, constant_value, node_key, port, rank, sizes
from ov_xai.perturbation.forms import (
    KEPT_WEIGHT,
    Affine,
    Batch,
    Form,
    Levels,
    Order,
    PlaceForm,
    Refusal,
    Rows,
    Shared,
    Tokens,
)
from ov_xai.perturbation.masks import MaskMatrix


@dataclass(frozen=True)
class ClassSubset:
    """The classes to compute, when not all of them.

    Attributes:
        indices: i64 [N, T].
        count: T.
        classes: K.
        nodes: keys of the nodes at the end of the head that treat each class by itself.
        entries: keys of the nodes (dense layers, or the target's producer) where the class axis comes into being.
    """

    indices: ov.Output
    count: int
    classes: int
    nodes: frozenset[int]
    entries: frozenset[int]


@dataclass
class Context:
    """The surroundings of a replay.

    Attributes:
        emit: where nodes are added.
        layouts: what the axes of the original tensors are.
        demand: which positions of the original tensors the scores are computed from.
        target: the masked tensor.
        masks: the mask matrix.
        subset: the classes to compute; None for all.
        rounded: round activations where the model does.
        kept_tokens: the kept tokens of every tensor that also holds masked places, each by itself.
    """

    emit: Emitter
    layouts: Layouts
    demand: Demand
    target: Candidate
    masks: MaskMatrix
    subset: ClassSubset | None = None
    rounded: bool = True
    kept_tokens: dict[Port, Tokens] = field(default_factory=dict)
    _inverse_places: ov.Output | None = field(default=None, init=False)

    # -- questions about original tensors --------------------------------------------------------------------------

    def layout(self, output: ov.Output) -> Layout:
        """Return the layout of an original tensor; axes of a tensor apart from the image are unlabelled."""
        found = self.layouts.get(port(output))
        return found if found is not None else tuple(((),) for _ in range(rank(output) or 0))

    def vector_axis(self, output: ov.Output) -> int | None:
        """Return the axis of a vector per image; see `ov_xai.analysis.axes.vector_axis`."""
        return vector_axis(self.layout(output), sizes(output) or [])

    def passes(self, node: ov.Node) -> bool:
        """Return whether a node is left out of the perturbed runs: what enters it leaves it."""
        return not self.rounded and node.get_type_name() in ROUNDING_OPS

    def weights(self, source: ov.Output) -> ov.Output:
        """Return weights for the perturbed runs."""
        return self.emit.private(source, plain=not self.rounded)

    def restricted(self, node: ov.Node) -> bool:
        """Return whether the outputs of this node hold the chosen classes only."""
        return self.subset is not None and node_key(node) in self.subset.nodes

    def inverse_places(self) -> ov.Output:
        """Return 1/P as a scalar of the activations' type."""
        if self._inverse_places is None:
            emit, values = self.emit, self.target.output
            count = emit.multiply(self.masks.height, self.masks.width)
            number = emit.convert(emit.squeeze(count, 0), values.get_element_type())
            self._inverse_places = emit.divide(emit.like(1, values), number)
        return self._inverse_places

    # -- place forms -----------------------------------------------------------------------------------------------

    def full(self, values: ov.Output, like: ov.Output) -> ov.Output:
        """Return `values` broadcast to the shape of `like`."""
        if sizes(values) == sizes(like) and None not in (sizes(values) or [None]):
            return values
        return self.emit.broadcast(values, self.emit.shape_of(like))

    def to_levels(self, form: PlaceForm) -> Levels:
        """Return the same perturbed tensor with one tensor per level of the mask."""
        if isinstance(form, Levels):
            return form
        kept = self.kept(form.layout, form.slope)
        return self._levels(form) if kept is None else self._levels_with_kept(form, kept)

    def kept(self, layout: Layout, like: ov.Output) -> ov.Output | None:
        """Return 1 at kept tokens and 0 at places, shaped to broadcast against a tensor; None without kept tokens."""
        for axis in place_axes(layout):
            if kept_positions(layout[axis]):
                places = on_grid(layout[axis])
                assert places is not None
                shape = [-1 if index == axis else 1 for index in range(len(layout))]
                return self.emit.like((~places).reshape(shape), like)
        return None

    def kept_weights(self, layout: Layout, like: ov.Output) -> ov.Output | None:
        """Return what the slope of a tensor is multiplied by: 1 / `KEPT_WEIGHT` at kept tokens, 1 at places."""
        kept = self.kept(layout, like)
        return None if kept is None else self.emit.add(kept, self.emit.like(1, like))

    def _levels_with_kept(self, form: Affine, kept: ov.Output) -> Levels:
        emit = self.emit
        twice = emit.multiply(form.slope, kept)
        unmasked = emit.multiply(twice, emit.like(KEPT_WEIGHT, twice))
        masked = emit.subtract(form.slope, twice)
        background = unmasked if form.offset is None else emit.add(unmasked, form.offset)
        levels = [
            emit.add(background, masked if level == 1 else emit.multiply(masked, emit.like(level, masked)))
            for level in self.masks.levels
        ]
        return Levels(tuple(levels), background, form.layout)

    def _levels(self, form: Affine) -> Levels:
        emit = self.emit
        levels = []
        for level in self.masks.levels:
            scaled = form.slope if level == 1 else emit.multiply(form.slope, emit.like(level, form.slope))
            levels.append(scaled if form.offset is None else emit.add(scaled, form.offset))
        background = form.offset
        if background is None:
            extents = sizes(form.slope) or []
            places = place_axes(form.layout)
            batch = batch_axis(form.layout)
            shape = [1 if axis in places or axis == batch else extent for axis, extent in enumerate(extents)]
            zero = emit.like(0, form.slope)
            background = emit.broadcast(zero, emit.ints(*(size or 1 for size in shape)))
        return Levels(tuple(levels), background, form.layout)

    def apart(self, node: ov.Node, form: Affine, rest: Sequence[ov.Output]) -> ov.Output:
        """Return what a Transpose or MatMul makes of a slope, apart from the original model.

        A slope without an offset and without kept tokens is computed as in the original model. The plugin merges ops
        of equal inputs, and the original op, read twice, can no longer be fused or moved as it was. With one more axis
        in front it is another op.
        """
        emit, values = self.emit, form.slope
        order = constant_value(rest[0]) if node.get_type_name() == "Transpose" else None
        product = node.get_type_name() == "MatMul" and (rank(values) or 0) > 1 and rank(rest[0]) == 2
        equal = form.offset is None and self.kept(form.layout, values) is None
        if not equal or not (product or order is not None):
            return emit.copy(node, [values, *rest])[0]
        wide = emit.unsqueeze(values, 0)
        if order is None:
            return emit.squeeze(emit.copy(node, [wide, *rest])[0], 0)
        axes = [int(axis) for axis in order.reshape(-1)] or list(reversed(range(rank(values) or 0)))
        return emit.squeeze(emit.transpose(wide, 0, *(axis + 1 for axis in axes)), 0)

    # -- rows ------------------------------------------------------------------------------------------------------

    def lift(self, values: ov.Output, vector: ov.Output, order: Order, restricted: bool) -> ov.Output | None:
        """Return a shared operand of a vector per image, shaped so that it broadcasts against rows.

        Args:
            values: the operand, of any shape that broadcasts against `vector`.
            vector: the original result of the op.
            order: order of the rows.
            restricted: take the chosen classes out of the class axis.

        Returns:
            [N or 1, C or 1, 1, 1] or [N or 1, 1, C or 1]; None when the operand has other axes.
        """
        axis, extents, depth = self.vector_axis(vector), sizes(values), rank(vector)
        if axis is None or extents is None or depth is None or len(extents) > depth:
            return None
        padded = [1] * (depth - len(extents)) + extents
        batch = batch_axis(self.layout(vector))
        if any(extent != 1 and index not in (axis, batch) for index, extent in enumerate(padded)):
            return None
        count = padded[axis]
        per_image = batch is not None and padded[batch] != 1
        if count is None or (per_image and axis < (batch or 0) and count != 1):
            return None
        flat = self.emit.reshape(values, -1 if per_image else 1, count)
        if restricted and self.subset is not None and count == self.subset.classes != 1:
            flat, count = self.choose(flat, per_image), self.subset.count
        if order is Order.FIRST:
            return self.emit.unsqueeze(flat, 2, 3)
        return self.emit.unsqueeze(flat, 1)

    def choose(self, vector: ov.Output, per_image: bool) -> ov.Output:
        """Return the chosen classes [N, T] of a [N or 1, K] tensor."""
        assert self.subset is not None
        if per_image:
            return self.emit.gather_per_image(vector, self.subset.indices)
        return self.emit.gather(self.emit.squeeze(vector, 0), self.subset.indices, 0)

    def full_channels(self, rows: Rows) -> ov.Output:
        """Return the offset of rows with all channels spelt out."""
        assert rows.offset is not None
        shape = (1, rows.channels, 1, 1) if rows.order is Order.FIRST else (1, 1, rows.channels)
        return self.emit.broadcast(rows.offset, self.emit.ints(*shape))

    def settle(self, rows: Rows) -> Rows:
        """Return the same rows with nothing put off."""
        values = self.smoothed(rows).values
        if rows.scale is not None:
            values = self.emit.multiply(values, rows.scale)
        if rows.offset is not None:
            values = self.emit.add(values, rows.offset)
        return Rows(values, rows.order, rows.channels)

    def smoothed(self, rows: Rows) -> Rows:
        """Return the same rows with the mask's kernel applied."""
        if not rows.smooth:
            return rows
        if rows.order is Order.FIRST:
            values = self.masks.smooth_first(rows.values, rows.channels)
        else:
            values = self.masks.smooth_last(rows.values)
        return Rows(values, rows.order, rows.channels, False, rows.scale, rows.offset)

    def reordered(self, rows: Rows, order: Order) -> Rows:
        """Return the same rows in the other physical order; what is put off stays so."""
        if rows.order is order:
            return rows
        values = self._reorder(rows.values, order, rows.channels)
        offset = None if rows.offset is None else self.reordered_offset(rows.offset, rows.order, order)
        return Rows(values, order, rows.channels, rows.smooth, rows.scale, offset)

    def reordered_offset(self, offset: ov.Output, before: Order, after: Order) -> ov.Output:
        """Return an offset of rows in the other physical order."""
        if before is after:
            return offset
        count = (sizes(offset) or [])[1 if before is Order.FIRST else 2] or 1
        return self.emit.reshape(offset, 0, *((count, 1, 1) if after is Order.FIRST else (1, count)))

    def _reorder(self, values: ov.Output, order: Order, channels: int) -> ov.Output:
        if order is Order.LAST:
            return self.emit.reshape(self.emit.transpose(values, 0, 2, 3, 1), 0, -1, channels)
        swapped = self.emit.transpose(values, 0, 2, 1)
        return self.emit.reshape(swapped, 0, channels, self.masks.height, self.masks.width)

    # -- batches ---------------------------------------------------------------------------------------------------

    def to_batch(self, form: Form, original: ov.Output) -> Batch | Refusal:
        """Return rows, or what is shared, as tensors with leading axis N * P of the original's other extents."""
        name = original.get_node().get_friendly_name()
        extents = sizes(original)
        if isinstance(form, Batch):
            return form
        if not isinstance(form, Shared | Rows) or not extents or None in extents[1:]:
            return Refusal("the places are not gone yet, or the row has dynamic extents", name)
        rest = [extent or 1 for extent in extents[1:]]
        if isinstance(form, Rows):
            if batch_axis(self.layout(original)) != 0:
                return Refusal("the rows have no leading batch axis", name)
            last = self.reordered(self.settle(form), Order.LAST)
            return Batch(self.emit.reshape(last.values, -1, *rest))
        # (N, ...) -> (N, P, ...) -> (N P, ...)
        emit = self.emit
        count = emit.multiply(self.masks.height, self.masks.width)
        wide = emit.unsqueeze(form.values, 1)
        shape = emit.concat([emit.ints(1), count, emit.ints(*([1] * len(rest)))], 0)
        return Batch(emit.reshape(emit.broadcast(wide, shape), -1, *rest))

    def from_batch(self, form: Batch, channels: int) -> Rows:
        """Return [N * P, ...] rows of `channels` numbers as [N, P, C]."""
        batch = self.emit.extents_apart(self.target.output, batch_axis(self.target.layout) or 0)
        places = self.emit.multiply(self.masks.height, self.masks.width)
        return Rows(self.emit.reshape(form.values, batch, places, channels), Order.LAST, channels)


def constant_axes(node: ov.Node, index: int, depth: int) -> list[int] | None:
    """Return the axes given by input `index` of a node, counted from the front; None when not constant."""
    axes = constant_ints(node, index)
    return None if axes is None else [axis % depth for axis in axes]


def shared_values(forms: Sequence[Form]) -> list[ov.Output] | None:
    """Return the tensors of forms that are all shared; None when one is not."""
    values = [form.values for form in forms if isinstance(form, Shared)]
    return values if len(values) == len(forms) else None
