"""Find the output of a segmentation model that says which class each place belongs to."""

from __future__ import annotations

import openvino as ov

from ov_xai.analysis.axes import batch_axis, is_spatial
from ov_xai.analysis.detectors.detector import Detector
from ov_xai.analysis.detectors.tables import column_axis
from ov_xai.analysis.detectors.task import DetectorTask
from ov_xai.graph.kinds import DECISION_OPS
from ov_xai.graph.readout import SegmentReadout
from ov_xai.graph.view import is_float, port, sizes


def find_segments(anatomy: Detector, outputs: int) -> SegmentReadout | None:
    """Return the first output with a score per class and place, else the first with class ids; None for neither.

    Args:
        anatomy: the model, taken apart.
        outputs: how many outputs it had before it was patched.
    """
    if anatomy.task is not DetectorTask.SEGMENTATION or anatomy.head is None:
        return None
    own = list(enumerate(anatomy.view.model.outputs[:outputs]))
    found = [_scores(anatomy, index, output, len(anatomy.head.columns)) for index, output in own]
    found += [_ids(anatomy, index, output) for index, output in own]
    return next((item for item in found if item is not None), None)


def _scores(anatomy: Detector, index: int, output: ov.Output, classes: int) -> SegmentReadout | None:
    tensor = anatomy.view.results[index]
    layout = anatomy.layouts.get(port(tensor))
    if layout is None or not is_spatial(layout) or not is_float(tensor) or _is_decided(anatomy, output):
        return None
    axis = column_axis(tensor, anatomy.layouts)
    columns = 1 if axis is None else (sizes(tensor) or [])[axis]
    return SegmentReadout(index, axis, batch_axis(layout)) if columns == classes else None


def _ids(anatomy: Detector, index: int, output: ov.Output) -> SegmentReadout | None:
    tensor = anatomy.view.results[index]
    layout = anatomy.layouts.get(port(tensor))
    whole = tensor.get_element_type().is_integral() or _is_decided(anatomy, output)
    if layout is None or not is_spatial(layout) or not whole:
        return None
    axis = column_axis(tensor, anatomy.layouts) if is_float(tensor) else None
    several = axis is not None and (sizes(tensor) or [])[axis] != 1
    return None if several else SegmentReadout(index, None, batch_axis(layout), ids=True)


def _is_decided(anatomy: Detector, output: ov.Output) -> bool:
    """Return whether an output depends on a choice among the classes."""
    before = anatomy.view.ancestors([output.get_node()])
    return any(anatomy.view.node(key).get_type_name() in DECISION_OPS for key in before)
