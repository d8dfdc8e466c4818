"""Class-probability maps from the raw numbers of each pyramid level, place by place."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def softmax(x, axis):
    shifted = np.exp(x - x.max(axis=axis, keepdims=True))
    return shifted / shifted.sum(axis=axis, keepdims=True)


def class_maps(levels, activation, combine, level, objectness=None):
    """Return maps [N, K, h, w].

    Args:
        levels: per level, class logits [N, A, K, h, w].
        activation: "sigmoid", "softmax" or "none".
        combine: "mean" or "max".
        level: index of the level whose grid the maps have.
        objectness: per level, logits [N, A, h, w]; None for none.
    """
    height, width = levels[level].shape[-2:]
    resized = []
    for index, logits in enumerate(levels):
        scores = np.asarray(logits, np.float64)
        if activation != "none":
            scores = sigmoid(scores) if activation == "sigmoid" else softmax(scores, 2)
        if objectness is not None:
            scores = scores * sigmoid(objectness[index])[:, :, None]
        best = scores.max(axis=1)
        resized.append(np.array([[bilinear(one, height, width) for one in image] for image in best]))
    return np.max(resized, axis=0) if combine == "max" else np.mean(resized, axis=0)


def bilinear(picture, height, width):
    """Resize [h, w] between the centres of cells, one place after the other."""
    rows, columns = picture.shape
    result = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            y = min(max((i + 0.5) * rows / height - 0.5, 0), rows - 1)
            x = min(max((j + 0.5) * columns / width - 0.5, 0), columns - 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            upper = picture[top, left] * (1 - (x - left)) + picture[top, right] * (x - left)
            lower = picture[bottom, left] * (1 - (x - left)) + picture[bottom, right] * (x - left)
            result[i, j] = upper * (1 - (y - top)) + lower * (y - top)
    return result
