"""Class-probability maps of detectors of every form against a slow reference."""

import numpy as np
import openvino as ov
import pytest

from ov_xai import InsertionRequest, Method, Normalise, insert, read_manifest
from tests.detectors import FORMS, GRIDS, SEGMENTS, SIZE, levels_of_sizes, segmenter, segmenter_with_auxiliary
from tests.helpers import PRECISIONS, assert_levels_equal, assert_maps_equal, output, run
from tests.reference.class_maps import class_maps, softmax
from tests.reference.mosaic import to_u8

RAW = {"normalise": Normalise.NONE}


def images(batch=1, seed=0):
    return np.random.default_rng(seed).standard_normal((batch, 3, *SIZE)).astype(np.float32)


def raw_numbers(model, wanted, inputs):
    """Return the values of nodes of a model by friendly name."""
    clone = model.clone()
    nodes = {node.get_friendly_name(): node for node in clone.get_ordered_ops()}
    shown = len(clone.outputs)
    clone.add_results([ov.opset13.result(nodes[name].output(0)) for name in wanted])
    return run(clone, inputs)[shown:]


def level_logits(model, known, inputs):
    """Return per level class logits [N, A, K, h, w] and, or None, objectness logits [N, A, h, w]."""
    levels, objectness = [], []
    for values in raw_numbers(model, known.raw, inputs):
        if values.ndim == 3:  # [N, P, K], all levels joined
            return queries(values), None
        n, _, h, w = values.shape
        apart = values.reshape(n, known.anchors, known.before + known.classes, h, w)
        levels.append(apart[:, :, known.before :])
        if known.objectness is not None:
            objectness.append(apart[:, :, known.objectness])
    if known.objectness_raw:
        objectness = raw_numbers(model, known.objectness_raw, inputs)
    return levels, objectness or None


def queries(values):
    levels, start = [], 0
    for height, width in GRIDS:
        part = values[:, start : start + height * width]
        levels.append(part.transpose(0, 2, 1).reshape(len(part), 1, -1, height, width))
        start += height * width
    return levels


def highest_scores(model, known, inputs):
    """Return the highest score of each label id at any place of any level; ids without a class come last."""
    levels, objectness = level_logits(model, known, inputs)
    found = [
        class_maps([level], known.activation, "max", 0, None if objectness is None else [objectness[index]])
        for index, level in enumerate(levels)
    ]
    best = np.max([maps.max(axis=(2, 3)) for maps in found], axis=0)
    nothing = np.full(len(best), -np.inf)
    return np.stack([nothing if column is None else best[:, column] for column in known.by_label], 1)


def few(known):
    """Return how many classes are asked for: not all of them, where there are several."""
    return min(2, len(known.by_label))


def expected(model, known, inputs, combine="mean", level=0):
    levels, objectness = level_logits(model, known, inputs)
    maps = class_maps(levels, known.activation, combine, level, objectness)
    nothing = np.zeros_like(maps[:, 0])
    return np.stack([nothing if column is None else maps[:, column] for column in known.by_label], 1)


@pytest.mark.parametrize("combine", ["mean", "max"])
@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("form", FORMS)
def test_maps_equal_the_reference(form, combine, level):
    model, known = FORMS[form]()
    inputs = [images()]
    patched = insert(model, combine=combine, map_level=level, **RAW)
    assert_maps_equal(output(patched, inputs), expected(model, known, inputs, combine, level))
    manifest = read_manifest(patched)
    assert (manifest.task, manifest.method) == ("detection", "class-probability-map")
    assert (manifest.classes, manifest.grid) == (len(known.by_label), list(GRIDS[level]))
    assert manifest.unused_classes == [label for label, column in enumerate(known.by_label) if column is None]
    assert manifest.levels == [list(grid) for grid in GRIDS]


@pytest.mark.parametrize("form", FORMS)
def test_u8_maps_have_their_own_range(form):
    model, known = FORMS[form]()
    inputs = [images(seed=1)]
    patched = insert(model, self_check=False)
    assert_levels_equal(output(patched, inputs), to_u8(expected(model, known, inputs)))


@pytest.mark.parametrize("form", FORMS)
def test_predictions_keep_every_bit(form):
    model, known = FORMS[form]()
    inputs = [images(seed=2)]
    requests = ({}, {"top_k": few(known)}, {"method": Method.ACTIVATION_MAP}, {"method": Method.EIGEN_CAM})
    patched = [insert(model, feature_vector=True, self_check=False, **request) for request in requests]
    for config in PRECISIONS:
        before = run(model, inputs, config)
        for other in patched:
            for old, new in zip(before, run(other, inputs, config), strict=False):
                assert old.tobytes() == new.tobytes()


