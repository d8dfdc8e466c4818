"""Every classifier: exact maps, unchanged predictions, the same bytes each time."""

import numpy as np
import pytest

from ov_xai import InsertionRequest, Mask, Method, Normalise, Score, insert, read_manifest, save
from ov_xai.graph.io import read_model
from ov_xai.graph.trial import sample_inputs
from tests.helpers import PRECISIONS, SCORE_ROUNDING, assert_levels_equal, assert_maps_equal, output, run
from tests.reference.mosaic import literal_logits, maps_from_logits, target_values, to_u8
from tests.reference.unsupervised import activation_map, eigen_cam

pytestmark = pytest.mark.zoo

FLOAT = (
    "resnet18 resnet18_onnx resnet18_te resnet18_softmax resnet18_ppp_u8nhwc resnet18_dyn mobilenetv2_100 "
    "mobilenetv3_small_100 mobilenetv3_small_100_dyn efficientnet_b0 densenet121 squeezenet1_1 vgg11 "
    "shufflenet_v2_x0_5 inception_v3 convnext_atto nfnet_l0 poolformer_s12 light_bvlc_alexnet"
).split()
INT8 = "resnet18_int8 mobilenetv3_small_100_int8".split()
#: name: (axes of the target that hold places, tokens before the grid)
TOKENS = {
    "vit_tiny_patch16_224": ((1,), 1),
    "vit_tiny_patch16_224_te": ((1,), 1),
    "vit_tiny_patch16_224_onnx": ((1,), 1),
    "vit_tiny_patch16_224_dyn": ((1,), 1),
    "vit_tiny_patch16_224_int8": ((1,), 1),
    "deit_tiny_distilled_patch16_224": ((1,), 2),
    "pit_ti_224": ((1,), 1),
    "cait_xxs24_224": ((1,), 1),
    "vit_tiny_gap": ((1,), 0),
    "swin_tiny_patch4_window7_224": ((1, 2), 0),
    "swin_tiny_patch4_window7_224_onnx": ((1, 2), 0),
    "pvt_v2_b0": ((1,), 0),
    "mixer_s32_224": ((1,), 0),
    "levit_128s": ((1,), 0),
    "mobilevit_xxs": ((2, 3), 0),
}
ALL = [*FLOAT, *INT8, *TOKENS]
#: Networks that are here by another route too.
ROUTES = (
    "resnet18_onnx resnet18_te resnet18_softmax resnet18_ppp_u8nhwc resnet18_dyn mobilenetv3_small_100_dyn "
    "vit_tiny_patch16_224_te vit_tiny_patch16_224_onnx vit_tiny_patch16_224_dyn swin_tiny_patch4_window7_224_onnx"
).split()
REQUESTS = (
    InsertionRequest(),
    InsertionRequest(method=Method.EIGEN_CAM, feature_vector=True),
    InsertionRequest(top_k=5, feature_vector=True),
    InsertionRequest(method=Method.ACTIVATION_MAP),
)
#: Of a transformer only so many masks are tried literally: each takes a run of the whole network.
SAMPLED_MASKS = 24


