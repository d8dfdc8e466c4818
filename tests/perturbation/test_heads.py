"""Heads written in a way of their own have a closed form that equals the literal perturbation."""

import numpy as np
import pytest

from ov_xai import InsertionRequest, Mask, Normalise, insert, inspect, read_manifest
from tests.helpers import assert_maps_equal, one_by_one, output, run
from tests.models import random_image
from tests.perturbation.heads import HEADS, SPELLED_OUT, beside_a_sequence, classifier
from tests.reference.mosaic import literal_logits, maps_from_logits

MASKS = [mask.value for mask in Mask]


def raw(model, **request):
    return insert(model, InsertionRequest(normalise=Normalise.NONE, target_layer="target", **request), self_check=False)


def reference(model, image, mask):
    logits, grid = literal_logits(model, "target", [image], mask, (2, 3))
    return maps_from_logits(logits, grid)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("head", HEADS)
def test_raw_maps_equal_the_literal_perturbation(head, mask):
    model, image = classifier(head), random_image()
    patched = raw(model, mask=mask)
    manifest = read_manifest(patched)
    assert manifest.strategy == "closed-form", manifest.strategy_reason
    assert_maps_equal(output(patched, [image]), reference(model, image, mask))


@pytest.mark.parametrize("head", HEADS)
def test_original_outputs_keep_every_bit(head):
    model, image = classifier(head), random_image(seed=1)
    assert run(raw(model), [image])[0].tobytes() == run(model, [image])[0].tobytes()


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("head", HEADS)
def test_top_k_maps_are_those_of_the_best_classes(head, mask):
    model, image = classifier(head), random_image(seed=2)
    every = output(raw(model, mask=mask), [image])
    logits, maps, classes = run(raw(model, mask=mask, top_k=2), [image])
    np.testing.assert_array_equal(classes, np.argsort(-logits, axis=1)[:, :2])
    assert_maps_equal(maps, np.take_along_axis(every, classes[:, :, None, None], 1))


@pytest.mark.parametrize("top_k", [None, 2])
@pytest.mark.parametrize("head", HEADS)
def test_a_batch_is_explained_image_by_image(head, top_k):
    images = random_image(batch=3)
    patched = raw(classifier(head, batch=-1), top_k=top_k)
    assert_maps_equal(output(patched, [images]), one_by_one(patched, images))


# -- feature maps that are made of ops which are spelled out --------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3, -1])
@pytest.mark.parametrize("method", ["recipro-cam", "activation-map"])
@pytest.mark.parametrize("head", SPELLED_OUT)
def test_the_target_is_a_tensor_of_the_model(head, method, batch):
    model = classifier(head, batch=batch)
    patched = insert(model, method=method)
    candidates = {found.name for found in inspect(model, all_candidates=True).report.candidates}
    assert (
        {*read_manifest(patched).target} <= candidates <= {node.get_friendly_name() for node in model.get_ordered_ops()}
    )


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("batch", [1, 3, -1])
def test_a_layer_on_flattened_tokens_can_be_masked(batch, mask):
    model, images = classifier("flattened_before_pooling", batch=batch), random_image(batch=abs(batch))
    layer = next(node for node in model.get_ordered_ops() if node.get_type_name() == "Tanh").get_friendly_name()
    patched = insert(model, normalise="none", target_layer=layer, mask=mask)
    assert read_manifest(patched).target == [layer]
    by_the_last = insert(model, normalise="none", target_layer="own", mask=mask)
    assert_maps_equal(output(patched, [images]), output(by_the_last, [images]))


# -- what the masks share, with the batch behind another axis -------------------------------------------------------


@pytest.mark.parametrize("mask", MASKS)
def test_rows_meet_a_sequence_whose_batch_is_its_second_axis(mask):
    model, image = beside_a_sequence(), random_image()
    patched = raw(model, mask=mask)
    manifest = read_manifest(patched)
    assert manifest.strategy == "closed-form", manifest.strategy_reason
    assert_maps_equal(output(patched, [image]), reference(model, image, mask))


def test_rows_of_a_batch_meet_their_own_sequences():
    images = random_image(batch=3)
    together = output(raw(beside_a_sequence(batch=3)), [images])
    assert_maps_equal(together, one_by_one(raw(beside_a_sequence()), images))
