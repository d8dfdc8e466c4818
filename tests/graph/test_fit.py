"""A manifest that does not speak of its model is refused before anything is read by it."""

from dataclasses import replace

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import ModelReadError, Session, UnsupportedModelError, insert, inspect, read_manifest
from ov_xai.graph.fit import require_fit
from ov_xai.graph.manifest import RT_INFO_PATH, write_manifest
from ov_xai.graph.readout import Columns, Readout, SegmentReadout
from tests.detectors import FORMS, segmenter
from tests.models import classifier, dense, model_of


@pytest.fixture(scope="module")
def patched():
    """Return a patched classifier, detector and segmentation model."""
    return {
        "classifier": insert(classifier("mean")),
        "detector": insert(FORMS["separate_outputs"]()[0]),
        "segmenter": insert(segmenter("softmax")),
    }


@pytest.mark.parametrize("kind", ["classifier", "detector", "segmenter"])
def test_what_was_inserted_fits(patched, kind):
    require_fit(patched[kind], read_manifest(patched[kind]))


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("classifier", {"score_output": 1}, "output 1 of 1"),
        ("classifier", {"classes": 6}, "5 maps for 6 classes"),
        ("classifier", {"top_k": 5}, "saliency_classes"),
        ("classifier", {"score": None}, "maps per image"),
        ("detector", {"unused_classes": [3]}, "not among the 3"),
        ("detector", {"readout": Readout(False)}, "no scores"),
        ("detector", {"readout": Readout(True, [Columns(0)])}, "no scores or labels"),
        ("detector", {"readout": Readout(False, [Columns(9)])}, "output 9"),
        ("detector", {"readout": Readout(False, [Columns(0, -1, 0, 99)])}, "columns 0 to 99"),
        ("detector", {"readout": Readout(False, [Columns(0, -9, 0, 1)])}, "axis -9"),
        ("detector", {"readout": Readout(False, [Columns(0)], Columns(0, -1, 0, 3))}, "3 columns"),
        ("segmenter", {"segments": SegmentReadout(9, 1, 0)}, "output 9"),
        ("segmenter", {"segments": SegmentReadout(0, 4, 0)}, "axes 4 and 0"),
        ("segmenter", {"segments": SegmentReadout(0, 2, 0)}, "6 scores for 5 classes"),
    ],
)
def test_what_is_not_there_is_named(patched, kind, changes, said):
    model = patched[kind].clone()
    manifest = replace(read_manifest(model), **changes)
    with pytest.raises(ModelReadError, match=said):
        require_fit(model, manifest)
    write_manifest(model, manifest)
    with pytest.raises(ModelReadError, match=said):
        Session(model)


@pytest.mark.parametrize("text", ["", "[", "[" * 100000, "null", "{}", '{"schema": 2}', '{"schema": "1"}'])
def test_a_manifest_that_is_none_is_refused(patched, text):
    model = patched["classifier"].clone()
    model.set_rt_info(text, RT_INFO_PATH)
    with pytest.raises(ModelReadError, match="expected schema 1"):
        read_manifest(model)


def test_a_tensor_that_no_machine_holds_is_refused():
    image = ops.parameter([1, 3, 1 << 16, 1 << 16], np.float32)
    pooled = ops.reduce_mean(image, ops.constant(np.array([2, 3], np.int64)), False)
    model = model_of(image, dense(pooled, 3, 5))
    assert "1073741824 elements" in inspect(model).refusal.reason
    with pytest.raises(UnsupportedModelError, match="1073741824 elements"):
        insert(model)


def test_names_that_are_no_text_are_refused(tmp_path):
    ov.save_model(classifier("mean"), tmp_path / "m.xml")
    path = tmp_path / "m.xml"
    path.write_bytes(path.read_bytes().replace(b'name="target"', b'name="t\xe9rget"'))
    with pytest.raises(ModelReadError, match="utf-8"):
        inspect(path)