def networks(names):
    """Return names as parameters: of what the route hardly matters for, each network by one route, the rest is slow."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in ROUTES else name for name in names]


@pytest.mark.parametrize("name", FLOAT + INT8)
def test_maps_equal_the_literal_perturbation(name, zoo):
    path = zoo(name)
    model = read_model(path)
    inputs = sample_inputs(model)
    for mask in Mask:
        logits = None
        for score in (Score.LOGIT, Score.PROBABILITY):
            request = InsertionRequest(mask=mask, score=score, normalise=Normalise.NONE)
            patched = insert(path, request, self_check=False)
            manifest = read_manifest(patched)
            if logits is None:
                logits, grid = literal_logits(model, manifest.target[0], inputs, mask.value, (2, 3))
            assert manifest.strategy == "closed-form"
            assert list(grid) == manifest.grid
            expected = maps_from_logits(logits, grid, "softmax" if score is Score.PROBABILITY else None)
            rounding = SCORE_ROUNDING if score is Score.LOGIT else 2 * SCORE_ROUNDING * np.abs(logits).max()
            assert_maps_equal(output(patched, inputs), expected, rounding=rounding)
            if rounding < 1 / 255 / 2:
                levels = output(insert(path, InsertionRequest(mask=mask, score=score), self_check=False), inputs)
                assert_levels_equal(levels, to_u8(expected))


@pytest.mark.parametrize("mask", list(Mask))
@pytest.mark.parametrize("name", TOKENS)
def test_maps_of_tokens_equal_the_literal_perturbation(name, mask, zoo):
    path = zoo(name)
    model = read_model(path)
    inputs, (places, before) = sample_inputs(model), TOKENS[name]
    patched = insert(path, InsertionRequest(mask=mask, normalise=Normalise.NONE), self_check=False)
    manifest = read_manifest(patched)
    assert (manifest.strategy, manifest.kept_tokens) == ("closed-form", before)
    maps = output(patched, inputs)
    maps = maps.reshape(*maps.shape[:2], -1)
    chosen = np.random.default_rng(4).permutation(maps.shape[2])[:SAMPLED_MASKS]
    known = {"kept": (before, 0), "masks": chosen, "rounded": manifest.rounded}
    logits, _ = literal_logits(model, manifest.target[0], inputs, mask.value, places, **known)
    # Logits of 20 are rounded to 2e-6, and with random weights one place among hundreds moves them by 1e-2.
    noise = SCORE_ROUNDING * np.abs(logits).max() / 4
    gap = np.abs(maps[:, :, chosen] - logits.transpose(1, 2, 0))
    assert np.all(gap <= 1e-4 * np.ptp(maps, axis=2, keepdims=True) + noise), gap.max()


@pytest.mark.parametrize("mask", list(Mask))
def test_a_quantised_transformer_passes_its_own_check(mask, zoo):
    """Cut anywhere else, the plugin quantises differently, and roundings flip by whole levels."""
    manifest = read_manifest(insert(zoo("vit_tiny_patch16_224_int8"), InsertionRequest(mask=mask)))
    assert (manifest.strategy, manifest.kept_tokens, manifest.exact_outputs) == ("closed-form", 1, True)


@pytest.mark.parametrize("name", ALL)
def test_original_outputs_keep_every_bit(name, zoo):
    path = zoo(name)
    model = read_model(path)
    inputs = sample_inputs(model, seed=3)
    patched = {
        request: insert(path, request, self_check=False) for request in REQUESTS[: 2 if name in TOKENS else None]
    }
    for config in PRECISIONS:
        before = run(model, inputs, config)
        for request, other in patched.items():
            after = run(other, inputs, config)
            for old, new in zip(before, after, strict=False):
                assert old.dtype == new.dtype
                assert old.tobytes() == new.tobytes(), request


def channel_scale(model, target):
    """Return what SmoothQuant multiplied the channels of a rounded layer by; 1 where it did nothing."""
    stem = target.removesuffix("/fq_output_0")
    if not stem.endswith("nncf_smooth_quant"):
        return 1
    (node,) = (node for node in model.get_ops() if node.get_friendly_name() == stem)
    constants = [source.get_node() for source in node.input_values() if source.get_node().get_type_name() == "Constant"]
    return constants[0].get_data()


@pytest.mark.parametrize("name", networks(TOKENS))
def test_unsupervised_maps_of_tokens_equal_numpy(name, zoo):
    path, (places, before) = zoo(name), TOKENS[name]
    model = read_model(path)
    inputs = sample_inputs(model)
    for method, reference in ((Method.ACTIVATION_MAP, activation_map), (Method.EIGEN_CAM, eigen_cam)):
        patched = insert(path, InsertionRequest(method=method, normalise=Normalise.NONE), self_check=False)
        target = read_manifest(patched).target[0]
        values = target_values(model, target, inputs) / channel_scale(model, target)
        laid = np.moveaxis(values, places, range(1, len(places) + 1))
        expected = reference(laid.reshape(len(laid), -1, laid.shape[-1])[:, before:])
        found = output(patched, inputs)
        assert_maps_equal(found, expected.reshape(found.shape), 1e-4)


@pytest.mark.parametrize("name", networks(FLOAT + INT8))
def test_unsupervised_maps_equal_numpy(name, zoo):
    path = zoo(name)
    model = read_model(path)
    inputs = sample_inputs(model)
    for method, reference in ((Method.ACTIVATION_MAP, activation_map), (Method.EIGEN_CAM, eigen_cam)):
        patched = insert(path, InsertionRequest(method=method, normalise=Normalise.NONE), self_check=False)
        values = target_values(model, read_manifest(patched).target[0], inputs)
        expected = reference(values.reshape(*values.shape[:2], -1).transpose(0, 2, 1))
        found = output(patched, inputs)
        assert_maps_equal(found, expected.reshape(found.shape), 1e-4)


@pytest.mark.parametrize("name", networks(ALL))
def test_insertion_gives_the_same_bytes_and_a_small_file(name, zoo, tmp_path):
    path = zoo(name)
    for attempt in ("a", "b"):
        save(insert(path, self_check=False), tmp_path / f"{attempt}.xml")
    for suffix in (".xml", ".bin"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    plain = path.with_suffix(".bin").stat().st_size
    assert (tmp_path / "a.bin").stat().st_size - plain <= max(0.01 * plain, 64 * 1024)


def test_an_earlier_layer_is_masked_by_the_mosaic(zoo):
    path = zoo("resnet18")
    model = read_model(path)
    layer = "__module.layer3.1.act2/aten::relu_/Relu"
    patched = insert(path, InsertionRequest(target_layer=layer, normalise=Normalise.NONE))
    manifest = read_manifest(patched)
    assert (manifest.grid, manifest.strategy) == ([14, 14], "mosaic")
    inputs = sample_inputs(model)
    logits, grid = literal_logits(model, layer, inputs, "pixel", (2, 3))
    assert_maps_equal(output(patched, inputs), maps_from_logits(logits, grid))


def test_exports_of_one_network_give_one_map(zoo):
    """The weights differ by route, so only what does not depend on them is compared."""
    found = {}
    for name in ("resnet18", "resnet18_onnx", "resnet18_te", "resnet18_softmax"):
        manifest = read_manifest(insert(zoo(name), self_check=False))
        found[name] = (manifest.grid, manifest.classes, manifest.strategy, manifest.method, manifest.mask)
    assert len(set(map(str, found.values()))) == 1


def test_dynamic_batch_is_explained_image_by_image(zoo):
    patched = insert(zoo("resnet18_dyn"), InsertionRequest(top_k=3))
    images = np.random.default_rng(0).standard_normal((3, 3, 224, 224)).astype(np.float32)
    together = run(patched, [images])
    for index in range(3):
        alone = run(patched, [images[index : index + 1]])
        assert_levels_equal(together[1][index : index + 1], alone[1])
        np.testing.assert_array_equal(together[2][index : index + 1], alone[2])
