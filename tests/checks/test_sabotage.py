"""Every check fails on a model that is wrong in its way, and only checks that must: honest models pass them all."""

import cv2
import numpy as np
import openvino as ov
import pytest
from openvino.preprocess import PrePostProcessor

from ov_xai import CheckOptions, check, insert, save
from ov_xai.checks import CATALOGUE, Outcome, cost, outputs
from ov_xai.checks.by_turns import latencies
from ov_xai.checks.subject import Runner, Subject
from tests import detectors
from tests.checks import sabotage as wrong
from tests.helpers import F32
from tests.models import CLASSES, CLOSED_FORM, backbone, classifier, model_of

#: What every test but its own leaves out: seconds of measuring each.
COST = ("CST",)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return a folder of two pictures."""
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(2):
        values = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{seed}.png"), values)
    return folder


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Return a function that writes an original and its patched copy, once per request, and reads the latter."""
    folder, made = tmp_path_factory.mktemp("models"), {}
    originals = {"classifier": lambda: classifier("two_dense"), "detector": lambda: detectors.columns_first()[0]}

    def pair(kind, **request):
        key = f"{kind}_{'_'.join(f'{name}={value}' for name, value in request.items())}"
        path = folder / f"{kind}.xml"
        if not path.exists():
            model = originals[kind]()
            model.set_rt_info("0 0 0", ["model_info", "mean_values"])
            save(model, path)
        if key not in made:
            made[key] = insert(path, **request)
        return path, made[key]

    return pair


def verdict_of(original, patched, folder, **options):
    """Write a patched model and check it."""
    path = folder / "patched.xml"
    save(patched, path)
    return check(original, path, **{"skip": COST, **options})


REQUESTS = [
    {},
    {"top_k": 2, "feature_vector": True},
    {"method": "activation-map"},
    {"method": "eigen-cam"},
    {"normalise": "none"},
    {"normalise": "none", "method": "eigen-cam", "feature_vector": True},
    {"normalise": "none", "top_k": 2},
]


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
@pytest.mark.parametrize("kind", ["classifier", "detector"])
@pytest.mark.parametrize("with_data", [False, True])
def test_an_honest_model_passes(make, photos, tmp_path, kind, request_, with_data):
    original, patched = make(kind, **request_)
    verdict = verdict_of(original, patched, tmp_path, data=photos if with_data else None)
    assert verdict.ok, details(verdict)
    assert "PER001" in verdict.of(Outcome.PASSED)


def passes(original, patched, **options):
    verdict = check(original, patched, skip=COST, **options)
    assert verdict.ok, details(verdict)
    assert "PER001" in verdict.of(Outcome.PASSED), details(verdict)
    return verdict


def test_a_detector_with_the_maps_of_otx_passes(make):
    passes(*make("detector", compat="otx"))


def test_models_in_memory_pass():
    original = classifier("mean")
    verdict = passes(original, insert(original))
    assert verdict.original == verdict.patched == "model in memory"


def test_the_original_of_a_patched_model_in_memory_may_be_a_file(make):
    original, patched = make("classifier")
    assert "MAN003" in passes(original, patched).of(Outcome.PASSED)
    other = wrong.broken(patched, wrong.manifest_of_another_file)
    assert "MAN003" in passes(ov.Core().read_model(original), other).of(Outcome.SKIPPED)


@pytest.mark.parametrize("batch", [-1, 3])
@pytest.mark.parametrize("kind", ["classifier", "detector"])
def test_batches_pass(tmp_path, kind, batch):
    model = classifier("two_dense", batch) if kind == "classifier" else detectors.columns_first(batch)[0]
    save(model, tmp_path / "original.xml")
    save(insert(tmp_path / "original.xml"), tmp_path / "patched.xml")
    found = passes(tmp_path / "original.xml", tmp_path / "patched.xml")
    expected = Outcome.SKIPPED if (kind, batch) == ("detector", 3) else Outcome.PASSED  # shapes of boxes are fixed
    assert "CNS003" in found.of(expected), details(found)


def test_dynamic_sizes_pass(tmp_path):
    image, features = backbone()
    model = model_of(image, CLOSED_FORM["mean"](features))
    model.reshape([1, 3, -1, -1])
    save(model, tmp_path / "original.xml")
    save(insert(tmp_path / "original.xml"), tmp_path / "patched.xml")
    passes(tmp_path / "original.xml", tmp_path / "patched.xml")


