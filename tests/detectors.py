"""Small detectors with known structure, built by hand.

Each builder returns a model and its `Known` facts: which nodes hold the raw numbers of each level and how they are
arranged there, so that a reference can be computed without any of the code under test.
"""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import openvino as ov
from openvino import opset8
from openvino import opset13 as ops

from tests.models import ints, weights

CLASSES = 3
#: Classes of a segmentation model: more than a picture of anything else has channels.
SEGMENTS = 5
SIZE = (24, 32)
#: Grids of the levels, finest first.
GRIDS = ((6, 8), (3, 4))


@dataclass(frozen=True)
class Known:
    """What a detector is made of.

    Attributes:
        raw: per level, the friendly name of the convolution that gives [N, A * (before + classes), h, w].
        anchors: A.
        before: columns in front of the classes, per anchor.
        classes: columns of classes.
        objectness: column of an objectness; None for none.
        activation: what makes probabilities of the raw numbers.
        by_label: per label id, the class column; None for a label that stands for nothing.
        objectness_raw: per level, the convolution of an objectness [N, A, h, w]; empty for none.
    """

    raw: tuple[str, ...]
    anchors: int = 1
    before: int = 0
    classes: int = CLASSES
    objectness: int | None = None
    activation: str = "sigmoid"
    by_label: tuple[int | None, ...] = (0, 1, 2)
    objectness_raw: tuple[str, ...] = field(default_factory=tuple)


def pyramid(batch=1):
    """Return an image input and features of two levels, [N, 6, 6, 8] and [N, 6, 3, 4]."""
    image = ops.parameter([batch, 3, *SIZE], np.float32, name="image")
    image.output(0).set_names({"image"})
    fine = ops.relu(ops.convolution(image, weights(6, 3, 4, 4, scale=0.2), [4, 4], [0, 0], [0, 0], [1, 1]))
    coarse = ops.relu(ops.convolution(fine, weights(6, 6, 2, 2, seed=3), [2, 2], [0, 0], [0, 0], [1, 1]))
    fine.set_friendly_name("fine")
    return image, [fine, coarse]


def head(x, columns, name, seed):
    """Return a 3x3 convolution with bias; the bias op has the name."""
    made = ops.convolution(x, weights(columns, 6, 3, 3, seed=seed, scale=0.4), [1, 1], [1, 1], [1, 1], [1, 1])
    shifted = ops.add(made, weights(1, columns, 1, 1, seed=seed + 1))
    shifted.set_friendly_name(name)
    return shifted


def heads(levels, columns, name, seed=10):
    """Return one layer per level; the levels do not share weights."""
    return [head(x, columns, f"{name}_{index}", seed + 20 * index) for index, x in enumerate(levels)]


def rows(x, anchors, columns):
    """Return [N, A * C, h, w] as [N, h * w * A, C]."""
    extents = [int(extent) for extent in x.get_output_partial_shape(0)[2:].to_shape()]
    apart = ops.reshape(x, ints(0, anchors, columns, *extents), True)
    turned = ops.transpose(apart, ints(0, 3, 4, 1, 2))
    return ops.reshape(turned, ints(0, anchors * extents[0] * extents[1], columns), True)


def joined(parts, anchors, columns):
    """Return the rows of all levels, [N, P, C]."""
    return ops.concat([rows(part, anchors, columns) for part in parts], 1)


def model_of(image, *outputs):
    """Return a model with named outputs."""
    results = []
    for name, value in outputs:
        result = ops.result(value)
        result.output(0).set_names({name})
        results.append(result)
    return ov.Model(results, [image], "detector")


def names(kind):
    return tuple(f"{kind}_{index}" for index in range(len(GRIDS)))


# -- one per form of class head ----------------------------------------------------------------------------------------


