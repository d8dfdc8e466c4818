"""Quantised models: the predictions of the plain one, and maps like those before."""

import subprocess
import sys
from functools import cache

import cv2
import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import InsertionRequest, Overrides, Session, insert, insertion, quantize, read_manifest, remove, save
from ov_xai.analysis.attention import has_attention
from ov_xai.cards import shipped_cards
from ov_xai.errors import (
    InputError,
    MissingExtraError,
    ModelMismatchError,
    RequestError,
    SelfCheckError,
    UnsupportedModelError,
)
from ov_xai.graph.io import read_model, source_digest
from ov_xai.graph.model_info import read_labels
from ov_xai.graph.trial import bypass
from ov_xai.graph.view import GraphView
from ov_xai.quantization import quantizing
from ov_xai.quantization.calibration import Feeder, find_photos
from ov_xai.quantization.quantizing import FEW_PHOTOS, Quantization, QuantizationOptions, run_quantization
from ov_xai.runtime.embedding import embedded
from ov_xai.runtime.images import read_image
from ov_xai.selfcheck import check_maps
from tests.conftest import ROOT
from tests.detectors import FORMS
from tests.helpers import F32, assert_maps_equal, run
from tests.models import (
    CHANNELS,
    CLASSES,
    CLOSED_FORM,
    HEIGHT,
    MOSAIC,
    WIDTH,
    classifier,
    head_mean,
    model_of,
    random_image,
    weights,
)
from tests.reference.mosaic import literal_logits, maps_from_logits
from tests.transformers import TRANSFORMERS

PHOTOS = ROOT / "data" / "photos"
BUNDLED = ("efficientnet_lite0", "nanodet_g", "shapes_vit", "shapes_detector")


def bundled(name):
    return ROOT / "data" / "models" / f"{name}.xml"


@cache
def pictures(name):
    """Return photos, or the drawn scenes that a model was trained on the likes of, as u8 [H, W, 3]."""
    if not name.startswith("shapes"):
        return [read_image(path) for path in sorted(PHOTOS.glob("*.*g"))]
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from scenes import scenes  # noqa: PLC0415
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    return [scene.image for scene in scenes(11, 8)]


@cache
def plain_int8(name):
    return quantize(bundled(name), pictures(name))


@cache
def patched_int8(name):
    return quantize(insert(bundled(name)), pictures(name))


