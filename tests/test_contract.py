"""The output contract of a patched model."""

import json
import subprocess
import sys

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor

from ov_xai import (
    InsertionRequest,
    Mask,
    Method,
    ModelMismatchError,
    Normalise,
    SelfCheckError,
    insert,
    inspect,
    read_manifest,
    remove,
    save,
)
from ov_xai.graph.io import read_model, source_digest
from ov_xai.graph.model_info import info_value, read_labels, write_labels
from ov_xai.perturbation import masks
from ov_xai.selfcheck import check_outputs
from tests.helpers import F32, assert_levels_equal, assert_maps_equal, one_by_one, output, run
from tests.models import (
    CHANNELS,
    CLASSES,
    HEIGHT,
    WIDTH,
    backbone,
    classifier,
    dense,
    ints,
    model_of,
    random_image,
    weights,
)
from tests.reference.mosaic import target_values

IMAGE_METHODS = [Method.ACTIVATION_MAP, Method.EIGEN_CAM]
METHODS = [Method.RECIPRO_CAM, *IMAGE_METHODS]


@pytest.fixture
def stored(tmp_path):
    """Return the path of a small classifier with rt_info."""
    model = classifier("two_dense")
    model.set_rt_info("a_b c", ["model_info", "labels"])
    model.set_rt_info("Classification", ["model_info", "model_type"])
    path = tmp_path / "classifier.xml"
    ov.save_model(model, path, compress_to_fp16=False)
    return path


def names(model):
    return [sorted(result.get_names()) for result in model.outputs]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (InsertionRequest(), {"saliency_map": ("u8", [1, CLASSES, HEIGHT, WIDTH])}),
        (InsertionRequest(normalise=Normalise.NONE), {"saliency_map": ("f32", [1, CLASSES, HEIGHT, WIDTH])}),
        (
            InsertionRequest(top_k=2, feature_vector=True),
            {
                "saliency_map": ("u8", [1, 2, HEIGHT, WIDTH]),
                "saliency_classes": ("i64", [1, 2]),
                "feature_vector": ("f32", [1, CHANNELS]),
            },
        ),
        (InsertionRequest(method=Method.ACTIVATION_MAP), {"saliency_map": ("u8", [1, HEIGHT, WIDTH])}),
        (InsertionRequest(method=Method.EIGEN_CAM), {"saliency_map": ("u8", [1, HEIGHT, WIDTH])}),
    ],
)
def test_new_outputs_are_appended_with_one_name_each(stored, tmp_path, request_, expected):
    save(insert(stored, request_), tmp_path / "patched.xml")
    patched, plain = read_model(tmp_path / "patched.xml"), read_model(stored)
    assert names(patched) == [*names(plain), *([name] for name in expected)]
    for result, (kind, shape) in zip(patched.outputs[1:], expected.values(), strict=True):
        assert (result.get_element_type().to_string(), list(result.get_shape())) == (kind, shape)


def test_the_map_does_not_come_out_of_a_softmax(stored):
    for normalise in Normalise:
        patched = insert(stored, InsertionRequest(score="probability", normalise=normalise))
        assert patched.output("saliency_map").get_node().input_value(0).get_node().get_type_name() != "Softmax"


def test_runtime_information_is_kept(stored, tmp_path):
    save(insert(stored), tmp_path / "patched.xml")
    patched = read_model(tmp_path / "patched.xml")
    assert patched.get_rt_info(["model_info", "labels"]).astype(str) == "a_b c"
    assert patched.get_rt_info(["model_info", "model_type"]).astype(str) == "Classification"


def test_the_manifest_says_what_was_done(stored, tmp_path):
    save(insert(stored, InsertionRequest(top_k=2)), tmp_path / "patched.xml")
    record = json.loads(read_model(tmp_path / "patched.xml").get_rt_info(["ov_xai", "manifest"]).astype(str))
    assert record.pop("ov_xai")
    assert record == {
        "schema": 1,
        "task": "classification",
        "method": "recipro-cam",
        "target": ["target"],
        "kept_tokens": 0,
        "grid": [HEIGHT, WIDTH],
        "mask": "pixel",
        "score": "logit",
        "normalise": "minmax",
        "classes": CLASSES,
        "top_k": 2,
        "strategy": "closed-form",
        "strategy_reason": None,
        "score_output": 0,
        "activation": "none",
        "exact_outputs": True,
        "source_sha256": source_digest(stored),
        "rounded": True,
        "shared": [],
    }


def test_every_inserted_node_is_named_under_the_prefix(stored):
    before = {node.get_friendly_name() for node in read_model(stored).get_ops()}
    for node in insert(stored).get_ops():
        assert node.get_friendly_name() in before or node.get_friendly_name().startswith("ov_xai/")


