"""What the scores read of each tensor, against what changes when it is perturbed."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai.analysis.axes import place_axes, unknown
from ov_xai.analysis.demand import Demand, kept_positions, on_grid, reached
from ov_xai.analysis.links import dropped_axes, taken_positions
from ov_xai.analysis.propagation import image_layout, propagate
from ov_xai.graph.view import GraphView, port, sizes
from tests.helpers import F32
from tests.models import ints, random_image
from tests.transformers import TRANSFORMERS

SHAPE = (2, 7, 5)


def scalar(value):
    return ops.constant(np.int64(value))


SELECTIONS = {
    "gather one": lambda x: ops.gather(x, scalar(-2), scalar(1)),
    "gather some": lambda x: ops.gather(x, ints(3, 0, 3), scalar(1)),
    "split": lambda x: ops.variadic_split(x, scalar(1), ints(2, 4, 1)),
    "even split": lambda x: ops.split(ops.slice(x, ints(0), ints(6), ints(1), ints(1)), scalar(1), 3),
    "slice": lambda x: ops.slice(x, ints(1, -4), ints(2**31, -1), ints(2, 1), ints(1, 2)),
    "slice backwards": lambda x: ops.slice(x, ints(-1), ints(-(2**31)), ints(-1), ints(1)),
    "strided": lambda x: ops.strided_slice(x, ints(0, 2, 1), ints(0, 6, 4), ints(1, 2, 1), [1, 0, 0], [1, 0, 0]),
    "strided one": lambda x: ops.strided_slice(
        x, ints(0, -1, 0), ints(0, 0, 0), ints(1, 1, 1), [1, 0, 1], [1, 0, 1], shrink_axis_mask=[0, 1, 0]
    ),
    "open strided": lambda x: ops.strided_slice(x, ints(0, 3), ints(0, 9), ints(1, 1), [1, 0], [1, 1]),
}


@pytest.mark.parametrize("kind", SELECTIONS)
def test_taken_positions_are_those_the_op_takes(kind):
    x = ops.parameter(list(SHAPE), np.float32)
    node = SELECTIONS[kind](x)
    source = node.input_value(0)
    model = ov.Model([ops.result(source), *(ops.result(output) for output in node.outputs())], [x], "selection")
    values = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    before, *after = (np.array(v) for v in ov.Core().compile_model(model, "CPU", F32)([values]).values())
    for index, found in enumerate(after):
        expected = before
        for axis, positions in taken_positions(node, index).items():
            expected = np.take(expected, positions, axis)
        np.testing.assert_array_equal(found, np.squeeze(expected, tuple(dropped_axes(node))))


@pytest.mark.parametrize(("read", "expected"), [(0, [0]), (1, [0]), (2, [1]), (3, [2])])
def test_a_position_taken_twice_is_read_if_either_copy_is(read, expected):
    image = ops.parameter(list(SHAPE), np.float32)
    taken = ops.gather(image, ints(0, 0, 1, 2), scalar(1))
    model = ov.Model([ops.result(ops.gather(taken, scalar(read), scalar(1)))], [image], "repeated")
    layouts = {port(output): unknown(sizes(output)) for node in model.get_ordered_ops() for output in node.outputs()}
    demand = Demand(GraphView(model), layouts, [model.outputs[0].get_node().input_value(0)])
    assert demand.of(image.output(0), 1) == expected


def tensors(model):
    """Return (view, layouts, demand, tensors with tokens along one axis, behind the first attention)."""
    view = GraphView(model)
    layouts = propagate(view, model.inputs[0], image_layout(model.inputs[0], "NCHW"))
    demand = Demand(view, layouts, [model.outputs[0].get_node().input_value(0)])
    found = []
    for node in view.ops:
        if node.get_type_name() in ("Parameter", "Result", "Constant"):
            continue
        layout = demand.layout(node.output(0))
        if layout and len(place_axes(layout)) == 1 and kept_positions(layout[place_axes(layout)[0]]):
            found.append(node.output(0))
    return view, demand, found


def logits_of(model, tensor, image, change):
    """Return the logits with `change` applied to a tensor."""
    clone = model.clone()
    name = tensor.get_node().get_friendly_name()
    node = next(node for node in clone.get_ordered_ops() if node.get_friendly_name() == name)
    delta = ops.parameter(sizes(tensor), np.float32)
    readers = list(node.output(0).get_target_inputs())
    moved = ops.add(node.output(0), delta)
    for reader in readers:
        reader.replace_source_output(moved.output(0))
    parameters = [*clone.get_parameters(), delta]
    compiled = ov.Core().compile_model(ov.Model(clone.get_results(), parameters, "moved"), "CPU", F32)
    return [np.array(compiled([image, one])[0]) for one in change]


@pytest.mark.parametrize("name", ["fused_gather", "rotary", "distilled", "class_attention", "registers_behind"])
def test_positions_that_are_not_read_do_not_matter(name):
    model, image = TRANSFORMERS[name][0](), random_image()
    _, demand, found = tensors(model)
    restricted = 0
    for tensor in found[-12:]:
        (axis,) = place_axes(demand.layout(tensor))
        read = demand.of(tensor, axis)
        unread = sorted(set(range(sizes(tensor)[axis])) - set(read))
        noise = np.random.default_rng(1).standard_normal(sizes(tensor)).astype(np.float32)
        only_unread, only_read = np.zeros_like(noise), np.zeros_like(noise)
        index = [slice(None)] * noise.ndim
        index[axis] = unread
        only_unread[tuple(index)] = noise[tuple(index)]
        index[axis] = read
        only_read[tuple(index)] = noise[tuple(index)]
        plain, same, other = logits_of(model, tensor, image, [np.zeros_like(noise), only_unread, only_read])
        np.testing.assert_array_equal(plain, same)
        assert not read or not np.array_equal(plain, other)
        restricted += bool(unread)
    assert restricted


def test_a_class_token_joined_with_the_grid_again_stays_beside_it():
    model = TRANSFORMERS["class_attention"][0]()
    view, demand, _ = tensors(model)
    first = next(node for node in view.ops if node.get_type_name() == "ScaledDotProductAttention")
    second = [node for node in view.ops if node.get_type_name() == "ScaledDotProductAttention"][1]
    joined = [node for node in view.ops if node.get_type_name() == "Concat" and len(sizes(node.output(0))) == 3]
    marked = reached(view, second)
    last = next(node for node in reversed(joined))
    places = marked[next(key for key in marked if key[0] == last.get_instance_id())][1]
    grid = on_grid(demand.layout(last.output(0))[1])
    assert not (places & grid).any()
    assert (places & ~grid).any()
    assert demand.reads_grid(first.input_value(1))
