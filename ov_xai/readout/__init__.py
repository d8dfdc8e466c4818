"""Where the predictions of a detector or a segmentation model stand in its outputs."""

from __future__ import annotations

from ov_xai.readout.detections import find_readout
from ov_xai.readout.segments import find_segments

__all__ = ["find_readout", "find_segments"]
