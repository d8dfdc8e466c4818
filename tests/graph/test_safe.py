"""A model that is not trusted is tried in a process of its own."""

import os

import numpy as np
import openvino as ov
import pytest

from ov_xai import EvaluationOptions, ModelReadError, Session, check, evaluate, insert, inspect, quantize, remove
from ov_xai.graph import safe
from ov_xai.graph.safe import try_model
from tests.fuzz.dying import SITE
from tests.models import classifier


@pytest.fixture
def model(tmp_path):
    ov.save_model(classifier("mean"), tmp_path / "model.xml", compress_to_fp16=False)
    return tmp_path / "model.xml"


def test_a_good_model_passes(model):
    try_model(model)
    assert len(insert(model, safe=True).outputs) == 2


def test_what_openvino_merely_refuses_passes_the_trial(tmp_path):
    (tmp_path / "model.xml").write_text("<net>")
    try_model(tmp_path / "model.xml")


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
def test_a_crash_is_an_error(model, monkeypatch, name):
    monkeypatch.setenv("PYTHONPATH", str(SITE), prepend=os.pathsep)
    monkeypatch.setenv("DIE_SIGNAL", name)
    monkeypatch.setenv("DIE_ON", "openvino")
    with pytest.raises(ModelReadError, match=rf"crashes on .*model\.xml': {name}"):
        try_model(model)


def test_a_trial_without_end_is_stopped(model):
    with pytest.raises(ModelReadError, match=r"stopped after 0\.01 seconds"):
        try_model(model, seconds=0.01)


def test_a_trial_that_takes_too_much_memory_is_stopped(tmp_path):
    image = ov.opset13.parameter([1, 3, 20000, 20000], np.float32)
    ov.save_model(ov.Model([ov.opset13.relu(image)], [image]), tmp_path / "model.xml")
    with pytest.raises(ModelReadError, match=r"takes more than 1\.0 GiB of memory"):
        try_model(tmp_path / "model.xml", memory=1 << 30)


def _checked(model, safe):
    check(model, model, safe=safe)


def _evaluated(model, safe):
    evaluate(model, model.parent, options=EvaluationOptions(safe=safe))


def _quantized(model, safe):
    quantize(model, model.parent, safe=safe)


@pytest.mark.parametrize("call", [insert, inspect, remove, Session, _checked, _evaluated, _quantized])
def test_every_reader_tries_first(model, monkeypatch, call):
    def refuse(path):
        raise ModelReadError(f"{path.name} was tried")

    monkeypatch.setattr("ov_xai.graph.io.try_model", refuse)
    with pytest.raises(ModelReadError, match=r"model\.xml was tried"):
        call(model, safe=True)


@pytest.mark.parametrize(("memory", "limit"), [(1 << 30, 2 << 30), (4 << 30, 2 << 30), (64 << 30, 32 << 30)])
def test_the_limit_is_half_of_the_memory_and_at_least_two_gib(monkeypatch, memory, limit):
    known = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": memory // 4096}
    monkeypatch.setattr(os, "sysconf", known.__getitem__)
    assert safe._half_of_memory() == limit


def test_the_limit_of_a_system_that_does_not_tell_its_memory(monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    assert safe._half_of_memory() == 2 << 30


def test_a_module_beside_the_model_is_not_imported(model, monkeypatch):
    """The folder of an untrusted model may hold a file named like a package."""
    (model.parent / "numpy.py").write_text("import os; os._exit(7)")
    monkeypatch.chdir(model.parent)
    try_model(model)
