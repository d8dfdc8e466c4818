"""Print the peak memory of this process in bytes, after compiling and running one model on zeros.

Run as a script with the path of a model, a device, and properties for `compile_model` as JSON. It imports nothing of
ov-xai, so that nothing else is counted. Not from `getrusage`, which counts the process that started this one.
"""

import json
import sys
from pathlib import Path

import numpy as np
import openvino as ov

_RUNS = 3


def main(path: str, device: str, settings: str) -> None:
    """Compile and run a model; dynamic extents become 1, then 224."""
    model = ov.Core().read_model(path)
    inputs = []
    for source in model.inputs:
        extents = [
            item.get_length() if item.is_static else (1 if index == 0 else 224)
            for index, item in enumerate(source.get_partial_shape())
        ]
        inputs.append(np.zeros(extents, source.get_element_type().to_dtype()))
    request = ov.Core().compile_model(model, device, json.loads(settings)).create_infer_request()
    for _ in range(_RUNS):
        request.infer(inputs)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    print(1024 * int(status.split("VmHWM:")[1].split()[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
