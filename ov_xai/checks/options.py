"""What a run of the checks may be told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ov_xai.arguments import optional_path, whole_number
from ov_xai.errors import RequestError

#: Largest ratios of patched to plain that pass when none are given. All classes of a small network with a wide head
#: cost its own time again; the literal mosaic has no limit unless one is given.
MAX_LATENCY, MAX_MEMORY = 2.5, 2.0


@dataclass(frozen=True)
class CheckOptions:
    """Options of `ov_xai.check`; paths may be given as text.

    Attributes:
        data: folder of images; None decides on made-up pictures.
        baseline: figures of quality to compare with.
        write_baseline: where to write the figures of this model.
        device: OpenVINO device name.
        annotations: boxes of objects in `data`, for the pointing games; see `read_annotations`.
        images: at most so many images of `data` are looked at, those of the quality excepted.
        max_latency: largest ratio of latencies, patched / plain; None for `MAX_LATENCY`, or a millisecond more.
        max_memory: largest ratio of peak memory, patched / plain; None for `MAX_MEMORY`, or 64 MiB more.
        safe: try models given by path in a process of their own first; see `insert`.
    """

    data: Path | None = None
    baseline: Path | None = None
    write_baseline: Path | None = None
    annotations: Path | None = None
    device: str = "CPU"
    images: int = 8
    max_latency: float | None = None
    max_memory: float | None = None
    safe: bool = False

    def __post_init__(self) -> None:
        for name in ("data", "baseline", "write_baseline", "annotations"):
            object.__setattr__(self, name, optional_path(getattr(self, name), name.replace("_", "-")))
        object.__setattr__(self, "images", whole_number(self.images, "images"))
        for name, limit in (("max-latency", self.max_latency), ("max-memory", self.max_memory)):
            if limit is not None and not (math.isfinite(limit) and limit > 0):
                raise RequestError(f"{name} is {limit}; expected a ratio above 0, e.g. 1.5.")
        if self.data is None and (self.baseline is not None or self.write_baseline is not None):
            raise RequestError("A baseline holds figures of images. Give the images with --data.")
        if self.annotations is not None and self.baseline is None and self.write_baseline is None:
            raise RequestError("Annotations serve a baseline. Give one with --baseline, or write it.")
