"""What several tests do with a model."""

import numpy as np
import openvino as ov

F32 = {"INFERENCE_PRECISION_HINT": "f32"}
#: The precisions in which predictions keep every bit: FP32, and what the CPU computes in by itself.
PRECISIONS = (F32,) if ov.Core().get_property("CPU", "INFERENCE_PRECISION_HINT") == ov.Type.f32 else (F32, {})

#: Of a map's range, the closed form may differ from the literal perturbation by this much in FP32.
MAP_TOLERANCE = 1e-4


def run(model, inputs, config=F32):
    """Return all outputs of a model as copies."""
    compiled = ov.Core().compile_model(model, "CPU", config)
    result = compiled(inputs)
    return [np.array(result[index]) for index in range(len(compiled.outputs))]


def output(model, inputs, name="saliency_map", config=F32):
    """Return one output by name."""
    compiled = ov.Core().compile_model(model, "CPU", config)
    return np.array(compiled(inputs)[name])


def one_by_one(model, images, name="saliency_map", config=F32):
    """Return one output for a batch of images, each inferred alone by one compiled model."""
    compiled = ov.Core().compile_model(model, "CPU", config)
    return np.concatenate([np.array(compiled([image[None]])[name]) for image in images])


#: FP32 exponentials give zero somewhere below this.
UNDERFLOW = 1e-30

#: Rounding of a score in FP32, relative to its size.
SCORE_ROUNDING = 4e-6


def assert_maps_equal(found, expected, tolerance=MAP_TOLERANCE, rounding=SCORE_ROUNDING):
    """Compare raw maps relative to the range of each expected one.

    Args:
        found: maps [..., h, w].
        expected: the same, computed independently.
        tolerance: allowed difference relative to the range of a map.
        rounding: allowed difference relative to the largest score of a map, which matters where a map is constant.
            Probabilities of logits l carry the rounding of the logits, exp(d) - 1 with d = 4e-6 max |l|.
    """
    assert found.shape == expected.shape, f"maps are {found.shape}, expected {expected.shape}"
    span = np.ptp(expected, axis=(-2, -1), keepdims=True)
    noise = rounding * np.abs(expected).max(axis=(-2, -1), keepdims=True) + UNDERFLOW
    gap = np.abs(found.astype(np.float64) - expected)
    worst = np.max(gap - noise - tolerance * span)
    assert worst <= 0, f"maps differ by {np.max(gap / np.maximum(span, 1e-12)):.2e} of their range"


def assert_levels_equal(found, expected):
    """Compare u8 maps to within one level."""
    assert found.dtype == np.uint8
    assert found.shape == expected.shape, f"maps are {found.shape}, expected {expected.shape}"
    gap = np.abs(found.astype(int) - expected.astype(int))
    assert gap.max() <= 1, f"maps differ by {gap.max()} levels"
