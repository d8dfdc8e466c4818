#!/usr/bin/env python3
"""Build `data/`: the demo models with their `model_info`, their labels, and the photos.

Usage: build_data.py MODELS_DIR PHOTOS_DIR
MODELS_DIR holds NAME.{xml,bin,labels.txt} of each model and LICENSE.efficientnet_lite0, PHOTOS_DIR the photos.
LICENSE.nanodet_g is written by hand.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import openvino as ov

DATA = Path(__file__).parent.parent / "data"
#: What Model API, and ov-xai, read about each model.
MODEL_INFO = {
    "efficientnet_lite0": {
        "model_type": "Classification",
        "mean_values": "127 127 127",
        "scale_values": "128 128 128",
        "resize_type": "crop",
        "crop_fraction": "0.875",
        "reverse_input_channels": "True",
    },
    # No `model_type`: Model API has no reader for these outputs.
    "nanodet_g": {
        "mean_values": "103.53 116.28 123.675",
        "scale_values": "57.375 57.12 58.395",
        "resize_type": "fit_to_window_letterbox",
        "pad_value": "0",
        "reverse_input_channels": "False",
    },
}


def short_labels(lines: list[str]) -> list[str]:
    """Return the first synonym of each class, as Model API wants it: spaces as underscores."""
    return ["_".join(line.split(",")[0].split()) for line in lines]


def build_model(models: Path, name: str) -> None:
    """Write a model with its `model_info`, and its full labels."""
    folder = DATA / "models"
    folder.mkdir(parents=True, exist_ok=True)
    model = ov.Core().read_model(models / f"{name}.xml")
    lines = (models / f"{name}.labels.txt").read_text(encoding="utf-8").splitlines()
    for key, value in {**MODEL_INFO[name], "labels": " ".join(short_labels(lines))}.items():
        model.set_rt_info(value, ["model_info", key])
    ov.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)
    for copied in (f"{name}.labels.txt", f"LICENSE.{name}"):
        if (models / copied).exists():
            shutil.copyfile(models / copied, folder / copied)


def build_photos(photos: Path) -> None:
    """Copy the photos."""
    folder = DATA / "photos"
    folder.mkdir(parents=True, exist_ok=True)
    for photo in sorted([*photos.glob("*.png"), *photos.glob("*.jpg")]):
        shutil.copyfile(photo, folder / photo.name)


if __name__ == "__main__":
    for model_name in MODEL_INFO:
        build_model(Path(sys.argv[1]), model_name)
    build_photos(Path(sys.argv[2]))
