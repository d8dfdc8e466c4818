"""Attention in closed form equals the literal perturbation, whatever the transformer looks like."""

from functools import cache

import numpy as np
import pytest

from ov_xai import InsertionRequest, Mask, Method, Normalise, Score, insert, inspect, read_manifest
from ov_xai.errors import ModelMismatchError, RequestError, UnsupportedModelError
from ov_xai.methods import recipro_cam
from ov_xai.perturbation.forms import Refusal
from tests.helpers import assert_levels_equal, assert_maps_equal, one_by_one, output, run
from tests.models import HEIGHT, WIDTH, random_image
from tests.reference.mosaic import literal_logits, maps_from_logits, target_values, to_u8
from tests.reference.unsupervised import activation_map, eigen_cam
from tests.transformers import TRANSFORMERS, hidden_grid, vision_transformer

MASKS = [mask.value for mask in Mask]


def raw(model, **request):
    return insert(model, InsertionRequest(normalise=Normalise.NONE, **request), self_check=False)


def reference(name, patched, image, mask, activation=None):
    build, before, behind, _ = TRANSFORMERS[name]
    manifest = read_manifest(patched)
    known = {"grid": (HEIGHT, WIDTH), "kept": (before, behind), "rounded": manifest.rounded}
    logits, grid = literal_logits(build(), manifest.target[0], [image], mask, (1,), **known)
    return maps_from_logits(logits, grid, activation)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_raw_maps_equal_the_literal_perturbation(name, mask):
    build, before, behind, _ = TRANSFORMERS[name]
    image = random_image()
    patched = insert(build(), InsertionRequest(mask=mask, normalise=Normalise.NONE))
    manifest = read_manifest(patched)
    assert manifest.strategy == "closed-form", manifest.strategy_reason
    assert (manifest.kept_tokens, manifest.grid) == (before + behind, [HEIGHT, WIDTH])
    assert manifest.rounded == (name != "quantised")
    assert_maps_equal(output(patched, [image]), reference(name, patched, image, mask))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_the_mask_is_chosen_by_what_ends_the_grid(name):
    build, _, _, mask = TRANSFORMERS[name]
    assert read_manifest(insert(build(), self_check=False)).mask == mask


@pytest.mark.parametrize("name", ["fused_gather", "quantised", "class_attention", "two_branches"])
def test_u8_maps_are_the_raw_maps_scaled_to_their_range(name):
    build, image = TRANSFORMERS[name][0], random_image(seed=1)
    patched = insert(build())
    assert_levels_equal(output(patched, [image]), to_u8(reference(name, patched, image, "gaussian")))


@pytest.mark.parametrize("name", ["fused_gather", "distilled", "probe"])
def test_probability_maps_are_activated_logits(name):
    build, image = TRANSFORMERS[name][0], random_image()
    patched = raw(build(), score=Score.PROBABILITY)
    assert_maps_equal(output(patched, [image]), reference(name, patched, image, "gaussian", "softmax"))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_original_outputs_keep_every_bit(name):
    build, image = TRANSFORMERS[name][0], random_image(seed=2)
    for method in (Method.RECIPRO_CAM, Method.ACTIVATION_MAP, Method.EIGEN_CAM):
        patched = insert(build(), InsertionRequest(method=method, feature_vector=True), self_check=False)
        assert run(build(), [image])[0].tobytes() == run(patched, [image])[0].tobytes()


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_top_k_maps_are_those_of_the_best_classes(name):
    build, image = TRANSFORMERS[name][0], random_image(seed=3)
    every = output(raw(build()), [image])
    logits, maps, classes = run(raw(build(), top_k=2), [image])
    np.testing.assert_array_equal(classes, np.argsort(-logits, axis=1)[:, :2])
    assert_maps_equal(maps, np.take_along_axis(every, classes[:, :, None, None], 1))


@pytest.mark.parametrize("batch", [-1, 3])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_batch_is_explained_image_by_image(name, batch):
    build, images = TRANSFORMERS[name][0], random_image(batch=3)
    together = output(raw(build(batch)), [images])
    single = raw(build())
    apart = one_by_one(single, images)
    assert_maps_equal(together, apart)


@pytest.mark.parametrize("name", ["fused_gather", "decomposed", "registers_behind", "class_attention", "two_branches"])
def test_closed_form_and_mosaic_agree(name, monkeypatch):
    build, image = TRANSFORMERS[name][0], random_image()
    closed = output(raw(build()), [image])
    monkeypatch.setattr(recipro_cam, "replay", lambda *_: Refusal("switched off", "test"))
    patched = raw(build())
    assert read_manifest(patched).strategy == "mosaic"
    assert_maps_equal(output(patched, [image]), closed)


