"""A part of a model in NumPy, at any precision.

On a device that computes in FP16 every tensor of real numbers is stored in FP16; a single operation, its sums
included, computes in FP32 and rounds what it gives. What enters a part are activations as FP32 inference gives them.
"""

from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from tests.helpers import F32
from tests.reference.mosaic import mask_pictures, node_named, strip_activation
from tests.reference.operators import OPERATORS

PREFIX = "ov_xai/"


@dataclass(frozen=True)
class Precision:
    """How real numbers are handled.

    Attributes:
        entering: type to which activations and weights are rounded.
        computed: type in which an operation computes.
        stored: type to which its results are rounded.
    """

    entering: type
    computed: type
    stored: type


EXACT = Precision(np.float64, np.float64, np.float64)
HALF = Precision(np.float16, np.float32, np.float16)
#: Exact arithmetic on activations and weights that are rounded to FP16.
HALF_INPUTS = Precision(np.float16, np.float64, np.float64)


def port(output):
    """Return a hashable name of a tensor."""
    return output.get_node().get_instance_id(), output.get_index()


def is_real(values):
    """Return whether an array holds real numbers."""
    return values.dtype.kind == "f"


class Part:
    """Some nodes of a model.

    Args:
        model: the model.
        nodes: the nodes, in topological order.

    Attributes:
        entering: tensors of other nodes that they read.
    """

    def __init__(self, model, nodes):
        self.model, self.nodes = model, nodes
        own = {node.get_instance_id() for node in nodes}
        sources = {port(source): source for node in nodes for source in node.input_values()}
        self.entering = [source for (node, _), source in sources.items() if node not in own]

    def activations(self, images, *others):
        """Return per image what enters, by `port`, and the values of other tensors, from one inference in FP32."""
        probe = self.model.clone()
        originals = [node.get_instance_id() for node in self.model.get_ordered_ops()]
        twins = dict(zip(originals, probe.get_ordered_ops(), strict=True))
        wanted = [*map(port, self.entering), *map(port, others)]
        shown = len(probe.outputs)
        probe.add_results([ops.result(twins[node].output(index)) for node, index in wanted])
        compiled = ov.Core().compile_model(probe, "CPU", F32)
        for inputs in images:
            found = compiled(inputs)
            values = [np.array(found[shown + index]) for index in range(len(wanted))]
            yield dict(zip(wanted[: len(self.entering)], values, strict=False)), values[len(self.entering) :]

    def evaluate(self, known, precision):
        """Return the value of every tensor, by `port`.

        Args:
            known: values of the tensors that enter; a tensor of the part that is among them is taken as given.
            precision: how real numbers are handled.
        """
        found = {key: _rounded(value, precision.entering) for key, value in known.items()}
        _evaluate(self.nodes, found, precision)
        return found


def branch_of(patched):
    """Return the saliency branch of a patched model."""
    return Part(patched, [node for node in patched.get_ordered_ops() if node.get_friendly_name().startswith(PREFIX)])


def new_outputs(patched):
    """Return the tensors that are the new outputs of a patched model, by name."""
    results = [result for result in patched.get_results() if result.get_friendly_name().startswith(PREFIX)]
    return {result.get_friendly_name().removeprefix(PREFIX): result.input_value(0) for result in results}


def raw_maps(patched):
    """Return the tensor with the maps before they are scaled to their own range."""
    output = new_outputs(patched)["saliency_map"]
    while output.get_node().get_type_name() != "Subtract":
        output = output.get_node().input_value(0)
    return output.get_node().input_value(0)


def literal_logits(model, target, images, mask, places, grid, kept, precision):
    """Yield per image the logits [P, N, K] of the model's own head, run once per mask at some precision.

    Args:
        model: the plain model.
        target: friendly name of the masked layer.
        images: the model's inputs, for every image.
        mask: "pixel" or "gaussian".
        places: indices of the axes of the layer that hold places: two, or one of flattened tokens.
        grid: rows and columns.
        kept: how many tokens before and behind the grid no mask touches.
        precision: how real numbers are handled.
    """
    masked = node_named(model, target).output(0)
    logits = strip_activation(model.outputs[0].get_node().input_value(0))
    head = Part(model, _between(model, masked.get_node(), logits.get_node()))
    for known, _ in head.activations(images):
        values, rows = known[port(masked)], []
        shape = [values.shape[axis] if axis in places else 1 for axis in range(values.ndim)]
        for picture in mask_pictures(mask, *grid):
            row = np.pad(picture.reshape(-1), kept, constant_values=1) if len(places) == 1 else picture
            found = head.evaluate({**known, port(masked): values * row.reshape(shape)}, precision)
            rows.append(found[port(logits)].reshape(len(values), -1))
        yield np.stack(rows)


def _between(model, first, last):
    """Return the nodes behind `first` that `last` depends on."""
    nodes = model.get_ordered_ops()
    behind, before = {first.get_instance_id()}, {last.get_instance_id()}
    for node in nodes:
        if any(source.get_node().get_instance_id() in behind for source in node.input_values()):
            behind.add(node.get_instance_id())
    for node in reversed(nodes):
        if node.get_instance_id() in before:
            before |= {source.get_node().get_instance_id() for source in node.input_values()}
    return [node for node in nodes if node.get_instance_id() in (behind & before) - {first.get_instance_id()}]


def _rounded(values, kind):
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(kind) if is_real(values) else values


def _evaluate(nodes, found, precision):
    for node in nodes:
        kind = node.get_type_name()
        if kind in ("Parameter", "Result") or all(port(output) in found for output in node.outputs()):
            continue
        if kind == "Constant":
            found[port(node.output(0))] = _rounded(node.get_data(), precision.entering)
            continue
        inputs = [_rounded(found[port(source)], precision.computed) for source in node.input_values()]
        with np.errstate(all="ignore"):
            results = _loop(node, inputs, precision) if kind == "TensorIterator" else OPERATORS[kind](node, inputs)
        for output, values in zip(node.outputs(), results, strict=True):
            found.setdefault(port(output), _rounded(values, precision.stored))


def _loop(node, inputs, precision):
    """Run the body of a loop once per entry of its sliced inputs, and join what it gives."""
    body = node.get_body()
    parameters, results = body.get_parameters(), body.get_results()
    steps, given = 1, []
    for entry in node.get_input_descriptions():
        sliced = hasattr(entry, "part_size")
        if sliced:
            assert (entry.start, entry.stride, entry.part_size, entry.end) == (0, 1, 1, -1)
            steps = inputs[entry.input_index].shape[entry.axis]
        inner = parameters[entry.body_parameter_index].output(0)
        given.append((port(inner), inputs[entry.input_index], entry.axis if sliced else None))
    parts = []
    for step in range(steps):
        found = {
            inner: _rounded(values if axis is None else np.take(values, [step], axis), precision.stored)
            for inner, values, axis in given
        }
        _evaluate(body.get_ordered_ops(), found, precision)
        parts.append([found[port(result.input_value(0))] for result in results])
    return [
        np.concatenate([part[entry.body_value_index] for part in parts], entry.axis)
        for entry in node.get_output_descriptions()
    ]