def noise_image(seed, size=(2 * HEIGHT, 2 * WIDTH)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


NOISE = [noise_image(seed) for seed in range(3)]


def correlation(a, b):
    return np.corrcoef(a.astype(float).ravel(), b.astype(float).ravel())[0, 1]


def assert_same_predictions(plain, patched, photos):
    feed = Feeder(plain)
    first, second = (ov.Core().compile_model(model, "CPU", F32) for model in (plain, patched))
    assert len(second.outputs) > len(first.outputs)
    for photo in photos:
        before, after = first(feed(photo)), second(feed(photo))
        for index in range(len(first.outputs)):
            assert before[index].dtype == after[index].dtype
            assert before[index].tobytes() == after[index].tobytes()


# -- the bundled models ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUNDLED)
def test_predictions_are_those_of_the_plain_quantised_model(name):
    assert_same_predictions(plain_int8(name), patched_int8(name), pictures(name))
    assert read_manifest(patched_int8(name)).exact_outputs


@pytest.mark.parametrize("name", BUNDLED)
def test_maps_of_predicted_classes_stay_close(name):
    exact, rounded = Session(insert(bundled(name))), Session(patched_int8(name))
    raw = {session: session.map(pictures(name)) for session in (exact, rounded)}
    found = []
    for before, after in zip(*raw.values(), strict=True):
        for index in sorted({prediction.index for prediction in before.predictions}):
            label = exact.labels[index]
            if label in after.maps:
                found.append(correlation(before.maps[label], after.maps[label]))
    assert len(found) >= 5
    assert np.mean(found) >= 0.99, found


def test_no_weights_of_a_branch_are_computed_while_a_model_is_loaded():
    """What several streams compute there at once is now and then wrong (OpenVINO 2026.4)."""
    compiled = ov.Core().compile_model(patched_int8("shapes_vit"), "CPU")
    constant, computed = set(), []
    for node in compiled.get_runtime_model().get_ordered_ops():
        name, kind = node.get_friendly_name(), node.get_rt_info()["layerType"].astype(str)
        sources = [source.get_node().get_friendly_name() for source in node.input_values()]
        if kind == "Const" or (sources and constant.issuperset(sources)):
            constant.add(name)
            if kind in ("Convert", "Eltwise") and name.startswith("ov_xai"):
                computed.append(name)
    assert len(constant) > 20
    assert not computed


@pytest.mark.parametrize("name", BUNDLED)
def test_the_manifest_is_that_of_an_insertion_into_the_quantised_model(name):
    before, after = read_manifest(insert(bundled(name))), read_manifest(patched_int8(name))
    for entry in ("task", "method", "grid", "mask", "score", "classes", "top_k", "strategy", "levels", "kept_tokens"):
        assert getattr(before, entry) == getattr(after, entry), entry
    assert after.source_sha256 == source_digest(plain_int8(name)) != before.source_sha256


@pytest.mark.parametrize("name", BUNDLED)
def test_what_the_model_says_about_itself_is_kept(name):
    source = read_model(bundled(name))
    for model in (plain_int8(name), patched_int8(name)):
        assert read_labels(model) == read_labels(source)
        for key in source.get_rt_info(["model_info"]).value:
            path = ["model_info", key]
            assert model.get_rt_info(path).astype(str) == source.get_rt_info(path).astype(str)
        for old, new in zip(source.outputs, model.outputs, strict=False):
            assert old.get_names() == new.get_names()


def test_the_same_input_gives_the_same_bytes(tmp_path):
    for attempt in "ab":
        save(quantize(insert(bundled("shapes_vit")), pictures("shapes_vit")), tmp_path / f"{attempt}.xml")
    for suffix in (".xml", ".bin"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_weights_become_eight_bits_and_nothing_becomes_half_precision():
    types = {node.get_element_type() for node in quantize(classifier("two_dense"), NOISE).get_ops()}
    assert ov.Type.i8 in types
    assert ov.Type.f16 not in types


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("efficientnet_lite0", {"top_k": 3, "feature_vector": True}),
        ("shapes_vit", {"top_k": 2, "feature_vector": True}),
        ("shapes_vit", {"method": "eigen-cam", "feature_vector": True}),
        ("shapes_vit", {"method": "activation-map"}),
        ("nanodet_g", {"method": "eigen-cam", "feature_vector": True}),
    ],
)
def test_a_quantised_model_is_patched_like_any_other(name, options):
    patched = insert(plain_int8(name), InsertionRequest(**options))
    assert_same_predictions(plain_int8(name), patched, pictures(name)[:3])
    before, after = insert(bundled(name), InsertionRequest(**options)), patched
    (tensor,) = Feeder(before)(pictures(name)[0]).values()
    names = [sorted(output.get_names())[0] for output in before.outputs]
    old, new = dict(zip(names, run(before, [tensor]), strict=True)), dict(zip(names, run(after, [tensor]), strict=True))
    assert old["saliency_map"].shape == new["saliency_map"].shape
    if "feature_vector" in old:
        assert correlation(old["feature_vector"], new["feature_vector"]) > 0.95
    if options.get("method") in ("activation-map", "eigen-cam"):
        assert abs(correlation(old["saliency_map"], new["saliency_map"])) > 0.85  # Eigen-CAM may turn its sign


@pytest.mark.parametrize("options", [{"top_k": 2}, {"method": "eigen-cam", "feature_vector": True}, {"block": 2}])
def test_a_branch_comes_back_as_it_was(options):
    model = TRANSFORMERS["fused_gather"][0]()
    patched = insert(model, InsertionRequest(**options), self_check=False)
    result = quantize(patched, NOISE)
    before, after = read_manifest(patched), read_manifest(result)
    for entry in ("method", "grid", "mask", "top_k", "kept_tokens", "strategy"):
        assert getattr(before, entry) == getattr(after, entry), entry
    assert [output.get_names() for output in result.outputs] == [output.get_names() for output in patched.outputs]
    assert_same_predictions(quantize(model, NOISE), result, NOISE)


