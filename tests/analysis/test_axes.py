"""Following rows and columns through Reshape and Transpose, against the coordinates themselves."""

from math import prod

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ov_xai.analysis.axes import (
    UNIT,
    Factor,
    Grid,
    Role,
    axis_of,
    grid,
    is_separable,
    is_spatial,
    place_axes,
    regroup,
)

BATCH, Y, X, OTHER = Role.BATCH, Role.Y, Role.X, Role.OTHER


def layout(*axes):
    return tuple(axis_of(role, size) for role, size in axes)


FEATURES = layout((BATCH, 1), (OTHER, 6), (Y, 4), (X, 10))


def coordinates(role, values, shape):
    """Return the row or column of every element of a (1, 6, 4, 10) tensor, carried by `values` of any shape."""
    return np.unravel_index(values, shape)[{Y: 2, X: 3}[role]]


def described(axes, role):
    """Return the coordinate that a layout claims for every element."""
    shape = tuple(prod(factor.size for factor in axis[0]) for axis in axes)
    parts, steps = [], []
    for axis in axes:
        for factor in axis[0]:
            parts.append(factor.size)
            steps.append(factor.stride if factor.role is role else 0)
    index = np.indices(parts or [1]).reshape(len(parts) or 1, -1)
    return (index * np.array(steps or [0])[:, None]).sum(0).reshape(shape)


@st.composite
def reshapes(draw):
    """Return factorisations of 240 that cut between or inside the axes of FEATURES."""
    primes = [6, 2, 2, 2, 5] if draw(st.booleans()) else [2, 3, 4, 5, 2]
    cuts = draw(st.sets(st.integers(1, 4)))
    groups = np.split(np.array(primes), sorted(cuts))
    return [int(np.prod(group)) for group in groups]


@settings(max_examples=200, deadline=None)
@given(reshapes(), st.randoms())
def test_reshape_and_transpose_keep_track_of_every_place(shape, random):
    first = regroup(FEATURES, shape)
    assert first is not None
    values = np.arange(240).reshape(shape)
    order = list(range(len(shape)))
    random.shuffle(order)
    moved = tuple(first[axis] for axis in order)
    values = values.transpose(order)
    second = regroup(moved, [240])
    for found, array in ((first, np.arange(240).reshape(shape)), (moved, values), (second, values.reshape(240))):
        assert found is not None
        for role in (Y, X):
            np.testing.assert_array_equal(described(found, role), coordinates(role, array, (1, 6, 4, 10)))


def test_tokens_of_a_grid():
    tokens = regroup(FEATURES, [1, 6, 40])
    assert tokens[2] == ((Factor(Y, 4), Factor(X, 10)),)
    assert is_spatial(tokens)
    assert is_separable(tokens)
    assert grid(tokens) == Grid(4, 10)


def test_flattened_features_are_spatial_but_no_feature_map():
    flat = regroup(FEATURES, [1, 240])
    assert is_spatial(flat)
    assert not is_separable(flat)


def test_windows_and_back():
    image = layout((BATCH, 2), (Y, 8), (X, 12), (OTHER, 3))
    split = regroup(image, [2, 2, 4, 3, 4, 3])
    windows = tuple(split[axis] for axis in (0, 1, 3, 2, 4, 5))
    flat = regroup(windows, [12, 16, 3])
    assert place_axes(flat) == [0, 1]
    assert not is_separable(flat)
    again = regroup(flat, [2, 2, 3, 4, 4, 3])
    joined = regroup(tuple(again[axis] for axis in (0, 1, 3, 2, 4, 5)), [2, 8, 12, 3])
    assert joined == image


def test_a_dynamic_batch_is_followed():
    dynamic = layout((BATCH, None), (OTHER, 6), (Y, 4), (X, 10))
    assert regroup(dynamic, [None, 6, 40])[0] == axis_of(BATCH, None)
    assert regroup(dynamic, [None, 40])[0] == ((Factor(BATCH, None), Factor(OTHER, 6)),)


def test_a_batch_of_one_stays_where_it_was():
    assert regroup(layout((BATCH, 1), (OTHER, 6)), [1, 1, 1, 6]) == (axis_of(BATCH, 1), UNIT, UNIT, axis_of(OTHER, 6))
    tokens = layout((BATCH, 1), (OTHER, 12), (OTHER, 6))
    assert regroup(tokens, [12, 6])[0][0][0] == Factor(BATCH, 1)


def test_a_batch_of_one_between_places_and_heads_goes_with_the_heads():
    tokens = (((Factor(Y, 4), Factor(X, 10)),), axis_of(BATCH, 1), axis_of(OTHER, 12))
    heads = regroup(tokens, [40, 3, 4])
    assert heads == (tokens[0], ((Factor(BATCH, 1), Factor(OTHER, 3)),), axis_of(OTHER, 4))
    assert grid(heads) == Grid(4, 10)


def test_a_token_beside_the_grid_comes_through():
    axis = ((), (Factor(Y, 4), Factor(X, 10)))
    tokens = (axis_of(BATCH, None), axis, axis_of(OTHER, 12))
    split = regroup(tokens, [None, 41, 3, 4])
    assert split == (axis_of(BATCH, None), axis, axis_of(OTHER, 3), axis_of(OTHER, 4))
    assert grid(split) == Grid(4, 10)


def test_what_cannot_be_followed_is_not_guessed():
    assert regroup(FEATURES, [7, 240 // 7]) is None