def test_embedded_preprocessing_passes(tmp_path, photos):
    steps = PrePostProcessor(classifier("mean"))
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    save(steps.build(), tmp_path / "original.xml")
    save(insert(tmp_path / "original.xml"), tmp_path / "patched.xml")
    passes(tmp_path / "original.xml", tmp_path / "patched.xml", data=photos)


def test_half_precision_weights_pass(tmp_path):
    ov.save_model(classifier("two_dense"), tmp_path / "original.xml", compress_to_fp16=True)
    save(insert(tmp_path / "original.xml"), tmp_path / "patched.xml")
    assert "SAN001" in passes(tmp_path / "original.xml", tmp_path / "patched.xml").of(Outcome.PASSED)


RAW, TOP, VECTOR = {"normalise": "none"}, {"top_k": 2}, {"feature_vector": True}
EIGEN = {"method": "eigen-cam"}
#: kind, request, sabotage, the checks that must fail: all that can see it, and no other.
CASES = [
    ("classifier", {}, wrong.without_manifest, "MAN001"),
    ("classifier", {}, wrong.manifest_of_a_later_schema, "MAN001"),
    ("classifier", {}, wrong.manifest_of_another_grid, "MAN002 PER001 SAN001"),
    ("detector", {}, wrong.manifest_of_another_grid, "MAN002 PER001 SAN001"),
    ("classifier", {}, wrong.manifest_of_an_unknown_target, "MAN002 PER001 SAN001"),
    ("detector", {}, wrong.manifest_of_an_unknown_target, "MAN002 PER001 SAN001"),
    ("classifier", {}, wrong.manifest_of_an_earlier_layer, "MAN002 PER001 SAN001"),
    ("classifier", EIGEN, wrong.manifest_of_an_earlier_layer, "MAN002 PER001"),
    ("classifier", EIGEN, wrong.manifest_of_other_classes, "MAN002"),
    ("classifier", {}, wrong.manifest_of_other_classes, "MAN002 CON004"),
    ("classifier", {}, wrong.lie(task="detection"), "MAN002 PER001 SAN001"),
    ("detector", {}, wrong.lie(task="classification"), "MAN002 PER001 SAN001"),
    ("classifier", {}, wrong.lie(score_output=1), "MAN002 PER001 SAN001"),
    ("classifier", {}, wrong.lie(activation="softmax"), "MAN002"),
    ("classifier", {}, wrong.lie(kept_tokens=4), "MAN002"),
    ("classifier", {}, wrong.lie(strategy="mosaic"), "MAN002"),
    ("classifier", {}, wrong.lie(strategy_reason="an op"), "MAN002"),
    ("classifier", {}, wrong.lie(exact_outputs=False), "MAN002"),
    ("detector", {}, wrong.lie(exact_outputs=False), "MAN002"),
    ("classifier", {}, wrong.lie(rounded=False), "MAN002"),
    ("classifier", {}, wrong.lie(shared=["a layer"]), "MAN002"),
    ("detector", {}, wrong.lie(unused_classes=[1]), "MAN002"),
    ("detector", {}, wrong.lie(readout=None), "MAN002"),
    ("detector", {}, wrong.lie(levels=[[9, 9]]), "MAN002"),
    ("classifier", {}, wrong.manifest_of_another_file, "MAN003"),
    ("classifier", {}, wrong.renamed_input, "OUT001"),
    ("classifier", {}, wrong.renamed_output, "OUT002"),
    ("detector", {}, wrong.renamed_output, "OUT002"),
    ("classifier", {}, wrong.output_of_another_type, "OUT003"),
    ("classifier", {}, wrong.slightly_other_output, "OUT004"),
    ("detector", {}, wrong.slightly_other_output, "OUT004"),
    ("classifier", {}, wrong.second_name_of_the_map, "CON001 CON002"),
    ("classifier", {}, wrong.one_more_output, "CON002"),
    ("classifier", {}, wrong.map_of_another_type, "CON003"),
    ("detector", {}, wrong.map_of_another_type, "CON003"),
    ("detector", {}, wrong.map_without_its_last_class, "CON004 PER001"),
    ("classifier", TOP, wrong.classes_of_another_type, "CON005"),
    ("classifier", VECTOR, wrong.vector_of_another_rank, "CON006"),
    ("classifier", RAW, wrong.map_out_of_a_softmax, "CON007 PER001"),
    ("classifier", {}, wrong.half_as_bright_maps, "CON008 PER001"),
    ("detector", {}, wrong.half_as_bright_maps, "CON008 PER001"),
    ("classifier", {}, wrong.node_of_another_name, "CON009"),
    ("classifier", {}, wrong.copied_weights, "CON010"),
    ("classifier", {}, wrong.dropped_rt_info, "CON011"),
    ("classifier", RAW, wrong.nan_map, "MAP001 PER001"),
    ("detector", RAW, wrong.nan_map, "MAP001 PER001"),
    ("classifier", {}, wrong.constant_map, "MAN002 MAP002 PER001 CNS003 SAN001"),
    ("classifier", EIGEN, wrong.constant_map, "MAN002 MAP002 PER001 CNS003"),
    ("detector", {}, wrong.constant_map, "MAN002 MAP002 PER001 CNS003 SAN001"),
    ("classifier", {}, wrong.class_independent_map, "MAP003 PER001"),
    ("detector", RAW, wrong.class_independent_map, "MAP003 PER001"),
    ("classifier", {}, wrong.random_map, "MAN002 MAP004 PER001 CNS003 SAN001"),
    ("classifier", EIGEN, wrong.random_map, "MAN002 MAP004 PER001 CNS003"),
    ("detector", {}, wrong.random_map, "MAN002 MAP004 PER001 CNS003 SAN001"),
    ("classifier", TOP, wrong.classes_from_zero, "MAP005 PER001 CNS003"),
    ("detector", TOP, wrong.classes_from_zero, "PER001"),
    ("classifier", {}, wrong.shifted_map, "PER001"),
    ("classifier", RAW, wrong.shifted_map, "PER001"),
    ("classifier", EIGEN, wrong.shifted_map, "PER001"),
    ("classifier", {"method": "activation-map"}, wrong.shifted_map, "PER001"),
    ("detector", {}, wrong.shifted_map, "PER001"),
    ("detector", RAW, wrong.shifted_map, "PER001"),
    ("classifier", {}, wrong.flipped_map, "PER001"),
    ("classifier", VECTOR, wrong.doubled_vector, "VEC001"),
    ("detector", VECTOR, wrong.doubled_vector, "VEC001"),
    ("classifier", {}, wrong.map_of_another_image, "CNS003"),
    ("classifier", RAW, wrong.map_scaled_over_the_batch, "CNS003"),
    ("classifier", {}, wrong.head_of_its_own, "SAN001"),
    ("classifier", TOP, wrong.head_of_its_own, "SAN001"),
]


