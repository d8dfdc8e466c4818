"""What the labels of a model say about the columns of its class scores."""

from __future__ import annotations

from dataclasses import dataclass

from ov_xai.graph.model_info import read_labels
from ov_xai.graph.view import GraphView
from ov_xai.request import InsertionRequest

#: Labels, in lower case, of a class that means "nothing".
_BACKGROUND = frozenset({"background", "__background__", "bg"})


@dataclass(frozen=True)
class Labels:
    """Labels in the order of the model's classes.

    Attributes:
        names: one per class; empty when none are known.
    """

    names: tuple[str, ...] = ()

    @property
    def count(self) -> int | None:
        """Number of labels; None when none are known."""
        return len(self.names) or None

    @property
    def background(self) -> int | None:
        """Index of the class that means "nothing", the first or the last; None for none."""
        ends = dict.fromkeys((0, len(self.names) - 1)) if self.names else {}
        return next((index for index in ends if self.names[index].strip().lower() in _BACKGROUND), None)


def known_labels(view: GraphView, request: InsertionRequest) -> Labels:
    """Return the labels of the request, else those the model carries."""
    return Labels(tuple(request.labels or read_labels(view.model) or ()))