def columns_first(batch=1):
    """Boxes and probabilities as columns of [N, 4 + K, P]."""
    image, levels = pyramid(batch)
    boxes = ops.exp(joined(heads(levels, 4, "box"), 1, 4))
    scores = ops.sigmoid(joined(heads(levels, CLASSES, "class", 50), 1, CLASSES))
    table = ops.transpose(ops.concat([boxes, scores], 2), ints(0, 2, 1))
    return model_of(image, ("output", table)), Known(names("class"))


def separate_outputs(batch=1):
    """Boxes [N, P, 4] and probabilities [N, P, K]."""
    image, levels = pyramid(batch)
    boxes = ops.exp(joined(heads(levels, 4, "box"), 1, 4))
    scores = ops.sigmoid(joined(heads(levels, CLASSES, "class", 50), 1, CLASSES))
    return model_of(image, ("boxes", boxes), ("scores", scores)), Known(names("class"))


def four_classes(batch=1):
    """As many classes as a box has numbers."""
    image, levels = pyramid(batch)
    boxes = ops.exp(joined(heads(levels, 4, "box"), 1, 4))
    scores = ops.sigmoid(joined(heads(levels, 4, "class", 50), 1, 4))
    known = Known(names("class"), classes=4, by_label=(0, 1, 2, 3))
    return model_of(image, ("boxes", boxes), ("scores", scores)), known


def one_class_beside_key_points(batch=1):
    """Logits of one class, and tables that hold boxes and key points together, as face detectors have them."""
    image, levels = pyramid(batch)
    points = joined(heads(levels, 16, "points"), 1, 16)
    scores = joined(heads(levels, 1, "class", 50), 1, 1)
    known = Known(names("class"), classes=1, by_label=(0,))
    return model_of(image, ("regressors", points), ("classificators", scores)), known


def own_objectness(batch=1, behind=False):
    """Boxes, an objectness of its own layer before or behind the classes, as columns of [N, P, 5 + K]."""
    image, levels = pyramid(batch)
    parts = []
    for index, x in enumerate(levels):
        box = head(x, 4, f"box_{index}", 10 + 20 * index)
        sure = ops.sigmoid(head(x, 1, f"sure_{index}", 90 + 20 * index))
        scores = ops.sigmoid(head(x, CLASSES, f"class_{index}", 50 + 20 * index))
        columns = [box, scores, sure] if behind else [box, sure, scores]
        parts.append(rows(ops.concat(columns, 1), 1, 5 + CLASSES))
    return model_of(image, ("output", ops.concat(parts, 1))), Known(names("class"), objectness_raw=names("sure"))


def anchors_with_objectness(batch=1):
    """One layer gives box, objectness and classes of three anchors; the output is [N, A * h * w, 5 + K]."""
    image, levels = pyramid(batch)
    parts = []
    for index, x in enumerate(levels):
        raw = head(x, 3 * (5 + CLASSES), f"raw_{index}", 10 + 20 * index)
        apart = ops.reshape(raw, ints(0, 3, 5 + CLASSES, *GRIDS[index]), True)
        sure = ops.sigmoid(ops.transpose(apart, ints(0, 1, 3, 4, 2)))
        split = ops.variadic_split(sure, ops.constant(np.int64(4)), ints(4, 1 + CLASSES))
        box = ops.multiply(split.output(0), ops.constant(np.float32(8)))
        again = ops.concat([box, split.output(1)], 4)
        parts.append(ops.reshape(again, ints(0, 3 * GRIDS[index][0] * GRIDS[index][1], 5 + CLASSES), True))
    known = Known(names("raw"), anchors=3, before=5, objectness=4)
    return model_of(image, ("output", ops.concat(parts, 1))), known


