"""Compare a patched model with its original on all processors: `python -m tests.all_processors PLAIN PATCHED`.

A process of its own, because OpenVINO looks once for the processors it may use, and a test may have been given few.
Prints the numbers of the outputs that differ in any bit.
"""

import os
import sys

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, range(os.cpu_count()))

import openvino as ov

from ov_xai.graph.trial import sample_inputs
from tests.helpers import PRECISIONS


def main(plain, patched):
    models = [ov.Core().read_model(path) for path in (plain, patched)]
    inputs = sample_inputs(models[0], seed=5)
    for config in PRECISIONS:
        before, after = (ov.Core().compile_model(model, "CPU", config) for model in models)
        old, new = before(inputs), after(inputs)
        for index in range(len(before.outputs)):
            if old[index].tobytes() != new[index].tobytes():
                print(index)


if __name__ == "__main__":
    main(*sys.argv[1:])
