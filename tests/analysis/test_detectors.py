"""What a detector is taken for, and what decides where its structure does not."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import (
    CardError,
    InsertionRequest,
    ModelMismatchError,
    UnsupportedModelError,
    insert,
    inspect,
    read_card,
    read_manifest,
)
from ov_xai.analysis.dissection import dissect
from ov_xai.analysis.scores import Activation
from tests.detectors import (
    CLASSES,
    FORMS,
    GRIDS,
    SEGMENTS,
    groups_of_classes,
    heads,
    joined,
    maps_beside,
    model_of,
    one_layer_per_place,
    pyramid,
    segmenter,
    segmenter_with_auxiliary,
    two_anchors_in_logits,
    with_distributions,
)
from tests.models import ints, weights


def tables_of_logits(*columns):
    """Return a model with one table of logits [N, C, h, w] per number of columns, and one of boxes."""
    image, levels = pyramid()
    outputs = []
    for index, count in enumerate((4, *columns)):
        made = ops.convolution(levels[0], weights(count, 6, 1, 1, seed=index), [1, 1], [0, 0], [0, 0], [1, 1])
        outputs.append(ops.result(made))
    return ov.Model(outputs, [image], "tables")


@pytest.mark.parametrize(("columns", "classes"), [((7, 64), 7), ((7, 2), 7), ((7, 32, 2), 7), ((64,), 64)])
def test_parts_of_boxes_are_not_taken_for_classes(columns, classes):
    assert inspect(tables_of_logits(*columns)).report.classes == classes


@pytest.mark.parametrize("labels", [7, 11])
def test_labels_decide_between_tables(labels):
    model = tables_of_logits(7, 11)
    with pytest.raises(UnsupportedModelError, match="Several tables"):
        insert(model)
    patched = insert(model, labels=tuple(f"label {index}" for index in range(labels)))
    assert read_manifest(patched).classes == labels


def test_a_named_output_decides_between_tables():
    model = tables_of_logits(7, 11)
    model.outputs[1].set_names({"wanted"})
    assert read_manifest(insert(model, score_output="wanted")).classes == 7


def test_a_card_decides_between_tables(tmp_path):
    path = tmp_path / "card.toml"
    path.write_text('name = "a"\ntitle = "b"\n[match]\ncolumns = 11\n')
    assert read_manifest(insert(tables_of_logits(7, 11), card=read_card(path))).classes == 11


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_heads_that_are_alike_the_first_output_counts(first):
    image, levels = pyramid()
    made = [
        ops.convolution(levels[0], weights(5, 6, 1, 1, seed=seed), [1, 1], [0, 0], [0, 0], [1, 1]) for seed in (1, 2)
    ]
    names = [node.get_friendly_name() for node in made]
    order = made if first == 0 else made[::-1]
    manifest = read_manifest(insert(ov.Model([ops.result(node) for node in order], [image], "auxiliary")))
    assert (manifest.task, manifest.classes, manifest.target) == ("segmentation", 5, [names[first]])


def test_an_output_without_scores_cannot_be_named():
    model = tables_of_logits(7)
    model.outputs[0].set_names({"boxes"})
    with pytest.raises(ModelMismatchError, match="boxes"):
        insert(model, score_output="boxes")


def test_labels_divide_a_table_of_anchors():
    image, levels = pyramid()
    raw = [
        ops.result(ops.convolution(x, weights(3 * 8, 6, 1, 1, seed=i), [1, 1], [0, 0], [0, 0], [1, 1]))
        for i, x in enumerate(levels)
    ]
    model = ov.Model(raw, [image], "anchors")
    with pytest.raises(UnsupportedModelError, match="24 columns"):
        insert(model)
    manifest = read_manifest(insert(model, labels=("a", "b", "c")))
    assert (manifest.classes, manifest.levels) == (3, [list(grid) for grid in GRIDS])


def two_stages():
    """Features inside regions are classified: there is no score per place."""
    image, levels = pyramid()
    regions = ops.constant(np.array([[0, 0, 16, 16], [8, 4, 20, 20]], np.float32))
    inside = ops.roi_align(levels[0], regions, ints(0, 0), 2, 2, 2, 0.25, "avg")
    flat = ops.reshape(inside, ints(2, -1), True)
    scores = ops.softmax(ops.matmul(flat, weights(24, CLASSES), False, False), 1)
    boxes = ops.matmul(flat, weights(24, 4, seed=1), False, False)
    results = [ops.result(boxes), ops.result(scores)]
    return ov.Model(results, [image], "two_stages")


def test_two_stages_have_maps_per_image():
    manifest = read_manifest(insert(two_stages()))
    assert (manifest.task, manifest.method, manifest.target) == ("detection", "activation-map", ["fine"])
    with pytest.raises(UnsupportedModelError, match="per region") as caught:
        insert(two_stages(), method="class-probability-map")
    assert "activation-map" in caught.value.remedy


def test_maps_per_image_need_no_classes():
    image, levels = pyramid()
    depth = ops.convolution(levels[0], weights(1, 6, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    manifest = read_manifest(insert(ov.Model([ops.result(depth)], [image], "depth"), method="activation-map"))
    assert (manifest.classes, manifest.target) == (0, ["fine"])


@pytest.mark.parametrize("method", ["recipro-cam", "ReciproCAM"])
def test_recipro_cam_is_for_classifiers(method):
    with pytest.raises(ModelMismatchError, match="class-probability-map"):
        insert(FORMS["separate_outputs"]()[0], method=method)


@pytest.mark.parametrize("method", ["classwisesaliencymap", "ClassWiseSaliencyMap", "class-wise", None])
def test_the_otx_name_is_the_default(method):
    assert read_manifest(insert(FORMS["separate_outputs"]()[0], method=method)).method == "class-probability-map"


def test_a_level_that_is_not_there():
    with pytest.raises(ModelMismatchError, match=r"map-level is 2.*0 \(6x8\), 1 \(3x4\)"):
        insert(FORMS["separate_outputs"]()[0], map_level=2)


def test_inspect_says_what_was_found():
    found = inspect(FORMS["softmax_with_background"]()[0])
    assert (found.report.task, found.report.levels) == ("detection", ["6x8", "3x4"])
    assert found.manifest.unused_classes == [0]
    assert found.report.target.name == "fine"
    assert inspect(segmenter()).report.task == "segmentation"


def joined_model(**tables):
    """Return a model with an output [1, P, C] per table: name -> (columns, "sigmoid" or None)."""
    image, levels = pyramid()
    outputs = []
    for seed, (name, (columns, activation)) in enumerate(tables.items()):
        value = joined(heads(levels, columns, name, 10 + 40 * seed), 1, columns)
        outputs.append((name, ops.sigmoid(value) if activation else value))
    return image, outputs


def test_an_angle_behind_the_classes_is_no_objectness():
    image, outputs = joined_model(box=(4, None), scores=(3, "sigmoid"), angle=(1, "sigmoid"))
    turned = ops.multiply(ops.subtract(outputs[2][1], np.float32(0.25)), np.float32(np.pi))
    table = ops.concat([outputs[0][1], outputs[1][1], turned], 2)
    manifest = read_manifest(insert(model_of(image, ("output", table))))
    assert (manifest.classes, manifest.readout.objectness) == (3, None)


def test_key_points_behind_the_classes_are_no_classes():
    image, outputs = joined_model(box=(4, None), scores=(1, "sigmoid"), points=(6, None))
    points = ops.reshape(outputs[2][1], ints(0, 0, 2, 3), True)
    split = ops.variadic_split(points, ops.constant(np.int64(3)), ints(2, 1))
    seen = ops.concat([split.output(0), ops.sigmoid(split.output(1))], 3)
    table = ops.concat([outputs[0][1], outputs[1][1], ops.reshape(seen, ints(0, 0, -1), True)], 2)
    manifest = read_manifest(insert(model_of(image, ("output", table))))
    assert (manifest.classes, manifest.readout.scores[0].start) == (1, 4)


def test_other_probabilities_beside_the_classes_are_ambiguous():
    image, outputs = joined_model(boxes=(4, None), scores=(2, "sigmoid"), landmarks=(10, "sigmoid"))
    with pytest.raises(UnsupportedModelError, match=r"Several tables.*10.*2"):
        insert(model_of(image, *outputs))
    assert read_manifest(insert(model_of(image, *outputs), labels=("a", "b"))).classes == 2
    assert read_manifest(insert(model_of(image, *outputs), score_output="scores")).classes == 2


def test_two_tables_of_four_columns_are_ambiguous():
    image, outputs = joined_model(boxes=(4, None), scores=(4, None))
    model = model_of(image, *outputs)
    with pytest.raises(UnsupportedModelError, match="Several tables"):
        insert(model, labels=("a", "b", "c", "d"))
    assert read_manifest(insert(model, score_output="scores")).levels == [list(grid) for grid in GRIDS]


def test_an_objectness_beside_a_single_class_is_multiplied_in():
    image, outputs = joined_model(boxes=(4, None), scores=(1, "sigmoid"), centerness=(1, "sigmoid"))
    manifest = read_manifest(insert(model_of(image, *outputs)))
    assert (manifest.classes, manifest.levels) == (1, [list(grid) for grid in GRIDS])


def test_a_map_of_features_on_one_grid_tells_no_anchors():
    image, levels = pyramid()
    scores, boxes = heads(levels, 6, "class", 50), heads(levels, 4, "box")
    features = ops.relu(ops.convolution(levels[0], weights(8, 6, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1]))
    outputs = [(f"class_{i}", ops.sigmoid(x)) for i, x in enumerate(scores)]
    outputs += [(f"box_{i}", x) for i, x in enumerate(boxes)]
    manifest = read_manifest(insert(model_of(image, *outputs, ("features", features))))
    assert (manifest.classes, manifest.levels) == (6, [list(grid) for grid in GRIDS])


def test_one_score_per_place_is_no_classifier():
    image, outputs = joined_model(boxes=(4, None), scores=(1, "sigmoid"))
    turned = [(name, ops.transpose(value, ints(0, 2, 1))) for name, value in outputs]
    manifest = read_manifest(insert(model_of(image, *turned)))
    assert (manifest.task, manifest.classes) == ("detection", 1)


def selecting(height, width):
    """Return a detector of any size whose boxes come from the size of its feature map and are suppressed inside."""
    image = ops.parameter([1, 3, height, width], np.float32, name="image")
    features = ops.relu(ops.convolution(image, weights(6, 3, 4, 4), [4, 4], [0, 0], [0, 0], [1, 1]))
    made = [
        ops.convolution(features, weights(count, 6, 1, 1, seed=count), [1, 1], [0, 0], [0, 0], [1, 1])
        for count in (4, CLASSES)
    ]
    boxes = ops.abs(ops.transpose(ops.reshape(made[0], ints(1, 4, -1), False), ints(0, 2, 1)))
    scores = ops.reshape(ops.sigmoid(made[1]), ints(1, CLASSES, -1), False)
    limits = [ops.constant(np.int64(10)), ops.constant(np.float32(0.5)), ops.constant(np.float32(0))]
    chosen = ops.non_max_suppression(boxes, scores, *limits, sort_result_descending=False)
    return ov.Model(
        [ops.result(chosen.output(0)), ops.result(chosen.output(1)), ops.result(boxes)], [image], "selecting"
    )


def test_a_detector_of_dynamic_size_that_selects_boxes():
    manifest = read_manifest(insert(selecting(-1, -1)))
    assert (manifest.classes, manifest.unused_classes) == (CLASSES, [])
    assert manifest.grid == [None, None]


def test_a_model_that_cannot_be_run_is_refused():
    model = selecting(-1, -1)
    broken = ops.reshape(model.outputs[2].get_node().input_value(0), ints(7, 4), False)
    model.add_results([ops.result(broken)])
    with pytest.raises(UnsupportedModelError, match="cannot be run"):
        insert(model)
    assert inspect(model).refusal is not None


def card_of(tmp_path, match="", scores=""):
    path = tmp_path / "card.toml"
    path.write_text(f'name = "a"\ntitle = "b"\n[match]\n{match}\n[scores]\n{scores}\n')
    return read_card(path)


def some_labels(count):
    return tuple(f"label {index}" for index in range(count))


def objectness_of(manifest):
    columns = manifest.readout.objectness
    return None if columns is None else columns.start


def test_a_group_of_one_class_beside_boxes_may_be_an_objectness(tmp_path):
    model = groups_of_classes()
    with pytest.raises(UnsupportedModelError, match=r"5 columns.*may be an objectness") as caught:
        insert(model)
    assert "--labels" in caught.value.remedy
    assert "objectness_column" in caught.value.remedy
    for labels, classes, objectness in ((5, 5, None), (4, 4, 4)):
        manifest = read_manifest(insert(model, labels=some_labels(labels)))
        assert (manifest.classes, objectness_of(manifest)) == (classes, objectness)
    manifest = read_manifest(insert(model, card=card_of(tmp_path, scores='objectness_column = "none"')))
    assert (manifest.classes, objectness_of(manifest)) == (5, None)


def test_a_group_of_one_class_among_scores_only_is_a_class():
    manifest = read_manifest(insert(groups_of_classes(boxes=False)))
    assert (manifest.classes, objectness_of(manifest)) == (5, None)


@pytest.mark.parametrize("labels", [None, 3])
def test_scores_of_one_layer_and_anchor_do_not_tell_an_objectness(labels):
    with pytest.raises(UnsupportedModelError, match="may be an objectness"):
        insert(one_layer_per_place(), labels=None if labels is None else some_labels(labels))


def test_as_many_labels_as_columns_leave_no_objectness():
    manifest = read_manifest(insert(one_layer_per_place(), labels=some_labels(4)))
    assert (manifest.classes, manifest.readout.scores[0].start, objectness_of(manifest)) == (4, 4, None)


@pytest.mark.parametrize(
    ("facts", "classes", "objectness"),
    [
        ("objectness_column = 4", range(5, 8), 4),
        ("objectness_column = 7", range(4, 7), 7),
        ("first_column = 4\nobjectness_column = 7", range(4, 7), 7),
        ("first_column = 4\nclasses = 3\nobjectness_column = 7", range(4, 7), 7),
        ("classes = 2", range(4, 6), None),
        ('objectness_column = "none"', range(4, 8), None),
    ],
)
def test_a_card_tells_classes_and_objectness(tmp_path, facts, classes, objectness):
    manifest = read_manifest(insert(one_layer_per_place(), card=card_of(tmp_path, scores=facts)))
    columns = manifest.readout.scores[0]
    assert (range(columns.start, columns.stop), objectness_of(manifest)) == (classes, objectness)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ("objectness_column = 5", "among the classes, columns 4 to 7"),
        ("first_column = 4\nclasses = 5", r"classes - 1 is 8; the tables have 8 columns"),
    ],
)
def test_a_card_with_columns_that_are_not_there(tmp_path, facts, said):
    with pytest.raises(CardError, match=said):
        insert(one_layer_per_place(), card=card_of(tmp_path, scores=facts))


@pytest.mark.parametrize(
    ("labels", "activation", "background"),
    [
        (("Background", "a", "b"), "softmax", 0),
        (("a", "b", "__background__"), "softmax", 2),
        (("a", "b", "c"), "sigmoid", None),
        (("a", "bg", "b"), "sigmoid", None),
        (None, "sigmoid", None),
    ],
)
def test_a_label_tells_the_background_of_logits(labels, activation, background):
    manifest = read_manifest(insert(two_anchors_in_logits(), labels=labels))
    assert (manifest.readout.activation, manifest.readout.background) == (activation, background)
    assert manifest.unused_classes == ([] if background is None else [background])


SSD = 'made_by = "none"\nmin_anchors = 2'


def test_labels_come_before_a_card_that_was_found_but_not_before_one_that_was_given(tmp_path):
    card = card_of(tmp_path, SSD, 'activation = "softmax"\nbackground = "first"')
    given = read_manifest(insert(two_anchors_in_logits(), card=card, labels=some_labels(3)))
    assert (given.readout.activation, given.unused_classes) == ("softmax", [0])
    model, request = two_anchors_in_logits(), InsertionRequest(labels=some_labels(3))
    found = dissect(model, request, [card]).head
    assert (found.activation, found.background) == (Activation.SIGMOID, None)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("resized", [False, True])
def test_a_picture_of_few_numbers_may_be_no_classes(channels, resized):
    model = segmenter(classes=channels, resized=resized)
    with pytest.raises(UnsupportedModelError, match=f"picture of (one|{channels}) number.*depth") as caught:
        insert(model)
    assert "--labels" in caught.value.remedy
    for request in ({"labels": some_labels(channels)}, {"score_output": "segmentation"}):
        manifest = read_manifest(insert(model, **request))
        assert (manifest.task, manifest.classes) == ("segmentation", channels)
    assert read_manifest(insert(model, method="activation-map")).classes == 0


@pytest.mark.parametrize("options", [{"activation": "softmax"}, {"ids": True}, {"activation": "sigmoid"}])
def test_a_picture_of_few_classes(options):
    manifest = read_manifest(insert(segmenter(classes=2, **options)))
    assert (manifest.task, manifest.classes) == ("segmentation", 2)


def test_boxes_and_classes_per_level_are_not_taken_for_pictures():
    model = segmenter_with_auxiliary(classes=9, auxiliary=9, resized=False)
    for request in ({}, {"score_output": "main_scores"}):
        with pytest.raises(UnsupportedModelError, match="tables of 9 columns"):
            insert(model, **request)


def test_a_heat_map_of_two_classes_is_not_told_from_a_size():
    model = maps_beside(2, 2, 2)
    for request in ({}, {"labels": ("a", "b")}):
        with pytest.raises(UnsupportedModelError, match="Several tables") as caught:
            insert(model, **request)
        assert "--score-output" in caught.value.remedy
        assert "--labels" not in caught.value.remedy
    manifest = read_manifest(insert(model, score_output="map_1"))
    assert (manifest.task, manifest.classes, manifest.readout.activation) == ("detection", 2, "sigmoid")


def test_of_maps_beside_each_other_the_activated_one_scores():
    manifest = read_manifest(insert(maps_beside(2, 2, 2, activations=(1,))))
    assert (manifest.task, manifest.classes) == ("detection", 2)
    assert manifest.readout.scores[0].output == 1


def test_a_geometry_that_is_scaled_is_no_score():
    image, levels = pyramid()
    score = ops.sigmoid(heads(levels[:1], 1, "score", 50)[0])
    geometry = ops.multiply(ops.sigmoid(heads(levels[:1], 5, "geometry", 70)[0]), ops.constant(np.float32(100)))
    manifest = read_manifest(insert(model_of(image, ("score", score), ("geometry", geometry))))
    assert (manifest.task, manifest.classes) == ("detection", 1)


def test_layers_with_a_channel_per_label_give_the_classes():
    model = with_distributions(64, 7)
    with pytest.raises(UnsupportedModelError, match="tables of 71 columns"):
        insert(model)
    columns = read_manifest(insert(model, labels=some_labels(7))).readout.scores[0]
    assert (columns.start, columns.stop) == (64, 71)


@pytest.mark.parametrize("model", [with_distributions(32, 7, apart=False), with_distributions(32, 32)])
def test_labels_do_not_tell_classes_from_as_many_distributions(model):
    labels = 7 if model.outputs[0].get_partial_shape()[2].get_length() == 39 else 32
    with pytest.raises(UnsupportedModelError, match="boxes and classes together") as caught:
        insert(model, labels=some_labels(labels))
    assert "scores.classes" in caught.value.remedy


def test_a_card_tells_classes_in_front_of_boxes(tmp_path):
    card = card_of(tmp_path, "columns = 39", "first_column = 0\nclasses = 7")
    columns = read_manifest(insert(with_distributions(32, 7, apart=False), card=card)).readout.scores[0]
    assert (columns.start, columns.stop) == (0, 7)


def test_a_score_of_the_whole_image_is_no_level():
    image, levels = pyramid()
    scores = heads(levels[:1], SEGMENTS, "scores", 50)[0]
    whole = ops.reduce_mean(scores, ints(2, 3), True)
    found = inspect(model_of(image, ("scores", scores), ("whole", whole))).report
    assert (found.task, found.classes) == ("classification", SEGMENTS)


def test_three_columns_hold_no_boxes():
    image, levels = pyramid()
    model = model_of(image, ("output", joined(heads(levels, 3, "raw"), 1, 3)))
    with pytest.raises(UnsupportedModelError, match="too few for a box") as caught:
        insert(model)
    assert "activation-map" in caught.value.remedy
    manifest = read_manifest(insert(model, labels=some_labels(3)))
    assert (manifest.task, manifest.classes) == ("detection", 3)
