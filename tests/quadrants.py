"""A classifier whose evidence lies in a known quadrant of the image, and photos for it.

Class k is how much of the image has colour k (red, green, blue): logit_k = GAIN * mean of channel k, values 0..1.
Places are pixels, so that the map of a class is 1 on its pixels and 0 elsewhere, and every metric is known by hand.
"""

import cv2
import numpy as np
import openvino as ov
from openvino import opset13 as ops

from tests.models import ints

SIDE, GAIN = 8, 20.0
LABELS = ("red", "green", "blue")
#: Quadrant -> rows and columns of its pixels.
QUADRANTS = {
    (top, left): (slice(4 * top, 4 * top + 4), slice(4 * left, 4 * left + 4)) for top in (0, 1) for left in (0, 1)
}


def classifier(batch=1):
    """Return the model: u8 values / 255 are its units."""
    image = ops.parameter([batch, 3, SIDE, SIDE], np.float32, name="image")
    eye = ops.constant(np.eye(3, dtype=np.float32)[:, :, None, None])
    features = ops.relu(ops.convolution(image, eye, [1, 1], [0, 0], [0, 0], [1, 1]))
    pooled = ops.reduce_mean(features, ints(2, 3), False)
    logits = ops.matmul(pooled, ops.constant(GAIN * np.eye(3, dtype=np.float32)), False, True)
    result = ops.result(logits)
    result.output(0).set_names({"logits"})
    model = ov.Model([result], [image], "quadrants")
    model.set_rt_info(" ".join(LABELS), ["model_info", "labels"])
    model.set_rt_info("255", ["model_info", "scale_values"])
    return model


def photo(colour, quadrant):
    """Return u8 [8, 8, 3], RGB: a quadrant of one of the three colours on black."""
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[(*QUADRANTS[quadrant], colour)] = 255
    return pixels


def write_photo(path, pixels):
    """Write u8 [H, W, 3], RGB."""
    assert cv2.imwrite(str(path), np.ascontiguousarray(pixels[:, :, ::-1]))


def box(quadrant):
    """Return x0, y0, x1, y1 of a quadrant in pixels."""
    rows, columns = QUADRANTS[quadrant]
    return columns.start, rows.start, columns.stop, rows.stop


def coco(boxes):
    """Return COCO annotations of file name -> list of (label, xyxy)."""
    labels = sorted({label for items in boxes.values() for label, _ in items})
    return {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(boxes)],
        "categories": [{"id": number, "name": label} for number, label in enumerate(labels)],
        "annotations": [
            {"image_id": number, "category_id": labels.index(label), "bbox": [x0, y0, x1 - x0, y1 - y0]}
            for number, items in enumerate(boxes.values())
            for label, (x0, y0, x1, y1) in items
        ],
    }