BATCHED = [form for form in FORMS if form not in ("selection_inside", "detection_output", "queries_from_places")]


@pytest.mark.parametrize("form", BATCHED)
@pytest.mark.parametrize("batch", [3, -1])
def test_a_batch_is_explained_image_by_image(form, batch):
    model, known = FORMS[form](batch)
    inputs = [images(3, seed=3)]
    found = output(insert(model, **RAW, self_check=False), inputs)
    assert_maps_equal(found, expected(model, known, inputs))


@pytest.mark.parametrize("form", BATCHED)
@pytest.mark.parametrize("batch", [3, -1])
def test_predictions_are_read_as_those_of_one_image(form, batch):
    readout, single = (read_manifest(insert(FORMS[form](count)[0])).readout for count in (batch, 1))
    assert readout == single
    # Raw scores of several anchors say of no row what it is.
    assert (readout is None) == (form == "anchors_per_level")


@pytest.mark.parametrize("form", FORMS)
def test_best_classes_only(form):
    model, known = FORMS[form]()
    inputs = [images(seed=4)]
    patched = insert(model, top_k=few(known), **RAW, self_check=False)
    results = run(patched, inputs)
    maps, classes = results[-2], results[-1]
    whole = expected(model, known, inputs)
    best = np.argsort(-highest_scores(model, known, inputs), axis=1, kind="stable")[:, : few(known)]
    assert np.array_equal(classes, best)
    assert_maps_equal(maps, np.take_along_axis(whole, best[:, :, None, None], 1))


def test_label_ids_without_a_class_are_the_last_of_the_best():
    form = next(name for name in FORMS if None in FORMS[name]()[1].by_label)
    model, known = FORMS[form]()
    inputs = [images(seed=5)]
    maps, classes = run(insert(model, top_k=len(known.by_label), **RAW), inputs)[-2:]
    unused = [label for label, column in enumerate(known.by_label) if column is None]
    assert classes[0, -len(unused) :].tolist() == unused
    assert sorted(classes[0].tolist()) == list(range(len(known.by_label)))
    assert_maps_equal(maps, np.take_along_axis(expected(model, known, inputs), classes[:, :, None, None], 1))


@pytest.mark.parametrize("form", BATCHED)
def test_best_classes_of_each_image_of_a_batch(form):
    model, known = FORMS[form](3)
    inputs = [images(3, seed=6)]
    maps, classes = run(insert(model, top_k=few(known), **RAW, self_check=False), inputs)[-2:]
    best = np.argsort(-highest_scores(model, known, inputs), axis=1, kind="stable")[:, : few(known)]
    assert np.array_equal(classes, best)
    assert_maps_equal(maps, np.take_along_axis(expected(model, known, inputs), best[:, :, None, None], 1))


WITH_LOGITS = ["separate_outputs", "columns_first", "softmax_with_background", "an_output_per_level"]


