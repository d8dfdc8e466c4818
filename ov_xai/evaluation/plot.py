"""Mean insertion and deletion curves as the geometry of a drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ov_xai.evaluation.metric_names import METRICS
from ov_xai.evaluation.results import MethodResult

#: Colours that stay apart on a light and on a dark ground and for the colour-blind (Okabe and Ito 2008, and a brown).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7b5fd0")
_BASELINE_COLOUR = "#8a919e"
#: Dashes: of methods beyond the colours, and of the baselines.
_DASHES = ("", "7 3", "2 3")
_BASELINE_DASHES = ("1 4", "9 4", "4 2")

WIDTH, HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 42
_TICKS = 5


@dataclass(frozen=True)
class Style:
    """How the curve of a method looks."""

    colour: str
    dash: str


@dataclass(frozen=True)
class Line:
    """The curve of a method: `points` as SVG takes them, "x,y x,y ..."."""

    method: str
    style: Style
    points: str


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where it is, in units of the drawing, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Panel:
    """The curves of one metric.

    Attributes:
        title: of the metric.
        x_title: of the horizontal axis.
        frame: left, top, right, bottom of the area of the curves.
        x_ticks: on the horizontal axis.
        y_ticks: on the vertical axis.
        lines: one per method; baselines first, so that they lie below.
    """

    title: str
    x_title: str
    frame: tuple[float, float, float, float]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]


def styles_of(results: Sequence[MethodResult]) -> dict[str, Style]:
    """Return method -> style, no two equal for up to 24 methods and three baselines."""
    styles, counts = {}, {True: 0, False: 0}
    for result in results:
        count = counts[result.baseline]
        counts[result.baseline] += 1
        if result.baseline:
            styles[result.name] = Style(_BASELINE_COLOUR, _BASELINE_DASHES[count % len(_BASELINE_DASHES)])
        else:
            dash = _DASHES[count // len(COLOURS) % len(_DASHES)]
            styles[result.name] = Style(COLOURS[count % len(COLOURS)], dash)
    return styles


def panel_of(metric: str, results: Sequence[MethodResult]) -> Panel | None:
    """Return the mean curves of a metric, "insertion" or "deletion"; None when there are none."""
    shown = [result for result in results if metric in result.curves]
    if not shown:
        return None
    styles = styles_of(results)
    top = _ceiling(max(float(result.curves[metric].scores.max()) for result in shown))
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM

    def place_x(fraction: float) -> float:
        return _LEFT + fraction * (right - _LEFT)

    def place_y(score: float) -> float:
        return bottom - score / top * (bottom - _TOP)

    lines = []
    for result in sorted(shown, key=lambda item: not item.baseline):
        curve = result.curves[metric]
        pairs = zip(curve.fractions.tolist(), curve.scores.tolist(), strict=True)
        points = " ".join(f"{place_x(x):.1f},{place_y(y):.1f}" for x, y in pairs)
        lines.append(Line(result.name, styles[result.name], points))
    marks = [index / _TICKS for index in range(_TICKS + 1)]
    return Panel(
        METRICS[metric].title,
        f"part of the pixels {'inserted' if METRICS[metric].higher_is_better else 'deleted'}",
        (_LEFT, _TOP, right, bottom),
        tuple(Tick(place_x(mark), f"{mark:.1f}") for mark in marks),
        tuple(Tick(place_y(mark * top), f"{mark * top:.2g}") for mark in marks),
        tuple(lines),
    )


def _ceiling(value: float) -> float:
    """Return where an axis ends that shows probabilities up to a value: a round number not below it, at most 1."""
    if not 0 < value < 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 3, 4, 5, 6, 8, 10) if factor * power >= value)
