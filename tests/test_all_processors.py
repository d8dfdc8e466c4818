"""Predictions keep every bit however many threads share the work."""

import subprocess
import sys

import pytest

from ov_xai import insert, save
from tests.conftest import ROOT
from tests.helpers import PRECISIONS
from tests.models import classifier

MODELS = (
    "resnet18 mobilenetv3_small_100 efficientnet_b0 convnext_atto vgg11 resnet18_int8 vit_tiny_patch16_224 "
    "swin_tiny_patch4_window7_224 yolov8n yolox_nano ssdlite320_mbv3"
).split()


def compare(plain, patched):
    """Return what `tests.all_processors` prints, a line each."""
    command = [sys.executable, "-m", "tests.all_processors", str(plain), str(patched)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.zoo
@pytest.mark.parametrize("name", MODELS)
def test_predictions_keep_every_bit(name, zoo, tmp_path):
    path = zoo(name)
    save(insert(path, self_check=False), tmp_path / "patched.xml")
    assert compare(path, tmp_path / "patched.xml") == []


def test_a_difference_is_seen(tmp_path):
    for head in ("mean", "two_dense"):
        save(classifier(head), tmp_path / f"{head}.xml")
    assert compare(tmp_path / "mean.xml", tmp_path / "two_dense.xml") == ["0"] * len(PRECISIONS)
