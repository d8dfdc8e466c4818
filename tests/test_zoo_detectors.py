"""Every exported detector: maps from its own class scores, unchanged predictions, the same bytes each time."""

from dataclasses import dataclass

import numpy as np
import openvino as ov
import pytest

from ov_xai import Method, Normalise, insert, read_manifest, save
from ov_xai.graph.io import read_model
from ov_xai.graph.trial import sample_inputs
from tests.conftest import zoo_folder
from tests.helpers import PRECISIONS, assert_maps_equal, output, run
from tests.reference.class_maps import class_maps

pytestmark = pytest.mark.zoo


@dataclass(frozen=True)
class Expected:
    """What a detector is known to be.

    Attributes:
        grids: of the pyramid levels, finest first.
        classes: number of label ids.
        scores: output with the scores by index, or the type of the last op that holds them.
        anchors: per place, innermost in the rows.
        first: first column of the classes.
        objectness: column of an objectness.
        columns_first: whether columns stand before the places.
        activation: of the numbers in the tensor.
        unused: label ids without a class.
    """

    grids: tuple[int, ...]
    classes: int
    scores: int | str = 0
    anchors: tuple[int, ...] = ()
    first: int = 0
    objectness: int | None = None
    columns_first: bool = False
    activation: str = "none"
    unused: tuple[int, ...] = ()


YOLO = Expected((80, 40, 20), 80, first=4, columns_first=True)
SSD = Expected((20, 10, 5, 3, 2, 1), 21, 1, (6,) * 6, activation="softmax", unused=(0,))
DETECTORS = {
    "yolov8n": YOLO,
    "yolov8n_onnx": YOLO,
    "yolov8n_int8": YOLO,
    "yolov5n": YOLO,
    "yolox_nano": Expected((52, 26, 13), 80, first=5, objectness=4),
    "ssdlite320_mbv3": SSD,
    "ssdlite320_full": Expected(SSD.grids, 21, "Softmax", SSD.anchors, unused=(0,)),
    "retinanet_r50_fpn_v2": Expected((52, 26, 13, 7, 4), 21, 1, (9,) * 5, activation="sigmoid"),
    "rtdetr-resnet50": Expected((80, 40, 20), 80, "encoder", activation="sigmoid"),
    "nanodet_g": Expected((52, 26, 13), 80, 1),
    "pedestrian_ssdlite_mbv2": Expected((19, 10, 5, 3, 2, 1), 2, "Sigmoid", (3, 6, 6, 6, 6, 6), unused=(0,)),
}


@pytest.fixture
def path_of(zoo):
    """Return a function that gives the path of a detector, from the zoo or among the trained models beside it."""

    def path(name):
        trained = zoo_folder().parent / "models" / f"{name}.xml"
        return trained if trained.exists() else zoo(name)

    return path


def table(model, expected, inputs):
    """Return the tensor with the scores, [N, P, C] of the plain model."""
    if isinstance(expected.scores, int):
        values = run(model, inputs)[expected.scores]
    else:
        clone = model.clone()
        places = sum(side * side * count for side, count in zip(expected.grids, counts(expected), strict=True))
        wanted = [
            node
            for node in clone.get_ordered_ops()
            if (expected.scores in (node.get_type_name(), "encoder"))
            and node.get_output_size()
            and list(node.get_output_partial_shape(0)) == [1, places, expected.classes]
        ]
        clone.add_results([ov.opset13.result(wanted[-1].output(0))])
        values = run(clone, inputs)[-1]
    return values.transpose(0, 2, 1) if expected.columns_first else values


def counts(expected):
    return expected.anchors or (1,) * len(expected.grids)


def reference(model, expected, inputs, level):
    values, start, levels = table(model, expected, inputs).astype(np.float64), 0, []
    if expected.activation == "softmax":
        shifted = np.exp(values - values.max(axis=2, keepdims=True))
        values = shifted / shifted.sum(axis=2, keepdims=True)
    if expected.activation == "sigmoid":
        values = np.exp(-np.logaddexp(0, -values))
    for side, anchors in zip(expected.grids, counts(expected), strict=True):
        part = values[:, start : start + side * side * anchors]
        start += part.shape[1]
        apart = part.reshape(len(part), side, side, anchors, -1).transpose(0, 3, 4, 1, 2)
        scores = apart[:, :, expected.first :]
        levels.append(scores if expected.objectness is None else scores * apart[:, :, [expected.objectness]])
    assert start == values.shape[1]
    maps = class_maps(levels, "none", "mean", level)
    maps[:, list(expected.unused)] = 0
    return maps


@pytest.mark.parametrize("name", DETECTORS)
def test_detector(name, path_of, tmp_path):
    path, expected = path_of(name), DETECTORS[name]
    model = read_model(path)
    inputs = sample_inputs(model)
    middle = len(expected.grids) // 2
    patched = insert(model, normalise=Normalise.NONE, map_level="middle")
    assert_maps_equal(output(patched, inputs), reference(model, expected, inputs, middle), rounding=1e-5)
    manifest = read_manifest(patched)
    assert manifest.levels == [[side, side] for side in expected.grids]
    assert (manifest.classes, tuple(manifest.unused_classes)) == (expected.classes, expected.unused)
    assert manifest.exact_outputs
    shipped = [insert(model, self_check=False), insert(model, method=Method.EIGEN_CAM, self_check=False)]
    for config in PRECISIONS:
        before = run(model, inputs, config)
        for other in shipped:
            for old, new in zip(before, run(other, inputs, config), strict=False):
                assert old.tobytes() == new.tobytes()
    save(shipped[0], tmp_path / "one.xml")
    save(insert(model, self_check=False), tmp_path / "two.xml")
    assert (tmp_path / "one.xml").read_bytes() == (tmp_path / "two.xml").read_bytes()
    ov.save_model(model, tmp_path / "plain.xml", compress_to_fp16=False)
    growth = (tmp_path / "one.bin").stat().st_size - (tmp_path / "plain.bin").stat().st_size
    assert growth <= 64 * 1024
