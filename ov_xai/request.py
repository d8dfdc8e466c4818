"""The words a caller may say: methods, masks, scores, and the request they make together."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, TypeVar

from ov_xai.cards import Card
from ov_xai.errors import RequestError


class Method(str, Enum):
    """What a map shows."""

    RECIPRO_CAM = "recipro-cam"
    ACTIVATION_MAP = "activation-map"
    EIGEN_CAM = "eigen-cam"
    CLASS_PROBABILITY_MAP = "class-probability-map"
    CLASS_WISE = "class-wise"  # recipro-cam for a classifier, class-probability-map for a detector

    @property
    def class_wise(self) -> bool:
        """True when there is one map per class, False for one map per image."""
        return self not in (Method.ACTIVATION_MAP, Method.EIGEN_CAM)


class Mask(str, Enum):
    """How much of the target is kept around one place."""

    PIXEL = "pixel"
    GAUSSIAN = "gaussian"


class Score(str, Enum):
    """What a class-wise map explains; `contrast` is what speaks for a class and not for its rivals."""

    LOGIT = "logit"
    PROBABILITY = "probability"
    CONTRAST = "contrast"


class Combine(str, Enum):
    """How the levels of a feature pyramid make one map."""

    MEAN = "mean"
    MAX = "max"


class Compat(str, Enum):
    """Whose maps are reproduced: those of OTX 2.1 and later."""

    OTX = "otx"


class Normalise(str, Enum):
    """How raw maps become the output: `minmax` gives u8 0..255 per map, `none` gives f32 raw values."""

    MINMAX = "minmax"
    NONE = "none"


#: Names by which a method is known, lower case, without hyphens and underscores.
METHOD_ALIASES = {
    **{method.value.replace("-", ""): method for method in Method},
    "classwisesaliencymap": Method.CLASS_WISE,
}

Word = TypeVar("Word", bound=Enum)


def parse_word(kind: type[Word], text: str | Word) -> Word:
    """Return the member of `kind` that `text` names, in any case.

    Raises:
        RequestError: `text` names no member.
    """
    if isinstance(text, kind):
        return text
    wanted = str(text).strip().lower().replace("_", "-")
    for member in kind:
        if member.value == wanted:
            return member
    allowed = ", ".join(str(member.value) for member in kind)
    raise RequestError(f"{kind.__name__.lower()} '{text}' is not known; expected one of: {allowed}.")


def parse_grid(text: str) -> tuple[int, int]:
    """Return (rows, columns) of "HxW".

    Raises:
        RequestError: `text` is not two whole numbers joined by an x.
    """
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise RequestError(f"grid '{text}' is not known; expected rows x columns, e.g. 14x14.")
    return int(parts[0]), int(parts[1])


#: Words for `map_level`.
MIDDLE, FINEST = "middle", "finest"


def parse_map_level(text: str | int) -> str | int:
    """Return "middle", "finest" or a level number from 0 (the finest).

    Raises:
        RequestError: `text` is none of these.
    """
    wanted = str(text).strip().lower()
    if wanted in (MIDDLE, FINEST):
        return wanted
    if not wanted.isdecimal():
        raise RequestError(
            f"map-level '{text}' is not known; expected middle, finest or a level number from 0 (the finest)."
        )
    return int(wanted)


def parse_method(text: str | Method | None) -> Method | None:
    """Return the method that `text` names (canonical or OTX name, any case); None for "auto".

    Raises:
        RequestError: `text` names no method.
    """
    if text is None or isinstance(text, Method):
        return text
    wanted = text.strip().lower()
    if wanted == "auto":
        return None
    key = wanted.replace("-", "").replace("_", "")
    if key in METHOD_ALIASES:
        return METHOD_ALIASES[key]
    allowed = ["auto", *(method.value for method in Method), "classwisesaliencymap", "activationmap", "eigencam"]
    close = difflib.get_close_matches(wanted, allowed, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise RequestError(f"method '{text}' is not known; expected one of: {', '.join(allowed)}.{hint}")


def as_request(request: InsertionRequest | None, options: dict[str, Any]) -> InsertionRequest:
    """Return the request, or the one that options make.

    Raises:
        RequestError: both are given, or an option is not known.
    """
    if request is not None and options:
        raise RequestError("A request and options are given; put the options into the request.")
    unknown = set(options) - {field.name for field in fields(InsertionRequest)}
    if unknown:
        allowed = ", ".join(field.name for field in fields(InsertionRequest))
        raise RequestError(f"Option '{min(unknown)}' is not known; expected one of: {allowed}.")
    return request or InsertionRequest(**options)


@dataclass(frozen=True)
class InsertionRequest:
    """What the caller wants inserted; methods, masks and scores may be given by name.

    Attributes:
        method: the map to compute; None chooses by the kind of model.
        target_layer: friendly name or tensor name of the node to mask; None finds the target.
        block: mask the tokens that enter this attention block, counted from the scores (1 is the last).
        grid: rows and columns of the tokens, for a model whose graph hides them; None reads them from the graph.
        mask: neighbourhood that is kept around a place; None chooses by the kind of model.
        score: what a class-wise map of a classifier explains; None for the logit.
        normalise: u8 maps scaled to their own range, or f32 raw maps.
        top_k: maps for the best `top_k` classes only; None for all.
        feature_vector: also emit the spatial mean of the target.
        score_output: name or index of the output that holds the class scores, for models with several.
        labels: one label per class, stored in the model's `model_info`; None leaves it as it is.
        combine: for detectors, how the pyramid levels make one map; None for the mean.
        map_level: for detectors, the level whose grid the maps have: "middle", "finest", or 0 (finest), 1, ...; None
            for the finest.
        compat: for detectors, reproduce the maps of another tool; it chooses mean and middle.
        card: knowledge about the family of the model; it precedes the shipped cards.
    """

    method: Method | None = None
    target_layer: str | None = None
    block: int | None = None
    grid: tuple[int, int] | None = None
    mask: Mask | None = None
    score: Score | None = None
    normalise: Normalise = Normalise.MINMAX
    top_k: int | None = None
    feature_vector: bool = False
    score_output: str | None = None
    labels: tuple[str, ...] | None = None
    combine: Combine | None = None
    map_level: str | int | None = None
    compat: Compat | None = None
    card: Card | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", parse_method(self.method))
        object.__setattr__(self, "mask", None if self.mask is None else parse_word(Mask, self.mask))
        object.__setattr__(self, "score", None if self.score is None else parse_word(Score, self.score))
        object.__setattr__(self, "combine", None if self.combine is None else parse_word(Combine, self.combine))
        object.__setattr__(self, "compat", None if self.compat is None else parse_word(Compat, self.compat))
        if self.map_level is not None:
            object.__setattr__(self, "map_level", parse_map_level(self.map_level))
        object.__setattr__(self, "normalise", parse_word(Normalise, self.normalise))
        for index, label in enumerate(self.labels or ()):
            if not label.split() or not label.isprintable():
                raise RequestError(f"Label {index + 1} is {label!r}; expected printable text. Correct the label file.")
        if self.grid is not None and (len(self.grid) != 2 or min(self.grid) < 1 or self.grid == (1, 1)):
            raise RequestError(f"grid is {self.grid}; expected (rows, columns) with more than one place.")
        if self.block is not None and self.target_layer is not None:
            raise RequestError("--block and --target-layer both choose what is masked. Drop one.")
        if self.block is not None and self.block < 1:
            raise RequestError(f"block is {self.block}; expected 1 (the last attention block) or more.")
        if self.compat is not None and (self.combine is not None or self.map_level is not None):
            raise RequestError("--compat chooses how levels are combined, and where. Drop --combine and --map-level.")
        if self.top_k is not None and self.top_k < 1:
            raise RequestError(f"top-k is {self.top_k}; expected a whole number from 1 to the number of classes.")
