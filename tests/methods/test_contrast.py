"""Contrast against the literal perturbation."""

import numpy as np
import openvino as ov
import pytest

from ov_xai import InsertionRequest, Mask, Normalise, Score, insert, read_manifest
from tests.helpers import SCORE_ROUNDING, assert_levels_equal, assert_maps_equal, one_by_one, output, run
from tests.models import HEIGHT, MOSAIC, WIDTH, classifier, random_image
from tests.reference.mosaic import contrast_from_logits, literal_logits, to_u8
from tests.transformers import TRANSFORMERS

RAW = {"normalise": Normalise.NONE, "score": Score.CONTRAST}
HEADS = ("mean", "max", "flatten", "avg_pool", *MOSAIC)


def softmax(logits):
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def expected(model, target, image, mask, places=(2, 3), rivals=True, **layout):
    logits, grid = literal_logits(model, target, [image], mask, places, **layout)
    (blank,), _ = literal_logits(model, target, [image], "blank", places, masks=[0], **layout)
    whole = run(model, [image])[0].astype(np.float64)
    maps = contrast_from_logits(logits, blank, softmax(whole) if rivals else None, grid)
    # Differences carry the rounding of the logits they are made of.
    return maps, SCORE_ROUNDING * 4 * np.abs(logits).max() / maps.max()


def assert_equal(found, reference):
    maps, rounding = reference
    assert_maps_equal(found, maps, rounding=rounding)


@pytest.mark.parametrize("mask", [mask.value for mask in Mask])
@pytest.mark.parametrize("head", HEADS)
def test_raw_maps_equal_the_literal_perturbation(head, mask):
    model, image = classifier(head), random_image()
    patched = insert(model, InsertionRequest(mask=Mask(mask), target_layer="target", **RAW))
    assert_equal(output(patched, [image]), expected(model, "target", image, mask))


def test_a_class_token_is_kept_in_the_blank_target():
    build, before, behind, _ = TRANSFORMERS["fused_gather"]
    model, image = build(), random_image()
    patched = insert(model, InsertionRequest(**RAW))
    target = read_manifest(patched).target[0]
    known = {"grid": (HEIGHT, WIDTH), "kept": (before, behind)}
    assert_equal(output(patched, [image]), expected(model, target, image, "gaussian", (1,), **known))


@pytest.mark.parametrize("activation", ["softmax", "log_softmax"])
def test_the_final_activation_makes_no_difference(activation):
    image = random_image()
    expected = output(insert(classifier("mean"), InsertionRequest(**RAW)), [image])
    found = output(insert(classifier("mean", activation=activation), InsertionRequest(**RAW)), [image])
    assert_maps_equal(found, expected)


def test_classes_that_do_not_exclude_each_other_have_no_rivals():
    model, image = classifier("mean"), random_image()
    model.set_rt_info("True", ["model_info", "multilabel"])
    patched = insert(model, InsertionRequest(**RAW))
    assert_equal(output(patched, [image]), expected(model, "target", image, "pixel", rivals=False))


@pytest.mark.parametrize("batch", [-1, 3])
def test_a_batch_is_explained_image_by_image(batch):
    images = random_image(batch=3)
    together = output(insert(classifier("mean", batch=batch), InsertionRequest(**RAW)), [images])
    alone = insert(classifier("mean"), InsertionRequest(**RAW))
    apart = one_by_one(alone, images)
    assert_maps_equal(together, apart)


def test_u8_maps_and_top_k_are_those_of_all_classes():
    model, image = classifier("mean"), random_image()
    patched = insert(model, InsertionRequest(score=Score.CONTRAST, top_k=2))
    _, maps, classes = run(patched, [image])
    raw, _ = expected(model, "target", image, "pixel")
    assert_levels_equal(maps, to_u8(np.take_along_axis(raw, classes[:, :, None, None], 1)))


def test_the_predictions_keep_every_bit():
    model, image = classifier("mean"), random_image()
    for hint in ("f32", "bf16"):
        config = {"INFERENCE_PRECISION_HINT": ov.Type(np.float32) if hint == "f32" else ov.Type.bf16}
        before = run(model, [image], config)[0]
        assert np.array_equal(run(insert(model, InsertionRequest(score=Score.CONTRAST)), [image], config)[0], before)
