"""Layers on flattened tokens are layers on tokens, and are flattened again afterwards."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai.graph.spelling import spelled_out
from tests.helpers import run
from tests.models import flat, ints, weights

TOKENS, CHANNELS, HIDDEN = 5, 4, 6
VALUES = np.random.default_rng(0).standard_normal((3, TOKENS, CHANNELS)).astype("f4")


def dense(rows):
    return ops.matmul(rows, weights(HIDDEN, CHANNELS), False, True)


def gated(rows):
    hidden = dense(rows)
    return ops.multiply(hidden, ops.sigmoid(ops.add(hidden, weights(1, HIDDEN))))


def mvn(values, *axes):
    return ops.mvn(values, ints(*axes), True, 1e-5, "inside_sqrt")


def keras_normalised(rows):
    """As Keras 2 normalises a sequence: each token is an image of a batch norm."""
    normal = mvn(flat(rows, 1, -1, CHANNELS, 1), 2, 3)
    scaled = ops.add(ops.multiply(normal, weights(1, 1, CHANNELS, 1)), weights(CHANNELS, 1))
    return dense(flat(scaled, -1, CHANNELS))


def halves(rows):
    first, second = ops.split(rows, ops.constant(np.int64(-1)), 2).outputs()
    return ops.matmul(ops.multiply(first, ops.sigmoid(second)), weights(CHANNELS // 2, HIDDEN), False, False)


#: What can be applied to tokens one by one, and what can not.
ALIKE = {
    "dense": dense,
    "bias": lambda rows: ops.add(dense(rows), weights(HIDDEN)),
    "gated": gated,
    "prelu": lambda rows: ops.prelu(dense(rows), weights(HIDDEN)),
    "softmax": lambda rows: ops.softmax(dense(rows), 1),
    "log softmax": lambda rows: ops.log_softmax(dense(rows), -1),
    "normalised": lambda rows: dense(mvn(rows, 1)),
    "normalised by hand": lambda rows: dense(ops.subtract(rows, ops.reduce_mean(rows, ints(-1), True))),
    "of length one": lambda rows: dense(ops.normalize_l2(rows, ints(1), 1e-6, "add")),
    "normalised by Keras": keras_normalised,
    "halves": halves,
    "flattened twice": lambda rows: dense(flat(rows, -1, CHANNELS)),
}
APART = {
    "weights in front": lambda rows: ops.matmul(weights(HIDDEN, 3 * TOKENS), rows, False, False),
    "a number for each row": lambda rows: ops.multiply(rows, weights(3 * TOKENS, 1)),
    "softmax over rows": lambda rows: ops.softmax(rows, 0),
    "normalised over rows": lambda rows: mvn(rows, 0, 1),
    "centred over rows": lambda rows: ops.subtract(rows, ops.reduce_mean(rows, ints(0), True)),
    "sorted": lambda rows: ops.topk(rows, ops.constant(np.int64(3)), 0, "max", "value").output(0),
}


def built(layer, shape, *after):
    tokens = ops.parameter(shape, np.float32, name="tokens")
    rows = layer(flat(ops.tanh(tokens), -1, CHANNELS))
    return ov.Model([ops.result(ops.exp(ops.reshape(rows, ints(*after), False)))], [tokens])


def ranks(model):
    """Return the ranks of what the last layers read."""
    return [
        len(node.get_output_partial_shape(0)) for node in model.get_ordered_ops() if node.get_type_name() == "MatMul"
    ]


@pytest.mark.parametrize("shape", [[3, TOKENS, CHANNELS], [-1, TOKENS, CHANNELS]], ids=["static", "dynamic"])
@pytest.mark.parametrize("after", [(-1, TOKENS, HIDDEN), (-1, TOKENS, 2, HIDDEN // 2)], ids=["as before", "divided"])
@pytest.mark.parametrize("name", ALIKE)
def test_layers_are_applied_token_by_token(name, after, shape):
    model = built(ALIKE[name], shape, *after)
    (expected,) = run(model, [VALUES])
    before = [node.get_type_name() for node in model.get_ordered_ops()]
    with spelled_out(model):
        assert set(ranks(model)) == {3}
        np.testing.assert_allclose(run(model, [VALUES])[0], expected, rtol=1e-6)
    assert [node.get_type_name() for node in model.get_ordered_ops()] == before
    assert run(model, [VALUES])[0].tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", APART)
def test_what_depends_on_other_rows_stays_flattened(name):
    model = built(
        APART[name],
        [3, TOKENS, CHANNELS],
        *((3, -1, 2) if name in ("weights in front", "sorted") else (3, TOKENS, CHANNELS)),
    )
    before = [node.get_friendly_name() for node in model.get_ordered_ops()]
    with spelled_out(model):
        assert [node.get_friendly_name() for node in model.get_ordered_ops()] == before


def test_what_is_added_reads_the_tensors_of_the_model():
    model = built(dense, [3, TOKENS, CHANNELS], -1, TOKENS, HIDDEN)
    (product,) = (node for node in model.get_ordered_ops() if node.get_type_name() == "MatMul")
    with spelled_out(model):
        (inner,) = (node for node in model.get_ordered_ops() if node.get_type_name() == "MatMul")
        model.add_results([ops.result(ops.negative(inner))])
    assert [node.get_type_name() for node in model.get_ordered_ops()].count("MatMul") == 1
    (added,) = (node for node in model.get_ordered_ops() if node.get_type_name() == "Negative")
    assert list(added.get_output_shape(0)) == [3, TOKENS, HIDDEN]
    assert added.input_value(0).get_node().input_value(0).get_node().get_friendly_name() == product.get_friendly_name()


def test_each_of_two_layouts_of_one_layer_gets_its_own_stand_in():
    tokens = ops.parameter([-1, TOKENS, CHANNELS], np.float32, name="tokens")
    rows = dense(flat(tokens, -1, CHANNELS))
    ends = [ops.tanh(ops.reshape(rows, ints(-1, TOKENS, HIDDEN), False)), ops.exp(flat(rows, -1, TOKENS, HIDDEN))]
    model = ov.Model([ops.result(end) for end in ends], [tokens])
    expected = run(model, [VALUES])
    names = [node.get_friendly_name() for node in model.get_ordered_ops()]
    with spelled_out(model):
        for found, known in zip(run(model, [VALUES]), expected, strict=True):
            np.testing.assert_allclose(found, known, rtol=1e-6)
    assert [node.get_friendly_name() for node in model.get_ordered_ops()] == names
