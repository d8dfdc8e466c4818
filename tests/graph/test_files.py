"""The files that a model consists of, and their hash."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ov_xai.errors import ModelReadError
from ov_xai.graph.files import model_files
from ov_xai.graph.io import read_model, source_digest


def onnx_with_external_data(folder, weights_name):
    """Write an ONNX model whose weights are in a file of their own."""
    weights = numpy_helper.from_array(np.ones((3, 2), np.float32), "weights")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weights"], ["y"])],
        "model",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        [weights],
    )
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph), path, save_as_external_data=True, location=weights_name, size_threshold=0)
    return path


@pytest.mark.parametrize("name", ["weights.data", "w" * 200])
def test_weights_of_onnx_outside_the_file_count(tmp_path, name):
    path = onnx_with_external_data(tmp_path, name)
    assert model_files(path) == [path, tmp_path / name]
    before = source_digest(path)
    (tmp_path / name).write_bytes(np.zeros((3, 2), np.float32).tobytes())
    assert source_digest(path) != before


def test_weights_that_are_missing_are_named(tmp_path):
    path = onnx_with_external_data(tmp_path, "weights.data")
    (tmp_path / "weights.data").unlink()
    with pytest.raises(ModelReadError, match=r"weights\.data' of 'model\.onnx' are missing"):
        read_model(path)


@pytest.mark.parametrize(("model", "weights"), [("m.xml", "m.bin"), ("m.pdmodel", "m.pdiparams")])
def test_weights_beside_a_model_count(tmp_path, model, weights):
    (tmp_path / model).write_text("graph")
    assert model_files(tmp_path / model) == [tmp_path / model]
    (tmp_path / weights).write_bytes(b"weights")
    assert model_files(tmp_path / model) == [tmp_path / model, tmp_path / weights]


def test_all_files_of_a_folder_count(tmp_path):
    (tmp_path / "variables").mkdir()
    for name in ("saved_model.pb", "variables/variables.index"):
        (tmp_path / name).write_text(name)
    assert model_files(tmp_path) == [tmp_path / "saved_model.pb", tmp_path / "variables" / "variables.index"]