def softmax_with_background(batch=1, flattened=False):
    """Class 0 of a softmax means nothing; two anchors. `flattened`: of the rows of all images at once."""
    image, levels = pyramid(batch)
    boxes = joined(heads(levels, 8, "box"), 2, 4)
    scores = joined(heads(levels, 2 * CLASSES, "class", 50), 2, CLASSES)
    if flattened:
        of_all = ops.softmax(ops.reshape(scores, ints(-1, CLASSES), False), 1)
        scores = ops.reshape(of_all, ints(-1, int(scores.get_output_partial_shape(0)[1].get_length()), CLASSES), False)
    else:
        scores = ops.softmax(scores, 2)
    known = Known(names("class"), anchors=2, activation="softmax", by_label=(None, 1, 2))
    return model_of(image, ("boxes", boxes), ("scores", scores)), known


def softmax_whose_background_is_cut_off(batch=1, at_the_end=False):
    """Of a softmax over background and classes only the classes leave the model."""
    image, levels = pyramid(batch)
    boxes = joined(heads(levels, 4, "box"), 1, 4)
    scores = ops.softmax(joined(heads(levels, 1 + CLASSES, "class", 50), 1, 1 + CLASSES), 2)
    first = 0 if at_the_end else 1
    kept = ops.slice(scores, ints(first), ints(first + CLASSES), ints(1), ints(2))
    by_label = tuple(range(first, first + CLASSES))
    known = Known(names("class"), activation="softmax", classes=1 + CLASSES, by_label=by_label)
    return model_of(image, ("boxes", boxes), ("scores", kept)), known


def softmax_of_one_class(batch=1):
    """Of a softmax over background and one class only the class leaves the model."""
    image, levels = pyramid(batch)
    boxes = joined(heads(levels, 4, "box"), 1, 4)
    scores = ops.softmax(joined(heads(levels, 2, "class", 50), 1, 2), 2)
    kept = ops.slice(scores, ints(1), ints(2), ints(1), ints(2))
    known = Known(names("class"), activation="softmax", classes=2, by_label=(1,))
    return model_of(image, ("boxes", boxes), ("scores", kept)), known


def flattened_softmax(batch=1):
    """Every level is flattened before they are joined, and divided into places and classes after that."""
    image, levels = pyramid(batch)
    flat = [
        ops.reshape(ops.transpose(x, ints(0, 2, 3, 1)), ints(0, -1), True)
        for x in heads(levels, 2 * CLASSES, "class", 50)
    ]
    scores = ops.softmax(ops.reshape(ops.concat(flat, 1), ints(0, -1, CLASSES), True), 2)
    boxes = joined(heads(levels, 8, "box"), 2, 4)
    known = Known(names("class"), anchors=2, activation="softmax", by_label=(None, 1, 2))
    return model_of(image, ("boxes", boxes), ("scores", scores)), known


def logits_of_shared_layers(batch=1):
    """All levels are scored by the same weights and end in logits: sigmoid."""
    image, levels = pyramid(batch)
    matrix, bias = weights(2 * CLASSES, 6, 3, 3, seed=50, scale=0.4), weights(1, 2 * CLASSES, 1, 1, seed=51)
    parts = []
    for index, x in enumerate(levels):
        made = ops.add(ops.convolution(x, matrix, [1, 1], [1, 1], [1, 1], [1, 1]), bias)
        made.set_friendly_name(f"class_{index}")
        parts.append(made)
    boxes = joined(heads(levels, 8, "box"), 2, 4)
    known = Known(names("class"), anchors=2)
    return model_of(image, ("logits", joined(parts, 2, CLASSES)), ("boxes", boxes)), known


def an_output_per_level(batch=1):
    """Logits [N, K, h, w] and boxes [N, 4, h, w] of each level are outputs."""
    image, levels = pyramid(batch)
    scores, boxes = heads(levels, CLASSES, "class", 50), heads(levels, 4, "box")
    outputs = [(f"class_{i}", x) for i, x in enumerate(scores)] + [(f"box_{i}", x) for i, x in enumerate(boxes)]
    return model_of(image, *outputs), Known(names("class"))