def test_the_same_input_gives_the_same_bytes_in_another_process(stored, tmp_path):
    script = "import sys, ov_xai; ov_xai.save(ov_xai.insert(sys.argv[1]), sys.argv[2])"
    insert(classifier("mean"))
    save(insert(stored), tmp_path / "here.xml")
    subprocess.run([sys.executable, "-c", script, stored, tmp_path / "there.xml"], check=True)
    for suffix in (".xml", ".bin"):
        assert (tmp_path / f"here{suffix}").read_bytes() == (tmp_path / f"there{suffix}").read_bytes()


def test_fp16_weights_stay_fp16(tmp_path):
    ov.save_model(classifier("two_dense"), tmp_path / "half.xml", compress_to_fp16=True)
    save(insert(tmp_path / "half.xml"), tmp_path / "patched.xml")
    types = {node.get_element_type().to_string() for node in constants(read_model(tmp_path / "patched.xml"))}
    assert "f16" in types
    half = sum(node.get_byte_size() for node in constants(read_model(tmp_path / "half.xml")))
    assert (tmp_path / "patched.bin").stat().st_size - (tmp_path / "half.bin").stat().st_size < 4096 + half // 100
    image = random_image()
    before, after = run(read_model(tmp_path / "half.xml"), [image]), run(read_model(tmp_path / "patched.xml"), [image])
    assert before[0].tobytes() == after[0].tobytes()


def constants(model):
    return [node for node in model.get_ops() if node.get_type_name() == "Constant"]


def test_inserting_twice_needs_replace(stored):
    patched = insert(stored)
    with pytest.raises(ModelMismatchError, match="--replace"):
        insert(patched)
    again = insert(patched, InsertionRequest(method=Method.EIGEN_CAM), replace_old=True)
    assert [min(result.get_names()) for result in again.outputs] == ["logits", "saliency_map"]
    assert read_manifest(again).method == "eigen-cam"


def test_remove_gives_the_original_back(stored, tmp_path):
    save(insert(stored, InsertionRequest(top_k=2, feature_vector=True)), tmp_path / "patched.xml")
    save(remove(tmp_path / "patched.xml"), tmp_path / "plain.xml")
    assert (tmp_path / "plain.bin").read_bytes() == stored.with_suffix(".bin").read_bytes()
    plain, original = read_model(tmp_path / "plain.xml"), read_model(stored)
    assert read_manifest(plain) is None
    assert names(plain) == names(original)
    assert len(plain.get_ops()) == len(original.get_ops())
    image = random_image()
    assert run(plain, [image])[0].tobytes() == run(original, [image])[0].tobytes()


@pytest.mark.parametrize("before", [None, ("a", "b b", "c", "d", "e")])
def test_remove_gives_the_labels_back(before):
    model = classifier("mean")
    if before is not None:
        write_labels(model, before)
        model.set_rt_info("2", ["model_info", "scale_values"])
    plain = remove(insert(model, labels=("v", "w", "x", "y", "z"), self_check=False))
    assert read_labels(plain) == before
    assert info_value(plain, "scale_values") == (None if before is None else "2")


def with_foreign_map():
    """Return a classifier with a saliency map of another tool as its second output."""
    model = classifier("mean")
    target = next(node for node in model.get_ordered_ops() if node.get_friendly_name() == "target")
    for name in ("saliency_map", "feature_vector"):
        result = ov.opset13.result(target.output(0) if name == "saliency_map" else ov.opset13.relu(target))
        result.output(0).set_names({name})
        model.add_results([result])
    return model


def test_a_map_of_another_tool_needs_replace():
    with pytest.raises(ModelMismatchError, match="did not make"):
        insert(with_foreign_map())
    with pytest.raises(ModelMismatchError, match="did not make"):
        inspect(with_foreign_map())
    patched = insert(with_foreign_map(), replace_old=True)
    assert [min(result.get_names()) for result in patched.outputs] == ["logits", "feature_vector", "saliency_map"]
    with pytest.raises(ModelMismatchError, match="--feature-vector"):
        insert(with_foreign_map(), feature_vector=True, replace_old=True)


def test_remove_needs_a_patched_model(stored):
    with pytest.raises(ModelMismatchError, match="nothing to remove"):
        remove(stored)


@pytest.mark.parametrize("options", [{}, {"top_k": 2}, {"method": "eigen-cam"}, {"target_layer": "target"}])
def test_inspect_of_a_patched_model_tells_of_what_it_carries(options):
    model = classifier("pointwise_then_mean")
    planned, found = inspect(model, **options), inspect(insert(model, self_check=False, **options))
    assert found.patched
    assert found.report == planned.report
    assert found.extra_multiply_adds_percent == planned.extra_multiply_adds_percent
    assert found.manifest.top_k == options.get("top_k")


