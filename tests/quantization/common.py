"""What several tests of quantisation use."""

import sys
from functools import cache

import numpy as np
import openvino as ov

from ov_xai import insert, quantize
from ov_xai.quantization.calibration import Feeder
from ov_xai.runtime.images import read_image
from tests.conftest import ROOT
from tests.helpers import F32
from tests.models import HEIGHT, WIDTH

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
