"""The forms in which a perturbed tensor is carried, and the refusal of a rule.

Symbols: F the target, G the (P, P) mask matrix, p the mask, q the place, g_l the distinct values of G. Where tokens
stand beside the grid (class and register tokens), q runs over all of them; these are kept whatever the mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import openvino as ov

from ov_xai.analysis.axes import Layout

#: What a kept token's slope is multiplied by instead of one. The plugin merges ops of equal inputs, and a product of
#: the target that is shared with the original model can no longer be fused as it was; doubled, it is another product.
KEPT_WEIGHT = 0.5


class Order(Enum):
    """Physical order of `Rows`: channels first [N, C, h, w], or channels last [N, P, C]."""

    FIRST = "channels-first"
    LAST = "channels-last"


@dataclass(frozen=True)
class Shared:
    """T: the same for every mask.

    Attributes:
        values: the tensor.
        apart: it is computed beside the original model. A further reader of the original tensor could keep the plugin
            from fusing it with what follows.
    """

    values: ov.Output
    apart: bool = False


@dataclass(frozen=True)
class Affine:
    """X[p, q] = G[p, q] slope[q] + offset[q].

    Attributes:
        slope: tensor of the shape and layout of the original one; twice as large at kept tokens (`KEPT_WEIGHT`).
        offset: the same, or with places of extent one when it does not depend on the place; None for zero.
        layout: what the axes are.
    """

    slope: ov.Output
    offset: ov.Output | None
    layout: Layout


@dataclass(frozen=True)
class Levels:
    """X[p, q] = U_l[q] where G[p, q] = g_l.

    Attributes:
        by_level: U_l for every g_l that is not zero, in the order of the mask's levels.
        background: U_0 where G is zero; with places of extent one when it does not depend on the place.
            At kept tokens all tensors of the form hold the same: the value of the token.
        layout: what the axes are.
    """

    by_level: tuple[ov.Output, ...]
    background: ov.Output
    layout: Layout


PlaceForm = Affine | Levels


@dataclass(frozen=True)
class Rows:
    """Space is gone: Y[p] = scale (K * values)[p] + offset, with K the mask's kernel while `smooth` is due.

    What is linear is put off as long as possible: it is cheaper after a layer with fewer channels, and irrelevant
    when each map is scaled to its own range.

    Attributes:
        values: [N, C, h, w] or [N, P, C] after `order`.
        order: which of the two.
        channels: C.
        smooth: the mask's kernel is still to be applied.
        scale: numbers that are still to be multiplied with, one after the other.
        offset: [N or 1, C or 1, 1, 1] or [N or 1, 1, C or 1]; the same for every p; None for zero.
    """

    values: ov.Output
    order: Order
    channels: int
    smooth: bool = False
    scale: tuple[ov.Output, ...] = ()
    offset: ov.Output | None = None


@dataclass(frozen=True)
class Stack:
    """Rows that are stacked along an axis of their own.

    Attributes:
        parts: settled values, each [N or 1, C, h, w] or [N or 1, P, C] after `order`; what is shared has places of
            extent one.
        order: which of the two.
        channels: C.
        axis: the axis of the original tensor along which they are stacked.
    """

    parts: tuple[ov.Output, ...]
    order: Order
    channels: int
    axis: int


@dataclass(frozen=True)
class HalfPooled:
    """A form whose rows or columns are reduced, while the other axis of places waits for the same reduction.

    Attributes:
        whole: the form before any reduction.
        kind: type of the op that reduces it.
    """

    whole: PlaceForm
    kind: str


@dataclass(frozen=True)
class Tokens:
    """Rows in place: the tensor of the original model with the P masks along its axis of tokens.

    Behind attention only the tokens that are read matter. Each has its own tensor, so every op that treats tokens
    alike can follow unchanged. Tokens that are not held do not depend on the mask, or are not read.

    Attributes:
        values: for each token that is read, a tensor of the original's shape with P instead of the tokens.
        axis: the axis of tokens.
    """

    values: Mapping[int, ov.Output]
    axis: int


@dataclass(frozen=True)
class Batch:
    """The rows as the batch of ordinary tensors, N * P where the original has N: any op can follow."""

    values: ov.Output


@dataclass(frozen=True)
class Refusal:
    """Why a rule does not apply, and at which node."""

    reason: str
    node: str


Form = Shared | Affine | Levels | Rows | Stack | HalfPooled | Tokens | Batch


def is_place_form(form: Form) -> bool:
    """Return whether the form still has places."""
    return isinstance(form, Affine | Levels)


def shared_values(forms: Sequence[Form]) -> list[ov.Output] | None:
    """Return the tensors of forms that are all shared; None when one is not."""
    values = [form.values for form in forms if isinstance(form, Shared)]
    return values if len(values) == len(forms) else None