def test_a_model_in_memory_is_left_alone():
    model = classifier("mean")
    before = len(model.get_ops())
    insert(model)
    assert len(model.get_ops()) == before
    assert len(model.outputs) == 1


@pytest.mark.parametrize("head", ["mean", "mean_nhwc", "pointwise_then_mean", "mean_tokens", "flatten", "mixing"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_serves_a_dynamic_batch(head, method):
    images = random_image(batch=2)
    layer = "target" if head == "mixing" else None
    request = InsertionRequest(method=method, normalise=Normalise.NONE, target_layer=layer)
    patched = insert(classifier(head, batch=-1), request)
    apart = one_by_one(patched, images)
    assert_maps_equal(output(patched, [images]), apart)


def convolutional(height, width, activation=None):
    image = ops.parameter([-1, 3, height, width], np.float32, name="image")
    features = ops.relu(ops.convolution(image, weights(CHANNELS, 3, 2, 2), [2, 2], [0, 0], [0, 0], [1, 1]))
    features.set_friendly_name("target")
    return model_of(image, dense(ops.reduce_mean(features, ints(2, 3)), CHANNELS, CLASSES), activation)


@pytest.mark.parametrize("mask", ["pixel", "gaussian"])
@pytest.mark.parametrize("method", METHODS)
def test_dynamic_height_and_width(method, mask):
    request = InsertionRequest(method=method, normalise=Normalise.NONE, mask=Mask(mask))
    patched = insert(convolutional(-1, -1), request)
    for height, width in ((8, 10), (12, 6)):
        image = random_image(2, height, width)
        expected = output(insert(convolutional(height, width), request), [image])
        found = output(patched, [image])
        assert found.shape[-2:] == (height // 2, width // 2)
        assert_maps_equal(found, expected)


def test_sizes_within_bounds():
    bounded = convolutional(ov.Dimension(4, 16), ov.Dimension(6, 20))
    patched = insert(bounded, normalise=Normalise.NONE)
    image = random_image(2, 8, 10)
    expected = output(insert(convolutional(8, 10), normalise=Normalise.NONE), [image])
    assert_maps_equal(output(patched, [image]), expected)


def test_dynamic_size_takes_the_mosaic_too():
    def build(height, width):
        image = ops.parameter([1, 3, height, width], np.float32)
        features = ops.relu(ops.convolution(image, weights(CHANNELS, 3, 8, 8), [8, 8], [0, 0], [0, 0], [1, 1]))
        features.set_friendly_name("target")
        mixed = ops.convolution(features, weights(CHANNELS, CHANNELS, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])
        return model_of(image, dense(ops.reduce_mean(ops.relu(mixed), ints(2, 3)), CHANNELS, CLASSES))

    request = InsertionRequest(target_layer="target", normalise=Normalise.NONE)
    dynamic = insert(build(-1, -1), request)
    assert read_manifest(dynamic).strategy == "mosaic"
    for height, width in ((32, 40), (48, 24)):
        image = random_image(1, height, width)
        assert_maps_equal(output(dynamic, [image]), output(insert(build(height, width), request), [image]))


def test_a_patched_model_can_be_reshaped():
    """A static model that is given another batch and size after patching explains these."""
    image = random_image(2, 12, 6)
    patched = insert(convolutional(8, 10), InsertionRequest(top_k=2))
    patched.reshape([2, 3, 12, 6])
    logits, maps, classes = run(patched, [image])
    expected = run(insert(convolutional(12, 6), InsertionRequest(top_k=2)), [image])
    np.testing.assert_array_equal(logits, expected[0])
    np.testing.assert_array_equal(classes, expected[2])
    assert_levels_equal(maps, expected[1])


def test_embedded_preprocessing_with_u8_nhwc_input():
    steps = PrePostProcessor(classifier("mean"))
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).mean(127).scale(64)
    patched = insert(steps.build())
    pixels = np.random.default_rng(0).integers(0, 256, (1, 2 * HEIGHT, 2 * WIDTH, 3), dtype=np.uint8)
    scaled = ((pixels.astype(np.float32) - 127) / 64).transpose(0, 3, 1, 2)
    assert_levels_equal(output(patched, [pixels]), output(insert(classifier("mean")), [scaled]))


def test_the_feature_vector_is_the_spatial_mean(stored):
    image = random_image()
    found = output(insert(stored, InsertionRequest(feature_vector=True)), [image], "feature_vector")
    np.testing.assert_allclose(found, target_values(read_model(stored), "target", [image]).mean((2, 3)), rtol=1e-5)


def test_labels_are_stored_the_way_model_api_reads_them(stored):
    labels = ("big cat", "dog", "cow", "hen", "old  owl")
    patched = insert(stored, InsertionRequest(labels=labels))
    assert patched.get_rt_info(["model_info", "labels"]).astype(str) == "big_cat dog cow hen old_owl"


def test_the_self_check_refuses_a_wrong_branch(stored, monkeypatch):
    monkeypatch.setitem(masks._PROFILE, masks.Mask.GAUSSIAN, (0.5, 0.2))
    monkeypatch.setattr(masks, "_KERNEL", masks._KERNEL * 1.01)
    with pytest.raises(SelfCheckError, match="literal perturbation"):
        insert(stored, InsertionRequest(mask=Mask.GAUSSIAN))


def test_the_self_check_refuses_changed_predictions(stored):
    plain = read_model(stored)
    assert check_outputs(plain, insert(stored))
    with pytest.raises(SelfCheckError, match="Output 0"):
        check_outputs(plain, classifier("mean"))


@pytest.mark.parametrize("activation", [None, "sigmoid", "softmax", "log_softmax"])
@pytest.mark.parametrize("method", METHODS)
def test_bf16_predictions_of_any_size_keep_every_bit(method, activation):
    config = {**F32, "INFERENCE_PRECISION_HINT": "bf16"}
    image = random_image(2, 12, 6)
    for model in (convolutional(-1, -1, activation), convolutional(12, 6, activation)):
        before = run(model, [image], config)[0]
        for top_k in (None, 2) if method.class_wise else (None,):
            after = run(insert(model, method=method, top_k=top_k, feature_vector=True), [image], config)[0]
            assert before.tobytes() == after.tobytes()


@pytest.mark.skipif(
    "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
    reason="the self-check looks at BF16 where the CPU computes in it by itself",
)
def test_bf16_predictions_keep_every_bit_where_the_target_is_inside_a_fusion():
    image, features = backbone(channels=64)
    mixed = ops.convolution(features, weights(64, 64, 1, 1, seed=4), [1, 1], [0, 0], [0, 0], [1, 1])
    model = model_of(image, dense(ops.reduce_mean(ops.gelu(mixed, "erf"), ints(2, 3)), 64, CLASSES))
    patched = insert(model, target_layer="target", mask="gaussian", normalise=Normalise.NONE)
    config = {**F32, "INFERENCE_PRECISION_HINT": "bf16"}
    images = [random_image()]
    assert run(model, images, config)[0].tobytes() == run(patched, images, config)[0].tobytes()
    assert read_manifest(patched).exact_outputs


def with_biases(*extents):
    """Return a classifier whose convolutions have biases, which the CPU plugin fuses with them."""
    image = ops.parameter([extents[0], 3, *extents[1:]], np.float32, name="image")
    image.output(0).set_names({"image"})
    x = image
    for index, channels in enumerate((3, 64)):
        mixed = ops.convolution(x, weights(64, channels, 3, 3, seed=index), [2, 2], [1, 1], [1, 1], [1, 1])
        x = ops.relu(ops.add(mixed, weights(1, 64, 1, 1, seed=index + 7)))
    return model_of(image, dense(ops.reduce_mean(x, ints(2, 3)), 64, CLASSES), "softmax")


@pytest.mark.parametrize("options", [{}, {"top_k": 2}, {"score": "contrast"}, {"method": "eigen-cam"}], ids=str)
@pytest.mark.parametrize("extents", [(-1, 24, 16), (1, -1, -1), (-1, -1, -1)], ids=str)
def test_bf16_predictions_of_dynamic_models_keep_every_bit(extents, options):
    model, images = with_biases(*extents), [random_image(1, 24, 16)]
    config = {**F32, "INFERENCE_PRECISION_HINT": "bf16"}
    patched = insert(model, normalise=Normalise.NONE, **options)
    assert run(model, images, config)[0].tobytes() == run(patched, images, config)[0].tobytes()
    assert_maps_equal(
        output(patched, images), output(insert(with_biases(1, 24, 16), normalise=Normalise.NONE, **options), images)
    )


def test_bf16_predictions_keep_every_bit(stored):
    """The CPU plugin chooses precisions by what follows a tensor; see `ov_xai.methods.places`."""
    image = random_image()
    config = {**F32, "INFERENCE_PRECISION_HINT": "bf16"}
    before = run(read_model(stored), [image], config)[0]
    for method in METHODS:
        after = run(insert(stored, InsertionRequest(method=method, feature_vector=True)), [image], config)[0]
        assert before.tobytes() == after.tobytes()
