"""Repeating the images of a tensor, against NumPy."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai.analysis.axes import Factor, Role, axis_of
from ov_xai.graph.emit import Emitter
from ov_xai.perturbation.batch import repeat_images
from tests.helpers import run

IMAGES, HEADS, TOKENS, COUNT = 3, 2, 5, 4
BATCH, INNER = Factor(Role.BATCH, IMAGES), Factor(Role.OTHER, HEADS)
CHANNELS = axis_of(Role.OTHER, 6)

#: layout: the axis of the batch, and the extents its axis divides into around the batch.
LAYOUTS = {
    "leading": ((((BATCH,),), CHANNELS), 0, (1, 1)),
    "sequence first": ((axis_of(Role.OTHER, TOKENS), ((BATCH,),), CHANNELS), 1, (1, 1)),
    "joined with heads": ((((BATCH, INNER),), CHANNELS), 0, (1, HEADS)),
    "joined behind heads": ((((INNER, BATCH),), CHANNELS), 0, (HEADS, 1)),
}


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_image_stands_count_times_in_its_place(name, dynamic):
    layout, axis, (outer, inner) = LAYOUTS[name]
    shape = [int(np.prod([factor.size for factor in segment])) for (segment,) in layout]
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    x = ops.parameter([-1 if dynamic and at == axis else extent for at, extent in enumerate(shape)], np.float32)
    emit = Emitter(ov.Model([ops.result(x)], [x], "plain"))
    repeated = repeat_images(x.output(0), layout, emit.ints(COUNT), emit)
    (found,) = run(ov.Model([ops.result(repeated)], [x], "repeated"), [values])
    apart = values.reshape(*shape[:axis], outer, IMAGES, inner, *shape[axis + 1 :])
    expected = np.repeat(apart, COUNT, axis + 1).reshape(found.shape)
    np.testing.assert_array_equal(found, expected)
    assert found.shape[axis] == COUNT * shape[axis]