def test_stripping_the_branch_gives_the_plain_quantised_model(tmp_path):
    save(remove(patched_int8("shapes_detector")), tmp_path / "a.xml")
    save(plain_int8("shapes_detector"), tmp_path / "b.xml")
    for suffix in (".xml", ".bin"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


# -- rounding and scaling ----------------------------------------------------------------------------------------------


def test_maps_of_a_transformer_are_those_of_its_head_without_rounding():
    """As an independent computation the roundings behind the target are taken out of the quantised model itself."""
    model = plain_int8("shapes_vit").clone()
    manifest = read_manifest(patched_int8("shapes_vit"))
    assert not manifest.rounded
    view = GraphView(model)
    target = view.find(manifest.target[0])
    for node in view.ordered(view.descendants([target])):
        if node.get_type_name() == "FakeQuantize" and node.get_friendly_name() != manifest.target[0]:
            bypass(node.output(0))
    config = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
    (tensor,) = Feeder(model)(pictures("shapes_vit")[0]).values()
    expected = run(insert(model, self_check=False), [tensor], config)[1]
    found = run(patched_int8("shapes_vit"), [tensor])[1]
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", ["efficientnet_lite0", "nanodet_g"])
def test_convolutional_heads_keep_their_rounding(name):
    assert read_manifest(patched_int8(name)).rounded


def test_rounding_is_left_out_where_the_check_fails_with_it(monkeypatch):
    def strict(probe, anatomy, plan):
        if plan.rounded:
            raise SelfCheckError("differs")
        check_maps(probe, anatomy, plan)

    monkeypatch.setattr(insertion, "check_maps", strict)
    exact, image = classifier("two_dense"), random_image()
    with pytest.raises(SelfCheckError):  # nothing is rounded, so there is nothing to leave out
        insert(exact)
    model = quantize(exact, NOISE)
    patched = insert(model, normalise="none")
    manifest = read_manifest(patched)
    assert not manifest.rounded
    logits, grid = literal_logits(model, manifest.target[0], [image], "pixel", (2, 3), rounded=False)
    assert_maps_equal(run(patched, [image])[1], maps_from_logits(logits, grid))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_attention_is_found(name):
    assert has_attention(GraphView(TRANSFORMERS[name][0]()))


@pytest.mark.parametrize("name", [*CLOSED_FORM, *MOSAIC])
def test_no_attention_is_found_in_a_convolutional_network(name):
    assert not has_attention(GraphView(classifier(name)))


def test_the_kind_of_model_is_told_from_its_structure():
    for name, attends in (("shapes_vit", "transformer"), ("efficientnet_lite0", "None")):
        assert plain_int8(name).get_rt_info(["nncf", "quantization", "model_type"]).astype(str) == attends


# -- inputs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [-1, 1, 2])
def test_any_batch_is_calibrated(batch):
    result = quantize(classifier("mean", batch=batch), NOISE)
    assert result.input(0).get_partial_shape()[0] == ov.Dimension(batch)
    run(result, [np.zeros((2 if batch != 1 else 1, 3, 2 * HEIGHT, 2 * WIDTH), np.float32)])


def test_a_dynamic_size_is_calibrated_with_photos_of_any_size():
    image, features = dynamic_backbone()
    model = model_of(image, head_mean(features))
    result = quantize(insert(model), [noise_image(0), noise_image(1, (12, 20)), noise_image(2, (16, 8))])
    assert result.input(0).get_partial_shape() == ov.PartialShape([1, 3, -1, -1])
    assert run(result, [np.zeros((1, 3, 12, 20), np.float32)])[1].shape == (1, CLASSES, 6, 10)


def dynamic_backbone():
    image = ops.parameter(ov.PartialShape([1, 3, -1, -1]), np.float32, name="image")
    features = ops.relu(ops.convolution(image, weights(CHANNELS, 3, 2, 2), [2, 2], [0, 0], [0, 0], [1, 1]))
    return image, features


def test_photos_that_do_not_fit_a_dynamic_size_are_told():
    image, features = dynamic_backbone()
    fixed = ops.add(features, weights(1, CHANNELS, HEIGHT, WIDTH))
    model = model_of(image, head_mean(fixed))
    with pytest.raises(UnsupportedModelError, match=r"NNCF cannot quantise.*reshape"):
        quantize(model, [noise_image(0, (32, 48))])


@pytest.mark.parametrize("name", ["efficientnet_lite0", "nanodet_g"])
def test_photos_are_read_as_explain_reads_them(name):
    """`explain` lets the device convert, subtract, divide and transpose; calibration does so beforehand."""
    model, photo = read_model(bundled(name)), pictures(name)[0]
    feed = Feeder(model)
    prepared, _ = feed.preprocessing(photo)
    inside = run(embedded(model.clone(), feed.preprocessing), [prepared])
    outside = run(model, list(feed(photo).values()))
    for one, other in zip(inside, outside, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.ptp(one))


@pytest.mark.parametrize("letters", ["NCHW", "NHWC", "CHW", "HWC"])
def test_every_layout_is_fed(letters):
    extents = {"N": 1, "C": 3, "H": 8, "W": 10}
    image = ops.parameter([extents[letter] for letter in letters], np.float32, name="image")
    image.set_layout(ov.Layout(letters))
    model = ov.Model([ops.relu(image)], [image], "identity")
    photo = noise_image(0)
    (tensor,) = Feeder(model, Overrides(mean=(1, 2, 3), scale=(2,)))(photo).values()
    expected = ((photo.astype(np.float32) - [1, 2, 3]) / 2).transpose(["HWC".index(i) for i in letters if i != "N"])
    np.testing.assert_array_equal(tensor, expected[None] if "N" in letters else expected)


def test_a_model_with_its_preprocessing_inside_gets_bytes():
    image = ops.parameter([1, 8, 10, 3], np.uint8, name="image")
    model = ov.Model([ops.relu(ops.convert(image, "f32"))], [image], "identity")
    (tensor,) = Feeder(model)(noise_image(0)).values()
    assert tensor.dtype == np.uint8
    np.testing.assert_array_equal(tensor[0], noise_image(0))


def test_of_many_photos_some_are_left_out_evenly(tmp_path):
    for index in range(10):
        cv2.imwrite(str(tmp_path / f"{index}.png"), noise_image(index))
    assert [path.stem for path in find_photos(tmp_path, 4).photos] == ["0", "2", "5", "7"]
    assert len(find_photos(tmp_path, 99).photos) == 10


def test_files_that_are_no_images_are_skipped(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), noise_image(0))
    (tmp_path / "b.png").write_bytes(b"no picture")
    result = run_quantization(classifier("mean"), tmp_path, QuantizationOptions())
    assert result.photos == 1
    assert len(result.skipped) == 1
    assert "b.png" in result.skipped[0]
    assert "Calibrated on 1 images" in result.notes[0]