@pytest.mark.parametrize(
    ("kind", "request_", "sabotage", "codes"), CASES, ids=[f"{case[3]}-{case[0]}-{case[2].__name__}" for case in CASES]
)
def test_a_wrong_model_fails_the_checks_that_see_it(make, tmp_path, kind, request_, sabotage, codes):
    original, patched = make(kind, **request_)
    verdict = verdict_of(original, wrong.broken(patched, sabotage), tmp_path)
    assert verdict.of(Outcome.FAILED) == tuple(codes.split()), details(verdict)
    assert not verdict.of(Outcome.ERROR), details(verdict)


def details(verdict):
    return [f"{item.code} {item.outcome.value}: {item.finding}" for item in verdict.results if item.outcome != "passed"]


def test_every_check_is_seen_to_fail():
    own = {"OUT005", "CNS001", "CNS002", "CST001", "CST002", "QLT001"}  # below, and in test_quality
    seen = {code for case in CASES for code in case[3].split()}
    assert seen | own == {item.code for item in CATALOGUE}


def test_reordered_outputs(tmp_path):
    model, _ = detectors.separate_outputs()
    save(model, tmp_path / "original.xml")
    patched = insert(tmp_path / "original.xml")
    found = verdict_of(tmp_path / "original.xml", wrong.broken(patched, wrong.reordered_outputs), tmp_path)
    assert found.of(Outcome.FAILED) == ("OUT003",), details(found)


def test_an_output_that_is_wrong_on_the_images_only(make, photos, tmp_path, monkeypatch):
    # One more node behind the last layer can change how it is fused, and its last bits, below single precision.
    monkeypatch.setattr(outputs, "_settings", lambda device: [F32])
    original, patched = make("classifier")
    bad = wrong.broken(patched, lambda model: wrong.output_that_differs_for_bright_inputs(model, 20))
    alone = verdict_of(original, bad, tmp_path)
    assert not alone.of(Outcome.FAILED) + alone.of(Outcome.ERROR), details(alone)
    found = verdict_of(original, bad, tmp_path, data=photos)
    assert found.of(Outcome.FAILED) == ("OUT005",), details(found)