def anchors_per_level(batch=1):
    """Channels of each level count anchors and classes; those of the boxes tell how many anchors."""
    image, levels = pyramid(batch)
    scores, boxes = heads(levels, 3 * 7, "class", 50), heads(levels, 3 * 4, "box")
    outputs = [(f"class_{i}", x) for i, x in enumerate(scores)] + [(f"box_{i}", x) for i, x in enumerate(boxes)]
    known = Known(names("class"), anchors=3, classes=7, by_label=tuple(range(7)))
    return model_of(image, *outputs), known


def centerness_beside(batch=1):
    """Probabilities and an objectness in outputs of their own."""
    image, levels = pyramid(batch)
    boxes = ops.exp(joined(heads(levels, 4, "box"), 1, 4))
    scores = ops.sigmoid(joined(heads(levels, CLASSES, "class", 50), 1, CLASSES))
    sure = ops.sigmoid(joined(heads(levels, 1, "sure", 90), 1, 1))
    known = Known(names("class"), objectness_raw=names("sure"))
    return model_of(image, ("scores", scores), ("boxes", boxes), ("centerness", sure)), known


def selection_inside(batch=1, first_label=1):
    """Non-maximum suppression in the graph; label ids count from one."""
    image, levels = pyramid(batch)
    sides = ops.exp(joined(heads(levels, 4, "box"), 1, 4))
    corner = ops.concat([ops.constant(np.zeros((1, 60, 2), np.float32))], 2)
    boxes = ops.concat([corner, ops.slice(sides, ints(0), ints(2), ints(1), ints(2))], 2)
    scores = ops.sigmoid(joined(heads(levels, CLASSES, "class", 50), 1, CLASSES))
    best = ops.topk(ops.reshape(scores, ints(1, -1), True), ops.constant(np.int64(5)), 1, "max", "value", "i64")
    place = ops.divide(best.output(1), ops.constant(np.int64(CLASSES)))
    label = ops.add(ops.mod(best.output(1), ops.constant(np.int64(CLASSES))), ops.constant(np.int64(first_label)))
    chosen = ops.gather(boxes, ops.reshape(place, ints(-1), True), ops.constant(np.int64(1)))
    known = Known(names("class"), by_label=(*[None] * first_label, 0, 1, 2))
    return model_of(image, ("boxes", chosen), ("scores", best.output(0)), ("labels", label)), known


def detection_output(batch=1):
    """A DetectionOutput layer; label 0 is the background."""
    image, levels = pyramid(batch)
    boxes = ops.reshape(joined(heads(levels, 4, "box"), 1, 4), ints(0, -1), True)
    scores = ops.softmax(joined(heads(levels, CLASSES, "class", 50), 1, CLASSES), 2)
    places = sum(height * width for height, width in GRIDS)
    corners = np.random.default_rng(5).uniform(0, 0.5, (places, 2)).astype(np.float32)
    priors = np.concatenate([corners, corners + 0.4], 1).reshape(1, 1, -1)
    variances = np.full_like(priors, 0.1)
    attributes = {
        "background_label_id": 0,
        "top_k": 20,
        "keep_top_k": [10],
        "code_type": "caffe.PriorBoxParameter.CENTER_SIZE",
        "share_location": True,
        "nms_threshold": 0.5,
        "confidence_threshold": 0.01,
        "normalized": True,
    }
    found = opset8.detection_output(
        boxes,
        ops.reshape(scores, ints(0, -1), True),
        ops.constant(np.concatenate([priors, variances], 1)),
        attributes,
    )
    known = Known(names("class"), activation="softmax", by_label=(None, 1, 2))
    return model_of(image, ("detections", found)), known


