"""Replacing an IR: between any two steps the pair on disk is the old model or the new one."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import insert
from ov_xai.graph import exchange
from tests.helpers import run
from tests.models import classifier, random_image


def small():
    """Return a model with weights of several types, among them sub-byte ones and text-like names."""
    image = ops.parameter([1, 3, 8, 10], np.float32, name='image" type="Const" offset="7')
    image.output(0).set_names({"image"})
    sums = ops.reduce_sum(image, ops.constant(np.array([2, 3], np.int64)), False)
    halves = ops.convert(ops.constant(np.arange(15, dtype=np.float16).reshape(3, 5)), "f32")
    nibbles = ops.convert(ops.constant(np.arange(5, dtype=np.uint8), ov.Type.u4), "f32")
    return ov.Model([ops.add(ops.matmul(sums, halves, False, False), nibbles)], [image], "small")


MODELS = {
    "mean": lambda: classifier("mean"),
    "patched": lambda: insert(classifier("mean")),
    "flatten": lambda: classifier("flatten"),
    "small": small,
}


def outputs(path):
    return [item.tobytes() for item in run(ov.Core().read_model(path), [random_image()])]


@pytest.mark.parametrize("old", MODELS)
@pytest.mark.parametrize("new", MODELS)
def test_every_step_leaves_a_whole_model(tmp_path, monkeypatch, old, new):
    scratch, path = tmp_path / "scratch", tmp_path / "model.xml"
    scratch.mkdir()
    for model, place in ((old, path), (new, scratch / "model.xml")):
        ov.save_model(MODELS[model](), place, compress_to_fp16=False)
    expected = {"old": outputs(path), "new": outputs(scratch / "model.xml")}
    fresh = [(scratch / name).read_bytes() for name in ("model.xml", "model.bin")]
    seen = []

    def replace(source, target):
        source.rename(target)
        seen.append("old" if outputs(path) == expected["old"] else "new")
        assert outputs(path) == expected[seen[-1]]

    monkeypatch.setattr(exchange.os, "replace", replace)
    exchange.exchange(scratch / "model.xml", path)
    assert [path.read_bytes(), path.with_suffix(".bin").read_bytes()] == fresh
    assert seen == (["old"] * 5 if old == new else ["old", "new", "new", "new", "new"])


def test_a_new_pair_comes_weights_first(tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    ov.save_model(classifier("mean"), tmp_path / "scratch" / "model.xml")
    seen = []
    monkeypatch.setattr(exchange.os, "replace", lambda _, target: seen.append(target.name))
    exchange.exchange(tmp_path / "scratch" / "model.xml", tmp_path / "out.xml")
    assert seen == ["out.bin", "out.xml"]


def test_a_disk_that_gets_full_changes_nothing(tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    for place in (tmp_path / "model.xml", tmp_path / "scratch" / "model.xml"):
        ov.save_model(classifier("mean"), place)
    before = [(tmp_path / name).read_bytes() for name in ("model.xml", "model.bin")]

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exchange.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space"):
        exchange.exchange(tmp_path / "scratch" / "model.xml", tmp_path / "model.xml")
    assert [(tmp_path / name).read_bytes() for name in ("model.xml", "model.bin")] == before
