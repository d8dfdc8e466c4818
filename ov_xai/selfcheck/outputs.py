"""The original outputs before and after patching."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ov_xai.errors import SelfCheckError
from ov_xai.graph.manifest import read_manifest
from ov_xai.graph.trial import EXACT, sample_inputs

Array = npt.NDArray[Any]

#: Where bits cannot be kept, an original output may differ by this part of its range.
OUTPUT_TOLERANCE = 1e-5


def check_outputs(original: ov.Model, patched: ov.Model) -> bool:
    """Compare the original outputs before and after on a random input, bit for bit.

    Both are run in FP32 and, where the CPU's default is something else, at that too.

    Returns:
        True when all bits are equal; False when they differ by at most `OUTPUT_TOLERANCE` of the output's range.

    Raises:
        SelfCheckError: an output differs by more.
    """
    core = ov.Core()
    default = core.get_property("CPU", "INFERENCE_PRECISION_HINT")
    configs: list[dict[str, Any]] = [EXACT] if default == ov.Type.f32 else [EXACT, {}]
    sample = sample_inputs(original)
    exact = True
    # One after the other: compiling in several threads has been seen to damage the heap (OpenVINO 2026.4).
    results = [_outputs(core, model, sample, config) for config in configs for model in (original, patched)]
    for before, after in zip(results[::2], results[1::2], strict=True):
        for index, (old, new) in enumerate(zip(before, after, strict=False)):
            if old.shape != new.shape or old.dtype != new.dtype:
                raise SelfCheckError(f"Output {index} changed from {old.dtype}{old.shape} to {new.dtype}{new.shape}.")
            if old.tobytes() == new.tobytes():
                continue
            exact = False
            _require_close(index, old, new, patched)
    return exact


def part_of_range(old: Array, new: Array) -> float:
    """Return the largest difference of two arrays of one shape as a part of the (finite) range of the first.

    Infinity or NaN where one holds such a value and the other does not.
    """
    other = ~((old == new) | (np.isnan(old) & np.isnan(new)))
    if not other.any():
        return 0.0
    finite = old[np.isfinite(old)].astype(np.float64)
    span = (float(np.ptp(finite)) if finite.size else 0.0) or 1.0
    return float(np.max(np.abs(old[other].astype(np.float64) - new[other].astype(np.float64)))) / span


def _require_close(index: int, old: Array, new: Array, patched: ov.Model) -> None:
    worst = part_of_range(old, new)
    if not worst <= OUTPUT_TOLERANCE:
        raise SelfCheckError(
            f"Output {index} of the patched model differs by {worst:.1e} of its range; at most "
            f"{OUTPUT_TOLERANCE:.0e} is allowed. {_remedy(patched)}; nothing was written."
        )


def _remedy(patched: ov.Model) -> str:
    """Return what makes the branch read another tensor: the maps of a detector's classes read the scores only."""
    manifest = read_manifest(patched)
    if manifest is None or manifest.task == "classification" or manifest.score is None:
        return "Choose another --target-layer"
    return "Use --method activation-map, which reads a feature map and not the scores"


def _outputs(core: ov.Core, model: ov.Model, sample: list[Array], config: dict[str, Any]) -> list[Array]:
    compiled = core.compile_model(model, "CPU", config)
    result = compiled(sample)
    return [np.array(result[index]) for index in range(len(compiled.outputs))]