def queries_from_places(batch=1):
    """The best places become queries of a decoder; the class scores of the places are logits."""
    image, levels = pyramid(batch)
    features = joined(levels, 1, 6)
    scores = ops.add(ops.matmul(features, weights(6, CLASSES, seed=70), False, False), weights(1, 1, CLASSES, seed=71))
    scores.set_friendly_name("encoder_scores")
    best = ops.topk(ops.reduce_max(scores, ints(2), False), ops.constant(np.int64(4)), 1, "max", "value", "i64")
    queries = ops.gather(features, ops.reshape(best.output(1), ints(-1), True), ops.constant(np.int64(1)))
    logits = ops.matmul(queries, weights(6, CLASSES, seed=72), False, False)
    boxes = ops.sigmoid(ops.matmul(queries, weights(6, 4, seed=73), False, False))
    return model_of(image, ("logits", logits), ("boxes", boxes)), Known(("encoder_scores",))


FORMS = {
    "columns_first": columns_first,
    "separate_outputs": separate_outputs,
    "four_classes": four_classes,
    "one_class_beside_key_points": one_class_beside_key_points,
    "own_objectness": own_objectness,
    "own_objectness_behind": partial(own_objectness, behind=True),
    "anchors_with_objectness": anchors_with_objectness,
    "softmax_with_background": softmax_with_background,
    "softmax_over_flattened_rows": partial(softmax_with_background, flattened=True),
    "softmax_whose_background_is_cut_off": softmax_whose_background_is_cut_off,
    "softmax_whose_background_is_cut_off_at_the_end": partial(softmax_whose_background_is_cut_off, at_the_end=True),
    "softmax_of_one_class": softmax_of_one_class,
    "flattened_softmax": flattened_softmax,
    "logits_of_shared_layers": logits_of_shared_layers,
    "an_output_per_level": an_output_per_level,
    "anchors_per_level": anchors_per_level,
    "centerness_beside": centerness_beside,
    "selection_inside": selection_inside,
    "detection_output": detection_output,
    "queries_from_places": queries_from_places,
}


def groups_of_classes(sizes=(1, 2, 2), boxes=True):
    """Return a detector with a layer and a sigmoid for each group of classes, beside boxes or in an output apart."""
    image, levels = pyramid()
    parts, beside = [], []
    for index, x in enumerate(levels):
        groups = [ops.sigmoid(head(x, size, f"group_{index}_{k}", 50 + 7 * k)) for k, size in enumerate(sizes)]
        box = head(x, 4, f"box_{index}", 10 + 20 * index)
        parts.append(rows(ops.concat([box, *groups] if boxes else groups, 1), 1, sum(sizes) + (4 if boxes else 0)))
        beside.append(rows(box, 1, 4))
    outputs = [("scores", ops.concat(parts, 1))]
    return model_of(image, *outputs, *([] if boxes else [("boxes", ops.concat(beside, 1))]))


def one_layer_per_place(columns=8):
    """Return a detector whose only layer per level gives a box and scores of one anchor, [N, P, columns]."""
    image, levels = pyramid()
    raw = joined(heads(levels, columns, "raw"), 1, columns)
    split = ops.variadic_split(raw, ops.constant(np.int64(2)), ints(4, columns - 4))
    table = ops.concat([split.output(0), ops.sigmoid(split.output(1))], 2)
    return model_of(image, ("output", table))


def two_anchors_in_logits():
    """Return a detector of two levels and two anchors with layers of its own per level, which ends in logits."""
    image, levels = pyramid()
    boxes = joined(heads(levels, 8, "box"), 2, 4)
    logits = joined(heads(levels, 2 * CLASSES, "class", 50), 2, CLASSES)
    return model_of(image, ("logits", logits), ("boxes", boxes))


def enlarged(x):
    """Return a picture of the size of the image."""
    return ops.interpolate(
        x, ints(*SIZE), "linear_onnx", "sizes", coordinate_transformation_mode="half_pixel", axes=ints(2, 3)
    )


def segmenter_with_auxiliary(classes=SEGMENTS, auxiliary=SEGMENTS, activation=None, resized=True):
    """Return a segmentation model with an auxiliary head on a coarser grid, "main" and "auxiliary" in the graph."""
    image, levels = pyramid()
    outputs = []
    for name, x, count, seed in (("main", levels[0], classes, 50), ("auxiliary", levels[1], auxiliary, 60)):
        scores = head(x, count, name, seed)
        values = ops.softmax(scores, 1) if activation == "softmax" else scores
        outputs.append((f"{name}_scores", enlarged(values) if resized else values))
    return model_of(image, *outputs)


