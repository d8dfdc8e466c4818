"""Activation map: how strongly the network responds at each place.

    S(p) = 1/C sum_c F[c, p]

    F  the target, (C, h, w)

The same for every class.
"""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.candidates import Candidate
from ov_xai.graph.emit import Emitter
from ov_xai.methods.maps import RawMaps
from ov_xai.methods.places import as_grid, mean_over_channels, places_by_channels


def activation_map(emit: Emitter, target: Candidate, height: ov.Output, width: ov.Output) -> RawMaps:
    """Return one raw map per image: [N, h, w]."""
    matrix = places_by_channels(emit, target)  # (N, P, C)
    return RawMaps(as_grid(emit, mean_over_channels(emit, matrix), height, width))
