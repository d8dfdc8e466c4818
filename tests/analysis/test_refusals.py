"""What cannot be patched is refused with a reason, a node where there is one, and a remedy."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import InsertionRequest, ModelMismatchError, UnsupportedModelError, insert, inspect, read_manifest
from tests.models import (
    CHANNELS,
    CLASSES,
    backbone,
    classifier,
    dense,
    flat,
    ints,
    model_of,
    weights,
)


def table_model():
    features = ops.parameter([1, 16], np.float32)
    return ov.Model([ops.result(dense(features, 16, CLASSES))], [features], "table")


def text_model():
    words = ops.parameter([1, 12], np.int64)
    embedded = ops.gather(weights(100, 8), words, ops.constant(np.int64(0)))
    return ov.Model([ops.result(dense(ops.reduce_mean(embedded, ints(1)), 8, CLASSES))], [words], "text")


def audio_model():
    samples = ops.parameter([1, 1, 16000], np.float32)
    return ov.Model([ops.result(dense(flat(samples, 1, 16000), 16000, CLASSES))], [samples], "audio")


def spectrogram_model():
    mel = ops.parameter([1, 80, 300], np.float32)
    return ov.Model([ops.result(dense(ops.reduce_mean(mel, ints(2)), 80, CLASSES))], [mel], "speech")


def image_mlp():
    image = ops.parameter([1, 3, 8, 10], np.float32)
    return ov.Model([ops.result(dense(flat(image, 1, 240), 240, CLASSES))], [image], "mlp")


def single_place_model():
    image = ops.parameter([1, 3, 4, 4], np.float32)
    small = ops.convolution(image, weights(CHANNELS, 3, 3, 3), [2, 2], [1, 1], [1, 1], [1, 1])
    single = ops.convolution(small, weights(CHANNELS, CHANNELS, 3, 3), [2, 2], [1, 1], [1, 1], [1, 1])
    pooled = ops.reduce_mean(ops.relu(single), ints(2, 3), True)
    return model_of(image, dense(flat(pooled, 1, CHANNELS), CHANNELS, CLASSES))


def depth_model():
    image, features = backbone()
    depth = ops.convolution(features, weights(1, CHANNELS, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    return ov.Model([ops.result(depth)], [image], "depth")


def boxes_among_logits():
    """Boxes and classes are columns of one table of logits."""
    image, features = backbone()
    table = ops.convolution(features, weights(9, CHANNELS, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    rows = ops.transpose(flat(table, 0, 9, -1), ints(0, 2, 1))
    return ov.Model([ops.result(rows)], [image], "joint")


def two_tables_of_logits():
    """Which of two tables holds the classes is not said."""
    image, features = backbone()
    outputs = [
        ops.result(ops.convolution(features, weights(columns, CHANNELS, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1]))
        for columns in (4, 7, 11)
    ]
    return ov.Model(outputs, [image], "tables")


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (table_model, "no image input"),
        (text_model, "no image input"),
        (audio_model, "no image input"),
        (spectrogram_model, "no image input"),
        (single_place_model, "1x1"),
        (depth_model, "picture of one number"),
        (boxes_among_logits, "9 columns"),
        (two_tables_of_logits, "Several tables"),
    ],
)
def test_refused_with_reason_and_remedy(build, reason):
    model = build()
    with pytest.raises(UnsupportedModelError, match=reason) as caught:
        insert(model)
    assert caught.value.remedy
    refusal = inspect(model).refusal
    assert (refusal.reason, refusal.remedy) == (caught.value.reason, caught.value.remedy)


def test_a_dense_layer_on_pixels_has_no_layer_to_mask():
    with pytest.raises(UnsupportedModelError, match="spatial grid"):
        insert(image_mlp())


def test_a_size_that_the_head_does_not_take_is_said_so():
    image = ops.parameter([1, 3, -1, -1], np.float32)
    features = ops.relu(ops.convolution(image, weights(CHANNELS, 3, 2, 2), [2, 2], [0, 0], [0, 0], [1, 1]))
    model = model_of(image, dense(flat(features, -1, CHANNELS * 20), CHANNELS * 20, CLASSES))
    with pytest.raises(UnsupportedModelError, match=r"dynamic|size"):
        insert(model)


def test_a_class_token_that_never_reads_the_places_has_nothing_to_show():
    image, features = backbone()
    tokens = ops.transpose(flat(features, 0, CHANNELS, -1), ints(0, 2, 1))
    tokens = ops.concat([weights(1, 1, CHANNELS), tokens], 1)
    first = ops.gather(ops.relu(tokens), ops.constant(np.int64(0)), ops.constant(np.int64(1)))
    with pytest.raises(UnsupportedModelError, match="spatial grid"):
        insert(model_of(image, dense(first, CHANNELS, CLASSES)))


def test_an_unknown_layer_is_answered_with_the_nearest_names():
    with pytest.raises(ModelMismatchError, match=r"targit.*does not exist.*target"):
        insert(classifier("mean"), InsertionRequest(target_layer="targit"))


@pytest.mark.parametrize("top_k", [6, 1000])
def test_top_k_beyond_the_classes(top_k):
    with pytest.raises(ModelMismatchError, match="5 classes"):
        insert(classifier("mean"), InsertionRequest(top_k=top_k))


def test_labels_must_match_the_classes():
    with pytest.raises(ModelMismatchError, match=r"2 labels.*5 classes"):
        insert(classifier("mean"), InsertionRequest(labels=("a", "b")))


def test_an_output_must_exist_and_hold_scores():
    for name in ("nothing", "7"):
        with pytest.raises(ModelMismatchError, match="logits"):
            insert(classifier("mean"), InsertionRequest(score_output=name))
    image, features = backbone()
    model = model_of(image, dense(ops.reduce_mean(features, ints(2, 3)), CHANNELS, CLASSES))
    model.add_results([ops.result(features)])
    with pytest.raises(ModelMismatchError, match="no class scores"):
        insert(model, InsertionRequest(score_output="1"))


def test_the_output_with_class_scores_is_found_among_several():
    image, features = backbone()
    pooled = ops.reduce_mean(features, ints(2, 3))
    logits = dense(pooled, CHANNELS, CLASSES)
    for results in ([pooled, logits], [logits, pooled], [features, logits, ops.softmax(logits, 1)]):
        model = ov.Model([ops.result(item) for item in results], [image], "several")
        report = inspect(model).report
        assert (report.classes, report.logits) == (CLASSES, logits.get_friendly_name())


def test_scores_made_by_region_yolo_are_named():
    image, features = backbone()
    raw = ops.convolution(features, weights(3 * 7, CHANNELS, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    region = ops.region_yolo(raw, 4, 2, 3, True, [], 1, 3, anchors=[1.0, 1.0, 2.0, 2.0, 3.0, 3.0])
    region.set_friendly_name("region")
    model = ov.Model([ops.result(region)], [image], "yolo")
    with pytest.raises(UnsupportedModelError, match="RegionYolo") as caught:
        insert(model)
    assert (caught.value.node, "activation-map" in caught.value.remedy) == ("region", True)
    assert read_manifest(insert(model, method="activation-map")).method == "activation-map"
