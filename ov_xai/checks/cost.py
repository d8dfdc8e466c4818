"""CST: what the maps cost in time and memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from ov_xai.checks import peak_memory
from ov_xai.checks.coded import Check
from ov_xai.checks.options import MAX_LATENCY, MAX_MEMORY
from ov_xai.checks.samples import random_samples
from ov_xai.checks.subject import Subject
from ov_xai.checks.verdict import Finding, NotApplicableError, judged
from ov_xai.errors import DeviceError
from ov_xai.graph.reason import reason_of

#: Interleaved runs are measured for so many seconds, and at least so often.
_SECONDS, _LEAST_RUNS = 2.0, 15
#: Extra time and memory below these are not judged: of a tiny model, any branch is a large part.
_FREE_SECONDS, _FREE_BYTES = 1e-3, 64 * 2**20
#: Processes whose median peak counts.
_PROCESSES = 3


def _latency(subject: Subject) -> Finding:
    limit = _limit(subject, subject.options.max_latency, MAX_LATENCY, "--max-latency")
    plain, ratio = measure_latency(subject)
    text = f"{ratio:.2f} times the plain model's {1e3 * plain:.2f} ms, at most {limit:g} is allowed"
    return judged(ratio <= limit or (ratio - 1) * plain <= _FREE_SECONDS, text)


def _limit(subject: Subject, given: float | None, default: float, option: str) -> float:
    if given is not None:
        return given
    if subject.manifest.strategy == "mosaic":
        raise NotApplicableError(
            f"a literal mosaic runs what follows the target once per place; limit it with {option}"
        )
    return default


def measure_latency(subject: Subject) -> tuple[float, float]:
    """Return the median latency of the plain model in seconds, and the median of patched / plain.

    Both run by turns in one process, and each ratio is of neighbours, so it holds when the machine's speed drifts.
    """
    subject.require_same_inputs()
    inputs = random_samples(subject.original, 1)[0].inputs
    runners = [subject.runner(model, {"PERFORMANCE_HINT": "LATENCY"}) for model in (subject.original, subject.patched)]
    times: list[list[float]] = []
    end = time.perf_counter() + _SECONDS
    while time.perf_counter() < end or len(times) < _LEAST_RUNS:
        times.append([runner.seconds(inputs) for runner in runners])
    plain, patched = np.array(times[2:]).T
    return float(np.median(plain)), float(np.median(patched / plain))


def _memory(subject: Subject) -> Finding:
    limit = _limit(subject, subject.options.max_memory, MAX_MEMORY, "--max-memory")
    device = subject.options.device
    plain, patched = (measure_memory(path, device) for path in (subject.original_ir, subject.patched_ir))
    ratio = patched / plain
    text = f"{ratio:.2f} times the plain model's {plain / 2**20:.0f} MiB, at most {limit:g} is allowed"
    return judged(ratio <= limit or patched - plain <= _FREE_BYTES, text)


def measure_memory(path: Path, device: str) -> int:
    """Return the peak memory in bytes of a process that compiles and runs a model; the median of several.

    Raises:
        NotApplicableError: the system does not tell.
        DeviceError: the process fails.
    """
    if not Path("/proc/self/status").exists():
        raise NotApplicableError("peak memory is read from /proc, which this system does not have")
    command = [sys.executable, str(Path(peak_memory.__file__)), str(path), device]
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
        f"Median of patched / plain, run by turns; at most --max-latency (default {MAX_LATENCY:g}). Less than 1 ms "
        "more is not judged.",
        "Frames are dropped when an inference takes longer than the application allows.",
        "Patch with --top-k, choose a later --target-layer, or raise --max-latency.",
        _latency,
    ),
    Check(
        "CST002",
        "peak memory stays within its limit",
        f"Peak of a process of its own, patched / plain; at most --max-memory (default {MAX_MEMORY:g}). Less than "
        "64 MiB more is not judged.",
        "An edge box that runs out of memory stops.",
        "Patch with --top-k, choose a later --target-layer, or raise --max-memory.",
        _memory,
    ),
)