@pytest.mark.parametrize("request_", [{}, {"normalise": "none"}, {"top_k": 2}, {"method": "eigen-cam"}], ids=str)
@pytest.mark.parametrize("kind", ["classifier", "detector"])
def test_a_map_that_is_wrong_on_the_images_only(make, photos, tmp_path, kind, request_):
    original, patched = make(kind, **request_)
    bad = wrong.broken(patched, lambda model: wrong.map_that_is_flipped_for_bright_inputs(model, 20))
    save(bad, tmp_path / "patched.xml")
    alone = check(original, tmp_path / "patched.xml", only=["PER001"])
    assert alone.of(Outcome.PASSED) == ("PER001",), details(alone)
    found = check(original, tmp_path / "patched.xml", only=["PER001"], data=photos)
    assert found.of(Outcome.FAILED) == ("PER001",), details(found)
    assert "on 0.png" in found.results[0].finding


def test_another_version_may_settle_the_strategy_otherwise(make, tmp_path):
    original, patched = make("classifier")
    other = wrong.broken(patched, wrong.lie(ov_xai="0.0.1", strategy="mosaic", strategy_reason="an op"))
    assert verdict_of(original, other, tmp_path, only=["MAN002"]).ok
    liar = wrong.broken(patched, wrong.lie(ov_xai="0.0.1", activation="softmax"))
    found = verdict_of(original, liar, tmp_path, only=["MAN002"])
    assert "activation is softmax, found is none, written by ov-xai 0.0.1" in found.results[0].finding


def test_a_card_that_is_not_shipped_is_taken_on_trust(make, tmp_path):
    original, patched = make("detector")
    found = verdict_of(original, wrong.broken(patched, wrong.lie(card="mine")), tmp_path, only=["MAN002", "PER001"])
    assert found.of(Outcome.PASSED) == ("MAN002", "PER001"), details(found)
    assert "card 'mine' does not come with ov-xai" in found.results[0].finding
    other = wrong.broken(patched, wrong.lie(card="mine", unused_classes=[1]))
    found = verdict_of(original, other, tmp_path, only=["MAN002", "PER001"])
    assert found.of(Outcome.SKIPPED) == ("MAN002", "PER001"), details(found)


def test_labels_that_came_with_the_maps_pass(make):
    passes(*make("classifier", labels=tuple(f"kind {index}" for index in range(CLASSES))))


def test_the_feature_vector_may_be_the_class_token(tmp_path, data):
    original = data / "models" / "shapes_vit.xml"
    patched = insert(original, feature_vector=True)
    found = verdict_of(original, patched, tmp_path, only=["MAN002", "VEC001"])
    assert found.of(Outcome.PASSED) == ("MAN002", "VEC001"), details(found)
    assert "the token" in found.results[1].finding
    bad = wrong.broken(patched, wrong.doubled_vector)
    assert verdict_of(original, bad, tmp_path, only=["VEC001"]).of(Outcome.FAILED) == ("VEC001",)


def test_a_map_that_is_another_one_each_time(make, tmp_path):
    original, patched = make("classifier")
    bad = wrong.broken(patched, wrong.noisy_map)
    assert set(verdict_of(original, bad, tmp_path).of(Outcome.FAILED)) >= {"CNS001", "CNS002", "PER001"}


def test_a_model_that_compiles_to_something_else(make, tmp_path, monkeypatch):
    original, patched = make("classifier")
    other = wrong.broken(patched, wrong.shifted_map)
    compiled = []

    class Fickle(Runner):
        """The second model that is compiled is another one."""

        def __init__(self, model, device, settings):
            compiled.append(model)
            super().__init__(model if len(compiled) == 1 else other, device, settings)

    monkeypatch.setattr("ov_xai.checks.subject.Runner", Fickle)
    found = verdict_of(original, patched, tmp_path, only=["CNS002"], skip=[])
    assert found.of(Outcome.FAILED) == ("CNS002",), details(found)