def test_a_plain_model_stays_plain_unless_asked():
    assert read_manifest(quantize(classifier("mean"), NOISE)) is None
    asked = quantize(classifier("mean"), NOISE, request=InsertionRequest(top_k=2))
    assert read_manifest(asked).top_k == 2


def test_the_model_that_is_given_is_left_as_it_is():
    model = insert(classifier("mean"))
    before = source_digest(model)
    quantize(model, NOISE)
    assert source_digest(model) == before


def test_layers_can_stay_exact():
    model = classifier("two_dense")
    layer = next(node.get_friendly_name() for node in model.get_ordered_ops() if node.get_type_name() == "Convolution")
    patched = quantize(insert(model), NOISE, exact_layers=[layer], accurate_bias=True)
    convolution = GraphView(patched).find(layer)
    assert convolution.input_value(1).get_node().get_type_name() == "Constant"
    assert_same_predictions(quantize(model, NOISE, exact_layers=[layer], accurate_bias=True), patched, NOISE)
    with pytest.raises(ModelMismatchError, match=r"'conv_9' does not exist.*MatMul|'conv_9' does not exist.*Conv"):
        quantize(model, NOISE, exact_layers=["conv_9"])


@pytest.mark.parametrize("preset", ["performance", "mixed"])
def test_the_preset_reaches_nncf(preset):
    result = quantize(classifier("mean"), NOISE, preset=preset)
    assert result.get_rt_info(["nncf", "quantization", "preset"]).astype(str).lower().endswith(preset)


