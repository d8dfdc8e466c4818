"""What several tests of evaluations use."""

import numpy as np

from ov_xai.evaluation import EvaluationOptions

#: What FP32 inferences and their sums may differ by.
ROUNDING = 1e-5
FAST = EvaluationOptions(metrics=("deletion",), steps=4)


def figures(result):
    return {name: values.tolist() for name, values in result.values.items()}


def enlarged(grid, shape):
    """Return a map scaled to 0..1, each cell's value at its centre, bilinear between them, in pure NumPy."""
    result = grid.astype(np.float64)
    for axis, length in enumerate(shape):
        cells = result.shape[axis]
        at = np.clip((np.arange(length) + 0.5) * cells / length - 0.5, 0, cells - 1)
        low = np.minimum(at.astype(int), max(cells - 2, 0))
        part = (at - low).reshape([-1 if a == axis else 1 for a in range(2)])
        result = np.take(result, low, axis) * (1 - part) + np.take(result, np.minimum(low + 1, cells - 1), axis) * part
    return (result - result.min()) / (result.max() - result.min())