@pytest.fixture
def slowed(monkeypatch):
    """Return a function that says how long a run takes: the original's seconds, and the patched model's ratio to it."""

    def set_latency(plain, ratio):
        monkeypatch.setattr(cost, "_SECONDS", 0.0)
        monkeypatch.setattr(
            Runner, "seconds", lambda self, inputs: plain * (ratio if "saliency_map" in self.named(inputs) else 1)
        )

    return set_latency


@pytest.mark.parametrize(
    ("plain", "ratio", "limit", "outcome"),
    [
        (0.01, 2.6, None, Outcome.FAILED),
        (0.01, 2.4, None, Outcome.PASSED),
        (0.01, 2.4, 2.3, Outcome.FAILED),
        (0.0005, 2.9, None, Outcome.PASSED),  # less than a millisecond more
        (0.0005, 3.1, None, Outcome.FAILED),
        (0.0005, 2.9, 2.5, Outcome.FAILED),  # a limit that is given counts as it is given
        (0.01, 0.9, 0.5, Outcome.FAILED),
    ],
)
def test_a_branch_that_is_slow(make, tmp_path, slowed, plain, ratio, limit, outcome):
    original, patched = make("classifier")
    slowed(plain, ratio)
    found = verdict_of(original, patched, tmp_path, only=["CST001"], skip=[], max_latency=limit)
    assert found.of(outcome) == ("CST001",), details(found)
    allowed = "at most 2.5, or 1 ms more, is allowed" if limit is None else f"at most {limit:g} is allowed"
    assert found.results[0].finding == f"{ratio:.2f} times the plain model's {1e3 * plain:.2f} ms, {allowed}"


def test_models_run_by_turns():
    calls = []

    def run(name, seconds):
        calls.append(name)
        return seconds + len(calls)

    found = latencies([lambda: run("plain", 100), lambda: run("patched", 200)], seconds=0.0)
    assert calls == ["plain", "patched"] * 15
    assert found.shape == (13, 2)
    assert found[0].tolist() == [105, 206]  # the first two rounds do not count


def test_a_branch_that_takes_much_memory(make, tmp_path):
    original, patched = make("classifier")
    assert verdict_of(original, patched, tmp_path, only=["CST002"], skip=[]).of(Outcome.PASSED) == ("CST002",)
    bad = wrong.broken(patched, wrong.greedy_branch)
    found = verdict_of(original, bad, tmp_path, only=["CST002"], skip=[])
    assert found.of(Outcome.FAILED) == ("CST002",), details(found)


def test_a_limit_of_memory_that_is_given_counts_as_it_is_given(make, tmp_path):
    original, patched = make("classifier")
    found = verdict_of(original, patched, tmp_path, only=["CST002"], skip=[], max_memory=0.5)
    assert found.of(Outcome.FAILED) == ("CST002",), details(found)
    assert found.results[0].finding.endswith("at most 0.5 is allowed")


def test_latency_is_measured(make):
    original, patched = make("classifier")
    with Subject(original, patched, CheckOptions()) as subject:
        plain, ratio = cost.measure_latency(subject)
    assert 0 < plain < 60
    assert ratio > 0


def test_an_onnx_original_passes(tmp_path):
    onnx = pytest.importorskip("onnx")
    random = np.random.default_rng(0)
    weights = {"kernel": (6, 3, 2, 2), "matrix": (6, 4), "bias": (4,)}
    constants = [
        onnx.numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    nodes = [
        onnx.helper.make_node("Conv", ["image", "kernel"], ["features"], strides=[2, 2]),
        onnx.helper.make_node("Relu", ["features"], ["active"]),
        onnx.helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        onnx.helper.make_node("Flatten", ["pooled"], ["flat"]),
        onnx.helper.make_node("Gemm", ["flat", "matrix", "bias"], ["scores"]),
    ]
    kind = onnx.TensorProto.FLOAT
    image = onnx.helper.make_tensor_value_info("image", kind, [1, 3, 12, 16])
    scores = onnx.helper.make_tensor_value_info("scores", kind, [1, 4])
    graph = onnx.helper.make_graph(nodes, "classifier", [image], [scores], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "original.onnx")
    save(insert(tmp_path / "original.onnx"), tmp_path / "patched.xml")
    verdict = check(tmp_path / "original.onnx", tmp_path / "patched.xml", skip=["CST001"])
    assert verdict.ok, details(verdict)
    assert {"MAN003", "PER001", "SAN001", "CON010", "CST002"} <= set(verdict.of(Outcome.PASSED)), details(verdict)