# -- validation --------------------------------------------------------------------------------------------------------


def labelled(folder, model, names, photos):
    """Write photos into the sub-folder of the class that the model predicts."""
    feed = Feeder(model)
    for index, photo in enumerate(photos):
        label = int(run(model, list(feed(photo).values()))[0].argmax())
        path = folder / names[label] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), photo[:, :, ::-1])


def shades(count):
    """Return pictures of which small classifiers with random weights take some for other classes."""
    random = np.random.default_rng(5)
    return [np.full((2 * HEIGHT, 2 * WIDTH, 3), random.integers(0, 256, 3), np.uint8) for _ in range(count)]


def test_validation_measures_the_accuracy(tmp_path):
    model = classifier("two_dense")
    labelled(tmp_path, model, [f"class_{index}" for index in range(CLASSES)], shades(20))
    result = run_quantization(insert(model), NOISE, QuantizationOptions(max_drop=0.1), validation=tmp_path)
    before, after = result.accuracy
    assert before == 1
    assert after >= 0.9
    assert read_manifest(result.model) is not None


def test_layers_stay_exact_until_the_accuracy_is_kept(tmp_path):
    """Photos near a border between two classes flip with any rounding; without a drop allowed, rounding must go."""
    model = classifier("max")
    photos = _near_a_border(model)
    labelled(tmp_path, model, [str(index) for index in range(CLASSES)], photos)
    free = run_quantization(model, photos, QuantizationOptions(max_drop=1), validation=tmp_path)
    bound = run_quantization(model, photos, QuantizationOptions(max_drop=0), validation=tmp_path)
    assert free.accuracy[1] < 1 == bound.accuracy[1]
    assert bound.quantisers < free.quantisers


def _near_a_border(model):
    """Return pairs of pictures, one level of grey apart, that the model takes for different classes."""
    feed = Feeder(model)
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def label(photo):
        return int(np.array(compiled(list(feed(photo).values()))[0]).argmax())

    found = []
    ends = np.stack(shades(60)).astype(int)
    for low, high in zip(ends[:30], ends[30:], strict=True):
        steps = [np.rint(low + (high - low) * part / 200).astype(np.uint8) for part in range(201)]
        labels = [label(step) for step in steps]
        for index in range(200):
            if labels[index] != labels[index + 1]:
                found += steps[index : index + 2]
    return found


@pytest.mark.parametrize(("accuracy", "told"), [(None, False), ((0.9, 0.85), False), ((0.9, 0.7), True)])
def test_a_drop_beyond_the_allowed_one_is_told(accuracy, told):
    result = Quantization(classifier("mean"), FEW_PHOTOS, [], "", False, 1, accuracy, max_drop=0.1)
    assert [("drops by more than 0.1" in note) for note in result.notes] == [True] * told


def test_labels_name_the_folders(tmp_path):
    model = classifier("mean")
    model.set_rt_info("red deer blue_whale a b", ["model_info", "labels"])
    labelled(tmp_path, model, ["red", "deer", "Blue Whale", "a", "4"], shades(12))
    result = run_quantization(model, NOISE, QuantizationOptions(max_drop=1), validation=tmp_path)
    assert result.accuracy[0] == 1


