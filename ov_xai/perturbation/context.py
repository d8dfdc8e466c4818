"""What every rule needs to know."""

from __future__ import annotations

from dataclasses import dataclass, field

import openvino as ov

from ov_xai.analysis.axes import Layout, vector_axis
from ov_xai.analysis.candidates import Candidate
from ov_xai.analysis.demand import Demand
from ov_xai.analysis.propagation import Layouts
from ov_xai.graph.emit import Emitter
from ov_xai.graph.kinds import ROUNDING_OPS
from ov_xai.graph.view import Port, node_key, port, rank, sizes
from ov_xai.perturbation.forms import Tokens
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
        apart: read the target behind a product, so that the model's own precision and fusions stay as they are.
        kept_tokens: the kept tokens of every tensor that also holds masked places, each by itself.
        last_layer: key of the last node of the head with learned weights; None before the replay, or without one.
    """

    emit: Emitter
    layouts: Layouts
    demand: Demand
    target: Candidate
    masks: MaskMatrix
    subset: ClassSubset | None = None
    rounded: bool = True
    apart: bool = False
    kept_tokens: dict[Port, Tokens] = field(default_factory=dict)
    last_layer: int | None = None
    _share_of_place: tuple[ov.Output, ov.Output] | None = field(default=None, init=False)
    _tapped: ov.Output | None = field(default=None, init=False)

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

    def tapped(self) -> ov.Output:
        """Return the target as the branch reads it."""
        if self._tapped is None:
            self._tapped = self.emit.times_one(self.target.output) if self.apart else self.target.output
        return self._tapped

    def share_of_place(self) -> tuple[ov.Output, ov.Output]:
        """Return the factors 1/h and 1/w of 1/P, each of one element of the activations' type."""
        if self._share_of_place is None:
            height, width = (
                self.emit.inverse(extent, self.target.output) for extent in (self.masks.height, self.masks.width)
            )
            self._share_of_place = height, width
        return self._share_of_place
