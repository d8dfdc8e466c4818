"""Where the logits of a classifier are, behind what exporters add to its end."""

import numpy as np
import pytest
from openvino import opset13 as ops

from ov_xai import inspect
from tests.models import CHANNELS, CLASSES, backbone, dense, ints, model_of


def scalar(number):
    return ops.constant(np.float32(number))


def rounded(x):
    return ops.fake_quantize(x, scalar(0), scalar(1), scalar(0), scalar(1), 256)


ENDS = {
    "nothing": lambda x: x,
    "scaled_by_one": lambda x: ops.add(ops.multiply(x, scalar(1)), scalar(0)),
    "scaled_from_the_left": lambda x: ops.multiply(scalar(1), x),
    "rounded": rounded,
    "reshaped": lambda x: ops.reshape(x, ints(-1, CLASSES), False),
}


def ending(activation, end):
    image, features = backbone()
    logits = dense(ops.reduce_mean(features, ints(2, 3)), CHANNELS, CLASSES)
    return model_of(image, end(activation(logits)))


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("activation", ["softmax", "log_softmax", "sigmoid"])
def test_the_activation_is_found_behind_ops_that_change_nothing(activation, end):
    made = {
        "softmax": lambda x: ops.softmax(x, 1),
        "log_softmax": lambda x: ops.log_softmax(x, 1),
        "sigmoid": ops.sigmoid,
    }
    report = inspect(ending(made[activation], ENDS[end])).report
    assert (report.activation, report.classes) == (activation, CLASSES)


@pytest.mark.parametrize("end", [lambda x: ops.multiply(x, scalar(2)), lambda x: ops.add(x, scalar(1)), ops.relu])
def test_ops_that_change_scores_end_the_search(end):
    assert inspect(ending(lambda x: ops.softmax(x, 1), end)).report.activation == "none"
