"""Multiply-adds against a count by hand."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import insert
from ov_xai.analysis.cost import multiply_adds
from ov_xai.graph.view import GraphView
from ov_xai.perturbation import mosaic
from tests.models import CHANNELS, CLASSES, HEIGHT, WIDTH, classifier, weights

PLACES = HEIGHT * WIDTH
#: Of `head_mixing`: a 3x3 convolution over the grid, and the dense layer.
HEAD = CHANNELS * 9 * CHANNELS * PLACES + CHANNELS * CLASSES


def branch_of(patched):
    return [node for node in GraphView(patched).ops if node.get_friendly_name().startswith("ov_xai/")]


def test_layers():
    image = 3 * 2 * 2 * CHANNELS * PLACES
    assert multiply_adds(GraphView(classifier("mixing")).ops) == image + HEAD


@pytest.mark.parametrize(("budget", "masks"), [(10**9, PLACES), (1, PLACES), (12 * CHANNELS * PLACES * 7, 21)])
def test_the_mosaic_costs_one_head_per_mask(budget, masks, monkeypatch):
    """Blocks of equal size may hold some masks more than there are places."""
    monkeypatch.setattr(mosaic, "MEMORY_BUDGET", budget)
    patched = insert(classifier("mixing"), target_layer="target", self_check=False)
    assert multiply_adds(branch_of(patched)) == pytest.approx(masks * HEAD, rel=1e-2)


def test_a_loop_of_dynamic_size_is_not_known():
    patched = insert(classifier("mixing", batch=-1), target_layer="target", self_check=False)
    assert multiply_adds(branch_of(patched)) is None


def test_a_body_without_products_costs_nothing():
    state = ops.parameter([1, 4], np.float32)
    body = ov.Model([ops.result(ops.relu(state))], [state], "body")
    rows = ops.parameter([5, 4], np.float32)
    loop = ops.tensor_iterator()
    loop.set_body(body)
    loop.set_sliced_input(state, rows.output(0), 0, 1, 1, -1, 0)
    joined = loop.get_concatenated_slices(body.get_results()[0].output(0), 0, 1, 1, -1, 0)
    product = ops.matmul(joined, weights(4, 3), False, False)
    model = ov.Model([ops.result(product)], [rows], "looped")
    assert multiply_adds(GraphView(model).ops) == 5 * 4 * 3
