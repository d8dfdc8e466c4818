"""Run in a process of its own by `ov_xai.graph.safe`: read a model that is not trusted, compile it and run it once.

Whatever OpenVINO does to the process happens to this one. What it merely refuses is left to the caller, who reads the
model again and says why.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import openvino as ov

#: Exit codes: the process lived, or the memory it may take did not suffice.
LIVED, STARVED = 0, 9


def limit_memory(limit: int) -> None:
    """Limit the private memory of this process in bytes, where the system can; leave no core dump."""
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:  # Windows: the limit on time remains
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def read_and_run(path: Path) -> None:
    """Read a model, copy it, compile it for the CPU and run it once on zeros, dynamic extents being small.

    Raises:
        RuntimeError: OpenVINO refuses one of these steps.
        MemoryError: there is too little memory for one of them.
    """
    core = ov.Core()
    model = core.read_model(path).clone()
    model.validate_nodes_and_infer_types()
    compiled = core.compile_model(model, "CPU")
    inputs = []
    for source in compiled.inputs:
        shape = source.get_partial_shape()
        extents = [64 if extent.is_dynamic else extent.get_length() for extent in shape] if shape.rank.is_static else []
        inputs.append(np.zeros(extents, source.get_element_type().to_dtype()))
    compiled(inputs)


def main(path: str, limit: str) -> int:
    """Return the exit code of the process."""
    limit_memory(int(limit))
    try:
        read_and_run(Path(path))
    except MemoryError:
        return STARVED
    except (RuntimeError, ValueError, TypeError, IndexError, OverflowError) as error:
        return STARVED if "bad_alloc" in str(error) else LIVED
    return LIVED


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