@pytest.mark.parametrize("name", ["fused_gather", "registers", "registers_behind", "mean_of_all_tokens"])
@pytest.mark.parametrize(("method", "expected"), [("activation-map", activation_map), ("eigen-cam", eigen_cam)])
def test_unsupervised_maps_leave_kept_tokens_out(name, method, expected):
    build, before, behind, _ = TRANSFORMERS[name]
    image = random_image()
    patched = raw(build(), method=method)
    values = target_values(build(), read_manifest(patched).target[0], [image])
    places = values[:, before : values.shape[1] - behind]
    assert_maps_equal(output(patched, [image]), expected(places).reshape(1, HEIGHT, WIDTH))


def test_the_feature_vector_is_the_class_token_the_classifier_reads():
    image = random_image()
    build = TRANSFORMERS["fused_gather"][0]
    vector = output(insert(build(), InsertionRequest(feature_vector=True)), [image], "feature_vector")
    logits = run(build(), [image])[0]
    model = build()
    product = next(node for node in reversed(model.get_ordered_ops()) if node.get_type_name() == "MatMul")
    bias = product.output(0).get_target_inputs().pop().get_node().input_value(1).get_node()
    matrix = product.input_value(1).get_node().get_data()
    np.testing.assert_allclose(vector @ matrix.T + bias.get_data(), logits, atol=1e-5)


def test_an_earlier_block_is_masked_by_the_mosaic():
    build, image = TRANSFORMERS["fused_gather"][0], random_image()
    patched = raw(build(), block=2)
    manifest = read_manifest(patched)
    assert (manifest.strategy, manifest.kept_tokens) == ("mosaic", 1)
    assert manifest.target != read_manifest(raw(build())).target
    assert_maps_equal(output(patched, [image]), reference("fused_gather", patched, image, "gaussian"))


def test_block_one_is_the_default():
    build = TRANSFORMERS["fused_gather"][0]
    assert read_manifest(raw(build(), block=1)).target == read_manifest(raw(build())).target


def test_a_block_that_does_not_exist():
    with pytest.raises(ModelMismatchError, match="2 attention blocks"):
        insert(vision_transformer()(), InsertionRequest(block=3))
    with pytest.raises(RequestError, match="Drop one"):
        InsertionRequest(block=1, target_layer="x")


def test_a_hidden_grid_can_be_given():
    build, image = cache(hidden_grid), random_image()
    with pytest.raises(UnsupportedModelError, match=r"spatial grid.*--grid"):
        insert(build())
    patched = insert(build(), InsertionRequest(grid=(HEIGHT, WIDTH), normalise=Normalise.NONE))
    manifest = read_manifest(patched)
    assert (manifest.strategy, manifest.grid, manifest.kept_tokens) == ("closed-form", [HEIGHT, WIDTH], 1)
    logits, grid = literal_logits(
        build(), manifest.target[0], [image], "gaussian", (1,), grid=(HEIGHT, WIDTH), kept=(1, 0)
    )
    assert_maps_equal(output(patched, [image]), maps_from_logits(logits, grid))


@pytest.mark.parametrize(
    ("build", "grid", "reason"),
    [
        (hidden_grid, (50, 50), "no tensor has 2500 places"),
        (vision_transformer(), (2, 10), "no tensor has|has a 4x5 grid"),
    ],
)
def test_a_grid_that_does_not_fit(build, grid, reason):
    with pytest.raises(ModelMismatchError, match=reason):
        insert(build(), InsertionRequest(grid=grid))


def test_the_other_branch_is_named():
    shared = read_manifest(insert(TRANSFORMERS["two_branches"][0](), self_check=False)).shared
    assert len(shared) == 1
    assert read_manifest(insert(TRANSFORMERS["fused_gather"][0](), self_check=False)).shared == []


def test_scores_that_do_not_depend_on_a_layer():
    model = TRANSFORMERS["fused_gather"][0]()
    last = [node for node in model.get_ordered_ops() if node.get_type_name() == "MVN"][-1]
    with pytest.raises(ModelMismatchError, match="read none of its places"):
        insert(model, InsertionRequest(target_layer=last.get_friendly_name()))


def test_inspect_says_what_is_kept():
    found = inspect(vision_transformer(before=3)())
    assert (found.manifest.kept_tokens, found.manifest.grid, found.manifest.mask) == (3, [HEIGHT, WIDTH], "gaussian")
    assert found.extra_multiply_adds_percent > 0
