"""An evaluation as text and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from ov_xai.evaluation.metric_names import METRICS
from ov_xai.evaluation.results import Evaluation
from ov_xai.metrics import Interval

_BETTER = {True: "↑", False: "↓"}
_GAP = 2
CSV_HEADER = ("model", "method", "metric", "better", "mean", "low", "high", "n")


def heading(metric: str) -> str:
    """Return the title of a metric with an arrow in the direction that is better."""
    return f"{METRICS[metric].title} {_BETTER[METRICS[metric].higher_is_better]}"


def as_text(evaluation: Evaluation, width: int) -> str:
    """Return a table, a row per method and a column per metric, with what a reader has to know below.

    Args:
        evaluation: what was found.
        width: columns of the terminal; metrics that do not fit beside the others stand in further blocks.
    """
    names = [result.name for result in evaluation.results]
    columns = [["method", *names], *_cells(evaluation)]
    lines = [f"{evaluation.model}: {evaluation.images} images"]
    for block in _blocks(columns, width):
        widths = [max(map(len, column)) for column in block]
        lines.append("")
        for row in zip(*block, strict=True):
            cells = [
                row[0].ljust(widths[0]),
                *(cell.rjust(size) for cell, size in zip(row[1:], widths[1:], strict=True)),
            ]
            lines.append((" " * _GAP).join(cells).rstrip())
    lines += ["", "mean ± half of the 95 % bootstrap interval over images; * best mean; - not measured", ""]
    return "\n".join([*lines, *_footnotes(evaluation)])


def as_csv(evaluation: Evaluation) -> str:
    """Return one row per method and metric; a metric that was not measured has n = 0 and no numbers."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    intervals = evaluation.intervals()
    for result in evaluation.results:
        counts = result.counts()
        for metric in evaluation.metrics:
            found = intervals[result.name].get(metric)
            numbers = ("", "", "") if found is None else (found.mean, found.low, found.high)
            better = "higher" if METRICS[metric].higher_is_better else "lower"
            writer.writerow([evaluation.model, result.name, metric, better, *numbers, counts[metric]])
    return stream.getvalue()


def _cells(evaluation: Evaluation) -> Iterator[list[str]]:
    """Yield the column of each metric, its heading first."""
    intervals, best = evaluation.intervals(), evaluation.best()
    for metric in evaluation.metrics:
        column = [f"{heading(metric)} "]
        for result in evaluation.results:
            mark = "*" if result.name in best[metric] else " "
            column.append(f"{_plus_minus(intervals[result.name].get(metric))}{mark}")
        yield column


def _plus_minus(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval.mean:.3f} ±{(interval.high - interval.low) / 2:.3f}"


def _blocks(columns: list[list[str]], width: int) -> Iterator[list[list[str]]]:
    """Yield groups of columns that fit into a width, each beginning with the first column."""
    first, *rest = columns
    room = width - max(map(len, first))
    block: list[list[str]] = []
    used = 0
    for column in rest:
        size = max(map(len, column)) + _GAP
        if block and used + size > room:
            yield [first, *block]
            block, used = [], 0
        block.append(column)
        used += size
    yield [first, *block]


def _footnotes(evaluation: Evaluation) -> Iterator[str]:
    details = [(result.name, result.detail) for result in evaluation.results if result.detail]
    rows = [*details, *evaluation.facts.items(), *(("note", note) for note in evaluation.notes)]
    size = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        yield f"{name:<{size}}  {value}"
