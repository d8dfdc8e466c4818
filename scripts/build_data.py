#!/usr/bin/env python3
"""Build `data/`: the demo classifier with its `model_info`, its labels, and the photos.

Usage: build_data.py MODELS_DIR PHOTOS_DIR
MODELS_DIR holds efficientnet_lite0.{xml,bin,labels.txt} and its licence, PHOTOS_DIR the photos.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import openvino as ov

DATA = Path(__file__).parent.parent / "data"
CLASSIFIER = "efficientnet_lite0"
MODEL_INFO = {
    "model_type": "Classification",
    "mean_values": "127 127 127",
    "scale_values": "128 128 128",
    "resize_type": "crop",
    "crop_fraction": "0.875",
    "reverse_input_channels": "True",
}


def short_labels(lines: list[str]) -> list[str]:
    """Return the first synonym of each class, as Model API wants it: spaces as underscores."""
    return ["_".join(line.split(",")[0].split()) for line in lines]


def build_classifier(models: Path) -> None:
    """Write the classifier with its `model_info`."""
    folder = DATA / "models"
    folder.mkdir(parents=True, exist_ok=True)
    model = ov.Core().read_model(models / f"{CLASSIFIER}.xml")
    lines = (models / f"{CLASSIFIER}.labels.txt").read_text(encoding="utf-8").splitlines()
    for key, value in {**MODEL_INFO, "labels": " ".join(short_labels(lines))}.items():
        model.set_rt_info(value, ["model_info", key])
    ov.save_model(model, folder / f"{CLASSIFIER}.xml", compress_to_fp16=False)
    for name in (f"{CLASSIFIER}.labels.txt", f"LICENSE.{CLASSIFIER}"):
        shutil.copyfile(models / name, folder / name)


def build_photos(photos: Path) -> None:
    """Copy the photos."""
    folder = DATA / "photos"
    folder.mkdir(parents=True, exist_ok=True)
    for photo in sorted([*photos.glob("*.png"), *photos.glob("*.jpg")]):
        shutil.copyfile(photo, folder / photo.name)


if __name__ == "__main__":
    build_classifier(Path(sys.argv[1]))
    build_photos(Path(sys.argv[2]))
