"""What each axis of a tensor stands for.

A tensor axis is a product of factors, outermost first: tokens of a ViT are (Y, X), a flattened feature map is
(channel, Y, X), the batch of Swin's windows is (batch, Y outer, X outer). An axis that joins several tensors has one
segment per part: a class token before a grid is (1 place), (Y, X). Reshape, Transpose and Concat only regroup
factors, so where the image's rows and columns are can be followed through them without knowing the architecture.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from math import prod


class Role(Enum):
    """What a factor counts. Anything that is neither batch nor a place of the image is OTHER (channels, heads)."""

    BATCH = "batch"
    Y = "y"
    X = "x"
    OTHER = "other"


PLACE_ROLES = (Role.Y, Role.X)


@dataclass(frozen=True)
class Factor:
    """One factor of an axis.

    Attributes:
        role: what is counted.
        size: how many; None when dynamic.
        stride: how many steps of the undivided axis one step of this factor is (rows of 7x7 windows: 7).
    """

    role: Role
    size: int | None
    stride: int = 1


Segment = tuple[Factor, ...]
Axis = tuple[Segment, ...]
Layout = tuple[Axis, ...]

#: An axis of extent one.
UNIT: Axis = ((),)


def axis_of(role: Role, size: int | None) -> Axis:
    """Return an axis of a single factor; extent one has no factor, except a batch of one, which stays a batch."""
    return UNIT if size == 1 and role is not Role.BATCH else ((Factor(role, size),),)


def factors(axis: Axis) -> list[Factor]:
    """Return all factors of an axis, over all its segments."""
    return [factor for segment in axis for factor in segment]


def has_role(axis: Axis, *roles: Role) -> bool:
    """Return whether any factor of the axis has one of these roles."""
    return any(factor.role in roles for factor in factors(axis))


def has_places(axis: Axis) -> bool:
    """Return whether an axis holds places of the image."""
    return has_role(axis, *PLACE_ROLES)


def segment_size(segment: Segment) -> int | None:
    """Return the extent of a segment, None when dynamic."""
    known = [factor.size for factor in segment]
    return None if None in known else prod(size for size in known if size is not None)


def axis_size(axis: Axis) -> int | None:
    """Return the extent of an axis, None when dynamic."""
    parts = [segment_size(segment) for segment in axis]
    return None if None in parts else sum(part for part in parts if part is not None)


def merged(segment: Iterable[Factor]) -> Segment:
    """Join neighbours that are an outer and an inner part of the same axis."""
    result: list[Factor] = []
    for factor in segment:
        if result and (joined := _join(result[-1], factor)) is not None:
            result[-1] = joined
        else:
            result.append(factor)
    return tuple(result)


def _join(outer: Factor, inner: Factor) -> Factor | None:
    if outer.role is not inner.role:
        return None
    if outer.role is Role.OTHER:
        known = outer.size is not None and inner.size is not None
        return Factor(Role.OTHER, (outer.size or 0) * (inner.size or 0) if known else None)
    if inner.size is None or outer.stride != inner.size * inner.stride:
        return None
    return Factor(outer.role, None if outer.size is None else outer.size * inner.size, inner.stride)


def unknown(extents: list[int | None]) -> Layout:
    """Return a layout that says nothing about where places are."""
    return tuple(axis_of(Role.OTHER, size) for size in extents)


def place_axes(layout: Layout) -> list[int]:
    """Return the indices of the axes that hold places of the image."""
    return [index for index, axis in enumerate(layout) if has_places(axis)]


def batch_axis(layout: Layout) -> int | None:
    """Return the index of the axis that holds the batch, None when there is none (a batch of exactly one)."""
    return next((index for index, axis in enumerate(layout) if has_role(axis, Role.BATCH)), None)


def vector_axis(layout: Layout, extents: list[int | None]) -> int | None:
    """Return the only axis besides the batch with an extent other than one.

    The last axis stands in when all are one; None when the tensor is not a vector of static size per image.
    """
    batch = batch_axis(layout)
    others = [axis for axis in range(len(extents)) if axis != batch]
    axes = [axis for axis in others if extents[axis] != 1]
    if len(axes) > 1 or not others:
        return None
    axis = axes[0] if axes else others[-1]
    return None if extents[axis] is None else axis


def is_spatial(layout: Layout) -> bool:
    """Return whether the tensor has both rows and columns of the image."""
    roles = {factor.role for axis in layout for factor in factors(axis)}
    return Role.Y in roles and Role.X in roles


def is_separable(layout: Layout) -> bool:
    """Return whether no axis mixes places with anything else, and rows and columns stand in reading order.

    Such a tensor is a feature map: (N, C, Y, X), (N, Y, X, C), (N, YX, C), (N, C, YX), or tokens with others
    beside them.
    """
    seen: list[Role] = []
    for axis in layout:
        for segment in axis:
            roles = {factor.role for factor in segment}
            if roles & set(PLACE_ROLES):
                if not roles <= set(PLACE_ROLES):
                    return False
                seen.extend(factor.role for factor in segment)
    return seen == [Role.Y, Role.X]


@dataclass(frozen=True)
class Grid:
    """Rows and columns of a feature map; None for a dynamic extent."""

    height: int | None
    width: int | None

    @property
    def places(self) -> int | None:
        """Return P = h * w, None when dynamic."""
        return None if self.height is None or self.width is None else self.height * self.width

    def __str__(self) -> str:
        return f"{self.height or '?'}x{self.width or '?'}"


def grid(layout: Layout) -> Grid:
    """Return the grid of a separable layout."""
    extents: dict[Role, int | None] = {Role.Y: 1, Role.X: 1}
    for axis in layout:
        for factor in factors(axis):
            if factor.role in extents:
                extents[factor.role] = factor.size
    return Grid(extents[Role.Y], extents[Role.X])


def split_factor(factor: Factor, outer: int) -> tuple[Factor, Factor] | None:
    """Return (outer, inner) factors with `outer` steps of the outer one; None when it does not divide."""
    if factor.size is None or factor.size % outer:
        return None
    inner = factor.size // outer
    stride = 1 if factor.role is Role.OTHER else factor.stride * inner
    return replace(factor, size=outer, stride=stride), replace(factor, size=inner)


def regroup(layout: Layout, extents: list[int | None]) -> Layout | None:
    """Return the layout after a Reshape to `extents`; None when the factors cannot be followed."""
    if [axis_size(axis) for axis in layout] == extents and extents.count(None) <= 1:
        return layout
    if any(len(axis) > 1 for axis in layout):
        return _regroup_segmented(layout, extents)
    pending = [factor for axis in layout for factor in axis[0]]
    if all(factor.size is not None for factor in pending):
        # Parts of rows that stand together, 8 windows of 7 rows, may be divided anew, into 7 of 8.
        pending = list(merged(pending))
    parts: list[list[Factor]] = [[] for _ in extents]
    # Static extents are matched from the right, where channels and places usually are, then from the left; what is
    # left between two dynamic extents goes to the axis between them.
    right = _match_from_right(pending, extents, parts)
    left = _match_from_left(pending, extents, parts, right)
    if pending and right - left == 1:
        parts[left].extend(pending)
    elif pending and parts and all(factor.size == 1 for factor in pending):
        parts[0][:0] = pending
    elif pending:
        return None
    return tuple((merged(part),) for part in parts)


def _match_from_right(pending: list[Factor], extents: list[int | None], parts: list[list[Factor]]) -> int:
    """Move factors to the last axes as long as these are static; return how many axes are left."""
    right = len(extents)
    while right > 0:
        size = extents[right - 1]
        if size is None or not _take(pending, size, parts[right - 1], last=True):
            break
        if right > 1 and extents[right - 2] != 1 and not _has_place(parts[right - 1]) and _ends_in_one_image(pending):
            # A batch of one between places and heads belongs to the heads, as a larger one would.
            parts[right - 1].insert(0, pending.pop())
        right -= 1
    return right


def _ends_in_one_image(pending: list[Factor]) -> bool:
    return bool(pending) and pending[-1].role is Role.BATCH and pending[-1].size == 1


def _has_place(part: list[Factor]) -> bool:
    return any(factor.role in PLACE_ROLES for factor in part)


def _match_from_left(pending: list[Factor], extents: list[int | None], parts: list[list[Factor]], right: int) -> int:
    """Move factors to the first axes, a dynamic one to a dynamic one; return how many axes are served."""
    left = 0
    while left < right and pending:
        size = extents[left]
        if size is None:
            if left + 1 == right or (pending[0].size is not None and pending[0].role is not Role.BATCH):
                break
            parts[left].append(pending.pop(0))
        elif not _take(pending, size, parts[left], last=False):
            break
        left += 1
    return left


def _take(pending: list[Factor], size: int, into: list[Factor], last: bool) -> bool:
    """Move factors whose product is `size` from one end of `pending`; False (nothing moved) when impossible."""
    trial, taken, left = list(pending), [], size
    if left == 1 and last and len(trial) > 1 and trial[-1].size == 1:
        taken.append(trial.pop())
    while left > 1:
        if not trial:
            return False
        factor = trial.pop(-1 if last else 0)
        if factor.size is None:
            return False
        if left % factor.size == 0:
            left //= factor.size
            taken.append(factor)
            continue
        outer_size = factor.size // left if last else left
        if factor.size % left:
            return False
        parts = split_factor(factor, outer_size)
        if parts is None:
            return False
        outer, inner = parts
        if last:
            trial.append(outer)
            taken.append(inner)
        else:
            trial.insert(0, inner)
            taken.append(outer)
        left = 1
    pending[:] = trial
    into.extend(reversed(taken) if last else taken)
    return True


def _regroup_segmented(layout: Layout, extents: list[int | None]) -> Layout | None:
    """Regroup around the one axis of several segments, which must come through whole."""
    (index,) = [i for i, axis in enumerate(layout) if len(axis) > 1][:1]
    if sum(len(axis) > 1 for axis in layout) > 1:
        return None
    axis = layout[index]
    size = axis_size(axis)
    before_total = _product(layout[:index])
    candidates = [i for i, extent in enumerate(extents) if extent == size]
    for position in candidates:
        if before_total is not None and before_total != _known_product(extents[:position]):
            continue
        others = regroup(layout[:index] + layout[index + 1 :], extents[:position] + extents[position + 1 :])
        if others is not None:
            return (*others[:position], axis, *others[position:])
    return _divided(layout, index, extents)


def _divided(layout: Layout, index: int, extents: list[int | None]) -> Layout | None:
    """Return the layout after the last axis, of several segments, is divided into places and columns."""
    columns = extents[-1]
    size = axis_size(layout[index])
    same = len(extents) == len(layout) + 1 and index == len(layout) - 1
    if not same or columns is None or size is None or extents[-2] != size // columns or size % columns:
        return None
    if [axis_size(axis) for axis in layout[:-1]] != extents[:-2]:
        return None
    places = _divided_segments(layout[index], columns)
    return None if places is None else (*layout[:-1], places, axis_of(Role.OTHER, columns))


def _divided_segments(axis: Axis, columns: int) -> Axis | None:
    """Return an axis of several segments without its innermost `columns`, which each segment must have."""
    parts: list[Segment] = []
    for segment in axis:
        last = segment[-1] if segment else Factor(Role.OTHER, 1)
        if last.role is not Role.OTHER or last.size is None or last.size % columns:
            return None
        rest = last.size // columns
        parts.append((*segment[:-1], Factor(Role.OTHER, rest)) if rest > 1 else segment[:-1])
    return tuple(parts)


def _product(layout: Layout) -> int | None:
    parts = [axis_size(axis) for axis in layout]
    return None if None in parts else prod(part for part in parts if part is not None)


def _known_product(extents: list[int | None]) -> int | None:
    return None if None in extents else prod(extent for extent in extents if extent is not None)
