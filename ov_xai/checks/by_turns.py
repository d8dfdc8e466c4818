"""Latencies of models that run by turns, so that their ratios hold when the machine's speed drifts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

#: Rounds that are measured at least, and first ones that do not count.
_LEAST, _WARM = 15, 2


def latencies(runs: Sequence[Callable[[], float]], seconds: float) -> npt.NDArray[np.float64]:
    """Return the latencies of several models in seconds, [rounds, models]; every round runs each of them once.

    Args:
        runs: run a model once and return how long that took, in seconds.
        seconds: for how long rounds are begun.
    """
    times: list[list[float]] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < _LEAST:
        times.append([run() for run in runs])
    return np.array(times[_WARM:])