def test_a_folder_named_by_no_class(tmp_path):
    cv2.imwrite(str((tmp_path / "cat").mkdir() or tmp_path / "cat" / "a.png"), noise_image(0))
    with pytest.raises(ModelMismatchError, match=r"cat.*named by no class"):
        quantize(classifier("mean"), NOISE, validation=tmp_path)


def test_validation_without_folders(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), noise_image(0))
    with pytest.raises(InputError, match="no sub-folders"):
        quantize(classifier("mean"), NOISE, validation=tmp_path)


def test_validation_knows_the_card_of_the_request(tmp_path, monkeypatch):
    (tmp_path / "own.toml").write_text('name = "own"\ntitle = "a family"\n[match]\n')
    seen = []

    def dissect(model, request, cards):
        seen.extend(cards)
        raise UnsupportedModelError("seen")

    monkeypatch.setattr(quantizing, "dissect", dissect)
    request = InsertionRequest(card=tmp_path / "own.toml")
    with pytest.raises(UnsupportedModelError, match="seen"):
        quantize(classifier("mean"), NOISE, validation=tmp_path, request=request)
    assert [card.name for card in seen] == ["own", *(card.name for card in shipped_cards())]


def test_validation_is_for_classifiers(tmp_path):
    with pytest.raises(UnsupportedModelError, match=r"classifiers.*--validation"):
        quantize(FORMS["columns_first"]()[0], NOISE, validation=tmp_path)


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_a_quantised_model_is_not_quantised_again():
    for model in (plain_int8("shapes_vit"), patched_int8("shapes_vit")):
        with pytest.raises(ModelMismatchError, match="quantised already"):
            quantize(model, pictures("shapes_vit"))


def test_a_folder_without_images(tmp_path):
    with pytest.raises(InputError, match="No image"):
        quantize(classifier("mean"), tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        quantize(classifier("mean"), tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"subset_size": 0}, "subset-size"),
        ({"max_drop": 2}, "max-drop"),
        ({"preset": "fast"}, "preset"),
        ({"presets": "mixed"}, "'presets' is not known"),
    ],
)
def test_options_out_of_range(options, reason):
    with pytest.raises(RequestError, match=reason):
        quantize(classifier("mean"), NOISE, **options)


def test_without_nncf_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingExtraError, match=r"ov-xai\[quantize\]"):
        quantize(classifier("mean"), NOISE)


def test_nncf_is_loaded_when_it_is_used():
    code = "import sys, ov_xai, ov_xai.cli.main; sys.exit('nncf' in sys.modules or 'rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


REPORTING = """
import sys
import openvino, openvino_telemetry
calls = []
for name in ("start_session", "send_event", "end_session"):
    setattr(openvino_telemetry.Telemetry, name, lambda *_, name=name, **__: calls.append(name))
if sys.argv[1] == "loaded":
    import nncf
    {probe}
from ov_xai import quantize
quantize({model!r}, {photos!r})
print(len(calls))
"""


@pytest.mark.parametrize("state", ["loaded", "fresh"])
def test_nothing_is_reported_and_nothing_is_printed(state):
    """Also where others loaded NNCF before, with its telemetry on."""
    model, photos = str(bundled("shapes_vit")), str(PHOTOS)
    code = REPORTING.format(model=model, photos=photos, probe="sys.stdout.flush()")
    done = subprocess.run([sys.executable, "-c", code, state], capture_output=True, text=True, check=True)
    own = [line for line in done.stdout.splitlines() if not line.startswith("INFO:nncf:NNCF initialized")]
    assert own == ["0"]


def test_the_telemetry_test_would_notice():
    probe = (
        "import numpy as np, openvino as ov; m = ov.Core().read_model({!r}); "
        "nncf.quantize(m, nncf.Dataset([np.zeros((1, 3, 96, 96), np.float32)])); print(len(calls)); sys.exit()"
    )
    model = str(bundled("shapes_vit"))
    code = REPORTING.format(model=model, photos=str(PHOTOS), probe=probe.format(model))
    done = subprocess.run([sys.executable, "-c", code, "loaded"], capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[-1]) > 0