@pytest.mark.parametrize("form", WITH_LOGITS)
def test_maps_of_otx(form):
    model, known = FORMS[form]()
    inputs = [images(seed=5)]
    levels, _ = level_logits(model, known, inputs)
    mean = class_maps(levels, "none", "mean", len(GRIDS) // 2)
    found = output(insert(model, compat="otx", **RAW), inputs)
    maps = softmax(mean, 1)
    labels = [np.zeros_like(maps[:, 0]) if column is None else maps[:, column] for column in known.by_label]
    assert_maps_equal(found, np.stack(labels, 1))


@pytest.mark.parametrize(
    ("options", "made_by"),
    [
        ({}, "softmax"),
        ({"activation": "softmax"}, "softmax"),
        ({"resized": True}, "softmax"),
        ({"resized": True, "ids": True}, "softmax"),
        ({"activation": "sigmoid"}, "sigmoid"),
        ({"activation": "sigmoid", "classes": 1}, "sigmoid"),
    ],
)
def test_segmentation(options, made_by):
    model = segmenter(**options)
    inputs = [images(seed=6)]
    patched = insert(model, **RAW)
    manifest = read_manifest(patched)
    assert (manifest.task, manifest.classes) == ("segmentation", options.get("classes", SEGMENTS))
    (logits,) = raw_numbers(model, ["scores"], inputs)
    assert_maps_equal(output(patched, inputs), class_maps([logits[:, None]], made_by, "max", 0))


@pytest.mark.parametrize(
    ("options", "request_"),
    [
        ({}, {}),
        ({"auxiliary": 7}, {"score_output": "main_scores"}),
        ({"activation": "softmax", "resized": False}, {}),
        ({"resized": False}, {"labels": tuple("abcde")}),
        ({"resized": False}, {"labels": tuple("abcde"), "score_output": "main_scores"}),
        ({"classes": 2, "auxiliary": 2}, {"labels": ("a", "b")}),
    ],
)
def test_an_auxiliary_head_is_left_out(options, request_):
    model = segmenter_with_auxiliary(**options)
    inputs = [images(seed=8)]
    patched = insert(model, **request_, **RAW)
    manifest = read_manifest(patched)
    assert (manifest.task, manifest.grid) == ("segmentation", list(GRIDS[0]))
    (logits,) = raw_numbers(model, ["main"], inputs)
    assert_maps_equal(output(patched, inputs), class_maps([logits[:, None]], "softmax", "max", 0))


def test_the_output_that_is_named_is_shown():
    model = segmenter_with_auxiliary()
    inputs = [images(seed=9)]
    patched = insert(model, score_output="auxiliary_scores", **RAW)
    (logits,) = raw_numbers(model, ["auxiliary"], inputs)
    assert_maps_equal(output(patched, inputs), class_maps([logits[:, None]], "softmax", "max", 0))


def test_a_named_output_shows_the_levels_it_is_computed_from():
    model, _ = FORMS["an_output_per_level"]()
    inputs = [images(seed=10)]
    patched = insert(model, score_output="class_1", **RAW)
    assert (read_manifest(patched).task, read_manifest(patched).levels) == ("detection", [list(GRIDS[1])])
    (logits,) = raw_numbers(model, ["class_1"], inputs)
    assert_maps_equal(output(patched, inputs), class_maps([logits[:, None]], "sigmoid", "max", 0))


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({}, ((4, 20), (2, 10), (1, 5))),
        ({}, ((4, 4), (2, 2), (1, 1))),
        ({"centerness": True}, ((4, 20), (2, 10), (1, 5))),
        ({"centerness": True}, ((4, 4), (2, 2), (1, 1))),
        ({"coarsest_first": True}, ((4, 4), (2, 2), (1, 1))),
        ({"together": True}, ((4, 4), (2, 2), (1, 1))),
        ({"dynamic": True}, ((8, 12), (4, 6), (2, 3))),
        ({"dynamic": True, "coarsest_first": True}, ((8, 12), (4, 6), (2, 3))),
    ],
)
def test_levels_of_any_size(options, sizes):
    model = levels_of_sizes(*sizes, **options)
    height, width = sizes[0]
    inputs = [np.random.default_rng(11).standard_normal((1, 3, 4 * height, 4 * width)).astype(np.float32)]
    patched = insert(model, **RAW)
    logits = raw_numbers(model, [f"class_{index}" for index in range(len(sizes))], inputs)
    assert [values.shape[2:] for values in logits] == list(sizes)
    sure = [f"sure_{index}" for index in range(len(sizes))] if options.get("centerness") else []
    objectness = raw_numbers(model, sure, inputs) if sure else None
    wanted = class_maps([values[:, None] for values in logits], "sigmoid", "mean", 0, objectness)
    assert_maps_equal(output(patched, inputs), wanted)
    manifest = read_manifest(patched)
    assert (manifest.task, len(manifest.levels)) == ("detection", len(sizes))


def test_maps_per_image():
    model, _ = FORMS["separate_outputs"]()
    inputs = [images(seed=7)]
    (fine,) = raw_numbers(model, ["fine"], inputs)
    found = output(insert(model, InsertionRequest(method="activation-map", **RAW)), inputs)
    assert_maps_equal(found, fine.mean(1))
    assert read_manifest(insert(model, method="activation-map")).target == ["fine"]


def test_same_input_gives_the_same_bytes(tmp_path):
    model, _ = FORMS["anchors_with_objectness"]()
    written = []
    for name in ("one", "two"):
        ov.save_model(insert(model), tmp_path / f"{name}.xml", compress_to_fp16=False)
        written.append((tmp_path / f"{name}.xml").read_bytes())
    assert written[0] == written[1]
