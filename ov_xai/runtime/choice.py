"""Which classes of an image are explained."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import openvino as ov

from ov_xai.arguments import texts, whole_number
from ov_xai.errors import RequestError
from ov_xai.graph.model_info import info_value

DEFAULT_THRESHOLD = 0.3
PREDICTIONS, ALL = "predictions", "all"


@dataclass(frozen=True)
class ClassChoice:
    """Which classes of an image are explained.

    Attributes:
        classes: "predictions" for those at or above the threshold (of a classifier also the best one), "all", or
            labels.
        threshold: confidence, 0..1; None takes the model's own (`confidence_threshold` of its `model_info`, a key of
            Model API), or `DEFAULT_THRESHOLD`.
        limit: at most this many, best first; None for no limit.
    """

    classes: str | tuple[str, ...] = PREDICTIONS
    threshold: float | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.classes, str):
            object.__setattr__(self, "classes", texts(self.classes, "classes"))
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise RequestError(f"The confidence threshold is {self.threshold:g}; expected a number from 0 to 1.")
        if self.limit is not None:
            object.__setattr__(self, "limit", whole_number(self.limit, "top-k"))

    @property
    def least(self) -> float:
        """The threshold, or the default where none is said."""
        return DEFAULT_THRESHOLD if self.threshold is None else self.threshold

    def for_model(self, model: ov.Model) -> ClassChoice:
        """Return the choice with a threshold: the caller's, else the model's own, else the default."""
        return replace(self, threshold=_own_threshold(model)) if self.threshold is None else self


def _own_threshold(model: ov.Model) -> float:
    """Return the threshold of a model; one that is no probability is left aside."""
    try:
        own = float(info_value(model, "confidence_threshold") or "")
    except ValueError:
        own = math.nan
    return own if 0 <= own <= 1 else DEFAULT_THRESHOLD
