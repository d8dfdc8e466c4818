"""CST: what the maps cost in time and memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ov_xai.checks import peak_memory
from ov_xai.checks.by_turns import latencies
from ov_xai.checks.coded import Check
from ov_xai.checks.options import MAX_LATENCY, MAX_MEMORY
from ov_xai.checks.samples import random_samples
from ov_xai.checks.subject import Subject
from ov_xai.checks.verdict import Finding, NotApplicableError, judged
from ov_xai.errors import DeviceError
from ov_xai.graph.reason import reason_of

#: Latencies are measured for so many seconds.
_SECONDS = 2.0
#: Extra time and memory that pass when no limit is given: of a tiny model, any branch is a large part.
_FREE_SECONDS, _FREE_BYTES = 1e-3, 64 * 2**20
#: Processes whose median peak counts.
_PROCESSES = 3


def _latency(subject: Subject) -> Finding:
    limit = _limit(subject, subject.options.max_latency, MAX_LATENCY, "--max-latency")
    plain, ratio = measure_latency(subject)
    free = subject.options.max_latency is None
    text = f"{ratio:.2f} times the plain model's {1e3 * plain:.2f} ms, {_allowed(limit, '1 ms', free)}"
    return judged(ratio <= limit or (free and (ratio - 1) * plain <= _FREE_SECONDS), text)


def _limit(subject: Subject, given: float | None, default: float, option: str) -> float:
    if given is not None:
        return given
    if subject.manifest.strategy == "mosaic":
        raise NotApplicableError(
            f"a literal mosaic runs what follows the target once per place; limit it with {option}"
        )
    return default


def _allowed(limit: float, more: str, free: bool) -> str:
    return f"at most {limit:g}{f', or {more} more,' if free else ''} is allowed"


def measure_latency(subject: Subject) -> tuple[float, float]:
    """Return the median latency of the plain model in seconds, and the median of patched / plain of each round."""
    subject.require_same_inputs()
    inputs = random_samples(subject.original, 1)[0].inputs
    runners = [subject.runner(model, {"PERFORMANCE_HINT": "LATENCY"}) for model in (subject.original, subject.patched)]
    plain, patched = latencies([partial(runner.seconds, inputs) for runner in runners], _SECONDS).T
    return float(np.median(plain)), float(np.median(patched / plain))


def _memory(subject: Subject) -> Finding:
    limit = _limit(subject, subject.options.max_memory, MAX_MEMORY, "--max-memory")
    device = subject.options.device
    plain, patched = (measure_memory(path, device) for path in (subject.original_ir, subject.patched_ir))
    ratio = patched / plain
    free = subject.options.max_memory is None
    text = f"{ratio:.2f} times the plain model's {plain / 2**20:.0f} MiB, {_allowed(limit, '64 MiB', free)}"
    return judged(ratio <= limit or (free and patched - plain <= _FREE_BYTES), text)


def measure_memory(path: Path, device: str, settings: Mapping[str, Any] | None = None) -> int:
    """Return the peak memory in bytes of a process that compiles and runs a model; the median of several.

    Args:
        path: of the model.
        device: OpenVINO device name.
        settings: properties for `compile_model`.

    Raises:
        NotApplicableError: the system does not tell.
        DeviceError: the process fails.
    """
    if not Path("/proc/self/status").exists():
        raise NotApplicableError("peak memory is read from /proc, which this system does not have")
    command = [sys.executable, str(Path(peak_memory.__file__)), str(path), device, json.dumps(dict(settings or {}))]
    return int(statistics.median(_printed(command) for _ in range(_PROCESSES)))


def _printed(command: list[str]) -> int:
    """Return the number that a process prints."""
    run = subprocess.run(command, capture_output=True, check=False, text=True)
    if run.returncode:
        raise DeviceError(f"The model does not run in a process of its own: {reason_of(run.stderr)}. Try --device CPU.")
    return int(run.stdout)


CHECKS = (
    Check(
        "CST001",
        "latency stays within its limit",
        f"Median of patched / plain, run by turns; at most --max-latency (default {MAX_LATENCY:g}, or 1 ms more).",
        "Frames are dropped when an inference takes longer than the application allows.",
        "Patch with --top-k, choose a later --target-layer, or raise --max-latency.",
        _latency,
    ),
    Check(
        "CST002",
        "peak memory stays within its limit",
        f"Peak of a process of its own, patched / plain; at most --max-memory (default "
        f"{MAX_MEMORY:g}, or 64 MiB more).",
        "An edge box that runs out of memory stops.",
        "Patch with --top-k, choose a later --target-layer, or raise --max-memory.",
        _memory,
    ),
)
