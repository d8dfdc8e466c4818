"""Large hidden layers are computed as in the original model, so that their weights are packed once."""

import pytest
from openvino import opset13 as ops

from ov_xai import InsertionRequest, Mask, Normalise, insert
from ov_xai.perturbation.rules import dense as rule
from tests.helpers import assert_maps_equal, one_by_one, output, run
from tests.models import CHANNELS, CLASSES, HEIGHT, WIDTH, backbone, dense, flat, ints, model_of, random_image
from tests.reference.mosaic import literal_logits, maps_from_logits

PLACES = HEIGHT * WIDTH


def two_layers(x):
    return dense(ops.relu(dense(ops.reduce_mean(x, ints(2, 3), False), CHANNELS, 8)), 8, CLASSES, seed=2)


def flattened(x):
    """Return logits as AlexNet does: a layer over flattened places, a hidden one, the last one."""
    hidden = ops.relu(dense(flat(x, 0, -1), CHANNELS * PLACES, 9))
    hidden = ops.relu(dense(hidden, 9, 8, seed=3))
    return dense(hidden, 8, CLASSES, seed=4)


HEADS = [two_layers, flattened]


def classifier(head, batch=1):
    image, features = backbone(batch)
    return model_of(image, head(features))


def raw(model, **request):
    return insert(model, InsertionRequest(normalise=Normalise.NONE, **request), self_check=False)


def convolutions(patched):
    nodes = [node for node in patched.get_ordered_ops() if node.get_friendly_name().startswith("ov_xai/")]
    return sum(node.get_type_name() == "Convolution" for node in nodes)


@pytest.mark.parametrize("mask", [mask.value for mask in Mask])
@pytest.mark.parametrize("head", HEADS)
def test_raw_maps_equal_the_literal_perturbation(head, mask, monkeypatch):
    model, image = classifier(head), random_image()
    assert convolutions(raw(model, mask=mask))
    monkeypatch.setattr(rule, "LARGE", 1)
    patched = raw(model, mask=mask)
    assert not convolutions(patched)
    logits, grid = literal_logits(model, "target", [image], mask, (2, 3))
    assert_maps_equal(output(patched, [image]), maps_from_logits(logits, grid))
    assert run(patched, [image])[0].tobytes() == run(model, [image])[0].tobytes()


@pytest.mark.parametrize("top_k", [None, 2])
@pytest.mark.parametrize("head", HEADS)
def test_a_batch_is_explained_image_by_image(head, top_k, monkeypatch):
    monkeypatch.setattr(rule, "LARGE", 1)
    images = random_image(batch=3)
    patched = raw(classifier(head, batch=-1), top_k=top_k)
    assert_maps_equal(output(patched, [images]), one_by_one(patched, images))


def test_a_last_layer_stays_a_convolution(monkeypatch):
    monkeypatch.setattr(rule, "LARGE", 1)
    assert convolutions(raw(classifier(lambda x: dense(ops.reduce_mean(x, ints(2, 3), False), CHANNELS, CLASSES)))) == 1
