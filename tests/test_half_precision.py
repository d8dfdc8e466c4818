"""The saliency branch survives a device that computes in FP16, as the GPU plugin does.

There is no such device here: the branch is evaluated in NumPy, see `tests.reference.half`. Its maps stay within two
levels of 255. Where a score is much larger than what a place adds to it, FP16 does not know it so well: then the maps
are as good as the literal perturbation is at FP16, or as exact arithmetic is on activations that are rounded to it.
Where the model quantises, they are within two levels but for steps that its quantisers take one way or the other.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from ov_xai import Method, insert, read_manifest
from ov_xai.graph.io import read_model
from ov_xai.graph.trial import sample_inputs
from ov_xai.runtime.embedding import embedded
from ov_xai.runtime.images import read_image
from ov_xai.runtime.model_preprocessing import preprocessing_of
from tests.detectors import FORMS, segmenter
from tests.helpers import assert_maps_equal
from tests.models import CHANNELS, CLASSES, CLOSED_FORM, MOSAIC, backbone, classifier, dense, ints, model_of, weights
from tests.reference.half import (
    EXACT,
    HALF,
    HALF_INPUTS,
    branch_of,
    is_real,
    literal_logits,
    new_outputs,
    port,
    raw_maps,
)
from tests.reference.mosaic import maps_from_logits, to_u8
from tests.reference.operators import OPERATORS
from tests.transformers import TRANSFORMERS

#: What FP16 holds with all its digits, with a margin.
SMALLEST, LARGEST = 1e-4, 6e4
#: Activations up to this size must not overflow.
MAGNITUDE = 1e3
#: Normalised tokens are no larger than the root of their channels; queries times keys are products of two of them.
TOKEN_MAGNITUDE = 30
#: Activations that are multiplied with each other, in the model itself, and tables with probabilities beside boxes.
SMALLER = {
    "power_mean": 30,
    "flipped": 30,
    "own_objectness": 1,
    "own_objectness_behind": 1,
    "anchors_with_objectness": 1,
}
LEVELS = 2
#: Roundings of two evaluations are two draws of the same noise: how much worse one may come out than the other.
LUCK = 2
#: Over so many images.
IMAGES = 3


@dataclass(frozen=True)
class Case:
    """A model and how it is patched.

    Attributes:
        build: returns the plain model.
        request: fields of the request.
        kept: tokens before and behind the grid.
        places: axes of the target that hold places.
        magnitude: size of activations that must not overflow.
    """

    build: Callable[[], ov.Model]
    request: dict[str, Any] = field(default_factory=dict)
    kept: tuple[int, int] = (0, 0)
    places: tuple[int, ...] = (2, 3)
    magnitude: float = MAGNITUDE


def _of_classifiers():
    axes = {"flatten_nhwc": (1, 2), "mean_nhwc": (1, 2), "mean_tokens": (1,)}
    for head in CLOSED_FORM:
        about = {"places": axes.get(head, (2, 3)), "magnitude": SMALLER.get(head, MAGNITUDE)}
        yield f"{head}-pixel", Case(lambda head=head: classifier(head), {}, **about)
        yield f"{head}-gaussian", Case(lambda head=head: classifier(head), {"mask": "gaussian"}, **about)
        likely = {"score": "probability", "top_k": 2}
        yield f"{head}-likely", Case(lambda head=head: classifier(head, activation="softmax"), likely, **about)
    for head in MOSAIC:
        for mask in ("pixel", "gaussian"):
            request, size = {"target_layer": "target", "mask": mask}, SMALLER.get(head, MAGNITUDE)
            yield f"{head}-{mask}", Case(lambda head=head: classifier(head), request, magnitude=size)


def _of_transformers():
    for name, (build, before, behind, _) in TRANSFORMERS.items():
        yield f"{name}-gaussian", Case(build, {"mask": "gaussian"}, (before, behind), (1,), TOKEN_MAGNITUDE)
    for name in ("registers", "quantised", "class_attention", "mean_beside_class_token"):
        build, before, behind, _ = TRANSFORMERS[name]
        for label, request in (("pixel", {"mask": "pixel", "top_k": 2}), ("likely", {"score": "probability"})):
            yield f"{name}-{label}", Case(build, request, (before, behind), (1,), TOKEN_MAGNITUDE)


def _of_detectors():
    for name, build in FORMS.items():
        few = min(2, len(build()[1].by_label))
        for request in ({}, {"combine": "max", "map_level": 1, "top_k": few}):
            size = SMALLER.get(name, MAGNITUDE)
            label = f"{name}-{request.get('combine', 'mean')}"
            yield label, Case(lambda build=build: build()[0], request, magnitude=size)
    yield "detector-otx", Case(lambda: FORMS["separate_outputs"]()[0], {"compat": "otx"})
    for activation in (None, "softmax", "sigmoid"):
        yield f"segmenter-{activation}", Case(lambda activation=activation: segmenter(activation))


def _per_image():
    builders = {
        **{head: lambda head=head: classifier(head) for head in ("mean", "mean_nhwc", "mean_tokens")},
        **{name: TRANSFORMERS[name][0] for name in ("fused_gather", "registers_behind")},
        "detector": lambda: FORMS["separate_outputs"]()[0],
        "segmenter": segmenter,
    }
    for name, build in builders.items():
        for method in (Method.ACTIVATION_MAP, Method.EIGEN_CAM):
            yield f"{name}-{method.value}", Case(build, {"method": method, "feature_vector": True})


CASES = dict([*_of_classifiers(), *_of_transformers(), *_of_detectors(), *_per_image()])


class Subject:
    """A patched model, and its branch on a few images."""

    def __init__(self, case, images=IMAGES, photo=None):
        self.case, self.plain = case, case.build()
        self.patched = insert(self.plain, self_check=False, **case.request)
        self.manifest = read_manifest(self.patched)
        self.branch = branch_of(self.patched)
        outputs = new_outputs(self.patched)
        self.levels, self.raw = outputs["saliency_map"], raw_maps(self.patched)
        chosen = [outputs["saliency_classes"]] if "saliency_classes" in outputs else []
        self.images = [sample_inputs(self.patched, seed) for seed in range(images)] if photo is None else [[photo]]
        #: Per image: what enters the branch, the levels, the raw maps, and the classes they belong to.
        self.found = []
        for known, (levels, raw, *classes) in self.branch.activations(self.images, self.levels, self.raw, *chosen):
            # Which classes are best is not at issue: ranks of close scores are a matter of rounding.
            known.update(zip(map(port, chosen), classes, strict=True))
            self.found.append((known, levels, raw, *classes))

    def gap(self, precision):
        """Return by how many levels the maps differ from those of FP32 inference."""
        return max(_gap(self.branch.evaluate(known, precision)[port(self.levels)], u8) for known, u8, *_ in self.found)

    def literal_gap(self):
        """Return by how many levels the literal perturbation at FP16 does."""
        manifest, gaps = self.manifest, []
        activation = "softmax" if manifest.score == "probability" else None
        where = (self.case.places, manifest.grid, self.case.kept)
        rows = literal_logits(self.plain, manifest.target[0], self.images, manifest.mask, *where, HALF)
        for logits, (_, levels, _, *classes) in zip(rows, self.found, strict=True):
            maps = maps_from_logits(logits, manifest.grid, activation).astype(np.float16).astype(np.float64)
            for indices in classes:
                maps = np.take_along_axis(maps, indices[:, :, None, None], 1)
            gaps.append(_gap(to_u8(maps), levels))
        return max(gaps)

    def gap_between_quantisers(self):
        """Return by how many levels the maps differ when every FakeQuantize gives what it gives exactly.

        An input near the edge of a step lands on either side of it; no more than that is asserted of the quantisers.
        """
        quantisers = [node for node in self.branch.nodes if node.get_type_name() == "FakeQuantize"]
        gaps = []
        for known, levels, *_ in self.found:
            exact = self.branch.evaluate(known, EXACT)
            given = {port(node.output(0)): exact[port(node.output(0))] for node in quantisers}
            half = self.branch.evaluate({**known, **given}, HALF)
            for node in quantisers:
                inputs = [half[port(source)].astype(np.float32) for source in node.input_values()]
                (found,) = OPERATORS["FakeQuantize"](node, inputs)
                step = (inputs[4] - inputs[3]) / (node.get_attributes()["levels"] - 1)
                assert np.all(np.abs(found - given[port(node.output(0))]) < 1.5 * step), node.get_friendly_name()
            gaps.append(_gap(half[port(self.levels)], levels))
        return max(gaps)


def _gap(found, expected):
    assert found.shape == expected.shape
    return np.abs(found.astype(int) - expected.astype(int)).max()


@pytest.fixture(scope="module", params=CASES)
def subject(request):
    return Subject(CASES[request.param])


def test_numpy_gives_what_openvino_gives(subject):
    """Validates the reference itself: exact arithmetic against FP32 inference."""
    for known, _, raw, *_ in subject.found:
        assert_maps_equal(raw, subject.branch.evaluate(known, EXACT)[port(subject.raw)])


def test_fp16_holds_every_constant(subject):
    assert_constants_fit(subject)


def test_nothing_overflows(subject):
    assert_nothing_overflows(subject)


def test_maps_keep_their_levels(subject):
    assert_levels_kept(subject)


# -- what is asserted ----------------------------------------------------------------------------------------------


def assert_constants_fit(subject):
    """No double precision; no number of the branch's own that FP16 cannot hold, folded expressions included.

    Weights of the original model are what they are.
    """
    weights = {_content(node) for node in subject.plain.get_ordered_ops() if node.get_type_name() == "Constant"}
    values = subject.branch.evaluate(subject.found[0][0], EXACT)
    own = set()
    for node in with_bodies(subject.branch.nodes):
        name, kind = node.get_friendly_name(), node.get_type_name()
        for output in node.outputs():
            assert output.get_element_type() != ov.Type.f64, name
        if kind == "Constant" and _content(node) in weights:
            continue
        sources = [port(source) for source in node.input_values()]
        if kind in ("Result", "Parameter") or not (kind == "ShapeOf" or all(source in own for source in sources)):
            continue
        own |= {port(output) for output in node.outputs()}
        numbers = [node.get_data()] if kind == "Constant" else [values.get(port(output)) for output in node.outputs()]
        for array in numbers:
            if array is not None and is_real(array):
                sizes = np.abs(array[array != 0])
                assert np.all((sizes >= SMALLEST) & (sizes <= LARGEST)), f"{name}: {sizes.min()} ... {sizes.max()}"


def with_bodies(nodes):
    """Yield nodes and those in the bodies of loops."""
    for node in nodes:
        yield node
        if node.get_type_name() == "TensorIterator":
            yield from with_bodies(node.get_body().get_ordered_ops())


def _content(node):
    values = node.get_data()
    return values.shape, values.dtype.str, values.tobytes()


def assert_nothing_overflows(subject):
    """No infinity and nothing undefined, for activations of some size, of that size in places, and all the same."""
    size = subject.case.magnitude
    branch, given = subject.branch, subject.found[0][0]
    large = {port(output) for output in branch.entering if can_be_large(output)}
    patterns = (
        lambda x: x * (size / max(np.abs(x).max(), SMALLEST)),
        lambda x: _ridge(x, -1, size),
        lambda x: _ridge(x, -2, size),
        lambda x: np.full_like(x, size),
    )
    for pattern in patterns:
        known = {port(output): given[port(output)] for output in branch.entering}
        values = branch.evaluate({key: pattern(x) if key in large else x for key, x in known.items()}, HALF)
        for node in branch.nodes:
            for output in node.outputs():
                found = values.get(port(output))
                finite = found is None or not is_real(found) or np.isfinite(found).all()
                assert finite, f"{node.get_friendly_name()}: {np.abs(found).max()}"


def _ridge(x, axis, size):
    """Return activations at one end of their range where an axis begins, and at the other everywhere else."""
    if x.ndim < -axis:
        return x
    shape = [1] * x.ndim
    shape[axis] = -1
    first = (np.arange(x.shape[axis]) == 0).reshape(shape)
    return np.broadcast_to(np.where(first, size, -size if x.min() < 0 else 0), x.shape).astype(x.dtype)


def can_be_large(output):
    """Return whether a tensor holds activations that are not bounded by one, and no weights."""
    node, kind = output.get_node(), output.get_node().get_type_name()
    if kind in ("Sigmoid", "Softmax", "Constant") or not output.get_element_type().is_real():
        return False
    carriers = "Convert Reshape Transpose Squeeze Unsqueeze Split VariadicSplit Gather Slice StridedSlice".split()
    sources = node.input_values() if kind == "Concat" else node.input_values()[:1] if kind in carriers else []
    return not sources or any(can_be_large(source) for source in sources)


def assert_levels_kept(subject):
    gap = subject.gap(HALF)
    if gap <= LEVELS:
        return
    allowed = LUCK * subject.gap(HALF_INPUTS)
    if gap > allowed and subject.manifest.mask is not None:
        allowed = max(allowed, LUCK * subject.literal_gap())
    if gap > allowed and any(node.get_type_name() == "FakeQuantize" for node in subject.branch.nodes):
        gap, allowed = subject.gap_between_quantisers(), LEVELS
    assert gap <= allowed, f"{gap} levels off, {allowed} would be in the nature of FP16"


# -- large targets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [{"size": (300, 300)}, {"channels": 5000}], ids=["places", "channels"])
@pytest.mark.parametrize("method", [Method.ACTIVATION_MAP, Method.EIGEN_CAM])
def test_large_targets_do_not_overflow(method, shape):
    """FP16 counts to 65504: there are more places, and activations of 1e3 in 5000 channels are longer than that."""

    def build():
        image, features = backbone(**shape)
        pooled = ops.reduce_mean(features, ints(2, 3), False)
        return model_of(image, dense(pooled, shape.get("channels", CHANNELS), CLASSES))

    subject = Subject(Case(build, {"method": method, "feature_vector": True}), images=1)
    assert_constants_fit(subject)
    assert_nothing_overflows(subject)
    assert subject.gap(HALF) <= LEVELS
    (known, *_) = subject.found[0]
    vector = port(new_outputs(subject.patched)["feature_vector"])
    half, exact = (subject.branch.evaluate(known, precision)[vector] for precision in (HALF, EXACT))
    np.testing.assert_allclose(half, exact, rtol=2e-3)


@pytest.mark.parametrize("mask", ["pixel", "gaussian"])
def test_raw_maps_of_a_grid_with_more_places_than_fp16_counts(mask):
    """FP16 cannot hold 1/P with all its digits, but 1/h and 1/w."""
    image, features = backbone(size=(300, 300))
    pooled = ops.reduce_mean(features, ints(2, 3), False)
    plain = model_of(image, ops.matmul(pooled, weights(CLASSES, CHANNELS), False, True))
    patched = insert(plain, normalise="none", mask=mask, self_check=False)
    branch, maps = branch_of(patched), port(new_outputs(patched)["saliency_map"])
    known, _ = next(branch.activations([sample_inputs(patched)]))
    half, exact = (branch.evaluate(known, precision)[maps] for precision in (HALF, EXACT))
    assert_maps_equal(half, exact, tolerance=2e-3)


# -- trained models ------------------------------------------------------------------------------------------------

PER_IMAGE = ({"method": Method.ACTIVATION_MAP}, {"method": Method.EIGEN_CAM, "feature_vector": True})
TRAINED = {
    "efficientnet_lite0": ({}, {"top_k": 5, "score": "probability"}, {"mask": "gaussian"}, *PER_IMAGE),
    "shapes_vit": ({}, {"mask": "pixel"}, *PER_IMAGE),
    "nanodet_g": ({}, {"combine": "max"}, *PER_IMAGE),
    "shapes_detector": ({}, {"top_k": 2}, *PER_IMAGE),
}


@pytest.mark.parametrize(("name", "request_"), [(name, each) for name in TRAINED for each in TRAINED[name]])
def test_maps_of_trained_models(name, request_, data):
    """On a photo, without any concession."""
    plain = read_model(data / "models" / f"{name}.xml")
    preprocessing = preprocessing_of(plain)
    tensor, _ = preprocessing(read_image(data / "photos" / "chelsea.png"))
    tokens = {"magnitude": TOKEN_MAGNITUDE} if name == "shapes_vit" else {}
    subject = Subject(Case(lambda: embedded(plain, preprocessing), request_, **tokens), photo=tensor)
    assert_constants_fit(subject)
    assert_nothing_overflows(subject)
    assert subject.gap(HALF) <= LEVELS


# -- architectures -------------------------------------------------------------------------------------------------

#: name: (tokens before and behind the grid, axes of the target that hold places, magnitude)
GRID = ((0, 0), (2, 3), MAGNITUDE)
ARCHITECTURES = {
    **dict.fromkeys(
        (
            "resnet18 mobilenetv3_small_100 densenet121 squeezenet1_1 inception_v3 convnext_atto nfnet_l0 "
            "poolformer_s12 vgg11 mobilevit_xxs resnet18_int8 yolov8n ssdlite320_mbv3"
        ).split(),
        GRID,
    ),
    "yolox_nano": ((0, 0), (2, 3), 1),
    "levit_128s": ((0, 0), (1,), MAGNITUDE),
    **dict.fromkeys("vit_tiny_gap mixer_s32_224".split(), ((0, 0), (1,), TOKEN_MAGNITUDE)),
    "swin_tiny_patch4_window7_224": ((0, 0), (1, 2), MAGNITUDE),
    "vit_tiny_patch16_224": ((1, 0), (1,), TOKEN_MAGNITUDE),
    "cait_xxs24_224": ((1, 0), (1,), TOKEN_MAGNITUDE),
}


@pytest.mark.zoo
@pytest.mark.slow
@pytest.mark.parametrize("request_", [{}, *PER_IMAGE], ids=["class-wise", "activation-map", "eigen-cam"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures(name, request_, zoo):
    path = zoo(name)
    subject = Subject(Case(lambda: read_model(path), request_, *ARCHITECTURES[name]), images=1)
    assert_constants_fit(subject)
    assert_nothing_overflows(subject)
    assert_levels_kept(subject)
