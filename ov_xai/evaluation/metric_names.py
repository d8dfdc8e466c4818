"""The metrics by name, and what each of them needs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ov_xai.errors import RequestError


class Need(str, Enum):
    """What a metric needs besides the map; the value says it to a reader."""

    SCORE = "a score per class"
    SECOND_MAP = "the map of any class in any image"
    BOXES = "boxes of the explained class"


@dataclass(frozen=True)
class Metric:
    """A quality of a saliency map.

    Attributes:
        name: on the command line and in results.
        title: in tables.
        higher_is_better: the direction.
        needs: what must be there to measure it.
    """

    name: str
    title: str
    higher_is_better: bool
    needs: frozenset[Need] = frozenset()


INSERTION, DELETION = "insertion", "deletion"
AVERAGE_DROP, COHERENCY, COMPLEXITY, ADCC = "average-drop", "coherency", "complexity", "adcc"
ROAD, SPARSITY = "road", "sparsity"
POINTING_GAME, ENERGY = "pointing-game", "energy-pointing-game"

_SCORE, _SECOND, _BOXES = frozenset({Need.SCORE}), frozenset({Need.SECOND_MAP}), frozenset({Need.BOXES})

#: All metrics, in the order of the table.
METRICS = {
    metric.name: metric
    for metric in (
        Metric(INSERTION, "Insertion", True, _SCORE),
        Metric(DELETION, "Deletion", False, _SCORE),
        Metric(AVERAGE_DROP, "Average drop", False, _SCORE),
        Metric(COHERENCY, "Coherency", True, _SECOND),
        Metric(COMPLEXITY, "Complexity", False),
        Metric(ADCC, "ADCC", True, _SCORE | _SECOND),
        Metric(ROAD, "ROAD", True, _SCORE),
        Metric(SPARSITY, "Sparsity", True),
        Metric(POINTING_GAME, "Pointing game", True, _BOXES),
        Metric(ENERGY, "Energy in boxes", True, _BOXES),
    )
}


def parse_metrics(names: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return metric names in the order of the table; None for all that apply.

    Raises:
        RequestError: a name is not known, or there is none.
    """
    if names is None:
        return None
    wanted = {name.strip().lower().replace("_", "-") for name in names} - {""}
    for name in sorted(wanted - set(METRICS)):
        raise RequestError(unknown("metric", name, METRICS))
    if not wanted:
        raise RequestError(f"No metric is named; expected some of: {', '.join(METRICS)}.")
    return tuple(name for name in METRICS if name in wanted)


def unknown(kind: str, name: str, allowed: Sequence[str] | dict[str, Metric]) -> str:
    """Return the message for a name that is not known."""
    close = difflib.get_close_matches(name, allowed, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"{kind} '{name}' is not known; expected one of: {', '.join(allowed)}.{hint}"
