"""Models that are not trusted: try one in a child process, so that what kills OpenVINO does not kill the caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from ov_xai.errors import ModelReadError
from ov_xai.graph.probe import LIVED, STARVED

#: Seconds the child process may take.
TIME_LIMIT = 300
#: Bytes of memory it may take: half of what the machine has, but no less than this.
LEAST_MEMORY = 2 << 30


def try_model(path: Path, seconds: float = TIME_LIMIT, memory: int | None = None) -> None:
    """Read, compile and run a model once in a process of its own; return when that process lives.

    A model that OpenVINO merely refuses passes: reading it again says why.

    Args:
        path: the model file.
        seconds: time after which the process is ended.
        memory: bytes of private memory the process may take (POSIX only); None for half of the machine's.

    Raises:
        ModelReadError: the process crashed, took too long or too much memory.
    """
    limit = _half_of_memory() if memory is None else memory
    try:
        # In the folder of the package it is found whatever the caller's folder holds.
        done = subprocess.run(
            [sys.executable, "-m", "ov_xai.graph.probe", str(path.absolute()), str(limit)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelReadError(
            f"OpenVINO does not come to an end with '{path}': stopped after {seconds:g} seconds. Export the model "
            "again, or leave out --safe if it is trusted."
        ) from error
    if done.returncode == LIVED:
        return
    if done.returncode == STARVED:
        raise ModelReadError(
            f"'{path}' takes more than {limit / 2**30:.1f} GiB of memory. Export the model again, or leave out --safe "
            "if it is trusted."
        )
    raise ModelReadError(f"OpenVINO crashes on '{path}': {_death(done)}. Export the model again.")


def _death(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return how a process ended: by a signal, or by itself with a last line on stderr."""
    if done.returncode < 0:
        return signal.Signals(-done.returncode).name
    last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return f"exit code {done.returncode}{''.join(f', {line}' for line in last)}"


def _half_of_memory() -> int:
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not known on this system
        return LEAST_MEMORY
    return max(LEAST_MEMORY, whole // 2)
