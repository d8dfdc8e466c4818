"""ONNX files with faults."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tests.fuzz import mutations
from tests.fuzz.bench import check, run_orderly, short_and_long

HUGE = [0, 1, 2, 3, 5, -1, 10**6, 2**31, 2**62]


def network():
    """Return a small classifier: convolution, pooling, flatten."""
    weights = np.random.default_rng(0).standard_normal((5, 3, 2, 2)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["features"], name="features"),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 10])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 5])],
        [helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.tobytes(), raw=True)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def a_shape(random, model):
    shape = random.choice([*model.graph.input, *model.graph.output]).type.tensor_type.shape
    random.choice(shape.dim).dim_value = random.choice(HUGE)


def weight_dims(random, model):
    weights = model.graph.initializer[0]
    weights.dims[random.randrange(4)] = random.choice(HUGE)


def weight_type(random, model):
    model.graph.initializer[0].data_type = random.choice([0, 2, 3, 7, 8, 10, 11, 14, 16, 99])


def the_opset(random, model):
    model.opset_import[0].version = random.choice([0, -1, 1, 6, 25, 99, 2**40])
    model.opset_import[0].domain = random.choice(["", "ai.onnx.ml", "unknown"])


def an_op(random, model):
    random.choice(model.graph.node).op_type = random.choice(["", "Relu", "Loop", "If", "Unknown", "NonZero", "Conv"])


def wires(random, model):
    random.choice(model.graph.node).input[0] = random.choice(["image", "features", "pooled", "logits", "w", "", "none"])


def an_attribute(random, model):
    node = random.choice(model.graph.node)
    name = random.choice(["strides", "pads", "dilations", "group", "kernel_shape", "axis", "auto_pad"])
    value = random.choice([HUGE, [2**62] * 2, [0, 0], -7, 2**62, 0, "", "SAME_UPPER", 1.5])
    node.attribute.append(helper.make_attribute(name, value))


def weights_elsewhere(random, model):
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    place = random.choice(["/etc/passwd", "../../../../etc/passwd", "none.bin", "", ".", "/dev/zero", "m.onnx", "a\nb"])
    for key, value in {
        "location": place,
        "offset": random.choice(["0", "-1", "7", "99999999999999999999", "x"]),
        "length": random.choice(["240", "0", "-1", "99999999999", "x"]),
    }.items():
        entry = weights.external_data.add()
        entry.key, entry.value = key, value


FAULTS = [a_shape, weight_dims, weight_type, the_opset, an_op, wires, an_attribute, weights_elsewhere]


@short_and_long(12, 300)
def test_a_spoilt_network_is_read_or_refused(worker, photo, cases):
    verbs = ["inspect m.onnx", "insert m.onnx", "remove m.onnx", f"explain -m m.onnx -i {photo} -o out"]

    @check(cases, random=st.randoms(use_true_random=False), verb=st.sampled_from(verbs))
    def _(random, verb):
        model = network()
        if random.random() < 0.8:
            random.choice(FAULTS)(random, model)
        data = model.SerializeToString()
        if random.random() < 0.3:
            data = mutations.spoilt_bytes(random, data)
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "m.onnx").write_bytes(data)
            run_orderly(worker, verb.split(), name)


@pytest.mark.parametrize("place", ["/etc/passwd", "../secret.bin"])
def test_weights_outside_the_folder_are_not_read(worker, tmp_path, place):
    """An ONNX file must not carry what other files of the machine hold into the result."""
    (tmp_path / "secret.bin").write_bytes(bytes(4096))
    model = network()
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": place, "offset": "0", "length": "240"}.items():
        weights.external_data.add(key=key, value=value)
    (tmp_path / "models").mkdir()
    onnx.save(model, tmp_path / "models" / "m.onnx")
    outcome = run_orderly(worker, ["insert", "m.onnx"], tmp_path / "models")
    assert outcome.code == 3, outcome.out
