"""The closed form equals the literal perturbation, whatever the head looks like."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import InsertionRequest, Mask, Normalise, Score, UnsupportedModelError, insert, read_manifest
from ov_xai.methods import recipro_cam
from ov_xai.perturbation import mosaic
from ov_xai.perturbation.forms import Refusal
from tests.helpers import assert_levels_equal, assert_maps_equal, one_by_one, output, run
from tests.models import CLOSED_FORM, MOSAIC, classifier, random_image
from tests.reference.mosaic import F32, literal_logits, maps_from_logits, mask_pictures, target_values, to_u8

MASKS = [mask.value for mask in Mask]


def places_of(manifest):
    """Return the axes of the target that hold places, by the names the models give their targets."""
    name = manifest.target[0]
    return {"target_nhwc": (1, 2), "target_tokens": (1,)}.get(name, (2, 3))


def reference(model, manifest, image, mask, activation=None):
    name, places = manifest.target[0], places_of(manifest)
    if len(places) == 1:
        logits = tokens_reference(model, name, image, mask, manifest.grid)
        return maps_from_logits(logits, tuple(manifest.grid), activation)
    logits, grid = literal_logits(model, name, [image], mask, places)
    return maps_from_logits(logits, grid, activation)


def tokens_reference(model, name, image, mask, grid):
    """Mask flattened tokens of a grid that is not square."""
    values = target_values(model, name, [image])
    head = model.clone()
    target = next(node for node in head.get_ordered_ops() if node.get_friendly_name() == name).output(0)
    stand_in = ops.parameter(list(values.shape), np.float32)
    for reader in list(target.get_target_inputs()):
        reader.replace_source_output(stand_in.output(0))
    logits = head.outputs[0].get_node().input_value(0)
    compiled = ov.Core().compile_model(ov.Model([ops.result(logits)], [stand_in], "head"), "CPU", F32)
    pictures = mask_pictures(mask, *grid)
    return np.stack([np.array(compiled([values * p.reshape(1, -1, 1)])[0]) for p in pictures])


def raw(model, *, self_check=True, **request):
    return insert(model, InsertionRequest(normalise=Normalise.NONE, **request), self_check=self_check)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("head", CLOSED_FORM)
def test_raw_maps_equal_the_literal_perturbation(head, mask):
    model, image = classifier(head), random_image()
    patched = raw(model, mask=Mask(mask))
    manifest = read_manifest(patched)
    assert manifest.strategy == "closed-form", manifest.strategy_reason
    assert_maps_equal(output(patched, [image]), reference(model, manifest, image, mask))


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("head", CLOSED_FORM)
def test_u8_maps_are_the_raw_maps_scaled_to_their_range(head, mask):
    model, image = classifier(head), random_image(seed=1)
    patched = insert(model, InsertionRequest(mask=Mask(mask)), self_check=False)
    expected = to_u8(reference(model, read_manifest(patched), image, mask))
    assert_levels_equal(output(patched, [image]), expected)


@pytest.mark.parametrize(
    ("activation", "made_by"),
    [(None, "softmax"), ("softmax", "softmax"), ("log_softmax", "softmax"), ("sigmoid", "sigmoid")],
)
@pytest.mark.parametrize("head", ["mean", "two_dense", "flatten", "mean_tokens"])
def test_probability_maps_are_activated_logits(head, activation, made_by):
    model, image = classifier(head, activation=activation), random_image()
    patched = raw(model, score=Score.PROBABILITY)
    plain = classifier(head)
    expected = reference(plain, read_manifest(patched), image, "pixel", made_by)
    assert_maps_equal(output(patched, [image]), expected)


@pytest.mark.parametrize("activation", ["softmax", "log_softmax", "sigmoid"])
def test_logit_maps_ignore_the_final_activation(activation):
    image = random_image()
    expected = output(raw(classifier("mean")), [image])
    np.testing.assert_array_equal(output(raw(classifier("mean", activation=activation)), [image]), expected)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("normalise", list(Normalise))
@pytest.mark.parametrize("head", CLOSED_FORM)
def test_top_k_maps_are_those_of_the_best_classes(head, normalise, mask):
    model, image = classifier(head), random_image(seed=2)
    request = {"normalise": normalise, "mask": Mask(mask)}
    every = output(insert(model, InsertionRequest(**request), self_check=False), [image])
    logits, maps, classes = run(insert(model, InsertionRequest(**request, top_k=3), self_check=False), [image])
    np.testing.assert_array_equal(classes, np.argsort(-logits, axis=1)[:, :3])
    expected = np.take_along_axis(every, classes[:, :, None, None], 1)
    if normalise is Normalise.NONE:
        assert_maps_equal(maps, expected)
    else:
        assert_levels_equal(maps, expected)


@pytest.mark.parametrize("top_k", [None, 2])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("head", sorted(set(CLOSED_FORM) - {"literal_batch"}))
def test_a_batch_is_explained_image_by_image(head, mask, top_k):
    images = random_image(batch=3)
    patched = raw(classifier(head, batch=-1), mask=Mask(mask), top_k=top_k)
    together = output(patched, [images])
    apart = one_by_one(patched, images)
    assert_maps_equal(together, apart)
    static = raw(classifier(head, batch=3), mask=Mask(mask), top_k=top_k, self_check=False)
    assert_maps_equal(output(static, [images]), apart)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("head", MOSAIC)
def test_mosaic_equals_the_literal_perturbation(head, mask):
    model, image = classifier(head), random_image()
    patched = raw(model, target_layer="target", mask=Mask(mask))
    manifest = read_manifest(patched)
    assert manifest.strategy == "mosaic"
    assert manifest.strategy_reason
    assert_maps_equal(output(patched, [image]), reference(model, manifest, image, mask))


@pytest.mark.parametrize("batch", [-1, 2])
@pytest.mark.parametrize("head", MOSAIC)
def test_mosaic_explains_a_batch_image_by_image(head, batch):
    images = random_image(batch=2)
    patched = raw(classifier(head, batch=batch), target_layer="target")
    together = output(patched, [images])
    single = raw(classifier(head), target_layer="target")
    apart = one_by_one(single, images)
    assert_maps_equal(together, apart)


@pytest.mark.parametrize("budget", [1, 600, 10**9])
def test_the_size_of_a_block_does_not_matter(budget, monkeypatch):
    image = random_image()
    expected = output(raw(classifier("mixing"), target_layer="target"), [image])
    monkeypatch.setattr(mosaic, "MEMORY_BUDGET", budget)
    assert_maps_equal(output(raw(classifier("mixing"), target_layer="target"), [image]), expected)


def test_a_head_that_would_run_for_minutes_per_image_is_refused(monkeypatch):
    monkeypatch.setattr(mosaic, "MOST_MULTIPLY_ADDS", 10)
    with pytest.raises(UnsupportedModelError, match=r"copies take \de\+\d\d multiply-adds, at most 1e\+01") as refused:
        raw(classifier("mixing"), target_layer="target")
    assert "--target-layer" in refused.value.remedy
    assert refused.value.node


@pytest.mark.parametrize("head", ["mean", "pointwise_then_mean", "flatten", "max"])
def test_closed_form_and_mosaic_agree(head, monkeypatch):
    model, image = classifier(head), random_image()
    closed = output(raw(model), [image])
    monkeypatch.setattr(recipro_cam, "replay", lambda *_: Refusal("switched off", "test"))
    patched = raw(model)
    assert read_manifest(patched).strategy == "mosaic"
    assert_maps_equal(output(patched, [image]), closed)


def test_masking_before_pointwise_layers_keeps_the_closed_form():
    model, image = classifier("pointwise_then_mean"), random_image()
    for mask in MASKS:
        patched = raw(model, target_layer="target", mask=Mask(mask))
        manifest = read_manifest(patched)
        assert manifest.strategy == "closed-form"
        assert_maps_equal(output(patched, [image]), reference(model, manifest, image, mask))


def test_a_constant_map_is_zero():
    model = classifier("mean")
    black = np.zeros_like(random_image())
    assert not output(insert(model), [black]).any()
