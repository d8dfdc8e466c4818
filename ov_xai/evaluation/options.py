"""How an evaluation is made."""

from __future__ import annotations

from dataclasses import dataclass

from ov_xai.arguments import texts
from ov_xai.errors import RequestError
from ov_xai.evaluation.metric_names import parse_metrics


@dataclass(frozen=True)
class EvaluationOptions:
    """How an evaluation is made.

    Attributes:
        metrics: names in `METRICS`; None for all that apply.
        steps: of the insertion and deletion curves.
        batch: images per inference, where the model can take several.
        limit: at most this many images, the first ones; None for all.
        rise_masks: masks of RISE, which joins the methods; 0 leaves it out.
        seed: of everything random.
        tolerance: of the pointing game, in pixels of the network's input.
        classes: labels or indices; of these the class with the highest probability is explained. Empty for all.
        safe: try a model given by path in a process of its own first; see `insert`.
    """

    metrics: tuple[str, ...] | None = None
    steps: int = 50
    batch: int = 32
    limit: int | None = None
    rise_masks: int = 0
    seed: int = 0
    tolerance: float = 15.0
    classes: tuple[str, ...] = ()
    safe: bool = False

    def __post_init__(self) -> None:
        named = None if self.metrics is None else texts(self.metrics, "metrics")
        object.__setattr__(self, "metrics", parse_metrics(named))
        object.__setattr__(self, "classes", texts(self.classes, "classes"))
        for name, least in (("steps", 1), ("batch", 1), ("limit", 1), ("rise_masks", 0), ("seed", 0), ("tolerance", 0)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise RequestError(f"{name} is {value}; expected a number from {least}.")
