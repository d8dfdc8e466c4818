"""What stands in for an Einsum computes the same, and is gone afterwards."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai.graph import spelling
from ov_xai.graph.spelling import spelled_out
from tests.helpers import run

EXTENTS = dict(zip("abcdehkw", (2, 3, 4, 5, 6, 7, 8, 9), strict=True))
EQUATIONS = (
    "ab->ba",
    "abc->b",
    "ab,bc->ac",
    "ab,cb->ca",
    "abhw,kb->akhw",
    "kb,abhw->akhw",
    "abc,cde->abde",
    "aecd,abcd->acbe",
    "acbe,aecd->abcd",
    "abcd,cde->abe",
    "abc,c->ab",
    "abc,bc->ab",
    "ac,abc->ab",
    "abc,abd->adc",
    "ab,c->acb",
    "abc,c->acb",
    "abcd,ab->dbca",
    "abcd,ack->dbak",
    "abe,ce->bac",
    "abcd,abde->ace",
    "acbe,ade->abcd",
    "abc,abdhw->acdhw",
    "bc,dabc->",
    "dcab,cab->b",
    "abc,abc->",
)
AS_THEY_ARE = ("ab,bc,cd->ad", "ab->ab", "...ab,bc->...ac")


def built(equation, dynamic=False):
    terms = equation.split("->")[0].replace("...", "").split(",")
    inputs = []
    for index, term in enumerate(terms):
        shape = [-1 if dynamic and letter == "a" else EXTENTS[letter] for letter in term]
        inputs.append(ops.parameter(shape, np.float32, name=f"in{index}"))
    product = ops.einsum(inputs, equation)
    product.set_friendly_name("product")
    model = ov.Model([ops.result(ops.tanh(product))], inputs)
    generator = np.random.default_rng(0)
    return model, [generator.standard_normal([EXTENTS[letter] for letter in term]).astype("f4") for term in terms]


def kinds(model):
    return [node.get_type_name() for node in model.get_ordered_ops()]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("equation", EQUATIONS)
def test_ordinary_ops_compute_the_same(equation, dynamic):
    model, values = built(equation, dynamic)
    expected = np.tanh(np.einsum(equation, *values))
    with spelled_out(model):
        assert "Einsum" not in kinds(model)
        assert any(node.get_friendly_name() == "product" for node in model.get_ordered_ops())
        np.testing.assert_allclose(run(model, values)[0], expected, atol=1e-5)


@pytest.mark.parametrize("equation", EQUATIONS)
def test_the_model_keeps_its_einsum(equation):
    model, values = built(equation)
    (einsum,) = (node for node in model.get_ordered_ops() if node.get_type_name() == "Einsum")
    einsum.output(0).set_names({"joint"})
    before = kinds(model)
    with spelled_out(model):
        (reader,) = (node for node in model.get_ordered_ops() if node.get_type_name() == "Tanh")
        assert reader.input_value(0).get_names() == {"joint"}
    assert kinds(model) == before
    assert einsum.output(0).get_names() == {"joint"}
    np.testing.assert_allclose(run(model, values)[0], np.tanh(np.einsum(equation, *values)), atol=1e-5)


@pytest.mark.parametrize("equation", AS_THEY_ARE)
def test_what_cannot_be_spelled_out_stays(equation):
    model, _ = built(equation)
    before = kinds(model)
    with spelled_out(model):
        assert kinds(model) == before


def test_an_axis_of_one_that_is_repeated_stays():
    factors = [ops.parameter(shape, np.float32) for shape in ([2, 1], [3, 4])]
    model = ov.Model([ops.result(ops.tanh(ops.einsum(factors, "ab,bc->ac")))], factors)
    with spelled_out(model):
        assert "Einsum" in kinds(model)


def test_an_error_leaves_the_model_as_it_was(monkeypatch):
    model, _ = built("ab,bc->ac")
    before = kinds(model)
    with pytest.raises(ZeroDivisionError), spelled_out(model):
        1 / 0  # noqa: B018
    assert kinds(model) == before

    def fail(*_):
        raise RuntimeError("unfit")

    monkeypatch.setattr(spelling, "spell_flattened", fail)
    with pytest.raises(RuntimeError, match="unfit"), spelled_out(model):
        pass
    assert kinds(model) == before


def test_axes_of_dynamic_extent_are_not_joined():
    equation, shapes = "cab,dab->cd", ([4, 2, 3], [5, 2, 3])
    model, _ = built(equation)
    values = [np.random.default_rng(index).standard_normal(shape).astype("f4") for index, shape in enumerate(shapes)]
    model.reshape({"in0": [4, -1, -1], "in1": [5, -1, -1]})
    with spelled_out(model):
        assert not {"Einsum", "Reshape"} & set(kinds(model))
        np.testing.assert_allclose(run(model, values)[0], np.tanh(np.einsum(equation, *values)), atol=1e-5)
