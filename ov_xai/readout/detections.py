"""Find out where the predictions of a detector stand in its outputs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import openvino as ov

from ov_xai.analysis.detectors.box_columns import BOX_COLUMNS
from ov_xai.analysis.detectors.detector import Detector
from ov_xai.analysis.detectors.task import DetectorTask
from ov_xai.graph.readout import Readout, columns_of
from ov_xai.label_ids import LabelIds
from ov_xai.readout.box_reading import BoxReading, reading_by_place, reading_of_queries, reading_of_rows
from ov_xai.readout.dense import dense_tables
from ov_xai.readout.places import row_centres
from ov_xai.readout.queries import scored_queries
from ov_xai.readout.rows import looked_up_rows, rows_by_shape
from ov_xai.readout.subject import Array, Subject, subject_of
from ov_xai.readout.sure_places import selected_boxes
from ov_xai.request import InsertionRequest


def find_readout(model: ov.Model, anatomy: Detector, ids: LabelIds | None, request: InsertionRequest) -> Readout | None:
    """Return how the predictions of a detector are read; None when they cannot be.

    Args:
        model: the model before anything is inserted.
        anatomy: the model, taken apart.
        ids: what is known about its label ids; None without class scores on a grid.
        request: what it was taken apart for.
    """
    if anatomy.task is DetectorTask.SEGMENTATION:
        return None
    subject = subject_of(model, anatomy, ids, request)
    if (looked_up := looked_up_rows(subject)) is not None:
        return _with_rows(subject, looked_up)
    if (dense := dense_tables(subject)) is not None:
        return _with_tables(subject, dense)
    if (rows := rows_by_shape(subject)) is not None:
        return _with_rows(subject, rows)
    if (queries := scored_queries(subject)) is not None:
        return _with_queries(subject, queries)
    return None


def _with_rows(subject: Subject, readout: Readout) -> Readout:
    """Return the readout of selected rows with order and unit of the boxes.

    Boxes of which no row comes out for a random input are taken for corners in pixels.
    """
    if readout.boxes is None or (card := _of_card(subject)) is not None:
        return readout if readout.boxes is None else _read(readout, card)
    placed = None
    with suppress(RuntimeError):  # some models fail when they select other than the usual number of boxes
        placed = selected_boxes(subject, readout)
    if placed is not None:
        return _read(readout, reading_by_place(placed.boxes, placed.centres, subject.input_wh))
    boxes = _boxes(subject, readout)
    return _read(readout, reading_of_rows(boxes, subject.input_wh)) if len(boxes) else readout


def _with_queries(subject: Subject, readout: Readout) -> Readout:
    """Return the readout of queries with order and unit of the boxes."""
    boxes, card = _boxes(subject, readout), _of_card(subject)
    return _read(readout, card or (reading_of_queries(boxes, subject.input_wh) if len(boxes) else None))


def _with_tables(subject: Subject, readout: Readout) -> Readout:
    """Return the readout of tables with order and unit of the boxes, which must lie where the places are."""
    if readout.boxes is None:
        return readout
    head = subject.anatomy.head
    centres = None if head is None else row_centres(head.levels)
    reading = _of_card(subject)
    if reading is None and centres is not None:
        every = _all_boxes(subject, readout)
        if len(every) % len(centres) == 0:
            boxes = every[: len(centres)]
            known = np.isfinite(boxes).all(1)
            reading = reading_by_place(boxes[known], centres[known], subject.input_wh) if known.any() else None
    return _read(readout, reading)


def _of_card(subject: Subject) -> BoxReading | None:
    facts = None if subject.anatomy.card is None else subject.anatomy.card.boxes
    if facts is None or facts.format is None or facts.unit is None:
        return None
    return BoxReading(facts.format, facts.unit)


def _read(readout: Readout, reading: BoxReading | None) -> Readout:
    """Return the readout with its boxes read in this way; without boxes when it is not known how."""
    return replace(readout, boxes=None) if reading is None else reading.of(readout)


def _all_boxes(subject: Subject, readout: Readout) -> Array:
    """Return the boxes for a random input, [rows, 4]."""
    assert readout.boxes is not None
    return columns_of(subject.trial[readout.boxes.output], readout.boxes).reshape(-1, BOX_COLUMNS)


def _boxes(subject: Subject, readout: Readout) -> Array:
    """Return the boxes for a random input without those that are none, [n, 4]."""
    every = _all_boxes(subject, readout)
    return every[np.isfinite(every).all(1) & every.any(1)]