def levels_of_sizes(*sizes, dynamic=False, coarsest_first=False, centerness=False, together=False):
    """Return a detector with an output per level, "class_0" and so on, and boxes, all [N, C, h, w].

    Args:
        sizes: (height, width) of each level, the first of which an image of four times the size has; finest first.
        dynamic: leave height and width of the image open.
        coarsest_first: give the levels in the opposite order.
        centerness: give an objectness of each level too, "sure_0" and so on.
        together: give the rows of all levels as one output, [N, P, C].
    """
    height, width = sizes[0]
    image = ops.parameter([1, 3, *((-1, -1) if dynamic else (4 * height, 4 * width))], np.float32, name="image")
    image.output(0).set_names({"image"})
    levels = [ops.relu(ops.convolution(image, weights(6, 3, 4, 4, scale=0.2), [4, 4], [0, 0], [0, 0], [1, 1]))]
    for index in range(1, len(sizes)):
        kernel = weights(6, 6, 2, 2, seed=index)
        levels.append(ops.relu(ops.convolution(levels[-1], kernel, [2, 2], [0, 0], [0, 0], [1, 1])))
    made = list(zip(heads(levels, CLASSES, "class", 50), heads(levels, 4, "box"), strict=True))
    order = made[::-1] if coarsest_first else made
    if together:
        scored, boxed = zip(*order, strict=True)
        classes = ops.sigmoid(joined(scored, 1, CLASSES))
        return model_of(image, ("classes", classes), ("boxes", joined(boxed, 1, 4)))
    scores = [(f"class_{index}", ops.sigmoid(score)) for index, (score, _) in enumerate(order)]
    if centerness:
        scores += [(f"sure_{index}", ops.sigmoid(x)) for index, x in enumerate(heads(levels, 1, "sure", 90))]
    return model_of(image, *scores, *((f"box_{index}", box) for index, (_, box) in enumerate(order)))


def with_distributions(boxes, classes, apart=True):
    """Return a detector that ends in logits of boxes and classes, [N, P, boxes + classes] or the other way round.

    Args:
        boxes: columns of the boxes.
        classes: columns of the classes.
        apart: boxes, of layers of their own, come first; else one layer gives the classes and the boxes behind them.
    """
    image, levels = pyramid()
    if not apart:
        return model_of(image, ("output", joined(heads(levels, classes + boxes, "raw"), 1, classes + boxes)))
    pairs = zip(heads(levels, boxes, "box"), heads(levels, classes, "class", 50), strict=True)
    return model_of(image, ("output", joined([ops.concat(list(pair), 1) for pair in pairs], 1, boxes + classes)))


def maps_beside(*columns, activations=()):
    """Return a model with outputs [N, C, h, w] of one grid, "map_0" and so on, some with a sigmoid."""
    image, levels = pyramid()
    outputs = []
    for index, count in enumerate(columns):
        values = head(levels[0], count, f"raw_{index}", 50 + 7 * index)
        outputs.append((f"map_{index}", ops.sigmoid(values) if index in activations else values))
    return model_of(image, *outputs)


def segmenter(activation=None, classes=SEGMENTS, resized=False, ids=False):
    """Return a segmentation model: scores [N, K, h, w] named "scores" in the graph."""
    image, levels = pyramid()
    scores = head(levels[0], classes, "scores", 50)
    values = scores
    if activation == "softmax":
        values = ops.softmax(values, 1)
    if activation == "sigmoid":
        values = ops.sigmoid(values)
    if resized:
        values = enlarged(values)
    if ids:
        values = ops.topk(values, ops.constant(np.int64(1)), 1, "max", "none", "i64").output(1)
    return model_of(image, ("segmentation", values))
