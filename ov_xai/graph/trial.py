"""Run a model, or a part of it, on random inputs.

The nodes that are created here belong to copies that are run and dropped; none is ever saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.graph.view import pattern_of, sizes, upstream

Array = npt.NDArray[Any]

#: Compiled so, a model computes in single precision wherever it runs.
EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
#: Extents that stand in for dynamic ones.
SAMPLE_BATCH, SAMPLE_SIZE = 2, 224


def sample_shape(source: ov.Output) -> list[int]:
    """Return the shape of an input; dynamic extents become a small batch and an ordinary image size, within bounds."""
    shape = source.get_partial_shape()
    return [
        _sample_extent(dimension, SAMPLE_BATCH if index == 0 else SAMPLE_SIZE) for index, dimension in enumerate(shape)
    ]


def _sample_extent(dimension: ov.Dimension, ordinary: int) -> int:
    least, most = dimension.get_min_length(), dimension.get_max_length()
    extent = max(ordinary, least)
    return int(extent if most < 0 else min(extent, most))


def of_sample_size(model: ov.Model) -> ov.Model:
    """Return a clone whose inputs have sample shapes, so that tensors inside have the extents that go with them."""
    clone = model.clone()
    if clone.is_dynamic():
        clone.reshape({source: ov.PartialShape(sample_shape(source)) for source in clone.inputs})
    return clone


def sample_inputs(model: ov.Model, seed: int = 0) -> list[Array]:
    """Return one random array per input, of its sample shape."""
    random = np.random.default_rng(seed)
    arrays: list[Array] = []
    for source in model.inputs:
        shape = sample_shape(source)
        dtype = source.get_element_type().to_dtype()
        if np.issubdtype(dtype, np.integer):
            arrays.append(random.integers(0, 256 if dtype == np.uint8 else 2, shape).astype(dtype))
        else:
            arrays.append(random.standard_normal(shape).astype(dtype))
    return arrays


def counterpart(clone: ov.Model, output: ov.Output) -> ov.Output:
    """Return the tensor of a clone that has the name of a tensor of the model it was cloned from."""
    name = output.get_node().get_friendly_name()
    node = next(node for node in clone.get_ordered_ops() if node.get_friendly_name() == name)
    return node.output(output.get_index())


def twin(clone: ov.Model, output: ov.Output) -> ov.Output:
    """Return what a clone holds in place of a tensor, in its shape: the model may hold it flattened only."""
    own = counterpart(clone, output)
    return own if _has_shape_of(own, output) else _reshaped(own, output)


def with_stand_in(clone: ov.Model, output: ov.Output) -> ov.Node:
    """Let all readers of a tensor, results excepted, read a new parameter instead; return the parameter."""
    own, shape = counterpart(clone, output), twin(clone, output).get_partial_shape()
    stand_in = ov.opset13.parameter(shape, output.get_element_type())
    given = stand_in.output(0) if _has_shape_of(own, output) else _reshaped(stand_in.output(0), own)
    for reader in list(own.get_target_inputs()):
        if reader.get_node().get_type_name() != "Result":
            reader.replace_source_output(given)
    return stand_in


def _has_shape_of(own: ov.Output, output: ov.Output) -> bool:
    """Return whether a tensor has the shape of another, extents that are dynamic in that one aside."""
    found, wanted = sizes(own) or [], sizes(output) or []
    return len(found) == len(wanted) and all(
        extent is None or extent == other for extent, other in zip(wanted, found, strict=True)
    )


def _reshaped(values: ov.Output, like: ov.Output) -> ov.Output:
    return ov.opset13.reshape(values, np.array(pattern_of(sizes(like) or []), np.int64), False).output(0)


def bypass(output: ov.Output) -> None:
    """Let all readers of a tensor read what its producer reads first."""
    source = output.get_node().input_value(0)
    for reader in list(output.get_target_inputs()):
        reader.replace_source_output(source)


def as_results(outputs: Sequence[ov.Output]) -> list[ov.Node]:
    """Return a new Result for each tensor, halves as singles: they would be rounded on leaving."""
    return [ov.opset13.result(_single(output)) for output in outputs]


def _single(output: ov.Output) -> ov.Output:
    if output.get_element_type() != ov.Type.f16:
        return output
    return ov.opset13.convert(output, "f32").output(0)


def reachable_parameters(results: list[ov.Node]) -> list[ov.Node]:
    """Return the parameters that results depend on, by friendly name."""
    found = [node for node in upstream(results) if node.get_type_name() == "Parameter"]
    return sorted(found, key=lambda node: str(node.get_friendly_name()))


def with_constant(node: ov.Node, values: Array) -> None:
    """Let all readers of a constant read other values instead; type and name stay.

    Args:
        node: the constant.
        values: of its shape and type.
    """
    other = ov.opset13.constant(values)
    other.set_friendly_name(node.get_friendly_name())
    node.output(0).replace(other.output(0))
