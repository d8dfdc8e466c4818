"""What ops that put positions into another order do to the meaning of axes."""

import numpy as np
import pytest
from openvino import opset13 as ops

from ov_xai import insert, read_manifest
from ov_xai.analysis.axes import is_spatial
from ov_xai.analysis.propagation import image_layout, propagate
from ov_xai.graph.view import GraphView, port
from tests.models import CHANNELS, CLASSES, HEIGHT, WIDTH, backbone, dense, ints, model_of


def strided(features, axis):
    """Return a StridedSlice that goes through an axis backwards."""
    open_mask = [1] * 4
    steps = [-1 if index == axis else 1 for index in range(4)]
    return ops.strided_slice(features, ints(0, 0, 0, 0), ints(0, 0, 0, 0), ints(*steps), open_mask, open_mask)


FLIPS = {
    "Slice": lambda x, axis: ops.slice(x, ints(-1), ints(-(2**31)), ints(-1), ints(axis)),
    "StridedSlice": strided,
    "Gather": lambda x, axis: ops.gather(
        x, ints(*reversed(range((CHANNELS, HEIGHT, WIDTH)[axis - 1]))), ops.constant(np.int64(axis))
    ),
    "ReverseSequence": lambda x, axis: ops.reverse_sequence(x, ints((CHANNELS, HEIGHT, WIDTH)[axis - 1]), 0, axis),
}


def followed(kind, axis):
    image, features = backbone()
    features = ops.relu(FLIPS[kind](features, axis))
    features.set_friendly_name("flipped")
    model = model_of(image, dense(ops.reduce_mean(features, ints(2, 3)), CHANNELS, CLASSES))
    layouts = propagate(GraphView(model), model.inputs[0], image_layout(model.inputs[0], "NCHW"))
    node = next(node for node in model.get_ordered_ops() if node.get_friendly_name() == "flipped")
    return model, is_spatial(layouts[port(node.output(0))])


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("kind", FLIPS)
def test_flipped_places_are_not_followed(kind, axis):
    model, spatial = followed(kind, axis)
    assert not spatial
    if kind != "ReverseSequence":  # whose lengths are those of a fixed batch
        assert read_manifest(insert(model)).target == ["target"]


@pytest.mark.parametrize("kind", FLIPS)
def test_flipped_channels_are(kind):
    model, spatial = followed(kind, 1)
    assert spatial
    assert read_manifest(insert(model)).target == ["flipped"]
