"""Small models as files, a photo, and a process to try them in."""

import re

import cv2
import numpy as np
import openvino as ov
import pytest

from ov_xai import insert
from tests.detectors import FORMS
from tests.fuzz.bench import Worker
from tests.models import classifier
from tests.transformers import vision_transformer


@pytest.fixture(scope="session")
def worker():
    """Return a process that runs commands."""
    made = Worker()
    yield made
    made.close()


def plain_models():
    """Return small models of each kind, by name."""
    made = {
        "mean": classifier("mean", activation="softmax"),
        "flatten": classifier("flatten"),
        "transformer": vision_transformer()(),
        "levels": FORMS["separate_outputs"]()[0],
        "background": FORMS["softmax_with_background"]()[0],
    }
    for model in made.values():
        rename(model)
    return made


def rename(model):
    """Name ops by their order; a counter of the process would let the same mutation hit other bytes in every run."""
    for index, node in enumerate(model.get_ordered_ops()):
        if re.search(r"_\d+$", node.get_friendly_name()):
            node.set_friendly_name(f"{node.get_type_name()}_{index}")


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Return (.xml, .bin) of small models, by name; those whose name begins with "patched" have maps."""
    folder = tmp_path_factory.mktemp("models")
    made = plain_models()
    made["mean"].set_rt_info("a b c d e", ["model_info", "labels"])
    made |= {f"patched_{name}": insert(made[name]) for name in ("mean", "levels")}
    pairs = {}
    for name, model in made.items():
        ov.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)
        pairs[name] = (folder / f"{name}.xml").read_bytes(), (folder / f"{name}.bin").read_bytes()
    return pairs


@pytest.fixture(scope="session")
def photo(tmp_path_factory):
    """Return the path of a small photo."""
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    return path
